"""D08: invalid certificates and handshakes. They are refused unless `insecure=true` is set; data is never sent in plain text; and
the message contains the drain, the reason and the certificate's subject."""

import re
import ssl

import pytest
from lib.daemon import SILENCE_S, SLOW
from lib.peer import NORMAL, TLS_STALL, Deframer, StreamPeer, SyslogTcp
from lib.wait import wait_for

REFUSED = {
    "expired": r"certificate has expired \(subject 'CN=expired\.test'\)",
    "wronghost": r"hostname mismatch \(subject 'CN=wronghost\.test'\)",
    "unknown": r"unable to get local issuer certificate \(subject 'CN=unknown\.test'\)",
    "selfsigned": r"self-signed certificate \(subject 'CN=localhost'\)",
    "sha1": r"CA signature digest algorithm too weak|md too weak",
}
PLAIN = b"lt a 0 "


def test_D08_bad_certificates(node, oracle, daemon, syslog_tls, certs):
    """Each kind at a receiver of its own, and once more with insecure=true."""
    ca = "ca=" + certs.option()
    strict = {cert: syslog_tls(cert) for cert in REFUSED}
    lax = {cert: syslog_tls(cert) for cert in REFUSED}
    good = syslog_tls("good")
    d = daemon(node, routes=[*[("*", p.url(ca)) for p in [*strict.values(), good]],
                             *[("*", p.url("insecure=true")) for p in lax.values()]])
    node.container("web-0").write(oracle.source("a").take(50))
    for cert, why in REFUSED.items():
        peer = strict[cert]
        d.wait_error(peer.port, f"^tls to 'localhost': certificate refused: {why}")
        wait_for(lambda peer=peer: len(peer.connections) >= 2, 20 * SLOW, "the next try")
        assert peer.received() == 0 and all(c.error for c in peer.connections if not c.open)
        (line,) = d.log_lines(f"drain failing .*:{peer.port}#")
        assert re.search(why, line) and f"drain={d.drain(peer.port)['name']} " in line
    for peer in [good, *lax.values()]:
        oracle.wait_complete(peer, 20).assert_exact()


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
@pytest.mark.parametrize("options", ["", "insecure=true"], ids=["strict", "insecure"])
def test_D08_old_versions(node, oracle, daemon, closing, certs, most, options):
    """Not even with insecure=true: that is about certificates."""
    peer = closing(SyslogTcp(tls=certs.server(most=most)))
    d = daemon(node, routes=[("*", peer.url(options or "ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(50))
    d.wait_error(peer.port, "^tls to 'localhost': .*protocol version")
    assert peer.received() == 0


@pytest.mark.parametrize("options", [["-tls1_2"], ["-tls1_3"], ["-tls1_3", "-alpn", "h2"], ["-tls1_2", "-no_ticket", "-num_tickets", "0"],
                                     ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]],
                         ids=["1.2", "1.3", "alpn", "no_ticket", "chacha"])
def test_D08_openssl_takes_the_lines(node, oracle, daemon, openssl_server, certs, options):
    """A real s_server: both versions, one with other protocols only (ALPN), one without tickets."""
    server = openssl_server(options=options)
    daemon(node, routes=[("*", server.url("ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(100))

    def frames():
        output = server.output()
        first = re.search(rb"\d+ <14>1 ", output)  # before it, s_server writes errors about the test's own probe
        return Deframer().feed(output[first.start():]) if first else []

    wait_for(lambda: len(frames()) >= 100, 20 * SLOW, server.text)
    oracle.check(frames()).assert_exact()


def test_D08_openssl_wants_a_certificate(node, oracle, daemon, openssl_server, certs):
    """The server requires a client certificate that is not configured: refused by the server, logged, retried."""
    server = openssl_server(options=["-Verify", "1", "-verify_return_error"])
    d = daemon(node, routes=[("*", server.url("ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(10))
    d.wait_error(server.port, "certificate required|handshake failure")
    assert PLAIN not in server.output()


def test_D08_openssl_with_an_old_certificate(node, oracle, daemon, openssl_server, certs):
    server = openssl_server(cert="expired", options=["-tls1_2"])
    d = daemon(node, routes=[("*", server.url("ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(10))
    d.wait_error(server.port, REFUSED["expired"])
    assert PLAIN not in server.output()


@pytest.mark.parametrize("options", ["ca", "insecure=true"], ids=["strict", "insecure"])
def test_D08_no_tls_there(node, oracle, daemon, syslog_tcp, certs, options):
    """The port speaks plain syslog: it receives a ClientHello and never a line."""
    peer = syslog_tcp()
    url = peer.url("ca=" + certs.option() if options == "ca" else options).replace("syslog+tcp", "syslog+tls")
    d = daemon(node, routes=[("*", url + "&timeout=1s")])
    node.container("web-0").write(oracle.source("a").take(10))
    d.wait_error(peer.port, "^tls to '127.0.0.1': handshake timeout$")
    wait_for(lambda: len(peer.connections) >= 2, 20 * SLOW, "the next try")
    peer.refuse("reset")
    wait_for(lambda: not peer.open_connections(), 10, "the connections' end")
    everything = b"".join(b"\n".join(c.messages) + c.rest for c in peer.connections)
    assert everything.startswith(b"\x16\x03") and PLAIN not in everything


@pytest.mark.parametrize("banner", [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01\xff\xff" * 20000],
                         ids=["smtp", "http", "garbage"])
def test_D08_something_else_there(node, oracle, daemon, closing, certs, banner):
    """Bytes that are not TLS, from a server that speaks first."""
    class Talker(StreamPeer):
        def serve(self, conn):
            conn.write(banner)
            while True:
                conn.messages.append(conn.read())

    peer = closing(Talker())
    d = daemon(node, routes=[("*", f"syslog+tls://127.0.0.1:{peer.port}/?timeout=2s&ca={certs.option()}")])
    node.container("web-0").write(oracle.source("a").take(10))
    d.wait_error(peer.port, "^tls to '127.0.0.1': |^connection to |during the tls handshake")
    assert PLAIN not in b"".join(peer.messages())


def test_D08_handshake_stalls(node, oracle, daemon, syslog_tls, syslog_tcp, certs):
    stalled, good = syslog_tls(mode=TLS_STALL), syslog_tcp()
    d = daemon(node, routes=[("*", stalled.url(f"timeout={SILENCE_S}s&ca=" + certs.option())), ("*", good.url())])
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(good, 10).assert_exact()
    d.wait_error(stalled.port, "^tls to 'localhost': handshake timeout$")
    stalled.mode = NORMAL
    oracle.wait_complete(stalled, 20).assert_exact()
    assert len(d.log_lines("drain failing")) == 1


def test_D08_certificate_rotated(node, oracle, daemon, syslog_tls, certs):
    """A new certificate is used at the next handshake; a bad one stops the drain, and the next good one lets it continue."""
    peer = syslog_tls("good")
    d = daemon(node, routes=[("*", peer.url("ca=" + certs.option()))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(10))
    oracle.wait_complete(peer, 20)
    peer.tls = certs.server("good2")
    peer.end_all("fin")
    c.write(source.take(10))
    oracle.wait_complete(peer, 20)
    assert len(peer.connections) == 2
    peer.tls = certs.server("expired")
    peer.end_all("fin")
    d.wait_error(peer.port, REFUSED["expired"])
    c.write(source.take(10))
    peer.tls = certs.server("good")
    progress = oracle.progress(peer)
    wait_for(progress.complete, 30 * SLOW, progress.text)
    oracle.check([m for messages in peer.message_lists() for m in messages]).assert_exact(dup_max=40)
    assert all("CERTIFICATE_EXPIRED" in error for error in peer.errors())


def test_D08_another_ca(node, oracle, daemon, syslog_tls, certs):
    """ca= is trusted by this drain besides the system's roots: a certificate of another CA is refused."""
    peer = syslog_tls("good")
    d = daemon(node, routes=[("*", peer.url("ca=" + certs.option("otherca")))])
    node.container("web-0").write(oracle.source("a").take(10))
    d.wait_error(peer.port, "unable to get local issuer certificate")
    assert peer.received() == 0
