#!/usr/bin/env python3
"""Lines lost and lines sent twice by logtrain and by rsyslog (imfile -> omfwd) in the same run: one log, written at a steady
rate, rotated as kubelet does, while the shipper is killed (SIGKILL) and started again. Both send to the same kind of receiver."""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("LOGTRAIN_BUILD", "release")
sys.path.insert(0, str(ROOT / "test" / "e2e"))

from lib import http_peer, peer  # noqa: E402
from lib.daemon import Daemon  # noqa: E402
from lib.node import Node, Rotator, Writer  # noqa: E402
from lib.oracle import Oracle  # noqa: E402


class Logtrain:
    def __init__(self, work, node, url):
        self.daemon = Daemon(node, drains=[("*", url)], tmp=work)

    def kill(self):
        self.daemon.kill()

    def start(self):
        self.daemon.start()

    close = kill


class Rsyslog:
    """The best settings that were found. A rotated file is an input of its own; if not, lines written to it after the rename are
    lost. No queue is in memory, because the position is saved when a line enters it. The position is saved after each batch
    that was handed over. A receiver that is down is retried for ever. All starts use the same directory."""

    def __init__(self, work, node, port):
        self.conf, self.pid = work / "rsyslog.conf", work / "pid"
        files = "".join(f'''input(type="imfile" File="{node.pods_dir}/*/*/{name}" Tag="bench" ruleset="out" freshStartTail="off"
      persistStateInterval="1" persistStateAfterSubmission="on")
''' for name in ("0.log", "0.log.????????-??????"))
        self.conf.write_text(f'''global(workDirectory="{work}")
main_queue(queue.type="Direct")
module(load="imfile" mode="inotify")
{files}ruleset(name="out") {{
    action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
           action.resumeRetryCount="-1" action.resumeInterval="1")
}}
''', encoding="ascii")
        self.start()

    def start(self):
        self.pid.unlink(missing_ok=True)
        self.process = subprocess.Popen(["rsyslogd", "-n", "-f", self.conf, "-i", self.pid], stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    close = kill


def run(args, name, receiver, make):
    oracle, rng = Oracle(), random.Random(args.seed)
    with tempfile.TemporaryDirectory(prefix="logtrain-loss-") as tmp, receiver:
        node = Node(Path(tmp) / "node")
        c = node.container("web-0", name="app", max_files=30)
        work = Path(tmp) / "work"
        work.mkdir()
        shipper = make(work, node)
        try:
            with Rotator(c, every=args.rotate, late=0.02), Writer(c, oracle.source("a"), rate=args.rate) as writer:
                for _ in range(args.kills):
                    time.sleep(rng.uniform(0.5, 2 * args.every - 0.5))
                    if not args.calm:
                        shipper.kill()
                        shipper.start()
                writer.stop()
            last, still = -1, 0
            while still < args.quiet:  # nothing new for so long: what has not arrived is lost
                count = receiver.count()
                still = still + 0.25 if count == last else 0
                last = count
                time.sleep(0.25)
        finally:
            shipper.close()
        report = oracle.check([m for part in receiver.message_lists() for m in part])
        node.close()
    return {"name": name, "written": report.written, "lost": report.lost, "twice": report.dup}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--kills", type=int, default=20)
    a.add_argument("--every", type=float, default=1.5, help="seconds between kills, on average")
    a.add_argument("--rotate", type=float, default=2, help="seconds between rotations")
    a.add_argument("--rate", type=int, default=2000, help="lines per second")
    a.add_argument("--quiet", type=float, default=10, help="seconds without a new line after which the run has ended")
    a.add_argument("--calm", action="store_true", help="the same run without a kill: rotation alone")
    a.add_argument("--seed", type=int, default=1)
    args = a.parse_args()
    rows = []
    tcp, web = peer.SyslogTcp(), http_peer.Http()
    rows.append(run(args, "logtrain http", web, lambda work, node: Logtrain(work, node, web.url("batch=ndjson&linger=20ms"))))
    rows.append(run(args, "logtrain syslog+tcp", tcp, lambda work, node: Logtrain(work, node, tcp.url())))
    if shutil.which("rsyslogd"):
        other = peer.SyslogTcp()
        rows.append(run(args, "rsyslog imfile -> omfwd", other, lambda work, node: Rsyslog(work, node, other.port)))
    else:
        print("rsyslogd is not installed: its row is skipped", file=sys.stderr)
    print(f"{0 if args.calm else args.kills} kills, a rotation every {args.rotate:g} s, {args.rate} lines/s\n")
    print(f"{'':26}{'written':>9}{'lost':>9}{'twice':>9}")
    for r in rows:
        print(f"{r['name']:26}{r['written']:>9,}{r['lost']:>9,}{r['twice']:>9,}")
    print("\n" + json.dumps(rows))


if __name__ == "__main__":
    main()
