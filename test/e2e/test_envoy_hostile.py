"""How much memory, CPU, and delay of other clients' lines a hostile client of the Envoy input can cause. docs/faults.md#inputs,
N05, N09, N10."""

import os
import socket
import ssl
import struct

import pytest
from lib import als
from lib.daemon import SANITIZED, SLOW
from lib.wait import stays, wait_for
from test_envoy import client, listener, tls_client, tls_variables  # noqa: F401


def full(h):
    h.web.refuse("reset")
    return h


FULL = {"JOURNAL_BYTES_MAX": "4m", "JOURNAL_HOST_BYTES_MAX": "4m", "MAX_LINE": "64k"}


def test_N09_a_client_that_does_not_read_is_closed(listener, client):  # noqa: F811
    """The client does not acknowledge our settings, so each call above the limit is answered with RST_STREAM, which it never
    reads."""
    h = listener(drains=[("*", "null://")])
    before = h.daemon.rss()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", h.port))
        sock.sendall(als.PREFACE + als.frame(als.SETTINGS, 0, 0))
        sock.settimeout(60)
        try:
            for first in range(1, 2000000, 20000):
                sock.sendall(b"".join(als.frame(als.HEADERS, als.END_HEADERS, i, b"\x83\x86\x84")
                                      for i in range(first, first + 20000, 2)))
        except (TimeoutError, ConnectionError):
            pass
        wait_for(lambda: h.metric("connection_errors_total") >= 1, 20 * SLOW, "it to be counted")
        if not SANITIZED:
            assert h.daemon.rss() < before + (16 << 20)


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    als.PREFACE + als.frame(als.SETTINGS, 0, 0) + als.frame(als.PING, 0, 0, b"12345678") * 600,
    als.PREFACE + als.frame(als.SETTINGS, 0, 0) + als.frame(als.DATA, 0, 7, b"x" * 100),
], ids=["preface", "flood", "protocol"])
def test_N09_refused_calls_are_counted(listener, client, data):  # noqa: F811
    """Each call is counted once. Data sent before the end arrives, also when the client had more to send."""
    h = listener()
    c = client(h, preface=False)
    c.send(data + b"\0" * 100000)
    c.wait_closed(30 * SLOW)
    wait_for(lambda: h.metric("connection_errors_total") >= 1, 20 * SLOW, "it to be counted")
    assert h.metric("connection_errors_total") == 1
    assert c.goaway not in (None, als.NO_ERROR)


def test_N05_many_proxies_wait(listener, client):  # noqa: F811
    """Journals are full: all of 400 calls have to wait, and none is ended."""
    h = full(listener(**FULL))
    message = als.grpc_message(als.http_logs(*[als.http_entry("/" + "x" * 1000) for _ in range(12)]))
    conns = [client(h) for _ in range(8)]
    rest = {}
    for c in conns:
        for _ in range(50):
            s = c.request()
            rest[c, s] = message * 5

    def round_of_all():
        for (c, s), data in rest.items():
            rest[c, s] = c.push(s, data) if data else data
        for c in conns:
            c.drain()
        return h.metric("stalls_total") > 100
    wait_for(round_of_all, 60 * SLOW, "calls to be made to wait")
    assert sum(map(len, rest.values()))
    assert not any(c.answers for c in conns) and h.metric("connection_errors_total") == 0


@pytest.mark.slow
def test_N05_one_dead_drain_does_not_stop_the_others(listener, client, http):  # noqa: F811
    """One gateway's call carries the entries of all hostnames. Entries for the hostname of a dead drain that do not fit are
    dropped and counted; the others arrive. Such a call does not end with success."""
    dead, web = http(), http()
    dead.refuse("reset")
    h = listener(drains=[("dead.*", dead.url("batch=ndjson")), ("web.*", web.url("batch=ndjson"))],
              JOURNAL_BYTES_MAX="64m", JOURNAL_HOST_BYTES_MAX="4m", MAX_LINE="64k")
    h.web = web
    c = client(h)
    s = c.request()
    for i in range(600):
        c.message(s, als.http_logs(*[als.http_entry(f"/{i}/" + "x" * 1000, "outbound|80||dead.shop.svc") for _ in range(10)]))
    c.message(s, als.http_logs(als.http_entry("/live", "outbound|80||web.shop.svc")))
    h.wait_records(1)
    assert c.finish(s) == 8
    dropped = h.metric("dropped_records_total", reason="full")
    assert dropped and h.metric("records_total") + dropped == 6001
    dead.resume()
    wait_for(lambda: sum(len(r.records()) for r in dead.accepted()) == 6000 - dropped, 60 * SLOW, "what was taken")


@pytest.mark.skipif(SANITIZED, reason="memory under a sanitizer says nothing")
def test_calls_are_in_the_bound(listener, client):  # noqa: F811
    h = listener(drains=[("*", "null://")], ENVOY_FORMAT="json")
    first = als.grpc_message(als.identifier(log_name="x" * 3900))
    before = h.daemon.rss()
    for _ in range(20):
        c = client(h)
        for _ in range(60):
            s = c.request()
            c.data(s, first)
        c.send(als.frame(als.PING, 0, 0, b"12345678"))
        c.wait(lambda: c.pings)
    c.wait(lambda: sum(a.get("grpc-status") == "8" for a in c.answers.values()) == 60)  # the last ones are above the limit
    assert h.daemon.rss() - before < 16 << 20


# --- TLS 1.3 by hand -------------------------------------------------------------------------------------------------

def _expand_label(secret, label, length):
    from cryptography.hazmat.primitives.hashes import SHA384
    from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
    name = b"tls13 " + label
    return HKDFExpand(SHA384(), length, struct.pack(">HB", length, len(name)) + name + b"\0").derive(secret)


class Records:
    """Encrypts records with the client's traffic secret."""

    def __init__(self, secret):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        self.aead, self.iv, self.seq = AESGCM(_expand_label(secret, b"key", 32)), _expand_label(secret, b"iv", 12), 0

    def seal(self, kind, data):
        inner = data + bytes([kind])
        head = struct.pack(">BHH", 23, 0x0303, len(inner) + 16)
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.seq.to_bytes(12, "big")))
        self.seq += 1
        return head + self.aead.encrypt(nonce, inner, head)


def test_N09_a_key_update_cut_in_two_does_not_spin(listener, certs, closing, tmp_path):  # noqa: F811
    """While half of a handshake message has arrived, TLS can write nothing and waits for input."""
    pytest.importorskip("cryptography")
    h = listener(SPOOL_PATH=tmp_path / "spool", SPOOL_SYNC="true", **tls_variables(certs))
    context = tls_client(certs)
    context.keylog_filename = str(tmp_path / "keys")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    s = context.wrap_socket(closing(socket.create_connection(("127.0.0.1", h.port), 10)), server_hostname="localhost")
    if s.cipher()[0] != "TLS_AES_256_GCM_SHA384":
        pytest.skip(f"the test speaks TLS_AES_256_GCM_SHA384 only, not {s.cipher()[0]}")
    [secret] = [bytes.fromhex(line.split()[2]) for line in (tmp_path / "keys").read_text().splitlines()
                if line.startswith("CLIENT_TRAFFIC_SECRET_0")]
    records = Records(secret)
    raw = closing(socket.socket(fileno=os.dup(s.fileno())))
    call = als.PREFACE + als.frame(als.SETTINGS, 0, 0) + als.frame(als.HEADERS, als.END_HEADERS, 1, als.request_headers())
    raw.sendall(records.seal(23, call))
    message = als.grpc_message(als.http_logs(als.http_entry("/")))
    raw.sendall(records.seal(23, als.frame(als.DATA, als.END_STREAM, 1, message)) +
                records.seal(22, b"\x18\0\0\1"))  # a KeyUpdate message without its last byte
    h.wait_records(1)
    before = h.daemon.cpu()
    stays(lambda: h.daemon.cpu() - before < 0.7, 2, "idle")
