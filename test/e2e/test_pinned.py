"""Deleted files that are pinned for slow drains: the budget, whose lines it costs, and how that is reported. Rows of
docs/faults.md#files and #state."""

import re

import pytest
from lib import http_peer
from lib.daemon import SLOW
from lib.oracle import parse
from lib.wait import wait_for

GAP = re.compile(rb"logtrain: (\d+) bytes(?: from (\S+) to (\S+))? were lost: ")


def web_url(peer):
    return peer.url("batch=ndjson&linger=10ms")


def lost(d, **labels):
    return d.metric("logtrain_drain_lost_bytes_total", **labels) or 0


def wait_rotated(d, c):
    """Waits until the daemon knows the last rotation: it has opened the new file."""
    wait_for(lambda: str(c.live) in d.fds(), 20 * SLOW, "the live file to be opened")


def settled(d, peer, n):
    """Waits until <peer> has <n> lines and the daemon knows it. Before lines are read they are not lag."""
    wait_for(lambda: peer.count() == n, 20 * SLOW, lambda: f"{n} lines; {peer.count()} are there")
    d.wait_confirmed(peer.port)


def declared(report):
    """The number of bytes that the gap records in <report> declare."""
    return sum(int(GAP.search(m)[1]) for m in report.foreign)


def test_F02_twenty_rotations_within_the_budget(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0", max_files=5)
    source = oracle.source("a", size=500)
    d = daemon(node, drains=[("*", web_url(web))])
    c.write(source.take(10))
    wait_for(lambda: oracle.progress(web).distinct() == 10, 20 * SLOW, "the first lines")
    web.refuse("reset")
    for _ in range(20):
        c.write(source.take(50))
        c.rotate(reopen_delay=0)
        wait_rotated(d, c)  # kubelet checks every 10 s; a file rotated twice between two checks is in a .gz
    c.write(source.take(50))
    wait_for(lambda: d.metric("logtrain_held_bytes") > 10 * 50 * 500, 20 * SLOW, "the deleted files to be held")
    web.resume()
    oracle.wait_complete(web, 60 * SLOW).assert_exact(dup_max=10)
    assert lost(d) == 0
    wait_for(lambda: d.metric("logtrain_held_bytes") == 0, 20 * SLOW, "the files to be let go")


def test_F02_twenty_rotations_over_the_budget(node, oracle, daemon, http):
    """Exactly the evicted files are lost, the oldest ones, and the drain is told where and when."""
    web = http()
    c = node.container("web-0", max_files=5)
    source = oracle.source("a", size=500)
    d = daemon(node, drains=[("*", web_url(web))], env={"HELD_BYTES_MAX": "30k"})
    c.write(source.take(10))
    settled(d, web, 10)
    web.refuse("reset")
    sizes, read = [], c.live.stat().st_size
    for _ in range(20):
        c.write(source.take(50))
        sizes.append(c.live.stat().st_size)
        c.rotate(reopen_delay=0)
        wait_rotated(d, c)
    c.write(source.take(50))
    wait_for(lambda: lost(d, reason="evicted"), 20 * SLOW, "bytes to be given up")
    wait_for(lambda: d.metric("logtrain_held_bytes") <= 15 << 10, 20 * SLOW, "the stream to hold no more than its half")
    def evicted():
        return len(d.log_lines(r"bytes were lost .*pod=web-0 .*reason=evicted"))
    wait_for(lambda: lost(d, reason="evicted") == sum(sizes[:evicted()]) - read, 20 * SLOW,
             lambda: f"the oldest to be lost, to the byte: {lost(d)}, {sizes}")
    web.resume()
    gone = 50 * evicted()  # the first file had ten more lines, which were delivered
    wait_for(lambda: oracle.progress(web).distinct() == source.written - gone, 60 * SLOW, "the rest")
    d.wait_confirmed(web.port)
    report = oracle.check(web.messages()).assert_exact(lost=gone, foreign=None)
    assert report.lost_ranges["a"] == [(10, 9 + gone)], "not the oldest"
    assert declared(report) == lost(d)
    assert all(GAP.search(m)[2] for m in report.foreign)  # a batch in flight meanwhile has a gap record of its own
    assert d.metric("logtrain_drain_gap_records_total") == len(report.foreign) >= 1
    assert d.metric("logtrain_packets_sent_total") == source.written - gone


def test_S14_only_the_offending_drain_pays(node, oracle, daemon, http):
    """One drain is dead, the other healthy; and a quiet stream keeps its position."""
    well, dead = http(), http()
    noisy, quiet = node.container("noisy-0", max_files=3), node.container("quiet-0", max_files=3)
    a, b = oracle.source("a", size=500), oracle.source("b", size=500)
    d = daemon(node, drains=[("*", web_url(well)), ("*", web_url(dead))], env={"HELD_BYTES_MAX": "20k"})
    for c, source in ((noisy, a), (quiet, b)):
        c.write(source.take(10))
    for peer in (well, dead):
        settled(d, peer, 20)
    dead.refuse("reset")
    progress = oracle.progress(well)
    for i in range(20):  # compressed, 18 deleted files are twice the share of one stream
        noisy.write(a.take(50))
        wait_for(progress.complete, 20 * SLOW, progress.text)  # this drain is healthy: kubelet gives it 10 s
        noisy.rotate(reopen_delay=0)
        wait_rotated(d, noisy)
        if i < 4:
            quiet.write(b.take(2))
            quiet.rotate(reopen_delay=0)
            wait_rotated(d, quiet)
    name = d.drain(dead.port)["name"]
    wait_for(lambda: lost(d, reason="evicted", drain=name), 20 * SLOW, "bytes to be given up")
    assert not d.log_lines("bytes were lost .*pod=quiet-0")
    dead.resume()
    oracle.wait_complete(well, 60 * SLOW).assert_exact()
    oracle.wait_complete(dead, 60 * SLOW, streams=["b"])
    d.wait_confirmed(dead.port)
    report = oracle.check(dead.messages())
    assert report.accounts["b"].distinct == b.written and report.lost_ranges["b"] == []
    assert report.lost and report.reorder == 0 and report.dup == 0, report
    assert declared(report) == lost(d, drain=name) == lost(d)


@pytest.mark.parametrize("routed", [True, False])
def test_F12_deleted_with_unread_bytes_and_killed(node, oracle, daemon, http, routed):
    """Nothing is left of the pod after the restart: its drain is told how much it missed, or at least the log says so."""
    web = http()
    c = node.container("short-0")
    d = daemon(node, routes=[("*", web_url(web))])
    c.write(oracle.source("a").take(10))
    settled(d, web, 10)
    web.refuse("reset")
    read = c.live.stat().st_size
    c.write(oracle.source("lost").take(500))
    c.rotate(reopen_delay=0)
    wait_rotated(d, c)
    c.write(oracle.sources["lost"].take(500))
    unread = sum(path.stat().st_size for path in c.files()) - read
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") == unread, 20 * SLOW, "the lag to show")
    c.pod.delete()
    wait_for(lambda: d.metric("logtrain_held_bytes") == unread + read, 20 * SLOW, "both files to be held")
    wait_for(lambda: d.metric("logtrain_state_pending") == 0, 20 * SLOW, "the state to be written")
    d.kill()
    if not routed:
        d.set_routes([("other", web_url(web))])
    d.start()
    named = rf"error .*gone since the last run.*pod=short-0 .*lost_bytes_at_least={unread}\b"
    wait_for(lambda: d.log_lines(named), 20 * SLOW, "the loss to be named")  # this is after "ready"
    assert len(d.log_lines(named)) == 1
    if not routed:
        return
    web.resume()
    wait_for(lambda: web.count() == 11, 30 * SLOW, "the gap record")
    report = oracle.check(web.messages(), ["a"]).assert_exact(foreign=1)
    assert b"logtrain: at least %d bytes were lost" % unread in report.foreign[0]
    wait_for(lambda: d.metric("logtrain_streams") == 0 and d.metric("logtrain_cursors") == 0, 20 * SLOW, "its end")
    assert lost(d, reason="restart") == unread
    d.stop()
    d.start()
    assert web.count() == 11 and len(d.log_lines("gone since the last run")) == 1, "said twice"


def test_F13_short_lived_pod(node, oracle, daemon, http):
    """A pod of 200 ms: its file is gone before the API could be asked about it."""
    web = http()
    d = daemon(node, drains=[("*", web_url(web))])
    c = node.container("moment-7d4b9c6f5-x2x1z")
    c.write(oracle.source("a").take(200))
    wait_for(lambda: any(path.startswith(str(c.live)) for path in d.fds()), 20 * SLOW, "the file to be opened")
    c.pod.delete()
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    assert lost(d) == 0


def test_S15_reload_and_upgrade_keep_all_cursors(node, oracle, daemon, http):
    """1,000 cursors: the routes are read again in another order, then the daemon is replaced; none is lost and none starts anew."""
    web = http()
    containers = [node.container(f"web-{i}") for i in range(100)]
    routes = [("*", web_url(web))] + [("*", f"null://{i}") for i in range(9)]
    d = daemon(node, routes=routes)
    sources = [oracle.source(f"s{i}") for i in range(100)]

    def write_and_settle():
        for c, source in zip(containers, sources):
            c.write(source.take(3))
        oracle.wait_complete(web, 60 * SLOW).assert_exact()
        d.wait_saved()
        assert d.metric("logtrain_cursors") == 1000 and d.metric("logtrain_state_records") == 1000

    write_and_settle()
    d.set_routes(routes[::-1])
    d.hup()
    write_and_settle()
    d.stop()
    d.start()
    write_and_settle()
    assert d.metric("logtrain_resume_gaps_total") == 0 and lost(d) == 0


def test_F24_one_noisy_among_many_quiet(node, oracle, daemon, http):
    """2,000 files for one drain: every quiet line arrives while most of the noisy stream's backlog is still waiting."""
    web = http(lambda request: http_peer.Answer(delay=0.02))
    noisy = node.container("noisy-0")
    quiet = [node.container(f"quiet-{i}") for i in range(1999)]
    a, b = oracle.source("noisy", size=1000), oracle.source("quiet")
    noisy.write(a.take(20000))
    for c in quiet:
        c.write(b.take(1))
    daemon(node, drains=[("*", web.url("batch=ndjson&linger=10ms&connections=1"))])
    progress = oracle.progress(web, ["quiet"])
    wait_for(progress.complete, 60 * SLOW, "the quiet lines")
    names = [parse(m)[0] for m in web.messages()]
    last = len(names) - names[::-1].index("quiet")
    assert names[:last].count("noisy") < a.written, "the noisy one went first"


def test_T03_the_namespace_that_pins_most_pays(node, oracle, api, kube, http):
    """Four drains of one namespace pin more than their neighbour's only one, though each pins less than it."""
    peers, pods = {}, {}
    for name, namespace, lines in [(f"evil{i}", "evil", 40) for i in range(4)] + [("calm", "calm", 70)]:
        peers[name] = http()
        pods[name] = node.container(f"{name}-7d9c8b6f5d-bcdfg", namespace)
        api.workload(pods[name], name, drains=web_url(peers[name]))
        pods[name].write(oracle.source(name, size=500).take(1))
    d = kube(env={"HELD_BYTES_MAX": "100k"})
    for name, peer in peers.items():
        settled(d, peer, 1)
        peer.refuse("reset")
        pods[name].write(oracle.sources[name].take(70 if name == "calm" else 40))
    sizes = {name: c.live.stat().st_size for name, c in pods.items()}
    assert sum(sizes.values()) > 100 << 10 and sizes["calm"] > sizes["evil0"]
    for c in pods.values():
        c.pod.delete()
    wait_for(lambda: lost(d, reason="evicted"), 60 * SLOW, "bytes to be given up")
    wait_for(lambda: d.metric("logtrain_held_bytes") <= 100 << 10, 60 * SLOW, "the rest to fit")
    for peer in peers.values():
        peer.resume()
    oracle.wait_complete(peers["calm"], 60 * SLOW, ["calm"]).assert_exact(dup_max=70)
    assert d.log_lines("bytes were lost .*pod=evil") and not d.log_lines("bytes were lost .*pod=calm")
