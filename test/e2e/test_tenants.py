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

        def check():
            bound = d.metric("logtrain_memory_bound_bytes")
            print(f"\nRSS {d.rss_peak() / MIB:.1f} MiB at most, bound {bound / MIB:.1f}, cgroup's peak {group.peak() / MIB:.1f} of "
                  f"{manifest_limit() / MIB:.0f} MiB")
            assert group.killed() == 0
            assert d.rss_peak() < bound < manifest_limit()
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
