"""file:// drains: a folder that has every line once, whatever becomes of the daemon, the disk and the files."""

import os
import subprocess

import pytest
from lib import daemon as daemon_module
from lib.daemon import SLOW
from lib.folder import Folder
from lib.node import Rotator, Writer
from lib.preload import Clock
from lib.wait import wait_for
from test_state_full import disk  # noqa: F401  (a fixture)

POINTS = ["file-confirmed", "file-rotated", "file-synced", "file-written"]
DAY = 24 * 60 * 60


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "archive")


def drain(d):
    (one,) = d.drains()
    return one


def wait_error(d, text):
    wait_for(lambda: any(text in (r["last_error"] or "") for r in d.drains()), 60 * SLOW, lambda: f"{text!r}: {d.drains()}")


def saved(d):
    d.wait_saved()
    return d


def test_whole_lines_in_a_file_for_each_workload(node, oracle, daemon, folder):
    d = daemon(node, drains=[("*", folder.url())])
    pods = [node.container(name, namespace) for name, namespace in
            (("web-7d4b9c6f5-x2x4z", "shop"), ("web-7d4b9c6f5-x2x5z", "shop"), ("pay.v2-0", "bank"))]
    for c in pods:
        c.write(oracle.source(c.pod.name).take(300))
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()
    assert [p.name for p in folder.files()] == ["bank_pay-v2.jsonl", "shop_web.jsonl"]
    assert folder.open()[0].stat().st_mode & 0o777 == 0o640
    saved(d)
    counters = drain(d)["counters"]
    assert counters["records_out"] == 900 and counters["retries"] == 0
    assert {r["hostname"] for r in folder.records()} == {"web.shop", "pay.v2.bank"}


def test_a_message_with_line_feeds_is_one_line(node, daemon, folder):
    c = node.container("web-0", format="docker")
    c.write_raw(b'{"log":"one\\ntwo\\u0000three\\n","stream":"stdout","time":"2026-11-20T10:15:00Z"}\n')
    daemon(node, drains=[("*", folder.url("format=raw"))])
    wait_for(lambda: folder.files() and folder.bytes(), 60 * SLOW, "the line")
    assert folder.bytes() == b"one two three\n" and folder.files()[0].suffix == ".txt"


def test_path(node, daemon, folder):
    c = node.container("web-0", "shop")
    c.write_raw(b"2026-11-20T23:59:59Z stdout F a\n2026-11-21T01:30:00+01:00 stdout F b\n2026-11-20T23:00:00Z stderr F c\n")
    daemon(node, drains=[("*", folder.url("path=%25Y%25m%25d/$namespace-$pod.$container/%25H"))])
    wait_for(lambda: len(folder.messages()) == 3, 60 * SLOW, "all")
    found = {str(p.relative_to(folder.path)): p.read_text().count("\n") for p in folder.files()}
    assert found == {"20261120/shop-web-0.main/23.jsonl": 2, "20261121/shop-web-0.main/00.jsonl": 1}


def test_rotated_by_size_and_compressed(node, oracle, daemon, folder):
    d = daemon(node, drains=[("*", folder.url("rotate=64k&compression=gzip"))])
    c, source = node.container("web-0"), oracle.source("a", noise=True)
    for _ in range(8):
        c.write(source.take(400))
        oracle.wait_complete(folder, 60 * SLOW).assert_exact()
    saved(d)
    wait_for(lambda: folder.rotated() and all(p.suffix == ".gz" for p in folder.rotated()), 60 * SLOW, "all of them compressed")
    assert len(folder.rotated()) >= 5
    oracle.check(folder.messages()).assert_exact()
    assert not [p for p in folder.path.iterdir() if p.name.startswith(".") and p.name not in (".lock", ".positions")]


@pytest.mark.parametrize("keep", ["keep=2", "keep_bytes=300k"])
def test_keep(node, oracle, daemon, folder, keep):
    d = daemon(node, drains=[("*", folder.url("rotate=64k&" + keep))])
    c, source = node.container("web-0"), oracle.source("a")
    other = folder.path / "mine-20261120T101500Z.log"
    other.write_text('{"message":"not a name that rotation gives"}\n')
    for _ in range(8):
        c.write(source.take(400))
        saved(d)

    def kept():
        files = folder.rotated()
        fits = len(files) == 2 if keep == "keep=2" else sum(p.stat().st_size for p in files) <= 300 << 10
        return files and fits and len(folder.messages()) < 3200
    wait_for(kept, 60 * SLOW, lambda: f"old files to be deleted: {folder.rotated()}")
    assert any(m.startswith(b"lt a 3199 ") for m in folder.messages()), "the newest is kept"
    assert other.exists()


def test_keep_days(node, oracle, daemon, folder):
    old = folder.path / "default_old-20260101T000000Z-0.log"
    old.write_text('{"message":"old"}\n')
    os.utime(old, (0, 0))
    daemon(node, drains=[("*", folder.url("keep=14d"))])
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: not old.exists(), 60 * SLOW, "it to be deleted")
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()


def test_closed_at_the_end_of_the_day(node, oracle, daemon, folder, tmp_path):
    """Though nothing is written any more; the file has the time of its last record."""
    clock = Clock(tmp_path)
    d = daemon(node, drains=[("*", folder.url())], env=clock.env)
    c = node.container("web-0", "shop")
    c.write_raw(b"2026-11-20T10:15:00.5Z stdout F one\n")
    wait_for(lambda: folder.open(), 60 * SLOW, "the line")
    saved(d)
    clock.step(wall=DAY, mono=700)
    node.container("api-0").write(oracle.source("a").take(1))  # the loop wakes
    wait_for(lambda: folder.rotated(), 60 * SLOW, "it to be rotated")
    (whole,) = folder.rotated()
    assert whole.name.startswith("shop_web-") and whole.name.endswith("Z-0.log") and whole.stat().st_mtime == 1795169700
    wait_for(lambda: len(folder.messages()) == 2, 60 * SLOW, "the other line")


def test_the_last_stream_ends(node, oracle, daemon, folder):
    """When nobody writes any more, the drain goes, and its files get their last names."""
    d = daemon(node, routes=[("*", folder.url())])
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(folder, 60 * SLOW)
    saved(d)
    d.set_routes([])
    d.hup()
    wait_for(lambda: not folder.open() and not d.drains(), 60 * SLOW, "the file to be rotated")
    oracle.check(folder.messages()).assert_exact()


def test_other_options_for_the_same_folder(node, oracle, daemon, folder):
    d = daemon(node, routes=[("*", folder.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    oracle.wait_complete(folder, 60 * SLOW)
    saved(d)
    d.set_routes([("*", folder.url("keep=14d"))])
    d.hup()
    c.write(source.take(100))
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()


def test_goes_on_in_the_same_file(node, oracle, daemon, folder):
    d = daemon(node, drains=[("*", folder.url())])
    c, source = node.container("web-0"), oracle.source("a")
    for stop in (d.stop, d.kill, d.stop):
        c.write(source.take(200))
        oracle.wait_complete(folder, 60 * SLOW)
        saved(d)
        stop()
        d.start()
    assert len(folder.files()) == 1
    oracle.check(folder.messages()).assert_exact()


def test_a_torn_tail_is_cut(node, oracle, daemon, folder):
    d = daemon(node, drains=[("*", folder.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(200))
    oracle.wait_complete(folder, 60 * SLOW)
    saved(d)
    d.kill()
    with folder.open()[0].open("ab") as f:
        f.write(b'{"message":"half a li')
    c.write(source.take(200))
    d.start()
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()
    assert len(folder.records()) == 400


# --- every line once ---------------------------------------------------------------------------------------------------

def test_S02_the_points_are_those_of_the_source():
    source = daemon_module.ROOT / "src/drains/archive"
    assert {text.split('"')[1] for path in source.rglob("*.c") for text in path.read_text().split("FAULT_POINT(")[1:]} == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_S02_killed_at(node, oracle, daemon, folder, point):
    if b"LT_FAULT" not in daemon_module.BIN.read_bytes():
        pytest.skip("no crash points in this build: use the preset asan, dev or tsan")
    c, source = node.container("web-0"), oracle.source("a", size=2000)
    d = daemon(node, drains=[("*", folder.url("rotate=64k"))], env={"LT_FAULT": f"{point}:2"})
    for _ in range(3):
        while d.running():
            c.write(source.take(20))
            wait_for(lambda: not d.running() or oracle.progress(folder).complete(), 60 * SLOW, "the lines, or the end")
        assert d.process.wait() == -9
        d.start(wait=False)
    d.kill()
    del d.env["LT_FAULT"]
    d.start()
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()
    saved(d)
    oracle.check(folder.messages()).assert_exact()


def test_S02_killed_again_and_again(node, oracle, daemon, folder):
    """Under load, rotation of both sides, and with lines in pieces: every line once, in order."""
    d = daemon(node, drains=[("*", folder.url("rotate=256k&compression=gzip"))])
    pods = [node.container(f"web-{i}", max_files=10000) for i in range(3)]
    writers = [Writer(c, oracle.source(c.pod.name, size=lambda n: 20000 if n % 97 == 0 else 150), rate=800, count=4000, chunks=True)
               for c in pods]
    rotators = [Rotator(c, every=0.7) for c in pods]
    progress = oracle.progress(folder)
    for n in range(12):
        wait_for(lambda want=n: progress.distinct() > want * 400 or not writers[0].running(), 60 * SLOW, "some lines")
        d.kill()
        d.start()
    for w in writers:
        w.join()
    for r in rotators:
        r.stop()
    oracle.wait_complete(folder, 120 * SLOW)
    saved(d)
    report = oracle.check(folder.messages()).assert_exact(foreign=None)  # of files that were empty when it was killed: "perhaps none"
    assert len(folder.records()) == 12000 + len(report.foreign)


def test_without_its_positions_lines_may_come_twice_but_none_is_lost(node, oracle, daemon, folder):
    d = daemon(node, drains=[("*", folder.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(200))
    oracle.wait_complete(folder, 60 * SLOW)
    saved(d)
    d.kill()
    positions = folder.path / ".positions"
    positions.write_bytes(positions.read_bytes()[:-9] + b"damaged!\n")
    c.write(source.take(200))
    d.start()
    oracle.wait_complete(folder, 60 * SLOW).assert_exact(dup_max=200)


def test_history_from_before_its_first_line(node, oracle, daemon, folder):
    """What it has not got is not taken for what it has: a drain that began at the end is asked for everything later."""
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    d = daemon(node, routes=[("*", folder.url())], env={"READ_FROM": "end"})
    wait_for(lambda: d.drains(), 60 * SLOW, "the drain")
    c.write(source.take(100))
    wait_for(lambda: len(folder.messages()) == 100, 60 * SLOW, "what came since")
    saved(d)
    d.set_routes([])
    d.hup()
    wait_for(lambda: not d.drains(), 60 * SLOW, "the drain to be gone")
    d.set_routes([("*", folder.url("since=start"))])
    d.hup()
    wait_for(lambda: len(folder.messages()) == 200, 60 * SLOW, lambda: f"the others: {len(folder.messages())}")
    assert len({m for m in folder.messages()}) == 200


# --- the disk ----------------------------------------------------------------------------------------------------------

def test_S06_a_full_disk_is_waited_for(node, oracle, daemon, disk):  # noqa: F811
    folder = Folder(disk.path / "archive")
    d = daemon(node, drains=[("*", folder.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(200))
    oracle.wait_complete(folder, 60 * SLOW)
    disk.fill()
    c.write(source.take(1000))
    wait_error(d, "No space left on device")
    folder.records()  # no torn line is left
    disk.room()
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()
    saved(d)
    oracle.check(folder.messages()).assert_exact()


def test_a_folder_that_is_not_there(node, oracle, daemon, folder):
    folder.path.rmdir()
    d = daemon(node, drains=[("*", folder.url())])
    node.container("web-0").write(oracle.source("a").take(100))
    wait_error(d, "file: folder: No such file or directory")
    folder.path.mkdir()
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()


@pytest.mark.parametrize("how", ["unlinked", "replaced", "emptied", "the folder is moved"])
def test_files_that_go(node, oracle, daemon, folder, tmp_path, how):
    """What is written next is in the file of that name."""
    d = daemon(node, drains=[("*", folder.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    oracle.wait_complete(folder, 60 * SLOW)
    saved(d)
    (path,) = folder.open()
    before = path.read_bytes()
    if how == "unlinked":
        path.unlink()
    elif how == "replaced":
        other = tmp_path / "other"
        other.write_bytes(before + b"torn")
        other.rename(path)
    elif how == "emptied":
        os.truncate(path, 0)
    else:
        folder.path.rename(tmp_path / "moved")
        folder.path.mkdir()
    c.write(source.take(100))
    wait_for(lambda: len(folder.messages()) == (200 if how == "replaced" else 100), 60 * SLOW, "the new lines")
    if how != "replaced":
        assert [m.split()[2] for m in folder.messages()] == [b"%d" % n for n in range(100, 200)]
    folder.records()


def test_no_link_is_followed(node, oracle, daemon, folder, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious\n")
    (folder.path / "shop_web.jsonl").symlink_to(victim)
    (folder.path / "bank").symlink_to(tmp_path)
    d = daemon(node, drains=[("*", folder.url())])
    node.container("web-0", "shop").write(oracle.source("a").take(10))
    wait_error(d, "file: open: Too many levels of symbolic links")
    assert victim.read_text() == "precious\n"
    (folder.path / "shop_web.jsonl").unlink()
    oracle.wait_complete(folder, 60 * SLOW).assert_exact()


def test_one_drain_at_a_time(node, oracle, daemon, folder):
    d = daemon(node, drains=[("*", folder.url()), ("*", folder.url("format=gelf"))])
    node.container("web-0").write(oracle.source("a").take(100))
    wait_for(lambda: any("used by another drain" in (r["last_error"] or "") for r in d.drains()), 60 * SLOW, "the other")
    wait_for(lambda: len(folder.records(torn=True)) == 100, 60 * SLOW, "the lines of one")


# --- owners, and visilogs -----------------------------------------------------------------------------------------------

def test_visilogs_steps(node, oracle, daemon, folder):
    """backup takes regular files whose name contains ".log", and its key has the name up to the first dot: never an open file,
    and the workload's name is whole."""
    d = daemon(node, drains=[("*", folder.url("rotate=64k"))])
    c, source = node.container("web-0", "shop"), oracle.source("a")
    for _ in range(3):
        c.write(source.take(400))
        saved(d)
    taken = [p for p in folder.path.iterdir() if p.is_file() and ".log" in p.name]
    assert taken and set(taken) == set(folder.rotated())
    assert all(p.name.partition(".")[0].startswith("shop_web-") for p in taken)
    seen = subprocess.run("cat *", shell=True, cwd=folder.path, capture_output=True, check=True).stdout
    assert seen.count(b"\n") == 1200 and seen.endswith(b"}\n")
