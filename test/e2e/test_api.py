"""API_PORT: who may see which lines and drains over TCP. Nobody without a token, and each only what the authority says."""

import json
import secrets
import time

import pytest

from lib.api import WAIT, Api
from lib.daemon import SLOW, limits, run
from lib.preload import Clock
from lib.wait import wait_for

VIEW, SHOP, OPERATOR = "v1ew-all-0f-it", "sh0p-0nly", "0perat0r.token=="
TOKENS = ("# who may look", "", f"{VIEW} view", f"{SHOP}\tview   *.shop", f"{OPERATOR} operate")
PAGES = ("/v1/tail", "/v1/streams", "/v1/drains", "/v1/", "/v1/nosuch", "/v1/tail?namespace=shop", "/v1/tail?namespace=nosuch&wait=true",
         "/v1/tail?nosuch=1", "/nosuch", "/metrics", "/index.html", "/main.js/", "//", "/files/main.js")


@pytest.fixture
def served(node, oracle, daemon, tmp_path, closing):
    """A node with two workloads and a daemon with the API: (daemon, Api, containers)."""
    def start(tokens=TOKENS, ca=None, env=None, **more):
        web, till = node.container("web-7d9c8b6f5d-bcdfg", "shop"), node.container("till-7d9c8b6f5d-bcdfg", "bank")
        till.write([b"a secret of the bank"])
        d = daemon(node, routes=[("*", "null://")], env={**Api.env(tmp_path, tokens), **(env or {})}, **more)
        d.secrets += [line.split()[0] for line in tokens if line and line[0] != "#"]
        return d, Api(d, ca), (web, till)
    return start


@pytest.fixture
def tail(closing):
    return lambda api, *args, **query: closing(api.tail(*args, **query))


# --- it fails closed ---------------------------------------------------------------------------------------------------------

def start(tmp_path, tokens=None, **env):
    return run("--drain", "*=null://", env={"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_PORT": "0",
                                            **{k: str(v) for k, v in Api.env(tmp_path, tokens).items()}, **env})


def test_without_an_authority_it_does_not_start(tmp_path):
    done = start(tmp_path)
    assert done.returncode == 2 and "API_TOKEN_FILE" in done.stderr and "API_KUBERNETES_AUTH" in done.stderr, done.stderr
    for env in ({"API_TOKEN_FILE": ""}, {"API_TOKEN_FILE": "", "API_KUBERNETES_AUTH": "false"}):
        assert start(tmp_path, **env).returncode == 2
    done = start(tmp_path, API_KUBERNETES_AUTH="true")
    assert done.returncode == 2 and "API_KUBERNETES_AUTH: the Kubernetes API is not used" in done.stderr
    done = start(tmp_path, API_TOKEN_FILE=str(tmp_path / "none"))
    assert done.returncode == 1 and "API_TOKEN_FILE: cannot read" in done.stderr
    assert start(tmp_path, API_TOKEN_FILE=str(tmp_path)).returncode in (1, 2)
    done = start(tmp_path, [f"{VIEW} view"], API_TLS_CERT_PEM_FILE=str(tmp_path / "none"))
    assert done.returncode in (1, 2) and "API_TLS" in done.stderr
    assert "API_TOKEN_FILE" in start(tmp_path, API_TOKENS_FILE=str(tmp_path / "none")).stderr, "a slip is named"


@pytest.mark.parametrize("line, why", [
    ("", "has no token"),
    ("# only a comment", "has no token"),
    ("t0ken", "line 1: there is no role"),
    ("t0ken admin", "line 1: the role must be view or operate"),
    ("t0ken VIEW", "line 1: the role must be view or operate"),
    ("t0ken view,operate", "line 1: the role must be view or operate"),
    ("t0k\u00e9n view", "line 1: the token has a character"),
    ("t0ken! view", "line 1: the token has a character"),
    ("Bearer: view", "line 1: the token has a character"),
    ("t" * 8001 + " view", "line 1: the token has a character that no bearer token has, or is too long"),
    ("t0ken view sh\u00f6p", "line 1: a pattern has a character"),
    ("t0ken view ,", "line 1: the patterns have no word"),
    ("t0ken view " + "x" * 254, "line 1: a pattern has a character that no hostname has, or is too long"),
    ("t0ken view *.shop\nt0ken operate", "line 2: the token is there twice"),
    ("\n".join(f"t{i} view" for i in range(1025)), "line 1025: too many tokens"),
    ("#" * (256 * 1024 + 1), "has more than 262144 bytes"),
])
def test_a_line_that_is_wrong_is_named_without_the_token(tmp_path, line, why):
    done = start(tmp_path, [line])
    assert done.returncode == 2 and why in done.stderr and "API_TOKEN_FILE" in done.stderr, done.stderr
    assert "t0k" not in done.stderr and "xxx" not in done.stderr


@pytest.mark.parametrize("variable, value, why", [
    ("API_ORIGINS", "*", "no origin"), ("API_ORIGINS", "site.example", "no origin"), ("API_ORIGINS", "https://site.example/", "no origin"),
    ("API_ORIGINS", "https://*.example", "no origin"), ("API_ORIGINS", "null", "no origin"), ("API_HOSTS", "logs.example:443", "no name of a host"),
    ("API_HOSTS", "http://logs.example", "no name of a host"), ("API_PORT", "65536", "API_PORT")])
def test_a_value_that_is_wrong_is_named(tmp_path, variable, value, why):
    done = start(tmp_path, [f"{VIEW} view"], **{variable: value})
    assert done.returncode == 2 and variable in done.stderr and why in done.stderr, done.stderr


# --- who asks ----------------------------------------------------------------------------------------------------------------

def test_without_a_token_each_page_says_the_same(served):
    d, api, _ = served()
    for wrong in (None, "guess", SHOP[:-1], SHOP + "x", SHOP.upper(), "#", "view", "sh0p-0nly view"):
        answers = [api.ask(path, wrong) for path in PAGES]
        assert {s for s, _, _ in answers} == {401} and len({t for _, _, t in answers}) == 1, wrong
        assert answers[0][1]["www-authenticate"] == "Bearer" and not answers[0][1]["set-cookie"]
    for value in ("Bearer", "Bearer ", "Basic " + SHOP, SHOP, f"Bearer {SHOP}, Bearer {VIEW}", f"Bearer {SHOP} {VIEW}", f"BearerX{SHOP}", "Bearer \xff",
                  "Bearer " + "x" * 9000):
        assert api.ask("/v1/streams", Authorization=value)[0] == 401, value
    for value in (f"bearer {SHOP}", f"BEARER {SHOP}", f"Bearer   {SHOP}"):
        assert api.ask("/v1/streams", Authorization=value)[0] == 200, value
    twice = f"GET /v1/streams HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SHOP}\r\nAuthorization: Bearer {VIEW}\r\nConnection: close\r\n\r\n"
    assert b" 400 " in api.raw(twice.encode()).splitlines()[0]
    assert api.ask("/v1/nosuch", VIEW)[0] == 404 and api.ask("/metrics", VIEW)[0] == 404
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "OPTIONS"):
        assert api.ask("/v1/streams", VIEW, method)[0] in (405, 400), method
    status, headers, text = api.ask("/v1/streams", VIEW, "HEAD")
    assert (status, text) == (200, "") and headers["x-content-type-options"] == "nosniff"


def test_the_other_ports_do_not_serve_it(served):
    d, _, _ = served()
    assert d.get("/v1/streams")[0] == 404 and d.get("/v1/tail")[0] == 404


def names(text):
    return {json.loads(line)["name"] for line in text.splitlines()}


def test_patterns_say_what_is_shown(served, node, tail, oracle):
    """Lines, streams and drains of what the token may see; the rest is as if it did not exist, whatever is asked for."""
    d, api, (web, till) = served((*TOKENS, "ex4ct view web.shop", "n0thing view *.nosuch"))
    source = oracle.source("web")
    t, whole = tail(api, SHOP), tail(api, VIEW)
    assert t.status == whole.status == 200
    for _ in range(10):
        till.write([b"another secret"] * 20)
        web.write(source.take(100))
    oracle.check(t.wait(1000, WAIT).messages(), ["web"]).assert_exact()
    whole.wait(1200, WAIT)
    assert {e["namespace"] for e in t.events()} == {"shop"} and {e["namespace"] for e in whole.events()} == {"shop", "bank"}
    assert names(api.ask("/v1/streams", SHOP)[2]) == names(api.ask("/v1/streams", "ex4ct")[2]) == {"web.shop"}
    assert names(api.ask("/v1/streams", VIEW)[2]) == {"web.shop", "till.bank"}
    assert api.ask("/v1/streams", "n0thing")[:3:2] == (200, "")
    assert api.ask("/v1/streams?namespace=bank", SHOP)[2] == ""
    hidden, missing = ([(path, api.ask(f"/v1/tail?follow=false&{path}", SHOP)[::2]) for path in paths] for paths in (
        ("namespace=bank", "pod=till-7d9c8b6f5d-bcdfg", "name=till", "workload=till", "hostname=till.bank", "namespace=bank&since=start&lines=3"),
        ("namespace=nosuch", "pod=nosuch", "name=nosuch", "workload=nosuch", "hostname=nosuch", "namespace=nosuch&since=start&lines=3")))
    assert {a for _, a in hidden} == {a for _, a in missing} == {(403, "no log that this token may see fits that\n")}
    assert api.ask("/v1/tail?namespace=nosuch", VIEW)[0] == 404
    # with the position of another
    events = tail(api, VIEW, headers={"Accept": "text/event-stream"}, since="start", name="till")
    events.wait(6, WAIT)
    last = next(line[4:].decode() for line in events.lines if line.startswith(b"id: "))
    answer = api.ask("/v1/tail?follow=false", SHOP, Accept="text/event-stream", Last_Event_ID=last)
    assert answer[0] == 200 and "secret" not in answer[2]
    # a pod that comes later
    t = tail(api, SHOP, wait="true", since="start")
    node.container("vault-0", "bank").write([b"a third secret"])
    web.write(source.take(10))
    t.wait(1010, WAIT)
    assert not any("secret" in e["message"] for e in t.events())


def test_roles_and_drains(served):
    """The operator's drains are for who may see everything, and why one fails is for who operates."""
    d, api, _ = served(args=["--drain", "*=syslog+tcp://127.0.0.1:1"])
    wait_for(lambda: "refused" in api.ask("/v1/drains", OPERATOR)[2], WAIT, "a drain that fails")
    rows = {token: [json.loads(line) for line in api.ask("/v1/drains", token)[2].splitlines()] for token in (VIEW, SHOP, OPERATOR)}
    assert len(rows[VIEW]) == len(rows[OPERATOR]) == 2 and rows[SHOP] == []
    assert all("last_error" in r and "connects" in r["counters"] for r in rows[OPERATOR])
    for r in rows[VIEW]:
        assert "last_error" not in r and not {"connects", "retries", "disconnects"} & set(r["counters"]), r
        assert r["state"] in ("open", "idle", "failing") and {"lag_bytes", "seconds_to_loss", "asked_by"} <= set(r)
    assert api.ask("/v1/drains?nosuch=1", VIEW)[0] == 400


# --- Host and Origin ---------------------------------------------------------------------------------------------------------

HOSTS = [("127.0.0.1", 200), ("127.0.0.1:9005", 200), ("[::1]", 200), ("[::1]:9005", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("node7", 200),
         ("logtrain.logging.svc", 200), ("logtrain.logging.svc.cluster.local:9005", 200), ("Logs.Example", 200), ("a.logs.example", 200),
         ("evil.example", 403), ("127.0.0.1.evil.example", 403), ("localhost.evil.example", 403), ("logs.example.evil.example", 403),
         ("svc.evil.example", 403), ("xlogs.example.", 403), ("127.0.0.1.", 403), ("", 403), ("logs.example@evil.example", 400), ("evil example", 400),
         ("a\x01b", 400), ("localhost/..", 400)]


def test_a_host_of_another_is_refused(served):
    """A page whose name leads to this server's address for a while (DNS rebinding) gets nothing."""
    _, api, _ = served(env={"API_HOSTS": "logs.example, *.logs.example"})
    for host, status in HOSTS:
        answer = api.raw(f"GET /v1/streams HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {VIEW}\r\nConnection: close\r\n\r\n".encode())
        assert int(answer.split()[1]) == status, (host, answer)
    assert b" 403 " in api.raw(f"GET /v1/streams HTTP/1.0\r\nAuthorization: Bearer {VIEW}\r\n\r\n".encode()).splitlines()[0]


def test_pages_of_other_origins_are_refused(served):
    _, api, _ = served(env={"API_ORIGINS": "https://site.example http://other.example:8080"})
    here = f"localhost:{api.port}"

    def ask(origin, method="GET", token=VIEW):
        return api.ask("/v1/streams", token, method, Host=here, Origin=origin)
    for origin in (f"http://{here}", f"https://{here}"):
        status, headers, _ = ask(origin)
        assert status == 200 and headers["access-control-allow-origin"] is None
    for origin in ("https://site.example", "http://other.example:8080", "HTTPS://SITE.EXAMPLE"):
        status, headers, _ = ask(origin)
        assert status == 200 and headers["access-control-allow-origin"] == origin and headers["vary"] == "Origin"
        assert headers["access-control-allow-credentials"] is None
        assert ask(origin, token=None)[0] == 401
        status, headers, _ = ask(origin, "OPTIONS", token=None)
        assert status == 200 and headers["access-control-allow-headers"] == "authorization, last-event-id"
    for origin in ("null", "*", "https://evil.example", "http://site.example", "https://site.example:8443", "https://site.example.evil.example",
                   "https://xsite.example", "http://other.example", "http://localhost", f"http://{here}.evil.example", f"ftp://{here}", here,
                   f"http://{here}/", f"http://evil.example#{here}", "file://", "https://site.example,https://evil.example"):
        for method in ("GET", "OPTIONS"):
            status, headers, text = ask(origin, method)
            assert status == 403 and headers["access-control-allow-origin"] is None and "origin" in text, origin


# --- TLS ---------------------------------------------------------------------------------------------------------------------

def test_over_tls(served, certs, tail, oracle):
    """Numbered lines of 100 KiB pieces both ways; a plain client and one that does not know the authority get nothing."""
    d, api, (web, _) = served(ca=certs.pem("ca"), env={"API_TLS_CERT_PEM_FILE": certs.pem("good"), "API_TLS_KEY_PEM_FILE": certs.key("good")})
    source = oracle.source("web")
    t = tail(api, SHOP, lossless="true")
    for _ in range(20):
        web.write(source.take(500))
    oracle.check(t.wait(10000, WAIT).messages(), ["web"]).assert_exact()
    t = tail(api, SHOP, follow="false").wait_end(WAIT)
    assert t.whole
    oracle.check(t.messages(), ["web"]).assert_exact()
    assert names(api.ask("/v1/streams", VIEW)[2]) == {"web.shop", "till.bank"}
    plain = Api(d)
    with pytest.raises(OSError):
        assert not plain.ask("/v1/streams", VIEW)
    with pytest.raises(OSError):
        Api(d, ca=certs.pem("otherca")).ask("/v1/streams", VIEW)
    assert api.ask("/v1/streams", VIEW)[0] == 200


# --- too many, and no longer ---------------------------------------------------------------------------------------------------

def test_a_caller_is_a_token(served, tail):
    d, api, _ = served()
    tails = [tail(api, SHOP, namespace="shop") for _ in range(16)]
    assert [t.status for t in tails] == [200] * 16
    more = tail(api, SHOP, namespace="shop")
    assert more.status == 429 and int(more.headers["retry-after"]) > 0
    assert tail(api, VIEW, namespace="shop").status == 200
    tails[0].close()
    wait_for(lambda: tail(api, SHOP, namespace="shop").status == 200, WAIT, "a place")


@pytest.mark.parametrize("how", ["removed", "narrower", "another role", "empty", "gone", "a wrong line"])
def test_a_token_that_is_taken_away_ends_its_tails(served, tail, tmp_path, how):
    """At once for new requests, within a minute for what runs; others go on."""
    d, api, (web, _) = served()
    theirs, others = tail(api, SHOP), tail(api, OPERATOR)
    rest = [line for line in TOKENS if not line.startswith(SHOP)]
    if how == "gone":
        (tmp_path / "tokens").unlink()
    else:
        Api.write(tmp_path, *{"removed": rest, "narrower": [*rest, f"{SHOP} view web.shop"], "another role": [*rest, f"{SHOP} operate *.shop"],
                              "empty": [], "a wrong line": [*rest, f"{SHOP} viewer *.shop"]}[how])
    theirs.wait_end(WAIT)
    assert theirs.whole is False
    if how not in ("narrower", "another role"):
        assert api.ask("/v1/streams", SHOP)[0] == 401
    if how in ("gone", "empty"):
        others.wait_end(WAIT)
        assert d.log_lines("API_TOKEN_FILE is wrong")
    else:
        web.write([b"for who may"])
        assert others.wait(1, WAIT).messages()
    Api.write(tmp_path, *TOKENS, "n3w-token view")
    wait_for(lambda: api.ask("/v1/streams", "n3w-token")[0] == 200, WAIT, "the new token to be known")


# --- Kubernetes --------------------------------------------------------------------------------------------------------------

@pytest.fixture
def cluster(node, api, kube, tmp_path, closing):
    def start(**env):
        api.users |= {"anns.token": {"username": "ann"}, "bobs.token": {"username": "bob"}, "ops.token": {"username": "op"}}
        api.readers |= {("ann", ""), ("ann", "shop"), ("bob", "shop")}
        api.operators |= {("op", "logging")}
        containers = {}
        for name, namespace in (("web", "shop"), ("till", "bank")):
            containers[name] = c = node.container(f"{name}-7d9c8b6f5d-bcdfg", namespace)
            api.workload(c, name)
            c.write([b"a line of %s" % name.encode()])
        d = kube(routes=[("*", "null://")], env={**Api.env(tmp_path), "API_KUBERNETES_AUTH": "true", "POD_NAMESPACE": "logging", **env})
        return d, Api(d), containers
    return start


def test_kubernetes_decides(cluster, tail):
    """Lines for who may get pods/log, in the namespace or in all; how drains fail for who may update our DaemonSet's namespace."""
    d, server, _ = cluster()
    wait_for(lambda: len(names(server.ask("/v1/streams", "anns.token")[2])) == 2, WAIT, "both streams to have a name")
    for path in ("/v1/streams", "/v1/tail?follow=false"):
        join = "&" if "?" in path else "?"
        assert server.ask(path, "anns.token")[0] == 200
        assert server.ask(f"{path}{join}namespace=shop", "bobs.token")[0] == 200
        refused = {server.ask(f"{path}{join}{query}", "bobs.token")[::2] for query in (
            "namespace=bank", "namespace=nosuch", "namespace=", "namespace=shop&namespace=bank", "namespace=bank&namespace=shop", "namespace=sh%2A",
            "namespace=shop%00", "pod=web-7d9c8b6f5d-bcdfg", "name=web")} | {server.ask(path, "bobs.token")[::2]}
        assert refused == {(403, "the token's user may not see this\n")}
        assert server.ask(path, "nobodys.token")[0] == 401 and server.ask(path)[0] == 401
    text = server.ask("/v1/tail?follow=false&namespace=shop", "bobs.token")[2]
    assert "a line of web" in text and "till" not in text
    assert server.ask("/v1/tail?follow=false&namespace=shop&pod=till-7d9c8b6f5d-bcdfg", "bobs.token")[0] == 403
    assert "last_error" in server.ask("/v1/drains", "ops.token")[2] and "last_error" not in server.ask("/v1/drains", "anns.token")[2]
    assert server.ask("/v1/streams", "ops.token")[0] == 403, "an operator of ours is no reader of theirs"
    assert server.ask("/v1/drains?namespace=shop", "bobs.token")[0] == 200 and server.ask("/v1/drains", "bobs.token")[0] == 403
    for token in ("anns.token", "bobs.token", "ops.token"):
        assert token not in d.log() + d.ask("/metrics")[1]


@pytest.mark.parametrize("how", ["the token", "the right", "the API"])
def test_what_kubernetes_takes_away_ends_a_tail(cluster, api, tail, tmp_path, how):
    """A token that is revoked, a right that is withdrawn, or an API that does not answer: within API_REVOKE_MS, here by a clock that is set forward."""
    clock = Clock(tmp_path)
    d, server, containers = cluster(**clock.env)
    wait_for(lambda: server.ask("/v1/streams?namespace=shop", "bobs.token")[2], WAIT, "the stream to have a name")
    theirs, others = tail(server, "bobs.token", namespace="shop"), tail(server, "anns.token")
    assert theirs.status == others.status == 200
    if how == "the token":
        del api.users["bobs.token"]
    elif how == "the right":
        api.readers.discard(("bob", "shop"))
    else:
        api.forbidden |= {"tokenreviews"}
    began = time.monotonic()
    clock.step(mono=limits()["ACCESS_CACHE_MS"] / 1000 + 1)
    if how == "the API":
        assert d.metrics()
        clock.step(mono=limits()["API_REVOKE_MS"] / 1000)
    wait_for(lambda: d.metrics() and theirs.whole is False, WAIT, "the tail to end")
    assert time.monotonic() - began < 60 * SLOW
    if how != "the API":
        containers["till"].write([b"still there"])
        assert others.wait(1, WAIT).messages()


def test_tokens_are_never_shown(served, tail):
    d, api, _ = served()
    secret = "cnry" + secrets.token_hex(12)
    d.secrets.append(secret)
    for path in PAGES:
        assert secret not in "".join(map(str, api.ask(path, secret)))
        for token in (VIEW, OPERATOR):
            if "tail" not in path:
                assert token not in "".join(map(str, api.ask(path, token)))
    d.check_canaries()
