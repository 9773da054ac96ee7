"""STATE_PATH is removed or replaced while it is in use (L2), or damaged while no daemon runs (L3)."""

import os
import shutil
import struct
import subprocess
import zlib

import pytest
from lib.daemon import SLOW, run
from lib.wait import stays, wait_for

WAIT = 30 * SLOW
SAID = "state was removed or replaced while in use"


def web_url(peer):
    return peer.url("batch=ndjson&linger=10ms")


def is_durable(d):
    return "not durable" not in d.get("/readyz")[1]


def is_whole(state):
    return run("state", "verify", str(state)).returncode == 0


class Run:
    """A daemon whose first 100 lines are delivered and saved, under READ_FROM=<read_from>."""

    def __init__(self, node, oracle, daemon, http, read_from="end", state=None):
        self.oracle, self.web, self.node = oracle, http(), node
        self.c, self.source = node.container("web-0"), oracle.source("a")
        env = {"READ_FROM": read_from, **({"STATE_PATH": state} if state else {})}
        self.d = daemon(node, drains=[("*", web_url(self.web))], env=env)
        self.state = state or self.d.tmp / "state"
        self.lines(100)
        self.d.wait_saved()

    def lines(self, n):
        self.c.write(self.source.take(n))
        self.oracle.wait_complete(self.web, WAIT)

    def after_a_kill(self, dup_max=0):
        """What was confirmed is in the state that the next start reads."""
        self.d.wait_saved()
        self.d.kill()
        self.c.write(self.source.take(100))
        self.node.container("born-0").write(self.oracle.source("born").take(100))
        self.d.start()
        assert self.d.metric("logtrain_state_resets_total") == 0
        self.oracle.wait_complete(self.web, WAIT).assert_exact(dup_max=dup_max)


# --- L2: while it is in use ------------------------------------------------------------------------------------------

def remove_directory(state):
    shutil.rmtree(state)


def remove_parent(state):
    shutil.rmtree(state.parent)


def rename_directory(state):
    state.rename(state.with_name("elsewhere"))


def rename_parent(state):
    state.parent.rename(state.parent.with_name("elsewhere"))


def copy_in_its_place(state):
    old = state.with_name("elsewhere")
    state.rename(old)
    shutil.copytree(old, state, ignore=shutil.ignore_patterns("*.sock"))


def empty_in_its_place(state):
    state.rename(state.with_name("elsewhere"))
    state.mkdir()


def link_in_its_place(state):
    other = state.with_name("other")
    other.mkdir()
    state.rename(state.with_name("elsewhere"))
    state.symlink_to(other)


def file_change(name, change):
    def go(state):
        path = state / name
        if change == "unlink":
            path.unlink()
        elif change == "replace":
            new = state / "new"
            new.write_bytes(path.read_bytes())
            new.replace(path)
        else:
            os.truncate(path, 0)
    go.__name__ = f"{change}_{name}"
    return go


CHANGES = [remove_directory, remove_parent, rename_directory, rename_parent, copy_in_its_place, empty_in_its_place,
           link_in_its_place,
           *[file_change(name, change) for name in ("lock", "cursors.a", "cursors.b")
             for change in ("unlink", "replace", "truncate")]]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_L02_gone_while_running(node, oracle, daemon, http, tmp_path, change):
    """Nothing is confirmed meanwhile: it is noticed all the same."""
    state = tmp_path / "mnt" / "state"
    r = Run(node, oracle, daemon, http, state=state)
    writes = r.d.metric("logtrain_state_writes_total")
    r.d.pause()  # or it exists again before the change is complete
    change(state)
    r.d.resume()
    wait_for(lambda: r.d.log_lines(SAID), 2 * SLOW, "to be told")
    wait_for(lambda: r.d.metric("logtrain_state_writes_total") > writes and is_durable(r.d), WAIT, "a new state")
    assert r.d.log_lines("state is writable again")
    wait_for(lambda: is_whole(state), WAIT, "the new state to be whole")
    assert len(r.d.log_lines(SAID)) == 1
    r.after_a_kill()


def test_L02_not_durable_until_it_can_be_created(node, oracle, daemon, http, tmp_path):
    """A file with its name prevents that; delivery goes on."""
    state = tmp_path / "state"
    r = Run(node, oracle, daemon, http, state=state)
    r.d.pause()
    state.rename(tmp_path / "elsewhere")
    state.write_text("not a directory")
    r.d.resume()
    wait_for(lambda: not is_durable(r.d), 2 * SLOW, "not durable")
    assert r.d.get("/readyz")[0] == 200
    r.lines(100)
    stays(lambda: not is_durable(r.d), 1, "not durable")
    state.unlink()
    wait_for(lambda: is_durable(r.d), WAIT, "the state to be written again")
    r.after_a_kill()


def test_L02_another_daemon_has_it_now(node, oracle, daemon, http, tmp_path):
    """The directory was moved away, and another daemon has started in its place: that one keeps the lock."""
    state = tmp_path / "state"
    r = Run(node, oracle, daemon, http, state=state)
    r.d.pause()
    state.rename(tmp_path / "elsewhere")
    other = daemon(node, drains=[("*", "null://")], env={"STATE_PATH": state})
    r.d.resume()
    wait_for(lambda: r.d.log_lines("in use by another logtrain"), WAIT, "to be told")
    assert not is_durable(r.d) and is_durable(other)
    other.stop()
    wait_for(lambda: is_durable(r.d), WAIT, "it to have the state again")
    r.after_a_kill()


@pytest.fixture
def mount(tmp_path):
    path = tmp_path / "mounted"
    path.mkdir()
    done = []

    def go(where=path):
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "logtrain-test", where], capture_output=True, text=True,
                              check=False)
        if made.returncode:
            pytest.skip(f"L02 IS NOT TESTED: no tmpfs can be mounted here, which takes root: {made.stderr.strip()}")
        done.append(where)
        return where
    yield go
    for where in reversed(done):
        subprocess.run(["umount", "--lazy", where], check=False, capture_output=True)


def test_L02_unmounted_or_mounted_over(node, oracle, daemon, http, mount):
    """A lazy unmount, or a mount on top, leaves the open files unchanged."""
    where = mount()
    r = Run(node, oracle, daemon, http, state=where / "state")
    for n, change in ((1, lambda: mount(where)), (2, lambda: subprocess.run(["umount", "--lazy", where], check=True)),
                      (3, lambda: subprocess.run(["umount", "--lazy", where], check=True))):
        change()
        wait_for(lambda n=n: len(r.d.log_lines(SAID)) == n and is_durable(r.d), WAIT, "to be noticed, and made anew")
        r.d.wait_saved()
        assert is_whole(where / "state")
        r.lines(20)
    r.after_a_kill()


# --- L3: while no daemon runs ----------------------------------------------------------------------------------------

def zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def empty(path):
    os.truncate(path, 0)


def cut(path):
    os.truncate(path, min(path.stat().st_size - 1, 100))  # inside the written part


def cut_short(path):
    os.truncate(path, 16)


def missing(path):
    path.unlink()


def noise(path):
    path.write_bytes(os.urandom(path.stat().st_size))


def flip_first(path):
    flip(path, 0)


def flip_last(path):
    flip(path, min(path.stat().st_size, 120) * 8 - 1)


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def swapped(path):
    """The file of another daemon's state, intact in itself."""
    path.write_bytes((path.parent.parent / "other" / path.name).read_bytes())


DAMAGE = [zero, empty, cut, cut_short, missing, noise, flip_first, flip_last, swapped]
SLOTS = ["cursors.a", "cursors.b"]
BOTH = [(damage, "end") for damage in DAMAGE] + [(damage, "start") for damage in (zero, missing, flip_first)]


def damaged(tmp_path, r, files, damage):
    if damage is swapped:
        other = r.d.__class__(drains=[("*", "null://")], tmp=tmp_path, env={"STATE_PATH": r.state.parent / "other"})
        other.stop()
    r.d.kill()
    for name in files:
        damage(r.state / name)


@pytest.mark.parametrize("damage, read_from", BOTH)
@pytest.mark.parametrize("files", [["lock"], SLOTS, [*SLOTS, "lock"]], ids=lambda f: "+".join(f))
def test_L03_never_a_first_start(node, oracle, daemon, http, tmp_path, files, damage, read_from):
    """A key or slots exist, or once did, and are not valid: everything on the node is read again, and this is logged as an error."""
    if len(files) == 3 and damage in (empty, missing, swapped):
        pytest.skip("nothing is left of it, or all of another's: see test_L03_a_directory_without_a_state_is_new")
    if files == ["lock"] and damage is cut_short:
        pytest.skip("what is left is the key as version 1 had it, and the slots say that it is the right one")
    r = Run(node, oracle, daemon, http, read_from)
    damaged(tmp_path, r, files, damage)
    verify = run("state", "verify", str(r.state))
    assert verify.returncode == 1 and "bad: " in verify.stdout, verify
    r.c.write(r.source.take(100))
    node.container("born-0").write(oracle.source("born").take(100))
    r.d.start()
    assert r.d.log_lines("error state is damaged or unreadable: everything on the node is read again")
    assert r.d.metric("logtrain_state_resets_total") == 1
    report = oracle.wait_complete(r.web, WAIT).assert_exact(dup_max=100)
    assert report.dup == 100, "all of it came again"
    wait_for(lambda: is_whole(r.state), WAIT, "a whole state")
    r.lines(10)
    r.node.container("more-0").write(oracle.source("more").take(100))
    oracle.wait_complete(r.web, WAIT)
    r.d.wait_saved()
    r.d.kill()  # and the next start is a normal one
    r.c.write(r.source.take(100))
    r.d.start()
    assert r.d.metric("logtrain_state_resets_total") == 0
    oracle.wait_complete(r.web, WAIT).assert_exact(dup_max=100)


@pytest.mark.parametrize("damage, read_from", BOTH)
@pytest.mark.parametrize("which", ["newer", "older"])
def test_L03_one_slot_is_enough(node, oracle, daemon, http, tmp_path, which, damage, read_from):
    r = Run(node, oracle, daemon, http, read_from)
    for _ in range(2):  # each slot lists the stream
        r.lines(10)
        r.d.wait_saved()
    slots = sorted((r.state / name for name in SLOTS), key=lambda p: p.stat().st_mtime_ns)
    damaged(tmp_path, r, [slots[which == "newer"].name], damage)
    verify = run("state", "verify", str(r.state))
    assert verify.returncode == 1 and verify.stdout.count("bad: ") == 1, verify
    r.c.write(r.source.take(100))
    node.container("born-0").write(oracle.source("born").take(100))
    r.d.start()
    assert r.d.metric("logtrain_state_resets_total") == 0
    oracle.wait_complete(r.web, WAIT).assert_exact(dup_max=10)
    assert is_whole(r.state) or is_whole(r.state), "both slots were written before it was ready; one look may fall into a write"


@pytest.mark.slow
def test_L03_any_bit_of_the_key(node, daemon):
    d = daemon(node, drains=[("*", "null://")], env={"READ_FROM": "end"})
    key = d.tmp / "state" / "lock"
    d.stop()
    good = key.read_bytes()
    for bit in range(0, len(good) * 8, 5):
        flip(key, bit)
        verify = run("state", "verify", str(key.parent))
        assert verify.returncode == 1 and "lock  bad: the key is damaged" in verify.stdout
        key.write_bytes(good)
    assert is_whole(key.parent)
    flip(key, 77)
    d.start()
    assert d.metric("logtrain_state_resets_total") == 1
    d.stop()
    assert is_whole(key.parent)


def test_L03_a_newer_version_refuses_to_start(node, daemon, tmp_path):
    d = daemon(node, drains=[("*", "null://")])
    d.stop()
    for name in SLOTS:
        path = d.tmp / "state" / name
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, 8, 99)
        struct.pack_into("<I", data, 60, zlib.crc32(bytes(data[:60])))
        path.write_bytes(data)
    assert run("state", "verify", str(d.tmp / "state")).returncode == 1
    d.start(wait=False)
    assert d.wait_exit(20 * SLOW) == 1
    assert "state of version 99" in d.tail()


@pytest.mark.parametrize("read_from", ["end", "start"])
@pytest.mark.parametrize("left", ["nothing", "directory"])
def test_L03_a_directory_without_a_state_is_new(node, oracle, daemon, http, read_from, left):
    """Nothing shows that a daemon ever ran: a first start, as documented."""
    r = Run(node, oracle, daemon, http, read_from)
    r.d.kill()
    r.c.write([b"while down"] * 10)
    shutil.rmtree(r.state)
    if left == "directory":
        r.state.mkdir()
        assert is_whole(r.state)
    r.d.start()
    r.lines(100)
    report = oracle.check(r.web.messages())
    assert report.dup == (100 if read_from == "start" else 0)
    assert r.d.metric("logtrain_state_resets_total") == 0
    r.d.wait_saved()
    assert is_whole(r.state)
