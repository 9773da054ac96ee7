"""What one tenant can cause with his own annotations, and its cost: memory within the manifest's limit, in a cgroup (T2, T15);
the rate of his changes is limited (T2)."""

import re
import time
import uuid

import pytest
from lib.cgroup import MIB, MemoryCgroup, manifest_limit, run_the_release
from lib.daemon import SLOW, limits
from lib.elastic import Elastic
from lib.http_peer import Answer
from lib.wait import stays, wait_for

WAIT = 60 * SLOW
FLAPS = 1500
POD = "web-7d9c8b6f5d-bcdfg"


@pytest.fixture
def limited(kube, monkeypatch, closing):
    """kube() in a memory cgroup with the manifest's limit. If this build has a sanitizer, the release build is run."""
    run_the_release(monkeypatch)
    group = closing(MemoryCgroup("tenants", manifest_limit()))

    def start(**options):
        d = kube(prefix=group.run_in(), **options)

        def bound_now():
            return d.metric("logtrain_memory_bound_bytes")

        def check():
            bound = wait_for(lambda: bound_now() < manifest_limit() and bound_now(), WAIT, lambda: f"a bound of {bound_now()}")
            print(f"\nRSS {d.rss_peak() / MIB:.1f} MiB at most, bound {bound / MIB:.1f}, cgroup's peak {group.peak() / MIB:.1f} of "
                  f"{manifest_limit() / MIB:.0f} MiB")
            assert group.killed() == 0
            assert d.rss_peak() < bound
        return d, check
    return start


def new_urls(scheme):
    return ",".join({"http": f"http://127.0.0.1:1/{uuid.uuid4().hex}?batch=ndjson", "ws": f"ws://127.0.0.1:1/{uuid.uuid4().hex}",
                     "redis": f"redis://127.0.0.1:1/{uuid.uuid4().hex}",
                     "syslog+tcp": f"syslog+tcp://{uuid.uuid4().hex}.test:1"}[scheme] for _ in range(8))


def wait_paced(d):
    wait_for(lambda: d.metric("logtrain_kubernetes_paced_namespaces_total") >= 1, WAIT, "the namespace to be paced")


@pytest.mark.parametrize("scheme", ["http", "ws", "redis", "syslog+tcp"])
def test_T02_a_flapping_annotation(node, oracle, api, limited, http, scheme):
    """1,500 times eight new URLs that do not answer: few of them become drains, and none stays."""
    web, other = http(), http()
    c, calm = node.container(POD, "evil"), node.container(POD, "calm")
    api.workload(c, "web")
    api.workload(calm, "web", drains=other.url("batch=ndjson"))
    source, calm_source = oracle.source("a"), oracle.source("calm")
    calm.write(calm_source.take(10))
    d, check = limited()
    oracle.wait_complete(other, WAIT, ["calm"])
    for i in range(FLAPS):
        api.deployment("web", "evil", drains=new_urls(scheme))
        if i % 100 == 0:
            c.write(source.take(1))
    api.deployment("web", "evil", drains=web.url("batch=ndjson"))
    api.deployment("web", "calm", drains=other.url("batch=ndjson", path="/new"))  # others do not wait for it
    wait_for(lambda: calm.write(calm_source.take(1)) or any(r.target.startswith("/new") for r in other.requests), WAIT,
             "the other namespace's change")
    wait_paced(d)
    wait_for(lambda: c.write(source.take(1)) or web.count(), WAIT, "the last change to count")
    wait_for(lambda: len(d.drains()) == 2, WAIT, lambda: f"drains that have streams, and no others: {len(d.drains())}")
    assert len(d.metrics().text) < 100_000 and len(d.get("/metrics")[1]) < 100_000
    assert len(d.log_lines("change too often")) <= 1  # messages about its drains may have used up its share of the log
    check()


@pytest.mark.parametrize("note", ["hostname", "drains of the namespace", "drains or none", "drains of a pod"])
def test_T02_other_flapping_annotations(node, oracle, api, kube, http, note):
    """All changes of a pod's routes or name have the same rate limit, and the last change counts."""
    web, old = http(), http()
    c = node.container(POD, "evil")
    deployment = api.workload(c, "web")
    source = oracle.source("a")
    d = kube(env={"LOGTRAIN_TRACE": "route"}, drains=[(f"name-{i}.evil", "null://") for i in range(FLAPS)][:300])

    def put(i, url):
        if note == "hostname":
            api.deployment("web", "evil", drains=url, hostname=f"name-{i}.evil")
        elif note == "drains of the namespace":
            api.namespace("evil", drains=url)
        elif note == "drains or none":
            api.deployment("web", "evil", drains="none" if i % 2 else url)
        else:
            api.pod_of(c, owner_ref={"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
                                     "uid": deployment["object"]["metadata"]["uid"]}, drains=url)

    wait_for(lambda: d.metric("logtrain_pending_streams") == 0, WAIT, "the pod's name")
    for i in range(300):
        put(i, old.url("batch=ndjson", path=f"/{i}"))
        if i % 25 == 24:
            seen = d.metric("logtrain_kubernetes_events_total")
            wait_for(lambda s=seen: d.metric("logtrain_kubernetes_events_total") >= s, WAIT, "the events")
    put(1000, web.url("batch=ndjson"))
    if note == "drains or none":
        put(1001, "")
        put(1000, web.url("batch=ndjson"))
    wait_for(lambda: c.write(source.take(1)) or web.count(), WAIT, "the last change to count")
    made = {m for line in d.log_lines("route .*attach") for m in re.findall(r"drain=(\S+)", line)}
    assert 0 < len(made) <= 2 * limits()["KUBE_CHANGES_BURST"] + WAIT * 1000 / limits()["KUBE_CHANGE_MS"], made


def test_T02_a_workload_of_many_pods_changes_at_once(node, oracle, api, kube, http):
    """Pods that change together are one change, however many they are."""
    web, new = http(), http()
    pods = [node.container(f"web-7d9c8b6f5d-b{i:04}", "shop") for i in range(60)]
    owner = api.deployment("web", "shop", drains=web.url("batch=ndjson"))
    rs = api.replicaset("web-7d9c8b6f5d", "shop", owner=owner)
    for c in pods:
        api.pod_of(c, owner=rs)
    d = kube()
    wait_for(lambda: d.metric("logtrain_pending_streams") == 0, WAIT, "the pods' names")
    for n in range(1, 4):
        api.deployment("web", "shop", drains=new.url("batch=ndjson", path=f"/{n}"))
        wait_for(lambda n=n: [r["streams"] for r in d.drains() if f":{new.port}#" in r["name"]] == [60] and
                 len(d.drains()) == 1, WAIT, "all pods on the new drain")
    assert d.metric("logtrain_kubernetes_paced_namespaces_total") == 0


def test_T02_a_drain_without_streams_is_in_no_page(node, oracle, api, kube, http):
    """It may keep its connection for a while; its counters stay in the public sum over all owners' drains."""
    web, other = http(), http()
    c, source = node.container(POD, "shop"), oracle.source("a")
    c.write(source.take(50))
    api.workload(c, "web", drains=web.url("batch=ndjson"))
    d = kube()
    oracle.wait_complete(web, WAIT).assert_exact()
    d.wait_confirmed(web.port)
    api.deployment("web", "shop", drains=other.url("batch=ndjson"))
    wait_for(lambda: [r["name"].count(f":{other.port}#") for r in d.drains()] == [1], WAIT, "the new drain alone")
    assert f":{web.port}#" not in d.metrics().text
    other.refuse()
    api.deployment("web", "shop")
    wait_for(lambda: d.drains() == [], WAIT, "none")
    stays(lambda: 'logtrain_packets_sent_total{drain="owners"} 50' in d.get("/metrics")[1] and d.drains() == [], 2, "counters that are kept")


def far_urls():
    """Of eight drains that no other pod has, with long names."""
    def word():
        return uuid.uuid4().hex
    return ";".join(f"syslog+tls://{word()}.{word()}.test:1?servername={'s' * 60}.{word()}" if n % 2 else
                    f"https://{word()}.{'x' * 60}.test:1/{word()}?batch=ndjson&header=A:{'v' * 100}" for n in range(8))


def test_T15_pods_that_come_and_go_with_drains_of_their_own(node, oracle, api, limited, http):
    """Their drains are dead, so their logs are kept: 8,000 drains of five namespaces. A namespace has its share of places for
    drains, and others have theirs; what is refused gets a place when others have gone."""
    web, new = http(), http()
    calm, pods = node.container(POD, "calm"), []
    api.workload(calm, "web", drains=web.url("batch=ndjson"))
    source = oracle.source("calm")
    calm.write(source.take(5))
    d, check = limited()
    oracle.wait_complete(web, WAIT, ["calm"])
    for batch in range(5):
        made = []
        for i in range(200):
            c = node.container(f"web{batch}x{i}-7d9c8b6f5d-bcdfg", f"evil{i % 5}")
            pod = api.put("pods", c.pod.name, c.pod.namespace, uid=c.pod.uid, node=api.node, drains=far_urls())
            c.write([b"x" * 100] * 20)
            made.append((c, pod))
            assert i % 20 or d.metric("logtrain_memory_bound_bytes") < manifest_limit()  # also while all connect at once
        wait_for(lambda: d.metric("logtrain_pending_streams") == 0 or not d.running(), WAIT, "the pods' names")
        for c, pod in made:
            api.delete(pod)
            c.pod.delete()
        pods += made
        calm.write(source.take(100))
        oracle.wait_complete(web, WAIT, ["calm"])
    most = limits()["OWNERS_DRAINS_MAX"] + limits()["OWNERS_DRAINS_RESERVE"]
    assert limits()["OWNERS_DRAINS_MAX"] <= len(d.drains()) <= most
    assert any("too many different drains on this node" in e["message"] for e in api.events)
    api.deployment("web", "calm", drains=new.url("batch=ndjson"))  # what is guaranteed is there
    calm.write(source.take(100))
    wait_for(lambda: calm.write(source.take(1)) or new.count(), WAIT, "the new drain")
    check()


def test_T15_a_refused_drain_gets_a_place_when_others_have_gone(node, oracle, api, kube, http):
    """The share of its namespace is used up, and another namespace does not notice. It gets its lines from then on, as with any
    drain that is added to a pod."""
    late, other = http(), http()
    share = limits()["OWNERS_DRAINS_NAMESPACE_MAX"]
    for i, first in enumerate(range(0, share, 8)):
        c = node.container(f"w{i}-7d9c8b6f5d-bcdfg", "shop")
        api.workload(c, f"w{i}", drains=";".join(f"ws://127.0.0.1:1/{n}" for n in range(first, first + 8)))
    d = kube()
    wait_for(lambda: d.metric("logtrain_routes") == share, WAIT, "their routes")
    for name, namespace, peer in (("late", "shop", late), ("other", "calm", other)):
        c = node.container(f"{name}-7d9c8b6f5d-bcdfg", namespace)
        c.write(oracle.source(name).take(20))
        api.workload(c, name, drains=peer.url("batch=ndjson"))
        if name == "late":
            waiting = c
    oracle.wait_complete(other, WAIT, ["other"]).assert_exact()
    wait_for(lambda: [e for e in api.events if "too many different drains" in e["message"]], WAIT, lambda: api.events)
    assert {e["involvedObject"]["name"] for e in api.events if e["reason"] == "DrainRefused"} == {"late"}
    assert late.count() == 0
    api.deployment("w0", "shop", drains="none")
    wait_for(lambda: waiting.write(oracle.sources["late"].take(1)) or late.count(), WAIT, "lines of the late one")


def almost_a_mib():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1048000\r\n\r\n" + b'{"items":[' + b" " * 1_040_000
    while True:
        time.sleep(0.5)
        yield b" "


def test_T15_answers_that_hang_have_a_bound(node, oracle, api, limited, closing, http):
    """160 es:// drains of four namespaces, whose receivers send most of a MiB and then single bytes: they share one budget, and
    answers of another tenant's Elasticsearch are read."""
    good = closing(Elastic())
    evil = [http(answers=lambda _: Answer(raw=almost_a_mib(), counts=False)) for _ in range(4)]
    calm = node.container(POD, "calm")
    api.workload(calm, "web", drains=good.url())
    for space in range(4):
        for i in range(5):
            c = node.container(f"web{i}-7d9c8b6f5d-bcdfg", f"evil{space}")
            api.workload(c, f"web{i}", drains=";".join(f"es+http://127.0.0.1:{e.port}/s{space}-{i}-{n}" for e in evil
                                                       for n in range(2)))
            c.write([b"x" * 100] * 200)
    d, check = limited()
    wait_for(lambda: sum(len(e.requests) for e in evil) >= 160 or not d.running(), WAIT, "the answers that hang")
    assert d.running()
    source = oracle.source("calm")
    calm.write(source.take(3000))
    oracle.wait_complete(good, WAIT, ["calm"])
    check()


def pod_of(node, api, owner, name, namespace, containers):
    """A pod of <owner> with so many logs, each of which has a line."""
    pod = node.pod(name, namespace)
    logs = [pod.container(f"c{n}") for n in range(containers)]
    known = api.pod_of(logs[0], owner=owner)
    for log in logs:
        log.write([b"x" * 100])
    return pod, known


def dead_workload(api, namespace):
    return api.replicaset("web-7d9c8b6f5d", namespace, owner=api.deployment("web", namespace, drains=new_urls("http")))


def wait_named(d):
    wait_for(lambda: not d.running() or d.metric("logtrain_pending_streams") == 0, WAIT, "the pods' names")
    assert d.running()


def calm_tenant(node, oracle, api, limited, peer):
    """A namespace whose drain is dead for a while, and whose pod is gone meanwhile."""
    calm = node.container(POD, "calm")
    api.workload(calm, "web", drains=peer.url("batch=ndjson"))
    source = oracle.source("calm")
    calm.write(source.take(5))
    d, check = limited()
    oracle.wait_complete(peer, WAIT, ["calm"])
    peer.refuse("reset")
    calm.write(source.take(50))
    calm.pod.delete()
    return d, check


def test_T15_many_containers(node, oracle, api, limited, http):
    """More logs than a namespace may have: they are refused, which is told, and counted when they are gone. Others have their share."""
    peer = http()
    calm = node.container(POD, "calm")
    api.workload(calm, "web", drains=peer.url("batch=ndjson"))
    d, check = limited()
    rs, share = dead_workload(api, "evil"), limits()["LOGS_NAMESPACE_MAX"]
    made = [pod_of(node, api, rs, f"web-7d9c8b6f5d-{i:05}", "evil", 50) for i in range(share // 50 + 2)]
    wait_for(lambda: d.metric("logtrain_streams") > share, WAIT, "the share to be used up")
    calm.write(oracle.source("calm").take(50))
    oracle.wait_complete(peer, WAIT, ["calm"])
    assert d.metric("logtrain_streams") == share + 1
    wait_for(lambda: "LogRefused" in {e["reason"] for e in api.events}, WAIT, "the owner to be told")
    refused = len(made) * 50 - share
    wait_for(lambda: d.metric("logtrain_refused_files_total") == refused, WAIT, "all to be looked at")
    assert d.log_lines("its namespace has too many logs .*namespace=evil")
    for pod, known in made:
        api.delete(known)
        pod.delete()
    wait_for(lambda: d.metric("logtrain_missed_containers_total") == refused, WAIT, "what was refused to be counted")
    check()


def test_T15_many_small_logs_of_pods_that_are_gone(node, oracle, api, limited, http):
    """1,000 logs of eight dead drains each. A namespace has its share of such pairs, and others have theirs."""
    peer = http()
    d, check = calm_tenant(node, oracle, api, limited, peer)
    rs = dead_workload(api, "evil")
    for batch in range(2):
        made = [pod_of(node, api, rs, f"web-7d9c8b6f5d-{batch:02}{i:03}", "evil", 50) for i in range(10)]
        wait_named(d)
        for pod, known in made:
            api.delete(known)
            pod.delete()
    limit = limits()
    most = limit["CURSORS_NAMESPACE_MAX"] + limit["CURSORS_GUARANTEED"]
    wait_for(lambda: d.metric("logtrain_refused_cursors"), WAIT, "some to be refused")
    assert limit["CURSORS_NAMESPACE_MAX"] <= d.metric("logtrain_cursors") <= most
    assert {e["involvedObject"]["namespace"] for e in api.events if e["reason"] == "LogRefused"} == {"evil"}
    assert d.log_lines("a log is not sent to a drain: .*namespace=evil")
    peer.resume()
    oracle.wait_complete(peer, WAIT, ["calm"])
    check()
