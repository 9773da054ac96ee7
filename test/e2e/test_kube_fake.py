"""Annotations as routes, and the names of pods, with a well-behaved API server (lib/kapi.py). Its faults are in
test_kube_fake_faults.py."""

import re
import uuid

import pytest
from lib.daemon import SLOW, run
from lib.kapi import names
from lib.node import Writer
from lib.otlp import Otlp
from lib.wait import stays, wait_for

WAIT = 30 * SLOW


def test_a_deployments_annotation_gets_its_lines_and_only_those(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    web, other = node.container("web-7d9c8b6f5d-bcdfg", "shop"), node.container("api-7d9c8b6f5d-bcdfg", "shop")
    api.workload(web, "web", drains=peer.url())
    api.workload(other, "api")
    source = oracle.source("web")
    web.write(source.take(100))
    other.write(oracle.source("other").take(100))
    kube()
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()
    assert names(peer) == {("web.shop", "web-7d9c8b6f5d-bcdfg")}


def test_every_kind_of_owner(node, oracle, api, kube, syslog_tcp):
    """Pods of each kind of workload, under the workload's name, to its drain; an unknown controller gives its name."""
    peer = syslog_tcp()
    drains = peer.url()
    made = {}

    def pod(name, owner, **more):
        c = node.container(name, "shop")
        api.pod_of(c, owner=owner, **more)
        return c

    made["stateful.shop"] = pod("stateful-0", api.put("statefulsets", "stateful", "shop", drains=drains))
    made["daemon.shop"] = pod("daemon-abcde", api.put("daemonsets", "daemon", "shop", drains=drains))
    made["bare.shop"] = pod("bare-abcde", api.replicaset("bare", "shop", drains=drains))
    made["job.shop"] = pod("job-abcde", api.put("jobs", "job", "shop", drains=drains))
    cron = api.put("cronjobs", "cron", "shop", drains=drains)
    made["cron.shop"] = pod("cron-29000000-abcde", api.put("jobs", "cron-29000000", "shop", owner=cron))
    made["solo.shop"] = pod("solo", None, drains=drains)
    made["rollout.shop"] = pod("rollout-6d5f-abcde", None, drains=drains,
                               owner_ref={"apiVersion": "argoproj.io/v1", "kind": "Rollout", "name": "rollout", "uid": "r-1"})
    for hostname, c in made.items():
        c.write(oracle.source(hostname).take(10))
    kube()
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert {host for host, _ in names(peer)} == set(made)


NODE_REF = {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "n-1"}
MIRROR = "kubernetes.io/config.mirror"


def test_static_pods_are_known_by_their_mirror(node, oracle, api, kube, syslog_tcp):
    """kubelet's UID of a static pod is an MD5 sum without dashes."""
    peer = syslog_tcp()
    c = node.pod("etcd-node-1", "kube-system", uid=node.hex(32)).container()
    api.pod_of(c, uid="11111111-2222-3333-4444-555555555555", annotations={MIRROR: c.pod.uid}, owner_ref=NODE_REF,
               drains=peer.url())
    c.write(oracle.source("a").take(10))
    kube()
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert names(peer) == {("etcd-node-1.kube-system", "etcd-node-1")}


@pytest.mark.parametrize("what", ["no owner", "an owner of ours", "another node", "a kind of that name", "an API's UID",
                                  "an API's UID in capitals"])
def test_T08_a_false_mirror_pod_gets_no_old_log(node, oracle, api, kube, syslog_tcp, what):
    """A pod was deleted while the daemon was down, and its log still exists. A new pod with its name claims to be its mirror pod:
    it gets only its own lines."""
    thief, operator = syslog_tcp(), syslog_tcp()
    claim = {"an API's UID": str(uuid.uuid4()), "an API's UID in capitals": str(uuid.uuid4()).upper()}.get(what, node.hex(32))
    victim = node.pod("web-0", "shop", uid=claim).container()
    owner = {"no owner": None, "another node": dict(NODE_REF, name="node-2"),
             "a kind of that name": dict(NODE_REF, apiVersion="evil.example/v1"),
             "an owner of ours": dict(NODE_REF, kind="Web")}.get(what, NODE_REF)
    victim.write(oracle.source("victim").take(20))
    mine = node.pod("web-0", "shop").container(id=node.hex(64))
    mine.write(oracle.source("mine").take(20))
    api.pod_of(mine, annotations={MIRROR: claim}, owner_ref=owner, drains=thief.url())
    d = kube(env={"IDENTITY_WAIT": "300ms"}, drains=[("*", operator.url())])
    oracle.wait_complete(thief, WAIT, ["mine"]).assert_exact()
    oracle.wait_complete(operator, WAIT, ["mine", "victim"]).assert_exact()  # the operator's route is not restricted
    stays(lambda: thief.count() == 20, 0.3, "the thief has his own lines only")
    assert d.metric("logtrain_kubernetes_guessed_streams") == 1


def test_hostname_and_tag_annotations(node, oracle, api, kube, syslog_tcp):
    """They name the lines, and operators' routes match that hostname; an edit renames later lines."""
    peer, operator = syslog_tcp(), syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=peer.url(), hostname="www.example", tag="front")
    source = oracle.source("a")
    c.write(source.take(10))
    kube(routes=[("www.example", operator.url())])
    for one in (peer, operator):
        oracle.wait_complete(one, WAIT).assert_exact()
        assert names(one) == {("www.example", "front")}
    api.deployment("web", "shop", drains=peer.url(), tag="back")
    wait_for(lambda: (c.write(source.take(1)), ("web.shop", "back") in names(peer))[1], WAIT, "the new name")
    assert oracle.wait_complete(peer, WAIT).dup == 0


def test_the_namespace_is_a_default(node, oracle, api, kube, syslog_tcp):
    """A workload's own annotation overrides it; `none` switches it off."""
    common, own = syslog_tcp(), syslog_tcp()
    api.namespace("shop", drains=common.url())
    plain, special, off = (node.container(f"{n}-7d9c8b6f5d-bcdfg", "shop") for n in ("plain", "special", "off"))
    elsewhere = node.container("plain-7d9c8b6f5d-fghij", "else")
    api.workload(plain, "plain")
    api.workload(special, "special", drains=own.url())
    api.workload(off, "off", drains="none")
    api.workload(elsewhere, "plain")
    for name, c in (("plain", plain), ("special", special), ("off", off), ("elsewhere", elsewhere)):
        c.write(oracle.source(name).take(20))
    d = kube()
    oracle.wait_complete(common, WAIT, ["plain"]).assert_exact()
    oracle.wait_complete(own, WAIT, ["special"]).assert_exact()
    assert names(common) == {("plain.shop", "plain-7d9c8b6f5d-bcdfg")}
    assert not d.log_lines("drain refused")
    api.namespace("shop")
    wait_for(lambda: d.metric("logtrain_routes") == 1, WAIT, "the default to go")


def test_a_deployments_copy_on_its_replicaset_does_not_count(node, oracle, api, kube, syslog_tcp):
    """Kubernetes copies annotations to ReplicaSets and never removes them there."""
    peer = syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    d = api.deployment("web", "shop")
    api.pod_of(c, owner=api.replicaset("web-7d9c8b6f5d", "shop", owner=d, drains=peer.url()))
    c.write(oracle.source("a").take(10))
    one = kube()
    wait_for(lambda: one.metric("logtrain_pending_streams") == 0, WAIT, "the pod's name")
    assert one.metric("logtrain_routes") == 0 and peer.count() == 0


def test_annotations_come_change_and_go(node, oracle, api, kube, syslog_tcp):
    """K09, K10: a drain is removed and added again within a second: its cursor continues, the other drain's connection stays."""
    first, second = syslog_tcp(), syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=first.url())
    d = kube()
    with Writer(c, oracle.source("a"), rate=2000) as writer:
        one, two = oracle.progress(first), oracle.progress(second)
        wait_for(lambda: one.distinct() > 100, WAIT, "lines at the first drain")
        api.deployment("web", "shop", drains=f"{first.url()};{second.url()}")
        wait_for(lambda: two.distinct() > 100, WAIT, "lines at the second drain")
        api.deployment("web", "shop", drains=first.url())
        wait_for(lambda: d.metric("logtrain_routes") == 1, WAIT, "the second drain to be taken away")
        api.deployment("web", "shop", drains=f"{first.url()}\n {second.url()} ;")
        more = two.distinct()
        wait_for(lambda: two.distinct() > more + 100, WAIT, "lines at the second drain again")
        writer.stop()
    oracle.wait_complete(first, WAIT).assert_exact()
    assert len(first.connections) == 1, "what did not change kept its connection"
    report = oracle.check(second.messages())
    assert report.dup == 0 and report.reorder == 0 and not report.corrupt
    api.deployment("web", "shop")
    wait_for(lambda: d.metric("logtrain_routes") == 0, WAIT, "the drains to go")


@pytest.mark.parametrize("deleted", ["workload", "pod"])
def test_K10_a_deleted_owners_lines_still_arrive(node, oracle, api, kube, syslog_tcp, deleted):
    peer = syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    workload = api.workload(c, "web", drains=peer.url())
    d = kube()
    wait_for(lambda: d.metric("logtrain_pending_streams") == 0, WAIT, "the pod's name")
    events = d.metric("logtrain_kubernetes_events_total")
    if deleted == "pod":
        api.delete(next(iter(api.objects["pods"].values())))
    else:
        api.delete(workload)
    wait_for(lambda: d.metric("logtrain_kubernetes_events_total") > events, WAIT, "the event")
    c.write(oracle.source("a").take(1000))
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert d.metric("logtrain_routes") == 1


def test_K10_a_bad_drain_among_good_ones(node, oracle, api, kube, syslog_tcp):
    """It is logged once with its workload and its option, without credentials; the valid drains work."""
    good, after = syslog_tcp(), syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=f"{good.url()}, https://u:canary-one@collector.example/?batch=blue; gopher://x, {after.url()}")
    c.write(oracle.source("a").take(10))
    d = kube()
    for peer in (good, after):
        oracle.wait_complete(peer, WAIT).assert_exact()
    lines = d.log_lines("drain refused")
    assert len(lines) == 2 and all("Deployment" in line and "name=web" in line and "namespace=shop" in line for line in lines)
    assert "batch" in lines[0] and "gopher" in lines[1] and "canary-one" not in d.log()
    api.deployment("web", "shop", tag="x", drains=f"{good.url()}, https://u:canary-one@collector.example/?batch=blue")
    wait_for(lambda: d.metric("logtrain_routes") == 1, WAIT, "the change")
    assert len(d.log_lines("drain refused")) == 2 and d.metric("logtrain_kubernetes_refused_drains_total") == 2


def test_a_workload_has_ten_drains_at_most(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains="\n".join(peer.url(f"timeout={n}s") for n in range(1, 13)))
    d = kube()
    wait_for(lambda: d.metric("logtrain_routes") == 10, WAIT, "ten drains")
    assert "a workload may have 10 drains" in d.log()


def test_K12_a_claimed_hostname_gets_nothing(node, oracle, api, kube, syslog_tcp):
    """A tenant sets another workload's name as his hostname, and claims its owner reference: neither gives him a line of the
    other."""
    victim_drain, thief_drain = syslog_tcp(), syslog_tcp()
    victim = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    d = api.workload(victim, "web", drains=victim_drain.url())
    thief = node.container("thief-7d9c8b6f5d-bcdfg", "evil")
    api.workload(thief, "web", drains=thief_drain.url(), hostname="web.shop")
    forger = node.container("forger", "evil")
    api.pod_of(forger, owner=d)
    mirror = node.container("mirror", "evil")
    api.pod_of(mirror, annotations={"kubernetes.io/config.mirror": victim.pod.uid}, drains=thief_drain.url())
    for name, c in (("victim", victim), ("thief", thief), ("forger", forger), ("mirror", mirror)):
        c.write(oracle.source(name).take(20))
    one = kube()
    oracle.wait_complete(victim_drain, WAIT, ["victim"]).assert_exact()
    oracle.wait_complete(thief_drain, WAIT, ["thief", "mirror"]).assert_exact()
    assert names(victim_drain) == {("web.shop", "web-7d9c8b6f5d-bcdfg")}
    assert one.metric("logtrain_kubernetes_foreign_owners_total") == 1
    assert one.log_lines("claims an owner that is not of its namespace")


def test_K13_loops_and_unknown_owners(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    c = node.container("loop-abcde", "shop")
    a = api.replicaset("a", "shop", uid="aaaaaaaa-0000-0000-0000-000000000000", drains=peer.url())
    b = api.put("jobs", "b", "shop", uid="bbbbbbbb-0000-0000-0000-000000000000", owner=a)
    api.replicaset("a", "shop", owner=b, drains=peer.url())
    api.pod_of(c, owner=b)
    c.write(oracle.source("a").take(10))
    kube()
    oracle.wait_complete(peer, WAIT).assert_exact()


def test_a_short_lived_container_is_delivered(node, oracle, api, kube, syslog_tcp):
    """The API learns of the pod only when its container has ended."""
    peer = syslog_tcp()
    d = kube()
    c = node.container("quick-7d9c8b6f5d-bcdfg", "shop")
    c.write(oracle.source("a").take(50))
    wait_for(lambda: d.metric("logtrain_pending_streams") == 1, WAIT, "the stream to wait")
    api.workload(c, "quick", drains=peer.url())
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert names(peer) == {("quick.shop", "quick-7d9c8b6f5d-bcdfg")}


def test_events_in_reverse_order(node, oracle, api, kube, syslog_tcp):
    """The pod first, then its ReplicaSet, then its Deployment: nothing is sent under an incomplete name."""
    peer, operator = syslog_tcp(), syslog_tcp()
    d = kube(routes=[("*", operator.url())])
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    deployment = api.deployment("web", "shop", drains=peer.url(), silent=True)
    rs = api.replicaset("web-7d9c8b6f5d", "shop", owner=deployment, silent=True)
    api.pod_of(c, owner=rs)
    c.write(oracle.source("a").take(20))
    wait_for(lambda: d.metric("logtrain_kubernetes_pods") == 1, WAIT, "the pod")
    api.replicaset("web-7d9c8b6f5d", "shop", owner=deployment)
    stays(lambda: operator.count() == 0, 0.3, "nothing was sent")
    api.deployment("web", "shop", drains=peer.url())
    for one in (peer, operator):
        oracle.wait_complete(one, WAIT).assert_exact()
        assert names(one) == {("web.shop", "web-7d9c8b6f5d-bcdfg")}


def test_after_identity_wait_names_come_from_the_path(node, oracle, api, kube, syslog_tcp):
    """Operators' routes get the lines under the name from the path. When the API answers, the name and the owner's drain are
    right, and the owner's drain gets every line."""
    peer, operator = syslog_tcp(), syslog_tcp()
    api.stop()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("a")
    c.write(source.take(20))
    d = kube(env={"IDENTITY_WAIT": "200ms"}, routes=[("*", operator.url())])
    oracle.wait_complete(operator, WAIT).assert_exact()
    assert names(operator) == {("web.shop", "web-7d9c8b6f5d-bcdfg")}
    assert d.metric("logtrain_kubernetes_guessed_streams") == 1
    assert "degraded: kubernetes pods are not known yet" in d.get("/readyz")[1]
    api.start()
    api.workload(c, "web", drains=peer.url(), hostname="real")
    oracle.wait_complete(peer, 3 * WAIT).assert_exact()
    c.write(source.take(20))
    for one in (peer, operator):
        oracle.wait_complete(one, WAIT).assert_exact()
    assert {h for h, _ in names(peer)} == {"real"}
    assert ("real", "web-7d9c8b6f5d-bcdfg") in names(operator)
    assert d.metric("logtrain_kubernetes_guessed_streams") == 0


def test_akkeris_names_and_only_akkeris(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    worker, other = node.container("app--worker-64cd4f4ff7-6bqb8", "prod"), node.container("plain-64cd4f4ff7-6bqb8", "prod")
    d = api.deployment("app--worker", "prod", labels={"akkeris.io/app-name": "app", "akkeris.io/dyno-type": "worker"})
    api.pod_of(worker, owner=api.replicaset("app--worker-64cd4f4ff7", "prod", owner=d), labels={"akkeris.io/app-name": "app"})
    api.workload(other, "plain")
    for name, c in (("worker", worker), ("other", other)):
        c.write(oracle.source(name).take(20))
    one = kube(env={"AKKERIS": "true", "ONLY_AKKERIS": "true"}, routes=[("*", peer.url())])
    oracle.wait_complete(peer, WAIT, ["worker"]).assert_exact()
    assert names(peer) == {("app-prod", "worker.64cd4f4ff7-6bqb8")}
    assert one.metric("logtrain_pending_streams") == 1


def test_service_name_of_the_pods_label(node, oracle, api, kube, closing):
    """service.name is the pod's label app.kubernetes.io/name, and follows it; else the workload. A label is no text of the store."""
    peer = closing(Otlp())
    labelled, plain = node.container("web-7d9c8b6f5d-bcdfg", "shop"), node.container("api-7d9c8b6f5d-bcdfg", "shop")
    label = {"app.kubernetes.io/name": "storefront"}
    owner = api.replicaset("web-7d9c8b6f5d", "shop", owner=api.deployment("web", "shop", labels={"app.kubernetes.io/name": "other"}))
    api.pod_of(labelled, owner=owner, labels=label)
    api.workload(plain, "api")
    one, two = oracle.source("one"), oracle.source("two")
    labelled.write(one.take(10))
    plain.write(two.take(10))
    d = kube(drains=[("*", peer.url("linger=10ms"))])
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert services(peer) == {"web-7d9c8b6f5d-bcdfg": "storefront", "api-7d9c8b6f5d-bcdfg": "api"}
    assert d.metric("logtrain_kubernetes_annotation_bytes") == 0
    for name in ("shop-2", None):
        api.pod_of(labelled, owner=owner, labels={"app.kubernetes.io/name": name} if name else {})

        def follows(want=name or "web"):
            labelled.write(one.take(1))
            return services(peer)["web-7d9c8b6f5d-bcdfg"] == want
        wait_for(follows, WAIT, "the change")


def services(peer):
    """The service.name that lines came with last, by pod."""
    return {r["resource"]["k8s.pod.name"]: r["resource"]["service.name"] for r in list(peer.records)}


def test_OWNER_SCHEMES_of_annotations(node, oracle, api, kube, syslog_tcp, http):
    """Schemes that are not listed are refused, however they are written, and the owner is notified; an operator may use any."""
    peer, web, operator = syslog_tcp(), http(), syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=f"{peer.url()};{peer.url().replace('syslog', 'SysLog')};{web.url('batch=ndjson')};gelf+udp://h/")
    c.write(oracle.source("a").take(10))
    d = kube(env={"OWNER_SCHEMES": "http*, syslog+tls"}, drains=[("*", operator.url())])
    for one in (web, operator):
        oracle.wait_complete(one, WAIT).assert_exact()
    assert len(d.log_lines("drain refused .*OWNER_SCHEMES")) == 3 and not peer.connections
    wait_for(lambda: sorted(e["reason"] for e in api.events) == ["DrainDelivering"] + ["DrainRefused"] * 3, WAIT, lambda: api.events)


def test_T14_excluded_namespaces_by_pattern(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    wanted, *others = (node.container("a-7d9c8b6f5d-bcdfg", ns) for ns in ("shop", "kube-system", "kube-public", "dev-1", "x"))
    for c in (wanted, *others):
        c.write(oracle.source(c.pod.namespace).take(10))
    d = kube(env={"EXCLUDE_NAMESPACES": "kube-*,*-1 x"}, drains=[("*", peer.url())])
    for c in (wanted, *others):
        api.workload(c, "a")
    oracle.wait_complete(peer, WAIT, ["shop"]).assert_exact()
    assert d.metric("logtrain_streams") == 1


def test_excluded_namespaces(node, oracle, api, kube, syslog_tcp):
    peer = syslog_tcp()
    wanted, not_wanted = node.container("a-7d9c8b6f5d-bcdfg", "shop"), node.container("b-7d9c8b6f5d-bcdfg", "noise")
    api.workload(wanted, "a", drains=peer.url())
    api.workload(not_wanted, "b", drains=peer.url())
    wanted.write(oracle.source("a").take(10))
    not_wanted.write(oracle.source("b").take(10))
    d = kube(env={"EXCLUDE_NAMESPACES": "x, noise "})
    oracle.wait_complete(peer, WAIT, ["a"]).assert_exact()
    assert d.metric("logtrain_streams") == 1


def test_pods_of_this_node_only_and_metadata_only(node, api, kube):
    d = kube()
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 8, WAIT, "all watches")
    with api.lock:
        seen = list(api.requests)
    for _, resource, verb, query, auth, accept in seen:
        if resource == "endpointslices":  # a single object, not of a workload, is read whole
            assert (verb, accept, auth) == ("get", "application/json", "Bearer secret-token")
            continue
        assert query.get("fieldSelector") == ("spec.nodeName=node-1" if resource == "pods" else None)
        assert "as=PartialObjectMetadata" + ("List;" if verb == "list" else ";") in accept
        assert auth == "Bearer secret-token"
        if verb == "watch":
            assert query["allowWatchBookmarks"] == "true" and 300 <= int(query["timeoutSeconds"]) <= 600
        else:
            assert query["limit"] == "500" and query["resourceVersion"] == "0"


@pytest.mark.parametrize("env, args, wanted", [
    ({"KUBERNETES_DATASOURCE": "true"}, [], "KUBERNETES_DATASOURCE=true needs the Kubernetes API"),
    ({"ONLY_AKKERIS": "true"}, ["--drain", "a=null://"], "ONLY_AKKERIS=true needs the Kubernetes API"),
    ({"KUBERNETES_DATASOURCE": "true", "NODE": "n"}, ["--kube-config", "/nowhere"], "--kube-config: cannot read /nowhere"),
])
def test_what_is_missing_is_named(tmp_path, env, args, wanted):
    done = run(*args, env={"STATE_PATH": str(tmp_path), "HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path), **env})
    assert done.returncode != 0 and wanted in done.stderr


def test_node_is_needed(tmp_path, api):
    config = api.kubeconfig(tmp_path / "k")
    done = run("--kube-config", str(config), env={"STATE_PATH": str(tmp_path), "HTTP_PORT": "0", "KUBERNETES_DATASOURCE": "true",
                                                  "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode != 0 and re.search("NODE: is needed", done.stderr)
