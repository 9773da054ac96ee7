"""ws against a peer that misbehaves frame by frame (D22): in the handshake, in its frames, when it closes, and by being silent."""

import re
import time

import pytest
from lib.daemon import SANITIZED, SILENCE_S, SLOW
from lib.oracle import parse
from lib.peer import NEVER_READ, Ended, Mode
from lib.wait import stays, wait_for
from lib.websocket import (BINARY, CLOSE, PING, PONG, TEXT, FakeWebSocket, accept, close_frame, fake_websocket,  # noqa: F401
                           frame)


def state(d):
    """The only drain of a daemon, as /drains shows it; waits until it exists."""
    (drain,) = wait_for(d.drains, 10 * SLOW, "the drain")
    return drain


def counter(d, name):
    return state(d)["counters"][name]


def error(d):
    return state(d)["last_error"] or ""


def first(n, what):
    """on=: <what>(op, payload) on the first <n> connections."""
    return lambda op, payload, conn: what(op, payload) if conn.index < n else None


# --- the handshake ---------------------------------------------------------------------------------------------------

OPENINGS = {
    "wrong Sec-WebSocket-Accept": lambda h: accept(h, key="dGhlIHNhbXBsZSBub25jZQ=="),
    "no key": lambda h: b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "no upgrade": lambda h: accept(h).replace(b"Upgrade: websocket", b"Upgrade: h2c"),
    "extension": lambda h: accept(h, more="Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    "protocol": lambda h: accept(h, more="Sec-WebSocket-Protocol: chat\r\n"),
    "not http": lambda h: b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "binary": lambda h: bytes(range(256)) * 20,
    "half": lambda h: b"HTTP/1.1 101 Switching Pro",
    "nothing": lambda h: b"",
    "long": lambda h: b"HTTP/1.1 101 Yes\r\n" + b"X-Filler: " + b"x" * 200000,
}


@pytest.mark.parametrize("what", OPENINGS)
def test_D22_bad_openings(node, oracle, daemon, fake_websocket, what):
    """No line is sent before the answer is a valid 101."""
    peer = fake_websocket(upgrade=lambda h, conn: OPENINGS[what](h) if conn.index < 2 else None)
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert len(peer.connections) == 3 and not any(peer.frames[:-1])
    assert counter(d, "connect_errors") == 2 and counter(d, "connects") == 1
    assert "websocket" in d.log_lines("drain failing")[0]


def test_D15_redirects_are_not_followed(node, oracle, daemon, fake_websocket):
    elsewhere = fake_websocket()
    where = elsewhere.url().replace("ws://", "http://")
    peer = fake_websocket(upgrade=lambda h, conn: f"HTTP/1.1 302 Found\r\nLocation: {where}\r\n\r\n".encode() if conn.index < 1 else None)
    d = daemon(node, routes=True)
    d.set_routes([("*", peer.url(userinfo=f"u:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(20))
    wait_for(lambda: d.log_lines("drain suspended"), 10 * SLOW, "it to be said")
    assert "redirects are not followed" in d.log_lines("drain suspended")[0]
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert not elsewhere.connections


def test_D10_retry_after(node, oracle, daemon, fake_websocket):
    peer = fake_websocket(upgrade=lambda h, conn: b"HTTP/1.1 503 No\r\nRetry-After: 3\r\n\r\n" if conn.index < 1 else None)
    daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert 2.95 <= peer.connections[1].opened - peer.connections[0].opened <= 3 + 10 * SLOW


def test_no_answer_to_the_opening(node, oracle, daemon, fake_websocket):
    class Mute(FakeWebSocket):
        def serve(self, conn):
            if conn.index < 1:
                conn.read()
                conn.wait(0, until=time.monotonic() + 3600)
            super().serve(conn)

    peer = Mute()
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert "no answer to the upgrade" in d.log_lines("drain failing")[0]
    peer.close()


# --- frames that no server may send ----------------------------------------------------------------------------------

BAD_FRAMES = {
    "masked": (frame(TEXT, b"abc", mask=b"\1\2\3\4"), 1002), "reserved": (frame(TEXT, b"x", rsv=4), 1002),
    "opcode": (frame(3, b"x"), 1002), "control opcode": (frame(11), 1002),
    "fragmented control": (frame(PING, b"x", fin=False), 1002), "long control": (frame(PING, b"x" * 126), 1002),
    "continuation": (frame(0, b"x"), 1002), "interleaved": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "2^63": (frame(BINARY, length=1 << 63), 1002), "2^64-1": (frame(BINARY, length=(1 << 64) - 1), 1002),
    "2^62": (frame(BINARY, length=1 << 62), 1009), "1 MiB and one": (frame(BINARY, length=(1 << 20) + 1), 1009),
    "half a code": (frame(CLOSE, b"\3"), 1002), "code 1005": (close_frame(1005), 1002), "code 999": (close_frame(999), 1002),
    "long length": (b"\x81\x7e\x00\x05hello", 1002),
}


@pytest.mark.parametrize("what", BAD_FRAMES)
def test_D22_bad_frames(node, oracle, daemon, fake_websocket, what):
    """Answered with a Close that has the right code; everything without a Pong is sent again."""
    bad, code = BAD_FRAMES[what]
    peer = fake_websocket(on=first(2, lambda op, _: bad if op == PING else None))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    for frames in peer.frames[:2]:
        assert frames[-1] == (CLOSE, code.to_bytes(2, "big")), [f[0] for f in frames]
    assert len(peer.connections) == 3 and "websocket: peer sent" in d.log_lines("drain failing")[0]


def test_messages_from_the_peer_are_thrown_away(node, oracle, daemon, fake_websocket):
    """Whole or fragmented, text or binary, valid UTF-8 or not: they are ignored. So are Pongs that were not requested."""
    chat = (frame(TEXT, b"hello \xff\xfe") + frame(TEXT, b"in ", fin=False) + frame(PONG, b"999999999") + frame(0, b"pieces") +
            frame(BINARY, b"\0" * 70000) + frame(PONG, b"what") + frame(PONG))
    peer = fake_websocket(on=lambda op, payload, _: chat + frame(PONG, payload) + chat if op == PING else None)
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(500))
    # The fake reads its counter from the first byte, which is a message's here: so ask the daemon.
    wait_for(lambda: counter(d, "records_out") == 500, 20 * SLOW, "the pongs")
    assert counter(d, "retries") == 0 and len(peer.connections) == 1


def test_D22_ping_flood(node, oracle, daemon, fake_websocket):
    """Its Pings are answered as fast as the socket takes it; they are not queued, and lines go on."""
    flood = frame(PING, b"p" * 125) * 20000
    peer = fake_websocket(on=lambda op, payload, _: frame(PONG, payload) + flood if op == PING and payload.isdigit() else None)
    d = daemon(node, routes=[("*", peer.url())])
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(5):
        c.write(source.take(100))
        oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    wait_for(lambda: any(op == PONG and payload == b"p" * 125 for op, payload in peer.frames[0]), 10 * SLOW, "a pong of ours")
    assert counter(d, "retries") == 0
    if not SANITIZED:
        assert d.rss_peak() < 40 << 20


# --- Ping and Pong ---------------------------------------------------------------------------------------------------

def test_D22_no_pong(node, oracle, daemon, fake_websocket):
    """It takes the lines and confirms none: the drain reconnects and sends them again."""
    peer = fake_websocket(on=first(2, lambda op, _: b"" if op == PING else None))
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    c = node.container("web-0")
    c.write(oracle.source("a").take(50))
    wait_for(lambda: f"no pong for {SILENCE_S} s" in error(d), 20 * SLOW, lambda: f"the time to run out; {error(d)}")
    assert state(d)["lag_bytes"] == c.live.stat().st_size
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert len(peer.connections) == 3 and counter(d, "unconfirmed") == 0


@pytest.mark.parametrize("pong", [b"", b"0", b"x", b"-1", b"99999999999", b"1 "])
def test_D22_pongs_that_confirm_nothing(node, oracle, daemon, fake_websocket, pong):
    peer = fake_websocket(on=first(1, lambda op, _: frame(PONG, pong) if op == PING else None))
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    node.container("web-0").write(oracle.source("a").take(50))
    wait_for(lambda: counter(d, "records_out") == 50, 20 * SLOW, "the lines on a new connection")
    assert len(peer.connections) == 2 and "no pong" in d.log_lines("drain failing")[0]


def test_a_later_pong_confirms_what_stands_before_it(node, oracle, daemon, fake_websocket):
    """A peer may answer only the latest Ping."""
    seen = []

    def on(op, payload, _):
        if op == PING:
            seen.append(payload)
            return frame(PONG, payload) if len(seen) in (1, 4) else b""
        return None

    peer = fake_websocket(on=on)
    d = daemon(node, routes=[("*", peer.url("timeout=90s"))])
    for n in range(4):
        node.container(f"web-{n}").write(oracle.source(f"s{n}").take(10))
        wait_for(lambda: len(seen) > n, 10 * SLOW, "its ping")
        wait_for(lambda: n or counter(d, "records_out") == 10, 10 * SLOW, "the first pong")
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    wait_for(lambda: counter(d, "records_out") == 40, 60 * SLOW, "all to be confirmed")
    assert len(peer.connections) == 1


def test_each_message_has_its_ping(node, oracle, daemon, fake_websocket):
    peer = fake_websocket()
    daemon(node, routes=[("*", peer.url())])
    for i in range(10):
        node.container(f"web-{i}").write(oracle.source(f"s{i}").take(50))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    (frames,) = peer.frames
    assert [op for op, _ in frames] == [BINARY, PING] * (len(frames) // 2)
    assert [int(payload) for op, payload in frames if op == PING] == list(range(1, len(frames) // 2 + 1))


# --- Close frames ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("code", [1000, 1001, 1002, 1011, 1012, 1013, 4000, None])
def test_D22_closed_before_the_pong(node, oracle, daemon, fake_websocket, code):
    """Its Close is answered, and the lines are sent again."""
    bye = frame(CLOSE) if code is None else close_frame(code, b"so long")
    peer = fake_websocket(on=first(2, lambda op, _: bye if op == PING else None))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    for frames in peer.frames[:2]:
        assert frames[-1] == (CLOSE, (code or 1000).to_bytes(2, "big"))
    assert len(peer.connections) == 3 and counter(d, "rejected") == 0
    assert "so long" not in d.log() and f"code {code or 1005}" in d.log_lines("drain failing")[0]


@pytest.mark.parametrize("code", [1003, 1008, 1010])
def test_D22_closed_for_good_suspends(node, oracle, daemon, fake_websocket, code):
    peer = fake_websocket(on=first(1, lambda op, _: close_frame(code) if op == PING else None))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(50))
    wait_for(lambda: d.log_lines("drain suspended"), 10 * SLOW, "it to be said")
    assert str(code) in d.log_lines("drain suspended")[0]
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert counter(d, "rejected") == 0


def test_D22_bad_data_is_bisected(node, oracle, daemon, fake_websocket):
    """1007: the one line that the peer rejects is found and skipped."""
    taken = {}

    def on(op, payload, conn):
        if op == TEXT:
            taken[conn.index] = b"poison" in payload
        return close_frame(1007) if op == PING and taken.get(conn.index) else None

    peer = fake_websocket(on=on)
    d = daemon(node, routes=[("*", peer.url("compression=none"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(3) + [b"7f3ad99c poison"] + source.take(3))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert counter(d, "rejected") == 1
    (line,) = d.log_lines("record refused")
    assert f"file={c.live} offset=" in line and "1007" in line and "7f3ad99c" not in line


def test_D22_1009_halves(node, oracle, daemon, fake_websocket):
    """Like 413: the limit is learned and remembered."""
    large = {}

    def on(op, payload, conn):
        if op == TEXT:
            large[conn.index] = len(payload) > 20000
        return close_frame(1009) if op == PING and large.get(conn.index) else None

    peer = fake_websocket(on=on)
    d = daemon(node, routes=[("*", peer.url("compression=none"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(3000))
    assert oracle.wait_complete(peer, 60 * SLOW).lost == 0
    connections = len(peer.connections)
    assert 1 < connections <= 6
    c.write(source.take(1000))
    assert oracle.wait_complete(peer, 60 * SLOW).lost == 0
    assert len(peer.connections) == connections and counter(d, "rejected") == 0


def test_closing_at_once_and_for_ever_is_a_failure(node, oracle, daemon, fake_websocket):
    """An orderly close right after the handshake, again and again: retried with growing pauses, not in a tight loop."""
    class Bouncer(FakeWebSocket):
        bounce = True

        def serve(self, conn):
            if self.bounce:
                self.upgrade = lambda headers, _: accept(headers) + close_frame(1000)
            super().serve(conn)

    peer = Bouncer()
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: d.log_lines("drain failing"), 10 * SLOW, "it to be said")
    stays(lambda: len(peer.connections) < 8, 2, "pauses")
    peer.bounce, peer.upgrade = False, None
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    peer.close()


# --- cut connections -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["reset_after", "close_after"])
def test_D03_cut_at_every_place(node, oracle, daemon, fake_websocket, how):
    """In the request, in the message, in the Ping: one drain for each position. Afterwards everything is sent anew."""
    places = [*range(1, 240, 12), *range(240, 300, 2)]
    peers = [fake_websocket(script=[Mode(**{how: n})]) for n in places]
    daemon(node, routes=[("*", " ".join(peer.url() for peer in peers))])
    node.container("web-0").write(oracle.source("a", size=60).take(3))
    for place, peer in zip(places, peers):
        oracle.wait_complete(peer, 30 * SLOW).assert_exact(dup_max=3)
        assert not peer.errors() and (len(peer.connections) == 2 or peer.connections[0].received < place)
    assert sum(len(peer.connections) > 1 for peer in peers) > 40


def test_D02_never_reads(node, oracle, daemon, fake_websocket):
    class Stuck(FakeWebSocket):
        def _frame(self, conn, buffer):
            if conn.index < 1:
                conn.mode = NEVER_READ
            return super()._frame(conn, buffer)

    peer = Stuck(rcvbuf=4096)
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s&compression=none"))])
    c = node.container("web-0")
    c.write(oracle.source("a", size=2000).take(3000))
    wait_for(lambda: re.search(f"no pong for {SILENCE_S} s", error(d)), 20 * SLOW, lambda: f"the time to run out; {error(d)}")
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    peer.close()


def test_D05_swallowed(node, oracle, daemon, fake_websocket):
    """Takes everything, confirms nothing, closes without a Close frame."""
    swallowing = [True]

    def on(op, payload, _):
        if swallowing[0] and op == PING:
            raise Ended("fin")

    peer = fake_websocket(on=on)
    d = daemon(node, routes=[("*", peer.url())])
    c = node.container("web-0")
    c.write(oracle.source("a").take(50))
    wait_for(lambda: len(peer.connections) >= 3, 20 * SLOW, "three tries")
    assert state(d)["lag_bytes"] == c.live.stat().st_size and counter(d, "records_out") == 0
    swallowing[0] = False
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


def test_slow_but_taking(node, oracle, daemon, fake_websocket):
    """A peer that needs longer than timeout= for a message is not cut off while it takes some of it."""
    peer = fake_websocket(mode=Mode(bytes_per_s=100000), rcvbuf=4096)
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s&compression=none"))], env={"STOP_GRACE": "1s", "MAX_LINE": "4m"})
    c, source = node.container("web-0"), oracle.source("a", size=200)
    c.write([b"y" * 600000] + source.take(20))
    wait_for(lambda: counter(d, "records_out") == 21, 60 * SLOW, lambda: f"all to be confirmed; {state(d)}")
    assert parse(peer.messages()[-1])[1] == 19
