"""A real Elasticsearch: what it accepts, what it refuses, and that its index holds each line once. Skipped where it is not
installed; scripts/elasticsearch fetches it."""

import pytest
from lib.daemon import SLOW
from lib.elastic import RealElastic
from lib.node import Writer
from lib.oracle import parse
from lib.wait import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("elasticsearch")]


@pytest.fixture(scope="module")
def server():
    why = RealElastic.available()
    if why:
        pytest.skip(why)
    one = RealElastic()
    yield one
    one.close()


@pytest.fixture
def es(server):
    """An empty server."""
    for name in server.ask("/_cat/indices?format=json&expand_wildcards=all"):
        server.ask("/" + name["index"], "DELETE")
    return server


def state(d):
    (drain,) = d.drains()
    return drain


def wait_count(es, n, timeout=60):
    wait_for(lambda: es.count() >= n, timeout * SLOW, lambda: f"{n} documents; {es.count()} are there")


def assert_each_once(oracle, es):
    messages = sorted(es.messages(), key=lambda m: parse(m)[:2])
    oracle.check(messages).assert_exact()


def test_documents_are_what_was_written(node, daemon, es):
    node.container("web-7d4b9c6f5-x2x4z", "shop").write_raw(
        b"2026-11-20T10:15:00.123456789+01:00 stdout F hello \"you\" \xe2\x82\xac\x00\n"
        b"2026-11-20T23:15:01Z stderr F {\"create\":{}}\n")
    daemon(node, drains=[("*", es.url("index=logs-%25Y.%25m.%25d"))], env={"NODE": "n1"})
    wait_count(es, 2)
    first, second = es.documents()
    assert first["_index"] == "logs-2026.11.20" == second["_index"]
    assert first["_source"] == {
        "@timestamp": "2026-11-20T10:15:00.123456+01:00", "hostname": "web.shop", "tag": "web-7d4b9c6f5-x2x4z",
        "message": "hello \"you\" €\0", "severity": 6, "facility": 1, "namespace": "shop", "pod": "web-7d4b9c6f5-x2x4z",
        "container": "main", "node": "n1", "stream": "stdout"}
    assert second["_source"]["message"] == '{"create":{}}' and second["_source"]["severity"] == 3


def test_killed_and_started_over(node, oracle, daemon, es):
    """Killed in the middle, positions lost, read again from the start, with gzip and several workers: each line once."""
    pods = [node.container(f"web-{i}", max_files=100) for i in range(3)]
    for c in pods:
        source = oracle.source(c.pod.name)
        c.write(source.take(4000))
        c.rotate()
        c.write(source.take(2000))
    drains = [("*", es.url("index=logs&linger=5ms&compression=gzip"))]
    d = daemon(node, drains=drains, env={"WORKERS": 2})
    wait_for(lambda: es.count() > 3000, 60 * SLOW, "some of it")
    d.kill()
    d = daemon(node, drains=drains)  # with a state directory of its own
    wait_for(lambda: state(d)["lag_bytes"] == 0 and state(d)["counters"]["records_out"] >= 18000, 60 * SLOW, "all of it, again")
    assert es.count("logs") == 18000
    assert_each_once(oracle, es)
    assert state(d)["counters"]["retries"] == 0


def test_bad_records_and_a_block(node, oracle, daemon, es):
    """Records that the mapping refuses are skipped and logged; with a read-only index, lines wait until it is writable."""
    es.ask("/logs", "PUT", {"mappings": {"properties": {"message": {"type": "keyword"}}}})
    es.ask("/logs/_mapping", "PUT", {"properties": {"severity": {"type": "byte"}}})
    c, source = node.container(), oracle.source("a")
    c.write(source.take(100))
    at = c.live.stat().st_size
    c.write([b"x" * 40000])  # a term that is too long
    c.write(source.take(100))
    d = daemon(node, drains=[("*", es.url("index=logs"))])
    wait_count(es, 200)
    wait_for(lambda: state(d)["counters"]["rejected"] == 1, 10 * SLOW, "the one that is refused")
    (line,) = d.log_lines("record refused")
    assert f"file={c.live} offset={at} " in line and "illegal_argument_exception" in line
    es.ask("/logs/_settings", "PUT", {"index.blocks.write": True})
    c.write(source.take(100))
    wait_for(lambda: state(d)["state"] == "held", 20 * SLOW, "the drain to be held")
    assert "cluster_block_exception" in state(d)["last_error"]
    es.ask("/logs/_settings", "PUT", {"index.blocks.write": False})
    wait_count(es, 300)
    assert_each_once(oracle, es)


def test_a_closed_index_and_one_that_must_not_be_made(node, oracle, daemon, es):
    es.ask("/_cluster/settings", "PUT", {"transient": {"action.auto_create_index": "false"}})
    try:
        node.container().write(oracle.source("a").take(50))
        d = daemon(node, drains=[("*", es.url("index=logs"))])
        wait_for(lambda: state(d)["state"] == "held", 20 * SLOW, "the drain to be held")
        assert "index_not_found_exception" in state(d)["last_error"]
        es.ask("/logs", "PUT", {})
        es.ask("/logs/_close", "POST")
        wait_for(lambda: "index_closed_exception" in state(d)["last_error"], 20 * SLOW, "another reason")
        es.ask("/logs/_open", "POST")
        wait_count(es, 50)
    finally:
        es.ask("/_cluster/settings", "PUT", {"transient": {"action.auto_create_index": None}})
    assert_each_once(oracle, es)
    assert state(d)["counters"]["rejected"] == 0


def test_restarted_while_lines_come(node, oracle, daemon, closing):
    """The server goes away and comes back with its data."""
    why = RealElastic.available()
    if why:
        pytest.skip(why)
    one = closing(RealElastic())
    daemon(node, drains=[("*", one.url("index=logs&linger=20ms"))])
    with Writer(node.container(), oracle.source("a"), rate=500) as writer:
        wait_for(lambda: one.count() > 500, 60 * SLOW, "some of it")
        one.restart()
        writer.stop()
    wait_count(one, oracle.sources["a"].written, 120)
    assert_each_once(oracle, one)
