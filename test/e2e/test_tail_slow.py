"""A client of /v1/tail that reads too slowly: it holds up nobody, and skips ahead."""

import re

import pytest

from lib.daemon import SLOW, Daemon
from lib.listener import Listener, complete, line
from lib.oracle import parse
from lib.preload import Clock
from lib.tail import Tail
from lib.wait import wait_for

WAIT = 60 * SLOW
LINES = 8002


@pytest.fixture
def tail(closing):
    return lambda d, **options: closing(Tail(d, **options))


def pieces(c):
    """Of each line of the file: the number in the oracle, its bytes, and how much of the message there is with it."""
    seq, length = 0, 0
    for text in c.live.read_bytes().splitlines(keepends=True):
        if m := re.search(rb" lt web (\d+) ", text):
            seq, length = int(m[1]), 0
        length += len(text.split(b" ", 3)[3]) - 1
        yield seq, len(text), length


@pytest.mark.parametrize("query", [{}, {"lossless": "true"}], ids=["skips", "lossless"])
def test_a_client_that_falls_behind(node, oracle, tail, tmp_path, query):
    """It has come to the end once, and stops to read for a minute. What it skips is a gap, exact to the byte."""
    clock = Clock(tmp_path)
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web", lambda seq: 40000 if seq % 50 == 49 else 300)
    with Daemon(node, routes=True, env=clock.env) as d:
        t = tail(d, namespace="shop", receive_buffer=4096, pause_at=5, **query)
        c.write(source.take(1))
        t.wait(1, WAIT)
        c.write(source.take(LINES - 2))
        t.wait(5, WAIT)  # it is behind from now on
        clock.step(mono=60)
        t.resume()
        wait_for(lambda: any(b'"event":"gap"' in one for one in t.lines) or len(t.lines) == LINES - 1, WAIT,
                 lambda: f"a gap or all lines, after {len(t.lines)}")
        c.write(source.take(1))
        wait_for(lambda: any(b"lt web %d " % (LINES - 1) in one for one in t.lines[-3:]), WAIT,
                 lambda: f"the last line, after {len(t.lines)}")
        lost = d.metric("logtrain_lost_bytes_total")
        t.close()
    gaps = [e for e in t.events() if "event" in e]
    had = {parse(m)[1]: len(m) for m in t.messages()}
    assert list(had) == sorted(had) and len(had) == len(t.messages())
    if query:
        assert not gaps
        oracle.check(t.messages()).assert_exact()
        return
    assert {g["reason"] for g in gaps} == {"skipped"} and not any("at_least" in g for g in gaps)
    missed = [size for seq, size, length in pieces(c) if had.get(seq, 0) < length]
    assert sum(g["bytes"] for g in gaps) == sum(missed) > 1024 * 1024
    assert all(g["from"] <= g["to"] and g["pod"] == "web-7d9c8b6f5d-bcdfg" for g in gaps)
    assert lost == 0  # it is no drain's loss


def test_a_burst_after_silence_is_not_skipped(node, oracle, tail, tmp_path):
    clock = Clock(tmp_path)
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web", 1000)
    with Daemon(node, routes=True, env=clock.env) as d:
        t = tail(d, namespace="shop")
        c.write(source.take(1))
        t.wait(1, WAIT)
        clock.step(mono=3600)
        c.write(source.take(5000))
        t.wait(5001, WAIT)
        oracle.check(t.messages()).assert_exact()
        t.close()


def test_senders_do_not_wait_for_a_client(daemon, syslog_tcp, tail, tmp_path):
    """A network stream: its journal has room for 3 MiB. The drain has all of 12 MB, while the client reads nothing."""
    peer, total = syslog_tcp(), 12000
    d = Listener(daemon, [("*", peer.url())], tmp_path, MAX_LINE="64k", JOURNAL_BYTES_MAX="4m", JOURNAL_HOST_BYTES_MAX="3m",
                 STATE_PATH=tmp_path / "state")
    with d.connect() as s:
        s.sendall(line(0))
        complete(peer, 1)
        t = tail(d.daemon, hostname="web", receive_buffer=4096, pause_at=1)
        assert t.status == 200
        s.settimeout(WAIT)
        s.sendall(b"".join(line(i, size=1000) for i in range(1, total)))
        complete(peer, total)
        t.resume()
        wait_for(lambda: any(b"n=%d\"" % (total - 1) in one for one in t.lines[-3:]), WAIT,
                 lambda: f"the last line, after {len(t.lines)}")
    gaps = [e for e in t.events() if "event" in e]
    had = [int(re.search(rb"n=(\d+)$", m)[1]) for m in t.messages()]
    assert had == sorted(set(had))
    assert {g["reason"] for g in gaps} == {"skipped"}
    assert sum(g["bytes"] for g in gaps) >= 1000 * (total - 1 - len(had)) > 0
    t.close()
