"""/v1/tail as server-sent events: a client that comes back goes on where it was."""

import json

import pytest

from lib.daemon import SLOW, Daemon
from lib.preload import Clock
from lib.tail import Tail
from lib.wait import wait_for

WAIT = 60 * SLOW
EVENTS = {"Accept": "text/event-stream"}
BEFORE = b"from before"


class Client:
    """An EventSource: it knows the id of the last whole event, and comes back with it."""

    def __init__(self, d, **query):
        self.query = query
        self.last = None
        self.events = []
        self.tail = None
        self.connect(d)

    def connect(self, d):
        self.tail = Tail(d, headers=EVENTS | ({"Last-Event-ID": self.last} if self.last else {}), **self.query)
        assert self.tail.status == 200, self.tail.text
        assert self.tail.headers["content-type"] == "text/event-stream"
        self.seen = 0
        self.id, self.data = self.last, []

    def pump(self):
        """Takes the events that have come whole (HTML, 9.2.6)."""
        lines = list(self.tail.lines)
        for line in lines[self.seen:]:
            name, _, value = line.decode().partition(": ")
            if not line:
                self.last = self.id
                if self.data:
                    self.events.append(json.loads("\n".join(self.data)))
                self.data = []
            elif name == "id":
                self.id = value
            elif name == "data":
                self.data.append(value)
        self.seen = len(lines)
        return self.events

    def wait(self, n):
        """Waits for <n> messages."""
        wait_for(lambda: self.pump() is not None and len(self.messages()) >= n, WAIT, lambda: f"{n} messages, not {len(self.messages())}")

    def leave(self):
        self.tail.close()
        self.pump()

    def messages(self):
        """Without those from before it came."""
        return [m for m in (e["message"].encode() for e in self.events) if m != BEFORE]


@pytest.fixture
def client(closing):
    def make(d, **query):
        one = Client(d, **query)
        one.close = one.leave
        return closing(one)
    return make


@pytest.mark.parametrize("query", [{}, {"since": "1h"}, {"lines": "100000"}], ids=["now", "since", "lines"])
def test_a_client_that_comes_back_misses_and_repeats_nothing(node, oracle, client, query):
    """Two pods, which write, rotate and compress while it is away; the daemon is killed meanwhile. A third pod appears."""
    web, api = node.container("web-0", "shop"), node.container("api-0", "shop")
    sources = {c: oracle.source(name) for c, name in ((web, "web"), (api, "api"))}
    for c in sources:
        c.write([BEFORE] * 30)
    d = Daemon(node, routes=True)
    with d:
        one = client(d, namespace="shop", **query)
        for turn in range(6):
            for c, source in sources.items():
                c.write(source.take(100))
            one.wait(sum(s.written for s in sources.values()) - 150)
            one.leave()
            for c, source in sources.items():
                c.write(source.take(150))
                if turn % 2:
                    c.rotate()
                c.write(source.take(30))
            if turn == 3:
                d.kill()
                late = node.container("late-0", "shop")
                sources[late] = oracle.source("late")
                late.write(sources[late].take(40))
                d.start()
            one.connect(d)
        one.wait(sum(s.written for s in sources.values()))
        oracle.check(one.messages()).assert_exact()
        before = len(one.events) - len(one.messages())
        # A stream of which the client had nothing when it left is read from the second in which it came for the first time.
        assert before == 60 if query else before in (0, 30, 60)
        one.leave()


def test_an_id_of_another_is_refused(node):
    node.container("web-0", "shop").write(b"x")
    with Daemon(node, routes=True) as d:
        for wrong in ("17", "1;", "1;zz;", "1;5;1.2.3", "1;5;" + ",".join(f"{i:x}.1.1.1" for i in range(300)), "2;5;"):
            t = Tail(d, headers=EVENTS | {"Last-Event-ID": wrong})
            assert (t.status, t.text) == (400, "Last-Event-ID is none that was given out here\n"), wrong
            t.close()
        t = Tail(d, headers=EVENTS, format="text")
        assert t.status == 400 and "'format'" in t.text
        t.close()


def test_a_quiet_connection_is_kept_alive(node, tmp_path, client):
    clock = Clock(tmp_path)
    c = node.container("web-0", "shop")
    with Daemon(node, routes=True, env=clock.env) as d:
        one = client(d, namespace="shop")
        for i in range(1, 3):
            def pings():
                clock.step(mono=8)
                d.metrics()  # which wakes its loop
                return one.tail.lines.count(b": ping") >= i
            wait_for(pings, WAIT, "a comment")
            c.write(b"x %d" % i)
            one.wait(i)
        assert [e["message"] for e in one.events] == ["x 1", "x 2"]
        one.leave()
