"""Which streams were known before a start (L1): one that was not is read from its first byte, whatever the clocks say. Under
READ_FROM=end, where a stream that is taken for old is skipped silently."""

import random
import signal
import struct
import time
import zlib

import pytest
from lib.daemon import SLOW
from lib.http_peer import Answer
from lib.postgres import Relay, schema
from lib.preload import Clock
from lib.wait import wait_for

WAIT = 30 * SLOW
END = {"READ_FROM": "end"}


def web_url(peer):
    return peer.url("batch=ndjson&linger=10ms")


def begin(d, container, source, peer, oracle, n=100):
    """Lines that are delivered, with their position in the state."""
    container.write(source.take(n))
    oracle.wait_complete(peer, WAIT)
    d.wait_saved(peer.port)


def write_on(d, container, source, seconds=3):
    """Writes so that the state is saved some time after earlier files were made: no tolerance in comparing times can hide a
    fault."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        writes = d.metric("logtrain_state_writes_total")
        container.write(source.take(1))
        wait_for(lambda w=writes: d.metric("logtrain_state_writes_total") > w, WAIT, "a write")
    d.wait_saved()


def restart(d, how):
    if how == "kill":
        d.kill()
    else:
        d.stop()
    d.start()


def test_L01_born_in_the_grace_of_a_stop(node, oracle, daemon, http):
    """The stop takes its full grace because a drain does not answer; the state is written at its end."""
    web, dead = http(), http(default=Answer(never=True))
    a, source = node.container("a-0"), oracle.source("a")
    d = daemon(node, drains=[("*", web_url(web)), ("a.*", web_url(dead))], env={**END, "STOP_GRACE": "10s"})
    begin(d, a, source, web, oracle)
    d.signal(signal.SIGTERM)
    wait_for(lambda: d.log_lines("info stopping"), WAIT, "the stop to begin")
    for i in range(3):
        node.container(f"late-{i}").write(oracle.source(f"late-{i}").take(200))
    assert d.running(), "it is in its grace"
    assert d.wait_exit(20 * SLOW) == 0
    node.container("down-0").write(oracle.source("down").take(200))
    d.start()
    oracle.wait_complete(web, WAIT).assert_exact()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_L01_born_while_the_api_is_away(node, oracle, api, kube, http, how):
    """Pending streams, attached to nothing in any run except the last; one existed before the first start."""
    web = http()
    old, source = node.container("old-0", "shop"), oracle.source("old")
    old.write([b"from before the first start"] * 10)
    api.stop()
    d = kube(env={**END, "IDENTITY_WAIT": "10m"})
    old.write(source.take(100))
    born = node.container("born-0", "shop")
    born.write(oracle.source("born").take(100))
    wait_for(lambda: d.metric("logtrain_pending_streams") == 2, WAIT, "both streams")
    d.wait_saved()
    for _ in range(2):
        restart(d, how)
        old.write(source.take(100))
        born.write(oracle.sources["born"].take(100))
        wait_for(lambda: d.metric("logtrain_pending_streams") == 2, WAIT, "both streams")
        born.rotate(reopen_delay=0)
    d.kill()
    api.start()
    for c in (old, born):
        api.pod_of(c, drains=web_url(web))
    d.start()
    oracle.wait_complete(web, WAIT).assert_exact()


def test_L01_born_while_the_database_is_away(node, oracle, db, pg, http, closing):
    """The stream is named and attached to another drain; its row of the table is known only in the next run."""
    web, other = http(), http()
    db.sql(schema(), "owner")
    relay = closing(Relay(db.server.port))
    old, source = node.container("old-0", "shop"), oracle.source("old")
    d = pg(db.url(port=relay.port), drains=[("*", web_url(other))], **END)
    begin(d, old, source, other, oracle)
    relay.freeze()
    restart(d, "kill")
    node.container("born-0", "shop").write(oracle.source("born").take(200))
    oracle.wait_complete(other, WAIT)
    write_on(d, old, source)
    db.put("born.*", web_url(web))
    restart(d, "kill")
    relay.thaw()
    oracle.wait_complete(web, WAIT, ["born"]).assert_exact()


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("first, then", [(5, 0), (-5, 0), (7200, 0), (-7200, 0), (0, 7200), (0, -7200), (86400, -86400)])
def test_L01_the_clock_is_wrong_and_set_right(node, oracle, daemon, http, tmp_path, first, then, how):
    web, clock = http(), Clock(tmp_path)
    a = node.container("a-0")
    clock.step(wall=first)
    d = daemon(node, drains=[("*", web_url(web))], env={**END, **clock.env})
    begin(d, a, oracle.source("a"), web, oracle)
    if how == "stop":
        d.stop()
    else:
        d.kill()
    clock.step(wall=then - first)
    node.container("born-0").write(oracle.source("born").take(100))
    a.write(oracle.sources["a"].take(100))
    d.start()
    oracle.wait_complete(web, WAIT).assert_exact(dup_max=100)


@pytest.mark.parametrize("steps", [(7200, 0), (0, 7200), (-7200, 7200), (86400 * 365, 0)])
def test_L01_the_clock_steps_while_a_cursor_waits_for_its_route(node, oracle, api, kube, http, tmp_path, steps):
    """A day by the wall clock, a moment by the monotonic clock: the grace has not passed, in this run or the next."""
    web, other, clock = http(), http(), Clock(tmp_path)
    c, busy = node.container("web-0", "shop"), node.container("busy-0", "shop")
    api.pod_of(c, drains=web_url(web))
    d = kube(env={**END, **clock.env}, drains=[("busy*", web_url(other))])
    begin(d, c, oracle.source("a"), web, oracle)
    d.kill()
    api.stop()
    d.env["IDENTITY_WAIT"] = "1s"  # so that the operator's drain goes on, under a provisional name
    for step in steps:
        d.start()
        c.write(oracle.sources["a"].take(50))
        clock.step(wall=step)
        writes = d.metric("logtrain_state_writes_total")
        busy.write(oracle.source(f"busy{step}{writes}").take(20))
        wait_for(lambda w=writes: d.metric("logtrain_state_writes_total") > w, WAIT, "a write after the step")
        d.wait_saved()
        d.kill()
    api.start()
    d.start()
    oracle.wait_complete(web, WAIT, ["a"]).assert_exact(dup_max=100)


def test_L01_the_grace_is_counted_over_restarts(node, oracle, daemon, http, tmp_path):
    """By the monotonic clock: three quarters of an hour in each of two runs are more than an hour."""
    web, other, clock = http(), http(), Clock(tmp_path)
    c, busy = node.container("web-0"), node.container("busy-0")
    d = daemon(node, routes=[("web.*", web_url(web)), ("busy.*", web_url(other))],
               env={**END, "ROUTE_GRACE": "1h", **clock.env})
    begin(d, c, oracle.source("a"), web, oracle)
    busy.write(oracle.source("b").take(10))
    wait_for(lambda: d.metric("logtrain_state_records") == 2, WAIT, "both records")
    d.wait_saved()
    d.kill()
    d.set_routes([("busy.*", web_url(other))])
    for left in (2, 1):
        d.start()
        clock.step(mono=2700)
        busy.write(oracle.sources["b"].take(10))
        wait_for(lambda n=left: d.metric("logtrain_state_records") == n, WAIT, "the record to be kept, and dropped")
        d.wait_saved()
        d.kill()


def test_L01_lines_of_a_quiet_stream_with_since(node, oracle, daemon, http):
    """A cursor that has only skipped lines that are too old has a position too."""
    web = http()
    c = node.container("a-0")
    c.write_raw(b"".join(b"2020-01-01T00:00:%02dZ stdout F old\n" % i for i in range(60)))
    d = daemon(node, drains=[("*", web.url("batch=ndjson&linger=10ms&since=1s"))], env=END)
    wait_for(lambda: d.metric("logtrain_state_records") == 1, WAIT, "a record")
    d.wait_saved()
    d.kill()
    c.write(oracle.source("a").take(100))
    time.sleep(1.5)  # the test needs them to be older than `since` at the next start
    d.start()
    oracle.wait_complete(web, WAIT).assert_exact()


@pytest.mark.parametrize("restarts", [0, 1])
def test_L01_the_clock_is_set_right_after_a_drain_with_since_began(node, oracle, daemon, http, tmp_path, restarts):
    """It was two hours ahead, so later lines have times before the start of `since`."""
    web, clock = http(), Clock(tmp_path)
    c = node.container("a-0")
    c.write([b"older than that"] * 100)
    clock.step(wall=7200)
    d = daemon(node, drains=[("*", web.url("batch=ndjson&linger=10ms&since=10s"))], env={**END, **clock.env})
    wait_for(lambda: d.metric("logtrain_state_records") == 1, WAIT, "a record")
    d.wait_saved()
    clock.step(wall=-7200)
    for _ in range(restarts):
        restart(d, "kill")
    c.write(oracle.source("a").take(100))
    c.rotate(reopen_delay=0)
    c.write(oracle.sources["a"].take(100))
    oracle.wait_complete(web, WAIT).assert_exact()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_L01_another_container_of_the_same_name(node, oracle, daemon, http, how):
    """A file in the log path has no UID. Its name alone does not make it known."""
    web = http()
    first = node.plain("app.log")
    d = daemon(node, routes=[("other", web_url(web))], env=END)
    wait_for(lambda: d.metric("logtrain_streams") == 1, WAIT, "the stream")
    d.wait_saved()
    if how == "kill":
        d.kill()
    else:
        d.stop()
    first.path.rename(first.path.with_suffix(".old"))  # so that its inode is not reused
    node.plain("app.log").write(oracle.source("b").take(100))
    d.set_routes([("app", web_url(web))])
    d.start()
    oracle.wait_complete(web, WAIT).assert_exact()


def test_L01_a_route_that_comes_later_begins_at_the_end(node, oracle, daemon, http):
    """A known stream without a drain: lines from before the route came are not wanted. A restart does not change this."""
    web, other = http(), http()
    c, busy = node.container("quiet-0"), node.container("busy-0")
    d = daemon(node, routes=[("busy.*", web_url(other))], env=END)
    begin(d, busy, oracle.source("b"), other, oracle)
    late = node.container("late-0")
    for one in (c, late):
        one.write([b"nobody wanted this"] * 100)
    wait_for(lambda: d.metric("logtrain_streams") == 3, WAIT, "the streams")
    d.wait_saved()
    for _ in range(2):
        restart(d, "kill")
    d.set_routes([("*", web_url(web))])
    restart(d, "stop")
    for i, one in enumerate((c, late)):
        one.write(oracle.source(f"wanted{i}").take(100))
    oracle.wait_complete(web, WAIT, ["wanted0", "wanted1"]).assert_exact()


@pytest.mark.parametrize("seed", [1, 2])
def test_L01_pods_are_born_under_kills(node, oracle, daemon, http, seed):
    """At any moment, around every kill and stop: no stream is known without a record, and no line is skipped."""
    web, rng = http(), random.Random(seed)
    a = node.container("a-0")
    d = daemon(node, drains=[("*", web_url(web))], env=END)
    begin(d, a, oracle.source("a"), web, oracle)
    born = 0
    for cycle in range(8):
        for _ in range(rng.randrange(1, 6)):
            node.container(f"p{born}-0").write(oracle.source(f"p{born}").take(20))
            born += 1
            time.sleep(rng.random() * 0.06)
        if cycle % 4 == 3:
            d.wait_ready()  # before this point SIGTERM just kills it
            d.stop()
        else:
            d.kill()
        node.container(f"p{born}-0").write(oracle.source(f"p{born}").take(20))
        born += 1
        d.start(wait=bool(cycle % 2))
    oracle.wait_complete(web, WAIT).assert_exact(dup_max=100 * 20 * 8)


def test_L01_a_state_of_version_1_is_used(node, oracle, daemon, http):
    """Its records are used; a stream without one is read whole."""
    web = http()
    a, source = node.container("a-0"), oracle.source("a")
    d = daemon(node, drains=[("*", web_url(web))], env=END)
    begin(d, a, source, web, oracle)
    d.kill()
    state = d.tmp / "state"
    make_version_1(state)
    a.write(source.take(100))
    node.container("born-0").write(oracle.source("born").take(100))
    d.start()
    oracle.wait_complete(web, WAIT).assert_exact()
    assert d.log_lines("state loaded .*version=1")
    d.wait_saved()
    assert len((state / "lock").read_bytes()) == 24
    restart(d, "kill")
    assert d.log_lines("state loaded .*version=2")
    a.write(source.take(100))
    oracle.wait_complete(web, WAIT).assert_exact(dup_max=200)


def make_version_1(state):
    """What version 1 would have written: the records of the newest slot, the key without its checksum."""
    slots = sorted(state.glob("cursors.?"), key=lambda p: struct.unpack_from("<Q", p.read_bytes(), 16)[0])
    data = slots[-1].read_bytes()
    n, streams = struct.unpack_from("<II", data, 32)
    names_len = struct.unpack_from("<I", data, 48)[0]
    records = bytearray(data[64:64 + n * 256])
    for i in range(n):  # seen_ns, a wall time
        struct.pack_into("<Q", records, i * 256 + 84, time.time_ns())
    names = data[64 + n * 256 + streams * 64:][:names_len]
    head = data[:8] + struct.pack("<II", 1, 256) + data[16:32] + struct.pack("<I", n)
    head += struct.pack("<III", zlib.crc32(head + bytes(records)), names_len, 0)
    slots[-1].write_bytes(head.ljust(64, b"\0") + bytes(records) + names)
    slots[0].write_bytes(b"")
    (state / "lock").write_bytes((state / "lock").read_bytes()[:16])
