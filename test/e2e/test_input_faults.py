"""docs/faults.md#inputs for the syslog inputs: senders that are slow, silent, too many or malformed, datagrams faster than they
can be read, and no free descriptors. Well-behaved senders are not affected."""

import contextlib
import re
import socket
import ssl
import threading

import pytest
from lib.daemon import SLOW, limits
from lib.listener import MIB, NUMBER, Listener, complete, line, numbers, tls_settings
from lib.node import Writer
from lib.preload import Clock
from lib.wait import stays, wait_for

# --- N01: slow, silent, too many -----------------------------------------------------------------------------------------


@pytest.fixture(params=["tcp", "tls"])
def kind(request):
    return request.param


def over(sock):
    """Whether the daemon has ended that connection."""
    sock.settimeout(0.01)
    try:
        return sock.recv(1) == b""
    except (TimeoutError, ssl.SSLWantReadError):
        return False
    except OSError:  # a reset, or an incomplete TLS record
        return True


def open_one(d, kind, certs, source=None):
    return d.secure(certs, source) if kind == "tls" else d.connect(source=source)


def test_N01_slow_and_silent_senders_end_and_a_healthy_one_goes_on(daemon, syslog_tcp, tmp_path, certs, kind):
    """A first byte, a handshake, or the rest of a message must come within a minute; between messages a sender may be silent for
    any time."""
    clock, peer, slow_s = Clock(tmp_path), syslog_tcp(), limits()["INPUT_SLOW_MS"] / 1000
    d = Listener(daemon, [("*", peer.url())], tmp_path, **tls_settings(certs), **clock.env)
    with contextlib.ExitStack() as stack:
        def some(n, what=b"", make=lambda: open_one(d, kind, certs)):
            made = [stack.enter_context(make()) for _ in range(n)]
            for s in made:
                s.sendall(what)
            return made

        (healthy,) = some(1, line(0))
        complete(peer, 1)
        fds = len(d.daemon.fds())
        raw = (lambda: d.connect("tls")) if kind == "tls" else d.connect
        bad = some(8)                                                    # connect and idle
        quick = some(8, make=raw) + some(8, b"\x16" if kind == "tls" else b"<", raw)  # half a handshake, or a first byte
        if kind == "tcp":
            bad, quick = bad + quick, []
        dripping = some(8, b"<13>1 - web app - - - n") + some(8, b"99 <13>1 - web app - - - n")
        wait_for(lambda: d.metric("logtrain_input_connections", kind) == 41, 20 * SLOW, "all to be there")
        clock.step(mono=slow_s - 45)
        for s in dripping:
            s.sendall(b"=")  # one more byte does not extend the time
        healthy.sendall(line(1))
        complete(peer, 2)
        for s in quick:  # the limit of a handshake is shorter
            wait_for(lambda: d.daemon.metrics() and over(s), 20 * SLOW, "a handshake to be ended")
        wait_for(lambda: d.metric("logtrain_input_connections", kind) == 41 - len(quick), 20 * SLOW, "their places")
        assert not any(map(over, bad + dripping)), "too early"
        clock.step(mono=46)
        for s in bad + dripping:
            wait_for(lambda: d.daemon.metrics() and over(s), 20 * SLOW, "a slow one to be ended")
        wait_for(lambda: d.metric("logtrain_input_connections", kind) == 1, 20 * SLOW, "all places but one")
        assert d.metric("logtrain_input_connection_errors_total", kind) == 40
        wait_for(lambda: len(d.daemon.fds()) <= fds + 1, 20 * SLOW, "their descriptors")  # + the journal of "<"
        clock.step(mono=100 * slow_s)
        assert d.daemon.metrics() and not over(healthy)
        healthy.settimeout(10 * SLOW)
        healthy.sendall(line(2))
        complete(peer, 3)
        healthy.sendall(b"<13>1 - web app")  # the minute for this one starts now
        clock.step(mono=slow_s - 20)
        stays(lambda: d.daemon.metrics() and not over(healthy), 0.3, "it is not ended")


def fill(d, stack, kind, most, of_one):
    """Takes all places but one from four addresses, with silent connections (TLS: without a handshake); the first place belongs
    to another sender."""
    for i in range(1, most):
        stack.enter_context(d.connect(kind, f"127.0.0.{1 + i // of_one}"))
    wait_for(lambda: d.metric("logtrain_input_connections", kind) == most, 30 * SLOW, "all places to be taken")


def test_T11_connections_that_have_sent_nothing_make_room(daemon, syslog_tcp, tmp_path, certs, kind):
    """1,024 connections from 4 addresses, idle or with half a handshake. A new sender is accepted at once and its lines arrive,
    from another address and from one of these. Connections that have sent data stay."""
    most, most_of_one = limits()["INPUT_CONNECTIONS_MAX"], limits()["INPUT_CONNECTIONS_PER_PEER"]
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, **tls_settings(certs))
    with contextlib.ExitStack() as stack:
        healthy = stack.enter_context(open_one(d, kind, certs))
        healthy.sendall(line(0))
        complete(peer, 1)
        fds = len(d.daemon.fds())
        fill(d, stack, kind, most, most_of_one)
        for i in range(1, 21):
            source = "127.0.0.99" if i % 2 else f"127.0.0.{1 + i % 4}"
            s = stack.enter_context(open_one(d, kind, certs, source))
            s.sendall(line(i))
            complete(peer, i + 1)
        assert d.metric("logtrain_input_connections_total", kind, result="refused") == 0
        assert d.metric("logtrain_input_connections", kind) <= most
        assert len(d.daemon.fds()) <= fds + most + 8
        assert not over(healthy)
        healthy.settimeout(10 * SLOW)
        healthy.sendall(line(21))
        complete(peer, 22)
    wait_for(lambda: len(d.daemon.fds()) <= fds, 20 * SLOW, "all descriptors")


def test_N01_connections_that_send_are_limited_for_each_address(daemon, syslog_tcp, tmp_path):
    """Connections that have sent data are not evicted: above the limit a new one is closed at once, and a place that becomes free
    can be used."""
    most_of_one = limits()["INPUT_CONNECTIONS_PER_PEER"]
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path)
    with contextlib.ExitStack() as stack:
        there = [stack.enter_context(d.connect()) for _ in range(most_of_one)]
        for i, s in enumerate(there):
            s.sendall(line(i))
        complete(peer, most_of_one)
        late = stack.enter_context(d.connect())
        wait_for(lambda: over(late), 20 * SLOW, "one too many of that address to be closed")
        assert d.metric("logtrain_input_connections_total", result="refused") == 1
        other = stack.enter_context(d.connect(source="127.0.0.99"))
        other.sendall(line(most_of_one))
        complete(peer, most_of_one + 1)
        there.pop().close()
        wait_for(lambda: d.metric("logtrain_input_connections") == most_of_one, 20 * SLOW, "the place to be free")
        again = stack.enter_context(d.connect())
        again.sendall(line(most_of_one + 1))
        complete(peer, most_of_one + 2)


def test_N01_half_closed_and_reset(daemon, syslog_tcp, tmp_path):
    """A sender that closes only its side, with a last line that has no end, and one that resets: neither connection stays."""
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path)
    with d.connect() as half, d.connect() as reset:
        half.sendall(line(0) + line(1)[:-1])
        half.shutdown(socket.SHUT_WR)
        complete(peer, 2)
        wait_for(lambda: over(half), 20 * SLOW, "its other half")
        reset.sendall(line(2) + b"<13>1 - web app - - - n=3")
        complete(peer, 3)
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_for(lambda: d.metric("logtrain_input_connections") == 0, 20 * SLOW, "their places")
    with d.connect() as s:
        s.sendall(line(3))
        complete(peer, 4)


# --- N03: malformed ------------------------------------------------------------------------------------------------------

RAW = [
    b"<192>1 - web app - - - above 191", b"<999999999999>1 - web app - - - far above", b"no priority", b"<>1 - web app - - - none",
    b"<-1>1 - web app - - - below 0", b"<013>1 - web app - - - a zero in front", b"<1", b"<13>1", b"<13>1 - web app",
    b"<13>1 99999-01-01T00:00:00Z web app - - - year", b"<13>1 2026-13-45T99:99:99Z web app - - - month",
    b"<13>1 2026-01-01 web app - - - no time", b"<13>1 - w\0eb app - - - a NUL in a field", b"<13>1 - w\xffb app - - - no ASCII",
    b"\xef\xbb\xbf<13>1 - web app - - - BOM first", b"\0<13>1 - web app - - - NUL first",
    b"<13>1 2026-02-29T10:15:00Z web app - - - a day that the year does not have",
]
PARSED = [
    (b"<13>1 0000-01-01T00:00:00Z web app - - - ", b"year 0"), (b"<13>1 - web app - - - \xef\xbb\xbf", "Bäume".encode()),
    (b"<13>1 - web app - - - ", b"a\0NUL, \xff\xfe and \x1b[31m"), (b"<191>1 - web app - - - ", b"191"), (b"<0>1 - web app - - - ", b"0"),
    (b"<13>1 - web app - - [a@1 b=\"\\]\"] ", b"escaped"), (b"<13>Feb 29 10:15:00 web app: ", b"a day that not every year has"),
    (b"<13>1 - web app - - ", b'[a@1 b="c]d"] unescaped'), (b"<13>1 - web app - - ", b'[a@1 b="c" no end'),
    (b"<13>1 - web app - - ", b"[] no name"), (b"<13>1 - web app 7 - ", b"no structured data"),
    (b"<13>", b"nothing but a priority"), (b"<13>", b"Feb 31 27:61:61 web app: no such time"), (b"<13>", b'{"json": 1}'),
]


def malformed(start):
    """(what is sent, the expected output, whether it is kept whole), numbered from <start>; valid ones between them."""
    for i, raw in enumerate(RAW):
        at = start + 2 * i
        yield raw + b" n=%d" % at, b" " + raw.removeprefix(b"<13>") + b" n=%d" % at, True
        yield line(at + 1)[:-1], b" n=%d" % (at + 1), False
    for i, (head, text) in enumerate(PARSED):
        at = start + 2 * len(RAW) + i
        yield head + text + b" n=%d" % at, b" " + text + b" n=%d" % at, False


@pytest.mark.parametrize("way", ["lf", "octet", "udp"])
def test_N03_malformed_messages_are_kept_whole_and_counted(daemon, syslog_tcp, tmp_path, way):
    """Byte for byte except for the priority, under the sender's address; and the valid message behind each one arrives."""
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url("framing=octet"))], tmp_path, SYSLOG_UDP="true")
    rows = list(malformed(0))
    if way == "lf":  # a NUL ends a line (test_L12); between lines it belongs to none
        rows = [(sent.replace(b"\0", b""), sent[-10:], False) if b"\0" in sent else (sent, out, raw) for sent, out, raw in rows]
    if way == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for sent, _, _ in rows:
                s.sendto(sent, ("127.0.0.1", d.port("udp")))
            complete(peer, len(rows))
    else:
        with d.connect() as s:
            for sent, _, _ in rows:
                s.sendall(sent + b"\n" if way == "lf" else b"%d %s" % (len(sent), sent))
            complete(peer, len(rows))
    by_number = {int(NUMBER.search(m)[1]): m for m in peer.messages()}
    for i, (sent, out, raw) in enumerate(rows):
        assert by_number[i].endswith(out), sent
        if raw:
            assert re.match(rb"<13>1 \S+ 127\.0\.0\.1 - - - \[input@32473 peer=\"127\.0\.0\.1\"\] ", by_number[i]), by_number[i]
    on = "udp" if way == "udp" else "tcp"
    assert d.metric("logtrain_input_records_total", on) == len(rows)
    assert d.metric("logtrain_input_malformed_total", on, kind="unparsed") == sum(raw for _, _, raw in rows)
    assert d.metric("logtrain_input_malformed_total", on, kind="framing") == 0


def test_N03_single_bytes_and_endless_structured_data(daemon, syslog_tcp, tmp_path):
    """Each possible byte as a message of its own; structured data of 10 MiB, and of sizes close to the limit of a record."""
    peer, max_sd = syslog_tcp(), limits()["JOURNAL_SD_MAX"]
    d = Listener(daemon, [("*", peer.url("framing=octet"))], tmp_path, MAX_LINE="64k")
    alone = [bytes([i]) for i in range(256)]
    forged, stamp = b'[input@32473 peer="1.2.3.4"]', b'[input@32473 peer="127.0.0.1"]'
    sizes = [1000, max_sd - len(stamp), max_sd - len(stamp) + 1, max_sd, max_sd + 1, max_sd + 20000]
    fits = [size + len(stamp) <= max_sd for size in sizes]
    with d.connect() as s:
        s.sendall(b"".join(b"1 " + b for b in alone) + b"%d %s" % (len(line(0)) - 1, line(0)[:-1]))
        complete(peer, 1)
        s.sendall(b'\n<13>1 - web app - - [a@1 b="' + b"x" * (10 * MIB) + b'"] m\n' + line(1))
        for i, size in enumerate(sizes):
            s.sendall(b'<13>1 - web app - - %s[a@1 b="%s"] n=%d\n' % (forged, b"y" * (size - 10), 2 + i))
        complete(peer, 2 + len(sizes))
    got = peer.messages()
    single = [m for m in got if len(m) < 100 and not NUMBER.search(m)]
    assert all(m[:-1].endswith(b" 127.0.0.1 - - - [input@32473 peer=\"127.0.0.1\"] ") for m in single)
    assert [m[-1:] for m in single] == alone
    cut = [m for m in got if b"xxxx" in m and not NUMBER.search(m)]
    assert len(cut) == 1 and b'[a@1 b="xxxx' in cut[0] and 60000 < len(cut[0]) < 70000
    for m in (m for m in got if NUMBER.search(m)):
        assert m.count(b"[input@32473 ") == 1 and stamp in m, "what the sender claims of himself"
    assert [m.count(b"y") for m in got if NUMBER.search(m)][2:] == [size - 10 if fit else 0 for size, fit in zip(sizes, fits)]
    assert d.metric("logtrain_input_malformed_total", kind="cut") == 1 + fits.count(False)


# --- N04: datagrams faster than they can be read -------------------------------------------------------------------------

class Flood:
    """Sends datagrams to the daemon and counts them. The kernel accepts each; those that do not fit are dropped at the receiver's
    socket."""

    def __init__(self, d, host="flood"):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", d.port("udp")))
        self.host = host
        self.sent = 0

    def send(self, n, size=0):
        for _ in range(n):
            self.sock.send(line(self.sent, self.host, size)[:-1])
            self.sent += 1

    def close(self):
        self.sock.close()


def dropped(d, reason):
    return d.metric("logtrain_input_dropped_records_total", "udp", reason=reason)


def taken(d):
    return d.metric("logtrain_input_records_total", "udp")


def test_N04_a_flood_of_datagrams_is_accounted_for_and_the_others_lose_nothing(node, oracle, daemon, syslog_tcp, http, tmp_path,
                                                                               closing):
    """sent = received + dropped, exactly, in a flood that never stops, while the daemon does not read for some time. Meanwhile a
    sender over TCP and a container's file get all their lines through, in order."""
    flooded, tcp, web = http(), syslog_tcp(), http()
    c, source = node.container("web-0"), oracle.source("a")
    d = Listener(daemon, [("flood", flooded.url("batch=ndjson")), ("web", tcp.url()), ("web.default", web.url("batch=ndjson"))],
              tmp_path, node=node, SYSLOG_UDP="true")
    flood = closing(Flood(d))
    stop = threading.Event()

    def endless():
        while not stop.is_set():
            flood.send(50)

    thread = threading.Thread(target=endless, daemon=True)
    with Writer(c, source, rate=500) as writer, d.connect() as s:
        thread.start()
        for i in range(1000):
            s.sendall(line(i))
        complete(tcp, 1000)
        before = source.written
        wait_for(lambda: oracle.progress(web).distinct() > before, 30 * SLOW, "lines of the file, while the flood goes on")
        stop.set()
        thread.join()
        d.daemon.pause()
        most = 2 * limits()["SYSLOG_UDP_BUFFER_BYTES"]  # that the kernel allows for any socket
        flood.send(most // 60000 + 1000, 60000)
        flood.send(1000)
        s.sendall(b"".join(line(i) for i in range(1000, 1500)))
        d.daemon.resume()
        complete(tcp, 1500)
        writer.stop()
    oracle.wait_complete(web, 60 * SLOW).assert_exact()
    wait_for(lambda: taken(d) + dropped(d, "kernel") + dropped(d, "full") == flood.sent, 30 * SLOW,
             lambda: f"{flood.sent} datagrams to be accounted for: {taken(d)} taken, {dropped(d, 'kernel')} dropped by the kernel, "
                     f"{dropped(d, 'full')} for want of room")
    assert dropped(d, "kernel") > 500
    wait_for(lambda: flooded.count() >= taken(d), 60 * SLOW, "what was taken to arrive")
    assert flooded.count() == taken(d)
    assert len(numbers(tcp)) == 1500 and numbers(tcp) == sorted(numbers(tcp))


def test_N04_datagrams_of_64_KiB(daemon, syslog_tcp, tmp_path, closing):
    """The largest possible datagrams: delivered whole, up to MAX_LINE."""
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url("framing=octet"))], tmp_path, SYSLOG_UDP="true", MAX_LINE="64000")
    flood = closing(Flood(d, "web"))
    for size in (60000, 65000, 65507 - len(line(2)) + 1, 1):
        flood.send(1, size)
    wait_for(lambda: taken(d) == 4, 20 * SLOW, "all four")
    wait_for(lambda: peer.count() == 4, 20 * SLOW, "all four to arrive")
    assert numbers(peer) == [0, 3]  # the numbers of the others are beyond MAX_LINE
    assert d.metric("logtrain_input_malformed_total", "udp", kind="cut") == 2
    assert [m.count(b"x") for m in peer.messages()] == [60000, 64000 - len(b"<13>1 - web app - - - ")] + \
        [64000 - len(b"<13>1 - web app - - - "), 1]


# --- N14: no descriptors left ---------------------------------------------------------------------------------------------

def test_N14_no_descriptor_for_a_connection(daemon, syslog_tcp, tmp_path):
    """More connections than descriptors: waiting ones cost no CPU, open ones go on, and when descriptors are free again all are
    accepted."""
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, descriptors=64)
    with contextlib.ExitStack() as stack:
        healthy = stack.enter_context(d.connect())
        healthy.sendall(line(0))
        complete(peer, 1)
        waiting = [stack.enter_context(d.connect()) for _ in range(80)]  # the kernel has completed the handshake for all of them
        for i, s in enumerate(waiting):
            s.sendall(line(2 + i))
        wait_for(lambda: len(d.daemon.fds()) >= 60, 20 * SLOW, "the descriptors to be used up")
        there = len(set(numbers(peer)))
        cpu = d.daemon.cpu()
        stays(lambda: len(d.daemon.fds()) <= 64, 3, "more descriptors than there are")
        assert d.daemon.cpu() - cpu < 1.5, "a busy loop"
        assert there < 82, "nobody had to wait"
        healthy.sendall(line(1))
        wait_for(lambda: 1 in numbers(peer), 20 * SLOW, "the healthy one's line")
        for s in waiting:
            s.close()  # each free place goes to a waiting connection, whose line is already in the kernel
        complete(peer, 82)
    wait_for(lambda: d.metric("logtrain_input_connections") == 0, 20 * SLOW, "all places")
