"""`logtrain explain NAMESPACE/POD`: the first question of a pod's owner or of the operator when lines are missing."""

import re
import socket

from lib.daemon import SLOW, run
from lib.ports import free_port
from lib.wait import wait_for

WAIT = 30 * SLOW
CANARY = "cnry5ecretPa55"


def explain(d, pod):
    done = run("explain", pod, env={"STATE_PATH": d.env["STATE_PATH"]})
    assert CANARY not in done.stdout + done.stderr
    return done


def said(d, pod):
    done = explain(d, pod)
    assert done.returncode == 0, done
    return done.stdout


def confirmed(size):
    return re.compile(rf"cursor +segment \d+, \S+/0\.log: confirmed up to byte {size}, 0 bytes behind\n")


def test_drains_their_annotations_and_their_cursors(node, oracle, api, kube, syslog_tcp, http):
    """The source of each drain is shown: a workload's annotation by kind and name, or an operator's source of routes. A refused
    URL is shown with its invalid option, and no credential anywhere."""
    peer, operator = http(), syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    good = f"http://u:{CANARY}@127.0.0.1:{peer.port}/in"
    api.workload(c, "web", drains=f"{good};http://u:{CANARY}@127.0.0.1/?timeout=never")
    source = oracle.source("web")
    c.write(source.take(20))
    d = kube(routes=[("web.*", operator.url())])
    for one in (peer, operator):
        oracle.wait_complete(one, WAIT).assert_exact()
    size = sum(p.stat().st_size for p in c.dir.glob("*.log"))
    wait_for(lambda: len(confirmed(size).findall(said(d, "shop/web-7d9c8b6f5d-bcdfg"))) == 2, WAIT, "all is confirmed")
    text = said(d, "shop/web-7d9c8b6f5d-bcdfg")
    assert text.startswith("pod shop/web-7d9c8b6f5d-bcdfg\n")
    by_drain = {part.split("#")[0]: part for part in re.split(r"^  drain ", text, flags=re.MULTILINE)[1:]}
    mine, theirs = by_drain[f"http://127.0.0.1:{peer.port}"], by_drain[f"syslog+tcp://127.0.0.1:{operator.port}"]
    assert "from      annotation of Deployment web\n" in mine and "routes file" not in mine
    assert f"from      routes file {d.routes_path}\n" in theirs and "annotation of" not in theirs
    assert "state     open" in theirs and "error     none" in theirs
    assert re.search(r"refused http://\S*\n +from +annotation of Deployment web\n +why .*'timeout'", text)
    assert "container main, called web.shop / web-7d9c8b6f5d-bcdfg\n" in text


def test_a_drain_that_fails_says_why_and_how_far_it_is_behind(node, oracle, api, kube):
    port = free_port()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.namespace("shop", drains=f"syslog+tcp://127.0.0.1:{port}")
    api.workload(c, "web")
    c.write(oracle.source("web").take(20))
    d = kube()
    size = sum(p.stat().st_size for p in c.dir.glob("*.log"))
    wait_for(lambda: "onnection refused" in said(d, "shop/web-7d9c8b6f5d-bcdfg"), WAIT, "the error")
    text = said(d, "shop/web-7d9c8b6f5d-bcdfg")
    assert "from      annotation of Namespace shop\n" in text
    assert f"confirmed up to byte 0, {size} bytes behind" in text


def test_without_a_drain_without_an_identity_and_unknown(node, api, kube, oracle):
    plain, strange = node.container("plain-7d9c8b6f5d-bcdfg", "shop"), node.container("strange-7d9c8b6f5d-bcdfg", "shop")
    api.workload(plain, "plain")
    for c in plain, strange:
        c.write(oracle.source(c.pod.name).take(1))
    d = kube()
    wait_for(lambda: "no drain: " in said(d, "shop/plain-7d9c8b6f5d-bcdfg"), WAIT, "it has a name")
    assert "pending: waits for the API to name its pod" in said(d, "shop/strange-7d9c8b6f5d-bcdfg")
    unknown = explain(d, "shop/nobody")
    assert unknown.returncode == 1 and unknown.stdout == ""
    assert "pod shop/nobody: not known on this node" in unknown.stderr and "the API has no pod" in unknown.stderr


def test_why_there_is_no_drain(node, api, kube, oracle):
    """No annotation; one that says none, here and nearer than the namespace's; URLs that are refused."""
    reasons = {"plain": (None, "no route and no annotation is for it"), "off": ("none", "its annotation says none, and no route"),
               "bad": ("gopher://x", "what its annotations ask for is refused, and no route")}
    for name, (drains, _) in reasons.items():
        c = node.container(f"{name}-7d9c8b6f5d-bcdfg", "shop")
        api.workload(c, name, drains=drains)
        c.write(oracle.source(name).take(1))
    d = kube()
    for name, (_, why) in reasons.items():
        wait_for(lambda name=name, why=why: f"no drain: {why}" in said(d, f"shop/{name}-7d9c8b6f5d-bcdfg"), WAIT,
                 lambda name=name: said(d, f"shop/{name}-7d9c8b6f5d-bcdfg"))


def test_a_hostname(node, oracle, api, kube, syslog_tcp, http):
    """Of a workload, of a sender on the network, and of nobody: the routes that would be for it."""
    peer, web, port = syslog_tcp(), http(), free_port()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web")
    c.write(oracle.source("web").take(5))
    d = kube(routes=[("web.shop", peer.url()), ("router*", f"http://u:{CANARY}@127.0.0.1:{web.port}/x")], env={"SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": str(port), "INPUT_ADDRESS": "127.0.0.1"})
    wait_for(lambda: "confirmed up to" in explain(d, "web.shop").stdout, WAIT, "the pod's stream")
    text = said(d, "web.shop")
    assert text.startswith("hostname web.shop\ncontainer shop/web-7d9c8b6f5d-bcdfg/main, called web.shop / web-7d9c8b6f5d-bcdfg\n"), text
    assert f"from      routes file {d.routes_path}\n" in text
    text = said(d, "router1.example.com")
    assert "nothing of it on this node" in text and f"127.0.0.1:{web.port}" in text and f"routes file {d.routes_path}" in text
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"<13>1 2026-11-30T00:00:00Z router1.example.com app - - - hello\n")
        wait_for(lambda: "\nnetwork, called router1.example.com\n  drain http://" in said(d, "router1.example.com"), WAIT, lambda: said(d, "router1.example.com"))
    nobody = explain(d, "nobody.example.com")
    assert nobody.returncode == 1 and "hostname nobody.example.com: nothing of it on this node, and no route" in nobody.stderr


def test_no_daemon_and_no_pod(tmp_path):
    for state, why in ((tmp_path, "No such file or directory"), (tmp_path / "none", "No such file or directory")):
        for command in (("explain", "shop/web"), ("drains",)):
            done = run(*command, env={"STATE_PATH": str(state)})
            assert done.returncode == 1 and why in done.stderr
            assert "STATE_PATH" in done.stderr and str(state) in done.stderr
    for bad in ((), ("",), ("w eb",), ("web?x",), ("a" * 256,), ("shop/web", "more"), ("shop/web&x=1",), ("shop/../web",), ("/web",)):
        assert run("explain", *bad).returncode == 2, bad
