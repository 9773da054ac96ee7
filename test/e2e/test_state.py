"""Restarts: kill -9, rotation while the daemon is down, a torn or unwritable state. Rows of docs/faults.md#files and #state."""

import os
import random

import pytest
from lib.daemon import Daemon, run
from lib.node import Rotator, Writer
from lib.preload import Files
from lib.wait import wait_for


def web_url(peer):
    return peer.url("batch=ndjson&linger=10ms")


@pytest.mark.parametrize("cycles", [8])
def test_S01_killed_again_and_again_under_rotation(node, oracle, daemon, http, cycles):
    web, other = http(), http()
    c = node.container("web-0", max_files=10000)
    rng = random.Random(1)
    d = daemon(node, drains=[("*", web_url(web)), ("*", web_url(other) + "&sd=true")])
    progress = oracle.progress(web)
    with Rotator(c, every=0.3), Writer(c, oracle.source("a"), rate=3000) as writer:
        for _ in range(cycles):
            goal = progress.distinct() + rng.randrange(200, 1500)
            wait_for(lambda g=goal: progress.distinct() >= g, 30, "lines to flow")
            d.kill()
            d.start()
        writer.stop()
    for peer in (web, other):
        report = oracle.wait_complete(peer, 30)
        # per kill: lines in flight, and those of a second between two checkpoints plus slack
        report.assert_exact(dup_max=cycles * 3000 * 3)


def test_S11_graceful_restart_repeats_nothing(node, oracle, daemon, http, syslog_tcp):
    web, tcp = http(), syslog_tcp()
    c = node.container("web-0", max_files=100)
    d = daemon(node, drains=[("*", web_url(web)), ("*", tcp.url())], env={"STOP_GRACE": "60s"})
    with Writer(c, oracle.source("a"), rate=2000) as writer:
        progress = oracle.progress(web)
        for goal in (1000, 3000):
            wait_for(lambda g=goal: progress.distinct() >= g, 30, "lines to flow")
            d.stop()
            d.start()
        writer.stop()
    oracle.wait_complete(web, 30).assert_exact()
    oracle.wait_complete(tcp, 30).assert_exact()


def test_F04_rotated_compressed_and_deleted_while_down(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0", max_files=100)
    source = oracle.source("a")
    d = daemon(node, drains=[("*", web_url(web))])
    c.write(source.take(500))
    wait_for(lambda: oracle.progress(web).distinct() == 500, 20, "the first lines")
    d.wait_saved()
    d.kill()
    c.write(source.take(500))   # unread, in the file of the cursor
    for _ in range(3):          # compressed by the second rotation
        c.rotate(reopen_delay=0)
        c.write(source.take(500))
    assert len([f for f in c.files() if str(f).endswith(".gz")]) == 2
    d.start()
    oracle.wait_complete(web, 30).assert_exact(dup_max=500)


def test_F04_the_file_itself_is_gone(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0", max_files=100)
    source, lost = oracle.source("a"), oracle.source("lost")
    d = daemon(node, drains=[("*", web_url(web))])
    c.write(source.take(100))
    wait_for(lambda: oracle.progress(web).distinct() == 100, 20, "the first lines")
    d.wait_saved()
    d.kill()
    c.write(lost.take(100))
    away = c.rotate(reopen_delay=0)
    c.write(source.take(100))
    away.unlink()
    d.start()
    report = oracle.wait_complete(web, 30, streams=["a"]).assert_exact(lost=0, foreign=1)
    assert b"were lost: their file was deleted or truncated while logtrain did not run" in report.foreign[0]
    assert d.metric("logtrain_resume_gaps_total") == 1
    assert "log file is gone since the last run" in d.log() and "pod=web-0" in d.log()


def test_F09_inode_given_to_another_file(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0")
    d = daemon(node, drains=[("*", web_url(web))])
    c.write(oracle.source("a").take(100))
    wait_for(lambda: oracle.progress(web).distinct() == 100, 20, "the first lines")
    d.wait_saved()
    d.kill()
    c.reuse_inode()
    c.write(oracle.source("b").take(200))
    d.start()
    oracle.wait_complete(web, 30).assert_exact(dup_max=100, foreign=1)  # the end of the old one is unknown


def test_F15_partial_line_over_a_kill_and_a_rotation(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0", max_files=100)
    d = daemon(node, drains=[("*", web_url(web))])
    c.write(oracle.source("a").take(10))
    c.write_raw(b"2026-11-20T10:15:00.1Z stdout P head-\n")
    wait_for(lambda: oracle.progress(web).distinct() == 10, 20, "the first lines")
    d.wait_saved()
    d.kill()
    c.rotate(reopen_delay=0)
    c.write_raw(b"2026-11-20T10:15:00.2Z stdout F tail\n")
    d.start()
    wait_for(lambda: any(b"head-tail" in m for m in web.messages()), 20, "the joined line")
    assert sum(b"head-tail" in m for m in web.messages()) == 1


def test_a_pod_that_began_while_we_were_down_is_read_whole(node, oracle, daemon, http):
    web = http()
    first = node.container("web-0")
    d = daemon(node, drains=[("*", web_url(web))], env={"READ_FROM": "end"})
    first.write(oracle.source("a").take(100))
    wait_for(lambda: oracle.progress(web).distinct() == 100, 20, "the first lines")
    d.wait_saved()
    d.kill()
    node.container("web-1").write(oracle.source("b").take(100))
    d.start()
    oracle.wait_complete(web, 20).assert_exact(dup_max=100)


@pytest.mark.parametrize("damage", ["one", "both"])
def test_S03_damaged_state(node, oracle, daemon, http, damage):
    web = http()
    c = node.container("web-0")
    source = oracle.source("a")
    d = daemon(node, drains=[("*", web_url(web))], env={"READ_FROM": "end"})
    for goal in (100, 200, 300):
        c.write(source.take(100))
        wait_for(lambda g=goal: oracle.progress(web).distinct() == g, 20, "lines")
        d.wait_saved()
    d.kill()
    newest = sorted((d.tmp / "state").glob("cursors.?"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    for path in newest[:1 if damage == "one" else 2]:
        with open(path, "r+b") as f:
            f.seek(70)
            f.write(b"\xff\xff\xff")
    c.write(source.take(100))
    d.start()
    oracle.wait_complete(web, 20).assert_exact(dup_max=300)
    assert d.metric("logtrain_state_resets_total") == (1 if damage == "both" else 0)
    assert ("everything on the node is read again" in d.log()) == (damage == "both")


def test_S04_second_daemon_on_one_state(node, daemon):
    d = daemon(node, drains=[("*", "null://")])
    second = Daemon(node, drains=[("*", "null://")], env={"STATE_PATH": d.tmp / "state"}, start=False)
    second.start(wait=False)
    wait_for(lambda: not second.running(), 10, "the second daemon to refuse")
    assert "in use by another logtrain" in second.log()
    second.kill()


def test_S05_state_cannot_be_written(node, oracle, daemon, http, tmp_path):
    web = http()
    c = node.container("web-0")
    (tmp_path / "file").write_text("not a directory")
    d = daemon(node, drains=[("*", web_url(web))], env={"STATE_PATH": tmp_path / "file" / "state"})
    c.write(oracle.source("a").take(100))
    oracle.wait_complete(web, 20).assert_exact()
    assert "not durable" in d.get("/readyz")[1]
    os.unlink(tmp_path / "file")
    c.write(oracle.source("b").take(100))
    wait_for(lambda: "not durable" not in d.get("/readyz")[1], 20, "the state to be written after all")
    oracle.wait_complete(web, 20).assert_exact()


def test_S05_state_that_can_only_be_read_is_resumed(node, oracle, daemon, http, tmp_path):
    web = http()
    c = node.container("web-0")
    source = oracle.source("a")
    files = Files(tmp_path)
    d = daemon(node, drains=[("*", web_url(web))], env={"READ_FROM": "end", **files.env})
    c.write(source.take(100))
    wait_for(lambda: oracle.progress(web).distinct() == 100, 20, "the first lines")
    d.wait_saved()
    d.kill()
    c.write(source.take(100))
    files.fail("change", "EROFS", "lock")
    d.start()
    assert "not durable" in d.get("/readyz")[1]
    oracle.wait_complete(web, 20).assert_exact(dup_max=100)
    files.clear()  # writable again: positions saved from now on are valid for the next start
    c.write(source.take(100))
    wait_for(lambda: "not durable" not in d.get("/readyz")[1], 20, "the state to be written after all")
    d.wait_saved()
    d.kill()
    c.write(source.take(100))
    d.start()
    oracle.wait_complete(web, 20).assert_exact(dup_max=200)


def test_S05_state_that_could_not_be_read_is_read_again(node, oracle, daemon, http, tmp_path):
    web = http()
    c = node.container("web-0")
    source = oracle.source("a")
    files = Files(tmp_path)
    d = daemon(node, drains=[("*", web_url(web))], env={"READ_FROM": "end", **files.env})
    c.write(source.take(100))
    wait_for(lambda: oracle.progress(web).distinct() == 100, 20, "the first lines")
    d.wait_saved()
    d.kill()
    c.write(source.take(100))
    files.fail("open", "EIO", str(d.tmp / "state"))
    d.start()
    oracle.wait_complete(web, 20).assert_exact(dup_max=100)
    files.clear()  # now it exists, with another key than that of this run
    c.write(source.take(100))
    wait_for(lambda: "not durable" not in d.get("/readyz")[1], 20, "the state to be written after all")
    d.wait_saved()
    d.kill()
    c.write(source.take(100))
    d.start()
    oracle.wait_complete(web, 20).assert_exact(dup_max=300)
    assert d.metric("logtrain_state_resets_total") == 0


def test_state_ls_and_verify(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0")
    d = daemon(node, drains=[("*", web_url(web))])
    state = d.tmp / "state"
    c.write(oracle.source("a").take(100))
    oracle.wait_complete(web, 20)
    d.wait_saved()
    done = run("state", "ls", env={"STATE_PATH": str(state)})
    assert done.returncode == 0 and f":{c.live.stat().st_ino} " in done.stdout, done
    assert f" {c.live.stat().st_size} " in done.stdout
    assert run("state", "verify", str(state)).returncode == 0
    d.kill()
    with open(state / "cursors.a", "r+b") as f:
        f.write(b"x")
    done = run("state", "verify", str(state))
    assert done.returncode == 1 and "cursors.a  bad: not a state file" in done.stdout, done
    done = run("state", "ls", str(state / "none"))
    assert done.returncode == 1 and "cannot open" in done.stderr
    assert run("state", "show").returncode == 2


def test_state_holds_no_credential(node, oracle, daemon, http):
    web = http()
    c = node.container("web-0")
    d = daemon(node, routes=True)
    secret = d.secret()
    d.set_routes([("*", web.url("batch=ndjson", userinfo=f"user:{secret}"))])
    d.hup()
    wait_for(d.drains, 10, "the route")
    c.write(oracle.source("a").take(10))
    oracle.wait_complete(web, 20).assert_exact()
    d.wait_saved()
    for path in (d.tmp / "state").iterdir():
        data = b"" if path.is_socket() else path.read_bytes()
        assert secret.encode() not in data and b"http" not in data
        assert path.stat().st_mode & 0o077 == 0
