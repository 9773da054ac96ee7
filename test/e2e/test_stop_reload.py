"""S11: on SIGTERM, healthy drains get everything they can take, and dead ones are left behind within the grace. SIGHUP: unchanged
routes are not affected, routes that come back continue at their position."""

import signal
import time

import pytest
from lib.daemon import SLOW
from lib.http_peer import Answer
from lib.node import Writer
from lib.peer import NEVER_READ
from lib.wait import wait_for

KINDS = ["tcp", "tls", "http", "ndjson", "array"]


@pytest.fixture
def receiver(syslog_tcp, syslog_tls, http, certs):
    """receiver(kind): (peer, URL); one connection."""
    ca = "ca=" + certs.option()
    make = {
        "tcp": lambda **o: (syslog_tcp(**o), ""),
        "tls": lambda **o: (syslog_tls(**o), ca),
        "http": lambda **o: (http(**o), "connections=1"),
        "ndjson": lambda **o: (http(**o), "batch=ndjson&connections=1"),
        "array": lambda **o: (http(**o), "batch=array&connections=1&compression=gzip"),
    }

    def start(kind, **options):
        peer, wanted = make[kind](**options)
        return peer, peer.url(wanted)
    return start


LONG = {"STOP_GRACE": "90s"}  # none of this should be used up
END_S = 10 * SLOW  # the daemon ends after the grace


def terminate(d, grace):
    """Sends SIGTERM; returns the seconds until the end."""
    began = time.monotonic()
    d.signal(signal.SIGTERM)
    assert d.wait_exit(grace + 60 * SLOW) == 0, d.tail()
    return time.monotonic() - began


# --- S11 -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
def test_S11_healthy_drain_gets_everything(node, oracle, daemon, receiver, kind):
    """The last lines are written just before the signal: not read, not sent, and no event has been received."""
    peer, url = receiver(kind)
    d = daemon(node, routes=[("*", url)], env=LONG)
    pods = [node.container(f"web-{i}") for i in range(3)]
    sources = [oracle.source(c.pod.name) for c in pods]
    for c, source in zip(pods, sources):
        c.write(source.take(200))
    wait_for(lambda: peer.count() > 0, 10 * SLOW, "the first lines")
    for c, source in zip(pods, sources):
        c.write(source.take(400 if kind == "http" else 5000))
    took = terminate(d, 90)
    oracle.check(peer.messages()).assert_exact()
    assert took < 90, "it did not use up its grace"


@pytest.mark.parametrize("kind", ["tcp", "ndjson"])
@pytest.mark.parametrize("attempt", range(4))
def test_S11_a_line_just_before_the_signal(node, oracle, daemon, receiver, kind, attempt):
    """A line that was written before the signal is sent, although its event has not been received yet."""
    peer, url = receiver(kind)
    d = daemon(node, routes=[("*", url)], env=LONG)
    pods = [node.container(f"web-{i}") for i in range(3)]
    writers = [Writer(c, oracle.source(c.pod.name), rate=1500 + 100 * attempt, burst=1) for c in pods]
    wait_for(lambda: peer.count() > 500, 20 * SLOW, "lines")
    for w in writers:
        w.stop()
    terminate(d, 90)
    oracle.check(peer.messages()).assert_exact()


def test_S11_linger_is_cut_short(node, oracle, daemon, http):
    web = http()
    d = daemon(node, routes=[("*", web.url("batch=ndjson&linger=60s"))], env=LONG)
    node.container("web-0").write(oracle.source("a").take(20))
    wait_for(lambda: d.drains() and d.drains()[0]["lag_bytes"], 10 * SLOW, "lines that wait")
    assert terminate(d, 90) < 45
    oracle.check(web.messages()).assert_exact()


def test_S11_answers_are_waited_for(node, oracle, daemon, http):
    """Requests in flight at the signal are not given up: no answer is cut off."""
    web = http(answers=lambda _: Answer(200, delay=1.0))
    d = daemon(node, routes=[("*", web.url(path=f"/{i}")) for i in range(4)], env=LONG)
    node.container("web-0").write(oracle.source("a").take(2))
    wait_for(lambda: len(web.requests) >= 4, 10 * SLOW, "requests under way")
    terminate(d, 90)
    assert len(web.requests) == 8 and web.cut_requests == 0
    assert all(c.ended == "eof" for c in web.connections)


def test_S11_dead_drains_do_not_delay_it(node, oracle, daemon, http, syslog_tcp, receiver):
    """Refused, silent, full, failing: the daemon ends within its grace, and the healthy drains have everything."""
    refused, silent, full, failing = http(), syslog_tcp(), syslog_tcp(mode=NEVER_READ, rcvbuf=4096), http(default=503)
    stuck = http(answers=lambda _: Answer(never=True))
    refused.refuse()
    silent.blackhole()
    good = [receiver(kind) for kind in KINDS]
    d = daemon(node, routes=[("*", p.url()) for p in (refused, silent, full, failing, stuck)] + [("*", url) for _, url in good],
               env={"STOP_GRACE": "15s"})
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(300))
    wait_for(lambda: all(p.count() > 0 for p, _ in good) and len(d.log_lines("drain failing")) >= 2, 20 * SLOW, "all of them at work")
    c.write(source.take(3000))
    assert terminate(d, 15) < 15 + END_S
    for peer, _ in good:
        if peer is not good[KINDS.index("http")][0]:  # three thousand requests, one at a time: as many as fit into the grace
            oracle.check(peer.messages()).assert_exact()
    assert d.log_lines("stopping")


@pytest.mark.parametrize("kind", KINDS)
def test_S11_in_the_middle_of_everything(node, oracle, daemon, receiver, kind):
    """While lines are written. The receiver has whole lines, in order, without a gap."""
    peer, url = receiver(kind)
    d = daemon(node, routes=[("*", url)], env={"STOP_GRACE": "3s"})
    with Writer(node.container("web-0"), oracle.source("a"), rate=3000) as writer:
        wait_for(lambda: peer.count() > 200, 10 * SLOW, "lines")
        assert terminate(d, 3) < 3 + END_S
        writer.stop()
    report = oracle.check(peer.messages())
    report.assert_exact(pending=report.written - report.distinct)
    assert [first for first, _ in report.lost_ranges["a"]] in ([], [report.distinct]), "the end is missing, nothing else"


# --- SIGHUP ----------------------------------------------------------------------------------------------------------

def test_reload_leaves_the_unchanged_alone(node, oracle, daemon, receiver, http):
    """Other routes come and go ten times under load: the same connections, every line once."""
    kept = [receiver(kind) for kind in KINDS]
    other = http()
    routes = [("*", url) for _, url in kept]
    d = daemon(node, routes=routes)
    pods = [node.container(f"web-{i}") for i in range(2)]
    writers = [Writer(c, oracle.source(c.pod.name), rate=100) for c in pods]
    wait_for(lambda: all(p.count() for p, _ in kept), 20 * SLOW, "lines")
    for i in range(10):
        d.set_routes(routes[::-1] + [("*", other.url(path=f"/{i}"))] if i % 2 else routes)
        d.hup()
        wait_for(lambda n=i: len(d.log_lines("routes read")) >= n + 2, 10 * SLOW, "the reload")
    for w in writers:
        w.stop()
    for peer, _ in kept:
        oracle.wait_complete(peer, 30 * SLOW).assert_exact()
        assert len(peer.connections) == 1, "the connection was kept"


@pytest.mark.parametrize("kind", KINDS)
def test_route_given_back_goes_on_where_it_was(node, oracle, daemon, receiver, kind):
    """Its line in the file goes under load, while another is invalid, and comes back later: lines written meanwhile arrive too, and at most
    those in flight arrive twice."""
    peer, url = receiver(kind)
    other, other_url = receiver("ndjson")
    d = daemon(node, routes=[("*", url), ("*", other_url)])
    c, source = node.container("web-0"), oracle.source("a")
    with Writer(c, source, rate=400) as writer:
        for _ in range(3):
            before = peer.count()
            wait_for(lambda n=before: peer.count() > n + 50, 20 * SLOW, "lines")
            d.set_routes([("elsewhere", "gopher://x"), ("*", other_url)])
            d.hup()
            wait_for(lambda: d.metric("logtrain_parked_cursors") == 1, 10 * SLOW, "the route to be withdrawn")
            seen = other.count()
            wait_for(lambda n=seen: other.count() > n + 100, 20 * SLOW, "lines written meanwhile")
            d.set_routes([("*", url), ("*", other_url)])
            d.hup()
        writer.stop()
    oracle.wait_complete(peer, 30 * SLOW)
    oracle.wait_complete(other, 30 * SLOW).assert_exact()
    assert len(other.connections) == 1


def test_a_bad_routes_file_shows(node, daemon, receiver):
    """A mistake in a line, and a missing file: shown in /readyz, which stays 200, and in /metrics; gone after correction."""
    _, url = receiver("ndjson")
    d = daemon(node, routes=[("*", url)])

    def state():
        return tuple(d.metric(f"logtrain_routes_file_{name}") for name in ("up", "routes", "refused_routes"))

    assert state() == (1, 1, 0) and d.get("/readyz") == (200, "ready\n")
    read_at = d.metric("logtrain_routes_file_read_timestamp_seconds")
    assert read_at > 1e9
    d.set_routes([("*", url), ("web", "syslog+tcp://x?timeout=soon"), ("web", "gopher://y")])
    wait_for(lambda: state() == (1, 1, 2), 60 * SLOW, lambda: f"the mistakes: {d.tail()}")
    assert d.get("/readyz") == (200, "ready\ndegraded: 2 routes of the routes file are refused\n")
    assert d.metric("logtrain_routes_file_read_timestamp_seconds") >= read_at
    d.set_routes([("*", url)])
    wait_for(lambda: state() == (1, 1, 0), 60 * SLOW, lambda: f"the correction: {d.tail()}")
    away = d.routes_path.rename(d.routes_path.with_name("away"))
    wait_for(lambda: state() == (0, 1, 0), 60 * SLOW, lambda: f"the file to be missed: {d.tail()}")
    assert "degraded: the routes file cannot be read" in d.get("/readyz")[1]
    away.rename(d.routes_path)
    wait_for(lambda: state() == (1, 1, 0), 60 * SLOW, lambda: f"the file to be back: {d.tail()}")
    assert d.get("/readyz") == (200, "ready\n")


def test_removed_route_gets_nothing(node, oracle, daemon, receiver):
    gone, url = receiver("ndjson")
    stays_, stays_url = receiver("tcp")
    d = daemon(node, routes=[("*", url), ("*", stays_url)])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(50))
    oracle.wait_complete(gone, 20 * SLOW)
    d.set_routes([("*", stays_url)])
    d.hup()
    wait_for(lambda: d.metric("logtrain_cursors") == 1, 10 * SLOW, "the route to be withdrawn")
    c.write(source.take(50))
    oracle.wait_complete(stays_, 20 * SLOW).assert_exact()
    assert gone.count() == 50
