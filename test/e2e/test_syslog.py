"""docs/faults.md#drains for syslog over TCP and TLS: receivers that refuse, stall, swallow, die, flap; invalid URLs. Frames are
in test_syslog_frames.py, certificates in test_syslog_tls.py, the rules of confirmation in test_syslog_commit.py, UDP and names
in test_syslog_udp.py and test_syslog_dns.py."""

import re
import socket
import struct
import time
from pathlib import Path

import pytest
from lib.daemon import SANITIZED, SILENCE_S, SLOW
from lib.node import Writer
from lib.oracle import parse
from lib.peer import NEVER_READ, NORMAL, ONE_BYTE, SWALLOW, Mode
from lib.wait import Pacer, stays, wait_for

BOTH = pytest.mark.parametrize("syslog_stream", [("tcp", "lf"), ("tls", "octet")], indirect=True, ids="-".join)
TCP = pytest.mark.parametrize("syslog_stream", [("tcp", "lf")], indirect=True, ids="-".join)
MIB = 1 << 20


# --- D01: refused ----------------------------------------------------------------------------------------------------

def test_D01_refused_then_up(node, oracle, daemon, syslog_stream):
    peer, url = syslog_stream()
    peer.refuse()
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(500))
    d.wait_counter(peer.port, "connect_errors", 3, 20)
    row = d.drain(peer.port)
    assert row["last_error"].lower() == f"connect to 127.0.0.1:{peer.port}: connection refused"
    assert row["lag_bytes"] == c.live.stat().st_size, "nothing is confirmed, nothing given up"
    assert len(d.log_lines("drain failing")) == 1, "one line per change of state, not per try"
    peer.resume()
    oracle.wait_complete(peer, 30).assert_exact()
    if syslog_stream.framing == "lf":  # once is enough: it lasts as long as a connection counts as young
        wait_for(lambda: d.log_lines("drain recovered"), 15, "the line that says it is well again")
        assert len(d.log_lines("drain recovered")) == 1
    assert len(d.log_lines("drain failing")) == 1
    assert [x.framing for x in peer.connections] == [syslog_stream.framing]


@TCP
def test_D01_pauses_grow_and_differ(node, oracle, daemon, syslog_stream):
    peers = [syslog_stream() for _ in range(20)]
    for peer, _ in peers:
        peer.refuse()
    d = daemon(node, routes=[("*", url) for _, url in peers])
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: (d.metric("logtrain_drain_connect_errors_total") or 0) >= 2 * len(peers), 60 * SLOW, "two tries of each")
    pauses = [int(re.search(r"retry_ms=(\d+)", line)[1]) for line in d.log_lines("drain failing")]
    assert len(pauses) == len(peers)
    assert all(500 <= p < 1000 for p in pauses) and len(set(pauses)) > 5, f"jitter in the first pause: {pauses}"
    wait_for(lambda: max(row["retry_in_seconds"] for row in d.drains()) > 1, 60 * SLOW, "the pauses to grow")


# --- D02: accepts, never reads ---------------------------------------------------------------------------------------

@BOTH
def test_D02_never_reads(node, oracle, daemon, syslog_stream):
    peer, url = syslog_stream(f"timeout={SILENCE_S}s", mode=NEVER_READ, rcvbuf=4096)
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(50000))
    d.wait_error(peer.port, f"^peer has accepted no data for {SILENCE_S} s$")
    before = d.rss()
    wait_for(lambda: len(peer.connections) >= 3, 20 * SLOW, "the third try")
    assert d.drain(peer.port)["lag_bytes"] == c.live.stat().st_size, "the cursor goes back each time"
    assert SANITIZED or d.rss() < before + 2 * MIB
    peer.mode = NORMAL
    oracle.wait_complete(peer, 60).assert_exact()
    assert len(d.log_lines("drain failing")) == 1
    assert d.drain(peer.port)["counters"]["unconfirmed"] == 0


@pytest.mark.slow
@BOTH
def test_D02_data_the_peer_never_took_is_not_skipped(node, oracle, daemon, syslog_stream):
    """After three rewinds to one position the data there is skipped (docs/design.md#acknowledgement), but only as far as the
    peer's kernel had the bytes: data in our own send buffer is sent again. Skipped data is declared, to the byte."""
    peer, url = syslog_stream("timeout=2s", script=[NEVER_READ] * 4, rcvbuf=16384)
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    source = oracle.source("a")
    c.write(source.take(50000))
    last = source.written - 1
    wait_for(lambda: parse((peer.connections[-1].messages or [b""])[-1]) == ("a", last, True), 60 * SLOW,
             lambda: f"all to be sent: {d.drain(peer.port)}")
    report = oracle.check(peer.messages())
    declared = d.drain(peer.port)["counters"]["unconfirmed"]
    lengths = [len(line) + 1 for line in c.live.read_bytes().split(b"\n")]
    (lost,) = report.lost_ranges.values()
    assert sum(sum(lengths[first:last + 1]) for first, last in lost) == declared, f"{declared} bytes declared\n{report}"
    assert declared < MIB
    report.assert_exact(lost=report.lost)


# --- D04: reads one byte a second ------------------------------------------------------------------------------------

@BOTH
def test_D04_slow_reader_delays_no_other(node, oracle, daemon, syslog_stream, syslog_tcp):
    slow, url = syslog_stream(mode=ONE_BYTE, rcvbuf=4096)
    good = syslog_tcp()
    d = daemon(node, routes=[("*", url), ("*", good.url())])
    c = node.container("web-0")
    c.write(oracle.source("a").take(50000))
    oracle.wait_complete(good, 30).assert_exact()
    begin = d.cpu()
    pacer = Pacer(1)
    assert pacer.due(1) and pacer.due(1) and pacer.due(1)  # three seconds: the test is about the amount per time
    assert d.cpu() - begin <= 0.1 * SLOW, "waiting for a slow reader costs nothing"
    c.write(oracle.source("b").take(10))
    oracle.wait_complete(good, 5).assert_exact()
    assert d.drain(slow.port)["lag_bytes"] > 0 and len(slow.connections) == 1


# --- D05: a proxy that swallows --------------------------------------------------------------------------------------

@BOTH
def test_D05_swallowed_lines_are_not_passed(node, oracle, daemon, syslog_stream):
    """Takes everything and closes in order after 0.3 s, for ever: nothing of it is confirmed."""
    peer, url = syslog_stream(script=[SWALLOW] * 4)
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(300))
    wait_for(lambda: len(peer.connections) >= 4 and not peer.connections[3].open, 40 * SLOW,
             "four connections, which at an age of more than 1 s would do")
    d.wait_error(peer.port, "^connection closed before confirmation$")
    row = d.drain(peer.port)
    assert row["lag_bytes"] == c.live.stat().st_size
    assert row["counters"]["records_out"] == row["counters"]["unconfirmed"] == 0
    assert len(d.log_lines("drain failing")) == 1 and not d.log_lines("without confirmation")
    wait_for(lambda: len(peer.connections) > 4 and len(peer.connections[4].messages) == 300, 40 * SLOW, "the lines once more")
    assert d.drain(peer.port)["counters"]["unconfirmed"] == 0
    oracle.check(peer.messages()).assert_exact(dup_max=300 * 4)


# --- D06: the peer dies, or its host does ----------------------------------------------------------------------------

def test_D06_killed_receiver(node, oracle, daemon, rsyslog):
    """rsyslogd, killed with kill -9 while it receives lines, and started again."""
    r = rsyslog("tcp")
    daemon(node, routes=[("*", r.url())])
    with Writer(node.container("web-0"), oracle.source("a"), rate=1000) as writer:
        progress = oracle.progress(r)
        wait_for(lambda: progress.distinct() > 1500, 20 * SLOW, progress.text)
        r.kill()
        at_kill = writer.source.written
        r.start()
        wait_for(lambda: writer.source.written > at_kill + 1500, 20, "more lines")
        writer.stop()
    oracle.wait_complete(r, 30 * SLOW).assert_exact(dup_max=at_kill)


BPF_DROP = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction: keep 0 bytes
SO_ATTACH_FILTER = 26


def vanish(conn):
    """From now on the kernel drops every segment for this socket: no ACK, no RST, as if the host had disappeared."""
    import ctypes
    code = ctypes.create_string_buffer(BPF_DROP)
    socket.socket.setsockopt(conn.sock, socket.SOL_SOCKET, SO_ATTACH_FILTER,
                             struct.pack("HxxxxxxP", 1, ctypes.addressof(code)))


@BOTH
def test_D06_host_vanishes(node, oracle, daemon, syslog_stream):
    peer, url = syslog_stream(f"timeout={SILENCE_S}s")
    d = daemon(node, routes=[("*", url)])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    oracle.wait_complete(peer, 20)
    vanish(peer.connections[0])
    c.write(source.take(100))
    d.wait_error(peer.port, f"^peer has accepted no data for {SILENCE_S} s$")
    oracle.wait_complete(peer, 30).assert_exact(dup_max=100)
    assert len(peer.connections) == 2 and len(peer.connections[0].messages) == 100


@TCP
def test_D06_idle_connections_are_probed(node, oracle, daemon, syslog_stream):
    """There is nothing to send and the host is gone: keepalive shows it within a minute, so the kernel's keepalive timer is on."""
    peer, url = syslog_stream()
    daemon(node, routes=[("*", url)])
    node.container("web-0").write(oracle.source("a").take(10))
    oracle.wait_complete(peer, 20)

    def timer():
        _, ours = peer.connections[0].sock.getpeername()
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        (row,) = [r for r in rows if r[1].endswith(f":{ours:04X}") and r[2].endswith(f":{peer.port:04X}")]
        kind, when = row[5].split(":")
        return kind == "02" and int(when, 16) <= 3000  # keepalive, in hundredths of a second

    wait_for(timer, 5, "a keepalive timer of at most 30 s")


# --- D07: half-close, idle close -------------------------------------------------------------------------------------

@BOTH
def test_D07_half_close(node, oracle, daemon, syslog_stream):
    """The peer sends FIN and goes on reading. Later lines use a new connection; nothing is missing."""
    peer, url = syslog_stream(script=[Mode(half_close=0.5)])
    d = daemon(node, routes=[("*", url)])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    d.wait_error(peer.port, "^connection closed before confirmation$")
    c.write(source.take(100))
    oracle.wait_complete(peer, 20).assert_exact(dup_max=100)
    wait_for(lambda: len(peer.connections) == 2 and not peer.connections[0].open, 10, "the first connection's end")


@BOTH
def test_D07_idle_close(node, oracle, daemon, syslog_stream):
    """A load balancer closes an idle connection in order when it is no longer young: no duplicate, no warning, and no new
    connection before there is data."""
    peer, url = syslog_stream(script=[Mode(fin_after=13.5)])
    d = daemon(node, routes=[("*", url)])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    wait_for(lambda: peer.connections and peer.connections[0].messages, 10 * SLOW, "the connection")
    conn = peer.connections[0]
    wait_for(lambda: time.monotonic() > conn.opened + 10, 20, "it to be no longer young")
    c.write(source.take(100))  # younger than the commit lag when it ends
    wait_for(lambda: not peer.connections[0].open, 10, "the idle close")
    stays(lambda: len(peer.connections) == 1, 1, "no connection without lines")
    assert d.drain(peer.port)["lag_bytes"] == 0
    c.write(source.take(100))
    oracle.wait_complete(peer, 10).assert_exact()
    assert len(peer.connections) == 2
    assert not d.log_lines("drain failing")


# --- D28: flaps ------------------------------------------------------------------------------------------------------

@pytest.mark.slow
@BOTH
def test_D28_flapping(node, oracle, daemon, syslog_stream):
    """The connection ends every 2 s, by reset or in order, while lines are written: they all arrive, each a few times at most,
    and the log is not flooded. Lines that the receiver lost by a reset are sent again, because they had been sent fewer times
    than the limit (rewind.c)."""
    peer, url = syslog_stream(script=lambda i: Mode(fin_after=2) if i % 2 else None)
    d = daemon(node, routes=[("*", url)])
    with Writer(node.container("web-0"), oracle.source("a"), rate=200) as writer:
        for n in range(1, 6):
            wait_for(lambda n=n: len(peer.connections) >= n, 60 * SLOW, f"connection {n}")
            conn = peer.connections[n - 1]
            wait_for(lambda conn=conn: not conn.open or time.monotonic() > conn.opened + 2, 5, "two seconds")
            conn.order("reset")
        peer.script = []
        writer.stop()
    report = oracle.wait_complete(peer, 60 * SLOW)
    report.assert_exact(dup_max=4 * report.written)
    assert len(d.log_lines("drain failing")) == 1 and len(d.log_lines(" warn | error ")) <= 4, d.tail()


# --- D30: invalid URLs -----------------------------------------------------------------------------------------------

BAD = [
    ("syslog+tcp://", "host"),
    ("syslog+tcp://:601/", "host"),
    ("syslog+tcp://localhost:0/", "port"),
    ("syslog+tcp://localhost:70000/", "port"),
    ("syslog+tcp://localhost:6o1/", "port"),
    ("sylog+tcp://localhost/", "scheme"),
    ("localhost:601", "scheme"),
    ("syslog+tcp://local\x00host/", "control|NUL|character"),
    ("syslog+tcp://local\x1bhost/", "control|character"),
    ("syslog+tcp://[fe80::1%25eth0]:601/", "zone|address"),
    ("http://user:{secret}@localhost#@127.0.0.1/", "@|fragment|host"),
    ("http://user@{secret}@localhost/", "@|host|user"),
    ("syslog+tcp://user:{secret}@localhost/", "user|password"),
    ("syslog+tcp://localhost/?framing=crlf", "framing"),
    ("syslog+tcp://localhost/?colour={secret}", "colour"),
    ("syslog+tls://localhost/?ca={secret}", "ca"),
    ("syslog+tcp://localhost/?timeout=1s&timeout=2s", "timeout"),
    ("syslog+tcp://" + "a" * 65536 + "/", "long|host"),
    ("mqtt://:{secret}@localhost/", "mqtt"),
]


def test_D30_bad_urls_are_named_and_the_others_work(node, oracle, daemon, syslog_tcp, syslog_udp):
    tcp, udp = syslog_tcp(), syslog_udp()
    d = daemon(node, routes=True)
    urls = [url.replace("{secret}", d.secret()) for url, _ in BAD]
    lines = ["# nothing here"]
    for i, url in enumerate(urls):  # beside a good one, in front of it and behind it
        lines.append(f"*  {url} {tcp.url()}" if i % 2 else f"*  {udp.url()} {url}")
    lines += ["*", f"bad\x07pattern {tcp.url()}"]
    d.set_routes(lines)
    d.hup()
    node.container("web-0").write(oracle.source("a").take(100))
    for peer in (tcp, udp):
        oracle.wait_complete(peer, 20).assert_exact()
    for i, (url, why) in enumerate(BAD):
        (line,) = d.log_lines(rf"route refused .* line={i + 2} ")
        assert re.search(why, line.split("error=")[1]), f"{url[:60]!r}: {line}"
        assert len(line) < 1000
    assert d.log_lines(rf"route refused .* line={len(BAD) + 2} ") and d.log_lines(rf"route refused .* line={len(BAD) + 3} ")
    d.check_canaries()
