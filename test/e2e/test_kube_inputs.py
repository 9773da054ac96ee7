"""INPUT_OWNERS: lines that a trusted network input receives under a workload's name go to the workload's own drains, from any
node of the cluster. Lines of other inputs under that name do not. Here /events is trusted and /syslog is not."""

import json
import threading

import pytest
from lib import als
from lib.daemon import SLOW
from lib.kapi import names
from lib.wait import stays, wait_for
from test_http_in import curl, ndjson, packet

WAIT = 30 * SLOW
ON = {"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_SYSLOG": "true", "HTTP_ADDRESS": "127.0.0.1", "INPUT_OWNERS": "http_events"}


def send_trusted(d, messages, hostname="web.shop"):
    """Sends through the trusted input."""
    assert curl(d, "/events", ndjson([packet(m, hostname, tag="router") for m in messages])) == (200, "ok\n")


def send_untrusted(d, messages, hostname="web.shop"):
    """Sends through the other input."""
    body = b"".join(b"<14>1 2026-11-20T10:15:00Z %s router - - - %s\n" % (hostname.encode(), m) for m in messages)
    assert curl(d, "/syslog", body) == (200, "ok\n")


def unrouted(d, name="http_events"):
    return d.metric("logtrain_input_dropped_records_total", input=name, reason="unrouted") or 0


def until(d, source, wanted, hostname="web.shop"):
    """Sends a line, again and again, until <wanted>."""
    wait_for(lambda: (send_trusted(d, [source.next()], hostname), wanted())[1], WAIT, "a line to make the difference")


def synced(d):
    wait_for(lambda: d.metric("logtrain_kubernetes_synced") == 8, WAIT, "all lists to be read")
    return d


@pytest.fixture
def router(kube):
    """router(env=…): the daemon with both inputs."""
    return lambda env=None, **options: kube(env={**ON, **(env or {})}, **options)


def test_a_workloads_drain_gets_what_is_received_under_its_name(oracle, api, router, syslog_tcp):
    """Of every kind, with no pod of it on this node, whether its name was received first or its annotation."""
    peer, early = syslog_tcp(), oracle.source("early")
    for kind in ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs"):
        api.put(kind, kind, "shop", drains=peer.url())
    api.put("deployments", "with.dots", "shop", drains=peer.url())
    d = router()
    send_trusted(d, early.take(100), "deployments.shop")  # waits for the API if necessary
    synced(d)
    for kind in ("statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "with.dots"):
        send_trusted(d, oracle.source(kind).take(100), f"{kind}.shop")
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert names(peer) == {(f"{kind}.shop", "router") for kind in
                           ("deployments", "statefulsets", "daemonsets", "replicasets", "jobs", "cronjobs", "with.dots")}
    rows = d.drains()
    assert len(rows) == 1 and rows[0]["streams"] == 7 and rows[0]["counters"]["records_in"] == 700
    assert d.metric("logtrain_routes") == 7 and d.metric("logtrain_journal_hostnames") == 7
    send_trusted(d, [b"nobody's"] * 5, "nobody.shop")
    send_trusted(d, [b"nobody's"] * 5, "deployments")
    assert unrouted(d) == 10


def test_K12_a_claimed_hostname_receives_nothing(node, oracle, api, router, syslog_tcp):
    """By annotation, by an owner that does not exist, in another namespace, with and without a pod here."""
    victim, thief = syslog_tcp(), syslog_tcp()
    api.deployment("web", "shop", drains=victim.url())
    api.deployment("thief", "shop", drains=thief.url(), hostname="web.shop")
    api.deployment("web", "evil", drains=thief.url(), hostname="web.shop")
    api.deployment("shop", "web", drains=thief.url())
    ref = {"apiVersion": "example.com/v1", "kind": "Web", "name": "web", "uid": "w-1"}
    api.deployment("forger", "shop", drains=thief.url(), owner_ref=ref)
    api.put("statefulsets", "web.shop", "evil", drains=thief.url())
    c = node.container("thief-7d9c8b6f5d-abcde", "evil")
    api.workload(c, "pod-thief", drains=thief.url(), hostname="web.shop")
    c.write(oracle.source("thief").take(5))
    d = synced(router({"KUBERNETES": "true"}))
    send_trusted(d, oracle.source("router").take(100))
    oracle.wait_complete(victim, WAIT, ["router"]).assert_exact()
    oracle.wait_complete(thief, WAIT, ["thief"]).assert_exact()
    api.delete(next(o for o in api.objects["deployments"].values()
                    if o["object"]["metadata"]["name"] == "web" and o["object"]["metadata"]["namespace"] == "shop"))
    seen = victim.count()
    wait_for(lambda: (send_trusted(d, [b"x"]), unrouted(d))[1] > 0, WAIT, "the name to be nobody's")
    assert thief.count() == 5 and victim.count() >= seen


def test_another_input_is_not_trusted(oracle, api, router, syslog_tcp):
    """Not even while the trusted input uses the same hostname; the operator's route gets both."""
    owner, operator = syslog_tcp(), syslog_tcp()
    api.deployment("web", "shop", drains=owner.url())
    d = synced(router())
    send_untrusted(d, [b"claimed"] * 3)
    assert unrouted(d, "http_syslog") == 3
    send_trusted(d, oracle.source("true").take(50))
    send_untrusted(d, [b"claimed"] * 3)
    oracle.wait_complete(owner, WAIT).assert_exact()
    assert unrouted(d, "http_syslog") == 6
    assert d.metric("logtrain_journal_hostnames") == 1
    d.stop()
    both = synced(router(drains=[("web.*", operator.url())]))
    for i in range(20):
        send_trusted(both, oracle.source(f"true{i}").take(5))
        send_untrusted(both, oracle.source(f"false{i}").take(5))
    true = [f"true{i}" for i in range(20)]
    oracle.wait_complete(operator, WAIT, true + [f"false{i}" for i in range(20)]).assert_exact()
    oracle.wait_complete(owner, WAIT, ["true", *true]).assert_exact()
    assert both.metric("logtrain_journal_hostnames") == 2


def test_without_the_setting_nothing_is_trusted(api, router, syslog_tcp):
    peer = syslog_tcp()
    api.deployment("web", "shop", drains=peer.url())
    d = synced(router({"INPUT_OWNERS": ""}))
    send_trusted(d, [b"x"] * 10)
    assert unrouted(d) == 10 and d.metric("logtrain_journal_hostnames") == 0 and peer.count() == 0


def test_annotations_come_change_and_go(oracle, api, router, syslog_tcp):
    first, second, source = syslog_tcp(), syslog_tcp(), oracle.source("a")
    api.deployment("web", "shop")
    d = synced(router())
    send_trusted(d, [source.next()])
    assert unrouted(d) == 1
    api.deployment("web", "shop", drains=first.url())
    until(d, source, lambda: first.count() > 0)
    api.deployment("web", "shop", drains=second.url())
    until(d, source, lambda: second.count() > 0)
    wait_for(lambda: first.count() + second.count() >= source.written - unrouted(d), WAIT, "what went to the first drain")
    have = first.count()
    send_trusted(d, source.take(20))
    wait_for(lambda: second.count() >= 20, WAIT, "lines at the second drain")
    assert first.count() == have
    w = api.deployment("web", "shop")
    wait_for(lambda: d.metric("logtrain_routes") == 0, WAIT, "the drains to go")
    before, have = unrouted(d), second.count()
    send_trusted(d, source.take(20))
    assert unrouted(d) == before + 20
    api.deployment("web", "shop", drains=second.url())
    until(d, source, lambda: second.count() > have)
    api.delete(w)
    wait_for(lambda: d.metric("logtrain_routes") == 0, WAIT, "the workload to go")
    before = unrouted(d)
    send_trusted(d, source.take(20))
    assert unrouted(d) == before + 20
    assert not oracle.check(second.messages()).dup


def test_the_namespace_is_a_default(oracle, api, router, syslog_tcp):
    """For workloads without an annotation; `none` means no drain; and a hostname that is no workload belongs to no namespace."""
    common, own = syslog_tcp(), syslog_tcp()
    api.namespace("shop", drains=common.url())
    api.deployment("plain", "shop")
    api.deployment("special", "shop", drains=own.url())
    api.deployment("off", "shop", drains="none")
    d = synced(router())
    send_trusted(d, oracle.source("plain").take(20), "plain.shop")
    send_trusted(d, oracle.source("special").take(20), "special.shop")
    send_trusted(d, [b"x"] * 20, "off.shop")
    send_trusted(d, [b"x"] * 20, "nobody.shop")
    oracle.wait_complete(common, WAIT, ["plain"]).assert_exact()
    oracle.wait_complete(own, WAIT, ["special"]).assert_exact()
    assert unrouted(d) == 40
    api.namespace("shop")
    wait_for(lambda: d.metric("logtrain_routes") == 1, WAIT, "the default to go")
    send_trusted(d, [b"x"] * 20, "plain.shop")
    assert unrouted(d) == 60 and common.count() == 20
    api.namespace("shop", drains=common.url())
    until(d, oracle.source("again"), lambda: common.count() > 20, "plain.shop")


def test_two_kinds_of_one_name_both_have_a_right_to_it(oracle, api, router, syslog_tcp):
    one, two, default = syslog_tcp(), syslog_tcp(), syslog_tcp()
    api.namespace("shop", drains=default.url())
    api.deployment("web", "shop", drains=one.url())
    api.put("statefulsets", "web", "shop", drains=two.url() + ";" + one.url())
    api.put("jobs", "web", "shop", drains="none")
    d = synced(router())
    send_trusted(d, oracle.source("a").take(50))
    for peer in one, two:
        oracle.wait_complete(peer, WAIT).assert_exact()
    assert default.count() == 0
    api.put("daemonsets", "web", "shop")  # which has no annotation itself
    until(d, oracle.source("b"), lambda: default.count() > 0)


def test_limits_and_the_egress_policy_apply(api, router, syslog_tcp):
    peer = syslog_tcp()
    api.deployment("web", "shop", drains="\n".join(peer.url(f"timeout={n}s") for n in range(1, 13)))
    api.deployment("bad", "shop", drains="gopher://x; " + peer.url())
    d = synced(router({"EGRESS_ALLOW": ""}))
    send_trusted(d, [b"x"])
    send_trusted(d, [b"x"], "bad.shop")
    wait_for(lambda: d.metric("logtrain_routes") == 11, WAIT, lambda: f"the routes: {d.tail()}")
    assert "a workload may have 10 drains" in d.log()
    line, = [one for one in d.log_lines("drain refused") if "gopher" in one]
    assert "namespace=shop" in line and "name=bad" in line and "Deployment" in line
    wait_for(lambda: len(d.drains()) == 11 and all("address not allowed: loopback" in (r["last_error"] or "") for r in d.drains()),
             WAIT, "the policy to refuse them all")
    assert peer.connections == [] and not api.events


def test_elasticsearch_writes_to_the_namespaces_index(api, router, http):
    """As for lines of pods. Where an index name is made from the hostname, the hostname is not trusted."""
    es = http()
    api.deployment("web", "shop", drains=f"es+http://127.0.0.1:{es.port}/")
    send_trusted(synced(router()), [b"hello"])
    wait_for(lambda: es.requests, WAIT, "a request")
    action, document = es.requests[0].body.splitlines()
    assert json.loads(action)["create"]["_index"] == "logtrain-shop"
    assert {k: json.loads(document)[k] for k in ("hostname", "tag", "message")} == \
        {"hostname": "web.shop", "tag": "router", "message": "hello"}


@pytest.mark.parametrize("akkeris", ["false", "true"])
def test_envoys_lines_about_a_workload_are_its_own(api, kube, syslog_tcp, closing, tmp_path, akkeris):
    peer, other, ports = syslog_tcp(), syslog_tcp(), tmp_path / "input-ports"
    api.deployment("web", "shop", drains=peer.url())
    api.deployment("other", "shop", drains=other.url(), hostname="web.shop")
    d = synced(kube(env={"KUBERNETES": "false", "ENVOY": "true", "ENVOY_PORT": "0", "INPUT_ADDRESS": "127.0.0.1",
                         "INPUT_PORTS_FILE": ports, "INPUT_OWNERS": "envoy", "AKKERIS": akkeris}))
    client = closing(als.Client(int(ports.read_text().split()[1])))
    stream = client.request(als.V3)
    entries = [als.http_entry(f"/{n}", "outbound|80||web.shop.svc.cluster.local") for n in range(5)]
    client.message(stream, als.identifier() + als.http_logs(*entries))
    assert client.finish(stream) == 0
    wait_for(lambda: peer.count() == 5, WAIT, "the router's lines")
    assert names(peer) == {("web-shop", "akkeris/router") if akkeris == "true" else ("web.shop", "envoy")}
    assert other.count() == 0 and len(d.drains()) == 1


def test_akkeris_names(oracle, api, router, syslog_tcp):
    """`<name>-<namespace>`; labels claim nothing; an ambiguous name belongs to no workload."""
    peer, other = syslog_tcp(), syslog_tcp()
    api.deployment("web", "shop", drains=peer.url())
    api.deployment("other", "shop", drains=other.url(),
                   labels={"akkeris.io/app-name": "web", "akkeris.io/dyno-type": "web"})
    api.deployment("my-app", "my-space", drains=peer.url())
    d = synced(router({"AKKERIS": "true"}))
    send_trusted(d, [b"x"], "web.shop")
    assert unrouted(d) == 1
    send_trusted(d, oracle.source("a").take(20), "web-shop")
    send_trusted(d, oracle.source("b").take(20), "my-app-my-space")
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert other.count() == 0
    api.deployment("my", "app-my-space")  # it is meant even without an annotation
    wait_for(lambda: d.metric("logtrain_routes") == 1, WAIT, "the route to go")
    send_trusted(d, [b"x"], "my-app-my-space")
    assert unrouted(d) == 2
    assert d.metric("logtrain_kubernetes_ambiguous_hostnames_total") == 1
    line, = d.log_lines("names of workloads in two namespaces") or d.log_lines("is the name of workloads in two namespaces")
    assert "my-space" in line and "app-my-space" in line


def test_what_is_spooled_is_still_the_workloads(oracle, api, router, syslog_tcp, tmp_path):
    peer = syslog_tcp()
    peer.refuse()
    api.deployment("web", "shop", drains=peer.url())
    env = {"SPOOL_PATH": tmp_path / "spool", "STATE_PATH": tmp_path / "state"}
    d = synced(router(env))
    send_trusted(d, oracle.source("a").take(100))
    d.kill()
    peer.resume()
    again = router(env)
    oracle.wait_complete(peer, WAIT).assert_exact()
    send_trusted(again, oracle.source("b").take(10))
    oracle.wait_complete(peer, WAIT).assert_exact()


@pytest.mark.parametrize("owners", ["", "http_syslog"])
def test_spooled_lines_of_an_input_that_is_not_trusted_any_more(oracle, api, router, syslog_tcp, tmp_path, owners):
    """Operators' routes get the lines, with those of other inputs under that hostname. When the input is trusted again, so are
    they."""
    peer, operator = syslog_tcp(), syslog_tcp()
    peer.refuse()
    api.deployment("web", "shop", drains=peer.url())
    env = {"SPOOL_PATH": tmp_path / "spool", "STATE_PATH": tmp_path / "state"}
    d = synced(router(env))
    send_trusted(d, oracle.source("a").take(100))
    d.kill()
    peer.resume()
    off = synced(router({**env, "INPUT_OWNERS": owners}, drains=[("web.shop", operator.url())]))
    oracle.wait_complete(operator, WAIT, ["a"]).assert_exact()
    stays(lambda: peer.count() == 0, 0.5, "nothing at the workload's drain")
    assert off.metric("logtrain_journal_hostnames") == 1
    off.kill()  # before the operator's drain has confirmed
    again = router({**env, "INPUT_OWNERS": "http_events, http_syslog"})
    oracle.wait_complete(peer, WAIT, ["a"])
    again.stop()


def test_lines_wait_until_the_api_has_answered(oracle, api, router, syslog_tcp):
    """A list that arrives late: received lines wait, as those of a container do, and then go to the right drain."""
    peer, operator = syslog_tcp(), syslog_tcp()
    api.deployment("web", "shop", drains=peer.url())
    late = threading.Event()
    api.script("statefulsets", "list", lambda handler: (late.wait(WAIT), handler.list(api, "statefulsets", {})))
    d = router(drains=[("web.shop", operator.url())])
    send_trusted(d, oracle.source("a").take(50))
    send_trusted(d, [b"x"] * 50, "nobody.shop")
    assert d.metric("logtrain_pending_streams") == 2 and peer.count() == operator.count() == 0
    late.set()
    for one in peer, operator:
        oracle.wait_complete(one, WAIT).assert_exact()
    assert d.metric("logtrain_pending_streams") == 0
    send_trusted(d, [b"x"] * 7, "nobody.shop")
    assert unrouted(d) == 7


def test_without_an_answer_operators_routes_go_on(oracle, api, router, syslog_tcp):
    """IDENTITY_WAIT after the start nothing waits any longer; when the API answers, the kept lines go to the workload too."""
    peer, operator = syslog_tcp(), syslog_tcp()
    api.deployment("web", "shop", drains=peer.url())
    api.stop()
    d = router({"IDENTITY_WAIT": "500ms"}, drains=[("web.shop", operator.url())])
    send_trusted(d, oracle.source("a").take(50))
    oracle.wait_complete(operator, WAIT).assert_exact()
    assert peer.count() == 0
    send_trusted(d, [b"x"] * 5, "other.shop")
    assert unrouted(d) == 5
    api.start()
    synced(d)
    until(d, oracle.source("b"), lambda: peer.count() > 0)


def test_a_bad_list_refuses_to_start(daemon, api, tmp_path):
    def log_of(env):
        d = daemon(env={**ON, **env}, drains=[("*", "null://")], wait=False,
                   args=["--kube-config", str(api.kubeconfig(tmp_path / "kubeconfig"))])
        assert wait_for(lambda: d.process.poll() is not None, WAIT, "its end")
        d.process = None
        return d.log()

    assert "INPUT_OWNERS: unknown network input 'evoy'" in log_of({"INPUT_OWNERS": "http_events evoy",
                                                                     "KUBERNETES_DATASOURCE": "true", "NODE": "node-1"})
    assert "INPUT_OWNERS: needs KUBERNETES_DATASOURCE=true" in log_of({})


def test_K12_lines_of_another_owner_of_the_name_are_not_delivered(api, router, syslog_tcp):
    """Akkeris: the name becomes ambiguous, and then belongs to its first workload again. Lines received in between belonged to
    another."""
    peer, archive = syslog_tcp(), syslog_tcp()
    api.deployment("my", "app-my-space", drains=peer.url())
    d = synced(router({"AKKERIS": "true"}, drains=[("*", archive.url())]))
    send_trusted(d, [b"mine"], "my-app-my-space")
    wait_for(lambda: peer.count() == 1, WAIT, "the first line")
    other = api.deployment("my-app", "my-space")
    wait_for(lambda: d.metric("logtrain_kubernetes_ambiguous_hostnames_total") == 1, WAIT, "the name to be nobody's")
    send_trusted(d, [b"secret"] * 3, "my-app-my-space")
    wait_for(lambda: archive.count() == 4, WAIT, "the operator's copy")
    api.delete(other)
    until_seen(d, peer)


def until_seen(d, peer, hostname="my-app-my-space"):
    """The drain gets new lines again, and none of the secret ones."""
    wait_for(lambda: (send_trusted(d, [b"after"], hostname), any(b"after" in m for m in peer.messages()))[1], WAIT, "a new line")
    assert not [m for m in peer.messages() if b"secret" in m]


def test_K12_spooled_lines_do_not_go_to_the_next_owner(api, router, syslog_tcp, tmp_path):
    """The name belongs to another namespace when the daemon comes back; operators get all lines."""
    peer, archive = syslog_tcp(), syslog_tcp()
    archive.refuse()
    victim = api.deployment("my-app", "my-space")
    env = {"AKKERIS": "true", "SPOOL_PATH": tmp_path / "spool", "STATE_PATH": tmp_path / "state"}
    d = synced(router(env, drains=[("*", archive.url())]))
    send_trusted(d, [b"secret"] * 3, "my-app-my-space")
    d.kill()
    api.delete(victim)
    api.deployment("my", "app-my-space", drains=peer.url())
    again = synced(router(env, drains=[("*", archive.url())]))
    until_seen(again, peer)
    archive.resume()
    wait_for(lambda: sum(b"secret" in m for m in archive.messages()) == 3, WAIT, "the operator's copy")


@pytest.mark.parametrize("killed", [False, True])
def test_K12_a_saved_position_skips_no_line_of_another(api, router, syslog_tcp, tmp_path, killed):
    """The state has the drain's position from when the name belonged to its workload; it belongs to it again, now or after
    another start."""
    peer, archive = syslog_tcp(), syslog_tcp()
    archive.refuse()
    api.namespace("app-my-space")
    api.deployment("my", "app-my-space", drains=peer.url())
    env = {"AKKERIS": "true", "SPOOL_PATH": tmp_path / "spool", "STATE_PATH": tmp_path / "state"}
    d = synced(router(env, drains=[("*", archive.url())]))
    send_trusted(d, [b"mine"], "my-app-my-space")
    wait_for(lambda: peer.count() == 1, WAIT, "the first line")
    d.stop()
    other = api.deployment("my-app", "my-space")
    d = synced(router(env, drains=[("*", archive.url())]))
    send_trusted(d, [b"secret"] * 3, "my-app-my-space")
    if killed:
        d.kill()
    api.delete(other)
    if killed:
        d = synced(router(env, drains=[("*", archive.url())]))
    until_seen(d, peer)


def test_what_is_spooled_for_it_in_the_same_namespace_is_its_own(oracle, api, router, syslog_tcp, tmp_path):
    """Also behind lines that belonged to another; a namespace that was deleted and created with the same name is another one."""
    peer = syslog_tcp()
    peer.refuse()
    ns = api.namespace("shop")
    web = api.deployment("web", "shop", drains=peer.url())
    env = {"SPOOL_PATH": tmp_path / "spool", "STATE_PATH": tmp_path / "state"}
    d = synced(router(env))
    send_trusted(d, [b"secret"] * 3)
    d.kill()
    api.delete(web)
    api.delete(ns)
    api.namespace("shop", uid="another-one")
    api.deployment("web", "shop", drains=peer.url())
    d = synced(router(env))
    send_trusted(d, oracle.source("a").take(100))
    d.kill()
    peer.resume()
    d = synced(router(env))
    oracle.wait_complete(peer, WAIT).assert_exact()
    until_seen(d, peer, "web.shop")
