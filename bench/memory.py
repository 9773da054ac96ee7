#!/usr/bin/env python3
"""How much of the memory bound a full load uses; the bound must hold and be at most three times the use. Drains of every
protocol, each with all streams: a third is healthy, a third was healthy and stops answering, a third stops reading. Lines
hardly compress. Prints the exported bound, the peak RSS and their ratio, for a few sizes of node."""
import argparse
import base64
import contextlib
import json
import os
import sys
import tempfile
import time

from isolation import Logtrain
from run import memory_kib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
from lib.hung import HungFarm  # noqa: E402

PROTOCOLS = ("http", "es", "redis", "ws", "syslog")
LINES = 250  # of a stream
SIZES = ((1, 20, 1), (5, 100, 1), (20, 100, 1), (20, 400, 1), (20, 100, 4))  # drains of a kind and protocol, streams, workers


def write_streams(tree, n):
    lines = [b"2026-11-20T10:15:00.123456789Z stdout F " + base64.b64encode(os.urandom(750)) + b"\n" for _ in range(LINES)]
    os.makedirs(f"{tree}/containers")
    for i in range(n):
        app = f"{tree}/pods/default_web-{i}_{i:08x}-1111-0000-0000-000000000000/app"
        os.makedirs(app)
        with open(f"{app}/0.log", "wb") as f:
            f.writelines(lines)
        os.symlink(f"{app}/0.log", f"{tree}/containers/web-{i}_default_app-{i:064x}.log")


def once(args, drains, streams, workers):
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="logtrain-memory-"))
        write_streams(work, streams)
        farms = [stack.enter_context(HungFarm(drains, answers, then, rcvbuf, speaks)) for speaks in PROTOCOLS
                 for answers, then, rcvbuf in ((1 << 40, "silent", None), (20, "silent", None), (20, "deaf", 4096))]
        args.workers = workers
        p = Logtrain(args, work, work, [("*", url) for farm in farms for url in farm.urls()])
        stack.callback(p.close)
        time.sleep(args.seconds)
        peak, bound = memory_kib(p.pid, "VmHWM") / 1024, p.metric("logtrain_memory_bound_bytes") / (1 << 20)
        return {"drains": drains * len(farms), "streams": streams, "workers": workers, "peak_mib": round(peak, 1),
                "bound_mib": round(bound, 1), "ratio": round(bound / peak, 2)}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--seconds", type=float, default=30, help="of load, of which the peak counts (default 30)")
    a.add_argument("--logtrain", default="build/release/logtrain", help=argparse.SUPPRESS)
    args = a.parse_args()
    rows = []
    print(f"{'drains':>8}{'streams':>9}{'workers':>9}{'peak MiB':>10}{'bound MiB':>11}{'ratio':>7}")
    for size in SIZES:
        r = once(args, *size)
        rows.append(r)
        print(f"{r['drains']:>8}{r['streams']:>9}{r['workers']:>9}{r['peak_mib']:>10}{r['bound_mib']:>11}{r['ratio']:>7}", flush=True)
    print("\nto reach: between 1 and 3\n\n" + json.dumps({"memory": rows}))


if __name__ == "__main__":
    main()
