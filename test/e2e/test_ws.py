"""ws and wss against Python's websockets: the contract of zlogs, text messages, credentials, and receivers that come and go."""

import base64
import gzip
import json
import re
import time

import pytest
from lib.daemon import SLOW
from lib.node import Writer
from lib.oracle import parse
from lib.wait import stays, wait_for
from lib.websocket import libwebsockets, websocket  # noqa: F401


def state(d):
    """The only drain of a daemon, as /drains shows it; waits until it exists."""
    (drain,) = wait_for(d.drains, 10 * SLOW, "the drain")
    return drain


def counter(d, name):
    return state(d)["counters"][name]


def error(d):
    return state(d)["last_error"] or ""


@pytest.mark.tsan
def test_zlogs_receiver_gets_exactly_the_lines(node, oracle, daemon, websocket):
    """Binary messages, each a separate gzip member with whole lines; decompressed and appended, they are the log."""
    peer = websocket()
    d = daemon(node, routes=[("*", peer.url())])
    source = oracle.source("a")
    lines = source.take(5000)
    c = node.container("web-0")
    for at in range(0, 5000, 500):
        c.write(lines[at:at + 500])
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    assert peer.received.read_bytes() == b"".join(line + b"\n" for line in lines)
    assert all(isinstance(m, bytes) and gzip.decompress(m).endswith(b"\n") for m in peer.wire)
    wait_for(lambda: counter(d, "records_out") == 5000, 60 * SLOW, "all to be confirmed")
    assert counter(d, "retries") == 0 and counter(d, "connects") == 1 and state(d)["lag_bytes"] == 0
    (path, headers), = peer.requests
    assert path == "/" and "authorization" not in headers and "sec-websocket-extensions" not in headers


@pytest.mark.parametrize("fmt", ["raw", "json", "gelf", "rfc5424"])
def test_text(node, oracle, daemon, websocket, fmt):
    peer = websocket()
    daemon(node, routes=[("*", peer.url(f"compression=none&format={fmt}"))])
    node.container("web-0").write(oracle.source("a").take(300))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    assert all(isinstance(m, str) and m.endswith("\n") for m in peer.wire)
    if fmt in ("json", "gelf"):
        records = [json.loads(line) for m in peer.wire for line in m.splitlines()]
        assert len(records) == 300 and all(r.get("message", r.get("short_message")).startswith("lt a ") for r in records)


def test_text_is_utf8_whatever_the_log_holds(node, daemon, websocket):
    peer = websocket()
    d = daemon(node, routes=[("*", peer.url("compression=none"))])
    c = node.container("web-0")
    c.write([b"a\xffb", b"\xe2\x98\x83 ok", b"half \xe2\x98", b"x" * 1000 + b"\xc0\xaf", b"plain"])
    wait_for(lambda: peer.count() == 5, 10 * SLOW, "the lines")
    assert [m.decode() for m in peer.messages()] == ["a\ufffdb", "\u2603 ok", "half \ufffd", "x" * 1000 + "\ufffd\ufffd", "plain"]
    assert not d.log_lines("drain failing")


@pytest.mark.parametrize("options, fixed", [("", True), ("format=rfc5424", True), ("utf8=valid", True), ("utf8=keep", False)])
def test_L11_text_for_people_is_utf8(node, daemon, websocket, options, fixed):
    """A receiver decodes each message: one byte that is not UTF-8 would make it close and lose what it has not processed."""
    peer = websocket()
    bad = [b"a\xffb", b"half \xe2\x98", b"\xc0\xaf", b"\xed\xa0\x80", b"\x80" * 500, "\u2603 ok".encode()]
    daemon(node, routes=[("*", peer.url(options))])
    node.container("web-0").write(bad)
    wait_for(lambda: peer.count() == len(bad), 10 * SLOW, "the lines")
    for got, was in zip(peer.messages(), bad):
        assert got.endswith(was.decode("utf-8", "replace").encode() if fixed else was)


BAD = b"7f3ad99c the line at which it fails"


def received(oracle, peer, d, rejected):
    """All but the bad lines have arrived, the bad ones were skipped, and nothing is waiting."""
    wait_for(lambda: counter(d, "rejected") == rejected and state(d)["lag_bytes"] == 0, 400, lambda: f"the end of it: {d.drains()}")
    report = oracle.wait_complete(peer, 60 * SLOW)
    assert report.lost == 0 and not report.corrupt and report.refused >= rejected
    assert counter(d, "unconfirmed") == 0


@pytest.mark.slow
@pytest.mark.parametrize("how, place, lines", [(how, 583, 1000) for how in ("raise", "reset")] + [("raise", 0, 1000)] +
                         [(how, 23, 40) for how in ("end", 1002, 1007, 1009, 4000)])
def test_L11_a_receiver_that_fails_at_a_line(node, oracle, daemon, websocket, how, place, lines):
    """Its library has sent the Pongs, but its program has not processed the messages. All of that is sent again in smaller and
    smaller messages, until the line on which it fails is alone: this line is skipped, counted and reported."""
    peer = websocket(fails=(how, BAD))
    c, source = node.container("web-0"), oracle.source("a")
    d = daemon(node, routes=[("*", peer.url())])
    c.write(source.take(place) + [BAD] + source.take(lines - place))
    received(oracle, peer, d, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["raise", "reset"])
def test_L11_several_such_lines_of_several_streams(node, oracle, daemon, websocket, how):
    peer = websocket(fails=(how, BAD))
    d = daemon(node, routes=[("*", peer.url())])
    for i in range(2):
        source = oracle.source(f"s{i}")
        node.container(f"web-{i}").write(source.take(12) + [BAD] + source.take(12) + ([BAD] if i else []) + source.take(1))
    received(oracle, peer, d, 3)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", ["raise", "reset"])
def test_L11_a_receiver_that_fails_at_everything(node, oracle, daemon, websocket, how):
    """It has taken nothing behind the line on which it fails: then the receiver is at fault, and nothing is skipped. When it is
    repaired, everything arrives."""
    peer = websocket(fails=(how, b"lt a "))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(100))
    wait_for(lambda: state(d)["state"] == "held", 120 * SLOW, lambda: f"it to be held: {d.drains()}")
    assert counter(d, "rejected") == 0 and state(d)["lag_bytes"] > 0
    peer.fails = None
    assert oracle.wait_complete(peer, 240 * SLOW).lost == 0
    wait_for(lambda: state(d)["lag_bytes"] == 0, 240 * SLOW, "all to be confirmed")
    assert counter(d, "rejected") == 0


def test_L11_a_line_with_nothing_behind_it_waits(node, oracle, daemon, websocket):
    """The peer has taken nothing since it first failed on the line: the line waits until another one can be sent."""
    peer = websocket(fails=("raise", BAD))
    d = daemon(node, routes=[("*", peer.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(50))
    wait_for(lambda: counter(d, "records_out") == 50 and state(d)["lag_bytes"] == 0, 60 * SLOW, "the first lines to be confirmed")
    c.write([BAD])
    wait_for(lambda: state(d)["state"] == "held", 120 * SLOW, lambda: f"it to be held: {d.drains()}")
    assert counter(d, "rejected") == 0 and state(d)["lag_bytes"] > 0
    c.write(source.take(5))
    received(oracle, peer, d, 1)


def test_L11_a_pong_alone_confirms_nothing(node, oracle, daemon, websocket):
    """Lines that the library acknowledged and the program never processed are sent again after the connection has broken."""
    peer = websocket(hangs=True)
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(20))
    wait_for(lambda: peer.pongs(), 60 * SLOW, "the pong")
    peer.hangs = False
    peer.reset()
    oracle.wait_complete(peer, 60 * SLOW)
    wait_for(lambda: state(d)["lag_bytes"] == 0, 60 * SLOW, "the lines to be confirmed")
    assert counter(d, "rejected") == 0 and counter(d, "records_out") == 20


def test_binary_is_byte_exact(node, daemon, websocket):
    """Except for LF and NUL inside a line, which are replaced because they end lines elsewhere."""
    peer = websocket()
    daemon(node, routes=[("*", peer.url("utf8=keep"))])
    lines = [b"a\xffb", b"\r", b"", b"\x01\x02\x7f", bytes(range(1, 10)) + bytes(range(11, 256))]
    node.container("web-0").write(lines)
    wait_for(lambda: peer.count() == 5, 10 * SLOW, "the lines")
    assert peer.messages() == lines


@pytest.mark.parametrize("userinfo, token, expected", [
    ("u:{}", "", "Basic"), ("", "token={}", "Bearer"), ("", "", None)])
def test_credentials(node, oracle, daemon, websocket, userinfo, token, expected):
    peer = websocket()
    d = daemon(node, routes=True, env={"LOG_LEVEL": "debug", "LOGTRAIN_TRACE": "drain,route"})
    secret = d.secret()
    d.set_routes([("*", peer.url("&".join(filter(None, ["x=1", token.format(secret)])), path="/in/put",
                                 userinfo=userinfo.format(secret)))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    (path, headers), = peer.requests
    assert path == "/in/put?x=1"
    wanted = {"Basic": "Basic " + base64.b64encode(f"u:{secret}".encode()).decode(), "Bearer": f"Bearer {secret}", None: None}
    assert headers.get("authorization") == wanted[expected]
    peer.refuse()
    node.container("web-1").write(oracle.source("b").take(20))
    wait_for(lambda: d.log_lines("drain failing"), 10 * SLOW, "the failure")


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 302])
def test_D22_refused_upgrades_suspend(node, oracle, daemon, websocket, status):
    refusing = [True]
    peer = websocket(answers=lambda *_: status if refusing[0] else None)
    d = daemon(node, routes=True)
    d.set_routes([("*", peer.url(userinfo=f"u:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(50))
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, lambda: f"the drain to be held; {state(d)}")
    assert str(status) in error(d) and len(d.log_lines("drain suspended")) == 1
    refusing[0] = False
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert {path for path, _ in peer.requests} == {"/"}


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_refused_for_now(node, oracle, daemon, websocket, status):
    peer = websocket(answers=lambda *_: status if len(peer.requests) <= 2 else None)
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert len(peer.requests) == 3 and str(status) in d.log_lines("drain failing")[0]


# --- TLS -------------------------------------------------------------------------------------------------------------

def test_tls(node, oracle, daemon, websocket, certs):
    peer = websocket(tls=True)
    d = daemon(node, routes=[("*", peer.url("ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(3000))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    assert counter(d, "connects") == 1


@pytest.mark.parametrize("cert, why", [("expired", "expired"), ("wronghost", "mismatch"), ("unknown", "issuer"), ("selfsigned", "self-signed|self signed")])
def test_D08_bad_certificates(node, oracle, daemon, websocket, certs, cert, why):
    peer = websocket(tls=cert)
    d = daemon(node, routes=[("*", peer.url("ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: re.search(why, error(d)), 10 * SLOW, lambda: f"the refusal; {error(d)}")
    assert not peer.requests


# --- coming and going ------------------------------------------------------------------------------------------------

def test_D01_down_and_back(node, oracle, daemon, websocket):
    peer = websocket()
    peer.refuse()
    d = daemon(node, routes=[("*", peer.url())])
    c = node.container("web-0")
    c.write(oracle.source("a").take(2000))
    wait_for(lambda: counter(d, "connect_errors") >= 3, 20 * SLOW, "three tries")
    assert state(d)["lag_bytes"] == c.live.stat().st_size and len(d.log_lines("drain failing")) == 1
    peer.resume()
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


def test_receiver_restarts(node, oracle, daemon, websocket):
    """Closed with 1001 while lines are sent, gone for a moment, back. At most what was not confirmed arrives twice."""
    peer = websocket()
    d = daemon(node, routes=[("*", peer.url())])
    with Writer(node.container("web-0"), oracle.source("a"), rate=2000) as writer:
        for _ in range(3):
            before = counter(d, "records_out")
            wait_for(lambda: counter(d, "records_out") > before + 500, 30 * SLOW, "some lines")
            peer.refuse()
            peer.resume()
        writer.stop()
    assert oracle.wait_complete(peer, 60 * SLOW).lost == 0
    assert counter(d, "rejected") == 0


@pytest.mark.parametrize("code", [1000, 1001])
def test_D22_closed_while_idle(node, oracle, daemon, websocket, code):
    """Nothing was in flight: this is no failure, and the next lines use a new connection."""
    peer = websocket()
    d = daemon(node, routes=[("*", peer.url())])
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(3):
        c.write(source.take(100))
        oracle.wait_complete(peer, 20 * SLOW).assert_exact()
        wait_for(lambda: state(d)["lag_bytes"] == 0, 60 * SLOW, "all to be confirmed")
        peer.hang_up(code)
    assert not d.log_lines("drain failing") and counter(d, "disconnects") == 0


@pytest.mark.slow
def test_D22_message_too_large(node, oracle, daemon, websocket):
    """The receiver's limit is learned from its 1009 and remembered; a line that alone is too long is skipped."""
    peer = websocket(max_size=20000)
    d = daemon(node, routes=[("*", peer.url("compression=none"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(2000))
    report = oracle.wait_complete(peer, 60 * SLOW)  # messages that it had read just before the 1009 are sent again
    assert report.lost == 0 and not report.corrupt
    learned = peer.closed.count(1009)
    assert 0 < learned <= 8 and counter(d, "rejected") == 0
    c.write(source.take(10) + [b"x" * 60000] + source.take(10))
    assert oracle.wait_complete(peer, 60 * SLOW).lost == 0
    wait_for(lambda: counter(d, "too_large") == 1, 60 * SLOW, "the count")
    (line,) = d.log_lines("record refused")
    assert f"file={c.live} offset=" in line and "1009" in line and "xxx" not in line
    before = peer.closed.count(1009)
    c.write(source.take(1000))
    assert oracle.wait_complete(peer, 60 * SLOW).lost == 0
    assert peer.closed.count(1009) == before


def test_slow_receiver_delays_no_other(node, oracle, daemon, websocket, http):
    """It takes half a second per message: another drain is not affected."""
    peer, witness = websocket(delay=0.5), http()
    daemon(node, routes=[("*", peer.url()), ("*", witness.url("batch=ndjson&linger=10ms"))], env={"STOP_GRACE": "1s"})
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(5):
        c.write(source.take(2000))
        oracle.wait_complete(witness, 2 * SLOW).assert_exact()
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


def test_linger_makes_messages_larger(node, oracle, daemon, websocket):
    peer = websocket()
    daemon(node, routes=[("*", peer.url("linger=1s"))])
    began = time.monotonic()
    with Writer(node.container("web-0"), oracle.source("a"), rate=500, count=1000) as writer:
        writer.join()
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    assert len(peer.wire) <= time.monotonic() - began + 4


def test_stop_sends_close(node, oracle, daemon, websocket):
    peer = websocket()
    d = daemon(node, routes=[("*", peer.url())])
    with Writer(node.container("web-0"), oracle.source("a"), rate=5000) as writer:
        wait_for(lambda: peer.count() > 1000, 20 * SLOW, "lines")
        d.stop()
        writer.stop()
    report = oracle.check(peer.messages())
    report.assert_exact(pending=report.written - report.distinct)
    assert [first for first, _ in report.lost_ranges["a"]] in ([], [report.distinct])
    wait_for(lambda: peer.closed == [1000], 60 * SLOW, lambda: f"a close frame; {peer.closed}")


def test_many_streams_over_one_connection(node, oracle, daemon, websocket):
    peer = websocket()
    d = daemon(node, routes=[("*", peer.url())])
    for i in range(20):
        c = node.container(f"web-{i}")
        c.write(oracle.source(c.pod.name).take(500))
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert counter(d, "connects") == 1 and len(peer.requests) == 1
    stays(lambda: parse(peer.messages()[-1]), 0.1, "whole lines")


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("options", ["", "compression=none&format=json"], ids=["gzip", "text"])
def test_libwebsockets_confirms_every_line(node, oracle, daemon, libwebsockets, tls, options):
    """Its Pongs arrive in order after what it has read, over one connection, and again after it was killed."""
    server = libwebsockets(tls)
    d = daemon(node, routes=[("*", server.url(options))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(2000))
    wait_for(lambda: counter(d, "records_out") == 2000 and state(d)["lag_bytes"] == 0, 20 * SLOW, lambda: f"{state(d)}")
    assert counter(d, "connects") == 1 and counter(d, "retries") == 0
    server.kill()
    c.write(source.take(500))
    wait_for(lambda: counter(d, "connect_errors") > 0, 10 * SLOW, "the end to be noticed")
    server.start()
    wait_for(lambda: state(d)["lag_bytes"] == 0, 20 * SLOW, lambda: f"{state(d)}")
    assert counter(d, "rejected") == 0
