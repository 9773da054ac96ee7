"""S10: the same short script again and again, and each time another call fails: the n-th malloc, open, pread, …

A script is a start, lines, a rotation, more lines, and a stop. The daemon may carry on, log why it cannot start, or (where
memory or the loop's own calls fail) abort; it may not crash otherwise. The next start without the fault then delivers every
line."""

import signal
import tempfile
from pathlib import Path

from . import http_peer
from .daemon import SANITIZED, SLOW, Daemon
from .node import Node
from .oracle import Oracle
from .preload import Nth
from .wait import wait_for

MAY_ABORT = {"malloc", "poll", "stat"}  # xmalloc() does, and so does libuv when its own calls fail


class Sweep:
    def __init__(self, say=print):
        self.say = say
        self.outcomes = {}

    def script(self, kind, n):
        """One run; returns its result as a word. Returns the numbers of calls when <kind> is None."""
        with tempfile.TemporaryDirectory(prefix="logtrain-sweep-") as tmp, http_peer.Http() as web:
            node, oracle = Node(Path(tmp) / "node"), Oracle()
            nth = Nth(Path(tmp))
            nth.set(kind, n)
            c, source = node.container("web-0", max_files=100), oracle.source("a")
            c.write(source.take(20))
            d = Daemon(node, drains=[("*", web.url("batch=ndjson&linger=10ms"))], tmp=tmp, env=nth.env, start=False)
            try:
                d.start(wait=False)
                seen = oracle.progress(web)
                self._until(d, lambda: seen.distinct() == 20)
                c.rotate(reopen_delay=0)
                c.write(source.take(20))
                self._until(d, lambda: seen.distinct() == 40)
                self._until(d, lambda: b"LTSTATE" in b"".join(p.read_bytes()[:8] for p in Path(tmp).glob("state/cursors.*")))
                if d.running():
                    d.signal(signal.SIGTERM)
                how = self._judge(d, kind, d.wait_exit(30 * SLOW))
                calls = nth.calls()
                nth.set()
                c.write(source.take(20))
                d.start()
                oracle.wait_complete(web, 30 * SLOW).assert_exact(dup_max=60)
                d.stop()
            finally:
                d.close()
                node.close()
            return how if kind else calls

    @staticmethod
    def _until(d, cond):
        wait_for(lambda: not d.running() or cond(), 30 * SLOW, lambda: f"the script to go on:\n{d.tail()}")

    @staticmethod
    def _judge(d, kind, code):
        d.check_report()
        if code == 0:
            return "went on"
        if code in (1, 2):
            assert " error " in d.log() or "logtrain: " in d.log(), f"ended with {code} and did not say why:\n{d.tail()}"
            return "gave up and said why"
        assert code == -signal.SIGABRT and kind in MAY_ABORT, f"ended with {code}:\n{d.tail()}"
        return "aborted"

    def run(self, step=1, most=None):
        """Every <step>-th call of each kind, of the first <most>."""
        calls = self.script(None, 0)
        for kind, count in calls.items():
            if kind == "malloc" and SANITIZED:
                self.say("malloc: not in a sanitized build (LOGTRAIN_BUILD=release)")
                continue
            row = {}
            for n in range(1, min(count, most or count) + 1, step):
                try:
                    how = self.script(kind, n)
                except AssertionError as e:
                    raise AssertionError(f"{kind} {n} of {count}: {e}") from e
                row[how] = row.get(how, 0) + 1
            self.say(f"{kind:7} {count:6} calls; " + ", ".join(f"{how}: {k}" for how, k in row.items()))
            self.outcomes[kind] = row
