"""SYSLOG_UNIX: syslog of this machine's programs at a Unix socket, with real clients: logger, syslog(3), Python's SysLogHandler."""

import array
import contextlib
import logging
import logging.handlers
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading

import pytest
from lib.daemon import SLOW, run
from lib.listener import NUMBER, complete
from lib.wait import wait_for

HOSTNAME = socket.gethostname()
NOBODY = 65534
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: other users, mounts")


def settings(path, **env):
    return {"KUBERNETES": "false", "SYSLOG_UNIX": str(path), **env}


@pytest.fixture
def folder(tmp_path):
    """For the socket: a short path, and any user may go there."""
    path = f"/tmp/logtrain-unix-{os.getpid()}-{threading.get_ident() % 100000}"
    os.mkdir(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def sender(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.settimeout(60 * SLOW)
    s.connect(str(path))
    return s


def as_user(uid, code, *args):
    """Runs Python code as that user."""
    return subprocess.run([sys.executable, "-c", f"import os, socket, struct, sys\nos.setgroups([])\nos.setgid({uid})\nos.setuid({uid})\n{code}",
                           *map(str, args)], check=True, timeout=90 * SLOW)


SEND = """
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
for m in sys.argv[2:]:
    s.send(m.encode())
"""


@pytest.mark.parametrize("how", [(), ("--rfc3164",), ("--rfc5424",), ("--id=4711",)], ids=" ".join)
def test_logger(daemon, syslog_tcp, folder, how):
    if not shutil.which("logger"):
        pytest.skip("logger (bsdutils) is not installed")
    peer, path = syslog_tcp(), f"{folder}/log"
    daemon(drains=[("*", peer.url())], env=settings(path))
    for i in range(3):
        subprocess.run(["logger", "-u", path, *how, "-t", "app", "-p", "local3.warning", f"hello n={i}"], check=True, timeout=90)
    complete(peer, 3)
    pid = b"4711" if "--id=4711" in how else b"-"
    for m in peer.messages():
        assert m.startswith(b"<156>1 20") and b" %s app %s - " % (HOSTNAME.encode(), pid) in m, m
        assert b'[input@32473 uid="%d" pid="' % os.getuid() in m and b"] hello n=" in m, m


@root
def test_syslog_3(daemon, syslog_tcp, folder):
    """What the C library sends to /dev/log, in a mount namespace where that is our socket."""
    peer, path = syslog_tcp(), f"{folder}/log"
    daemon(drains=[("*", peer.url())], env=settings(path))
    code = "import syslog; syslog.openlog('app', syslog.LOG_PID, syslog.LOG_DAEMON); [syslog.syslog(f'words n={i}') for i in range(5)]"
    done = subprocess.run(["unshare", "-m", "sh", "-c", f"mount -t tmpfs none /dev && ln -s {path} /dev/log && {sys.executable} -c \"{code}\""],
                          capture_output=True, text=True, timeout=90 * SLOW, check=False)
    if done.returncode and "unshare" in done.stderr + done.stdout:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr
    complete(peer, 5)
    assert all(m.startswith(b"<30>1 20") and b" %s app " % HOSTNAME.encode() in m for m in peer.messages()), peer.messages()[0]


def test_pythons_handler(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/log"
    daemon(drains=[("*", peer.url())], env=settings(path, NODE="db-1"))
    handler = logging.handlers.SysLogHandler(address=path)
    for i in range(3):
        handler.emit(logging.LogRecord("x", logging.WARNING, "f", 1, f"a: b n={i}", None, None))
    handler.close()
    complete(peer, 3)
    assert all(b" db-1 a - - " in m for m in peer.messages()), peer.messages()[0]


def test_no_word_of_a_message_is_a_hostname(daemon, syslog_tcp, folder):
    """Programs write no hostname in RFC 3164. A header of RFC 5424 has one."""
    peer, path = syslog_tcp(), f"{folder}/log"
    daemon(drains=[("*", peer.url())], env=settings(path, NODE="db-1.example"))
    rows = [(b"<13>Nov 20 10:15:00 other words n=0", b"db-1.example - ", b"other words n=0"),
            (b"<13>Nov 20 10:15:00 other app: n=1", b"db-1.example - ", b"other app: n=1"),
            (b"<13>Nov 20 10:15:00 db-1 app: n=2", b"db-1 app ", b" n=2"),
            (b"<13>Nov 20 10:15:00 app[7]: n=3\n", b"db-1.example app 7 ", b" n=3"),
            (b"<13>app: n=4\0", b"db-1.example app ", b" n=4"),
            (b"no priority n=5", b"db-1.example - ", b"no priority n=5"),
            (b"<13>1 - web app - - - n=6", b"web app ", b" n=6")]
    with sender(path) as s:
        for row in rows:
            s.send(row[0])
    complete(peer, len(rows))
    got = {int(NUMBER.search(m)[1]): m for m in peer.messages()}
    for i, (_, head, end) in enumerate(rows):
        assert b" " + head in got[i] and got[i].endswith(end), got[i]


@root
def test_the_kernel_says_who_sent_it(daemon, syslog_tcp, folder):
    """Another user claims to be root and another process: in the text, in structured data, with credentials."""
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*", peer.url())], env=settings(path))
    forged = '[input@32473 uid="0" pid="1"]'
    as_user(NOBODY, SEND + """
try:
    s.sendmsg([b"<13>app[1]: n=2"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", 1, 0, 0))])
except PermissionError:
    s.send(b"<13>app[1]: n=2")
""", path, "<13>app[1]: n=0", f"<13>1 - web app 1 - {forged}[a@1 x=\"1\"] n=1")
    complete(peer, 3)
    for m in peer.messages():
        assert m.count(b"input@32473") == 1 and b'[input@32473 uid="65534" pid="' in m and b'uid="0"' not in m and b'pid="1"' not in m, m
    assert d.metrics().get("logtrain_input_records_total", input="syslog_unix") == 3


def test_descriptors_that_come_with_a_message_do_not_stay(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*", peer.url())], env=settings(path))
    mark = os.open(folder, os.O_RDONLY)
    with sender(path) as s:
        for i in range(300):
            rights = array.array("i", [mark] * (1 + i % 8))
            s.sendmsg([b"<13>app: n=%d" % i], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(mark)
    complete(peer, 300)
    assert folder not in d.fds()


def keep_sending(path, total):
    """As syslog(3) does: what cannot be sent is sent again on a new connection."""
    s = None
    for i in range(total):
        while True:
            try:
                s = s or sender(path)
                s.send(b"<13>app: n=%d" % i)
                break
            except OSError:
                if s:
                    s.close()
                s = None


def test_a_restart_loses_nothing_that_send_accepted(daemon, syslog_tcp, folder, tmp_path):
    """Three stops while a program sends. What a program could send is delivered, whenever it was sent."""
    peer, path, total = syslog_tcp(), f"{folder}/log", 6000
    d = daemon(drains=[("*", peer.url())], env=settings(path, SPOOL_PATH=tmp_path / "spool"))
    t = threading.Thread(target=keep_sending, args=(path, total), daemon=True)
    t.start()
    for part in (1, 2, 3):
        wait_for(lambda part=part: peer.count() >= total * part // 5 or not t.is_alive(), 90 * SLOW, "some messages")
        d.stop()
        assert not os.path.exists(path)
        d.start()
    t.join(120 * SLOW)
    assert not t.is_alive()
    complete(peer, total, timeout=90)


def test_a_stale_socket_is_replaced(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*", peer.url())], env=settings(path))
    d.kill()
    assert stat.S_ISSOCK(os.lstat(path).st_mode)
    d.start()
    with sender(path) as s:
        s.send(b"<13>app: n=0")
    complete(peer, 1)


@pytest.mark.parametrize("what", ["file", "symlink", "directory", "datagrams", "stream", "missing"])
def test_what_is_no_stale_socket_stays(folder, what):
    path, taken = f"{folder}/log", None
    if what == "file":
        with open(path, "w", encoding="ascii") as f:
            f.write("mine")
    elif what == "symlink":
        os.symlink(f"{folder}/other", path)
    elif what == "directory":
        os.mkdir(path)
    elif what == "missing":
        path = f"{folder}/none/log"
    else:
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if what == "datagrams" else socket.SOCK_STREAM)
        taken.bind(path)
        if what == "stream":
            taken.listen()
    before = os.lstat(path) if what != "missing" else None
    done = run("--drain", "*=null://", env=settings(path, HTTP_PORT="0"))
    assert done.returncode and "SYSLOG_UNIX: " in done.stderr, done.stderr
    words = {"datagrams": "address already in use", "stream": "address already in use", "missing": "No such file"}
    assert words.get(what, "exists and is not a socket") in done.stderr, done.stderr
    if before:
        assert os.lstat(path).st_ino == before.st_ino
        assert os.listdir(folder) == ["log"]
    with contextlib.suppress(AttributeError):
        taken.close()


@pytest.mark.parametrize(("setting", "value"), [("SYSLOG_UNIX", "run/log"), ("SYSLOG_UNIX", "/run/"), ("SYSLOG_UNIX", "/" + "x" * 120),
                                                ("SYSLOG_UNIX_MODE", "888"), ("SYSLOG_UNIX_MODE", "01777"), ("SYSLOG_UNIX_MODE", "u=rw"),
                                                ("SYSLOG_UNIX_GROUP", "no-such-group")])
def test_bad_settings_refuse_to_start(folder, setting, value):
    done = run("--drain", "*=null://", env=settings(f"{folder}/log", HTTP_PORT="0") | {setting: value})
    assert done.returncode == 2 and "SYSLOG_UNIX" in done.stderr, done


@root
def test_mode_and_group(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*", peer.url())], env=settings(path))
    assert os.lstat(path).st_mode & 0o7777 == 0o666
    d.stop()
    daemon(drains=[("*", peer.url())], env=settings(path, SYSLOG_UNIX_MODE="0620", SYSLOG_UNIX_GROUP="65534"))
    found = os.lstat(path)
    assert (found.st_mode & 0o7777, found.st_gid) == (0o620, 65534)
    with pytest.raises(subprocess.CalledProcessError):
        as_user(65533, SEND, path, "<13>app: n=9")
    as_user(NOBODY, SEND, path, "<13>app: n=0")
    complete(peer, 1)


def test_a_removed_socket_comes_back(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/sub/log"
    os.mkdir(f"{folder}/sub")
    daemon(drains=[("*", peer.url())], env=settings(path))
    with sender(path) as old:
        old.send(b"<13>app: n=0")
        os.remove(path)
        wait_for(lambda: os.path.exists(path), 60 * SLOW, "the socket")
        with sender(path) as s:
            s.send(b"<13>app: n=1")
        shutil.rmtree(f"{folder}/sub")
        os.mkdir(f"{folder}/sub")
        wait_for(lambda: os.path.exists(path), 60 * SLOW, "the socket")
        with sender(path) as s:
            s.send(b"<13>app: n=2")
    complete(peer, 3)


def test_no_program_waits_when_journals_are_full(daemon, folder):
    """A dead drain: each message is in the journal or counted as dropped, and sending goes on."""
    path, total = f"{folder}/log", 20000
    d = daemon(drains=[("*", "syslog+tcp://127.0.0.1:1/")], env=settings(path, JOURNAL_BYTES_MAX="8m", JOURNAL_HOST_BYTES_MAX="4m", MAX_LINE="64k"))

    def metric(name, **labels):
        return d.metrics().get(name, input="syslog_unix", **labels) or 0

    with sender(path) as s:
        for i in range(total):
            s.send(b"<13>app: %s n=%d" % (b"x" * 500, i))
    wait_for(lambda: metric("logtrain_input_records_total") + metric("logtrain_input_dropped_records_total", reason="full") == total,
             60 * SLOW, "each message to be taken or counted")
    assert metric("logtrain_input_dropped_records_total", reason="full") > 0
    assert metric("logtrain_input_records_total") > 0


@root
def test_one_user_cannot_take_the_others_room(daemon, syslog_tcp, folder):
    """A user fills the journals of hostnames whose drain is dead; another's messages to a healthy drain all arrive."""
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*.live", peer.url()), ("*.dead", "syslog+tcp://127.0.0.1:1/")],
               env=settings(path, JOURNAL_BYTES_MAX="16m", JOURNAL_HOST_BYTES_MAX="8m", MAX_LINE="64k"))
    as_user(NOBODY, """
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
for i in range(30000):
    s.send(b"<13>1 - %d.dead app - - - %s" % (i % 20, b"x" * 1000))
""", path)
    with sender(path) as s:
        for i in range(200):
            s.send(b"<13>1 - web.live app - - - n=%d" % i)
    complete(peer, 200)
    assert d.metrics().get("logtrain_input_dropped_records_total", input="syslog_unix", reason="full") > 0


def test_long_messages(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*", peer.url())], env=settings(path, MAX_LINE="100k"))
    with sender(path) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        s.send(b"<13>app: n=0 " + b"x" * 90000 + b"END")
        s.send(b"<13>app: n=1 " + b"x" * 130000 + b"END")
        s.send(b"")
        s.send(b"\n")
        s.send(b"<13>app: n=2 ")
    complete(peer, 3)
    got = {int(NUMBER.search(m)[1]): m for m in peer.messages()}
    assert got[0].endswith(b"x" * 90000 + b"END") and not got[1].endswith(b"END")
    assert d.metrics().get("logtrain_input_malformed_total", input="syslog_unix", kind="cut") == 1


def test_hostnames_that_it_may_not_use(daemon, syslog_tcp, folder):
    peer, path = syslog_tcp(), f"{folder}/log"
    d = daemon(drains=[("*", peer.url())], env=settings(path, NODE="db-1", INPUT_HOSTNAMES="syslog_unix=db-1", INPUT_PEER="false"))
    with sender(path) as s:
        s.send(b"<13>1 - other app - - - n=9")
        s.send(b"<13>app: n=0")
    complete(peer, 1)
    assert b"input@32473" not in peer.messages()[0]
    assert d.metrics().get("logtrain_input_dropped_records_total", input="syslog_unix", reason="forbidden") == 1
