"""Against a real kube-apiserver: the daemon does what kubectl applies, with the shipped RBAC and nothing more."""

import itertools
import uuid

import pytest
from lib import kube_real
from lib.daemon import ROOT, SLOW
from lib.kube_real import DEPLOYMENTS
from lib.wait import stays, wait_for

pytestmark = pytest.mark.timeout(600)


def test_deployments_apply_as_they_are(kube_api):
    """All of it is valid for a server that knows every field; and the effect of the examples."""
    examples = DEPLOYMENTS / "examples"
    for what in ("-k", examples / "routes"), ("-k", examples / "inputs"), ("-f", examples / "workload.yaml"), \
            ("-f", examples / "network-policy.yaml"):
        if "workload" in str(what[1]):  # its namespace exists only from then on
            kube_api.kubectl("apply", *what)
        else:
            kube_api.kubectl("apply", "--dry-run=server", *what)
    status, daemon_set = kube_api.call("GET", "/apis/apps/v1/namespaces/logtrain/daemonsets/logtrain")
    assert status == 200
    spec = daemon_set["spec"]["template"]["spec"]
    security = spec["containers"][0]["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]} and security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False and security["privileged"] is False
    assert "initContainers" not in spec and "hostNetwork" not in spec
    mounts = {m["mountPath"]: m.get("readOnly", False) for m in spec["containers"][0]["volumeMounts"]}
    assert mounts == {"/var/log": True, "/var/lib/logtrain": False}


def test_the_shipped_role_only_reads(kube_api):
    """As the ServiceAccount itself: it may list what it needs, and can neither write nor read a secret."""
    def may(verb, resource):
        status, got = kube_api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": "system:serviceaccount:logtrain:logtrain", "resourceAttributes": {
                "verb": verb, "group": resource.rpartition("/")[0], "resource": resource.rpartition("/")[2]}}})
        assert status == 201, got
        return got["status"]["allowed"]

    for resource in ("pods", "namespaces", "apps/deployments", "apps/statefulsets", "apps/daemonsets", "apps/replicasets",
                     "batch/jobs", "batch/cronjobs"):
        assert all(may(verb, resource) for verb in ("get", "list", "watch")), resource
        assert not any(may(verb, resource) for verb in ("create", "update", "patch", "delete")), resource
    assert not any(may("get", resource) for resource in ("secrets", "configmaps", "nodes", "pods/log",
                                                         "discovery.k8s.io/endpointslices"))


def test_it_may_create_events_and_no_more_of_them(kube_api):
    def may(verb):
        status, got = kube_api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {"user": "system:serviceaccount:logtrain:logtrain", "resourceAttributes": {
                "verb": verb, "resource": "events", "namespace": "default"}}})
        assert status == 201, got
        return got["status"]["allowed"]

    assert may("create") and not any(may(verb) for verb in ("get", "list", "update", "patch", "delete"))


def test_available_says_why(monkeypatch):
    monkeypatch.setenv("LOGTRAIN_CACHE", str(ROOT / "nowhere"))
    assert "scripts/kube-apiserver" in kube_real.available()


# --- annotations -----------------------------------------------------------------------------------------------------

WAIT = 30 * SLOW
_names = itertools.count(1)


@pytest.fixture
def workloads(kube_api, node):
    """workloads(): a namespace of its own, and containers on this test's node."""
    node_name = f"node-{uuid.uuid4().hex[:8]}"
    return lambda: kube_real.Workloads(kube_api, node, node_name, f"{node_name}-{next(_names)}")


@pytest.fixture
def start(kube_api, daemon, node):
    """The daemon as in a pod of the DaemonSet on that node."""
    return lambda w, **env: daemon(node, env={**kube_api.daemon_env(w.node_name), **env})


def write(oracle, container, name, n=50):
    source = oracle.sources.get(name) or oracle.source(name)
    container.write(source.take(n))


def hostnames(peer):
    return {m.decode().split(" ")[2] for m in peer.messages()}


def unrouted(d):
    """No stream is waiting, and no drain is attached."""
    return d.metric("logtrain_pending_streams") == 0 and d.metric("logtrain_cursors") == d.metric("logtrain_parked_cursors")


def test_kubectl_annotates_and_lines_start_and_stop(kube_api, workloads, start, oracle, syslog_tcp):
    w, peer = workloads(), syslog_tcp()
    web, container = w.deployment("web")
    other = w.deployment("api")[1]
    d = start(w)

    def annotate(text):
        kube_api.kubectl("-n", w.namespace, "annotate", "--overwrite", "deployment", "web", text)

    write(oracle, other, "other")
    annotate(f"{kube_real.DRAINS}={peer.url()}")
    wait_for(lambda: not unrouted(d), WAIT, lambda: f"the route: {d.tail()}")
    write(oracle, container, "web")
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()
    assert hostnames(peer) == {f"web.{w.namespace}"}
    annotate(f"{kube_real.HOSTNAME}=shop.example")
    annotate(f"{kube_real.DRAINS}-")
    wait_for(lambda: unrouted(d), WAIT, lambda: f"the route to go: {d.drains()}")
    count = len(peer.messages())
    container.write([b"written without an annotation"] * 10)
    stays(lambda: len(peer.messages()) == count, 0.5, "no line without an annotation")
    annotate(f"{kube_real.DRAINS}={peer.url()}")  # lines written meanwhile are not sent
    wait_for(lambda: not unrouted(d), WAIT, lambda: f"the route: {d.tail()}")
    write(oracle, container, "web")
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()
    assert not [m for m in peer.messages() if b"without an annotation" in m]
    assert hostnames(peer) == {f"web.{w.namespace}", "shop.example"}
    kube_api.delete(web)
    write(oracle, container, "web")


def test_every_kind_of_workload(workloads, start, oracle, syslog_tcp):
    """One drain for each; each gets only its own lines."""
    w, peers = workloads(), {}
    for kind in "StatefulSet", "DaemonSet", "Job", "ReplicaSet", "Pod":
        peers[kind] = syslog_tcp()
        name, url = kind.lower(), peers[kind].url()
        if kind == "Pod":
            container = w.pod(name, drains=url)[1]
        else:
            container = w.pod(f"{name}-x7x2z", w.controller(kind, name, drains=url))[1]
        write(oracle, container, kind)
    start(w)
    for kind, peer in peers.items():
        oracle.wait_complete(peer, WAIT, [kind])
        oracle.check(peer.messages(), [kind]).assert_exact()
        assert hostnames(peer) == {f"{kind.lower()}.{w.namespace}"}


def test_the_namespace_is_a_default_and_none_refuses_it(kube_api, workloads, start, oracle, syslog_tcp):
    w, default, own = workloads(), syslog_tcp(), syslog_tcp()
    kube_api.annotate(w.namespace_object, drains=default.url())
    says_nothing = w.deployment("quiet")[1]
    has_own = w.deployment("own", drains=own.url())[1]
    says_none = w.deployment("none", drains="none")[1]
    for name, container in ("quiet", says_nothing), ("own", has_own), ("none", says_none):
        write(oracle, container, name)
    start(w)
    oracle.wait_complete(default, WAIT, ["quiet"]).assert_exact()
    oracle.wait_complete(own, WAIT, ["own"]).assert_exact()
    assert hostnames(default) == {f"quiet.{w.namespace}"} and hostnames(own) == {f"own.{w.namespace}"}


def test_K12_a_claimed_hostname_reads_nothing(workloads, start, oracle, syslog_tcp):
    victim, thief, peer = workloads(), workloads(), syslog_tcp()
    hostname = f"bank.{victim.namespace}"
    bank = victim.deployment("bank")[1]
    stolen = thief.deployment("bank", hostname=hostname, drains=peer.url())[1]
    write(oracle, bank, "bank")
    write(oracle, stolen, "thief")
    d = start(victim)
    oracle.wait_complete(peer, WAIT, ["thief"]).assert_exact()
    wait_for(lambda: d.metric("logtrain_pending_streams") == 0, WAIT, "all to be named")
    write(oracle, bank, "bank")
    write(oracle, stolen, "thief")
    oracle.wait_complete(peer, WAIT, ["thief"]).assert_exact()  # the bank's would be foreign


def test_K07_the_api_server_dies_and_comes_back(kube_api, workloads, start, oracle, syslog_tcp):
    """Known workloads go on; new ones wait, and none of their lines is lost."""
    w, peer = workloads(), syslog_tcp()
    web, container = w.deployment("web", drains=peer.url())
    late = w.deployment("late", drains=peer.url())[0]
    replicas = w.controller("ReplicaSet", "late-5d4c4f4ff8", late)
    write(oracle, container, "web")
    d = start(w)
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()
    pod = w.pod_object("late-5d4c4f4ff8-2w4c6", replicas)
    kube_api.kill()
    try:
        write(oracle, container, "web")
        new = w.container_of(pod)  # known from the watch or not: both are allowed
        write(oracle, new, "late")
        oracle.wait_complete(peer, WAIT, ["web"])
    finally:
        kube_api.start()
    write(oracle, new, "late")
    oracle.wait_complete(peer, 60, ["web", "late"]).assert_exact()
    wait_for(lambda: d.metric("logtrain_cursors") == 3, 60, lambda: f"web and both pods of late: {d.drains()}")
    kube_api.annotate(web, drains=None)
    wait_for(lambda: d.metric("logtrain_cursors") == 2 and d.metric("logtrain_unrouted_streams") == 1, 60,
             lambda: f"the watch to go on: {d.tail()}")
    container.write([b"written without an annotation"] * 10)
    write(oracle, new, "late")
    oracle.wait_complete(peer, 60, ["web", "late"]).assert_exact()
    assert not [m for m in peer.messages() if b"without an annotation" in m]


def test_T12_the_addresses_behind_the_service_are_read_by_the_shipped_role(kube_api, workloads, start, oracle):
    """The EndpointSlice that API servers write themselves (this one is told not to, and has none at first)."""
    w = workloads()
    container = w.deployment("web", drains="syslog+tcp://192.0.2.9:443/")[1]
    slice_ = kube_api.make({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                            "metadata": {"name": "kubernetes", "namespace": "default"},
                            "endpoints": [{"addresses": ["192.0.2.9"], "conditions": {"ready": True}}],
                            "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]})
    try:
        d = start(w)
        wait_for(lambda: d.log_lines("the API server's address address=192.0.2.9$"), WAIT, d.tail)
    finally:
        kube_api.delete(slice_)
    write(oracle, container, "web")
    wait_for(lambda: any("not allowed: the Kubernetes API server" in (r["last_error"] or "") for r in d.drains()), WAIT, d.drains)


def test_without_the_role_it_says_what_is_missing(kube_api, workloads, start, oracle, syslog_tcp):
    """It keeps trying: when the role is granted, the annotation counts from then on."""
    w, peer = workloads(), syslog_tcp()
    container = w.deployment("web", drains=peer.url())[1]
    kube_api.kubectl("delete", "clusterrolebinding", "logtrain")
    try:
        d = start(w)
        wait_for(lambda: d.log_lines("not allowed to list pods: grant get, list and watch"), WAIT, lambda: d.tail())
    finally:
        kube_api.kubectl("apply", "-k", DEPLOYMENTS / "kubernetes")
    wait_for(lambda: d.metric("logtrain_cursors") == 1, 90 * SLOW, lambda: f"the route: {d.tail()}")
    write(oracle, container, "web")
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()


def test_a_refused_drain_is_reported_to_the_owner(kube_api, workloads, start, oracle):
    """The server accepts the Event with the shipped permission, and stores it for the Deployment."""
    w = workloads()
    container = w.deployment("web")[1]
    write(oracle, container, "web")
    start(w)
    kube_api.kubectl("-n", w.namespace, "annotate", "deployment", "web", f"{kube_real.DRAINS}=gopher://u:cnry@x")

    def events():
        status, got = kube_api.call("GET", f"/api/v1/namespaces/{w.namespace}/events?fieldSelector=involvedObject.name=web")
        assert status == 200, got
        return got["items"]

    wait_for(lambda: any(e["reason"] == "DrainRefused" for e in events()), WAIT, lambda: str(events()))
    event = next(e for e in events() if e["reason"] == "DrainRefused")
    assert event["involvedObject"]["kind"] == "Deployment" and event["source"]["component"] == "logtrain"
    assert "cnry" not in str(event)
