#!/usr/bin/env python3
"""What the state costs: throughput with STATE_PATH on and off in turn, bytes written per second at 500 cursors, and the time to
start with 10,000 of them. Run it on a release build: scripts/build release, then bench/durability.py.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.request

from run import Sink, cpu_seconds

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Logtrain:
    def __init__(self, args, node, url, state):
        self.dir = tempfile.mkdtemp(dir=node, prefix="run-")
        self.err = os.path.join(self.dir, "stderr")
        env = dict(os.environ, KUBERNETES="true", KUBERNETES_LOG_PATH=f"{node}/containers", READ_FROM="start", STATE_PATH=state,
                   HTTP_PORT="0", HTTP_PORT_FILE=f"{self.dir}/port", LOG_LEVEL="info")
        self.began = time.monotonic()
        with open(self.err, "wb") as err:
            self.proc = subprocess.Popen([args.logtrain, "--drain", f"*={url}"], env=env, stderr=err)
        self.pid = self.proc.pid

    def wait_ready(self):
        while True:
            with open(self.err, encoding="utf-8") as f:
                if " info ready " in f.read():
                    return time.monotonic() - self.began
            assert self.proc.poll() is None, open(self.err, encoding="utf-8").read()
            time.sleep(0.005)

    def metric(self, name):
        with open(f"{self.dir}/port", encoding="ascii") as f:
            page = urllib.request.urlopen(f"http://127.0.0.1:{int(f.read())}/metrics", timeout=10).read().decode()
        return sum(float(m) for m in re.findall(rf"^{name}(?:{{[^\n]*}})? (\S+)$", page, re.MULTILINE))

    def kill(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()


def make_node(args, work, name, files, lines):
    node = os.path.join(work, name)
    subprocess.run([f"{args.tools}/bench_genlog", node, str(files), str(lines), "200"], check=True)
    return node


def throughput(args, work):
    node = make_node(args, work, "throughput", 100, args.lines)
    cpu, rate = {"on": [], "off": []}, {"on": [], "off": []}
    for _ in range(args.repeat):
        for how in cpu:
            sink = Sink(args.tools, "http")
            state = tempfile.mkdtemp(dir=work) if how == "on" else ""
            p = Logtrain(args, node, f"http://127.0.0.1:{sink.port}/?batch=ndjson", state)
            sink.wait_for(args.lines, 300, f"state {how}")
            rate[how].append(args.lines / (time.monotonic() - p.began))
            cpu[how].append(args.lines / cpu_seconds(p.pid))
            p.kill()
            sink.close()
    shutil.rmtree(node)
    best = {how: max(runs) for how, runs in cpu.items()}
    return {"lines_per_cpu_second": {how: round(v) for how, v in best.items()},
            "lines_per_second": {how: round(statistics.median(v)) for how, v in rate.items()},
            "on_of_off": round(best["on"] / best["off"], 3)}


def written(args, work):
    """500 streams, each with 5 lines a second, for ten seconds."""
    node = make_node(args, work, "written", 500, 500)
    sink = Sink(args.tools, "http")
    p = Logtrain(args, node, f"http://127.0.0.1:{sink.port}/?batch=ndjson", tempfile.mkdtemp(dir=work))
    sink.wait_for(500, 60, "written")
    files = [open(f, "ab", buffering=0) for f in glob.glob(f"{node}/pods/*/app/0.log")]
    before, began = p.metric("logtrain_state_written_bytes_total"), time.monotonic()
    writes = p.metric("logtrain_state_writes_total")
    while time.monotonic() < began + 10:
        for f in files:
            f.write(b"2026-11-20T10:15:00.123456789Z stdout F one more line\n")
        time.sleep(0.2)
    took = time.monotonic() - began
    result = {"cursors": 500, "bytes_per_second": round((p.metric("logtrain_state_written_bytes_total") - before) / took),
              "writes_per_second": round((p.metric("logtrain_state_writes_total") - writes) / took, 2)}
    p.kill()
    sink.close()
    return result


def start(args, work):
    node = make_node(args, work, "start", args.cursors, args.cursors)
    sink = Sink(args.tools, "http")
    state = tempfile.mkdtemp(dir=work)
    url = f"http://127.0.0.1:{sink.port}/?batch=ndjson"
    p = Logtrain(args, node, url, state)
    sink.wait_for(args.cursors, 120, "start")
    while p.metric("logtrain_state_pending") or p.metric("logtrain_state_records") < args.cursors:
        time.sleep(0.05)
    p.kill()
    times, lines = [], []
    for _ in range(3):
        have = sink.records()
        p = Logtrain(args, node, url, state)
        times.append(p.wait_ready())
        with open(f"{node}/pods/" + sorted(os.listdir(f"{node}/pods"))[-1] + "/app/0.log", "ab") as f:
            f.write(b"2026-11-20T10:15:00.123456789Z stdout F one more line\n")
        sink.wait_for(have + 1, 60, "a line after the start")
        lines.append(time.monotonic() - p.began)
        while p.metric("logtrain_state_pending"):
            time.sleep(0.05)
        p.kill()
    again = sink.records() - args.cursors - 3
    sink.close()
    return {"cursors": args.cursors, "ready_seconds": round(min(times), 2), "first_line_seconds": round(min(lines), 2),
            "lines_sent_again": again}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--lines", type=int, default=2_000_000)
    a.add_argument("--cursors", type=int, default=10_000)
    a.add_argument("--repeat", type=int, default=5)
    a.add_argument("--logtrain", default=f"{ROOT}/build/release/logtrain", help=argparse.SUPPRESS)
    a.add_argument("--tools", default=f"{ROOT}/build/release/bench", help=argparse.SUPPRESS)
    args = a.parse_args()
    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        result = {"start": start(args, work), "written": written(args, work), "throughput": throughput(args, work)}
    s, w, t = result["start"], result["written"], result["throughput"]
    print(f"start with {s['cursors']:,} cursors: ready after {s['ready_seconds']} s, a new line delivered after "
          f"{s['first_line_seconds']} s, {s['lines_sent_again']} lines sent again in three starts")
    print(f"state of {w['cursors']} busy cursors: {w['bytes_per_second']:,} bytes/s, {w['writes_per_second']} writes/s")
    print(f"throughput with the state on: {t['on_of_off']:.1%} of that without "
          f"({t['lines_per_cpu_second']['on']:,} and {t['lines_per_cpu_second']['off']:,} lines per CPU-second)")
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
