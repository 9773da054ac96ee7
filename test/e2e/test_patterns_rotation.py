"""FILES with real logrotate, in each of its ways, while a program writes and logtrain is stopped and killed: exactly the lines written,
under READ_FROM=end."""

import os
import shutil
import time

import pytest
from lib.daemon import SLOW
from lib.plain import Log, Program, arrived, logrotate, wait_complete
from lib.wait import wait_for

pytestmark = [pytest.mark.skipif(not shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin"), reason="logrotate is not installed"),
              pytest.mark.skipif(os.geteuid() != 0, reason="needs root: logrotate's su")]

WAYS = {
    "create": "create",
    "nocreate": "nocreate",
    "compress": "create\ncompress",
    "delaycompress": "create\ncompress\ndelaycompress",
    "dateext": "create\ndateext\ndateformat -%Y%m%d-%s",
    "dateext-compress": "create\ndateext\ndateformat -%Y%m%d-%s\ncompress\ndelaycompress",
    "extension": "create\nextension .log",
    "extension-dateext-compress": "create\nextension .log\ndateext\ndateformat -%Y%m%d-%s\ncompress\ndelaycompress",
    "copytruncate": "copytruncate",
    "copytruncate-compress": "copytruncate\ncompress\ndelaycompress",
}


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/usr/sbin")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pattern", ["*.log", "*"], ids=["log", "any"])
def test_rotation(daemon, http, tmp_path, way, pattern):
    """Seven rotations; after the second the daemon is killed, after the fourth stopped for one rotation. At the end a restart sends
    nothing again."""
    peer, logs, asked = http(), tmp_path / "logs", tmp_path / "asked"
    logs.mkdir()
    log = Log(logs / "app.log", "app")
    log.write(500)  # before the first start: not sent
    before = log.n
    d = daemon(drains=[("web", peer.url())], env={"KUBERNETES": "false", "READ_FROM": "end", "FILES": f"{logs}/{pattern} hostname=web"})
    program = Program(log, asked)
    try:
        for i in range(7):
            wait_for(lambda n=log.n: log.n > n + 100, 60 * SLOW, "more lines")
            if i != 4:
                wait_for(lambda n=log.n: max(arrived(peer).get("app", [0])) >= n - 1, 60 * SLOW, "the lines of this file")
            copies = "copytruncate" in way  # what is not read yet when a file is truncated is lost, and declared
            if copies:
                program.going.acquire()
                wait_for(lambda: max(arrived(peer)["app"]) == log.n - 1, 60 * SLOW, "all lines before the truncation")
            if i == 2:
                d.kill()
                d.start()
            if i == 4:
                d.stop()
            logrotate(tmp_path, logs / "app.log", WAYS[way], asked)
            if i == 4:
                d.start()
            if copies:
                program.going.release()
            if "dateext" in way:  # a name per second
                second = int(time.time())
                wait_for(lambda s=second: int(time.time()) > s, 10, "the next second")
    finally:
        program.stop()
    wait_for(lambda: set(arrived(peer).get("app", ())) >= set(range(before, log.n)), 60 * SLOW,
             lambda: f"{log.n - before} lines; missing: {sorted(set(range(before, log.n)) - set(arrived(peer).get('app', ())))[:9]}\n{d.tail(20)}")
    got = arrived(peer)["app"]
    assert min(got) == before, "lines from before the first start"
    d.wait_saved()
    count = peer.count()
    d.stop()
    d.start()
    log.write(1)
    wait_for(lambda: peer.count() > count, 60 * SLOW, "the line after the restart")
    d.wait_saved()
    assert arrived(peer)["app"][-1] == log.n - 1 and peer.count() == count + 1, "a restart sends nothing again"
    log.close()


def test_many_logs_are_rotated_at_once(daemon, http, tmp_path):
    """300 logs in one directory, rotated and compressed by one logrotate, twice."""
    peer, logs, asked = http(), tmp_path / "logs", tmp_path / "asked"
    logs.mkdir()
    d = daemon(drains=[("*", peer.url())], env={"KUBERNETES": "false", "READ_FROM": "end", "FILES": f"{logs}/*.log"})
    all_logs = [Log(logs / f"app-{i}.log", f"app-{i}") for i in range(300)]
    for log in all_logs:
        log.write(3)
        log.close()
    wait_complete(peer, {log.name: 3 for log in all_logs})
    for _ in range(2):
        for log in all_logs:
            log.write(3)
            log.close()
        wait_complete(peer, {log.name: log.n for log in all_logs})
        conf = "create\ncompress\ncopytruncate"
        logrotate(tmp_path, logs / "*.log", conf, asked)
    for log in all_logs:
        log.write(3)
        log.close()
    wait_complete(peer, {log.name: log.n for log in all_logs})
    assert d.metric("logtrain_streams") == 300
