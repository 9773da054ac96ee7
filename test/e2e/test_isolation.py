"""One drain costs another nothing (D26, X01). Nobody learns a drain's credentials (X05). bench/isolation.py measures how much
throughput the healthy drain keeps. Here: it makes progress, and what a thousand dead drains may use: attempts, memory,
descriptors, CPU."""

import base64
import os
import re
import time

import pytest
from lib.daemon import SANITIZED, SLOW, limits, run
from lib.dead import DeadFarm
from lib.http_peer import Answer
from lib.hung import HungFarm, Narrow
from lib.node import Writer
from lib.redis import redis  # noqa: F401
from lib.wait import Pacer, wait_for
from lib.websocket import websocket  # noqa: F401


def tries(d):
    metrics = d.metrics()
    names = "logtrain_drain_connects_total", "logtrain_drain_connect_errors_total"
    return sum(metrics.get(name) or 0 for name in names)  # none before the first drain


@pytest.mark.slow
def test_D26_a_thousand_dead_drains(node, oracle, daemon, closing, syslog_tcp):
    farm = closing(DeadFarm(refused=250, blackhole=250, never_read=250, tls_stall=250))
    good = syslog_tcp()
    d = daemon(node, routes=[*[("*", url) for url in farm.urls], ("*", good.url())])
    c, source = node.container("web-0"), oracle.source("a")
    began = time.monotonic()
    with Writer(c, source, rate=2000) as writer:
        progress = oracle.progress(good)
        # When all are new, it is unknown which one is healthy: it connects within the time that all need.
        paced = (len(farm.urls) - limits()["CONNECTS_BURST"]) / limits()["CONNECTS_PER_SECOND"]
        wait_for(lambda: progress.distinct() > 0, (paced + 2) * SLOW, progress.text)
        for turn in range(12):  # from then on a line is as fast as without the others
            if turn == 6:
                good.end_all("reset")  # and a new connection does not wait behind them
            at = writer.source.written
            wait_for(lambda at=at: writer.source.written > at + 1000, 10, "half a second of lines")
            wanted = writer.source.written
            since = time.monotonic()
            wait_for(lambda n=wanted: progress.distinct() >= n, 5 * SLOW, progress.text)
            assert time.monotonic() - since < 60, "it is in the queue of the others"
        writer.stop()
    oracle.wait_complete(good, 5).assert_exact(dup_max=source.written)
    took = time.monotonic() - began
    assert tries(d) <= len(farm.urls) * (took + 1), f"at most a try per second and drain; {tries(d):g} in {took:g} s"
    assert len(d.drains()) == len(farm.urls) + 1
    assert len(good.connections) == 2 and len(d.log_lines(f"drain failing .*:{good.port}#")) == 1
    fds = len(d.fds())
    assert fds <= len(farm.urls) + 50
    cpu, since, before = d.cpu(), time.monotonic(), tries(d)
    pacer = Pacer(0.2)  # five seconds in which no state changes
    assert pacer.due(1)
    share = (d.cpu() - cpu) / (time.monotonic() - since)
    assert share <= 0.05 * SLOW * SLOW, f"{share:.1%} of a CPU for waiting"
    assert tries(d) - before <= len(farm.urls) * 5
    assert len(d.fds()) <= max(fds, 800) + 20, "descriptors of connections that failed are given back"
    if not SANITIZED:
        bound = d.metric("logtrain_memory_bound_bytes")
        assert d.rss_peak() < bound, f"{d.rss_peak()} of {bound:g} bytes"
    c.write(source.take(10))
    oracle.wait_complete(good, 5)


def test_X01_with_and_without(node, oracle, daemon, closing, syslog_tcp):
    """The same load twice, without and with 100 dead drains (a light bench/isolation.py)."""
    def once(urls, name):
        good = syslog_tcp()
        d = daemon(node, routes=[*[("*", url) for url in urls], ("*", good.url())])
        c, source = node.container(name), oracle.source(name)
        c.write(source.take(100))
        oracle.wait_complete(good, 20, streams=[name])
        lines = source.take(100_000)
        began = time.monotonic()
        c.write(lines)
        oracle.wait_complete(good, 30, streams=[name]).assert_exact()
        took = time.monotonic() - began
        d.stop()
        node.pods[("default", name)].delete()
        return took

    farm = closing(DeadFarm(25, 25, 25, 25))
    without = once([], "web-0")
    took = once(farm.urls, "web-1")
    assert took < 5 * without + 5 * SLOW, f"{took:.2f} s with dead drains, {without:.2f} s without"


# --- X05 -------------------------------------------------------------------------------------------------------------

def test_X05_credentials_show_nowhere(node, oracle, daemon, http, syslog_tcp, syslog_tls, certs, dns):
    """In URLs that work, that are refused by the server, by nobody, by name, by certificate, by the parser, and while they
    change."""
    d = daemon(node, routes=True, env={"LOG_LEVEL": "debug", "LOGTRAIN_TRACE": "drain,route", "DNS_SERVERS": dns.address})
    good, denied, broken, gone = http(), http(default=401), http(default=Answer(raw=b"HTTP/1.1 bad\r\n\r\n")), http()
    redirect = http(default=Answer(302, {"Location": "http://127.0.0.1:1/?token=x"}))
    gone.refuse()
    tls, stalled = syslog_tls("expired"), syslog_tcp()

    def user():
        return f"{d.secret()}:{d.secret()}"

    def query(options="batch=ndjson"):
        return f"{options}&api_key={d.secret()}&X-Token={d.secret()}"

    paths = iter(range(100))
    urls = [peer.url(query(), path=f"/hook{next(paths)}/{d.secret()}", userinfo=user())
            for peer in (good, denied, broken, gone, redirect)]
    urls += [f"https://{user()}@nowhere.example.test/{d.secret()}?{query()}",
             tls.url(f"ca={certs.option()}"), f"https://{user()}@localhost:{stalled.port}/?{query()}"]
    refused = [f"syslog+tcp://{user()}@localhost/", f"redos://{user()}@localhost/{d.secret()}",
               f"http://{user()}@localhost:99999/{d.secret()}", f"http://{user()}@local host/",
               f"https://localhost/?insecure={d.secret()}", f"https://localhost/?timeout={d.secret()}&key={d.secret()}",
               f"https://{d.secret()}@a@b#@c/", f"syslog+tls://localhost/?ca={d.secret()}", f"http://localhost/?linger=1h&k={d.secret()}"]
    d.set_routes([("*", *urls), *[("*", url) for url in refused]])
    d.hup()
    c = node.container("web-0")
    c.write(oracle.source("a").take(50))
    oracle.wait_complete(good, 20).assert_exact()
    wait_for(lambda: sum(bool(row["last_error"]) for row in d.drains()) >= len(urls) - 1, 20 * SLOW,
             lambda: f"an error of each that cannot work: {d.drains()}")
    assert len(d.log_lines("route refused")) >= len(refused)
    d.check_canaries()
    d.set_routes([("*", urls[0])])  # the others are removed
    d.hup()
    wait_for(lambda: len(d.log_lines("routes read")) >= 3, 10, "the new routes")
    d.stop()  # scans once more
    check_command_line(d, urls, refused)


def check_command_line(d, urls, refused):
    for url in urls + refused:
        for done in (run("--check", url), run("--drain", f"*={url}", "--limits", env={"HTTP_PORT": "0"})):
            shown = done.stdout + done.stderr
            assert not any(secret in shown for secret in d.secrets), shown


def test_X05_the_command_line_is_wiped(node, oracle, daemon, http):
    """--drain with a password: not in /proc/PID/cmdline once it runs, nor in any output."""
    web = http()
    secret = "cnry" + "5f" * 12
    d = daemon(node, drains=[("*", web.url("batch=ndjson", userinfo=f"user:{secret}"))])
    d.secrets.append(secret)
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(web, 20).assert_exact()
    assert re.match("Basic ", web.requests[0].headers["authorization"])
    d.check_canaries()


def test_X05_state_holds_no_credential(node, oracle, daemon, http):
    """The state names drains, but not by their URLs."""
    web = http()
    d = daemon(node, routes=True)
    d.set_routes([("*", web.url("batch=ndjson&api_key=" + d.secret(), userinfo=f"user:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(web, 20).assert_exact()
    d.stop()
    kept = [p for p in (d.tmp / "state").rglob("*") if p.is_file()]
    assert kept and not any(secret.encode() in p.read_bytes() for p in kept for secret in d.secrets)


# --- L22: drains that nobody can reach -------------------------------------------------------------------------------

def failing(d):
    return sum(row["state"] == "waiting" and bool(row["last_error"]) for row in d.drains())


def test_L22_drains_of_one_host_share_their_tries(node, oracle, daemon, http):
    """500 drains of one receiver that is down: one tries for all; when it is back, all get what they missed."""
    web = http()
    web.refuse()
    d = daemon(node, routes=[("*", web.url("batch=ndjson", path=f"/{i}")) for i in range(500)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(10))
    wait_for(lambda: failing(d) == 500, 60 * SLOW, lambda: f"{failing(d)} of 500 say why they wait")
    began, before = time.monotonic(), tries(d)
    wait_for(lambda: tries(d) >= before + 4, 60 * SLOW, "four turns")
    turns = (time.monotonic() - began) * 1000 / limits()["BACKOFF_BASE_MS"]
    assert tries(d) - before <= turns + 1, "one try in a turn"
    web.resume()
    wait_for(lambda: web.count() == 5000, 120 * SLOW, lambda: f"{web.count()} lines")


def test_L22_drains_of_one_name_share_a_look_up(node, oracle, daemon, http, dns):
    """300 drains with a name that does not exist: one lookup serves all; when the name exists, all get their lines."""
    web = http()
    urls = [web.url("batch=ndjson", path=f"/{i}", host="later.example.test") for i in range(200)]
    urls += [f"http://later.example.test:{10_000 + i}/?batch=ndjson" for i in range(100)]
    d = daemon(node, routes=[("*", url) for url in urls], env={"DNS_SERVERS": dns.address})
    c = node.container("web-0")
    c.write(oracle.source("a").take(10))
    wait_for(lambda: failing(d) == 300, 60 * SLOW, lambda: f"{failing(d)} of 300 say why they wait")
    began, before = time.monotonic(), len(dns.asked)
    assert before <= 50, "A and AAAA, at start and in some turns since"
    wait_for(lambda: len(dns.asked) >= before + 6, 60 * SLOW, "three turns")
    turns = (time.monotonic() - began) * 1000 / limits()["BACKOFF_BASE_MS"]
    assert len(dns.asked) - before <= 4 * (turns + 1), "one look-up in a turn, each name server asked twice at most"
    dns.set("later.example.test", ["127.0.0.1"])
    wait_for(lambda: web.count() == 2000, 120 * SLOW, lambda: f"{web.count()} lines")


def test_L22_a_drain_with_a_fault_of_its_own(node, oracle, daemon, certs, syslog_tls):
    """30 drains that trust another CA: the drain with the right one, on the same port, gets its turn."""
    good = syslog_tls()
    urls = [good.url(f"timeout={31 + i}s") for i in range(30)]
    d = daemon(node, routes=True)
    d.set_routes([("*", url) for url in urls])
    d.hup()
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(10))
    wait_for(lambda: failing(d) == 30, 60 * SLOW, lambda: f"{failing(d)} of 30 fail")
    d.set_routes([("*", url) for url in [*urls, good.url(f"ca={certs.option()}")]])
    d.hup()
    wait_for(lambda: len(d.drains()) == 31, 20 * SLOW, "all routes")
    c.write(source.take(10))
    wait_for(lambda: good.count() >= 10, 60 * SLOW, "the lines of the one that is right")


def test_L22_a_bad_port_does_not_delay_a_good_one(node, oracle, daemon, closing, http):
    """The first attempt at the good port does not wait, however many ports of the host are known to be dead."""
    farm = closing(DeadFarm(refused=300))
    d = daemon(node, routes=True)
    dead = [("*", url) for url in farm.urls]
    d.set_routes(dead)
    d.hup()
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(10))
    wait_for(lambda: sum(row["counters"]["connect_errors"] for row in d.drains()) >= 300, 60 * SLOW, "a try of each")
    good = http()
    d.set_routes([*dead, ("*", good.url("batch=ndjson"))])
    d.hup()
    wait_for(lambda: len(d.drains()) == 301, 20 * SLOW, "all routes")
    c.write(source.take(10))
    wait_for(lambda: good.count() >= 10, 30 * SLOW, "the good port's lines")


@pytest.mark.slow
def test_L22_a_dead_drain_costs_next_to_nothing(node, oracle, daemon, syslog_tcp):
    """3,000 hosts that refuse: memory per drain, and CPU while nothing is written."""
    if SANITIZED:
        pytest.skip("memory and speed under a sanitizer say nothing")
    good = syslog_tcp()
    d = daemon(node, routes=[("*", good.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(10))
    oracle.wait_complete(good, 20)
    empty = d.rss()
    d.stop()
    urls = [f"http://127.1.{i // 250}.{1 + i % 250}:1/?batch=ndjson" for i in range(3000)]
    d = daemon(node, routes=[*[("*", url) for url in urls], ("*", good.url())])
    c.write(source.take(10))
    wait_for(lambda: tries(d) >= len(urls), 60 * SLOW, "a try of each")
    each = (d.rss() - empty) / len(urls)
    cpu, since = d.cpu(), time.monotonic()
    pacer = Pacer(0.2)
    assert pacer.due(1)
    share = (d.cpu() - cpu) / (time.monotonic() - since)
    print(f"{each:.0f} bytes for each dead drain, {share:.1%} of a CPU")
    assert each < 6144 and share < 0.03


# --- T3: receivers that were healthy and then hang -------------------------------------------------------------------

EVIL_PODS = 40


def evil_pods(node):
    """Enough streams with enough data to keep all connections of a few drains busy with large batches. Hardly compressible."""
    lines = [base64.b64encode(os.urandom(750)) for _ in range(500)]
    for i in range(EVIL_PODS):
        node.container(f"evil-{i}", namespace="evil").write(lines)


def wait_hung(farm):
    wait_for(lambda: farm.hung == len(farm.ports), 60 * SLOW, lambda: f"{farm.hung} receivers hung: {farm.requests}")


@pytest.mark.parametrize("then", ["silent", "deaf", "half", "drip"])
def test_T03_a_neighbour_keeps_its_batches(node, oracle, daemon, closing, http, then):
    """Four receivers that answer well and then hang: the neighbour still sends large requests, not many small ones."""
    farm = closing(HungFarm(4, answers=20, then=then, rcvbuf=4096 if then == "deaf" else None))
    web = http(default=Answer(delay=0.03))
    d = daemon(node, routes=[("*.default", web.url("batch=ndjson")), *[("*.evil", url) for url in farm.urls()]])
    c, source = node.container("web-0"), oracle.source("a", size=1000)
    c.write(source.take(100))
    oracle.wait_complete(web, 20 * SLOW)
    evil_pods(node)
    wait_hung(farm)
    before = len(web.requests)
    c.write(source.take(20_000))
    oracle.wait_complete(web, 60 * SLOW).assert_exact()
    assert len(web.requests) - before < 80, "20 MB in requests of a MiB, after some that grow"
    wait_for(lambda: d.metric("logtrain_inflight_bytes") < limits()["INFLIGHT_MAX"], 20 * SLOW, "what stands still to be let go")


def test_T03_a_neighbour_keeps_its_connections(node, oracle, daemon, closing, http):
    """The same for a neighbour with one request per record, which needs many at once."""
    farm = closing(HungFarm(4, answers=20))
    web = http(default=Answer(delay=0.03))
    daemon(node, routes=[("*.default", web.url()), *[("*.evil", url) for url in farm.urls()]])
    evil_pods(node)
    wait_hung(farm)
    names = [f"web-{i}" for i in range(20)]
    for name in names:
        node.container(name).write(oracle.source(name).take(30))
    oracle.wait_complete(web, 60 * SLOW, streams=names).assert_exact()
    assert len(web.connections) > 10, "20 streams, 40 connections"


@pytest.mark.parametrize("options", ["compression=gzip&batch=ndjson", "batch=array&timeout=2s", "timeout=2s"])
def test_T03_a_released_body_is_sent_again_whole(node, oracle, daemon, http, options):
    """A receiver accepts a request and does not answer: its body is released, and complete when it is sent again."""
    web = http(answers=[200] * 8 + [Answer(never=True)])
    d = daemon(node, routes=[("*", web.url(options))])
    c, source = node.container("web-0"), oracle.source("a", size=8000)
    wait_for(lambda: len(web.requests) > 8 or c.write(source.take(100)), 20 * SLOW, "the request without an answer")
    wait_for(lambda: d.metric("logtrain_inflight_bytes") < 2 * limits()["REQUEST_BYTES"], 20 * SLOW, "the body to be let go")
    web.end_all("reset")
    oracle.wait_complete(web, 60 * SLOW).assert_exact(dup_max=source.written)


HANGS = [("http", "batch=ndjson&compression=gzip&connections=4"), ("es", "index=x&compression=gzip"), ("redis", ""),
         ("ws", "compression=none"), ("ws", ""), ("syslog", "")]


def wait_settled(d, most):
    """Waits until at most <most> bytes are in flight, and stay so."""
    since = time.monotonic()

    def settled():
        nonlocal since
        if d.metric("logtrain_inflight_bytes") > most:
            since = time.monotonic()
        return time.monotonic() - since > 3
    wait_for(settled, 60 * SLOW, lambda: f"{d.metric('logtrain_inflight_bytes'):g} bytes in flight")


@pytest.mark.slow
@pytest.mark.parametrize("speaks, options", HANGS)
def test_T03_receivers_that_do_not_read_hold_no_memory(node, oracle, daemon, closing, http, speaks, options):
    """Forty receivers of each protocol that were healthy and stop reading: the memory of their drains goes to others."""
    farm = closing(HungFarm(40, answers=8, then="deaf", rcvbuf=4096, speaks=speaks))
    web = http(default=Answer(delay=0.03))
    urls = farm.urls("&".join(filter(None, [options, "timeout=300s"])))
    d = daemon(node, routes=[("*.default", web.url("batch=ndjson")), *[("*.evil", url) for url in urls]])
    c, source = node.container("web-0"), oracle.source("a", size=1000)
    c.write(source.take(100))
    oracle.wait_complete(web, 20 * SLOW)
    evil_pods(node)
    wait_hung(farm)
    wait_settled(d, 5 << 20)  # requests without bodies
    assert not sum(row["counters"]["disconnects"] for row in d.drains()), "not by the kernel's giving up after a minute"
    before = len(web.requests)
    c.write(source.take(20_000))
    oracle.wait_complete(web, 60 * SLOW).assert_exact()
    assert len(web.requests) - before < 80, "20 MB in requests of a MiB, after some that grow"


def check_goes_on(node, oracle, daemon, closing, peer, port, url):
    """A receiver behind small buffers stops in the middle of a message: the rest is released and read again."""
    narrow = closing(Narrow(port))
    d = daemon(node, routes=[("*", url.replace(f":{port}", f":{narrow.port}", 1))])
    logs = [(node.container(f"web-{i}"), oracle.source(f"web-{i}", size=4000, noise=True)) for i in range(40)]

    def write():
        for c, source in logs:
            c.write(source.take(60))
    write()
    oracle.wait_complete(peer, 60 * SLOW)
    for _ in range(2):
        narrow.stop()
        write()
        wait_for(lambda: d.drains()[0]["lag_bytes"] > 4 << 20, 60 * SLOW, lambda: f"{d.drains()[0]}")
        wait_settled(d, 64 << 10)
        narrow.go()
        oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert d.drains()[0]["counters"]["connects"] == 1


@pytest.mark.parametrize("tls", [False, True], ids=["redis", "rediss"])
def test_T03_redis_goes_on_where_it_stood(node, oracle, daemon, closing, redis, certs, tls):
    server = redis(tls=certs if tls else None)
    check_goes_on(node, oracle, daemon, closing, server.list("lines"), server.port, server.url("mode=list&key=lines&timeout=300s"))


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("options", ["compression=none", "compression=gzip"])
def test_T03_a_websocket_goes_on_where_it_stood(node, oracle, daemon, closing, websocket, certs, options, tls):
    peer = websocket(tls=tls)
    options = [options, "timeout=300s", *(["ca=" + certs.option()] if tls else [])]
    check_goes_on(node, oracle, daemon, closing, peer, peer.port, peer.url("&".join(options)))
