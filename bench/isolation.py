#!/usr/bin/env python3
"""What other drains cost a healthy drain (docs/faults.md X01): the same load with and without them, in turn, and the ratio of
each pair.

  dead      1,000 drains that never answered: a quarter each refused, SYN unanswered, accepted and never read, TLS handshake
            that stalls. Every line goes to all of them.
  hang      one workload with four HTTP receivers that answer well at first and then hang.
  hang100   100 HTTP receivers that were healthy and hang, for lines of their own.
  WHAT.THEN.N[.tls]   N receivers of WHAT (http, es, redis, ws, syslog) that were healthy and then are THEN: deaf, silent, half, drip,
            slow, busy, ends, shake (see test/e2e/lib/hung.py), as `redis.deaf.100` or `syslog.shake.20.tls`.
  flood     a workload that writes 100 times what the neighbour writes, to a receiver that takes it.

In all scenarios but `flood` the neighbour's load exists at once (a rotation puts large files in place), and the time counts
until its receiver has it. In `flood` it writes at a steady rate, and the time counts until the last line has arrived.
`lines/request` and `CPU %` are without and with the others. The first shows whether the neighbour keeps its share of the bytes
in flight, and does not depend on how busy the machine is. Cursors that stand still cost a share of the time (saves of the
state), not of each line. `waited` is how long the daemon's threads were ready and had no CPU, per second of CPU: above 0.5 the
machine is busy with other work, and `kept` mostly measures that. Target: 95 % in each. """
import argparse
import contextlib
import glob
import json
import os
import re
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from run import Sink, cpu_seconds, memory_kib, waited_seconds

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
from lib.dead import DeadFarm  # noqa: E402
from lib.hung import HungFarm  # noqa: E402
from lib.kapi import Kapi  # noqa: E402

FILES = 10
EVIL_FILES = 80  # so many streams keep all connections of a drain busy
SEED_LINES = 20000  # more than the kernel takes for a drain that does not read
OWNER_DRAINS = 10  # of one Deployment
SETTLE_S = 12  # longer than a connect may take, so that each has failed
PACED_S, PACED_RATE = 5, 20000  # flood: lines a second of the neighbour


class Logtrain:
    """With a routes file, because a thousand URLs are too many for a command line; <config>: for the Kubernetes API instead."""

    def __init__(self, args, work, node, routes, config=None):
        path, self.port_file = os.path.join(work, "routes"), os.path.join(work, "port")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(f"{host}  {url}\n" for host, url in routes)
        env = dict(os.environ, KUBERNETES="true", KUBERNETES_LOG_PATH=f"{node}/containers", READ_FROM="start",
                   STATE_PATH=os.path.join(work, "state"), HTTP_PORT="0", HTTP_PORT_FILE=self.port_file,
                   WORKERS=str(args.workers), LOG_LEVEL="error")
        self.config = config
        words = ["--routes", path]
        if config:
            env |= {"KUBERNETES_DATASOURCE": "true", "NODE": "node-1", "EGRESS_ALLOW": "127.0.0.0/8"}
            words = ["--kube-config", str(config)]
        self.proc = subprocess.Popen([args.logtrain, *words], env=env)
        self.pid = self.proc.pid

    def metric(self, name):
        with open(self.port_file, encoding="ascii") as f:
            text = urllib.request.urlopen(f"http://127.0.0.1:{f.read().strip()}/metrics", timeout=10).read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])

    def requests(self, port):
        """Requests to that port; /metrics shows only operators' drains."""
        return 0 if self.config else self.metric(rf"logtrain_drain_batches_total\{{[^}}]*:{port}[^}}]*\}}")

    def close(self):
        self.proc.kill()
        self.proc.wait()


def genlog(args, tree, files, lines):
    subprocess.run([f"{args.tools}/bench_genlog", tree, str(files), str(lines), "200"], check=True)


def add_workload(tree, name, load):
    """The files of <load>, as pods of workload <name> in the namespace of the same name."""
    for i, source in enumerate(sorted(glob.glob(f"{load}/pods/*/app/0.log"))):
        pod = f"{tree}/pods/{name}_{name}-{i}_{i:08x}-1111-0000-0000-000000000000/app"
        os.makedirs(pod)
        os.link(source, f"{pod}/0.log")
        os.symlink(f"{pod}/0.log", f"{tree}/containers/{name}-{i}_{name}_app-{i:064x}.log")


def rotate_in(tree, load):
    """The files of <load> become the live ones of <tree>, as after a rotation."""
    for live in sorted(glob.glob(f"{tree}/pods/default_*/app/0.log")):
        os.rename(live, live + ".20261120-101500")
        os.link(live.replace(tree, load), live)


def write_steadily(tree):
    """PACED_RATE lines a second into the files of the neighbour."""
    line = b"2026-11-20T10:15:00.123456789Z stdout F " + b"x" * 159 + b"\n"
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(f, "ab", buffering=0)) for f in glob.glob(f"{tree}/pods/default_*/app/0.log")]
        began, written = time.monotonic(), 0
        while written < PACED_S * PACED_RATE:
            for f in files:
                f.write(line * 100)
            written += 100 * len(files)
            time.sleep(max(0.0, began + written / PACED_RATE - time.monotonic()))
    return written


def server_context(stack):
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    key, cert = os.path.join(directory, "key"), os.path.join(directory, "cert")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Attack:
    """A scenario: routes besides the neighbour's, and when it has begun."""

    def __init__(self, args, stack):
        self.routes = []
        self.began = lambda: True
        self.settle = 1
        if "." in args.scenario:
            self._hang(stack, *args.scenario.split("."))
        else:
            getattr(self, args.scenario)(args, stack)

    def dead(self, args, stack):
        n = args.dead // 4
        farm = stack.enter_context(DeadFarm(n, n, n, args.dead - 3 * n))
        self.routes = [("*", url) for url in farm.urls]
        self.settle = SETTLE_S

    def _hang(self, stack, speaks, then, n, tls=None):
        farm = stack.enter_context(HungFarm(int(n), 30, then, 4096 if then in ("deaf", "slow") else None, speaks,
                                            server_context(stack) if tls else None))
        self.routes = [("*.evil", url) for url in farm.urls()]
        self.began = lambda: farm.hung == int(n)
        self.settle = 3

    def hang(self, _, stack):
        self._hang(stack, "http", "silent", 4)

    def hang100(self, _, stack):
        self._hang(stack, "http", "silent", 100)

    def flood(self, args, stack):
        sink = Sink(args.tools, "http")
        stack.callback(sink.close)
        self.routes = [("*.evil", f"http://127.0.0.1:{sink.port}/?batch=ndjson")]
        self.began = lambda: sink.records() > SEED_LINES


def annotate(api, namespace, pods, uid, urls):
    """<urls> requested by Deployments of <namespace>, OWNER_DRAINS each, which share its <pods>."""
    parts = [urls[i:i + OWNER_DRAINS] for i in range(0, len(urls), OWNER_DRAINS)]
    owners = []
    for i, part in enumerate(parts):
        d = api.deployment(f"{namespace}-{i}", namespace, drains=",".join(part))
        owners.append(api.replicaset(f"{namespace}-{i}-7d9c8b6f5d", namespace, owner=d))
    for i, pod in enumerate(pods):
        api.put("pods", pod, namespace, owner=owners[i % len(owners)], uid=uid % i, node=api.node)


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"bench: {what}: not after {seconds} s")
        time.sleep(0.01)


def once(args, loads, attacked):
    """One run. The neighbour's lines, and the seconds that they took."""
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="run-", dir=os.path.dirname(loads["load"])))
        tree = os.path.join(work, "node")
        genlog(args, tree, FILES, SEED_LINES)
        attack = Attack(args, stack) if attacked else None
        if args.scenario != "dead":
            add_workload(tree, "evil", loads["evil"])  # without the attack, too: the number of streams decides which worker serves one
        sink = Sink(args.tools, args.neighbour, args.delay)
        stack.callback(sink.close)
        scheme = {"http": "http://127.0.0.1:%d/?batch=ndjson", "syslog": "syslog+tcp://127.0.0.1:%d"}[args.neighbour]
        routes = [("*.default", scheme % sink.port)] + (attack.routes if attack else [])
        config = None
        if args.annotated:
            api = Kapi()
            stack.callback(api.close)
            annotate(api, "default", [f"bench-{i}" for i in range(FILES)], "%08x-0000-0000-0000-000000000000", [routes[0][1]])
            annotate(api, "evil", [f"evil-{i}" for i in range(EVIL_FILES)], "%08x-1111-0000-0000-000000000000",
                     [url for _, url in routes[1:]] or ["none"])
            config = api.kubeconfig(Path(work) / "config")
        p = Logtrain(args, work, tree, routes, config)
        stack.callback(p.close)
        sink.wait_for(SEED_LINES, 120, "the first lines")
        if attack:
            wait_for(attack.began, 300, "the attack")
        time.sleep(attack.settle if attack else 1)
        requests = p.requests(sink.port)
        cpu, waited, began = cpu_seconds(p.pid), waited_seconds(p.pid), time.monotonic()
        if args.scenario == "flood":
            lines = write_steadily(tree)
        else:
            lines = args.lines
            rotate_in(tree, loads["load"])
        sink.wait_for(SEED_LINES + lines, 300, args.scenario)
        took, cpu, waited = time.monotonic() - began, cpu_seconds(p.pid) - cpu, waited_seconds(p.pid) - waited
        requests = p.requests(sink.port) - requests
        idle = cpu_seconds(p.pid)
        time.sleep(3)
        idle = (cpu_seconds(p.pid) - idle) / 3
        return {"lines_per_second": round(lines / took), "cpu_percent": round(cpu / took * 100, 1),
                "waited_per_cpu_second": round(waited / cpu, 1) if cpu else 0,
                "lines_per_request": round(lines / requests) if requests else 0,
                "idle_cpu_percent": round(idle * 100, 2), "rss_mib": round(memory_kib(p.pid, "VmHWM") / 1024, 1),
                "bound_mib": round(p.metric("logtrain_memory_bound_bytes") / (1 << 20), 1)}


def run_scenario(args, loads):
    rows = {"without": [], "with": []}
    for _ in range(args.repeat):  # in turn, so that a noisy minute affects both alike
        rows["without"].append(once(args, loads, False))
        rows["with"].append(once(args, loads, True))
    ratios = [b["lines_per_second"] / a["lines_per_second"] for a, b in zip(rows["without"], rows["with"])]
    result = {name: {k: statistics.median(r[k] for r in part) for k in part[0]} for name, part in rows.items()}
    result["kept"] = round(statistics.median(ratios), 3)
    result["kept_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
    return result


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--scenarios", default="dead,hang,hang100,flood")
    a.add_argument("--neighbour", choices=["http", "syslog"], default="http", help="the healthy drain (default http, ndjson)")
    a.add_argument("--delay", type=int, default=30, metavar="MS",
                   help="until its receiver answers, so that it depends on what may be in flight (default 30)")
    a.add_argument("--dead", type=int, default=1000)
    a.add_argument("--lines", type=int, default=3_000_000)
    a.add_argument("--repeat", type=int, default=5)
    a.add_argument("--workers", type=int, default=1)
    a.add_argument("--annotated", action="store_true", help="annotations of two namespaces, not a routes file; not for `dead`")
    a.add_argument("--json", metavar="FILE")
    a.add_argument("--logtrain", default="build/release/logtrain", help=argparse.SUPPRESS)
    a.add_argument("--tools", default="build/release/bench", help=argparse.SUPPRESS)
    args = a.parse_args()

    results = {}
    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        loads = {"load": os.path.join(work, "load"), "evil": os.path.join(work, "evil")}
        genlog(args, loads["load"], FILES, args.lines)
        genlog(args, loads["evil"], EVIL_FILES, 2_000_000)
        print(f"{'medians of ' + str(args.repeat):20}{'kept':>8}{'range':>16}{'lines/request':>15}{'CPU %':>13}{'waited':>12}"
              f"{'lines/s':>11}{'idle CPU %':>12}{'RSS MiB':>10}{'bound MiB':>11}")
        for args.scenario in args.scenarios.split(","):
            r = results[args.scenario] = run_scenario(args, loads)
            without, m = r["without"], r["with"]
            kept = "{:.1%} - {:.1%}".format(*r["kept_range"])
            per = f"{without['lines_per_request']:g} - {m['lines_per_request']:g}"
            waited = f"{without['waited_per_cpu_second']:g} - {m['waited_per_cpu_second']:g}"
            cpu = f"{without['cpu_percent']:g} - {m['cpu_percent']:g}"
            print(f"{args.scenario:20}{r['kept']:>8.1%}{kept:>16}{per:>15}{cpu:>13}{waited:>12}{m['lines_per_second']:>11,.0f}"
                  f"{m['idle_cpu_percent']:>12.2f}{m['rss_mib']:>10.1f}{m['bound_mib']:>11.1f}", flush=True)
    text = json.dumps({"isolation": results})
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    print("\nto reach: 95 % each\n\n" + text)


if __name__ == "__main__":
    main()
