"""Tests of the harness: the receivers misbehave as they are told, and the real receivers understand our messages."""

import gzip
import select
import socket
import ssl
import time
from http.client import HTTPConnection, HTTPSConnection, IncompleteRead, RemoteDisconnected

import pytest
from lib import http_peer, peer
from lib.dead import DeadFarm
from lib.wait import wait_for


def dial(p, tls=None):
    sock = socket.create_connection(("127.0.0.1", p.port), timeout=60)
    return tls.wrap_socket(sock, server_hostname="localhost") if tls else sock


def ending(sock):
    """How the other side closed: "reset" or "fin"."""
    try:
        while sock.recv(65536):
            pass
        return "fin"
    except ConnectionResetError:
        return "reset"


FRAMES = [b"<14>1 - h t - - - one", b"<14>1 - h t - - - two\nlines", b"<14>1 - h t - - - three"]


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
def test_deframer_does_not_care_how_bytes_arrive(step):
    octet = b"".join(b"%d %s" % (len(f), f) for f in FRAMES)
    lf = b"".join(f + b"\n" for f in FRAMES)
    for data, wanted in ((octet, FRAMES), (lf, lf.split(b"\n")[:-1])):
        deframer, found = peer.Deframer(), []
        for at in range(0, len(data), step):
            found += deframer.feed(data[at:at + step])
        assert found == wanted and deframer.rest == b""


@pytest.mark.parametrize("bad", [b"12x <14>", b"0 <14>", b"012 <14>1", b"99999999999999999999 <"])
def test_broken_octet_frames_are_noticed(syslog_tcp, bad):
    p = syslog_tcp()
    with dial(p) as sock:
        sock.sendall(bad)
        assert ending(sock) == "reset"
    wait_for(p.errors, 5, "an error")
    with pytest.raises(AssertionError, match="octet count"):
        p.messages()


def test_connections_keep_their_order_and_their_rest(syslog_tcp):
    p = syslog_tcp()
    first, second = dial(p), dial(p)
    wait_for(lambda: len(p.connections) == 2, 5, "two connections")
    second.sendall(b"<14>c\n")
    wait_for(lambda: p.count() == 1, 5, "c")
    first.sendall(b"<14>a\n<14>b\n<14>half")
    first.close()
    wait_for(lambda: p.connections[0].ended == "eof", 5, "the end")
    assert p.messages() == [b"<14>a", b"<14>b", b"<14>c"] and p.connections[0].rest == b"<14>half"


def test_refuse_and_resume_on_the_same_port(syslog_tcp):
    p = syslog_tcp()
    held = dial(p)
    wait_for(lambda: p.open_connections(), 5, "a connection")
    p.refuse(end="reset")
    assert ending(held) == "reset"
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            dial(p)
    p.resume()
    dial(p).sendall(b"<14>x\n")
    wait_for(lambda: p.count() == 1, 5, "a message")


def test_blackhole_answers_nothing_and_comes_back(syslog_tcp):
    p = syslog_tcp()
    p.blackhole()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", p.port))
        assert not select.select([], [sock], [], 0.3)[1]
    p.resume()
    with dial(p) as sock:
        sock.sendall(b"<14>x\n")
        wait_for(lambda: p.count() == 1, 5, "a message")
    assert [c.received for c in p.connections if c.received] == [6]


def test_never_read_fills_the_window(syslog_tcp):
    p = syslog_tcp(mode=peer.NEVER_READ, rcvbuf=4096)
    with dial(p) as sock:
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.sendall(b"x" * (64 << 20))
    assert p.received() == 0


def test_one_byte_per_second(syslog_tcp):
    p = syslog_tcp(mode=peer.Mode(bytes_per_s=20))
    with dial(p) as sock:
        began = time.monotonic()
        sock.sendall(b"x" * 100)
        wait_for(lambda: p.received() >= 4, 5, "some bytes")
        assert p.received() < 16 + 20 * (time.monotonic() - began)


def test_resets_after_exactly_n_bytes_each_its_own(syslog_tcp):
    p = syslog_tcp(script=[peer.Mode(reset_after=n) for n in (1, 5, 21)])
    for n in (1, 5, 21):
        with dial(p) as sock:
            sock.sendall(b"<14>1 - h t - - - one\nmore")
            assert ending(sock) == "reset"
    wait_for(lambda: all(c.ended == "reset" for c in p.connections), 5, "resets")
    assert [c.received for c in p.connections] == [1, 5, 21]
    with dial(p) as sock:  # then as usual
        sock.sendall(b"<14>x\n")
        wait_for(lambda: p.count() == 1, 5, "a message")


def test_swallow_half_close_and_fin(syslog_tcp):
    p = syslog_tcp(script=[peer.SWALLOW, peer.Mode(half_close=0), peer.Mode(close_after=4)])
    with dial(p) as sock:
        sock.sendall(b"<14>swallowed\n")
        assert ending(sock) == "fin"
    wait_for(lambda: p.connections[0].ended == "fin" and p.count() == 1, 5, "the swallowed line")
    with dial(p) as sock:
        assert ending(sock) == "fin"
        sock.sendall(b"<14>late\n")
        wait_for(lambda: p.count() == 2, 5, "a line after the half close")
    with dial(p) as sock:
        sock.sendall(b"<14>")
        assert ending(sock) == "fin"


def client(certs, ca="ca"):
    return ssl.create_default_context(cafile=certs.pem(ca))


def test_tls_receives(syslog_tls, certs):
    p = syslog_tls()
    with dial(p, client(certs)) as sock:
        sock.sendall(b"8 <14>1234")
        sock.unwrap()
    wait_for(lambda: p.connections and p.connections[0].ended == "eof", 5, "the end")
    assert p.messages() == [b"<14>1234"] and p.connections[0].framing == "octet"


@pytest.mark.parametrize("notify,wanted", [(True, "close_notify"), (False, "truncated")])
def test_tls_fin_with_and_without_close_notify(syslog_tls, certs, notify, wanted):
    p = syslog_tls(mode=peer.Mode(fin_after=0.1, notify=notify))
    sock = socket.create_connection(("127.0.0.1", p.port))
    context = client(certs)
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    with context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=False) as sock:
        try:
            assert sock.recv(10) == b"" and wanted == "close_notify"
        except ssl.SSLError as e:
            assert wanted == "truncated" and ("EOF" in str(e) or isinstance(e, ssl.SSLEOFError))


@pytest.mark.parametrize("notify,wanted", [(True, "eof"), (False, "eof without close_notify")])
def test_tls_the_receiver_tells_how_the_sender_ended(syslog_tls, certs, notify, wanted):
    p = syslog_tls()
    sock = dial(p, client(certs))
    sock.sendall(b"8 <14>1234")
    wait_for(lambda: p.count() == 1, 5, "a message")
    if notify:
        sock.unwrap()
    sock.close()
    wait_for(lambda: p.connections[0].ended == wanted, 5, lambda: f"{wanted}, not {p.connections[0].ended}")


@pytest.mark.parametrize("cert,words", [("expired", "expired"), ("wronghost", "ostname mismatch"),
                                        ("unknown", "unable to get local issuer"), ("selfsigned", "self-signed|self signed"),
                                        ("sha1", "too weak|digest")])
def test_tls_bad_certificates(syslog_tls, certs, cert, words):
    p = syslog_tls(cert)
    context = client(certs)
    if cert == "sha1":
        context.set_ciphers("DEFAULT:@SECLEVEL=2")
    with pytest.raises(ssl.SSLCertVerificationError, match=words):
        dial(p, context)


def test_tls_stall_and_old_version(syslog_tls, closing, certs):
    p = syslog_tls(mode=peer.TLS_STALL)
    raw = socket.create_connection(("127.0.0.1", p.port), timeout=0.3)
    with pytest.raises(TimeoutError):
        client(certs).wrap_socket(raw, server_hostname="localhost")
    old = closing(peer.SyslogTcp(tls=certs.server(most=ssl.TLSVersion.TLSv1)))
    context = client(certs)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        dial(old, context)


def test_udp(syslog_udp):
    p = syslog_udp()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", p.port))
        sock.send(b"<14>a\nb")
        wait_for(lambda: p.count() == 1, 5, "a datagram")
        p.close()
        with pytest.raises(ConnectionRefusedError):
            for _ in range(3):
                sock.send(b"x")
    assert p.messages() == [b"<14>a\nb"]


def post(p, body, kind="application/x-ndjson", **headers):
    conn = HTTPConnection("127.0.0.1", p.port, timeout=60)
    try:
        conn.request("POST", "/in", body, {"Content-Type": kind, **headers})
        answer = conn.getresponse()
        return answer.status, answer.read()
    finally:
        conn.close()


def test_http_bodies(http):
    p = http()
    assert post(p, b'{"message":"a"}\n{"message":"b"}\n') == (200, b"")
    post(p, b'[{"message":"c"},{"message":"d"}]', "application/json")
    post(p, b'{"message":"e"}', "application/json")
    post(p, gzip.compress(b'{"message":"f"}\n'), **{"Content-Encoding": "gzip"})
    post(p, b"<14>g\n<14>h\n", "application/syslog")
    post(p, iter([b'{"message":', b'"i"}']))  # chunked
    assert p.messages() == [b"a", b"b", b"c", b"d", b"e", b"f", b"<14>g", b"<14>h", b"i"]
    assert p.requests[0].method == "POST" and p.requests[0].target == "/in" and not p.cut_requests


def test_http_statuses_count_only_2xx(http):
    p = http([503, http_peer.Answer(429, {"Retry-After": "7"}), http_peer.Answer(204)])
    body = b'{"message":"a"}'
    assert [post(p, body)[0] for _ in range(4)] == [503, 429, 204, 200]
    assert p.count() == 2 and p.statuses() == [503, 429, 204, 200]


def test_http_limits_and_poison(http):
    p = http(http_peer.too_large(20))
    assert [post(p, b'{"message":"%s"}' % (b"x" * n))[0] for n in (1, 20)] == [200, 413]
    p = http(http_peer.poison(b"bad"))
    assert [post(p, b'{"message":"%s"}' % w)[0] for w in (b"good", b"bad")] == [200, 400]
    assert p.messages() == [b"good"]


def test_http_cuts(http):
    body = b'{"message":"a"}'
    p = http([http_peer.Answer(cut="before"), http_peer.Answer(cut="after", how="fin"),
              http_peer.Answer(body=b"x" * 100, cut="body", how="fin"),
              http_peer.Answer(body=b"x", length=5, cut="after", how="fin"), http_peer.Answer(delay=0.1)])
    with pytest.raises((ConnectionError, RemoteDisconnected)):
        post(p, body)
    assert post(p, body) == (200, b"")
    for _ in range(2):
        with pytest.raises(IncompleteRead):
            post(p, body)
    start = time.monotonic()
    assert post(p, body)[0] == 200 and time.monotonic() - start >= 0.1
    assert p.count() == 5  # the receiver has got them all; its answer is another matter


def test_http_endless_never_and_reset_in_the_request(http):
    p = http([http_peer.Answer(raw=http_peer.endless())])
    with dial(p) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        got = 0
        while got < 4 << 20:
            got += len(sock.recv(1 << 20))
    p = http([http_peer.Answer(never=True)])
    with dial(p) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert not select.select([sock], [], [], 0.2)[0]
    p = http(script=[peer.Mode(reset_after=30)])
    with dial(p) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
        assert ending(sock) == "reset"
    wait_for(lambda: p.cut_requests == 1, 5, "a cut request")
    assert p.count() == 0


def test_dead_farm_is_dead(closing):
    farm = closing(DeadFarm(refused=2, blackhole=2, never_read=2, tls_stall=2))
    ports = [int(u.rsplit(":", 1)[1].strip("/")) for u in farm.urls]
    results = []
    for port in ports:
        with socket.socket() as sock:
            sock.settimeout(0.3)
            try:
                sock.connect(("127.0.0.1", port))
                results.append("open")
            except ConnectionRefusedError:
                results.append("refused")
            except TimeoutError:
                results.append("nothing")
    assert results == ["refused"] * 2 + ["nothing"] * 2 + ["open"] * 4
    wait_for(lambda: farm.connects == 4, 5, "connects")


# --- real receivers, with messages of our own ------------------------------------------------------------------------

SYSLOG = b"<14>1 2026-01-02T03:04:05.678Z web.shop web-1 - - - "


@pytest.mark.parametrize("framing", ["lf", "octet"])
@pytest.mark.parametrize("kind", ["tcp", "tls", "udp"])
def test_rsyslog_understands(rsyslog, certs, oracle, kind, framing):
    r = rsyslog(kind)
    lines = [SYSLOG + m for m in oracle.source("a").take(50)]
    if kind == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for line in lines:
                sock.sendto(line, ("127.0.0.1", r.port))
    else:
        frames = [b"%d %s" % (len(m), m) if framing == "octet" else m + b"\n" for m in lines]
        with dial(r, client(certs) if kind == "tls" else None) as sock:
            sock.sendall(b"".join(frames))
            if kind == "tls":
                sock.unwrap()
    oracle.wait_complete(r, 10).assert_exact()
    assert r.lines()[0].startswith(b"14|2026-01-02T03:04:05.678") and r.lines()[0].split(b"|")[2:4] == [b"web.shop", b"web-1"]


def test_nginx_hands_on(nginx, http, certs):
    p = http()
    n = nginx(p)
    conn = HTTPSConnection("localhost", n.port, context=client(certs), timeout=60)
    conn.request("POST", "/", b'{"message":"a"}', {"Content-Type": "application/json"})
    assert conn.getresponse().status == 200
    conn.close()
    assert p.messages() == [b"a"]


def test_openssl_server_shows_what_it_got(openssl_server, certs):
    s = openssl_server(options=["-tls1_2"])
    with dial(s, client(certs)) as sock:
        assert sock.version() == "TLSv1.2"
        sock.sendall(b"hello\n")
        wait_for(lambda: b"hello" in s.output(), 5, "the text")
