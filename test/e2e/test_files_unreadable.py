"""Files and directories that cannot be read: counted and logged, their bytes are lag, and reading resumes by itself when they
become readable."""

import contextlib
import os

import pytest
from lib.daemon import SLOW
from lib.preload import Files
from lib.wait import wait_for

END = {"READ_FROM": "end"}
# Root without the capability to ignore file modes.
NO_OVERRIDE = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@contextlib.contextmanager
def unreadable():
    """Files created meanwhile are readable by nobody."""
    old = os.umask(0o777)
    try:
        yield
    finally:
        os.umask(old)


def start(daemon, node, peer, **options):
    return daemon(node, drains=[("*", peer.url("batch=ndjson"))], prefix=NO_OVERRIDE, **{"env": END, **options})


def says(d, n):
    status, text = d.get("/readyz")
    return (status == 200 and d.metric("logtrain_unreadable_files") == n and
            (f"degraded: {n} log files or directories cannot be read" in text if n else "cannot be read" not in text))


def wait_said(d, n):
    wait_for(lambda: says(d, n), 60 * SLOW, lambda: f"{n} to be said: {d.get('/readyz')} {d.metric('logtrain_unreadable_files')}")


def lag(d):
    return d.drains()[0]["lag_bytes"]


@pytest.mark.parametrize("kind", ["cri", "docker", "plain"])
@pytest.mark.parametrize("when", ["at start", "while running"])
def test_L14_mode(node, oracle, daemon, http, kind, when):
    """Its lines since the start are lag, although it was never open; they arrive when the mode is fixed."""
    peer = http()
    good = node.container("good")

    def make():
        if kind == "plain":
            with unreadable():
                log = node.plain("bad.log")
            return log, log.path
        log = node.container("bad", format=kind, two_hops=kind == "docker", link=False)
        log.close()
        log.live.unlink()
        with unreadable():
            log._fd = log._open()
        log._link()
        return log, log.live
    if when == "at start":
        log, path = make()
        log.write(oracle.source("before").take(50))
        oracle.sources.pop("before")
    d = start(daemon, node, peer)
    if when != "at start":
        log, path = make()
    before = path.stat().st_size
    log.write(oracle.source("bad").take(100))
    good.write(oracle.source("good").take(10))
    oracle.wait_complete(peer, 60 * SLOW, ["good"])
    wait_said(d, 1)
    wait_for(lambda: lag(d) == path.stat().st_size - before, 60 * SLOW, lambda: f"its size as lag: {lag(d)}")
    log.write(oracle.sources["bad"].take(100))
    wait_for(lambda: lag(d) == path.stat().st_size - before, 60 * SLOW, lambda: f"its growth, too: {lag(d)}")
    assert d.metric("logtrain_unreadable_files_total") > 0 and d.drains()[0]["lag_seconds"] > 0
    path.chmod(0o640)
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    wait_said(d, 0)
    assert d.metric("logtrain_drain_lost_bytes_total") == 0


def test_L14_two_workers_count_a_file_once(node, oracle, daemon, http):
    peers = [http(), http(), http()]
    d = daemon(node, drains=[("*", p.url("batch=ndjson")) for p in peers], prefix=NO_OVERRIDE, env=END | {"WORKERS": "2"})
    pods = [node.container(f"bad-{i}", link=False) for i in range(3)]
    for c in pods:
        c.live.chmod(0)
        c._link()
        c.write(oracle.source(c.pod.name).take(10))
    wait_said(d, 3)
    pods[0].live.chmod(0o640)
    wait_said(d, 2)
    pods[1].pod.delete()  # a deleted file is not unreadable
    wait_said(d, 1)
    pods[2].live.chmod(0o640)
    wait_said(d, 0)
    for peer in peers:
        oracle.wait_complete(peer, 60 * SLOW, ["bad-0", "bad-2"])


@pytest.mark.parametrize("mode", [0, 0o311])
def test_L14_a_directory_cannot_be_listed(node, oracle, daemon, http, mode):
    peer = http()
    d = start(daemon, node, peer)
    pod = node.pod("bad-0")
    c = pod.container(link=False)
    c.dir.chmod(mode)
    c.write(oracle.source("bad").take(100))
    c._link()
    wait_said(d, 1)
    c.dir.chmod(0o755)
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    wait_said(d, 0)


@pytest.mark.parametrize("kinds, error", [("open", "EIO"), ("read", "EIO"), ("open", "EACCES")])
def test_L14_errors_of_the_disk(node, oracle, daemon, http, tmp_path, kinds, error):
    files = Files(tmp_path)
    peer = http()
    d = daemon(node, drains=[("*", peer.url("batch=ndjson"))], env={**END, **files.env})
    files.fail(kinds, error, match="_bad-0_")
    c = node.container("bad-0")
    c.write(oracle.source("bad").take(100))
    wait_said(d, 1)
    wait_for(lambda: lag(d) == c.live.stat().st_size, 60 * SLOW, lambda: f"its size as lag: {lag(d)}")
    files.clear()
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    wait_said(d, 0)
