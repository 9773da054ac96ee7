"""docs/faults.md#files: changes of the files. Rotation, compression, truncation, restarts, deletion; both drains always get
exactly what was written."""

import gzip
import re

import pytest
from lib import http_peer, peer
from lib.daemon import SLOW
from lib.node import Rotator, Writer
from lib.preload import Clock
from lib.sinks import sinks  # noqa: F401
from lib.wait import Pacer, stays, wait_for


def lost_bytes(d):
    return d.metric("logtrain_lost_bytes_total")


def held(d, node):
    """Deleted files that the daemon still has open."""
    return [path for path in d.fds() if path.startswith(str(node.root)) and path.endswith(" (deleted)")]


@pytest.mark.slow
def test_L20_truncated_within_a_linger(node, oracle, daemon, http):
    """Lines written and truncated before they were read are lost, and each byte of them is declared."""
    peer = http()
    c = node.container()
    d = daemon(node, drains=[("*", peer.url("batch=ndjson&linger=45s"))], env={"READ_FROM": "end"})
    c.write(oracle.source("kept").take(1))
    oracle.wait_complete(peer, 60 * SLOW)
    read, written, had = c.live.stat().st_size, 0, peer.count()
    for i in range(3):
        c.write(oracle.source(f"lost-{i}").take(40))
        written += c.live.stat().st_size - read
        wait_for(lambda: d.drain(peer.port)["lag_bytes"] == c.live.stat().st_size - read, 60, "it to be seen")
        assert peer.count() == had, "it was sent before the file was truncated"
        c.copytruncate(f".{i}")
        read = 0
    c.write(oracle.sources["kept"].take(1))
    oracle.wait_complete(peer, 60 * SLOW, ["kept"])
    assert d.metric("logtrain_lost_bytes_total", reason="truncated") == written
    assert sum(b"were lost: their file was truncated" in m for m in peer.messages()) > 0
    assert d.log_lines(" error bytes were lost.*reason=truncated")


@pytest.mark.parametrize("late", [0, 0.05])
def test_F01_rotation_in_a_burst_with_late_writes(node, oracle, daemon, sinks, late):
    """50 MB/s, a rotation every 200 ms. For 50 ms after each, the writer uses the renamed file, and for 50 ms more while the new
    file already exists."""
    c = node.container()
    d = daemon(node, drains=sinks.drains())
    with Writer(c, oracle.source("a", size=1000), rate=50000) as writer, \
            Rotator(c, every=0.2, clean=False, late=late) as rotator:
        wait_for(lambda: rotator.rotations >= 10 and writer.source.written > 20000, 60 * SLOW, "ten rotations in a burst")
        rotator.stop()
        writer.stop()
    sinks.exact(60)
    assert lost_bytes(d) == 0


def test_F03_compressed_while_it_is_pinned(node, oracle, daemon, sinks):
    c = node.container(max_files=20)
    source = oracle.source("a")
    sinks.refuse()
    d = daemon(node, drains=sinks.drains())
    for _ in range(5):  # each rotation compresses, and so deletes, what the previous one left
        c.write(source.take(300))
        with Writer(c, source, rate=2000):
            c.rotate()
        wait_for(lambda: str(c.live) in d.fds(), 10 * SLOW, "the new file to be opened")
    assert sum(path.suffix == ".gz" for path in c.rotated()) == 4
    assert len(held(d, node)) == 4, "each was opened while it had its name, though no drain could take anything"
    c.write(source.take(300))
    assert not any(".tmp" in path for path in d.fds())
    sinks.resume()
    sinks.exact()
    wait_for(lambda: not held(d, node), 15 * SLOW, "the deleted files to be let go")
    assert not any(".gz" in path or ".tmp" in path for path in d.fds())
    sinks.quiet()
    sinks.exact()
    assert lost_bytes(d) == 0


def test_F03_compressed_beside_its_original(node, oracle, daemon, sinks):
    """The daemon sees each step of the compression: .tmp, .gz beside the file, .gz alone. None of them is a new log."""
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    for _ in range(2):
        c.write(source.take(200))
        away = c.rotate(clean=False)
        packed = away.with_name(away.name + ".gz")
        tmp = away.with_name(away.name + ".tmp")
        for step in (lambda: tmp.write_bytes(gzip.compress(away.read_bytes())), lambda: tmp.rename(packed), away.unlink):
            step()
            c.write(source.take(50))
            sinks.complete()
    sinks.quiet()
    sinks.exact()
    assert lost_bytes(d) == 0


def test_F05_rename_back(node, oracle, daemon, sinks):
    c = node.container()
    d = daemon(node, drains=sinks.drains())
    with Writer(c, oracle.source("a"), rate=5000):
        for _ in range(10):
            c.rotate(fail_reopen=True)
            c.rotate(reopen_delay=0, fail_reopen=True)  # finished before the daemon looks
    sinks.exact()
    c.rotate()
    c.write(oracle.sources["a"].take(100))
    sinks.exact()
    sinks.quiet()
    sinks.exact()
    assert d.metric("logtrain_truncations_total") == 0


@pytest.mark.parametrize("suffix", [".1", ".20261120-101500", "-20261120"])
def test_F06_copytruncate(node, oracle, daemon, sinks, suffix):
    """Everything was read before the truncation, so nothing is lost; and the copy is not read, whatever its name is."""
    c = node.container()
    source = oracle.source("a")
    daemon(node, drains=sinks.drains())
    for _ in range(3):
        c.write(source.take(500))
        sinks.complete()
        c.copytruncate(suffix)
        c.write(source.take(100))
        sinks.complete()
    sinks.quiet()
    sinks.exact()


def test_F06_copytruncate_loses_what_was_not_read(node, oracle, daemon, sinks):
    """Lines written after the last read are gone, and nothing else, in whichever order the events are noticed."""
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    c.write(source.take(500))
    sinks.complete()
    d.pause()
    c.write(oracle.source("unread").take(40))
    c.copytruncate()
    c.write(source.take(300))
    d.resume()
    sinks.complete(streams=["a"])
    sinks.quiet()
    sinks.exact(streams=["a"])
    assert d.metric("logtrain_truncations_total") == 1


def test_F06_copytruncate_loss_is_counted(node, oracle, daemon, sinks):
    """The drains lag when the file is truncated: lines that they had not got yet are lost and declared."""
    c = node.container()
    source = oracle.source("a", size=1000)
    d = daemon(node, drains=sinks.drains())
    c.write(source.take(10))
    sinks.complete()
    sinks.refuse()
    c.write(source.take(1000))
    size = c.live.stat().st_size
    wait_for(lambda: d.metric("logtrain_drain_lag_bytes") >= 2 * (size - 20000), 10 * SLOW, "the lag to show")
    c.copytruncate()
    c.write(oracle.source("b").take(100))
    wait_for(lambda: d.metric("logtrain_lost_bytes_total", reason="truncated"), 20 * SLOW, "the loss to be counted")
    sinks.resume()
    sinks.exact(streams=["b"], foreign=1)
    for report in sinks.reports(["a"]):
        assert report.lost and report.dup == 0 and report.reorder == 0, report
        assert b" bytes were lost: their file was truncated before it was read" in report.foreign[0]
    for row in d.drains():
        lost = d.metric("logtrain_drain_lost_bytes_total", drain=row["name"], reason="truncated")
        assert len(d.log_lines(rf"bytes were lost drain={re.escape(row['name'])} .*reason=truncated bytes(_at_least)?={lost:.0f} ")) == 1


@pytest.mark.parametrize("regrown", [50, 500])
def test_F07_truncated_and_regrown_unseen(node, oracle, daemon, sinks, regrown):
    """Between two checks the file was truncated, and is now shorter or longer than it was."""
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    for _ in range(3):
        c.write(source.take(200))
        sinks.complete()
        d.pause()
        c.copytruncate()
        c.write(source.take(regrown))
        d.resume()
        sinks.complete()
    sinks.quiet()
    sinks.exact()
    assert d.metric("logtrain_truncations_total") == 3


def test_F07_truncated_and_regrown_while_the_drains_are_down(node, oracle, daemon, sinks, tmp_path):
    """Their cursors have gone back to the confirmed position. The bytes that they find there are in the middle of another file."""
    clock = Clock(tmp_path)
    c = node.container()
    d = daemon(node, drains=sinks.drains(), env=clock.env)
    c.write(oracle.source("old").take(200))
    sinks.complete()

    def confirmed():
        clock.step(mono=1)
        return d.metric("logtrain_drain_lag_bytes") == 0
    wait_for(confirmed, 10 * SLOW, "the lines to be confirmed")
    sinks.refuse()
    c.write(oracle.source("unread").take(50))
    wait_for(lambda: len(d.log_lines("drain failing")) == 2, 10 * SLOW, "both drains to fail")
    c.copytruncate()
    c.write(oracle.source("new").take(1000))
    sinks.resume()
    sinks.exact(streams=["new"], foreign=None)
    for report in sinks.reports(["old"]):
        assert report.lost == 0 and report.reorder == 0, report
    assert d.metric("logtrain_truncations_total") == 1


@pytest.mark.parametrize("lines", [5, 1000])
def test_F08_hole_after_truncate(node, oracle, daemon, sinks, lines):
    """A writer without O_APPEND continues at its old offset: before it there are NULs, or a hole that reads as NULs."""
    c = node.container(append=False)
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    for _ in range(3):
        c.write(source.take(lines))
        sinks.complete()
        c.copytruncate()
        c.write(source.take(lines))
        sinks.complete()
    sinks.quiet()
    sinks.exact()
    assert d.metric("logtrain_raw_lines_total") == 0


@pytest.mark.parametrize("how", ["retarget", "new link", "docker"])
def test_F10_thirty_restarts(node, oracle, daemon, sinks, how):
    """Every 10 ms a new <n>.log to which the link points. The rest of each file is read all the same."""
    docker = how == "docker"
    c = node.container(format="docker" if docker else "cri", two_hops=docker)
    daemon(node, drains=sinks.drains())
    pacer = Pacer(100)
    with Writer(c, oracle.source("a"), rate=20000, burst=50):
        for _ in range(30):
            assert pacer.due(1)
            c.restart(retarget=how == "retarget")
    sinks.exact(foreign=None)  # a run of which only the link was seen may have had lines
    assert c.restarts == 30


def test_F11_deleted_with_unread_bytes(node, oracle, daemon, tmp_path, syslog_tcp, http):
    """Pod, files and links are deleted while slow drains still have to read most of them."""
    clock = Clock(tmp_path)
    tcp, slow = syslog_tcp(mode=peer.Mode(bytes_per_s=100000), rcvbuf=65536), [True]
    web = http(lambda request: http_peer.Answer(delay=2 if slow else 0))
    d = daemon(node, drains=[("*", tcp.url()), ("*", web.url("batch=ndjson&connections=1"))], env=clock.env)
    pod = node.pod("short-7d4b9c6f5-x2x1z")
    for name in ("one", "two"):
        c = pod.container(name)
        c.write(oracle.source(f"{name}-old", size=1000).take(2000))
        c.rotate(reopen_delay=0)
        c.write(oracle.source(name, size=1000).take(2000))
    for p in (tcp, web):
        wait_for(lambda: p.count() > 100, 20 * SLOW, "the first lines")
    wait_for(lambda: sum(path.startswith(str(pod.dir)) for path in d.fds()) == 4, 10 * SLOW, "all files to be opened")
    assert tcp.count() < 7000 and web.count() < 7000
    pod.delete()
    assert len(held(d, node)) == 4
    slow.clear()
    tcp.mode = peer.NORMAL
    for conn in tcp.connections:
        conn.mode = peer.NORMAL
    for p in (tcp, web):
        oracle.wait_complete(p, 60 * SLOW).assert_exact()
    assert lost_bytes(d) == 0

    def let_go():
        clock.step(mono=1)  # nothing may be sent again for a minute before it is over
        return d.metric("logtrain_streams") == 0 and not held(d, node)
    wait_for(let_go, 20 * SLOW, "the deleted files to be let go")
