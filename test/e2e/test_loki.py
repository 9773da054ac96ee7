"""Loki drains: every byte of a push, labels and tenant, and how its answers are handled."""

import pytest
from lib.daemon import SLOW
from lib.loki import Loki
from lib.node import Writer
from lib.wait import wait_for


def state(d):
    (drain,) = d.drains()
    return drain


@pytest.fixture
def loki(closing, certs):
    def start(*args, tls=False, **options):
        return closing(Loki(*args, tls=certs.server("good") if tls else None, **options))
    return start


def test_every_byte(node, daemon, loki):
    peer = loki()
    c = node.container("web-7d4b9c6f5-x2x4z", "shop")
    c.write_raw(b"2026-11-20T10:15:00.123456789+01:00 stdout F hello \"you\" \xe2\x82\xac\xff\n"
                b"2026-11-20T10:15:01Z stderr F again\n")
    daemon(node, drains=[("*", peer.url("linger=50ms&tenant=team-a"))], env={"NODE": "n1"})
    wait_for(lambda: len(peer.messages()) == 2, 60 * SLOW, "both")
    request = peer.requests[0]
    assert request.headers["x-scope-orgid"] == "team-a"
    assert request.body.decode() == (
        '{"streams":[{"stream":{"namespace":"shop","workload":"web","container":"main","node":"n1"},"values":['
        '["1795166100123456789","hello \\"you\\" €\ufffd"],["1795169701000000000","again"]]}]}')


def test_labels_path_tls_and_gzip(node, oracle, daemon, loki, certs):
    peer = loki(tls=True, path="/behind/push")
    daemon(node, drains=[("*", peer.url("labels=pod,namespace&compression=gzip&ca=" + certs.option(), path="/behind/push"))])
    pods = [node.container(f"web-{i}", "shop") for i in range(3)]
    for c in pods:
        c.write(oracle.source(c.pod.name).take(300))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert {labels for labels, _, _ in peer.entries} == {(("namespace", "shop"), ("pod", f"web-{i}")) for i in range(3)}
    assert all(r.headers["content-encoding"] == "gzip" for r in peer.requests)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_sent_again(node, oracle, daemon, loki, status):
    answers = [status, status]
    peer = loki(lambda request: answers.pop() if answers else None)
    d = daemon(node, drains=[("*", peer.url())])
    node.container().write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert state(d)["counters"]["retries"] >= 2 and state(d)["counters"]["rejected"] == 0


@pytest.mark.parametrize("status", [260, 401, 404])
def test_suspended(node, oracle, daemon, loki, status):
    peer = loki(lambda request: status)
    d = daemon(node, drains=[("*", peer.url())])
    node.container().write(oracle.source("a").take(50))
    wait_for(lambda: [s["state"] for s in d.drains()] == ["held"], 60 * SLOW, "the drain to be held")
    assert str(status) in state(d)["last_error"]


def test_a_line_too_long_for_it_is_skipped(node, oracle, daemon, loki):
    peer = loki()
    d = daemon(node, drains=[("*", peer.url("linger=10ms"))], env={"MAX_LINE": "1m"})
    c, source = node.container(), oracle.source("a")
    c.write(source.take(50))
    c.write_raw(b"2026-11-20T10:15:00Z stdout F " + b"x" * 300_000 + b"\n")
    c.write(source.take(50))
    oracle.wait_complete(peer, 60 * SLOW)
    wait_for(lambda: state(d)["counters"]["rejected"] == 1, 60 * SLOW, "the long line to be counted")


def test_many_streams(node, oracle, daemon, loki):
    peer = loki()
    daemon(node, drains=[("*", peer.url("linger=10ms"))], env={"WORKERS": 2})
    writers = [Writer(c, oracle.source(c.pod.name), rate=3000, count=3000) for c in [node.container(f"web-{i}") for i in range(6)]]
    for w in writers:
        w.join()
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
