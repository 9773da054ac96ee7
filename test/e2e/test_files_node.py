"""docs/faults.md#files, #state: faults of the node. inotify overflows or is exhausted, files cannot be read, links lead to
forbidden places, clocks step. Other files are not affected, and nothing is lost."""

import email.utils
import os
import re
import socket
import time
from pathlib import Path

import pytest
from lib import http_peer
from lib.daemon import SLOW
from lib.node import Writer, cri_record, encode_cri
from lib.preload import Clock, Files
from lib.sinks import sinks  # noqa: F401
from lib.wait import wait_for

QUEUE = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
RESCAN = 5  # seconds between rescans while inotify is not reliable


@pytest.mark.skipif(QUEUE > 1 << 20, reason="the queue of inotify events is too large to be filled")
def test_F21_inotify_queue_overflows(node, oracle, daemon, sinks):
    """While the daemon is stopped, more events happen than the kernel keeps; the rest can only be found by a scan."""
    old = [node.container(f"old-{i}") for i in range(20)]
    for c in old:
        c.write(oracle.source(c.pod.name).take(20))
    d = daemon(node, drains=sinks.drains())
    sinks.complete()
    d.pause()
    a, b = (os.open(node.containers / name, os.O_CREAT | os.O_WRONLY | os.O_APPEND) for name in ("x.txt", "y.txt"))
    for _ in range(QUEUE // 2 + 100):  # on different files, because identical consecutive events are merged
        os.write(a, b"x")
        os.write(b, b"y")
    os.close(a)
    os.close(b)
    for c in old:
        c.write(oracle.sources[c.pod.name].take(20))
        c.rotate(reopen_delay=0)
        c.write(oracle.sources[c.pod.name].take(20))
    for c in old[:10]:
        c.restart()
        c.write(oracle.sources[c.pod.name].take(20))
    for i in range(200):
        node.container(f"new-{i}").write(oracle.source(f"new-{i}").take(5))
    d.resume()
    sinks.complete()
    for c in old:  # and from then on it gets events again
        c.rotate(reopen_delay=0)
        c.write(oracle.sources[c.pod.name].take(20))
    sinks.exact()
    assert d.metric("logtrain_inotify_overflows_total") >= 1
    assert d.metric("logtrain_rescans_total") >= 1


@pytest.mark.parametrize("kind, error, after", [("instance", "EMFILE", 0), ("watch", "ENOSPC", 0), ("watch", "ENOSPC", 5)])
def test_F22_inotify_is_used_up(node, oracle, daemon, sinks, tmp_path, kind, error, after):
    """Changes are found by scans every few seconds, and this is logged; when watches are available again, they are used."""
    files = Files(tmp_path)
    files.fail(kind, error, after=after)
    pods = [node.container(f"web-{i}") for i in range(10)]
    for c in pods:
        c.write(oracle.source(c.pod.name).take(20))
    d = daemon(node, drains=sinks.drains(), env=files.env)
    sinks.complete()
    assert d.metric("logtrain_inotify_degraded") == 1
    assert "degraded" in d.get("/readyz")[1]
    for c in pods:
        c.write(oracle.sources[c.pod.name].take(20))
        c.rotate(reopen_delay=0, clean=False)
        c.write(oracle.sources[c.pod.name].take(20))
    new = node.container("new")
    new.write(oracle.source("new").take(20))
    sinks.complete(3 * RESCAN)
    assert len(d.log_lines(" warn .*cannot watch directories")) == 1, "one warning, however often it is tried"
    files.clear()
    wait_for(lambda: d.metric("logtrain_inotify_degraded") == 0, 3 * RESCAN * SLOW, "watches again")
    rescans = d.metric("logtrain_rescans_total")
    for c in [*pods, new]:
        c.write(oracle.sources[c.pod.name].take(20))
    sinks.exact()
    assert d.metric("logtrain_rescans_total") == rescans


@pytest.mark.parametrize("kinds, error", [("open", "EACCES"), ("open", "EIO"), ("open stat list", "ESTALE"), ("stat list", "EACCES"),
                                          ("stat", "EIO"), ("read", "EIO"), ("read", "ESTALE")])
def test_F23_unreadable_is_not_deleted(node, oracle, daemon, sinks, tmp_path, kinds, error):
    """One container's files cannot be read for a while: logged once, retried, nothing lost; other containers are not affected."""
    files = Files(tmp_path)
    bad, good = node.container("bad-0"), node.container("good-0")
    d = daemon(node, drains=sinks.drains(), env=files.env)
    for c in (bad, good):
        c.write(oracle.source(c.pod.name).take(50))
    sinks.complete()
    files.fail(kinds, error, match="_bad-0_")
    for c in (bad, good):
        c.write(oracle.sources[c.pod.name].take(50))
        c.rotate(reopen_delay=0, clean=False)
        c.write(oracle.sources[c.pod.name].take(50))
        c.restart()
        c.write(oracle.sources[c.pod.name].take(50))
    sinks.complete(streams=["good-0"])
    wait_for(lambda: files.hits() >= 3, 10 * SLOW, "it to be tried again")
    assert len(d.log_lines("warn .*(unreadable|cannot be)")) <= 3, "once for each file at most"
    files.clear()
    sinks.exact()
    sinks.quiet()
    sinks.exact()
    assert d.metric("logtrain_lost_bytes_total") == 0 and d.metric("logtrain_truncations_total") == 0


def test_F23_beginning_of_a_line_unreadable(node, oracle, daemon, sinks, tmp_path):
    """The line's end was written, but the file with its beginning cannot be read just now: the line waits and is delivered whole."""
    files = Files(tmp_path)
    c, other = node.container("bad-0"), node.container("good-0")
    out, err = oracle.source("out", 40000), oracle.source("err")
    d = daemon(node, drains=sinks.drains(), env=files.env)
    first, second, third = encode_cri([out.next()])
    c.write_raw(first)
    old = c.rotate(reopen_delay=0, clean=False)
    c.write_raw(second)
    c.write(err.take(20), "stderr")
    sinks.complete(streams=["err"])
    files.fail("read", "EIO", match=old.name)
    c.write_raw(third)
    c.write(err.take(20), "stderr")
    wait_for(lambda: files.hits() >= 3, 10 * SLOW, "it to be tried again")
    other.write(oracle.source("other").take(20))
    sinks.complete(streams=["other"])
    assert len(d.log_lines("warn .*unreadable")) == 1
    files.clear()
    sinks.exact()
    assert d.metric("logtrain_cut_lines_total") == 0


def test_F23_directory_goes_away_and_comes_back(node, oracle, daemon, sinks):
    """As when a mount is lost: there are no files for a while, and then they are all back."""
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    c.write(source.take(100))
    sinks.complete()
    away = node.root / "away"
    node.pods_dir.rename(away)
    c.write(source.take(100))
    wait_for(lambda: d.metric("logtrain_streams") == 1, 5 * SLOW, "an answer")
    sinks.complete()  # it is open
    away.rename(node.pods_dir)
    node.containers.joinpath("again.log").symlink_to("nowhere")
    c.write(source.take(100))
    c.rotate()
    c.write(source.take(100))
    sinks.exact()
    assert d.metric("logtrain_truncations_total") == 0 and d.metric("logtrain_lost_bytes_total") == 0


def test_F25_links_that_lead_out(node, oracle, daemon, sinks, tmp_path):
    """Links that a tenant might put into the tree: none of the targets is opened, each is logged once, and the daemon is not
    blocked."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"the secret\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0.log").write_bytes(b"the secret\n")
    c = node.container("web-0")
    pod = c.dir
    os.mkfifo(pod / "1.log")
    (pod / "2.log").symlink_to(secret)
    (pod / "0.log.20261120-101500").symlink_to(secret)
    os.mkfifo(pod / "0.log.20261120-101501")
    bad = {
        "outside_ns_c.log": secret, "passwd_ns_c.log": "/etc/passwd", "proc_ns_c.log": "/proc/self/environ", "zero_ns_c.log": "/dev/zero",
        "dots_ns_c.log": "../../secret", "fifo_ns_c.log": pod / "1.log", "dir_ns_c.log": pod, "by-way_ns_c.log": pod / "2.log",
        "loop_ns_c.log": "loop_ns_c.log", "pod_ns_c.log": node.pods_dir / "ns_pod_1-1" / "c" / "0.log",
    }
    (node.pods_dir / "ns_pod_1-1").mkdir()
    (node.pods_dir / "ns_pod_1-1" / "c").symlink_to(tmp_path / "other")
    for name, target in bad.items():
        (node.containers / name).symlink_to(target)
    os.mkfifo(node.containers / "straight_ns_c.log")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(node.containers / "s.log"))
    (node.containers / "d.log").mkdir()
    source = oracle.source("a")
    c.write(source.take(50))
    d = daemon(node, drains=sinks.drains())
    sinks.complete()
    for name, target in bad.items():  # once more, under another name, while the daemon runs
        (node.root / "new").symlink_to(target)
        (node.root / "new").replace(node.containers / name)
        (node.containers / f"again-{name}").symlink_to(target)
    (node.containers / "last_ns_c.log").symlink_to(secret)
    wait_for(lambda: d.log_lines("log refused link=last_ns_c.log"), 10 * SLOW, "the last link to be refused")
    c.write(source.take(50))
    sinks.exact()
    sinks.quiet()
    sinks.exact()
    assert not any(str(tmp_path / "secret") in path or "/other/" in path or path.startswith(("/proc/self", "/etc"))
                   for path in d.fds())
    refused = [re.search(r"(?:link|file)=(\S+)", line)[1] for line in d.log_lines("log refused")]
    assert len(set(refused)) == len(refused), "each once"
    followed = {"fifo_ns_c.log", "by-way_ns_c.log"}  # into the container's directory; files in it are checked on their own
    assert set(bad) - followed <= set(refused)
    assert {"1.log", "2.log", "straight_ns_c.log", "s.log", "d.log", "last_ns_c.log", "0.log.20261120-101500", "0.log.20261120-101501"} <= set(refused)
    assert d.metric("logtrain_refused_files_total") == len(refused)


def test_F25_live_file_becomes_a_link(node, oracle, daemon, sinks, tmp_path):
    """A log file is replaced by a link to a secret after the check and before the open, or later."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"the secret\n" * 100)
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains())
    c.write(source.take(50))
    sinks.complete()
    d.pause()
    c.live.rename(c.live.with_name("0.log.20261120-101500"))
    c.live.symlink_to(secret)
    d.resume()
    wait_for(lambda: d.log_lines("log refused .*file=0.log"), 10 * SLOW, "the link to be refused")
    c.write(source.take(50))  # into the renamed file
    c.live.unlink()
    c.reopen()
    c.write(source.take(50))
    sinks.exact()
    sinks.quiet()
    sinks.exact()


HOUR, DAY = 3600, 86400


def test_S13_wall_clock_steps(node, oracle, daemon, sinks, tmp_path):
    """No delay depends on the wall clock. Lines, retries and unfinished lines take as long as usual."""
    clock = Clock(tmp_path)
    c = node.container()
    source = oracle.source("a")
    d = daemon(node, drains=sinks.drains(), env={**clock.env, "PARTIAL_TIMEOUT": "300ms"})
    c.write(source.take(20))
    sinks.complete()
    for step in (HOUR, -HOUR, DAY, -20000 * DAY):
        with Writer(c, source, rate=2000, count=400) as writer:
            clock.step(wall=step)
            c.rotate(reopen_delay=0, clean=False)
            writer.join()
        sinks.complete(5)
        clock.step(wall=-step)
        n = sinks.tcp.count() + 1
        c.write_raw(cri_record(b"unfinished", b"P", "stderr"))
        clock.step(wall=DAY)
        wait_for(lambda: sinks.tcp.count() >= n, 10 * SLOW, "the unfinished line")
        sinks.refuse()
        c.write(source.take(20))
        wait_for(lambda: d.drains()[0]["state"] != "open" or d.drains()[1]["state"] != "open", 10 * SLOW, "a failing drain")
        clock.step(wall=-DAY)
        sinks.resume()
        sinks.complete(5)
    tcp, web = sinks.reports()
    web.assert_exact(foreign=None)
    assert tcp.lost == 0 and tcp.reorder == 0 and not tcp.corrupt


@pytest.mark.parametrize("ahead", [-DAY, -HOUR, HOUR, DAY])
def test_S13_retry_after_is_clamped(node, oracle, daemon, http, tmp_path, ahead):
    """The receiver's Retry-After is a date by its own clock, which is <ahead> of ours."""
    clock = Clock(tmp_path)
    clock.step(wall=ahead)
    when = email.utils.formatdate(time.time() + 2, usegmt=True)
    web = http([http_peer.Answer(503, {"Retry-After": when})])
    d = daemon(node, drains=[("*", web.url("batch=ndjson"))], env=clock.env)
    node.container().write(oracle.source("a").take(20))
    wait_for(lambda: len(web.requests) == 1, 10 * SLOW, "a request")
    left = wait_for(lambda: d.metric("logtrain_drain_retry_in_seconds"), 10 * SLOW, "the pause to show")
    assert (0 < left <= 1) if ahead > 0 else (60 < left <= 900)

    def again():
        clock.step(mono=30)
        return d.metrics() and len(web.requests) > 1
    wait_for(again, 20 * SLOW, "another request")
    oracle.wait_complete(web, 10 * SLOW).assert_exact()


@pytest.mark.parametrize("env", [{"POD_NAME": "logtrain-x1", "POD_NAMESPACE": "ops"},
                                 {"HOSTNAME": "logtrain-x1", "KUBERNETES_SERVICE_HOST": "127.0.0.1"}])
def test_our_own_log_is_not_read(node, oracle, daemon, sinks, env):
    """If not, a drain to standard output, or a log message about a line, would loop for ever."""
    node.container("logtrain-x1", namespace="ops").write(oracle.source("own").take(20))
    other = node.container("web-0")
    daemon(node, drains=sinks.drains(), env=env)
    other.write(oracle.source("a").take(20))
    sinks.exact(streams=["a"])
    sinks.quiet()
    assert all(peer.count() == 20 for peer in sinks.peers)
