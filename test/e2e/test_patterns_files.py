"""FILES: which files are read, under which names, and from where; patterns that match what is no log; directories that come and go.
Rotation is in test_patterns_rotation.py."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from lib.daemon import SANITIZED, SLOW, Daemon, run
from lib.plain import Log, arrived, wait_complete
from lib.wait import wait_for

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


def settings(files, **env):
    return {"KUBERNETES": "false", "READ_FROM": "end", "FILES": files, **env}


def write(path, n=1, name=None):
    log = Log(path, name)
    log.write(n)
    log.close()
    return log


def test_hostname_and_tag(daemon, syslog_tcp, tmp_path):
    """Of each pattern, with the file's name and its directory's; the first pattern that matches decides. Lines are passed on as they
    are, also those that look like a container's."""
    peer, logs = syslog_tcp(), tmp_path / "logs"
    (logs / "nginx").mkdir(parents=True)
    (logs / "app" / "web" / "v1").mkdir(parents=True)
    files = f"{logs}/nginx/*.log hostname=www.example tag=nginx-{{name}};; {logs}/app/**/*.log tag={{dir}} ; {logs}/a b/**/*.txt;{logs}/nginx/*"
    daemon(drains=[("www.example", peer.url()), ("db-1", peer.url())], env=settings(files, NODE="db-1"))
    text = b'{"log":"x","time":"2026-11-30T10:00:00Z","level":"info"} 2026-11-30T10:00:00.1Z stdout P '
    for path in ("nginx/access.log", "nginx/error", "app/x.log", "app/web/v1/out.log", "a b/c/d e.txt", "nginx/.hidden.log", "app/web/no.txt"):
        log = Log(logs / path)
        log.write(1, text)
        log.close()
    wanted = {"access.log": b" www.example nginx-access - ", "error": b" db-1 error - ", "x.log": b" db-1 app - ", "out.log": b" db-1 v1 - "}
    wait_for(lambda: peer.count() >= 5, 60 * SLOW, "five lines")
    for m in peer.messages():
        assert text in m or b"d e.txt" in m, m
    for name, head in wanted.items():
        assert [head in m for m in peer.messages() if b"file=" + name.encode() + b" " in m] == [True], (name, peer.messages())
    assert b".hidden" not in b"".join(peer.messages()) and peer.count() == 5


def test_json_lines_with_docker_keys_stay_whole(daemon, syslog_tcp, tmp_path):
    peer, logs = syslog_tcp(), tmp_path / "logs"
    logs.mkdir()
    daemon(drains=[("*", peer.url())], env=settings(f"{logs}/*.log"))
    rows = [b'{"log":"part","time":"2026-11-30T10:00:00Z"}', b"2026-11-30T10:00:00.1Z stdout P piece", b'{"time":"2026-11-30T10:00:00Z"}', b"\xff\xfe bytes"]
    (logs / "a.log").write_bytes(b"".join(r + b"\n" for r in rows))
    wait_for(lambda: peer.count() == len(rows), 60 * SLOW, lambda: f"the lines: {peer.messages()}")
    assert all(any(m.endswith(r) for m in peer.messages()) for r in rows), peer.messages()


def test_what_existed_before_the_first_start_is_not_sent(daemon, http, tmp_path):
    """READ_FROM=end: nothing that existed when the pattern was first used, also when logtrain has run without it before; everything that
    came later, also while it did not run."""
    peer, logs = http(), tmp_path / "logs"
    logs.mkdir()
    old = write(logs / "old.log", 100)
    d = daemon(drains=[("*", peer.url())], env=settings(f"{tmp_path}/none/*.log"))
    d.stop()
    d.env["FILES"] = f"{logs}/*.log;{tmp_path}/more/*.log"
    d.start()
    old.write(10)
    new = write(logs / "new.log", 10)
    wait_complete(peer, {"new.log": 10})
    wait_for(lambda: len(arrived(peer).get("old.log", ())) == 10, 60 * SLOW, "the new lines")
    assert min(arrived(peer)["old.log"]) == 100
    d.wait_saved()
    d.stop()
    old.write(10)
    new.write(10)
    down = write(logs / "down.log", 10)
    late = write(tmp_path / "more" / "late.log", 10)
    d.start()
    wait_complete(peer, {"new.log": 20, "down.log": 10, "late.log": 10})
    wait_for(lambda: len(arrived(peer)["old.log"]) == 20, 60 * SLOW, "the new lines")
    d.kill()
    for log in (old, new, down, late):
        log.write(5)
        log.close()
    d.start()
    wait_complete(peer, {"new.log": 25, "down.log": 15, "late.log": 15})
    wait_for(lambda: set(arrived(peer)["old.log"]) == set(range(100, 125)), 60 * SLOW, "exactly the lines since the first start")


def test_directories_come_and_go(daemon, http, tmp_path):
    """The pattern's own directory, and one below it: missing at first, removed, moved away, and made again."""
    peer, logs = http(), tmp_path / "logs"
    daemon(drains=[("*", peer.url())], env=settings(f"{logs}/**/*.log"))
    wanted = {}
    for i in range(3):
        for where in ("", "web", "web/v1"):
            name = f"{i}-{where.replace('/', '-')}.log"
            log = write(logs / where / "app.log", 5, name)
            wanted[name] = log.n
        wait_complete(peer, wanted)
        if i == 0:
            shutil.rmtree(logs / "web")
        elif i == 1:
            shutil.rmtree(logs)
    (logs / "web").rename(tmp_path / "away")
    write(logs / "web" / "v1" / "app.log", 7, "again.log")
    wait_complete(peer, wanted | {"again.log": 7})
    (logs / "web").rename(logs / "moved")
    write(logs / "moved" / "v1" / "more.log", 7, "more.log")
    write(logs / "web" / "v1" / "app.log", 7, "last.log")
    wait_complete(peer, wanted | {"more.log": 7, "last.log": 7})


def test_what_is_no_log(daemon, http, tmp_path):
    """A directory, a FIFO, a socket, a device that match, and a symlink out of the directory, are refused and named; nothing blocks."""
    peer, logs = http(), tmp_path / "logs"
    logs.mkdir()
    secret = write(tmp_path / "secret.log", 3)
    (logs / "dir.log").mkdir()
    os.mkfifo(logs / "fifo.log")
    (logs / "out.log").symlink_to(secret.path)
    (logs / "dev.log").symlink_to("/dev/zero")
    (logs / "inside.log").symlink_to(logs / "real.txt")
    (logs / "linked").symlink_to(tmp_path)
    (logs / "loop").symlink_to(logs)
    (logs / "dangling.log").symlink_to(logs / "nothing")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{os.open(logs, os.O_PATH)}/socket.log")
    d = daemon(drains=[("*", peer.url())], env=settings(f"{logs}/**/*.log;{logs}/*.log"))
    write(logs / "good.log", 3)
    write(logs / "real.txt", 3)
    secret.write(3)
    wait_complete(peer, {"good.log": 3, "real.txt": 3})
    for name in ("dir", "fifo", "out", "dev", "socket"):
        assert d.log_lines(rf"log refused link=\S*/{name}\.log reason="), name
    assert "secret.log" not in arrived(peer)
    assert d.metric("logtrain_streams") == 2
    (logs / "fifo.log").unlink()
    write(logs / "fifo.log", 3)
    wait_complete(peer, {"fifo.log": 3})
    listener.close()


@root
def test_a_planted_symlink_is_not_followed(daemon, http, tmp_path):
    """A program that may write below the pattern's directory swaps a directory for a symlink to where another's logs are."""
    peer, logs, other = http(), tmp_path / "logs", tmp_path / "other"
    (logs / "app").mkdir(parents=True)
    other.mkdir()
    write(other / "app.log", 3, "secret")
    d = daemon(drains=[("*", peer.url())], env=settings(f"{logs}/**/*.log"))
    mine = write(logs / "app" / "app.log", 3, "mine")
    wait_complete(peer, {"mine": 3})
    (logs / "app").rename(logs / "was")
    (logs / "app").symlink_to(other)
    write(other / "app.log", 3, "secret")
    write(other / "app.log.1", 3, "secret")
    write(logs / "good.log", 3, "good")
    wait_complete(peer, {"good": 3})
    mine.close()
    d.wait_saved()
    assert "secret" not in arrived(peer)


@root
def test_permission_denied_then_granted(http):
    """Files and directories that cannot be read are counted and named, and read from their first byte when they can be."""
    if not shutil.which("setpriv"):
        pytest.skip("setpriv (util-linux) is not installed")
    peer, base = http(), Path(f"/tmp/logtrain-files-{os.getpid()}")
    logs, work = base / "logs", base / "work"
    try:
        for one in (base, logs, logs / "closed", work):
            one.mkdir(0o755)
        os.chown(work, NOBODY, NOBODY)
        with Daemon(drains=[("*", peer.url())], tmp=work, env=settings(f"{logs}/**/*.log"),
                    prefix=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]) as d:
            (logs / "closed").chmod(0o700)
            write(logs / "closed" / "in.log", 3)
            (logs / "secret.log").touch(0o600)
            write(logs / "secret.log", 3)
            write(logs / "good.log", 3)
            wait_complete(peer, {"good.log": 3})
            for name in (r"secret\.log", "closed"):
                wait_for(lambda name=name: d.log_lines(f"{name}.*Permission denied"), 60 * SLOW, lambda name=name: f"{name} to be named: {d.tail()}")
            wait_for(lambda: d.metric("logtrain_unreadable_files"), 60 * SLOW, "it to be counted")
            (logs / "secret.log").chmod(0o644)
            (logs / "closed").chmod(0o755)
            wait_complete(peer, {"secret.log": 3, "in.log": 3, "good.log": 3})
            wait_for(lambda: d.metric("logtrain_unreadable_files") == 0, 60 * SLOW, "nothing to be unreadable")
    finally:
        peer.close()
        shutil.rmtree(base, ignore_errors=True)


def test_names_of_any_bytes(daemon, http, tmp_path):
    peer, logs = http(), tmp_path / "logs"
    logs.mkdir()
    daemon(drains=[("*", peer.url())], env=settings(f"{logs}/*.log"))
    wanted = {}
    for i, name in enumerate([b"caf\xe9.log", b"new\nline.log", "日本.log".encode(), b"a b.log", b"q\"\\'.log", b"-.log", b"x" * 250 + b".log"]):
        with open(os.path.join(os.fsencode(logs), name), "wb") as f:
            f.write(b"file=%d n=0\n" % i)
        wanted[str(i)] = 1
    wait_complete(peer, wanted)


@root
def test_a_file_of_another_mount(http, tmp_path):
    """A file that is mounted over another one, and a directory that is another file system."""
    peer, logs = http(), tmp_path / "logs"
    (logs / "fs").mkdir(parents=True)
    other = write(tmp_path / "other", 0)
    (logs / "bound.log").touch()
    script = (f"mount -t tmpfs none {logs}/fs && mount --bind {tmp_path}/other {logs}/bound.log && touch {tmp_path}/mounted && "
              f"while [ ! -e {tmp_path}/done ]; do sleep 0.05; [ ! -e {tmp_path}/go ] || {{ printf 'file=fs n=%d\\n' 0 1 2 >> {logs}/fs/a.log; rm {tmp_path}/go; }}; done")
    ns = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stderr=subprocess.PIPE)  # pylint: disable=consider-using-with
    try:
        wait_for(lambda: (tmp_path / "mounted").exists() or ns.poll() is not None, 60 * SLOW, "the mounts")
        if ns.poll() is not None:
            pytest.skip(f"no mount namespaces here: {ns.stderr.read()}")
        with Daemon(drains=[("*", peer.url())], env=settings(f"{logs}/**/*.log"), prefix=["nsenter", "-m", "-t", str(ns.pid)]) as d:
            other.write(3)
            (tmp_path / "go").touch()
            wait_complete(peer, {"other": 3, "fs": 3})
            d.wait_saved()
            assert d.metric("logtrain_streams") == 2
    finally:
        (tmp_path / "done").touch()
        ns.wait(60)
        ns.stderr.close()
        other.close()


def test_ten_thousand_files(daemon, http, tmp_path):
    """Half of them before the start, all in one directory, with few descriptors."""
    peer, logs = http(), tmp_path / "logs"
    logs.mkdir()
    total = 2000 if SANITIZED else 10000
    for i in range(total // 2):
        (logs / f"a{i:05}.log").write_bytes(b"old\n")
    d = daemon(drains=[("*", peer.url())], env=settings(f"{logs}/*.log"), descriptors=200, wait=False)
    d.wait_ready(120)
    for i in range(total):
        with open(logs / f"a{i:05}.log", "ab") as f:
            f.write(b"file=all n=%d\n" % i)
    wait_complete(peer, {"all": total}, timeout=200)
    assert d.metric("logtrain_streams") == total
    assert not any(m.endswith(b"old") for m in peer.messages())
    assert len(d.fds()) < 200


@pytest.mark.parametrize(("files", "words"), [
    ("var/log/x.log", "is not the absolute path"), ("/var/log/", "is not the absolute path"), ("/var/../x.log", "contains '..'"),
    ("/*/x.log", "begins with no directory"), ("/x.log", "begins with no directory"), ("/var/log/**", "names no file"),
    ("/var/log/a**/x.log", "'**' must be a whole component"), ("/var/log/x.log hostnme=a", "unknown setting 'hostnme'"),
    ("/var/log/x.log hostname=", "hostname is not 1 to 255"), ("/var/log/x.log tag=a b", "tag is not 1 to 255"),
    ("/var/log/x.log tag=a tag=b", "tag is given twice"), ("/var/log/x.log tag={file}", "braces are those of")])
def test_bad_patterns_refuse_to_start(files, words):
    done = run("--drain", "*=null://", env=settings(f"/var/log/good.log;{files}", HTTP_PORT="0"))
    assert done.returncode == 2 and re.search(r"FILES: '", done.stderr) and words in done.stderr, done.stderr


def test_too_many_files_are_counted_and_named(daemon, http, tmp_path):
    if SANITIZED:
        pytest.skip("takes long with a sanitizer")
    peer, logs = http(), tmp_path / "logs"
    logs.mkdir()
    for i in range(16400):
        (logs / f"{i}.log").touch()
    d = daemon(drains=[("*", peer.url())], env=settings(f"{logs}/*.log"), wait=False)
    d.wait_ready(120)
    assert d.metric("logtrain_streams") == 16384
    assert d.log_lines("log refused .*there are too many files") and d.metric("logtrain_refused_files_total") >= 16
