"""HTTP receivers whose answers are malformed (D16) or cut off (D17): the status line decides, the bytes read are bounded, and an
answer is never taken for that of another request."""

import gzip
import socket

import pytest
from lib.daemon import SANITIZED, SLOW
from lib.http_peer import Answer
from lib.node import Writer
from lib.wait import wait_for

NDJSON = "batch=ndjson&linger=20ms"
OK = b"HTTP/1.1 200 OK\r\n"
FALSE_END = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
GONE_ON = 8 << 20  # a sender that stopped reading cannot have received this much: its limit and the socket buffers are smaller


class Counted:
    """An iterable of bytes that counts how much of it was sent."""

    def __init__(self, pieces):
        self.pieces = pieces
        self.sent = 0

    def __iter__(self):
        for piece in self.pieces:
            yield piece
            self.sent += len(piece)


def repeated(head, piece, times):
    yield head
    for _ in range(times):
        yield piece


def bomb():
    body = gzip.compress(b"\0" * (64 << 20))
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


# name: (what is sent, whether the connection then ends, whether the lines count as received)
BROKEN = {
    "truncated body": (lambda: OK + b"Content-Length: 100\r\n\r\nshort", "fin", True),
    "truncated body, reset": (lambda: OK + b"Content-Length: 100\r\n\r\nshort", "reset", True),
    "length too small": (lambda: OK + b"Content-Length: 2\r\n\r\nok" + FALSE_END, None, True),
    "length twice": (lambda: OK + b"Content-Length: 0\r\nContent-Length: 61\r\n\r\n" + FALSE_END, None, True),
    "length negative": (lambda: OK + b"Content-Length: -5\r\n\r\n" + FALSE_END, None, True),
    "length not a number": (lambda: OK + b"Content-Length: 9z\r\n\r\n" + FALSE_END, None, True),
    "endless body": (lambda: repeated(OK + b"\r\n", b"x" * 65536, 1 << 14), None, True),
    "endless chunks": (lambda: repeated(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b"x" * 16384 + b"\r\n",
                                        1 << 16), None, True),
    "huge header": (lambda: OK + b"X-Huge: " + b"h" * (4 << 20) + b"\r\nContent-Length: 0\r\n\r\n", None, True),
    "many headers": (lambda: repeated(OK, b"X-Many: header\r\n", 1 << 22), None, True),
    "chunk garbage": (lambda: OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nno\r\n", None, True),
    "chunk without end": (lambda: OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nxx", None, True),
    "204 with a body": (lambda: b"HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n" % len(FALSE_END) + FALSE_END, None, True),
    "gzip bomb": (bomb, None, True),
    "no gzip": (lambda: OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain", None, True),
    "an encoding of its own": (lambda: OK + b"Content-Encoding: secret\r\nContent-Length: 5\r\n\r\nplain", None, True),
    "100 flood": (lambda: repeated(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 1 << 16), None, False),
    "100 then 200": (lambda: b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + OK + b"Content-Length: 0\r\n\r\n", None, True),
    "another protocol": (lambda: b"SSH-2.0-OpenSSH_9.2\r\n", "fin", False),
    "no version": (lambda: b"<html>what?</html>\r\n\r\n", "fin", False),
    "switches": (lambda: b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", None, False),
    "status of letters": (lambda: b"HTTP/1.1 2xx OK\r\nContent-Length: 0\r\n\r\n", None, False),
    "half a status line": (lambda: b"HTTP/1.1 20", "fin", False),
    "nothing at all": (lambda: b"", "fin", False),
    "zeros": (lambda: b"\0" * 4096, "fin", False),
}


def three_slices(node, oracle, web):
    """Lines at three times, so that there is a good answer between two malformed ones."""
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(3):
        c.write(source.take(20))
        oracle.wait_complete(web, 30).assert_exact()


@pytest.mark.parametrize("name", BROKEN)
def test_D16_broken_answer(node, oracle, daemon, http, name):
    what, how, counts = BROKEN[name]
    prepared, sent = [what(), what()], []  # counted here, because decompressing takes time

    def answer(_):
        if len(web.requests) not in (0, 2):
            return None
        raw = prepared.pop()
        sent.append(raw if isinstance(raw, bytes) else Counted(raw))
        return Answer(200 if counts else 599, raw=sent[-1], cut="after" if how else None, how=how or "fin", counts=counts)

    web = http(answers=answer)
    d = daemon(node, routes=[("*", web.url(NDJSON + f"&connections=1&timeout={5 * SLOW}s"))])
    three_slices(node, oracle, web)
    assert len(sent) == 2
    assert all(s.sent < GONE_ON for s in sent if isinstance(s, Counted)), [s.sent for s in sent]
    (drain,) = d.drains()
    retries = drain["counters"]["retries"]  # curl itself retries when a kept-alive connection closes without an answer
    assert retries == 0 if counts else 1 <= retries <= 2
    assert drain["counters"]["rejected"] == 0
    if not SANITIZED:
        assert d.rss_peak() < 32 << 20


def test_D16_body_that_ends_with_the_connection(node, oracle, daemon, http):
    """HTTP/1.0 without a length: the body ends with the connection. Connection: close is honoured."""
    plain = Answer(raw=b"HTTP/1.0 200 OK\r\n\r\nthanks", cut="after", how="fin")
    closing = Answer(200, {"Connection": "close"}, cut="after", how="fin")
    web = http(answers=[plain, closing, plain, closing])
    daemon(node, routes=[("*", web.url(NDJSON + "&connections=1"))])
    three_slices(node, oracle, web)
    assert len(web.connections) >= 3


def test_D16_unrequested_answers_are_ignored(node, oracle, daemon, http):
    """Unrequested answers, long after the real one: they must not be taken for the answer to the next request."""
    web = http()
    d = daemon(node, routes=[("*", web.url(NDJSON + "&connections=1"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(20))
    oracle.wait_complete(web, 30)
    socket.socket.send(web.connections[0].sock, OK + b"Content-Length: 0\r\n\r\n")
    web.answers = [Answer(500)]
    c.write(source.take(20))
    oracle.wait_complete(web, 30).assert_exact()
    assert web.statuses().count(500) == 1
    (drain,) = d.drains()
    assert drain["counters"]["retries"] == 1, "the 500 was listener, not the 200 before it"


@pytest.mark.parametrize("how", ["reset", "fin"])
@pytest.mark.parametrize("cut, dup", [("before", True), ("body", False), ("after", False)])
def test_D17_cut_after_the_verdict(node, oracle, daemon, http, how, cut, dup):
    """The receiver has accepted the lines, and the connection ends before, in or after its answer: at most that one batch arrives
    twice."""
    def answer(request):
        n = len(web.requests)
        if n % 4 == 1 and n < 14:
            twice.append(len(request.records()))
            return Answer(200, body=b"taken" * 100, cut=cut, how=how, counts=True)
        return None

    twice = []
    web = http(answers=answer)
    daemon(node, routes=[("*", web.url("batch=ndjson&linger=20ms&connections=1"))])
    with Writer(node.container("web-0"), oracle.source("a"), rate=500) as writer:
        wait_for(lambda: len(web.requests) > 15, 60, "the last cut")
        writer.stop()
    report = oracle.wait_complete(web, 30)
    report.assert_exact(dup_max=sum(twice))
    if cut == "before":
        assert report.dup == sum(twice), "what was in doubt was sent again"


def test_D17_kill_of_the_receiver_between_batches(node, oracle, daemon, http):
    """A kept-alive connection that turns out to be dead at the next request only costs a new connection."""
    web = http()
    d = daemon(node, routes=[("*", web.url(NDJSON))])
    c, source = node.container("web-0"), oracle.source("a")
    for how in ("fin", "reset", "fin"):
        c.write(source.take(20))
        oracle.wait_complete(web, 30)
        d.wait_confirmed(web.port)
        web.end_all(how)
        wait_for(lambda: not web.open_connections(), 5 * SLOW, "the connections to end")
    c.write(source.take(20))
    oracle.wait_complete(web, 30).assert_exact()
    d.wait_counter(web.port, "connects", 4)
    (drain,) = d.drains()
    assert drain["counters"]["connects"] == len(web.connections) == 4
    assert drain["counters"]["connect_errors"] == 0
