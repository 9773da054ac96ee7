#!/usr/bin/env python3
"""The cost of watching a cluster: prints one line of JSON for each number of annotated Deployments (default 1500 and 10000),
with 52 pods on the node, each with a drain of its own.

    LOGTRAIN_BUILD=release bench/kube.py [DEPLOYMENTS...]

start_ms: from the daemon's start to the first line at a drain. event_ms: from an annotation's event being written to the
first line at the new drain, median of 20. requests_per_min: to the API server at rest, over 10 s. idle_cpu: share of a CPU
meanwhile. storm_cpu: the same while up to 100 annotations change a second.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "e2e"))

from lib.daemon import Daemon  # noqa: E402
from lib.kapi import Kapi  # noqa: E402
from lib.node import Node  # noqa: E402
from lib.peer import SyslogTcp  # noqa: E402
from lib.wait import wait_for  # noqa: E402

PODS = 52
REST_S = 10


def fill(api, node, deployments, peer):
    containers = [node.container(f"web-{n}-7d9c8b6f5d-bcdfg", "shop") for n in range(PODS)]
    for n, c in enumerate(containers):
        api.workload(c, f"web-{n}", drains=peer.url(f"timeout={n + 1}s"))
    for n in range(deployments - PODS):
        d = api.deployment(f"workload-{n}", f"team-{n % 50}", drains=f"syslog+tls://logs-{n}.example.com:6514/?sd=true")
        api.replicaset(f"workload-{n}-7d9c8b6f5d", f"team-{n % 50}", owner=d)
    return containers


def cpu_over(daemon, seconds, work=lambda: None):
    before, begun = daemon.cpu(), time.monotonic()
    end = begun + seconds
    while time.monotonic() < end:
        work()
        time.sleep(0.01)
    return round((daemon.cpu() - before) / (time.monotonic() - begun), 4)


def event_ms(api, container, peers):
    took = []
    for n in range(20):
        peer = peers[n % 2]
        count = peer.count()
        begun = time.monotonic()
        api.deployment("web-0", "shop", drains=peer.url())
        while peer.count() == count:
            container.write([b"x"])
            time.sleep(0.001)
        took.append((time.monotonic() - begun) * 1000)
    return round(statistics.median(took), 1)


def measure(deployments):
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        api, node, peer = Kapi(), Node(tmp / "node"), SyslogTcp()
        containers = fill(api, node, deployments, peer)
        for c in containers:
            c.write([b"first"])
        begun = time.monotonic()
        with Daemon(node, env={"KUBERNETES_DATASOURCE": "true", "NODE": api.node, "EGRESS_ALLOW": "127.0.0.0/8"},
                    args=["--kube-config", str(api.kubeconfig(tmp / "config"))], tmp=tmp) as d:
            wait_for(lambda: peer.count() > 0, 60, "the first line")
            start_ms = round((time.monotonic() - begun) * 1000)
            wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, 60, "all watches")
            wait_for(lambda: peer.count() >= PODS, 60, "a line of each pod")
            requests = api.count()
            idle = cpu_over(d, REST_S)
            at_rest = (api.count() - requests) * 60 / REST_S
            rss = d.rss()
            storm = cpu_over(d, 5, lambda: api.deployment(f"workload-{time.monotonic_ns() % 1000}", "team-0",
                                                          drains=f"syslog+tcp://x:{time.monotonic_ns() % 60000 + 1}"))
            peers = SyslogTcp(), SyslogTcp()
            ms = event_ms(api, containers[0], peers)
            figures = {"deployments": deployments, "pods": PODS, "rss_mib": round(rss / 1048576, 1),
                       "rss_peak_mib": round(d.rss_peak() / 1048576, 1), "start_ms": start_ms, "event_ms": ms,
                       "requests_per_min": at_rest, "idle_cpu": idle, "storm_cpu": storm}
        for one in (api, node, peer, *peers):
            one.close()
        return figures


if __name__ == "__main__":
    for argument in sys.argv[1:] or ["1500", "10000"]:
        print(json.dumps(measure(int(argument))), flush=True)
