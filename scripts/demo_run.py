#!/usr/bin/python3
"""The demo's programme: three pods, two receivers, a rotation, a restart and an outage, and an account of every line at the
end. Run it through scripts/demo, which builds logtrain first. Exit code 1 when a line is missing, late or spoiled."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test" / "e2e"))

from lib.daemon import BIN, Daemon  # noqa: E402
from lib.http_peer import Http  # noqa: E402
from lib.node import Node, Writer  # noqa: E402
from lib.oracle import Oracle  # noqa: E402
from lib.peer import SyslogTcp  # noqa: E402
from lib.wait import Timeout, wait_for  # noqa: E402

PODS = [("shop", "web-7d4b9c6f5-x2x1z", 400), ("shop", "cart-0", 150), ("jobs", "report-28123456-kk2lp", 50)]
ROTATE_S, RESTART_S, OUTAGE_S, BACK_S, END_S = 3, 6, 12, 17, 20
ARRIVE_S = 16        # after the last line was written, at most
STATUS_S = 3


class Screen:
    """Lines with a time stamp; on a terminal the last one counts live."""

    def __init__(self):
        self.start = time.monotonic()
        self.live = sys.stdout.isatty()
        self.next_status = 0.0

    def now(self):
        return time.monotonic() - self.start

    def _line(self, text, end):
        clear = "\r\x1b[K" if self.live else ""
        print(f"{clear}{self.now():6.1f} s  {text}", end=end, flush=True)

    def event(self, text):
        self._line(text, "\n")

    def status(self, text):
        if self.now() >= self.next_status:
            self.next_status = (self.now() // STATUS_S + 1) * STATUS_S
            self._line(text, "\n")
        elif self.live:
            self._line(text, "")

    def section(self, title):
        print(("\r\x1b[K" if self.live else "") + title, flush=True)


class Demo:
    def __init__(self, directory, keep):
        self.keep = keep
        self.node = Node(directory)
        self.oracle = Oracle()
        self.syslog, self.web = SyslogTcp(), Http()
        self.drains = [("syslog", self.syslog, self.syslog.url()),
                       ("http", self.web, self.web.url("batch=ndjson", path="/logs"))]
        self.progress = {name: self.oracle.progress(peer) for name, peer, _ in self.drains}
        self.containers = [self.node.container(pod, ns) for ns, pod, _ in PODS]
        self.daemon = Daemon(self.node, drains=[("*", url) for _, _, url in self.drains], start=False)
        self.writers = []

    # what is shown

    def intro(self):
        print("logtrain demo: three pods write container logs, logtrain sends every line to two receivers.\n")
        for ns, pod, rate in PODS:
            print(f"  pod       {ns + '/' + pod:<28} {rate:>4} lines/s")
        for name, _, url in self.drains:
            print(f"  receiver  {name:<8} {url}")
        print(f"  logs      {self.node.containers}")
        if self.keep:
            for page, what in (("metrics", "the counters"), ("drains", "each drain's state and lag")):
                print(f"  try       curl -s http://127.0.0.1:{self.daemon.port}/{page:<8} # {what}")
        print()

    def counters(self):
        written = sum(self.oracle.written().values())
        parts = [f"written {written:>6}"]
        for name, progress in self.progress.items():
            got = progress.distinct()
            parts.append(f"{name} {got:>6}" + (self.waiting(name, written - got) if written - got > 200 else ""))
        return "   ".join(parts)

    def waiting(self, name, lines):
        """What logtrain itself says of a drain that is behind."""
        port = next(peer.port for n, peer, _ in self.drains if n == name)
        states = [d["state"] for d in self.daemon.drains() if f":{port}#" in d["name"]]
        return f" ({lines} wait in the logs; drain is {'/'.join(states)})"

    # what happens

    def rotate(self):
        web = self.containers[0]
        away = web.rotate(reopen_delay=0.2)
        return f"ROTATION   web's 0.log is renamed to {away.name}, written to for 0.2 s more, and a new 0.log begins"

    def restart(self):
        self.containers[1].restart()
        return "RESTART    cart's container restarts: 0.log ends, 1.log begins"

    def outage(self):
        self.syslog.refuse(end="reset")
        return "OUTAGE     the syslog receiver resets its connection and refuses new ones for 5 s; http goes on"

    def back(self):
        self.syslog.resume()
        return "BACK       the syslog receiver is back"

    def play(self, screen):
        plan = [(ROTATE_S, self.rotate), (RESTART_S, self.restart), (OUTAGE_S, self.outage), (BACK_S, self.back)]
        for at, act in plan:
            self.until(screen, at)
            screen.event(act())
        self.until(screen, END_S)
        if self.keep:
            screen.event("--keep: runs on until Ctrl-C")
            self.until(screen, float("inf"))

    def until(self, screen, at):
        def step():
            assert self.daemon.running(), f"logtrain has ended:\n{self.daemon.tail(10)}"
            screen.status(self.counters())
            return screen.now() >= at
        wait_for(step, at - screen.now() + 60, "the time to pass")

    def finish(self, screen):
        for writer in self.writers:
            writer.stop()
        screen.event(f"the pods are silent: {self.counters()}")
        try:
            wait_for(lambda: all(p.complete() for p in self.progress.values()), ARRIVE_S, "the rest")
            screen.event("everything has arrived")
        except Timeout:
            screen.event(f"gave up waiting after {ARRIVE_S} s")

    def result(self):
        good = True
        print()
        for name, peer, url in self.drains:
            r = self.oracle.check(peer.messages())
            faults = [f"{n} {what}" for n, what in ((len(r.corrupt), "spoiled"), (r.reorder, "out of order")) if n]
            good = good and not faults and not r.lost
            print(f"  {name:<8} sent {r.written}, received {r.distinct}, duplicates {r.dup}, missing {r.lost}"
                  + "".join(f", {f}" for f in faults))
        print("\n  duplicates are re-sent lines whose arrival the receiver never confirmed: plain syslog has no answers, so"
              "\n  logtrain counts a line as arrived 5 s after it was taken, and sends the younger ones again after a reset.")
        return good

    def run(self):
        self.daemon.start()
        self.intro()
        screen = Screen()
        screen.event("logtrain is ready")
        self.writers = [Writer(c, self.oracle.source(f"{c.pod.name}"), rate=rate)
                        for c, (_, _, rate) in zip(self.containers, PODS)]
        try:
            self.play(screen)
        except KeyboardInterrupt:
            screen.section("")
            self.syslog.resume()
        self.finish(screen)
        good = self.result()
        self.daemon.stop()
        print(f"\n  {'none is missing' if good else 'LINES ARE MISSING OR SPOILED'} ({screen.now():.0f} s)")
        return good

    def close(self):
        for writer in self.writers:
            writer.stop_event.set()
        self.daemon.close()
        self.node.close()
        for _, peer, _ in self.drains:
            peer.close()


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows logtrain at work, in about 25 seconds.")
    parser.add_argument("--keep", action="store_true", help="run on until Ctrl-C")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that what was started is stopped
    if not BIN.exists():
        sys.exit(f"{BIN} is not there: run scripts/demo, which builds it")
    with tempfile.TemporaryDirectory(prefix="logtrain-demo-") as directory:
        demo = Demo(directory, options.keep)
        try:
            return 0 if demo.run() else 1
        except AssertionError as e:
            print(f"\n{e}", file=sys.stderr)
            return 1
        finally:
            demo.close()


if __name__ == "__main__":
    sys.exit(main())
