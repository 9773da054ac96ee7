"""Faults of an API server (docs/faults.md K01–K09, client-go's reflector cases), by scripts of lib/kapi.py."""

import json
import time

import pytest
from lib.daemon import SLOW
from lib.kapi import Kapi, body, names, reset, silence, status
from lib.node import Writer
from lib.wait import stays, wait_for

WAIT = 40 * SLOW


@pytest.fixture
def web(node, api, syslog_tcp):
    """A Deployment with a drain: .container, .peer, .write()"""
    class Web:
        peer = syslog_tcp()
        container = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    Web.deployment = api.workload(Web.container, "web", drains=Web.peer.url())
    return Web


def watching(d, n=8):
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == n, WAIT, f"{n} open watches")


def moves(api, d, web, peer):
    """Changes the workload's drain by an annotation and waits until the daemon uses the new one."""
    api.deployment("web", "shop", drains=peer.url())
    wait_for(lambda: (web.container.write([b"after"]), peer.count())[1] > 0, WAIT, "lines at the new drain")


def gone(handler):
    status(410, "Expired", "too old resource version")(handler)


@pytest.mark.parametrize("how", ["status", "event", "event-as-gone"])
def test_K01_410_lists_again_and_changes_nothing(api, kube, web, oracle, syslog_tcp, how):
    """FullListIfExpired: the drain keeps its connection; changes that were missed are found; deleted objects are gone."""
    other = syslog_tcp()
    extra = api.namespace("extra")
    d = kube()
    watching(d)
    with Writer(web.container, oracle.source("a"), rate=500) as writer:
        progress = oracle.progress(web.peer)
        wait_for(lambda: progress.distinct() > 10, WAIT, "lines")
        lists = d.metric("logtrain_kubernetes_lists_total", resource="deployments")
        if how == "status":
            api.script("deployments", "watch", gone)
            api.cut("deployments", "end")
        else:
            api.error("deployments", 410, "Expired" if how == "event" else "Gone")
        wait_for(lambda: d.metric("logtrain_kubernetes_lists_total", resource="deployments") > lists, WAIT, "a new list")
        watching(d)
        writer.stop()
    oracle.wait_complete(web.peer, WAIT).assert_exact()
    assert len(web.peer.connections) == 1
    moves(api, d, web, other)
    assert extra


def test_K01_a_page_that_expired(node, api, kube, web, oracle):
    """A continue token gets 410: the list is requested again, in one piece and without a version."""
    api.pages = True
    for n in range(1200):
        api.deployment(f"d-{n}", "many", silent=True)
    seen = []

    def expire(handler):
        seen.append(handler.path)
        gone(handler)

    def first(handler):  # one page, then its continuation has expired
        api.script("deployments", "list", expire)
        handler.list(api, "deployments", {"limit": "500"})

    api.script("deployments", "list", first)
    web.container.write(oracle.source("a").take(20))
    d = kube()
    oracle.wait_complete(web.peer, WAIT).assert_exact()
    watching(d)
    assert "continue=" in seen[0]
    with api.lock:
        last = [q for _, r, v, q, *_ in api.requests if (r, v) == ("deployments", "list")][-1]
    assert "limit" not in last and "continue" not in last
    assert d.metric("logtrain_kubernetes_objects", resource="deployments") == 1201


def test_pages_are_followed(api, kube, web, oracle):
    api.pages = True
    for n in range(1200):
        api.deployment(f"d-{n}", "many", silent=True)
    web.container.write(oracle.source("a").take(20))
    d = kube()
    oracle.wait_complete(web.peer, WAIT).assert_exact()
    watching(d)
    assert d.metric("logtrain_kubernetes_objects", resource="deployments") == 1201
    assert api.count("deployments", "list") == 3


def test_K02_a_watch_is_resumed_where_it_was(api, kube, web, oracle, syslog_tcp):
    """Ended in order, reset, cut in the middle of an event: missed events arrive, and nothing is listed again."""
    peers = [syslog_tcp() for _ in range(3)]
    d = kube()
    watching(d)
    for peer, how in zip(peers, ("end", "cut", "half")):
        if how == "half":
            api.raw("deployments", b'{"type":"MODIFIED","object":{"metadata":{"name":"we')
            how = "cut"
        api.cut("deployments", how)
        moves(api, d, web, peer)
    assert d.metric("logtrain_kubernetes_lists_total", resource="deployments") == 1
    with api.lock:
        versions = [q["resourceVersion"] for _, r, v, q, *_ in api.requests if (r, v) == ("deployments", "watch")]
    assert versions == sorted(versions, key=int) and len(set(versions)) >= 3


def test_K02_watches_that_end_at_once_are_not_a_storm(api, kube, web):
    """Very short watches without an event count as failures: pauses of 0.8 s and more between them, and no list."""
    api.script("deployments", "watch", body(b""), times=1000)
    d = kube()
    wait_for(lambda: api.count("deployments", "watch") >= 3, WAIT, "three tries")
    with api.lock:
        times = [at for at, r, v, *_ in api.requests if (r, v) == ("deployments", "watch")]
    assert all(b - a > 0.7 for a, b in zip(times, times[1:]))
    assert api.count("deployments", "list") == 1
    assert "it ended immediately" in d.log()


def test_K03_a_bookmark_moves_the_version(api, kube, web):
    d = kube()
    watching(d)
    api.bookmark("deployments")
    bookmark = str(api.version)
    api.raw("deployments", b"")
    api.cut("deployments", "end")
    wait_for(lambda: api.count("deployments", "watch") >= 2, WAIT, "the next watch")
    with api.lock:
        last = [q for _, r, v, q, *_ in api.requests if (r, v) == ("deployments", "watch")][-1]
    assert last["resourceVersion"] == bookmark


def test_K04_a_version_that_is_too_large(api, kube, web, oracle, syslog_tcp):
    """FullListIfTooLarge: the server was restored to an older state; the list is requested without a version."""
    other = syslog_tcp()
    d = kube()
    watching(d)
    api.error("deployments", 504, "Timeout", "Too large resource version", cause="ResourceVersionTooLarge")
    wait_for(lambda: api.count("deployments", "list") == 2, WAIT, "a new list")
    with api.lock:
        last = [q for _, r, v, q, *_ in api.requests if (r, v) == ("deployments", "list")][-1]
    assert "resourceVersion" not in last
    moves(api, d, web, other)


def test_K04_deleted_while_we_were_away(api, kube, web, oracle):
    """The next list finds it: a deleted namespace has no default."""
    plain = api.namespace("shop", drains="null://")
    d = kube()
    watching(d)
    assert d.metric("logtrain_kubernetes_objects", resource="namespaces") == 1
    api.delete(plain, silent=True)
    api.compact()
    api.cut("namespaces", "end")
    wait_for(lambda: d.metric("logtrain_kubernetes_objects", resource="namespaces") == 0, WAIT, "the namespace to go")


def test_K05_a_token_that_was_replaced(node, api, kube, web, oracle, tmp_path, syslog_tcp):
    """The old token gets 401: the file is read again at once. While it is missing, the old token is used. Neither is logged."""
    other, third = syslog_tcp(), syslog_tcp()
    token = tmp_path / "token"
    token.write_text("canary-first\n")
    api.tokens = {"canary-first"}
    config = api.kubeconfig(tmp_path / "kubeconfig", user="tokenFile: token")
    d = kube(config=config)
    watching(d)
    token.rename(tmp_path / "away")
    api.cut("deployments", "end")
    moves(api, d, web, other)
    (tmp_path / "new").write_text("canary-second")
    (tmp_path / "new").rename(token)
    api.tokens = {"canary-second"}
    since = time.monotonic()
    api.cut("deployments", "end")
    moves(api, d, web, third)
    with api.lock:
        tries = [a for at, r, v, q, a, _ in api.requests if r == "deployments" and at > since]
    assert tries == ["Bearer canary-first", "Bearer canary-second"]
    assert "canary" not in d.log()


def test_K05_a_new_certificate_authority(node, api, daemon, kube, certs, closing, tmp_path, oracle, syslog_tcp):
    """Only the CA of the configuration is trusted; when its file changes, the new one is."""
    peer = syslog_tcp()
    server = closing(Kapi(tls=certs.server("good")))
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    server.workload(c, "web", drains=peer.url())
    c.write(oracle.source("a").take(10))
    ca = tmp_path / "ca.crt"
    ca.write_bytes(certs.pem("otherca").read_bytes())
    config = server.kubeconfig(tmp_path / "config", cluster="    certificate-authority: ca.crt\n")
    d = kube(config=config)
    wait_for(lambda: "certificate refused" in d.log(), WAIT, "the certificate to be refused")
    assert server.count() == 0
    ca.write_bytes(certs.pem("ca").read_bytes())
    oracle.wait_complete(peer, WAIT).assert_exact()


def test_client_certificates_and_tls_server_name(node, daemon, kube, certs, closing, tmp_path, oracle, syslog_tcp):
    import base64

    def data(path):
        return base64.b64encode(path.read_bytes()).decode()

    peer = syslog_tcp()
    context = certs.server("good")
    context.load_verify_locations(certs.pem("ca"))
    context.verify_mode = __import__("ssl").CERT_REQUIRED
    server = closing(Kapi(tls=context))
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    server.workload(c, "web", drains=peer.url())
    c.write(oracle.source("a").take(10))
    user = f"client-certificate-data: {data(certs.pem('good2'))}\n    client-key-data: {data(certs.key('good2'))}"
    config = server.kubeconfig(tmp_path / "config", user=user, cluster="    tls-server-name: localhost\n"
                               f"    certificate-authority-data: {data(certs.pem('ca'))}\n")
    kube(config=config)
    oracle.wait_complete(peer, WAIT).assert_exact()


def test_in_a_pod_the_service_account_is_used(node, daemon, certs, closing, tmp_path, oracle, syslog_tcp):
    """Requested by an operator's route, because a workload may not send to the API server's address, which is used here."""
    peer = syslog_tcp()
    server = closing(Kapi(tls=certs.server("good"), tokens={"canary-account"}))
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("canary-account")
    (account / "ca.crt").write_bytes(certs.pem("ca").read_bytes())
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    server.workload(c, "web", hostname="really")
    c.write(oracle.source("a").take(10))
    d = daemon(node, routes=[("really", peer.url())], env={"NODE": "node-1", "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                          "KUBERNETES_SERVICE_PORT": str(server.port), "KUBERNETES_SERVICEACCOUNT": str(account)})
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert "canary" not in d.log()


@pytest.mark.parametrize("what, trouble", [
    (status(429, "TooManyRequests", retry_after=1), "status 429"),
    (status(500, "InternalError"), "status 500"),
    (status(503, "ServiceUnavailable"), "status 503"),
    (reset, "closed the connection|reset by peer"),
], ids=["429", "500", "503", "reset"])
def test_K06_a_watch_that_is_refused_for_now(api, kube, web, syslog_tcp, what, trouble):
    """NoRelistOnTooManyRequests, RetryInternalError: the watch is retried after a pause, nothing is listed again."""
    other = syslog_tcp()
    d = kube()
    watching(d)
    times_refused = 4 if what is reset else 2  # a request on an idle connection that was reset is sent again at once
    api.script("deployments", "watch", what, times=times_refused)
    since = time.monotonic()
    api.cut("deployments", "end")
    moves(api, d, web, other)
    with api.lock:
        times = [at for at, r, v, *_ in api.requests if (r, v) == ("deployments", "watch") and at > since]
    assert len(times) == times_refused + 1 and times[-1] - times[0] > 0.7
    assert api.count("deployments", "list") == 1
    assert len(d.log_lines(trouble)) == 1


def test_K06_a_list_that_is_refused_for_now(api, kube, web, oracle):
    """Also answers that are not lists."""
    for resource, what in (("deployments", status(429, "TooManyRequests", retry_after=1)), ("deployments", status(500)),
                           ("pods", body(b'{"items":[{]')), ("pods", body(b"<html>")), ("replicasets", body(b"{}"))):
        api.script(resource, "list", what)
    web.container.write(oracle.source("a").take(20))
    kube()
    oracle.wait_complete(web.peer, WAIT).assert_exact()


def test_K06_retry_after_is_honoured(api, kube, web):
    api.script("deployments", "list", status(429, "TooManyRequests", retry_after=4))
    kube()
    wait_for(lambda: api.count("deployments", "list") == 2, WAIT, "the next try")
    with api.lock:
        times = [at for at, r, v, *_ in api.requests if (r, v) == ("deployments", "list")]
    assert times[1] - times[0] > 3.9


def test_K06_a_silent_watch(api, kube, web, syslog_tcp):
    """Headers, then silence for longer than the watch should last: it is given up and resumed. KUBERNETES_WATCH makes that quick
    here."""
    other = syslog_tcp()
    api.script("deployments", "watch", silence)
    d = kube(env={"KUBERNETES_WATCH": "1s"})
    watching(d)
    api.deployment("web", "shop", drains=other.url())
    stays(lambda: other.count() == 0, 0.3, "no request")
    wait_for(lambda: (web.container.write([b"x"]), other.count())[1] > 0, WAIT, "the new drain")


def test_K07_the_api_is_down_at_the_start(api, kube, web, oracle):
    """Files are neither read early nor skipped."""
    api.stop()
    web.container.write(oracle.source("a").take(100))
    d = kube()
    wait_for(lambda: d.log_lines("watch failed, will retry resource=pods"), WAIT, "the trouble")
    assert d.metric("logtrain_pending_streams") == 1
    web.container.write(oracle.source("b").take(100))
    api.start()
    oracle.wait_complete(web.peer, WAIT).assert_exact()


def test_K07_the_api_goes_down_later(api, kube, web, oracle, syslog_tcp):
    """Known routes keep working; changes made meanwhile are found afterwards, without a new list."""
    other = syslog_tcp()
    d = kube()
    watching(d)
    api.stop()
    wait_for(lambda: d.metric("logtrain_kubernetes_watching") == 0, WAIT, "the outage to be noticed")
    source = oracle.source("a")
    web.container.write(source.take(100))
    oracle.wait_complete(web.peer, WAIT).assert_exact()
    api.deployment("web", "shop", drains=other.url())
    api.start()
    wait_for(lambda: (web.container.write([b"after"]), other.count())[1] > 0, WAIT, "the change")
    watching(d)
    assert d.metric("logtrain_kubernetes_lists_total", resource="deployments") == 1
    assert d.log_lines("watch restored resource=deployments")


BIG = {"huge": {"metadata": {"name": "huge", "namespace": "shop", "uid": "u-huge", "annotations": {"x": "y" * (5 << 20)}}},
       "annotation": {"metadata": {"name": "long", "namespace": "shop", "uid": "u-long",
                                   "annotations": {"logtrain.akkeris.io/drains": "z" * 70000}}},
       "nameless": {"metadata": {"namespace": "shop"}}}


def test_K08_invalid_objects_are_skipped_and_logged(api, kube, web, syslog_tcp):
    """Each in an open watch, which goes on; memory does not grow."""
    other = syslog_tcp()
    d = kube()
    watching(d)
    nested = b'{"type":"ADDED","object":{"metadata":{"name":"deep","namespace":"shop","uid":"u-deep","x":' + b"[" * 10000
    api.raw("deployments", b'{"type":"ADDED","object":{"metadata":{"name":"torn","namespace":"shop","uid":"u-torn"\n')
    api.raw("deployments", nested + b"]" * 10000 + b"}}}\n")
    api.raw("deployments", b'{"type":"ADDED","object":{"metadata":{"name":"a\xff","uid":"u-x"}}}\n')
    before = d.rss()
    for what in BIG.values():
        api.raw("deployments", json.dumps({"type": "ADDED", "object": what}).encode() + b"\n")
    moves(api, d, web, other)
    wait_for(lambda: d.metric("logtrain_kubernetes_skipped_objects_total") == 6, WAIT, "six objects skipped")
    assert d.log_lines("object skipped resource=deployments namespace=shop name=torn")
    assert api.count("deployments", "watch") == 1
    assert d.rss() - before < (64 << 20 if SLOW > 1 else 4 << 20)


def test_K09_a_storm_of_annotations(api, kube, web, oracle):
    """A thousand updates a second of a hundred objects: the unchanged drain keeps its connection and its cursor."""
    d = kube()
    watching(d)
    with Writer(web.container, oracle.source("a"), rate=1000) as writer:
        progress = oracle.progress(web.peer)
        wait_for(lambda: progress.distinct() > 100, WAIT, "lines")
        for n in range(3000):
            api.deployment(f"d-{n % 100}", "shop", drains=f"syslog+tcp://192.0.2.1:{n + 1}")
            if n % 10 == 0:
                api.deployment("web", "shop", drains=web.peer.url(), annotations={"n": str(n)})
        wait_for(lambda: d.metric("logtrain_kubernetes_events_total", resource="deployments") >= 3300, WAIT, "the storm to pass")
        writer.stop()
    oracle.wait_complete(web.peer, WAIT).assert_exact()
    assert len(web.peer.connections) == 1


@pytest.mark.parametrize("resource", ["deployments", "replicasets", "pods", "namespaces"])
def test_a_missing_permission_is_named_and_the_rest_works(node, api, kube, web, oracle, syslog_tcp, resource):
    operator = syslog_tcp()
    api.forbidden.add(resource)
    web.container.write(oracle.source("a").take(20))
    d = kube(routes=[("web.shop", operator.url())])
    wait_for(lambda: d.log_lines(f"not allowed to list {resource}"), WAIT, "the permission to be named")
    oracle.wait_complete(operator, WAIT).assert_exact()
    assert f"kubernetes {resource} are not known yet: not allowed" in d.get("/readyz")[1]
    api.forbidden.clear()
    wait_for(lambda: (web.container.write([b"x"]), web.peer.count())[1] > 0, WAIT, "the drain, once it is allowed")
    assert ("web.shop", "web-7d9c8b6f5d-bcdfg") in names(web.peer)


# --- L18: ready when something can be delivered ----------------------------------------------------------------------


@pytest.mark.parametrize("forbidden", ["all", "pods", "all but pods"])
def test_L18_without_permissions_it_is_not_ready(api, kube, web, forbidden):
    """503 until pods and one kind of owner were read; a later outage of the API does not change it."""
    kinds = {"deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "namespaces"}
    api.forbidden |= {"all": kinds | {"pods"}, "pods": {"pods"}, "all but pods": kinds}[forbidden]
    d = kube()
    wait_for(lambda: d.log_lines("not allowed to list"), WAIT, "the permission to be named")
    code, text = d.get("/readyz")
    assert code == 503 and text.startswith("not ready: ") and "degraded: kubernetes" in text, text
    assert d.get("/healthz")[0] == 200
    api.forbidden.clear()
    wait_for(lambda: d.get("/readyz")[0] == 200, 2 * WAIT, "ready, once it is allowed")
    wait_for(lambda: (web.container.write([b"x"]), web.peer.count())[1] > 0, WAIT, "the drain, once it is allowed")
    api.stop()
    wait_for(lambda: "degraded: kubernetes" in d.get("/readyz")[1], 2 * WAIT, "the outage to be named")
    assert d.get("/readyz")[0] == 200


def test_L18_names_alone_do_not_keep_it_from_being_ready(api, kube, node, oracle, syslog_tcp):
    """Without KUBERNETES_DATASOURCE pods are named by their paths."""
    peer = syslog_tcp()
    api.stop()
    node.container("web-7d9c8b6f5d-bcdfg", "shop").write(oracle.source("a").take(20))
    d = kube(env={"IDENTITY_WAIT": "200ms", "KUBERNETES_DATASOURCE": "false"}, routes=[("*", peer.url())])
    oracle.wait_complete(peer, WAIT).assert_exact()
    assert d.get("/readyz")[0] == 200
