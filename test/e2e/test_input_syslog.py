"""The syslog inputs with real senders: logger, rsyslog, the daemon itself; and docs/faults.md#inputs as far as it applies. See
lib/listener.py; slow, too many or malformed senders are in test_input_faults.py."""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import urllib.request

import pytest
from lib.daemon import SLOW
from lib.listener import MIB, Listener, complete, line
from lib.http_peer import Answer
from lib.wait import stays, wait_for


@pytest.mark.parametrize("how", [("-T", "--rfc5424"), ("-T", "--rfc3164"), ("-T", "--octet-count"), ("-d", "--rfc5424"),
                                 ("-d", "--rfc3164")], ids=" ".join)
def test_logger(daemon, syslog_tcp, tmp_path, how):
    if not shutil.which("logger"):
        pytest.skip("logger (bsdutils) is not installed")
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, SYSLOG_UDP="true")
    port = d.port("udp" if "-d" in how else "tcp")
    for i in range(3):
        subprocess.run(["logger", "-n", "127.0.0.1", "-P", str(port), *how, "-t", "app", "-p", "local3.warning",
                        f"hello n={i}"], check=True, timeout=30)
    complete(peer, 3)
    for m in peer.messages():
        assert m.startswith(b"<156>1 20") and b" app - - " in m and b'[input@32473 peer="127.0.0.1"] hello n=' in m


@pytest.mark.parametrize("on", ["tcp", "udp"])
def test_without_the_senders_address(daemon, syslog_tcp, tmp_path, on):
    """INPUT_PEER=false: the structured data is as it came, and a sender cannot put another's address into it."""
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, SYSLOG_UDP="true", INPUT_PEER="false")
    messages = [b'<13>1 2026-11-20T10:15:00Z web app - - - plain', b'<13>1 2026-11-20T10:15:00Z web app - - [a@1 x="1"] element',
                b'<13>1 2026-11-20T10:15:00Z web app - - [input@32473 peer="9.9.9.9"][a@1 x="1"] forged']
    with socket.socket(type=socket.SOCK_DGRAM if on == "udp" else socket.SOCK_STREAM) as s:
        s.connect(("127.0.0.1", d.port(on)))
        for m in messages:
            s.send(m if on == "udp" else m + b"\n")
    wait_for(lambda: peer.count() == 3, 60 * SLOW, "three messages")
    got = sorted(peer.messages())
    assert all(b"input@32473" not in m and b"127.0.0.1" not in m and b"9.9.9.9" not in m for m in got), got
    assert sum(b'[a@1 x="1"]' in m for m in got) == 2


_OMFWD = """\
global(workDirectory="{dir}" {tls})
module(load="imtcp")
ruleset(name="r") {{ action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
    {options}) }}
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{dir}/port" ruleset="r")
"""


@pytest.mark.parametrize("kind", ["traditional", "octet-counted", "tls"])
def test_rsyslog_forwards(daemon, syslog_tcp, tmp_path, certs, closing, kind):
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin")
    if not program:
        pytest.skip("rsyslogd is not installed")
    peer = syslog_tcp()
    env, tls, options = {}, "", f'TCP_Framing="{kind}"'
    if kind == "tls":
        env = {"SYSLOG_TLS": "true", "SYSLOG_TLS_CERT_PEM_FILE": certs.pem("good"),
               "SYSLOG_TLS_KEY_PEM_FILE": certs.key("good"), "SYSLOG_TLS_CLIENT_CA_PEM_FILE": certs.pem("ca")}
        tls = (f'defaultNetstreamDriverCAFile="{certs.pem("ca")}" defaultNetstreamDriverCertFile="{certs.pem("good2")}" '
               f'defaultNetstreamDriverKeyFile="{certs.key("good2")}"')
        options = 'TCP_Framing="octet-counted" StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"'
    d = Listener(daemon, [("*", peer.url())], tmp_path, **env)
    conf = tmp_path / "rsyslog.conf"
    conf.write_text(_OMFWD.format(dir=tmp_path, port=d.port("tls" if kind == "tls" else "tcp"), tls=tls, options=options))
    with open(tmp_path / "rsyslog.log", "wb") as log:
        sender = subprocess.Popen([program, "-n", "-f", conf, "-i", tmp_path / "pid"], stdout=log, stderr=log)
    try:
        wait_for(lambda: (tmp_path / "port").exists() and (tmp_path / "port").read_text().strip(), 20 * SLOW, "rsyslogd")
        with socket.create_connection(("127.0.0.1", int((tmp_path / "port").read_text())), 10) as s:
            s.sendall(b"".join(b"<13>Nov 20 10:15:00 web app: hello n=%d\n" % i for i in range(500)))
            complete(peer, 500)
    finally:
        sender.terminate()
        sender.wait(60)
    if kind == "tls":
        assert all(b'peer="127.0.0.1" cert="' in m for m in peer.messages())


def test_a_chain_of_three(daemon, syslog_tcp, tmp_path):
    """Time, priority, ids, structured data and a long tag leave the third daemon as they entered the first."""
    peer = syslog_tcp()
    third = Listener(daemon, [("*", peer.url())], tmp_path, "p3")
    second = Listener(daemon, [("*", f"syslog+tcp://127.0.0.1:{third.port()}/?framing=octet")], tmp_path, "p2")
    first = Listener(daemon, [("*", f"syslog+tcp://127.0.0.1:{second.port()}/")], tmp_path, "p1")
    tag = b"t" * 60
    with first.connect() as s:
        s.sendall(b'<165>1 2003-10-11T22:14:15.003Z web %s 12 ID47 [a@1 b="c \\" d"] hello n=0\n' % tag)
        s.sendall(b'<165>1 2003-10-11T22:14:15.003Z web app 12 ID47 [a@1 b="c"] hello n=1\n')
        complete(peer, 2)
    assert peer.messages()[0].startswith(b"<165>1 2003-10-11T22:14:15.003Z web " + tag[:48] + b" 12 ID47 ")
    assert b'[a@1 b="c \\" d"]' in peer.messages()[0]
    assert b'[input@32473 peer="127.0.0.1"] hello n=1' in peer.messages()[1]


FORGED = b'[a@1 b="c"][logtrain@32473 namespace="payments" pod="pay-1"]'


def test_T09_senders_cannot_use_our_structured_data(daemon, syslog_tcp, http, tmp_path):
    """Structured data that a sender sets under logtrain@32473 reaches no receiver under that name, in no format, by no input."""
    def bulk(request):
        return Answer(body=json.dumps({"items": [{"create": {"status": 201}}] * (request.body.count(b"\n") // 2)}).encode(), counts=False)

    tcp, web, gelf, raw, es = syslog_tcp(), http(), http(), http(), http(bulk)
    d = Listener(daemon, [("*", tcp.url("sd=true")), ("*", web.url("batch=ndjson&sd=true")), ("*", gelf.url("format=gelf&batch=ndjson")),
                       ("*", raw.url("format=raw&batch=ndjson")), ("*", es.url().replace("http", "es+http"))], tmp_path, SYSLOG_UDP="true", HTTP_EVENTS="true",
              HTTP_SYSLOG="true", HTTP_ADDRESS="127.0.0.1")
    message = b"<14>1 - web app - - " + FORGED + b" hello n=%d"
    with d.connect() as s, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        s.sendall(message % 0 + b"\n")
        udp.sendto(message % 1, ("127.0.0.1", d.port("udp")))
        for path, body in (("/syslog", message % 2), ("/events", json.dumps(
                {"hostname": "web", "message": "hello n=3", "structured_data": FORGED.decode()}).encode())):
            request = urllib.request.Request(f"http://127.0.0.1:{d.daemon.port}{path}", body)
            assert urllib.request.urlopen(request, timeout=30).status == 200
        complete(tcp, 4)
    texts = [b"\n".join(tcp.messages())]
    for peer in (web, gelf, es, raw):
        wait_for(lambda peer=peer: b"".join(r.body for r in peer.requests).count(b" n=") >= 4, 30 * SLOW, "all four")
        texts.append(b"".join(r.body for r in peer.requests).replace(b'\\"', b'"'))
    for text in texts:
        assert b'[logtrain@32473 namespace="payments"' not in text
    for text in texts[:4]:
        assert text.count(b"untrusted@32473 namespace=") == 4 and text.count(b'payments') == 4
        assert text.count(b"a@1 b=") == 4
    assert texts[4].count(b"payments") == 0  # raw is only the message


@pytest.mark.slow
def test_N05_a_dead_drain_stops_senders_and_loses_nothing(daemon, syslog_tcp, tmp_path):
    peer = syslog_tcp()
    peer.refuse()
    d = Listener(daemon, [("*", peer.url())], tmp_path, MAX_LINE="64k", JOURNAL_BYTES_MAX="4m", JOURNAL_HOST_BYTES_MAX="3m")
    total, sent = 8000, 0
    with d.connect() as s:
        s.settimeout(0.5)
        data = b"".join(line(i, size=1000) for i in range(total))
        while not d.metric("logtrain_input_stalls_total"):
            with contextlib.suppress(TimeoutError):
                while sent < len(data):
                    sent += s.send(data[sent:sent + 65536])
            assert sent < len(data), "all of it was taken"
        assert d.daemon.metrics().get("logtrain_journal_bytes") <= 4 * MIB
        with d.connect() as other:  # one hostname cannot take all
            other.sendall(line(total, host="other"))
            wait_for(lambda: d.daemon.metrics().get("logtrain_journal_hostnames") == 2, 20 * SLOW, "the other's journal")
        peer.resume()
        s.settimeout(60 * SLOW)
        s.sendall(data[sent:])
        complete(peer, total + 1, 60)


def test_N13_what_is_spooled_survives_a_kill(daemon, syslog_tcp, tmp_path):
    peer = syslog_tcp()
    peer.refuse()
    env = {"SPOOL_PATH": tmp_path / "spool", "STATE_PATH": tmp_path / "state"}
    d = Listener(daemon, [("*", peer.url())], tmp_path, **env)
    with d.connect() as s:
        s.sendall(b"".join(line(i, host=f"h{i % 7}") for i in range(1000)))
        wait_for(lambda: d.metric("logtrain_input_records_total") == 1000, 20 * SLOW, "1,000 records taken")
    d.daemon.kill()
    for f in (tmp_path / "spool").glob("*.journal"):  # S07: a record that was being written
        with open(f, "ab") as torn:
            torn.write(b"\x40\0\0\0torn")
    peer.resume()
    again = Listener(daemon, [("*", peer.url())], tmp_path, **env)
    complete(peer, 1000)
    assert again.daemon.metrics().get("logtrain_journal_torn_bytes_total") == 7 * 8


def test_N02_a_bad_count_ends_its_connection_only(daemon, syslog_tcp, tmp_path):
    peer = syslog_tcp()
    d = Listener(daemon, [("*", peer.url())], tmp_path, MAX_LINE="1k")
    with d.connect() as healthy:
        for i, bad in enumerate([b"99999999999999999999 <13>x", b"0 <13>x", b"00000010 <13>aaaaaa"]):
            with d.connect() as s:
                s.sendall(bad)
                assert s.recv(1) == b"", "closed"
            healthy.sendall(line(i))
        healthy.sendall(b"9000000 " + b"<13>1 - web app - - - " + b"y" * 4 * MIB)
        healthy.sendall(b"y" * (9000000 - 22 - 4 * MIB) + line(3))
        complete(peer, 4)
    assert d.metric("logtrain_input_malformed_total", kind="framing") == 3
    assert d.metric("logtrain_input_malformed_total", kind="cut") == 1


def test_N11_client_certificates_and_a_new_one_of_ours(daemon, syslog_tcp, tmp_path, certs):
    peer = syslog_tcp()
    pem, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def install(name):
        for source, to in ((certs.pem(name), pem), (certs.key(name), key)):
            new = to.with_suffix(".new")
            shutil.copy(source, new)
            new.replace(to)

    install("good")
    d = Listener(daemon, [("*", peer.url())], tmp_path, SYSLOG_TLS="true", SYSLOG_TLS_CERT_PEM_FILE=pem,
              SYSLOG_TLS_KEY_PEM_FILE=key, SYSLOG_TLS_CLIENT_CA_PEM_FILE=certs.pem("ca"))

    def connect(name):
        context = ssl.create_default_context(cafile=certs.pem("ca"))
        if name:
            context.load_cert_chain(certs.pem(name), certs.key(name))
        raw = socket.create_connection(("127.0.0.1", d.port("tls")), 90)
        return context.wrap_socket(raw, server_hostname="localhost")

    for name in (None, "expired", "unknown"):
        with pytest.raises((ssl.SSLError, ConnectionError)), connect(name) as s:
            s.sendall(line(99))
            if s.recv(1) == b"":
                raise ConnectionError
    with socket.create_connection(("127.0.0.1", d.port("tls")), 10) as junk:
        junk.sendall(b"this is no ClientHello\r\n\r\n")
        junk.settimeout(20 * SLOW)
        with contextlib.suppress(ConnectionError):
            while junk.recv(100):
                pass
    with connect("good2") as s:
        first = s.getpeercert(True)
        s.sendall(line(0))
        complete(peer, 1)
        install("good2")

        def renewed():
            with connect("good2") as t:
                return t.getpeercert(True) != first

        wait_for(renewed, 30 * SLOW, "the new certificate")
        s.sendall(line(1))
        complete(peer, 2)


def test_N12_hostnames_that_nobody_wants_cost_nothing(daemon, syslog_tcp, tmp_path):
    peer = syslog_tcp()
    d = Listener(daemon, [("web", peer.url())], tmp_path)
    with d.connect() as s:
        s.sendall(b"".join(line(0, host=f"h{i}") for i in range(20000)) + line(0))
        complete(peer, 1)
    assert d.metric("logtrain_input_dropped_records_total", reason="unrouted") == 20000
    assert d.daemon.metrics().get("logtrain_journal_hostnames") == 1
    stays(lambda: len(peer.messages()) == 1, 0.3, "something else came")


def test_datagrams_that_the_kernel_dropped_are_counted(daemon, tmp_path):
    """More than any buffer holds while the daemon does not read: each datagram is received or counted as lost."""
    d = Listener(daemon, [("*", "null://")], tmp_path, SYSLOG_UDP="true", JOURNAL_BYTES_MAX="1g", JOURNAL_HOST_BYTES_MAX="1g")

    def metric(name, **labels):
        return d.daemon.metrics().get(name, input="syslog_udp", **labels) or 0

    d.daemon.pause()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("127.0.0.1", d.port("udp")))
        for i in range(4000):
            s.send(line(i, size=50000))
    d.daemon.resume()
    wait_for(lambda: metric("logtrain_input_records_total") + metric("logtrain_input_dropped_records_total", reason="kernel") == 4000,
             20 * SLOW, lambda: f"{metric('logtrain_input_records_total')} taken, "
             f"{metric('logtrain_input_dropped_records_total', reason='kernel')} dropped")
    assert metric("logtrain_input_records_total") > 0
    assert metric("logtrain_input_dropped_records_total", reason="kernel") > 0


def test_a_port_in_use_refuses_to_start(daemon, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        d = daemon(drains=[("*", "null://")], wait=False,
                   env={"KUBERNETES": "false", "SYSLOG_TCP": "true", "INPUT_ADDRESS": "127.0.0.1",
                        "SYSLOG_TCP_PORT": taken.getsockname()[1]})
        assert d.wait_exit(20 * SLOW) != 0
        assert "SYSLOG_TCP: syslog_tcp: listen on port" in d.log()
