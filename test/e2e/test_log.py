"""T13: the daemon's own log. Lines that tenants and outsiders cause are limited for each of them, counted and summed up. None can
suppress another's lines, and lines that the operator causes are always written."""

import socket

import pytest
from lib.daemon import SLOW
from lib.http_peer import poison
from lib.ports import free_port
from lib.wait import wait_for

WAIT = 60 * SLOW
SUPPRESSED = "lines of this log were suppressed"
METRIC = "logtrain_log_lines_suppressed_total"


def test_T13_an_annotation_that_flaps(node, oracle, api, kube, syslog_tcp):
    """300 updates; the drains of each are gone with the next one, and some are refused."""
    peer = syslog_tcp()
    pods = [node.container(f"web-7d9c8b6f5d-{i:05}", "shop") for i in range(4)]
    other = node.container("api-7d9c8b6f5d-bcdfg", "bank")
    owner = api.deployment("web", "shop")
    rs = api.replicaset("web-7d9c8b6f5d", "shop", owner=owner)
    for c in pods:
        api.pod_of(c, owner=rs)
    api.workload(other, "api")
    d = kube()
    wait_for(lambda: d.metric("logtrain_kubernetes_pods") == 5, WAIT, "the pods")
    dead = free_port()
    for c in pods:
        c.write([b"unread"])
    for i in range(300):
        before = d.metric("logtrain_kubernetes_refused_drains_total")
        refused = ",".join(f"gopher://x{n}/{i}" for n in range(8))
        api.deployment("web", "shop", drains=f"syslog+tcp://127.0.0.1:{dead}?max={2000 + i},{refused}")
        for c in pods:
            c.write([b"unread"])
        if i < 15:  # later ones are handled together
            wait_for(lambda: d.metric("logtrain_kubernetes_refused_drains_total") > before, WAIT, "the update to be seen")
    api.deployment("web", "shop", drains=peer.url())
    pods[0].write(oracle.source("web").take(10))
    oracle.wait_complete(peer, WAIT)
    api.deployment("api", "bank", drains="gopher://victim/")
    wait_for(lambda: d.log_lines("drain refused .*namespace=bank .*victim"), WAIT, "the other tenant's line")
    lines = d.log().splitlines()
    assert len(lines) < 200, len(lines)
    assert d.metric(METRIC, by="namespaces") > 0 and d.metric(METRIC, by="outsiders") == 0
    d.stop()
    said = d.log_lines(f"{SUPPRESSED}.*by=namespace name=shop lines=[1-9]")
    assert said and not d.log_lines(f"{SUPPRESSED}.*bank")


def test_T13_a_route_of_the_operators_is_always_logged(node, daemon):
    d = daemon(node, routes=[("*", f"gopher://x/{i}") for i in range(300)])
    wait_for(lambda: len(d.log_lines("route refused")) == 300, WAIT, "all lines")
    assert d.metric(METRIC, by="namespaces") == d.metric(METRIC, by="outsiders") == 0


def bad_request(d, source):
    with socket.create_connection(("127.0.0.1", d.port), timeout=WAIT, source_address=(source, 0)) as s:
        s.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n{x}")
        while s.recv(4096):
            pass


def test_T13_a_malformed_sender_suppresses_no_other(daemon, http):
    d = daemon(routes=[("*", http().url())], env={"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_ADDRESS": "127.0.0.1"})
    for _ in range(200):
        bad_request(d, "127.0.0.2")
    bad_request(d, "127.0.0.3")
    wait_for(lambda: d.log_lines("request refused .*peer=127.0.0.3"), WAIT, "the other sender's line")
    said = len(d.log_lines("request refused .*peer=127.0.0.2"))
    assert 0 < said < 60
    wait_for(lambda: d.metric(METRIC, by="outsiders") >= 200 - said - 60, WAIT, "the count")
    d.stop()
    assert d.log_lines(f"{SUPPRESSED}.*by=sender name=127.0.0.2 lines=[1-9]")


@pytest.mark.slow
def test_T13_refused_records_suppress_no_other_line(node, oracle, daemon, http):
    """One operator's drain for all. Records of one namespace are refused, one by one; the line about the other namespace is still
    logged."""
    web = http(answers=poison(b"poison", 400))
    d = daemon(node, routes=[("*", web.url("batch=ndjson&linger=5ms"))])
    evil, calm = node.container("evil-0", "evil"), node.container("calm-0", "calm")
    source = oracle.source("a")
    for line in source.take(100):
        evil.write([line, b"poison of the one"])
    wait_for(lambda: sum(r["counters"]["rejected"] for r in d.drains()) == 100, 240 * SLOW, lambda: f"all to be refused: {d.drains()}")
    calm.write([b"poison of the other"] + source.take(1))
    wait_for(lambda: d.log_lines("record refused .*/calm_calm-0"), WAIT, "the other's line")
    assert len(d.log_lines("record refused .*/evil_evil-0")) < 100 and d.metric(METRIC, by="namespaces") > 0
