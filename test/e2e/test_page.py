"""The page on API_PORT, in a browser. Screenshots go to build/…/shots/."""

import re

import pytest

from lib import browser as browser_module
from lib.api import Api
from lib.browser import WAIT
from lib.ports import free_port
from lib.wait import wait_for

VIEW, SHOP, OPERATOR = "v1ew-token", "sh0p-token", "0perat0r-token"
TOKENS = (f"{VIEW} view", f"{SHOP} view *.shop", f"{OPERATOR} operate")
EVIL = [b"<script>document.title='hacked'</script>", b"<img src=x onerror=\"document.title='hacked'\">", b"</div></body><svg onload=alert(1)>",
        b"\x1b[31m<b>red</b>\x1b[0m", b"{\"level\":\"error\",\"<img src=x onerror=alert(1)>\":\"<b>x</b>\",\"__proto__\":{\"x\":1}}", b"a\x00b\xe2\x80\xaec"]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    why = browser_module.missing()
    if why:
        pytest.skip(why)
    b = browser_module.Browser(tmp_path_factory.mktemp("browser"))
    yield b
    b.close()


@pytest.fixture
def page(one, node, daemon, tmp_path):
    """page(token): the page of a daemon with a pod `web` in `shop` and one of `till` in `bank`: (browser, daemon, Api, web, till)."""
    def start(token=OPERATOR, view="", **options):
        web, till = (node.container(f"{name}-7d9c8b6f5d-bcdfg", ns) for name, ns in (("web", "shop"), ("till", "bank")))
        web.write([b"the first line of web"])
        till.write([b"the first line of till"])
        env = {**Api.env(tmp_path, TOKENS), **options.pop("env", {})}
        options.setdefault("routes", [("*", "null://")])
        d = daemon(node, env=env, **options)
        d.secrets += [VIEW, SHOP, OPERATOR]
        api = Api(d)
        one.desk()
        one.dark(False)
        one.open(f"http://127.0.0.1:{api.port}/{view}")
        one.log_in(token)
        return one, d, api, web, till
    yield start
    if not browser_module.missing():
        assert one.complaints() == []
        assert one.js("return document.querySelectorAll('#lines script, #lines img, #lines b, #lines svg, #detail img').length") == 0
        one.driver.get("about:blank")


def test_the_files_are_a_part_of_the_program(node, daemon, tmp_path):
    """They are for anybody, load nothing from elsewhere, and may not be framed."""
    d = daemon(node, routes=True, env=Api.env(tmp_path, TOKENS))
    api = Api(d)
    status, headers, html = api.ask("/")
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer" and not headers["set-cookie"]
    todo, done = re.findall(r'(?:src|href)="([^"]+)"', html), set()
    while todo:
        path = todo.pop()
        assert path.startswith("/"), path
        if path in done:
            continue
        done.add(path)
        status, headers, text = api.ask(path)
        assert status == 200 and headers["content-security-policy"] == policy, path
        assert headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
        todo += [p.removeprefix(".") for p in re.findall(r'from "(\./[^"]+)"', text)]
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage", "document.cookie", "https://"):
            assert word not in text, (path, word)
    assert len(done) >= 7
    assert api.ask("/", method="HEAD")[0] == 200 and api.ask("/", method="POST")[0] in (400, 405)
    assert api.ask("/main.js", Host="evil.example")[0] == 403
    assert d.get("/main.js")[0] == 404


def test_lines_live_filtered_and_expanded(page):
    b, d, api, web, till = page()
    b.wait_text(".line", "the first line of web")
    b.wait_text("#list", "till.bank")
    assert OPERATOR not in b.js("return location.href + document.documentElement.outerHTML")
    web.write([b"a line that comes"])
    b.wait_text(".line", "a line that comes")
    web.write([b'{"level":"error","msg":"cannot reach the database","user":{"id":7,"name":"ann"}}', b"level=warn took=3s", b"GET /healthz 200",
               b"\x1b[32mok\x1b[0m done", *EVIL])
    b.wait_text(".line.error", "cannot reach the database")
    b.wait_text(".line .ansi2", "ok")
    b.wait_text(".line", "a\u2400b\ufffdc")
    b.shot("lines")
    # levels and filter
    b.click("#levels button", "info")
    b.wait("return ![...document.querySelectorAll('.line')].some(e => e.textContent.includes('healthz'))", "info lines to go")
    b.click("#levels button", "info")
    b.type("#filter", "line -till /fir?st/")
    b.wait("return document.querySelectorAll('.line').length === 1", "one line to be left")
    assert b.text(".line .message") == "the first line of web"
    shared = b.js("return location.href")
    assert "f=line" in shared and OPERATOR not in shared
    b.type("#filter", "/(/")
    b.wait("return document.querySelector('#filter.wrong') !== null", "the expression to be marked")
    # a JSON line, expanded; a value becomes a filter
    b.type("#filter", "")
    b.wait_text(".line", "cannot reach the database")
    b.click(".line.error .message", "cannot reach")
    b.wait_text("#detail", "ann")
    b.shot("expanded")
    b.click("#detail .value", "cannot reach the database")
    b.wait("return document.querySelectorAll('.line').length === 1", "its line alone")
    assert b.js("return document.getElementById('filter').value") == '"cannot reach the database"'
    # the shared link shows the same
    b.open(shared)
    b.wait("return [...document.querySelectorAll('.line .message')].map(e => e.textContent).join() === 'the first line of web'", "the view of the link")
    b.dark(True)
    b.type("#filter", "")
    b.wait_text(".line", "cannot reach the database")
    b.shot("dark")
    b.phone()
    b.wait("return document.documentElement.scrollWidth <= innerWidth", "a page as wide as a phone")
    b.shot("phone")
    b.desk()


def test_a_workload_its_second_pod_and_a_pause(page, node):
    """Its pods, and no others; lines of several pods are shown in the order of their times."""
    b, _, _, web, till = page(SHOP)
    b.wait_text("#list", "web.shop")
    assert "bank" not in b.text("body")
    b.click("#list button", "web.shop")
    b.wait_text(".line", "the first line of web")
    assert "w=web.shop" in b.js("return location.hash")
    second = node.container("web-7d9c8b6f5d-zzzzz", "shop")
    second.write([b"the second pod is here"])
    b.wait_text(".line", "the second pod is here")
    b.key("f")
    b.wait_text("#follow", "Follow")
    web.write([b"while it is paused %d" % i for i in range(200)])
    till.write([b"not theirs"])
    b.wait_text("#more", "200 new lines")
    assert "while it is paused 199" not in b.text(".line")
    b.click("#more")
    b.wait_text(".line", "while it is paused 199")
    assert b.lines() == sorted(b.lines(), key=lambda line: line.split()[0]), "lines of two pods, by time"
    saved = b.download()
    assert saved.name == "web.shop.log" and saved.read_text().splitlines() == b.lines()
    assert len(b.lines()) == 202 and "not theirs" not in saved.read_text()


def test_a_wrong_token_and_another_one(page):
    b, d, api, _, _ = page("wr0ng")
    b.wait_text("#login-why", "not valid")
    b.shot("login")
    b.log_in(VIEW)
    b.wait_text(".line", "the first line of web")


def test_a_drain_turns_red_and_green_again(page, syslog_tcp, oracle):
    port = free_port()
    b, d, api, web, _ = page(routes=[("*", f"syslog+tcp://127.0.0.1:{port}")])
    b.wait_text("#drains .red", "refused")
    assert b.count("#list .dot.red") and b.js("return document.title").startswith("●")
    b.shot("red")
    peer = syslog_tcp(port=port)
    b.wait("return document.querySelectorAll('#drains .drain.green').length === 1", "the drain to be green")
    assert not b.count("#list .dot.red") and peer


def test_it_goes_on_after_a_crash(page, oracle):
    """kill -9 of the daemon: the page goes on where it was, nothing twice, nothing missing."""
    b, d, api, web, _ = page(env={"API_PORT": free_port()})
    b.wait_text(".line", "the first line of web")
    source = oracle.source("web")
    web.write(source.take(300))
    wait_for(lambda: len(b.lines()) == 302, WAIT, "the first lines")
    d.wait_saved()
    d.kill()
    web.write(source.take(300))
    b.wait_text("#state", "Trying again")
    d.start()
    wait_for(lambda: sum("the first line" not in line for line in b.lines()) >= 600, WAIT, "all lines")
    oracle.check([line.split(" ", 3)[3].encode() for line in b.lines() if "the first line" not in line], ["web"]).assert_exact()


def test_50000_lines(page):
    """Few of them are elements; scrolling to the first and the last one shows them."""
    b, d, api, web, _ = page()
    b.wait_text(".line", "the first line of web")
    b.click("#list button", "web.shop")
    b.wait_text(".line", "the first line of web")
    for n in range(50):
        web.write([b"line %d of many" % i for i in range(n * 1000, (n + 1) * 1000)])
    b.wait_text(".line", "line 49999 of many")
    b.wait("return document.getElementById('space').offsetHeight >= 50000 * 20", "50,000 lines")
    assert b.count("#rows *") < 1000
    b.key("g")
    b.wait("return document.querySelector('.line .message')?.textContent.match(/first line of web|line \\d{1,4} of/)", "the first lines")
    top = b.js("return document.querySelector('.line').textContent")
    b.key("G")
    b.wait_text(".line", "line 49999 of many")
    assert top not in b.text(".line")
