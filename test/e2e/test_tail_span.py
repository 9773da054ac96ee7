"""until=, previous= and events= of /v1/tail: which part of a log is shown, and where it begins and ends."""

import json
import time

import pytest

from lib.daemon import SLOW, Daemon, run
from lib.node import cri_record
from lib.preload import Clock
from lib.tail import Tail
from lib.wait import wait_for

WAIT = 60 * SLOW
POD = "web-7d9c8b6f5d-bcdfg"


@pytest.fixture
def tail(closing):
    return lambda d, **options: closing(Tail(d, **options))


def at(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def lines(source, n, second):
    """<n> lines, one a second from <second> on."""
    return b"".join(cri_record(m, ns=(second + i) * 10**9 + 5) for i, m in enumerate(source.take(n)))


def numbers(t):
    return [int(m.split()[2]) for m in t.messages()]


def test_until_a_time_that_is_over(node, oracle, tail):
    """The answer ends by itself, also when nothing is said of following."""
    c = node.container(POD, "shop")
    begun = int(time.time()) - 1000
    c.write_raw(lines(oracle.source("web"), 100, begun))
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", since="start", until=at(begun + 39)).wait_end(WAIT)
        assert t.whole and numbers(t) == list(range(40))
        t = tail(d, namespace="shop", since=at(begun + 20), until=at(begun + 39), follow="true").wait_end(WAIT)
        assert t.whole and numbers(t) == list(range(20, 40))
        t = tail(d, namespace="shop", until="2h").wait_end(WAIT)
        assert t.whole and not t.lines


@pytest.mark.parametrize("query", [{}, {"since": "start"}, {"lines": 5}], ids=str)
def test_until_a_time_to_come(node, oracle, tail, tmp_path, query):
    """It follows until then: what was written by then is all there, and nothing later."""
    clock = Clock(tmp_path)
    c = node.container(POD, "shop")
    source, end = oracle.source("web"), int(time.time()) + 3600
    c.write_raw(lines(source, 10, end - 2000))
    with Daemon(node, routes=True, env=clock.env) as d:
        t = tail(d, namespace="shop", until=at(end), **query)
        none = tail(d, namespace="none", until=at(end), wait="true")
        c.write_raw(lines(source, 40, end - 39))
        before = 0 if not query else 5 if "lines" in query else 10
        t.wait(before + 40, WAIT)
        c.write_raw(lines(source, 40, end + 1))
        clock.step(wall=3610, mono=10)

        def both():
            d.metrics()  # which wakes its loop
            return t.whole is not None and none.whole is not None
        wait_for(both, WAIT, "the ends")
        assert t.whole and numbers(t) == list(range(10 - before, 50))
        assert none.whole and not none.lines


def test_what_was_before_the_last_restart(node, oracle, tail):
    c = node.container(POD, "shop")
    fresh = node.container("api-0", "shop")
    fresh.write(b"it was never started anew")
    source = oracle.source("web")
    for _ in range(3):
        c.write(source.take(100))
        c.rotate()
        c.write(source.take(20))
        c.restart()
    c.write(source.take(50))
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", previous="true").wait_end(WAIT)
        assert t.whole and numbers(t) == list(range(360))
        t = tail(d, namespace="shop", previous="true", lines=130).wait_end(WAIT)
        assert t.whole and numbers(t) == list(range(230, 360))
        assert (t := tail(d, namespace="shop", pod="api-0", previous="true")).status == 404, t.text
        t = tail(d, previous="true", wait="true")
        assert t.status == 400 and "'previous' and 'wait'" in t.text
        done = run("tail", "web", "-p", "-o", "raw", env={"STATE_PATH": d.env["STATE_PATH"]})
        assert done.returncode == 0, done.stderr
        assert [int(line.split()[2]) for line in done.stdout.splitlines()] == list(range(360))
        c.restart()
        wait_for(lambda: len(tail(d, namespace="shop", previous="true").wait_end(WAIT).lines) == 410, WAIT, "what is over now")


@pytest.mark.parametrize("headers", [{}, {"Accept": "text/event-stream"}], ids=["json", "events"])
def test_where_a_log_begins_and_ends(node, oracle, tail, headers):
    """Before its first line, behind its last; of what is there, and of what comes and goes."""
    first = node.container("web-0", "shop")
    source, more = oracle.source("first"), oracle.source("second")
    with Daemon(node, routes=True) as d:
        t = tail(d, namespace="shop", events="true", headers=headers, wait="true")

        def events():
            return [json.loads(line[6:] if headers else line) for line in list(t.lines) if line.startswith(b"data: " if headers else b"{")]
        first.write(source.take(100))
        second = node.container("web-1", "shop")
        second.write(more.take(100))
        wait_for(lambda: len(events()) == 202, WAIT, lambda: f"two beginnings and 200 lines, not {len(events())}")
        second.pod.delete()
        wait_for(lambda: len(events()) == 203, WAIT, lambda: f"an end, not {events()[-3:]}")
        seen = events()
        t.close()
    assert [e["state"] for e in seen if e["pod"] == "web-0" and "event" in e] == ["begins"]
    of_second = [e for e in seen if e["pod"] == "web-1"]
    assert [e.get("state") for e in of_second] == ["begins", *[None] * 100, "ends"]
    assert {k: of_second[0][k] for k in ("event", "namespace", "container", "input")} == {
        "event": "stream", "namespace": "shop", "container": "main", "input": "container"}
    assert next(e for e in seen if e["pod"] == "web-0")["state"] == "begins"
    oracle.check([e["message"].encode() for e in seen if "message" in e]).assert_exact()
