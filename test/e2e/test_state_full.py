"""The state on a full disk: a tmpfs of its own, filled to the last byte. Row S06 of docs/faults.md, as far as it concerns the
state."""

import contextlib
import errno
import os
import subprocess

import pytest
from lib.daemon import SLOW
from lib.node import Writer
from lib.wait import wait_for

DISK = 1 << 20
PODS = 60


class Disk:
    """A tmpfs of 1 MiB. fill() leaves no free byte, room() frees all of it again."""

    def __init__(self, path):
        self.path = path
        self.filler = path / "filler"

    def fill(self):
        fd = os.open(self.filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with pytest.raises(OSError) as full:
                while True:
                    os.write(fd, b"x" * 4096)
            assert full.value.errno == errno.ENOSPC
        finally:
            os.close(fd)
        assert self.free() == 0

    def room(self):
        self.filler.unlink()

    def free(self):
        return os.statvfs(self.path).f_bavail


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "logtrain-test", path], capture_output=True, text=True,
                          check=False)
    if done.returncode:
        pytest.skip(f"S06 IS NOT TESTED: no tmpfs can be mounted here, which takes root: {done.stderr.strip()}")
    with contextlib.ExitStack() as stack:
        stack.callback(subprocess.run, ["umount", "--lazy", path], check=True)
        yield Disk(path)


def web_url(peer):
    return peer.url("batch=ndjson&linger=10ms")


def is_durable(d):
    return "not durable" not in d.get("/readyz")[1]


def wait_fails(d):
    """Waits until two writes have failed."""
    wait_for(lambda: d.metric("logtrain_state_errors_total") >= 2, 20 * SLOW, "the state not to be written, twice")


def test_S06_disk_fills_up_and_checkpoints_go_on(node, oracle, daemon, http, disk):
    web = http()
    c = node.container("web-0", max_files=100)
    source = oracle.source("a")
    d = daemon(node, drains=[("*", web_url(web))], env={"STATE_PATH": disk.path / "state", "READ_FROM": "end"})
    progress = oracle.progress(web)
    with Writer(c, source, rate=1000) as writer:
        wait_for(lambda: d.metric("logtrain_state_writes_total") >= 2, 20 * SLOW, "both slots to have been written")
        disk.fill()
        writes = d.metric("logtrain_state_writes_total")
        for i in range(PODS):  # their records are on pages of the slots that were never written
            node.container(f"late-{i}").write(oracle.source(f"late-{i}").take(1))
        wait_for(lambda: d.metric("logtrain_state_records") > PODS, 20 * SLOW, "records of all")
        wait_for(lambda: d.metric("logtrain_state_writes_total") >= writes + 3, 20 * SLOW, "checkpoints on a full disk")
        assert disk.free() == 0 and is_durable(d)
        writer.stop()
    wait_for(progress.complete, 20 * SLOW, "all lines")
    d.wait_saved()
    assert d.metric("logtrain_state_errors_total") == 0
    before = progress.duplicates()
    d.kill()
    c.write(source.take(500))
    c.rotate(reopen_delay=0)
    c.write(source.take(500))
    d.start()
    oracle.wait_complete(web, 20 * SLOW).assert_exact(dup_max=0)  # all was saved: nothing arrives twice, and nothing is skipped
    assert before == 0 and disk.free() == 0 and is_durable(d)
    d.wait_saved()
    d.kill()  # and the state of the second run is valid too
    c.write(source.take(500))
    d.start()
    oracle.wait_complete(web, 20 * SLOW).assert_exact(dup_max=0)


def test_S06_disk_is_full_before_the_first_start(node, oracle, daemon, http, disk):
    web = http()
    c = node.container("web-0", max_files=100)
    source = oracle.source("a")
    disk.fill()
    d = daemon(node, drains=[("*", web_url(web))], env={"STATE_PATH": disk.path / "state", "READ_FROM": "start"})
    c.write(source.take(500))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    wait_fails(d)
    assert not is_durable(d)
    assert d.get("/readyz")[0] == 200
    assert "No space left on device" in d.log()
    d.kill()  # nothing was saved: all lines arrive twice, none is lost
    c.write(source.take(500))
    d.start()
    oracle.wait_complete(web, 20 * SLOW).assert_exact(dup_max=500)
    wait_fails(d)
    disk.room()
    c.write(source.take(500))
    wait_for(lambda: is_durable(d), 20 * SLOW, "the state to be written after all")
    d.wait_saved()
    twice = oracle.wait_complete(web, 20 * SLOW).assert_exact(dup_max=500).dup
    d.kill()
    c.write(source.take(500))
    d.start()
    assert oracle.wait_complete(web, 20 * SLOW).assert_exact(dup_max=500).dup == twice
