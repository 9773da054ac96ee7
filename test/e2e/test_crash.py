"""S02: the daemon is killed (SIGKILL) at a named point of the code (src/base/fault.h), twice, while files rotate. It starts again
without any help."""

import signal

import pytest
from lib import daemon as daemon_module
from lib.node import Rotator, Writer
from lib.preload import Clock
from lib.wait import wait_for

BIN = daemon_module.BIN
FRESH = "on the first start ever"
POINTS = {  # at which passing of the point each run is killed; the second run starts from a state, unless noted
    "state-locked": ((1, 1), FRESH),
    "key-written": ((1,), FRESH),
    "slot-allocated": ((1, 1), FRESH),
    "route-added": ((1, 2), None),
    "segment-opened": ((1, 3), None),
    "gz-opened": ((1, 1), None),
    "cursor-resumed": ((1, 2), None),
    "rotate-seen": ((1, 2), None),
    "segment-left": ((1, 2), None),
    "after-send": ((1, 5), None),
    "after-ack": ((1, 7), None),
    "positions-told": ((1, 2), None),
    "slot-written": ((1, 2), None),
    "slot-synced": ((1, 2), None),
    "last-write": ((1, 1), None),
}


@pytest.fixture(autouse=True)
def compiled_in():
    if b"LT_FAULT" not in BIN.read_bytes():
        pytest.skip("no crash points in this build: use the preset asan, dev or tsan")


def test_S02_the_points_are_those_of_the_source():
    source = daemon_module.ROOT / "src"  # those of file:// are in test_file.py
    found = {text.split('"')[1] for path in source.rglob("*.c") for text in path.read_text().split("FAULT_POINT(")[1:]}
    assert {point for point in found if not point.startswith("file-")} == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_S02_killed_at(node, oracle, daemon, http, point):
    counts, fresh = POINTS[point]
    web, other = http(), http()
    c = node.container("web-0", max_files=10000)
    source = oracle.source("a")
    d = daemon(node, drains=[("*", peer.url("batch=ndjson&linger=10ms")) for peer in (web, other)],
               env={"LT_FAULT": f"{point}:{counts[0]}", "READ_FROM": "start"} if fresh else {}, wait=not fresh)
    c.write(source.take(300))
    if not fresh:
        for peer in (web, other):
            oracle.wait_complete(peer, 60)
        d.wait_saved()
        d.kill()
        for _ in range(3):  # so that reading continues inside a .gz
            c.write(source.take(100))
            c.rotate(reopen_delay=0)
    with Rotator(c, every=0.2), Writer(c, source, rate=1000) as writer:
        for i, n in enumerate(counts):
            if not fresh or i:
                d.env["LT_FAULT"] = f"{point}:{n}"
                d.start(wait=False)
            if point == "last-write":
                d.wait_ready()
                wait_for(lambda: d.metric("logtrain_state_writes_total"), 20, "a state")
                d.signal(signal.SIGTERM)
            assert d.wait_exit(150) == -signal.SIGKILL, d.tail()
        del d.env["LT_FAULT"]
        d.start()
        writer.stop()
    for peer in (web, other):
        oracle.wait_complete(peer, 60).assert_exact(dup_max=len(counts) * source.written)


def test_a_long_stop_uses_up_no_grace(node, oracle, daemon, http, tmp_path):
    """A route that appears late, after a stop longer than the grace, still finds its saved position."""
    clock = Clock(tmp_path)
    web, other = http(), http()
    a, b = node.container("web-0"), node.container("api-0")
    d = daemon(node, routes=[("web.default", web.url("batch=ndjson")), ("api.default", other.url("batch=ndjson"))],
               env={"READ_FROM": "end", **clock.env})
    a.write(oracle.source("a").take(100))
    b.write(oracle.source("b").take(100))
    oracle.wait_complete(web, 20, streams=["a"])
    oracle.wait_complete(other, 20, streams=["b"])
    d.wait_saved()
    d.kill()
    clock.step(wall=3 * 3600)
    d.set_routes([("api.default", other.url("batch=ndjson"))])
    a.write(oracle.sources["a"].take(100))
    b.write(oracle.sources["b"].take(100))
    d.start()
    oracle.wait_complete(other, 20, streams=["b"])
    wait_for(lambda: d.metric("logtrain_state_writes_total") and d.metric("logtrain_state_pending") == 0, 20, "a write")
    d.set_routes([("web.default", web.url("batch=ndjson")), ("api.default", other.url("batch=ndjson"))])
    d.hup()
    oracle.wait_complete(web, 20, streams=["a"]).assert_exact(dup_max=100)
