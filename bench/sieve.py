#!/usr/bin/env python3
"""What the options cost that say which lines go to a drain (docs/drains.md#which-lines-go-to-it): instructions of the daemon for each
line, counted by valgrind's callgrind, so that a busy machine makes no difference. Every line goes to a syslog receiver; nothing is
left out but in the last row. The ratio is to the same lines without an option. Targets: exclude= 1.2, level=auto 1.5.

    bench/sieve.py [--logtrain build/release/logtrain]... [--tools build/release/bench]

With several --logtrain, the first row of each shows what a drain without options costs in each of them.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import tempfile

from run import Sink

FEW, MANY = 20000, 60000     # the difference is without start and stop
PAD = "user=4711 path=/api/v1/items?page=3 status=200 took=12ms region=eu-central-1 trace=4bf92f3577b34da6a3ce929d0e0e4736"
LINES = {
    "text": "2024-01-02 15:04:05,123 request served {n} " + PAD,
    "log4j": "2024-01-02 15:04:05,123 [http-nio-8080-exec-1] INFO  com.example.shop.Cart - request served {n} " + PAD,
    "json": '{{"level":30,"time":1700000000000,"pid":1,"hostname":"web-1","n":{n},"msg":"request served ' + PAD + '"}}',
    "json, level last": '{{"time":1700000000000,"pid":1,"hostname":"web-1","n":{n},"msg":"request served ' + PAD + '","level":"info"}}',
    "logfmt": 'ts=2024-01-02T15:04:05.123Z level=info n={n} msg="request served" ' + PAD,
}
ROWS = [
    ("text", ""), ("text", "containers=app,!istio-proxy"), ("text", "streams=stdout"), ("text", "exclude=GET%20/healthz"),
    ("text", "exclude=GET%20/healthz&exclude=kube-probe&exclude=ELB-HealthChecker"), ("text", "include=served"),
    ("text", "level=auto"), ("text", "sample=1"), ("text", "rate=1000000/s"),
    *((kind, options) for kind in LINES if kind != "text" for options in ("", "level=auto")),
]


def write(node, kind, n):
    pod = f"{node}/pods/default_web-0_00000000-0000-0000-0000-000000000000/app"
    os.makedirs(pod)
    os.makedirs(f"{node}/containers")
    with open(f"{pod}/0.log", "w", encoding="ascii") as f:
        for i in range(n):
            f.write("2026-11-20T10:15:00.123456789Z stdout F " + LINES[kind].format(n=i) + "\n")
    os.symlink(f"{pod}/0.log", f"{node}/containers/web-0_default_app-{0:064x}.log")


def instructions(args, logtrain, kind, options, n):
    with tempfile.TemporaryDirectory() as work:
        write(f"{work}/node", kind, n)
        sink = Sink(args.tools, "syslog")
        env = dict(os.environ, KUBERNETES="true", KUBERNETES_LOG_PATH=f"{work}/node/containers", READ_FROM="start",
                   STATE_PATH=f"{work}/state", HTTP_PORT="0", WORKERS="1", LOG_LEVEL="error")
        url = f"*=syslog+tcp://127.0.0.1:{sink.port}?{options}"
        with open(f"{work}/log", "w+", encoding="utf-8") as log:
            daemon = subprocess.Popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={work}/out", logtrain, "--drain", url],
                                      env=env, stderr=log)
            sink.wait_for(n, 600, f"{kind} {options}")
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()
        sink.close()
        with open(f"{work}/out", encoding="utf-8", errors="replace") as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.MULTILINE)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logtrain", action="append")
    parser.add_argument("--tools", default="build/release/bench")
    args = parser.parse_args()
    programs = args.logtrain or ["build/release/logtrain"]
    base = {}

    def measure(logtrain, kind, options):
        few, many = (instructions(args, logtrain, kind, options, n) for n in (FEW, MANY))
        return (many - few) / (MANY - FEW)
    for logtrain in programs[:-1]:
        print(json.dumps({"logtrain": logtrain, "lines": "text", "options": "", "instructions": round(measure(logtrain, "text", ""))}),
              flush=True)
    for kind, options in ROWS:
        cost = measure(programs[-1], kind, options)
        base.setdefault(kind, cost)
        print(json.dumps({"logtrain": programs[-1], "lines": kind, "options": options, "instructions": round(cost),
                          "ratio": round(cost / base[kind], 2)}), flush=True)


if __name__ == "__main__":
    main()
