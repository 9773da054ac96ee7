"""T1: what tenants write into the API costs each node's logtrain a bounded part of its memory, and costs nobody else a line. Each
attack runs in a memory cgroup with the manifest's limit; the peak is printed."""

import copy
import threading

import pytest
from lib.cgroup import MemoryCgroup
from lib.daemon import SANITIZED, SLOW
from lib.wait import wait_for

WAIT = 60 * SLOW
MIB = 1 << 20
LIMIT = 64 * MIB
BIG = "http://192.0.2.7/" + "y" * 7450  # eight of them: 60,000 bytes


@pytest.fixture
def limited(closing, kube):
    """limited(…): kube(…) in a cgroup with the manifest's limit, limited.cgroup. If this build has a sanitizer, a build without
    one is run."""
    def start(**options):
        if not SANITIZED:
            start.cgroup = closing(MemoryCgroup("kube", LIMIT))
            options["prefix"] = start.cgroup.run_in()
        return kube(**options)

    start.cgroup = None
    return start


def check(limited, d, oracle, victim, source, c):
    """The victim's lines arrive, and memory stays below the limit."""
    c.write(source.take(100))
    oracle.wait_complete(victim, WAIT, ["victim"]).assert_exact()
    if limited.cgroup:
        peak = limited.cgroup.peak()
        print(f"peak {peak / MIB:.1f} MiB, {d.metric('logtrain_kubernetes_annotation_bytes')} bytes of annotations, "
              f"{d.metric('logtrain_kubernetes_object_bytes')} of objects")
        assert peak < LIMIT * 3 // 4 and not limited.cgroup.killed()
        assert d.rss_peak() < 40 * MIB


@pytest.fixture
def victim(node, oracle, api, syslog_tcp):
    peer, source = syslog_tcp(), oracle.source("victim")
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=peer.url())
    c.write(source.take(100))
    return peer, source, c


@pytest.mark.parametrize("kind", ["deployments", "replicasets", "cronjobs", "namespaces"])
def test_T01_a_thousand_annotated_objects_without_a_pod_here(node, oracle, api, limited, victim, kind):
    peer, source, c = victim
    for i in range(1000):
        api.put(kind, f"evil-{i}", None if kind == "namespaces" else "evil", drains=";".join([BIG] * 8), silent=True)
    d = limited(env={"READ_FROM": "start"})
    wait_for(lambda: d.metric("logtrain_kubernetes_objects", resource=kind) >= 1000, WAIT, "the objects")
    check(limited, d, oracle, peer, source, c)
    assert d.metric("logtrain_kubernetes_annotation_bytes") < 4096
    for i in range(0, 1000, 10):
        api.put(kind, f"evil-{i}", None if kind == "namespaces" else "evil", drains=";".join([BIG] * 7))
    check(limited, d, oracle, peer, source, c)


@pytest.mark.parametrize("kind", ["deployments", "namespaces"])
def test_T01_a_hundred_thousand_namespaces(node, oracle, api, limited, victim, syslog_tcp, kind):
    """Each has what is guaranteed to it only as long as there is a reserve; what is not kept is asked for when a pod needs it."""
    peer, source, c = victim
    if kind == "namespaces":
        api.many(kind, [(f"evil-{i:058}", None, "http://a/b") for i in range(100_000)])
    else:
        api.many(kind, [("n" * 253, f"evil-{i:058}") for i in range(100_000)])
    d = limited(env={"READ_FROM": "start"})
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    check(limited, d, oracle, peer, source, c)
    late = syslog_tcp()
    one = node.container("late-7d9c8b6f5d-bcdfg", "late")
    one.write(oracle.source("late").take(100))
    api.workload(one, "late", drains=late.url())
    oracle.wait_complete(late, WAIT, ["late"]).assert_exact()
    check(limited, d, oracle, peer, source, c)


@pytest.mark.parametrize("namespaces", [1, 100])
def test_T01_pods_of_this_node_with_large_annotations(node, oracle, api, limited, victim, namespaces):
    """A hundred pods here, each with its own Deployment of 60,000 bytes: what exceeds the share is refused and logged."""
    peer, source, c = victim
    for i in range(100):
        one = node.container(f"evil{i}-7d9c8b6f5d-bcdfg", f"evil-{i % namespaces}")
        api.workload(one, f"evil{i}", drains=";".join(f"{BIG}{i}{n}" for n in range(8)))
    d = limited()
    wait_for(lambda: d.metric("logtrain_kubernetes_refused_annotations_total") > 0, WAIT, "some to be refused")
    check(limited, d, oracle, peer, source, c)
    assert d.metric("logtrain_kubernetes_annotation_bytes") <= 4 * MIB + 101 * 16384
    assert d.log_lines("annotation refused") and d.log_lines("annotations are over the share")
    wait_for(lambda: any("its drains have no effect" in e["message"] for e in api.events), WAIT, lambda: api.events)
    assert all(e["metadata"]["namespace"].startswith("evil") for e in api.events if e["reason"] != "DrainDelivering")


def test_T01_a_pod_comes_whose_owners_text_was_a_hash(node, oracle, api, kube, syslog_tcp):
    """The text is fetched, and the lines go where it says, from the first one on; a ReplicaSet's copy does not count."""
    peer = syslog_tcp()
    api.deployment("web", "shop", drains=peer.url())
    api.namespace("plain", drains=peer.url())
    api.deployment("web", "plain")
    d = kube()
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    assert d.metric("logtrain_kubernetes_annotation_bytes") == 0
    for namespace in ("shop", "plain"):
        c = node.container("web-7d9c8b6f5d-bcdfg", namespace)
        api.workload(c, "web", **({"drains": peer.url()} if namespace == "shop" else {}))
        c.write(oracle.source(namespace).take(100))
    oracle.wait_complete(peer, WAIT).assert_exact()


def test_T01_names_labels_and_references_of_60000_bytes(node, oracle, api, limited, victim):
    """Of pods that name this node, and of their alleged owners: neither kept whole nor believed."""
    peer, source, c = victim
    long = "n" * 60000
    for i in range(300):
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": long, "uid": f"00000000-0000-0000-0000-{i:012}"}
        api.put("pods", f"evil-{i}", "evil", node=api.node, owner_ref=owner if i % 2 else None, hostname=long, tag=long,
                labels={"akkeris.io/app-name": long, "akkeris.io/dyno-type": long},
                annotations={"kubernetes.io/config.mirror": long}, silent=True)
        api.put("statefulsets", f"evil-{i}", "evil", owner_ref=owner, hostname=long, tag=long, silent=True)
    d = limited(env={"READ_FROM": "start", "AKKERIS": "false"})
    wait_for(lambda: d.metric("logtrain_kubernetes_objects", resource="statefulsets") > 0, WAIT, "the objects")
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    check(limited, d, oracle, peer, source, c)
    assert d.metric("logtrain_kubernetes_annotation_bytes") <= 4 * MIB


def test_T01_wanted_texts_that_change_all_the_time(node, oracle, api, limited, victim, syslog_tcp):
    """The last change counts, and earlier ones leave nothing behind."""
    peer, source, c = victim
    last, ours = syslog_tcp(), oracle.source("last")
    one = node.container("evil-7d9c8b6f5d-bcdfg", "evil")
    api.workload(one, "evil", drains=BIG)
    d = limited()
    wait_for(lambda: d.metric("logtrain_routes") == 2, WAIT, "both routes")
    for i in range(300):
        api.deployment("evil", "evil", drains=";".join(f"{BIG}{i}-{n}" for n in range(8)))
    api.deployment("evil", "evil", drains=last.url())
    wait_for(lambda: d.metric("logtrain_kubernetes_annotation_bytes") < 4096 and str(last.port) in str(d.drains()), WAIT,
             lambda: f"the last, which waits its turn: {d.tail()}")
    one.write(ours.take(100))
    oracle.wait_complete(last, WAIT, ["last"])
    check(limited, d, oracle, peer, source, c)


def test_T01_an_answer_that_is_older_than_the_watch_is_not_taken(node, oracle, api, kube, syslog_tcp):
    """The text is requested; before the answer arrives, the watch reports a newer one."""
    old, new = syslog_tcp(), syslog_tcp()
    w = api.deployment("web", "shop", drains=old.url())
    d = kube()
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    late, asked = threading.Event(), threading.Event()
    answer = {"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {"resourceVersion": "1"},
              "items": [copy.deepcopy(w["object"])]}
    api.script("deployments", "get", lambda handler: (asked.set(), late.wait(WAIT), handler.answer(200, answer)))
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.pod_of(c, owner=api.replicaset("web-7d9c8b6f5d", "shop", owner=w))
    assert asked.wait(WAIT)
    api.deployment("web", "shop", drains=new.url())
    c.write(oracle.source("a").take(100))
    oracle.wait_complete(new, WAIT, ["a"])
    late.set()
    wait_for(lambda: api.count("deployments", "get") > 0 and d.metric("logtrain_pending_streams") == 0, WAIT, "the answer")
    api.deployment("other", "shop")  # reported after the answer
    wait_for(lambda: d.metric("logtrain_kubernetes_objects", resource="deployments") == 2, WAIT, "the other")
    c.write(oracle.source("b").take(100))
    oracle.wait_complete(new, WAIT, ["b"])
    assert old.count() == 0


def test_T01_an_owner_whose_annotation_became_too_long(node, oracle, api, kube, syslog_tcp):
    """It can no longer be read: its pod has none of its drains but is still named, and the owner is notified."""
    own, operator = syslog_tcp(), syslog_tcp()
    w = api.deployment("web", "shop", drains=own.url())
    d = kube(drains=[("*.shop", operator.url())])
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    api.deployment("web", "shop", drains="x" * 70000)
    wait_for(lambda: d.metric("logtrain_kubernetes_skipped_objects_total", resource="deployments") > 0, WAIT, "it to be skipped")
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.pod_of(c, owner=api.replicaset("web-7d9c8b6f5d", "shop", owner=w))
    c.write(oracle.source("a").take(100))
    oracle.wait_complete(operator, WAIT).assert_exact()
    wait_for(lambda: any("its drains have no effect" in e["message"] for e in api.events), WAIT, lambda: api.events)
    assert own.count() == 0
