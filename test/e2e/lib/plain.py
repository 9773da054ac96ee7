"""Plain log files as programs write them: numbered lines, and logrotate beside them."""

import re
import subprocess
import threading
import time

from .daemon import SLOW
from .wait import wait_for

LINE = re.compile(rb"\bfile=(\S+) n=(\d+)$")


def arrived(peer):
    """{file: [numbers]} of the lines that <peer> has."""
    found = {}
    for m in peer.messages():
        one = LINE.search(m)
        if one:
            found.setdefault(one[1].decode(), []).append(int(one[2]))
    return found


def wait_complete(peer, wanted, timeout=60):
    """Waits until <peer> has exactly lines 0 to n-1 of each: <wanted> is {file: n}."""
    def missing():
        got = arrived(peer)
        return {name: n - len(set(got.get(name, ()))) for name, n in wanted.items() if len(set(got.get(name, ()))) < n}
    wait_for(lambda: not missing(), timeout * SLOW, lambda: f"lines: {dict(list(missing().items())[:5])} are missing")
    got = arrived(peer)
    for name, n in wanted.items():
        assert set(got[name]) == set(range(n)), name


class Log:
    """A program's log: write() appends numbered lines. It keeps the file open until reopen()."""

    def __init__(self, path, name=None):
        self.path = path
        self.name = name or path.name
        self.n = 0
        self.file = None
        self.lock = threading.Lock()

    def reopen(self):
        with self.lock:
            if self.file:
                self.file.close()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = open(self.path, "ab", buffering=0)  # pylint: disable=consider-using-with

    def write(self, lines=1, text=b""):
        if not self.file:
            self.reopen()
        with self.lock:
            self.file.write(b"".join(b"%sfile=%s n=%d\n" % (text, self.name.encode(), self.n + i) for i in range(lines)))
            self.n += lines

    def close(self):
        if self.file:
            self.file.close()
            self.file = None


class Program(threading.Thread):
    """Writes to a Log until stop(). When the file <asked> exists, it reopens its own and removes that."""

    def __init__(self, log, asked, lines=5):
        super().__init__(daemon=True)
        self.log, self.asked, self.lines = log, asked, lines
        self.ended = threading.Event()
        self.going = threading.Lock()  # held: it pauses
        self.start()

    def run(self):
        while not self.ended.is_set():
            if self.asked.exists():
                self.log.reopen()
                self.asked.unlink()
            with self.going:
                self.log.write(self.lines)
            time.sleep(0.02)

    def stop(self):
        self.ended.set()
        self.join()
        self.log.close()


def logrotate(tmp_path, pattern, options, asked):
    """Runs logrotate once with these lines of configuration. The program reopens its files, except with copytruncate."""
    conf = tmp_path / "logrotate.conf"
    hook = "" if "copytruncate" in options else f"postrotate\ntouch {asked}; while [ -e {asked} ]; do sleep 0.01; done\nendscript"
    conf.write_text(f"{pattern} {{\nsu root root\nrotate 50\nmissingok\nsharedscripts\n{options}\n{hook}\n}}\n")
    conf.chmod(0o644)
    done = subprocess.run(["logrotate", "-f", "-s", str(tmp_path / "logrotate.state"), str(conf)], capture_output=True, text=True,
                          timeout=120 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
