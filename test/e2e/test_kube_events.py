"""What the owner of a workload sees of his drains: Kubernetes Events on the object that has the annotation."""

import pytest
from lib.daemon import SLOW
from lib.kapi import status
from lib.preload import Files
from lib.wait import stays, wait_for

WAIT = 30 * SLOW
CANARY = "cnry5ecretPa55"
POD = "web-7d9c8b6f5d-bcdfg"


def reasons(api):
    return [e["reason"] for e in api.events]


def first(api, reason):
    wait_for(lambda: reason in reasons(api), WAIT, lambda: f"{reason} among {reasons(api)}")
    return next(e for e in api.events if e["reason"] == reason)


def on_the_deployment(event, deployment):
    meta = deployment["object"]["metadata"]
    return event["involvedObject"] == {"kind": "Deployment", "apiVersion": "apps/v1", "namespace": "shop", "name": "web",
                                       "uid": meta["uid"]}


def test_a_refused_url_is_named_once_masked_with_its_option(node, oracle, api, kube, syslog_tcp):
    """The valid URL in the same annotation works; another edit of the workload posts nothing again."""
    peer = syslog_tcp()
    c = node.container(POD, "shop")
    bad = f"http://u:{CANARY}@127.0.0.1/?timeout=never"
    deployment = api.workload(c, "web", drains=f"{peer.url()};{bad}")
    c.write(oracle.source("a").take(10))
    kube()
    event = first(api, "DrainRefused")
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert on_the_deployment(event, deployment)
    assert event["type"] == "Warning" and "option 'timeout'" in event["message"] and CANARY not in str(api.events)
    assert event["source"] == {"component": "logtrain", "host": api.node}
    api.deployment("web", "shop", drains=f"{bad};{peer.url()}")
    stays(lambda: len(api.events) == 1, 1, "one Event")


def test_a_failing_drain_looks_the_same_whatever_is_wrong_and_recovers(node, oracle, api, kube, syslog_tcp):
    """A port that refuses, and an address that the policy denies: the Events do not differ."""
    peer = syslog_tcp()
    peer.refuse()
    c, other = node.container(POD, "shop"), node.container("api-7d9c8b6f5d-bcdfg", "shop")
    deployment = api.workload(c, "web", drains=peer.url())
    api.workload(other, "api", drains="syslog+tcp://169.254.169.254:80")
    c.write(oracle.source("a").take(10))
    other.write([b"a line"])
    kube({"KUBERNETES_EVENTS_AFTER": "100ms"})
    wait_for(lambda: reasons(api).count("DrainFailing") == 2, WAIT, lambda: str(api.events))
    said = {e["involvedObject"]["name"]: e for e in api.events}
    assert on_the_deployment(said["web"], deployment)
    texts = {e["message"].split(": ", 1)[1] for e in said.values()}
    assert texts == {"fails; its lines are kept as long as their log files are"}
    peer.resume()
    event = first(api, "DrainRecovered")
    assert event["type"] == "Normal" and on_the_deployment(event, deployment)


def test_lost_bytes_are_reported(node, oracle, api, kube, http):
    peer = http()
    c = node.container(POD, "shop")
    deployment = api.workload(c, "web", drains=f"http://127.0.0.1:{peer.port}/")
    source = oracle.source("a")
    c.write(source.take(50))
    d = kube()
    oracle.wait_complete(peer, WAIT).assert_exact()
    peer.refuse("reset")
    c.write(source.take(50))
    wait_for(lambda: "drain failing" in d.log(), WAIT, "it has seen the lines")
    c.copytruncate()
    event = first(api, "LinesLost")
    assert on_the_deployment(event, deployment) and " bytes of the log were lost" in event["message"]


def test_a_namespaces_default_is_reported_on_the_pod(node, api, kube):
    c = node.container(POD, "shop")
    api.namespace("shop", drains="gopher://x")
    api.workload(c, "web")
    c.write([b"a line"])
    kube()
    event = first(api, "DrainRefused")
    assert event["involvedObject"]["kind"] == "Pod" and event["involvedObject"]["uid"] == c.pod.uid
    assert event["message"].startswith("drains of the namespace: ")


def test_a_drain_of_two_namespaces_is_reported_in_both(node, api, kube, syslog_tcp):
    peer = syslog_tcp()
    peer.refuse()
    for namespace in ("shop", "bank"):
        c = node.container(POD, namespace)
        api.namespace(namespace, drains=peer.url())
        api.workload(c, "web")
        c.write([b"a line"])
    kube({"KUBERNETES_EVENTS_AFTER": "100ms"})
    wait_for(lambda: {e["involvedObject"]["namespace"] for e in api.events} == {"shop", "bank"}, WAIT, lambda: str(api.events))


def bad_drains(node, api, n):
    for i in range(n):
        c = node.container(f"w{i}-7d9c8b6f5d-bcdfg", "shop")
        api.workload(c, f"w{i}", drains="gopher://x")


def test_without_the_permission_it_is_logged_once_and_tried_once(node, oracle, api, kube, syslog_tcp):
    api.forbidden.add("events")
    bad_drains(node, api, 5)
    d = kube()
    wait_for(lambda: "no permission to create events" in d.log(), WAIT, "the missing permission")
    stays(lambda: d.log().count("no permission to create events") == 1 and api.count("events", "create") == 1, 1, "no storm")


@pytest.mark.parametrize("what", [status(500, "InternalError"), status(429, "TooManyRequests", retry_after=1)])
def test_a_failed_event_is_not_sent_again(node, api, kube, what):
    api.script("events", "create", what, times=100)
    bad_drains(node, api, 5)
    kube()
    wait_for(lambda: api.count("events", "create"), WAIT, "an Event is tried")
    stays(lambda: api.count("events", "create") == 1, 1, "no storm")


def test_an_object_gets_five_at_once(node, api, kube):
    c = node.container(POD, "shop")
    api.workload(c, "web", drains=";".join(f"gopher://x{i}" for i in range(9)))
    kube()
    wait_for(lambda: len(api.events) == 5, WAIT, lambda: str(len(api.events)))
    stays(lambda: len(api.events) == 5, 1, "no more")


def test_T13_a_namespace_takes_nobody_elses_events(node, api, kube):
    """Forty workloads of one namespace have something to be told of; then one of another has."""
    for i in range(40):
        c = node.container(f"w{i}-7d9c8b6f5d-bcdfg", "evil")
        api.workload(c, f"w{i}", drains="gopher://x")
    kube()
    wait_for(lambda: len(api.events) >= 10, WAIT, lambda: str(len(api.events)))
    api.workload(node.container(POD, "shop"), "web", drains="gopher://x")
    wait_for(lambda: "shop" in {e["involvedObject"]["namespace"] for e in api.events}, WAIT, lambda: str(len(api.events)))


def test_switched_off(node, api, kube):
    bad_drains(node, api, 1)
    d = kube({"KUBERNETES_EVENTS": "false"})
    wait_for(lambda: "drain refused" in d.log(), WAIT, "the refusal")
    stays(lambda: not api.count("events"), 1, "no Event")


def test_L14_an_unreadable_log_is_reported_once(node, oracle, api, kube, http, tmp_path):
    """Both containers of one pod: one Event for their workload, and their lines arrive when they can be read."""
    files = Files(tmp_path)
    peer = http()
    files.fail("open", "EACCES", match=POD)
    pod = node.pod(POD, "shop")
    logs = [pod.container("main"), pod.container("side")]
    deployment = api.workload(logs[0], "web", drains=peer.url())
    kube(files.env)
    for c in logs:
        c.write(oracle.source(c.name).take(10))
    event = first(api, "LogUnreadable")
    assert on_the_deployment(event, deployment) and event["type"] == "Warning" and "cannot be read" in event["message"]
    stays(lambda: reasons(api).count("LogUnreadable") == 1, 3, "one Event")
    files.clear()
    oracle.wait_complete(peer, WAIT).assert_exact()


def test_the_first_line_that_arrives_is_told_once(node, oracle, api, kube, http):
    """Another pod of the workload, and a restart, say nothing again; another URL does."""
    one, other = http(), http()
    c = node.container(POD, "shop")
    deployment = api.workload(c, "web", drains=f"http://127.0.0.1:{one.port}/")
    source = oracle.source("a")
    c.write(source.take(10))
    d = kube()
    event = first(api, "DrainDelivering")
    assert event["type"] == "Normal" and on_the_deployment(event, deployment) and f":{one.port}#" in event["message"]
    oracle.wait_complete(one, WAIT, ["a"])
    more = node.container("web-7d9c8b6f5d-second", "shop")
    api.workload(more, "web", drains=f"http://127.0.0.1:{one.port}/")
    second = oracle.source("b")
    more.write(second.take(10))
    oracle.wait_complete(one, WAIT)
    d.wait_saved()
    d.stop()
    d.start()
    c.write(source.take(10))
    oracle.wait_complete(one, WAIT)
    api.deployment("web", "shop", drains=f"http://127.0.0.1:{other.port}/")

    def told():
        c.write(source.take(1))
        return f"127.0.0.1:{other.port}#" in str(api.events)
    wait_for(told, WAIT, lambda: str(api.events))
    assert reasons(api) == ["DrainDelivering"] * 2
