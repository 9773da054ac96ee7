#!/usr/bin/env python3
"""The cost of 10,000 unreachable drains: the rate of a healthy drain with and without them in turn, CPU while nothing is
written, memory for each, and lookups.

  host       all of one port that refuses
  name       all of one name that does not exist
  names      each of a name of its own that does not exist
  hosts      each of an address of its own that refuses
  blackhole  each of an address of its own that does not answer

They are routed one log, which the healthy drain does not get; with --all they get its ten logs, too. A rotation puts large
files in place; then the healthy drain's receiver counts lines per CPU-second and per second.
Target: 95 % of the rate without them, 4 KiB for each.
"""
import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import time
import urllib.request

from isolation import FILES, SEED_LINES, Logtrain, add_workload, genlog, rotate_in
from run import Sink, cpu_seconds, memory_kib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
from lib.dns import Dns  # noqa: E402

KINDS = {
    "host": "http://127.0.0.1:{port}/{i}?batch=ndjson",
    "name": "http://nowhere.example.test/{i}?batch=ndjson",
    "names": "http://nowhere-{i}.example.test/?batch=ndjson",
    "hosts": "http://{address}:{port}/?batch=ndjson",
    "blackhole": "http://{address}:{port}/?batch=ndjson",
}


def port_of_nobody(stack, backlog):
    """A port that refuses at all addresses, or with <backlog> does not answer."""
    s = stack.enter_context(socket.socket())
    s.bind(("0.0.0.0", 0))
    port = s.getsockname()[1]
    if backlog:
        s.listen(0)
        for _ in range(2):
            c = stack.enter_context(socket.socket())
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", port))
    return port


def dead_urls(args, stack, kind):
    port = port_of_nobody(stack, kind == "blackhole")
    return [KINDS[kind].format(i=i, port=port, address=f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}")
            for i in range(args.dead)]


def errors(p):
    """Failed attempts of all drains. By scheme, because only 2,000 drains have series of their own."""
    with open(p.port_file, encoding="ascii") as f:
        text = urllib.request.urlopen(f"http://127.0.0.1:{f.read().strip()}/metrics", timeout=60).read().decode()
    return sum(float(n) for n in re.findall(r"^logtrain_errors_by_class_total\S* (\S+)$", text, re.MULTILINE))


def wait_settled(p, args, kind):
    """Waits until each is known to be dead: those that share a host or a name after a few attempts."""
    tries = 20 if kind in ("host", "name") else args.dead
    end = time.monotonic() + 600
    while errors(p) < tries:
        if time.monotonic() > end:
            sys.exit(f"bench: {kind}: {errors(p):.0f} tries after 600 s")
        time.sleep(2)


def once(args, work, kind):
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=work))
        tree = os.path.join(run, "node")
        genlog(args, tree, FILES, SEED_LINES)
        add_workload(tree, "dead", os.path.join(work, "dead"))
        dns = stack.enter_context(contextlib.closing(Dns()))
        sink = Sink(args.tools, "http", args.delay)
        stack.callback(sink.close)
        wanted = "*" if args.all else "*.dead"
        routes = [(wanted, url) for url in dead_urls(args, stack, kind)] if kind else []
        routes.insert(len(routes) // 2, ("*.default", f"http://127.0.0.1:{sink.port}/?batch=ndjson"))
        os.environ["DNS_SERVERS"] = dns.address
        p = Logtrain(args, run, tree, routes)
        stack.callback(p.close)
        sink.wait_for(SEED_LINES, 600, "the first lines")
        if kind:
            wait_settled(p, args, kind)
        time.sleep(args.idle / 2)
        asked, cpu = len(dns.asked), cpu_seconds(p.pid)
        time.sleep(args.idle)
        row = {"idle_cpu_percent": (cpu_seconds(p.pid) - cpu) / args.idle * 100, "rss_kib": memory_kib(p.pid, "VmRSS"),
               "queries_per_minute": (len(dns.asked) - asked) * 60 / args.idle}
        cpu, began = cpu_seconds(p.pid), time.monotonic()
        rotate_in(tree, os.path.join(work, "load"))
        sink.wait_for(SEED_LINES + args.lines, 600, kind or "without")
        row["lines_per_second"] = args.lines / (time.monotonic() - began)
        row["lines_per_cpu_second"] = args.lines / (cpu_seconds(p.pid) - cpu)
        return row


def run_kind(args, work, kind):
    pairs = [(once(args, work, None), once(args, work, kind)) for _ in range(args.repeat)]  # in turn

    def middle(of):
        return statistics.median(of(a, b) for a, b in pairs)

    return {"kept": round(middle(lambda a, b: b["lines_per_second"] / a["lines_per_second"]), 3),
            "kept_per_cpu_second": round(middle(lambda a, b: b["lines_per_cpu_second"] / a["lines_per_cpu_second"]), 3),
            "idle_cpu_percent": round(middle(lambda a, b: b["idle_cpu_percent"]), 2),
            "bytes_each": round(middle(lambda a, b: (b["rss_kib"] - a["rss_kib"]) * 1024 / args.dead)),
            "queries_per_minute": round(middle(lambda a, b: b["queries_per_minute"]))}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--kinds", default=",".join(KINDS))
    a.add_argument("--all", action="store_true", help="they want the healthy drain's logs as well")
    a.add_argument("--dead", type=int, default=10_000)
    a.add_argument("--lines", type=int, default=3_000_000)
    a.add_argument("--repeat", type=int, default=3)
    a.add_argument("--delay", type=int, default=0, metavar="MS", help="until the healthy one's receiver answers (default 0)")
    a.add_argument("--idle", type=int, default=30, metavar="S", help="how long nothing is written (default 30)")
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--logtrain", default="build/release/logtrain", help=argparse.SUPPRESS)
    a.add_argument("--tools", default="build/release/bench", help=argparse.SUPPRESS)
    args = a.parse_args()

    results = {}
    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        genlog(args, os.path.join(work, "load"), FILES, args.lines)
        genlog(args, os.path.join(work, "dead"), 1, 1000)
        print(f"{'medians of ' + str(args.repeat):12}{'kept':>8}{'per CPU-s':>11}{'idle CPU %':>12}{'bytes each':>12}{'queries/min':>13}")
        for kind in args.kinds.split(","):
            r = results[kind] = run_kind(args, work, kind)
            print(f"{kind:12}{r['kept']:>8.1%}{r['kept_per_cpu_second']:>11.1%}{r['idle_cpu_percent']:>12}{r['bytes_each']:>12,}"
                  f"{r['queries_per_minute']:>13,}", flush=True)
    print("\nto reach: 95 %, 4,096 bytes\n\n" + json.dumps({"dead": results}))


if __name__ == "__main__":
    main()
