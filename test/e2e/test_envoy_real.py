"""Envoy's access logs from a real Envoy, and from a client made with grpc-go and Envoy's published protos. Skipped where they are
missing (scripts/envoy, scripts/grpc-client)."""

import http.client
import json
import re

import pytest
from lib import envoy, http_peer
from lib.daemon import SLOW
from lib.wait import wait_for
from test_envoy import TEXT, Listener, records

VECTOR = TEXT.format(origin="origin=https://www.example.com ", tls="tls=TLSv1_2 ", t="1000.00ms")


def needs(script):
    why = envoy.missing(script)
    return pytest.mark.skipif(bool(why), reason=str(why))


@pytest.fixture
def listener(daemon, http, tmp_path):
    return lambda **env: Listener(daemon, http(), tmp_path, **env)


@needs("grpc-client")
@pytest.mark.parametrize("version", ["v3", "v2"])
def test_grpc_go_with_envoys_protos(listener, version):
    h = listener()
    assert envoy.grpc_client(h.port, "-version", version, "-messages", 50, "-entries", 40) == "ok"
    got = h.wait_records(2000)
    assert [r["message"] for r in got] == [f"{VECTOR} n={i}" for i in range(2000)]
    assert {(r["hostname"], r["tag"]) for r in got} == {("web.shop", "envoy")}


@needs("grpc-client")
def test_grpc_go_gets_the_reason(listener):
    h = listener()
    said = envoy.grpc_client(h.port, "-version", "v1")
    assert "Unimplemented" in said and "there is no such method" in said
    said = envoy.grpc_client(h.port, "-entries", 20000)  # a message of more than 4 MiB
    assert "ResourceExhausted" in said or "message larger than max" in said, said


@needs("grpc-client")
def test_grpc_go_json(listener):
    h = listener(ENVOY_FORMAT="json")
    assert envoy.grpc_client(h.port) == "ok"
    message = json.loads(h.wait_records(1)[0]["message"])
    assert message["node"] == {"id": "node", "cluster": "web.shop"} and message["log_name"] == "grpc-go"
    common = message["common_properties"]
    assert common["metadata"]["filter_metadata"]["details"] == {"list": [1.5, "two", True, None], "deep": {"k": "v"}}
    assert common["time_to_last_upstream_rx_byte"] == "1s" and common["custom_tags"] == {"zone": "a"}
    assert common["tls_properties"] == {"tls_version": "TLSv1_2", "tls_sni_hostname": "www.example.com"}


@pytest.fixture
def proxied(listener, closing, tmp_path):
    """proxied(**env): (the daemon, an Envoy that logs to it, the server behind the Envoy)."""
    def start(**env):
        h = listener(**env)
        upstream = closing(http_peer.Http())
        return h, closing(envoy.Envoy(tmp_path / "envoy", upstream.port, h.port)), upstream
    return start


def post(port, path):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SLOW)
    try:
        conn.request("POST", path, b"x" * 200, {"x-request-id": "r1", "x-forwarded-for": "1.1.1.1", "Host": "shop.example"})
        return conn.getresponse().status
    finally:
        conn.close()


@needs("envoy")
def test_envoy_http(proxied):
    h, proxy, _ = proxied()
    for i in range(20):
        assert post(proxy.http_port, f"/fee?n={i}") == 200
    got = h.wait_records(20)
    assert [r["message"].rsplit(" path=", 1)[1] for r in got] == [f"/fee?n={i}" for i in range(20)]
    for r in got:
        assert (r["hostname"], r["tag"]) == ("web.shop", "envoy")
        assert re.fullmatch(r"bytes=\d+ request_size=\d+ response_size=\d+ method=POST request_id=\S+ fwd=1\.1\.1\.1 "
                            r"authority=shop\.example protocol=http11 status=200 connect=\d+\.\d\dms service=\d+\.\d\dms "
                            r"total=\d+\.\d\dms path=\S+", r["message"]), r["message"]


@needs("envoy")
def test_envoy_tcp_and_json(proxied):
    h, proxy, _ = proxied(ENVOY_FORMAT="json")
    assert post(proxy.http_port, "/http") == 200
    assert post(proxy.tcp_port, "/tcp") == 200
    wait_for(lambda: len(records(h.web)) >= 2, 20 * SLOW, "both entries")
    by_log = {m["log_name"]: m for m in (json.loads(r["message"]) for r in records(h.web))}
    assert by_log["http-log"]["request"]["path"] == "/http" and by_log["http-log"]["node"]["cluster"] == "web.shop"
    assert by_log["tcp-log"]["connection_properties"]["received_bytes"] > 200
    assert by_log["tcp-log"]["common_properties"]["upstream_cluster"] == envoy.Envoy.CLUSTER


@needs("envoy")
def test_envoy_goes_on_after_a_restart(proxied):
    """Envoy decides whether to keep or drop what it logs while the daemon is down; from its next connection on, lines arrive
    again."""
    h, proxy, _ = proxied()
    assert post(proxy.http_port, "/before") == 200
    h.wait_records(1)
    port = h.port
    h.daemon.stop()
    h.daemon.env["ENVOY_PORT"] = str(port)
    h.daemon.start()
    wait_for(lambda: post(proxy.http_port, "/after") == 200 and any(r["message"].endswith("/after") for r in records(h.web)),
             60 * SLOW, "a line from after the restart")
