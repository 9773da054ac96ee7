#!/usr/bin/env python3
"""What 1,000 dead drains cost the healthy one (FAULTS.md X01): the same load with and without them, in turn, medians.

The dead ones are a quarter each: connection refused, SYN unanswered, accepted and never read, TLS handshake that stalls.
Every line goes to all of them and to the healthy drain. First they get a few lines and the time to be dead; then the load is
there (a rotation puts large files in place), and what counts is how fast the healthy drain has it.
"""
import argparse
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from run import Sink, cpu_seconds, memory_kib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
from lib.dead import DeadFarm  # noqa: E402

FILES = 10
SEED_LINES = 20000  # more than what the kernel takes for a drain that reads nothing
SETTLE_S = 12  # longer than a connect may take, so that each has failed


class Logtrain:
    """With a routes file, because a thousand URLs are too many for a command line."""

    def __init__(self, args, work, node, urls):
        routes, self.port_file = os.path.join(work, "routes"), os.path.join(work, "port")
        with open(routes, "w", encoding="ascii") as f:
            f.writelines(f"*  {url}\n" for url in urls)
        env = dict(os.environ, KUBERNETES="true", KUBERNETES_LOG_PATH=f"{node}/containers", READ_FROM="start",
                   STATE_PATH=os.path.join(work, "state"), HTTP_PORT="0", HTTP_PORT_FILE=self.port_file,
                   WORKERS=str(args.workers), LOG_LEVEL="error")
        self.proc = subprocess.Popen([args.logtrain, "--routes", routes], env=env)
        self.pid = self.proc.pid

    def metric(self, name):
        with open(self.port_file, encoding="ascii") as f:
            text = urllib.request.urlopen(f"http://127.0.0.1:{f.read().strip()}/metrics", timeout=10).read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])

    def close(self):
        self.proc.kill()
        self.proc.wait()


def rotate_in(tree, load):
    """The files of <load> become the live ones of <tree>, as after a rotation."""
    for live in sorted(glob.glob(f"{tree}/pods/*/app/0.log")):
        os.rename(live, live + ".20261120-101500")
        os.link(live.replace(tree, load), live)


def one(args, load, dead):
    with tempfile.TemporaryDirectory(prefix="run-", dir=os.path.dirname(load)) as work:
        tree = os.path.join(work, "node")
        subprocess.run([f"{args.tools}/bench_genlog", tree, str(FILES), str(SEED_LINES), "200"], check=True)
        sink = Sink(args.tools, "syslog")
        p = Logtrain(args, work, tree, [f"syslog+tcp://127.0.0.1:{sink.port}", *dead])
        try:
            sink.wait_for(SEED_LINES, 30, "the first lines")
            time.sleep(SETTLE_S if dead else 1)
            cpu, began = cpu_seconds(p.pid), time.monotonic()
            rotate_in(tree, load)
            sink.wait_for(SEED_LINES + args.lines, 300, "isolation")
            took, cpu = time.monotonic() - began, cpu_seconds(p.pid) - cpu
            idle = cpu_seconds(p.pid)
            time.sleep(3)
            idle = (cpu_seconds(p.pid) - idle) / 3
            return {"dead": len(dead), "lines_per_second": round(args.lines / took),
                    "lines_per_cpu_second": round(args.lines / cpu), "idle_cpu_percent": round(idle * 100, 2),
                    "rss_mib": round(memory_kib(p.pid, "VmHWM") / 1024, 1),
                    "bound_mib": round(p.metric("logtrain_memory_bound_bytes") / (1 << 20), 1)}
        finally:
            p.close()
            sink.close()


def median(rows, key):
    return statistics.median(r[key] for r in rows)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--dead", type=int, default=1000)
    a.add_argument("--lines", type=int, default=3_000_000)
    a.add_argument("--repeat", type=int, default=5)
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--json", metavar="FILE")
    a.add_argument("--logtrain", default="build/release/logtrain", help=argparse.SUPPRESS)
    a.add_argument("--tools", default="build/release/bench", help=argparse.SUPPRESS)
    args = a.parse_args()

    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        load = os.path.join(work, "load")
        subprocess.run([f"{args.tools}/bench_genlog", load, str(FILES), str(args.lines), "200"], check=True)
        quarter = args.dead // 4
        rows = {"without": [], "with": []}
        for _ in range(args.repeat):
            rows["without"].append(one(args, load, []))
            with DeadFarm(quarter, quarter, quarter, args.dead - 3 * quarter) as farm:
                rows["with"].append(one(args, load, farm.urls))
    keys = ["lines_per_second", "lines_per_cpu_second", "idle_cpu_percent", "rss_mib", "bound_mib"]
    medians = {name: {k: median(r, k) for k in keys} for name, r in rows.items()}
    ratio = medians["with"]["lines_per_second"] / medians["without"]["lines_per_second"]
    print(f"{'medians of ' + str(args.repeat):24}" + "".join(f"{k:>24}" for k in keys))
    for name, m in medians.items():
        print(f"{name + f' {args.dead} dead drains':24}" + "".join(f"{m[k]:>24,}" for k in keys))
    print(f"\nthe healthy drain keeps {ratio:.1%} of its throughput (to reach: 95 %)\n")
    text = json.dumps({"isolation": {"kept": round(ratio, 3), **medians}, "runs": rows})
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
