"""/v1/tail on the Unix socket: the lines of some streams as they come, and what there was of them before."""

import json
import os
import time

import pytest

from lib.daemon import SLOW, Daemon
from lib.node import cri_record
from lib.oracle import parse
from lib.tail import Tail
from lib.wait import wait_for

WAIT = 60 * SLOW


@pytest.fixture
def tail(closing):
    return lambda d, **options: closing(Tail(d, **options))


def check(oracle, tail, stream):
    return oracle.check(tail.messages(), [stream])


def test_lines_of_a_pod_as_they_come(node, oracle, tail):
    """From now on: what was there before is not shown. Each line once, in order, with what it is and where it came from."""
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    other = node.container("api-0", "shop")
    c.write([b"before %d" % i for i in range(50)])
    source = oracle.source("web")
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", pod="web-7d9c8b6f5d-bcdfg")
        assert t.status == 200
        assert t.headers["content-type"] == "application/x-ndjson"
        for _ in range(20):
            c.write(source.take(100))
            other.write([b"not wanted"] * 10)
        t.wait(2000, WAIT)
        check(oracle, t, "web").assert_exact()
        first = t.events()[0]
        assert {k: first[k] for k in ("namespace", "pod", "container", "stream")} == {
            "namespace": "shop", "pod": "web-7d9c8b6f5d-bcdfg", "container": "main", "stream": "stdout"}
        assert first["time"] and first["id"]
        t.close()


def test_what_there_is_and_no_more(node, oracle, tail):
    """follow=false ends in order when all that was there has come, through rotated and compressed files."""
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web")
    for _ in range(4):
        c.write(source.take(500))
        c.rotate()
    c.write(source.take(500))
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", follow="false").wait_end(WAIT)
        assert t.whole
        check(oracle, t, "web").assert_exact()


def test_a_pod_that_comes_later_is_shown_from_its_first_line(node, oracle, tail):
    with Daemon(node, routes=True) as d:
        assert tail(d, namespace="shop").status == 404
        t = tail(d, namespace="shop", wait="true")
        assert t.status == 200
        c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
        source = oracle.source("web")
        c.write(source.take(300))
        t.wait(300, WAIT)
        check(oracle, t, "web").assert_exact()
        t.close()


@pytest.mark.parametrize("query, why", [
    ({"pot": "web"}, "unknown parameter 'pot'"),
    ({"follow": "yes"}, "parameter 'follow' must be true or false"),
    ({"since": "yesterday"}, "parameter 'since' must be a duration"),
    ({"stream": "stdin"}, "parameter 'stream' must be stdout or stderr"),
    ({"pod": ""}, "parameter 'pod' must have"),
])
def test_a_wrong_parameter_is_named(node, tail, query, why):
    node.container("web-7d9c8b6f5d-bcdfg", "shop").write(b"x")
    with Daemon(node, routes=True) as d:
        t = tail(d, **query)
        assert t.status == 400 and t.text.startswith(why), t.text


def test_one_caller_has_16_tails(node, tail):
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    c.write(b"x")
    with Daemon(node, routes=True) as d:
        tails = [tail(d, namespace="shop") for _ in range(16)]
        assert [t.status for t in tails] == [200] * 16
        more = tail(d, namespace="shop")
        assert more.status == 429 and int(more.headers["retry-after"]) > 0
        tails[0].close()
        wait_for(lambda: tail(d, namespace="shop").status == 200, WAIT, "a place")
        for t in tails:
            t.close()


def test_a_tail_leaves_nothing_behind(node, oracle, syslog_tcp, tail):
    """No record in the state, no row in /drains, no open file; a drain beside it has each line once."""
    peer = syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web")
    c.write(source.take(10))
    with Daemon(node, drains=[("*", peer.url())]) as d:
        oracle.wait_complete(peer, WAIT).assert_exact()
        d.wait_saved(peer.port)
        records, files = d.metric("logtrain_state_records"), len(d.fds())
        tails = [tail(d, namespace="shop", since="start") for _ in range(4)]
        for t in tails:
            t.wait(10, WAIT)
        c.write(source.take(500))
        for t in tails:
            t.wait(510, WAIT)
            check(oracle, t, "web").assert_exact()
        oracle.wait_complete(peer, WAIT).assert_exact()
        assert len(d.drains()) == 1
        d.wait_saved(peer.port)
        assert d.metric("logtrain_state_records") == records
        for t in tails:
            t.close()
        d.wait_saved(peer.port)
        assert d.metric("logtrain_state_records") == records
        wait_for(lambda: len(d.fds()) <= files, WAIT, lambda: f"no file of a tail: {d.fds()}")


def test_a_client_that_does_not_read_holds_up_nobody(node, oracle, syslog_tcp, tail):
    peer = syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web", 1000)
    with Daemon(node, drains=[("*", peer.url())]) as d:
        c.write(source.take(1))
        oracle.wait_complete(peer, WAIT)
        silent = [tail(d, namespace="shop", reading=False) for _ in range(8)]
        t = tail(d, namespace="shop")
        c.write(source.take(20000))
        oracle.wait_complete(peer, WAIT).assert_exact()
        t.wait(20000, WAIT)
        for one in silent:
            one.close()
        t.close()


def test_a_stop_ends_a_tail_at_once(node, tail):
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    c.write([b"x" * 1000] * 5000)
    with Daemon(node, routes=True) as d:
        silent = tail(d, namespace="shop", since="start", reading=False)
        t = tail(d, namespace="shop", since="start").wait(5000, WAIT)
        d.stop()
        assert not t.wait_end(WAIT).whole
        silent.close()


def rows(d, path):
    status, text = d.ask(path)
    assert status == 200, text
    return [json.loads(line) for line in text.splitlines()]


def test_streams(node):
    """/v1/streams: what there is, a line for each; the same words ask for it as for its lines."""
    node.container("web-7d9c8b6f5d-bcdfg", "shop").write(b"x")
    node.container("api-0", "bank", name="app").write(b"x")
    with Daemon(node, routes=True) as d:
        both = rows(d, "/v1/streams")
        assert {(r["namespace"], r["pod"], r["container"], r["state"]) for r in both} == {
            ("shop", "web-7d9c8b6f5d-bcdfg", "main", "open"), ("bank", "api-0", "app", "open")}
        assert [r["hostname"] for r in rows(d, "/v1/streams?namespace=shop&workload=web")] == ["web.shop"]
        assert rows(d, "/v1/streams?namespace=none") == []
        assert d.ask("/v1/streams?follow=true") == (400, "unknown parameter 'follow'\n")
        assert d.ask("/v1/nothing")[0] == 404


def test_drains_as_lines(node, syslog_tcp):
    peer = syslog_tcp()
    node.container("web-7d9c8b6f5d-bcdfg", "shop").write(b"x")
    with Daemon(node, drains=[("*", peer.url())]) as d:
        def settled():
            return [r for r in rows(d, "/v1/drains") if r["counters"]["records_out"] and r["seconds_to_loss"] is None]
        one, = wait_for(settled, WAIT, "a drain that has all")
        assert f":{peer.port}#" in one["name"] and one["asked_by"] == "operator" and one["namespace"] is None
        assert one["counters"]["records_out"] == 1
        assert rows(d, "/v1/drains?namespace=shop") == []
        assert d.ask("/v1/drains?name=x") == (400, "unknown parameter 'name'\n")
        assert d.ask("/v1/drains?namespace=A/b")[0] == 400


def test_what_is_lost_is_an_event_in_its_place(node, oracle, tail):
    """A file that is truncated before all of it was read: how many bytes, and why, between the lines around them."""
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    first, last = oracle.source("first", 1000), oracle.source("last")
    c.write(first.take(5000))
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", since="start", reading=False)
        d.metrics()  # the daemon has looked how large the file is
        written = c.live.read_bytes()
        c.copytruncate()
        c.write(last.take(100))
        wait_for(lambda: "log file was truncated" in d.log(), WAIT, "it has seen that")
        t.read()
        wait_for(lambda: sum(b"lt last" in line for line in list(t.lines)) == 100, WAIT, "what came after")
        events = t.events()
        before = next(i for i, e in enumerate(events) if "event" in e)
        gap = events[before]
        assert {k: gap[k] for k in ("event", "reason", "at_least", "pod", "container")} == {
            "event": "gap", "reason": "truncated", "at_least": True, "pod": "web-7d9c8b6f5d-bcdfg", "container": "main"}
        assert gap["bytes"] == sum(len(line) + 1 for line in written.splitlines()[before:])
        assert "message" not in gap and "stream" not in gap
        assert [e["message"][:8] for e in events[:before]] == ["lt first"] * before
        oracle.check([e["message"].encode() for e in events[before + 1:]], ["last"]).assert_exact()
        t.close()


def test_the_last_lines(node, oracle, tail):
    """lines=N: neither more nor less, through rotated and compressed files; a line in pieces is one. And on from there."""
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web", lambda seq: 40000 if seq % 100 == 99 else 300 if seq % 7 else 30)
    written = []
    for i in range(4):
        written += source.take(500)
        c.write(written[-500:])
        if i < 3:
            c.rotate()
    with Daemon(node, routes=True) as d:
        for n in (0, 1, 2, 99, 100, 101, 499, 500, 501, 999, 1000, 1001, 1499, 1500, 1501, 1999, 2000, 3000):
            t = tail(d, namespace="shop", lines=n, follow="false").wait_end(WAIT)
            assert t.whole and t.messages() == written[len(written) - min(n, 2000):], n
        t = tail(d, namespace="shop", lines=10).wait(10, WAIT)
        written += (more := source.take(50))
        c.write(more)
        assert t.wait(60, WAIT).messages() == written[-60:]
        t.close()


def test_since_a_second_for_which_the_files_clock_was_a_tick_late(node, oracle, tail):
    """A rotated file whose last lines are of the first milliseconds of that second, and whose time is of the one before."""
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source, second = oracle.source("web"), int(time.time()) - 100
    c.write_raw(b"".join(cri_record(m, ns=second * 10**9 + 10**6 + i) for i, m in enumerate(source.take(20))))
    rotated = c.rotate(clean=False)
    os.utime(rotated, ns=((second * 10**9 - 2 * 10**6,) * 2))
    c.write(source.take(20))
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)), follow="false").wait_end(WAIT)
        assert t.whole
        oracle.check(t.messages()).assert_exact()


def test_many_pods_on_several_workers(node, oracle, tail):
    """One answer of what all of them have; lines of a stream stay in order."""
    pods = [node.container(f"web-{i}", "shop") for i in range(12)]
    sources = [oracle.source(f"s{i}") for i in range(12)]
    for c, source in zip(pods, sources):
        c.write(source.take(200))
    with Daemon(node, routes=True, env={"WORKERS": "4"}) as d:
        t = tail(d, namespace="shop", since="start")
        for _ in range(5):
            for c, source in zip(pods, sources):
                c.write(source.take(100))
        t.wait(12 * 700, WAIT)
        oracle.check(t.messages()).assert_exact()
        t.close()
        t = tail(d, namespace="shop", follow="false").wait_end(WAIT)
        assert t.whole
        oracle.check(t.messages()).assert_exact()
        t = tail(d, namespace="shop", follow="false", lines=1).wait_end(WAIT)
        assert {parse(m)[:2] for m in t.messages()} == {(s.name, 699) for s in sources} and len(t.lines) == 12
