#!/usr/bin/env python3
"""Benchmarks: throughput per CPU-second, memory, latency, and the same work by other programs in the same run. Everything is a
ratio measured in one run on one machine: figures of different runs cannot be compared."""
import argparse
import glob
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HZ = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of a process, children not counted."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        main = int(f.read().split()[0]) / 1e9
    threads = 0.0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as f:
            threads += int(f.read().split()[0]) / 1e9
    return max(main, threads)


def waited_seconds(pid):
    """Time for which threads of a process were ready to run and had no CPU: the influence of a busy machine on a run."""
    waited = 0.0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as f:
            waited += int(f.read().split()[1]) / 1e9
    return waited


def memory_kib(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


class Sink:
    """The counting receiver."""

    def __init__(self, tools, kind, delay_ms=0):
        self.proc = subprocess.Popen([f"{tools}/bench_sink", kind, str(delay_ms)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(self.proc.stdout.readline())

    def records(self):
        self.proc.stdin.write("?\n")
        return int(self.proc.stdout.readline().split()[0])

    def wait_for(self, n, seconds, what):
        end = time.monotonic() + seconds
        while (got := self.records()) < n:
            if time.monotonic() > end:
                sys.exit(f"bench: {what}: {got} of {n} records after {seconds} s")
            time.sleep(0.01)

    def close(self):
        self.proc.kill()
        self.proc.wait()


class Logtrain:
    def __init__(self, args, node, url):
        env = dict(os.environ, KUBERNETES="true", KUBERNETES_LOG_PATH=f"{node}/containers", READ_FROM="start",
                   STATE_PATH=tempfile.mkdtemp(dir=node, prefix="state-"),
                   HTTP_PORT="0", WORKERS=str(args.workers), LOG_LEVEL="error")
        self.env = env
        self.proc = subprocess.Popen([args.logtrain, "--drain", f"*={url}"], env=env)
        self.pid = self.proc.pid

    def close(self):
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()


class Rsyslog:
    """imfile -> omfwd (or omhttp-less: tcp only), as its documentation sets it up."""

    def __init__(self, work, node, port):
        conf = os.path.join(work, "rsyslog.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f'''global(workDirectory="{work}")
main_queue(queue.type="LinkedList" queue.size="200000")
module(load="imfile" mode="inotify")
input(type="imfile" File="{node}/pods/*/app/0.log" Tag="bench" ruleset="out")
ruleset(name="out") {{
    action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format")
}}
''')
        self.proc = subprocess.Popen(["rsyslogd", "-n", "-f", conf, "-i", os.path.join(work, "pid")],
                                     stderr=subprocess.DEVNULL)
        self.pid = self.proc.pid

    def close(self):
        self.proc.kill()
        self.proc.wait()


def run_one(name, start, sink, lines, seconds=300):
    began = time.monotonic()
    p = start(sink.port)
    try:
        sink.wait_for(lines, seconds, name)
        took = time.monotonic() - began
        cpu = cpu_seconds(p.pid)
        return {"name": name, "lines": lines, "seconds": round(took, 3), "cpu_seconds": round(cpu, 3),
                "lines_per_second": round(lines / took), "lines_per_cpu_second": round(lines / cpu),
                "rss_mib": round(memory_kib(p.pid, "VmHWM") / 1024, 1)}
    finally:
        p.close()


def floor(args, node, lines):
    sink = Sink(args.tools, "syslog")
    files = sorted(glob.glob(f"{node}/pods/*/app/0.log"))
    began = time.monotonic()
    out = subprocess.run([f"{args.tools}/bench_floor", str(sink.port), *files], check=True, capture_output=True,
                         text=True).stdout
    took = time.monotonic() - began
    sink.close()
    cpu = float(out)
    return {"name": "read()+write() floor", "lines": lines, "seconds": round(took, 3), "cpu_seconds": round(cpu, 3),
            "lines_per_second": round(lines / took), "lines_per_cpu_second": round(lines / cpu), "rss_mib": None}


def middle(runs):
    """The run in the middle of several, by CPU."""
    return sorted(runs, key=lambda r: r["cpu_seconds"])[len(runs) // 2]


def ratio(runs, floors):
    """What <runs> reach of the floor that was measured just before each: the median, and both ends."""
    found = sorted(r["lines_per_cpu_second"] / f["lines_per_cpu_second"] for r, f in zip(runs, floors))
    return {"of_floor": round(statistics.median(found), 3), "of_floor_range": [round(found[0], 3), round(found[-1], 3)]}


def throughput(args, work):
    node = os.path.join(work, "node")
    subprocess.run([f"{args.tools}/bench_genlog", node, str(args.files), str(args.lines), str(args.bytes)], check=True)
    for path in glob.glob(f"{node}/pods/*/app/0.log"):  # into the page cache, for all alike
        with open(path, "rb") as f:
            while f.read(1 << 20):
                pass
    kinds = [("logtrain syslog+tcp", "syslog", "syslog+tcp://127.0.0.1:{port}"),
             ("logtrain http ndjson", "http", "http://127.0.0.1:{port}/?batch=ndjson")]
    floors, runs = [], {name: [] for name, _, _ in kinds}
    for _ in range(args.repeat):  # in turn, so that a noisy minute affects both alike
        floors.append(floor(args, node, args.lines))
        for name, kind, url in kinds:
            sink = Sink(args.tools, kind)
            runs[name].append(run_one(name, lambda port, u=url: Logtrain(args, node, u.format(port=port)), sink,
                                      args.lines))
            sink.close()
    rows = [middle(floors)] + [middle(runs[name]) | ratio(runs[name], floors) for name, _, _ in kinds]
    if shutil.which("rsyslogd") and not args.no_rsyslog:
        few = min(args.lines, 500_000)
        small = os.path.join(work, "small")
        subprocess.run([f"{args.tools}/bench_genlog", small, str(args.files), str(few), str(args.bytes)], check=True)
        sink = Sink(args.tools, "syslog")
        rows.append(run_one("rsyslog imfile -> omfwd", lambda port: Rsyslog(work, small, port), sink, few))
        sink.close()
    elif not args.no_rsyslog:
        print("bench: rsyslogd is not installed: its row is skipped", file=sys.stderr)
    base = rows[0]["lines_per_cpu_second"]
    for r in rows:
        r.setdefault("of_floor", round(r["lines_per_cpu_second"] / base, 3))
    shutil.rmtree(node)
    return rows


def latency(args, work):
    node = os.path.join(work, "latency")
    os.mkdir(node)
    probe = subprocess.Popen([f"{args.tools}/bench_latency", node, str(args.rate), "5"], stdout=subprocess.PIPE, text=True)
    port = int(probe.stdout.readline())
    p = Logtrain(args, node, f"syslog+tcp://127.0.0.1:{port}")
    began = cpu_seconds(p.pid)
    line = probe.stdout.readline().split()
    cpu = cpu_seconds(p.pid) - began
    p.close()
    probe.wait()
    if len(line) != 4:
        sys.exit("bench: latency: no answer")
    return {"rate": args.rate, "p50_us": int(line[0]), "p99_us": int(line[1]), "max_us": int(line[2]),
            "received": int(line[3]), "cpu_percent": round(cpu / 5 * 100, 1)}


def memory(args, work):
    """500 files, all written to: with a receiver that takes everything, then with one that takes nothing."""
    node = os.path.join(work, "memory")
    subprocess.run([f"{args.tools}/bench_genlog", node, "500", "100000", str(args.bytes)], check=True)
    sink = Sink(args.tools, "syslog")
    p = Logtrain(args, node, f"syslog+tcp://127.0.0.1:{sink.port}")
    sink.wait_for(100_000, 60, "memory")
    files = [open(f, "ab") for f in glob.glob(f"{node}/pods/*/app/0.log")]
    line = (b"2026-11-20T10:15:00.123456789Z stdout F " + b"x" * args.bytes)[:args.bytes - 1] + b"\n"

    def load(seconds):
        peak, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            for f in files:
                f.write(line * 20)
                f.flush()
            peak = max(peak, memory_kib(p.pid, "VmRSS"))
        return round(peak / 1024, 1)

    result = {"files": 500, "idle_mib": round(memory_kib(p.pid, "VmRSS") / 1024, 1), "load_mib": load(5)}
    os.kill(sink.proc.pid, signal.SIGSTOP)
    result["outage_mib"] = load(10)
    os.kill(sink.proc.pid, signal.SIGCONT)
    p.close()
    sink.close()
    shutil.rmtree(node)
    return result


def table(rows):
    print(f"\n{'':24}{'lines/s':>12}{'lines/CPU-s':>14}{'of floor':>10}{'RSS MiB':>9}")
    for r in rows:
        rss = "" if r["rss_mib"] is None else f"{r['rss_mib']:.1f}"
        print(f"{r['name']:24}{r['lines_per_second']:>12,}{r['lines_per_cpu_second']:>14,}{r['of_floor']:>10.2f}{rss:>9}")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--lines", type=int, default=5_000_000)
    a.add_argument("--bytes", type=int, default=200, help="of a line in the file (default 200)")
    a.add_argument("--files", type=int, default=10)
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--rate", type=int, default=10_000, help="lines/s of the latency run")
    a.add_argument("--repeat", type=int, default=5,
                   help="runs of each, in turn; the median counts, and each is held against the floor before it (default 5)")
    a.add_argument("--no-rsyslog", action="store_true")
    a.add_argument("--json", metavar="FILE", help="the result as JSON (default: the last line of the output)")
    a.add_argument("--logtrain", default="build/release/logtrain", help=argparse.SUPPRESS)
    a.add_argument("--tools", default="build/release/bench", help=argparse.SUPPRESS)
    args = a.parse_args()

    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        rows = throughput(args, work)
        table(rows)
        by_name = {r["name"]: r for r in rows}
        tcp, rsyslog = by_name["logtrain syslog+tcp"], by_name.get("rsyslog imfile -> omfwd")
        result = {"throughput": rows}
        if rsyslog:
            ratio = tcp["lines_per_cpu_second"] / rsyslog["lines_per_cpu_second"]
            result["times_rsyslog"] = round(ratio, 1)
            print(f"\nsyslog+tcp: {ratio:.0f} x rsyslog per CPU-second, {tcp['of_floor']:.0%} of the floor "
                  f"({tcp['of_floor_range'][0]:.0%} to {tcp['of_floor_range'][1]:.0%} in {args.repeat} rounds)")
        result["memory"] = memory(args, work)
        m = result["memory"]
        print(f"RSS with {m['files']} files: idle {m['idle_mib']}, under load {m['load_mib']}, "
              f"in an outage {m['outage_mib']} MiB")
        result["latency"] = latency(args, work)
        t = result["latency"]
        print(f"latency at {t['rate']:,} lines/s: p50 {t['p50_us'] / 1000:.2f} ms, p99 {t['p99_us'] / 1000:.2f} ms, "
              f"max {t['max_us'] / 1000:.2f} ms; CPU {t['cpu_percent']} %")
    text = json.dumps(result)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    print("\n" + text)


if __name__ == "__main__":
    main()
