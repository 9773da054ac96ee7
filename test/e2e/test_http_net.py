"""HTTP drains with a failing network: refused, silent, reset in the middle of a request, slow (D01 to D04), and names that fail
to resolve (D23)."""

import contextlib
import select
import socket
import time

import pytest
from lib.daemon import SANITIZED, SILENCE_S, SLOW
from lib.http_peer import Http
from lib.node import Writer
from lib.peer import Mode, NEVER_READ, NORMAL, ONE_BYTE, same_port
from lib.wait import stays, wait_for

NDJSON = "batch=ndjson&linger=20ms"
HELD_UP_S = 9  # shorter than the time limit of a lookup or a connect


def named(d, url):
    """The drain with that URL, as /drains shows it; waits until it exists."""
    start = url.split("?")[0].rstrip("/") + "#"
    def find():
        return [r for r in d.drains() if r["name"].startswith(start)]
    return wait_for(find, 10 * SLOW, f"drain {start}")[0]


# --- D01: refused ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("options", ["", NDJSON], ids=["record", "ndjson"])
def test_D01_refused_then_up(node, oracle, daemon, http, https, certs, tls, options):
    web = https() if tls else http()
    web.refuse()
    d = daemon(node, routes=[("*", web.url("&".join(filter(None, ["ca=" + certs.option() if tls else "", options]))))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(50))
    wait_for(lambda: named(d, web.url())["counters"]["connect_errors"] >= 3, 20 * SLOW, "three tries")
    c.write(source.take(50))
    one = wait_for(lambda: next((r for r in [named(d, web.url())] if r["state"] == "waiting"), None), 20 * SLOW, "a pause")
    assert "refused" in one["last_error"]
    assert one["counters"]["records_out"] == 0
    wait_for(lambda: named(d, web.url())["lag_bytes"] == c.live.stat().st_size, 5 * SLOW, "the cursor where it began")
    assert 0 <= one["retry_in_seconds"] <= 60
    web.resume()
    oracle.wait_complete(web, 30 * SLOW).assert_exact()
    wait_for(lambda: named(d, web.url())["lag_bytes"] == 0, 5 * SLOW, "everything confirmed")
    assert len(d.log_lines("drain failing")) == len(d.log_lines("drain recovered")) == 1


def test_D01_backoff_is_jittered_and_capped(node, oracle, daemon, http):
    """Twenty dead hosts are not all tried at the same time."""
    web = http()
    web.refuse()
    d = daemon(node, routes=[("*", web.url(host=f"127.0.1.{i}")) for i in range(1, 21)])
    node.container("web-0").write(oracle.source("a").take(1))
    wait_for(lambda: len(d.drains()) == 20 and all(r["counters"]["connect_errors"] >= 3 for r in d.drains()), 20 * SLOW,
             "three tries of each")
    waits = sorted(r["retry_in_seconds"] for r in d.drains())
    assert waits[-1] - waits[0] > 0.5 and waits[-1] < 60
    assert len(d.log_lines("drain failing")) == 20


# --- D02: accepts, never reads ---------------------------------------------------------------------------------------

def test_D02_never_reads(node, oracle, daemon, http):
    """The time limit ends the request, its lines are sent again, and memory does not grow."""
    web = http(mode=NEVER_READ, rcvbuf=4096)
    d = daemon(node, routes=[("*", web.url(f"batch=ndjson&timeout={SILENCE_S}s"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(20000))
    wait_for(lambda: named(d, web.url())["counters"]["retries"] >= 2, 20 * SLOW, "two timeouts")
    assert "did not answer" in named(d, web.url())["last_error"] or "timed out" in named(d, web.url())["last_error"]
    assert named(d, web.url())["lag_bytes"] == c.live.stat().st_size
    if not SANITIZED:
        assert d.rss_peak() < 20 << 20
    web.mode = NORMAL
    oracle.wait_complete(web, 30 * SLOW).assert_exact()


# --- D06: no answer --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_D06_blackhole(node, oracle, daemon, http, https, certs, tls):
    """SYNs are not answered. Each attempt ends at its time limit, and leftovers do not disturb the next one."""
    web = https() if tls else http()
    web.blackhole()
    d = daemon(node, routes=[("*", web.url(f"batch=ndjson&timeout={SILENCE_S}s&ca={certs.option()}", path=f"/{i}")) for i in range(8)])
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: len(d.drains()) == 8 and sum(r["counters"]["connect_errors"] for r in d.drains()) >= 12, 60 * SLOW,
             "a try of each, and of the host after that")
    assert all("timed out" in r["last_error"] for r in d.drains())
    web.resume()
    wait_for(lambda: web.count() == 80, 30 * SLOW, "all of it, eight times")


def test_D06_stop_while_connecting(node, oracle, daemon, http):
    web = http()
    web.blackhole()
    d = daemon(node, routes=[("*", web.url(path=f"/{i}")) for i in range(8)], env={"STOP_GRACE": "2s"})
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: sum("socket:" in fd for fd in d.fds()) >= 8, 10 * SLOW, "connects under way")
    d.stop(timeout=2 + 10 * SLOW)


# --- D03: reset at every byte ----------------------------------------------------------------------------------------

@pytest.mark.slow
def test_D03_reset_at_every_byte(node, oracle, daemon, http):
    """One drain for each byte of a request: the connection of the n-th drain is reset after n bytes. Then each sends its request
    as a whole: nothing lost, nothing twice, no partial request."""
    size = 440
    web = http(script=lambda index: Mode(reset_after=index) if index < size else NORMAL)
    daemon(node, routes=[("*", web.url(NDJSON, path=f"/{i}")) for i in range(size)])
    node.container("web-0").write(oracle.source("a").take(2))
    taken = lambda: sum(len(r.records()) for r in web.accepted())  # noqa: E731
    wait_for(lambda: taken() >= 2 * size, 60 * SLOW, lambda: f"all lines; {taken()} of {2 * size}")
    whole = max(int(r.headers["content-length"]) for r in web.requests) + 150
    assert whole > size, "the resets reach into the body"
    by_path = {}
    for r in web.accepted():
        by_path.setdefault(r.target, []).extend(r.messages())
    assert len(by_path) == size
    for messages in by_path.values():
        oracle.check(messages).assert_exact()


# --- D04: one byte a second ------------------------------------------------------------------------------------------

def test_D04_one_byte_a_second(node, oracle, daemon, http):
    """It affects that drain only, and costs no CPU."""
    slow, good = http(mode=ONE_BYTE, rcvbuf=4096), http()
    d = daemon(node, routes=[("*", slow.url("batch=ndjson&timeout=20s")), ("*", good.url(NDJSON))], env={"STOP_GRACE": "1s"})
    c, source = node.container("web-0"), oracle.source("a")
    with Writer(c, source, rate=5000, count=15000) as writer:
        writer.join()
        oracle.wait_complete(good, 10 * SLOW).assert_exact()
    wait_for(lambda: slow.received() >= 1, 5, "the first byte")
    before = d.cpu()
    stays(lambda: slow.received() < 100, 3, "it reads slowly")
    if not SANITIZED:
        assert d.cpu() - before < 0.1
    assert named(d, good.url())["lag_bytes"] == 0


# --- D23: names ------------------------------------------------------------------------------------------------------

def resolving(node, daemon, dns, routes):
    return daemon(node, routes=routes, env={"DNS_SERVERS": dns.address})


@pytest.mark.parametrize("answer", ["nxdomain", "servfail", None, []], ids=["nxdomain", "servfail", "silence", "no address"])
def test_D23_name_that_does_not_resolve(node, oracle, daemon, http, dns, answer):
    """The drain's error names the host, and another drain is not affected."""
    good = http()
    dns.set("logs.test", answer)
    d = resolving(node, daemon, dns, [("*", f"http://logs.test:{good.port}/x?{NDJSON}"), ("*", good.url(NDJSON))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    began = time.monotonic()
    oracle.wait_complete(good, 10 * SLOW).assert_exact()
    assert time.monotonic() - began < HELD_UP_S
    bad = wait_for(lambda: [r for r in d.drains() if "logs.test" in r["name"] and r["last_error"]], 15 * SLOW, "the error")[0]
    assert f"logs.test:{good.port}" in bad["last_error"]
    assert bad["lag_bytes"] == c.live.stat().st_size
    dns.set("logs.test", ["127.0.0.1"])
    wait_for(lambda: good.count() == 200, 30 * SLOW, "both drains to have everything")


def test_D23_cname_loop_and_a_thousand_addresses(node, oracle, daemon, http, dns):
    web = http()
    dns.set("loop.test", "loop.test")
    dns.set("many.test", ["127.0.0.1"] * 1000)  # over TCP: the answer does not fit into a datagram
    d = resolving(node, daemon, dns, [("*", f"http://{n}.test:{web.port}/{n}?{NDJSON}") for n in ("loop", "many")])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    assert {r.target for r in web.requests} == {"/many"}
    bad = wait_for(lambda: [r for r in d.drains() if "loop.test" in r["name"] and r["last_error"]], 15 * SLOW, "the error")[0]
    assert "loop.test" in bad["last_error"]


def test_D23_address_changes(node, oracle, daemon, dns, closing):
    """The name has a new address: when the old receiver goes away, the next connection goes to the new one."""
    first, second = same_port(lambda address, port: closing(Http(address=address, port=port)), "127.0.0.1", "127.0.0.2")
    dns.set("logs.test", ["127.0.0.1"])
    resolving(node, daemon, dns, [("*", f"http://logs.test:{first.port}/?{NDJSON}")])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(30))
    wait_for(lambda: first.count() == 30, 10 * SLOW, "the first receiver to have them")
    dns.set("logs.test", ["127.0.0.2"])
    first.refuse(end="fin")
    c.write(source.take(30))
    wait_for(lambda: second.count() == 30, 20 * SLOW, "the second receiver to have the rest")
    oracle.check(first.messages() + second.messages()).assert_exact()


@contextlib.contextmanager
def blackhole_v6(port):
    """A SYN to [::1]:port is not answered."""
    held = [socket.socket(socket.AF_INET6)]
    held[0].bind(("::1", port))
    held[0].listen(0)
    unanswered = 0
    while unanswered < 2:
        held.append(socket.socket(socket.AF_INET6))
        held[-1].setblocking(False)
        held[-1].connect_ex(("::1", port))
        unanswered = 0 if select.select([], [held[-1]], [], 0.2)[1] else unanswered + 1
    yield
    for sock in held:
        sock.close()


def have_v6():
    with socket.socket(socket.AF_INET6) as sock:
        with contextlib.suppress(OSError):
            sock.bind(("::1", 0))
            return True
    return False


@pytest.mark.skipif(not have_v6(), reason="no ::1 here")
def test_D23_dead_ipv6_beside_a_live_ipv4(node, oracle, daemon, http, dns):
    web = http()
    dns.set("logs.test", ["::1", "127.0.0.1"])
    with blackhole_v6(web.port):
        d = resolving(node, daemon, dns, [("*", f"http://logs.test:{web.port}/?batch=ndjson&linger=0s")])
        node.container("web-0").write(oracle.source("a").take(30))
        began = time.monotonic()
        oracle.wait_complete(web, 20 * SLOW).assert_exact()
        assert time.monotonic() - began < HELD_UP_S, "250 ms, and what else there is to do"
        assert d.drains()[0]["counters"]["retries"] == 0


def test_D23_silent_name_servers_delay_no_other_drain(node, oracle, daemon, http, dns):
    """Two hundred names without an answer, and one drain that works."""
    web = http()
    for i in range(200):
        dns.set(f"dead{i}.test", None)
    d = resolving(node, daemon, dns, [*[("*", f"http://dead{i}.test/") for i in range(200)], ("*", web.url(NDJSON))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(1))
    wait_for(lambda: len({n for n, _ in list(dns.asked)}) >= 100, 20 * SLOW, "a hundred questions")
    began = time.monotonic()
    c.write(source.take(1000))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    assert time.monotonic() - began < HELD_UP_S
    assert d.get("/healthz")[0] == 200
