#!/usr/bin/python3
"""Benchmark of annotations, with a real kube-apiserver: a node of 52 pods in a cluster of 1,500 annotated Deployments (and of
10,000), under the shipped role. It measures the time from the start to the first line, and from a change to the first line on
the new drain; memory; CPU and requests at rest; CPU with 100 changed annotations a second.

Build first: scripts/build release; scripts/kube-apiserver. The last line of the output is the result as JSON."""

import argparse
import http.client
import json
import os
import socket
import ssl
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "test" / "e2e"), str(ROOT / "bench")]

import run as bench  # noqa: E402
from lib import kube_real  # noqa: E402
from lib.daemon import Daemon  # noqa: E402
from lib.node import Node  # noqa: E402
from lib.wait import Pacer, wait_for  # noqa: E402

PODS = 52
NODE = "bench-node"
REST_S = 60
STORM_S = 15
KINDS = 8  # that are watched
_local = threading.local()


def call(api, method, path, body, kind="application/json"):
    """As KubeApi.call(), on one connection per thread."""
    if not hasattr(_local, "conn"):
        context = ssl.create_default_context(cafile=api.certs.pem("ca"))
        context.load_cert_chain(api.certs.pem("admin"), api.certs.key("admin"))
        _local.conn = http.client.HTTPSConnection("127.0.0.1", api.port, context=context)
    _local.conn.request(method, path, json.dumps(body), {"Content-Type": kind})
    answer = _local.conn.getresponse()
    text = answer.read()
    assert answer.status < 300, text
    return json.loads(text)


def annotate(api, namespace, name, **notes):
    full = {f"logtrain.akkeris.io/{k}": v for k, v in notes.items()}
    path = f"{kube_real.PATHS['Deployment'].format(ns=namespace)}/{name}"
    return call(api, "PATCH", path, {"metadata": {"annotations": full}}, "application/merge-patch+json")


class Drain:
    """Takes everything; notes when the first byte arrived. One for all: each workload has an address of its own."""

    def __init__(self):
        self.sock = socket.create_server(("0.0.0.0", 0), backlog=512)
        self.port = self.sock.getsockname()[1]
        self.first, self.came = None, threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, i=0):
        return f"syslog+tcp://127.1.{i // 250}.{i % 250 + 1}:{self.port}"

    def _accept(self):
        while True:
            try:
                conn = self.sock.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._read, args=(conn,), daemon=True).start()

    def _read(self, conn):
        with conn:
            while conn.recv(65536):
                if not self.came.is_set():
                    self.first = time.monotonic()
                    self.came.set()


class Cluster:
    def __init__(self, api, node, count, drain):
        self.api, self.count = api, count
        self.w = kube_real.Workloads(api, node, NODE, f"bench{count}")
        self.containers = []
        for i in range(PODS):
            deployment, container = self.w.deployment(f"app{i}", drains=drain.url(i))
            self.containers.append(container)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: self._make(i, drain.url(i)), range(PODS, count)))

    def _make(self, i, url):
        call(self.api, "POST", kube_real.PATHS["Deployment"].format(ns=self.w.namespace), {
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": self.w._spec("Deployment"),
            "metadata": {"name": f"app{i}", "namespace": self.w.namespace,
                         "annotations": {"logtrain.akkeris.io/drains": url}}})


def requests(d):
    m = d.metrics()
    return m.get("logtrain_kubernetes_lists_total") + m.get("logtrain_kubernetes_watches_total")


def storm(cluster, d):
    """100 changes a second, on a hundred Deployments of which 52 are this node's. (changes, CPU in percent of one)."""
    stop = threading.Event()
    pacer, n = Pacer(100, stop), 0
    cpu, began = bench.cpu_seconds(d.process.pid), time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        while time.monotonic() < began + STORM_S and (due := pacer.due(20)):
            list(pool.map(lambda k: annotate(cluster.api, cluster.w.namespace, f"app{k % 100}", tag=f"t{k}"), range(n, n + due)))
            n += due
    took = time.monotonic() - began
    return n / took, 100 * (bench.cpu_seconds(d.process.pid) - cpu) / took


def latency(cluster, d, changes):
    """From the answer to a PATCH to the first byte on the new drain; a container writes 1,000 lines a second."""
    stop, took = threading.Event(), []

    def write():
        pacer = Pacer(1000, stop)
        while n := pacer.due(10):
            cluster.containers[0].write([b"line"] * n)

    threading.Thread(target=write, daemon=True).start()
    for _ in range(changes):
        drain = Drain()
        annotate(cluster.api, cluster.w.namespace, "app0", drains=drain.url())
        committed = time.monotonic()
        assert drain.came.wait(10), d.tail()
        took.append((drain.first - committed) * 1000)
        drain.sock.close()
    stop.set()
    return took


def measure(api, work, count, changes):
    drain = Drain()
    node = Node(work / f"node{count}")
    cluster = Cluster(api, node, count, drain)
    for c in cluster.containers:
        c.write([b"line"] * 10)
    d = Daemon(node, env={**api.daemon_env(NODE), "EGRESS_ALLOW": "127.0.0.0/8 127.0.0.1", "LOG_LEVEL": "warn"}, start=False)
    try:
        began = time.monotonic()
        d.start(wait=False)
        assert drain.came.wait(60), d.tail()
        first = time.monotonic() - began
        wait_for(lambda: (d.tmp / "port").exists() and (d.tmp / "port").read_text().strip(), 10, d.tail)
        d.port = int((d.tmp / "port").read_text())
        wait_for(lambda: d.metric("logtrain_kubernetes_synced") == KINDS, 60, d.tail)
        wait_for(lambda: len([r for r in d.drains() if r["state"] == "open"]) == PODS, 60, lambda: str(d.drains())[:2000])
        time.sleep(15)  # confirmed positions are written, and then it is at rest
        asked, cpu = requests(d), bench.cpu_seconds(d.process.pid)
        time.sleep(REST_S)
        cpu = 100 * (bench.cpu_seconds(d.process.pid) - cpu) / REST_S
        asked = (requests(d) - asked) * 60 / REST_S
        rss, most = bench.memory_kib(d.process.pid, "VmRSS"), bench.memory_kib(d.process.pid, "VmHWM")
        rate, busy = storm(cluster, d)
        took = sorted(latency(cluster, d, changes))
        return {"deployments": count, "first_line_s": round(first, 3), "rss_mib": round(rss / 1024, 1),
                "rss_most_mib": round(most / 1024, 1), "rss_after_storm_mib": round(bench.memory_kib(d.process.pid, "VmRSS") / 1024, 1),
                "idle_cpu_percent": round(cpu, 3), "requests_per_minute": round(asked, 1), "storm_changes_per_s": round(rate),
                "storm_cpu_percent": round(busy, 2), "change_p50_ms": round(statistics.median(took), 1),
                "change_max_ms": round(took[-1], 1)}
    finally:
        d.close()
        node.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", type=int, nargs="*", default=[1500, 10000])
    parser.add_argument("--changes", type=int, default=50)
    args = parser.parse_args()
    if why := kube_real.available():
        sys.exit(f"bench: {why}")
    results = []
    with tempfile.TemporaryDirectory(prefix="logtrain-bench-") as work:
        for count in args.deployments:
            with kube_real.KubeApi(Path(work) / f"api{count}") as api:
                api.kubectl("apply", "-k", kube_real.DEPLOYMENTS / "kubernetes")
                results.append(measure(api, Path(work), count, args.changes))
                api.etcd.stop()
            for key, value in results[-1].items():
                print(f"{key:24} {value}")
            sys.stdout.flush()
    print(json.dumps({"cpus": os.cpu_count(), "kube": results}))


if __name__ == "__main__":
    main()
