"""Envoy's access logs as an input: how an entry becomes a record, and rows N05, N09, N10, N12 of docs/faults.md#inputs as far as
they apply to it. The client writes bytes by hand (lib/als.py)."""

import json
import re
import socket
import ssl

import pytest
from lib import als
from lib.daemon import SANITIZED, SLOW, run
from lib.wait import stays, wait_for

TEXT = ("bytes=600 request_size=300 response_size=300 method=POST request_id=x-request-id fwd=1.1.1.1 authority=authority "
        "{origin}protocol=http2 {tls}status=200 connect={t} service={t} total={t} path=/fee")


def records(web):
    return [r for request in web.accepted() for r in request.records()]


class Listener:
    """A daemon with this input and no containers, and the receiver of all its lines."""

    def __init__(self, daemon, web, tmp_path, drains=None, **env):
        ports = tmp_path / "envoy-ports"
        self.web = web
        self.daemon = daemon(drains=drains or [("*", web.url("batch=ndjson&sd=true&linger=10ms"))], env={
            "KUBERNETES": "false", "INPUT_PORTS_FILE": ports, "INPUT_ADDRESS": "127.0.0.1", "ENVOY": "true", "ENVOY_PORT": "0",
            **env})
        self.port = int(ports.read_text().split()[1])

    def metric(self, name, **labels):
        return self.daemon.metric("logtrain_input_" + name, input="envoy", **labels) or 0

    def wait_records(self, n):
        wait_for(lambda: len(records(self.web)) >= n, 20 * SLOW, lambda: f"{n} records; {len(records(self.web))} came")
        assert len(records(self.web)) == n
        return records(self.web)


@pytest.fixture
def listener(daemon, http, tmp_path):
    return lambda drains=None, answer=None, **env: Listener(daemon, http(*([answer] if answer else [])), tmp_path, drains, **env)


@pytest.fixture
def client(closing):
    return lambda h, **options: closing(als.Client(h.port, **options))


def send_one(client, h, *messages, path=als.V3):
    """One call with these messages, ended in order."""
    c = client(h)
    stream = c.request(path)
    for message in messages:
        c.message(stream, message)
    assert c.finish(stream) == 0, c.answers
    return c


# --- entries ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", [als.V3, als.V2], ids=["v3", "v2"])
def test_text_is_what_the_original_wrote(listener, client, path):
    h = listener()
    tls = als.pb((1, 3), (3, "www.example.com"))
    times = [(n, als.duration(1000)) for n in (8, 10, 12)]
    send_one(client, h, als.identifier() + als.http_logs(als.http_entry("/fee", "outbound|80||web.shop.svc.cluster.local",
                                                                        (4, tls), *times)), path=path)
    [r] = h.wait_records(1)
    assert r["message"] == TEXT.format(origin="origin=https://www.example.com ", tls="tls=TLSv1_2 ", t="1000.00ms")
    assert (r["hostname"], r["tag"], r["severity"], r["facility"]) == ("web.shop", "envoy", 6, 1)
    assert r["time"].startswith("2020-11-03T10:40:00.123456")
    assert 'peer="127.0.0.1"' in json.dumps(r).replace('\\"', '"')
    assert h.metric("records_total") == 1 and h.metric("connections") == 1


@pytest.mark.parametrize("akkeris, cluster, expected", [
    (False, "outbound|80||web.shop.svc.cluster.local", "web.shop"),
    (True, "outbound|80||web.shop.svc.cluster.local", "web-shop"),
    (False, "outbound_.8080_.v1_.web.shop", "outbound_.8080_.v1_.web.shop"),  # no '|': used as it is
    (False, "inbound|8080|http|api.shop.svc.cluster.local", "api.shop"),
    (False, "outbound|443||web.shop.evil.example", "web.shop.evil.example"),  # not one of our services, whatever its prefix
    (False, "InboundPassthroughClusterIpv4", "node.ns"),
    (False, "inbound|8080||", "node.ns"),  # the workload behind the proxy
    (True, "inbound|8080||", "node-ns"),
    (False, "", "node.ns"),
    (False, "a b", "node.ns"),
])
def test_hostnames(listener, client, akkeris, cluster, expected):
    h = listener(AKKERIS=str(akkeris).lower())
    send_one(client, h, als.identifier(node_id="", cluster="node.ns") + als.http_logs(als.http_entry("/", cluster)))
    [r] = h.wait_records(1)
    assert r["hostname"] == expected and r["tag"] == ("akkeris/router" if akkeris else "envoy")


def test_N10_missing_identifier(listener, client):
    """Without an identifier, entries with a cluster are accepted. An entry that names no origin at all is counted and not sent."""
    h = listener()
    send_one(client, h, als.http_logs(als.http_entry("/1"), als.http_entry("/2", "inbound|80||"), als.http_entry("/3")))
    assert [r["message"][-2:] for r in h.wait_records(2)] == ["/1", "/3"]
    assert h.metric("malformed_total", kind="unparsed") == 1
    assert h.daemon.log_lines("access log entry skipped .*peer=127.0.0.1 .*whose it is")


def test_the_nodes_id_goes_before_its_cluster(listener, client):
    h = listener()
    send_one(client, h, als.identifier(cluster="other.shop") + als.http_logs(als.http_entry("/", "inbound|80||")))
    assert h.wait_records(1)[0]["hostname"] == "web.shop"


def test_tcp_entries(listener, client):
    h = listener()
    address = als.pb((1, als.pb((2, "10.1.2.3"), (3, 4321))))
    entry = als.pb((1, als.common("outbound|5432||db.shop.svc.cluster.local", 1604400000, (2, address))),
                   (2, als.pb((1, 40), (2, 2))))
    send_one(client, h, als.tcp_logs(entry))
    [r] = h.wait_records(1)
    assert r["hostname"] == "db.shop"
    assert r["message"] == ("bytes=42 request_size=40 response_size=2 fwd=10.1.2.3 protocol=tcp connect=1.00ms "
                            "service=1.00ms total=1.00ms")


def test_status_when_the_client_hung_up(listener, client):
    h = listener()
    gone = als.pb((1, als.common("web.shop", 1, (16, als.pb((15, 1))))), (3, b""), (4, b""))
    nothing = als.pb((1, als.common("web.shop", 1)))
    send_one(client, h, als.http_logs(gone, nothing))
    first, second = (r["message"] for r in h.wait_records(2))
    assert " status=499 " in first and " status=0 " in second and "method=METHOD_UNSPECIFIED" in second


def struct_value(depth):
    value = als.pb((3, "deep"))
    for _ in range(depth):
        value = als.pb((5, als.pb((1, als.pb((1, "k"), (2, value))))))
    return als.pb((1, als.pb((1, "k"), (2, value))))


def test_json_has_every_field(listener, client):
    h = listener(ENVOY_FORMAT="json")
    metadata = als.pb((1, als.pb((1, "istio"), (2, als.pb(
        (1, als.pb((1, "n"), (2, als.pb((2, 1.5))))), (1, als.pb((1, "l"), (2, als.pb((6, als.pb((1, als.pb((4, 1))))))))))))))
    more = [(1, 0.25), (6, als.duration(1)), (16, als.pb((2, 1), (13, als.pb((1, 1))))), (17, metadata),
            (21, als.pb((1, "state"), (2, als.pb((1, "type.googleapis.com/x"), (2, b"\0\xff"))))),
            (22, als.pb((1, "tag\n"), (2, b"va\xfflue"))), (29, 2**40), (33, 6), (77, "unknown")]
    send_one(client, h, als.identifier() + als.http_logs(als.http_entry("/j", "outbound|80||web.shop.x", *more)))
    m = json.loads(h.wait_records(1)[0]["message"])
    c = m["common_properties"]
    assert m["log_name"] == "als" and m["node"]["cluster"] == "web.shop"
    assert m["protocol_version"] == "HTTP2" and m["request"]["request_method"] == "POST" and m["request"]["path"] == "/j"
    assert m["response"] == {"response_code": 200, "response_headers_bytes": 100, "response_body_bytes": 200}
    assert c["start_time"] == "2020-11-03T10:40:00.123456Z" and c["time_to_last_rx_byte"] == "0.001s"
    assert c["sample_rate"] == 0.25 and c["downstream_wire_bytes_sent"] == 2**40 and c["access_log_type"] == "DownstreamEnd"
    assert c["response_flags"] == {"no_healthy_upstream": True, "unauthorized_details": {"reason": "EXTERNAL_SERVICE"}}
    assert c["metadata"] == {"filter_metadata": {"istio": {"n": 1.5, "l": [True]}}}
    assert c["filter_state_objects"] == {"state": {"@type": "type.googleapis.com/x", "value": "AP8="}}
    assert c["custom_tags"] == {"tag\n": "va\ufffdlue"}


@pytest.mark.parametrize("depth", [100, 10000])
def test_N10_nesting(listener, client, depth):
    """Fields that nest too deeply are cut; nothing recurses into them."""
    h = listener(ENVOY_FORMAT="json")
    deep = als.pb((1, als.pb((1, "f"), (2, struct_value(depth)))))
    send_one(client, h, als.http_logs(als.http_entry("/deep", "web.shop", (17, deep)), als.http_entry("/next", "web.shop")))
    first, second = h.wait_records(2)
    assert first["message"].count("{") < 28 and json.loads(first["message"])["request"]["path"] == "/deep"
    assert json.loads(second["message"])["request"]["path"] == "/next"


# --- N10: gRPC -------------------------------------------------------------------------------------------------------

BROKEN = {
    "length_4GiB": (b"\0\xff\xff\xff\xff", 8),
    "length_over_the_limit": (b"\0\0\x40\0\x01", 8),
    "truncated_protobuf": (als.grpc_message(als.identifier()[:-3]), 3),
    "not_protobuf": (als.grpc_message(b"\xff" * 50), 3),
    "groups": (als.grpc_message(b"\x0b" * 5000), 3),
    "compressed_unsaid": (als.grpc_message(b"x", flag=1), 13),
    "unknown_flag": (als.grpc_message(b"x", flag=7), 13),
    "many_empty_entries": (als.grpc_message(als.pb((2, b"\x0a\0" * 600000))), 8),
}


@pytest.mark.parametrize("how", BROKEN)
def test_N10_broken_messages(listener, client, how):
    """The call ends with the right status. Another call on the same connection goes on, and so does the next one."""
    h = listener()
    data, status = BROKEN[how]
    c = client(h)
    other = c.request()
    c.message(other, als.http_logs(als.http_entry("/0")))
    bad = c.request()
    try:
        c.data(bad, data)
    except ConnectionError:
        pytest.fail("the connection was closed")
    assert c.status(bad) == status and c.answers[bad]["grpc-message"]
    c.message(other, als.http_logs(als.http_entry("/1")))
    assert c.finish(other) == 0
    send_one(client, h, als.http_logs(als.http_entry("/2")))
    assert [r["message"][-2:] for r in h.wait_records(3)] == ["/0", "/1", "/2"]
    assert h.metric("connection_errors_total") >= 1 and h.metric("malformed_total", kind="framing") == 1


def test_N10_bad_entry_among_good_ones(listener, client):
    h = listener()
    send_one(client, h, als.http_logs(als.http_entry("/1"), b"\xff\xff", als.http_entry("/2")))
    assert [r["message"][-2:] for r in h.wait_records(2)] == ["/1", "/2"]
    assert h.metric("malformed_total", kind="unparsed") == 1


def test_N10_compressed_with_an_encoding(listener, client):
    h, c = listener(), None
    c = client(h)
    stream = c.request(grpc_encoding="gzip")
    c.data(stream, als.grpc_message(b"x", flag=1))
    assert c.status(stream) == 12 and c.answers[stream]["grpc-accept-encoding"] == "identity"


@pytest.mark.parametrize("headers, status, grpc", [
    ({"content_type": "application/json"}, 415, None), ({"content_type": None}, 415, None),
    ({"content_type": "application/grpcx"}, 415, None), ({"__method": "GET"}, 405, None),
    ({"path": "/"}, 200, 12), ({"path": als.V3 + "x"}, 200, 12), ({"path": als.V3[:-1]}, 200, 12),
    ({"content_type": "application/grpc+proto"}, 200, 0), ({"content_type": "application/grpc;x=y"}, 200, 0),
])
def test_N10_invalid_requests(listener, client, headers, status, grpc):
    h = listener()
    c = client(h)
    stream = c.request(end=True, **headers)
    assert c.http_status(stream) == status
    if grpc is not None:
        assert c.status(stream) == grpc


def test_N10_call_that_ends_inside_of_a_message(listener, client):
    h = listener()
    c = client(h)
    stream = c.request()
    c.data(stream, als.grpc_message(als.identifier())[:-1])
    assert c.finish(stream) == 13
    assert h.metric("malformed_total", kind="framing") == 1


def test_messages_in_pieces_of_every_size(listener, client):
    """Frames need not fit messages."""
    h = listener()
    c = client(h)
    stream = c.request()
    data = b"".join(als.grpc_message(als.http_logs(als.http_entry(f"/{i}"))) for i in range(200))
    at, size = 0, 1
    while at < len(data):
        c.data(stream, data[at:at + size])
        at, size = at + size, size % 97 + 1
    assert c.finish(stream) == 0
    assert [r["message"].rsplit("/", 1)[1] for r in h.wait_records(200)] == [str(i) for i in range(200)]


@pytest.mark.slow
def test_N10_a_stream_that_stays_open(listener, client):
    """One call with as many messages as a proxy sends in days: memory does not grow with them."""
    h = listener(drains=[("*", "null://")])
    c = client(h)
    stream = c.request()
    message = als.http_logs(*[als.http_entry(f"/{i}") for i in range(100)])
    c.message(stream, als.identifier())

    def send(n):
        before = h.metric("records_total")
        for _ in range(n):
            c.message(stream, message)
        wait_for(lambda: h.metric("records_total") == before + 100 * n, 60 * SLOW, "the records")
        return h.daemon.rss()

    send(100)
    before = send(200)
    after = send(1000)
    assert c.finish(stream) == 0
    if not SANITIZED:
        assert after < before + (8 << 20)


# --- N09: HTTP/2 -----------------------------------------------------------------------------------------------------

def flood(frames, n=3000):
    return lambda c: c.send(frames * n)


def rapid_reset(c):
    head = als.request_headers()
    out = b""
    for i in range(1500):
        stream = 1 + 2 * i
        out += als.frame(als.HEADERS, als.END_HEADERS, stream, head)
        out += als.frame(als.RST_STREAM, 0, stream, b"\0\0\0\x08")
    c.send(out)


def continuation_flood(c):
    c.send(als.frame(als.HEADERS, 0, 1, als.request_headers()))
    for _ in range(5000):
        c.send(als.frame(als.CONTINUATION, 0, 1, als.literal("x", "y" * 100)))


def hpack_bomb(c):
    """A field in the dynamic table and many references to it, one byte each."""
    name, value = b"x" * 10, b"y" * 4000
    block = als.request_headers() + b"\x40" + bytes([len(name)]) + name + b"\x7f" + als.varint(len(value) - 127) + value
    c.send(als.frame(als.HEADERS, als.END_HEADERS, 1, block + b"\xbe" * 10000))


def empty_data(c):
    c.request()
    c.send(als.frame(als.DATA, 0, 1) * 3000)


def window_overflow(c):
    c.send(als.frame(als.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2)


def stream_window_overflow(c):
    c.request()
    c.send(als.frame(als.WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff") * 2)


def data_on_closed_stream(c):
    c.request()
    c.finish(1)
    c.send(als.frame(als.DATA, 0, 1, b"x" * 100))


def data_on_idle_stream(c):
    c.send(als.frame(als.DATA, 0, 7, b"x" * 100))


NASTY = {  # what is sent, and the GOAWAY or RST_STREAM that may follow (None: the connection is just closed)
    "bad_preface": (lambda c: c.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), None),
    "junk": (lambda c: c.send(bytes(range(256)) * 40), None),
    "settings_flood": (flood(als.frame(als.SETTINGS, 0, 0, b"\0\x04\0\1\0\0")), {als.ENHANCE_YOUR_CALM}),
    "ping_flood": (flood(als.frame(als.PING, 0, 0, b"12345678")), {als.ENHANCE_YOUR_CALM}),
    "priority_flood": (flood(als.frame(als.PRIORITY, 0, 3, b"\0\0\0\0\x10")), {als.ENHANCE_YOUR_CALM}),
    "rst_flood": (rapid_reset, {als.ENHANCE_YOUR_CALM, als.INTERNAL_ERROR}),
    "continuation_flood": (continuation_flood, {als.ENHANCE_YOUR_CALM, als.INTERNAL_ERROR, als.PROTOCOL_ERROR}),
    "hpack_bomb": (hpack_bomb, {als.ENHANCE_YOUR_CALM, als.INTERNAL_ERROR, als.PROTOCOL_ERROR}),
    "window_overflow": (window_overflow, {als.FLOW_CONTROL_ERROR}),
    "stream_window_overflow": (stream_window_overflow, {als.FLOW_CONTROL_ERROR}),
    "data_on_closed_stream": (data_on_closed_stream, {5, als.PROTOCOL_ERROR}),
    "data_on_idle_stream": (data_on_idle_stream, {als.PROTOCOL_ERROR}),
    "frame_too_large": (lambda c: c.send(b"\x01\0\0" + bytes([als.DATA, 0, 0, 0, 0, 1]) + b"x" * 65536), {als.FRAME_SIZE_ERROR}),
    "zero_length_flood": (empty_data, {als.ENHANCE_YOUR_CALM}),
    "even_stream": (lambda c: c.send(als.frame(als.HEADERS, als.END_HEADERS, 2, als.request_headers())), {als.PROTOCOL_ERROR}),
    "push_promise": (lambda c: c.send(als.frame(als.PUSH_PROMISE, als.END_HEADERS, 1, b"\0\0\0\x02")), {als.PROTOCOL_ERROR}),
}


@pytest.mark.parametrize("how", NASTY)
def test_N09_nasty_frames(listener, client, how):
    """Refused with the right error code, and another connection is not affected."""
    h = listener()
    good = client(h)
    stream = good.request()
    good.message(stream, als.http_logs(als.http_entry("/before")))
    nasty = client(h, preface=how not in ("bad_preface", "junk"))
    send, errors = NASTY[how]
    try:
        send(nasty)
        nasty.wait(lambda: nasty.goaway is not None or nasty.resets, 30 * SLOW)
    except (ConnectionError, als.Closed):
        pass  # the server closed while the client was sending: its GOAWAY may be lost
    said = {nasty.goaway, *nasty.resets.values()} - {None}
    assert not errors or not said or said & errors, said
    assert said or how not in ("window_overflow", "data_on_idle_stream", "ping_flood", "even_stream")
    good.message(stream, als.http_logs(als.http_entry("/after")))
    assert good.finish(stream) == 0
    h.wait_records(2)
    if not SANITIZED:
        assert h.daemon.rss() < 64 << 20


def test_N09_pings_and_settings_are_answered(listener, client):
    h = listener()
    c = client(h)
    c.send(als.frame(als.PING, 0, 0, b"12345678") * 20)
    c.wait(lambda: c.pings == 20)
    assert c.goaway is None


# --- windows ---------------------------------------------------------------------------------------------------------

def test_N05_full_journals_close_the_window(listener, client):
    """When journals are full, the proxy waits and gets no error. When there is room again, all of it arrives, once."""
    h = listener(JOURNAL_BYTES_MAX="4m", JOURNAL_HOST_BYTES_MAX="4m", MAX_LINE="64k")
    h.web.refuse("reset")
    c = client(h)
    stream = c.request()
    data = b"".join(als.grpc_message(als.http_logs(*[als.http_entry(f"/{i + k}/" + "x" * 1000) for k in range(10)]))
                    for i in range(0, 8000, 10))

    def goes_on():
        nonlocal data
        c.drain()
        before = len(data)
        data = c.push(stream, data)
        return len(data) < before

    looks = []

    def is_closed():  # twenty times in a row, each time after the daemon has answered
        looks.append(not goes_on() and h.metric("stalls_total"))
        return len(looks) >= 20 and all(looks[-20:])

    wait_for(is_closed, 60 * SLOW, "the window to close, and to stay so")
    assert data and h.daemon.metric("logtrain_journal_bytes") <= 4 << 20
    other = client(h)  # the others wait too, but the connection stays open
    other.send(als.frame(als.PING, 0, 0, b"12345678"))
    other.wait(lambda: other.pings)
    h.web.resume()
    c.data(stream, data)
    assert c.finish(stream) == 0
    got = [int(r["message"].rsplit(" path=/", 1)[1].split("/")[0]) for r in h.wait_records(8000)]
    assert got == list(range(8000))
    assert h.metric("dropped_records_total") == 0


def test_a_stop_sends_goaway(listener, client):
    h = listener()
    c = client(h)
    stream = c.request()
    c.message(stream, als.http_logs(als.http_entry("/last")))
    h.wait_records(1)
    h.daemon.stop()
    c.wait_closed()
    assert c.answers[stream]["grpc-status"] == "14" and c.goaway == als.NO_ERROR


def test_success_waits_for_the_disk(listener, client, tmp_path):
    h = listener(SPOOL_PATH=tmp_path / "spool", SPOOL_SYNC="true")
    h.web.refuse("reset")
    send_one(client, h, als.http_logs(als.http_entry("/spooled")))
    h.daemon.kill()
    h.web.resume()
    h.daemon.start()
    assert h.wait_records(1)[0]["message"].endswith("/spooled")


def test_forbidden_and_unrouted_hostnames_are_counted(listener, client, http):
    web = http()
    h = listener(drains=[("*.shop", web.url("batch=ndjson"))], INPUT_HOSTNAMES="envoy=*.shop *.elsewhere")
    h.web = web
    send_one(client, h, als.http_logs(*[als.http_entry("/", f"outbound|80||{host}.svc") for host in
                                        ("web.shop", "web.elsewhere", "web.payments")]))
    h.wait_records(1)
    assert h.metric("dropped_records_total", reason="forbidden") == 1
    assert h.metric("dropped_records_total", reason="unrouted") == 1


def test_N12_many_hostnames(listener, client):
    h = listener(drains=[("known.*", "null://")])
    c = client(h)
    stream = c.request()
    for i in range(20):
        c.message(stream, als.http_logs(*[als.http_entry("/", f"outbound|80||h{i}-{k}.shop") for k in range(500)]))
    assert c.finish(stream) == 0
    assert h.metric("dropped_records_total", reason="unrouted") == 10000
    assert h.daemon.metric("logtrain_streams") == 0


# --- TLS, connections ------------------------------------------------------------------------------------------------

def tls_variables(certs, **more):
    return {"ENVOY_TLS_CERT_PEM_FILE": certs.pem("good"), "ENVOY_TLS_KEY_PEM_FILE": certs.key("good"), **more}


def tls_client(certs, cert=None, alpn=("h2",)):
    context = ssl.create_default_context(cafile=certs.pem("ca"))
    if cert:
        context.load_cert_chain(certs.pem(cert), certs.key(cert))
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def test_N11_tls_with_client_certificates(listener, client, certs):
    h = listener(**tls_variables(certs, ENVOY_TLS_CLIENT_CA_PEM_FILE=certs.pem("ca")))
    c = client(h, tls=tls_client(certs, "good2"))
    assert c.sock.selected_alpn_protocol() == "h2"
    stream = c.request()
    for i in range(50):
        c.message(stream, als.http_logs(*[als.http_entry(f"/{k}/" + "x" * 500) for k in range(40)]))
    assert c.finish(stream) == 0
    assert 'cert="good2.test"' in json.dumps(h.wait_records(2000)[0]).replace('\\"', '"')
    for context in (tls_client(certs), tls_client(certs, "unknown"), tls_client(certs, "good2", alpn=("http/1.1",))):
        with pytest.raises((ssl.SSLError, ConnectionError, als.Closed)):
            client(h, tls=context).step()
    plain = client(h)
    plain.wait_closed()
    wait_for(lambda: h.metric("connection_errors_total") >= 4, 20 * SLOW, "the refused ones to be counted")


def test_N01_a_stalled_handshake_costs_nothing(listener, certs, closing):
    """Data waits for the handshake to end, without using CPU."""
    h = listener(**tls_variables(certs))
    stalled = [closing(socket.create_connection(("127.0.0.1", h.port), 10)) for _ in range(5)]
    stalled[0].sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
    wait_for(lambda: h.metric("connections") == 5, 20 * SLOW, "the connections")
    before = h.daemon.cpu()
    stays(lambda: h.daemon.cpu() - before < 0.5, 2, "idle")


@pytest.mark.parametrize("env, said", [
    ({"ENVOY_TLS_CERT_PEM_FILE": "/nowhere", "ENVOY_TLS_KEY_PEM_FILE": "/nowhere"}, "ENVOY: .*certificate|ENVOY: .*/nowhere"),
    ({"ENVOY_TLS_CLIENT_CA_PEM_FILE": "/nowhere"}, "ENVOY: certificate and private key are needed"),
])
def test_bad_certificate_refuses_to_start(env, said):
    done = run("--drain", "*=null://", env={"KUBERNETES": "false", "ENVOY": "true", "ENVOY_PORT": "0", "STATE_PATH": "", "HTTP_PORT": "0",
                                            **env})
    assert done.returncode != 0 and re.search(said, done.stderr), done.stderr


def test_port_in_use_refuses_to_start():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--drain", "*=null://", env={"KUBERNETES": "false", "ENVOY": "true", "STATE_PATH": "", "HTTP_PORT": "0",
                                                "ENVOY_PORT": str(taken.getsockname()[1]), "INPUT_ADDRESS": "127.0.0.1"})
    assert done.returncode != 0 and re.search(r"ENVOY: .*in use", done.stderr), done.stderr


def test_N01_too_many_of_one_address(listener, client, closing):
    h = listener()
    limit = 256  # INPUT_CONNECTIONS_PER_PEER
    good = client(h)
    stream = good.request()
    good.message(stream, als.http_logs(als.http_entry("/good")))
    h.wait_records(1)
    idle = [closing(socket.create_connection(("127.0.0.1", h.port), 10)) for _ in range(limit + 10)]
    wait_for(lambda: h.metric("connections") == limit, 20 * SLOW, "as many connections as there may be")  # silent connections are evicted
    assert good.finish(stream) == 0
    for s in idle:
        s.close()
    wait_for(lambda: h.metric("connections") == 1, 20 * SLOW, "the idle ones to be forgotten")
    send_one(client, h, als.http_logs(als.http_entry("/again")))
