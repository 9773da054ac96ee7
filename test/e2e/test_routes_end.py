"""L17: lines written while no route wants them are not sent later. L4: a changed URL continues at the position of the old one.
Under the default READ_FROM=end; numbered lines in, exactly that set out."""

from types import SimpleNamespace

import pytest
from lib.daemon import SLOW
from lib.node import Writer
from lib.wait import wait_for

WAIT = 30 * SLOW


@pytest.fixture
def web(node, api, http):
    """A pod of the Deployment web in shop, and its receiver."""
    web = SimpleNamespace(container=node.container("web-7d9c8b6f5d-bcdfg", "shop"), peer=http())
    web.url = web.peer.url("batch=ndjson")
    web.deployment = api.workload(web.container, "web", drains=web.url)
    return web


@pytest.fixture
def daemon(daemon):
    """The daemon with default settings."""
    return lambda *args, env=None, **options: daemon(*args, env={"READ_FROM": "end", **(env or {})}, **options)


def drained(d, n):
    """Waits until that many streams have a drain."""
    wait_for(lambda: d.metric("logtrain_cursors") - d.metric("logtrain_parked_cursors") == n, WAIT, lambda: f"{n} cursors:\n{d.tail()}")


def public(oracle, web, name, n=20):
    web.container.write(oracle.source(name).take(n))
    oracle.wait_complete(web.peer, WAIT, [name])


def secret(web, n=20):
    web.container.write([b"SECRET %d" % i for i in range(n)])


def told(web):
    return [m for m in web.peer.messages() if b"SECRET" in m]


ENDS = {"none": {"drains": "none"}, "empty": {"drains": ""}, "removed": {}}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("restart", ["", "kill", "stop"])
def test_L17_what_is_written_under_none_is_not_sent(node, oracle, api, kube, web, end, restart):
    """Twice in a row, and the daemon is killed or stopped in between."""
    d = kube()
    public(oracle, web, "public0")
    for i in range(1, 3):
        api.deployment("web", "shop", **ENDS[end])
        drained(d, 0)
        if restart:
            d.wait_saved()
            d.kill() if restart == "kill" else d.stop()
        secret(web)
        if restart:
            d.start()
        api.deployment("web", "shop", drains=web.url)
        drained(d, 1)
        public(oracle, web, f"public{i}")
    assert not told(web)
    oracle.wait_complete(web.peer, WAIT)


def test_L17_killed_as_soon_as_it_is_seen(node, oracle, api, kube, web):
    d = kube()
    public(oracle, web, "public0")
    api.deployment("web", "shop", drains="none")
    drained(d, 0)
    d.kill()
    d.start()
    wait_for(lambda: d.get("/readyz")[0] == 200 and d.metric("logtrain_pending_streams") == 0, WAIT, "the pod to be known")
    drained(d, 0)
    secret(web)
    api.deployment("web", "shop", drains=web.url)
    drained(d, 1)
    public(oracle, web, "public1")
    assert not told(web)


def test_L17_none_while_the_daemon_is_away(node, oracle, api, kube, web):
    """The annotation was read and does not list the drain, so a position in the state does not count."""
    d = kube()
    public(oracle, web, "public0")
    d.wait_saved()
    d.kill()
    api.deployment("web", "shop", drains="none")
    secret(web)
    d.start()
    wait_for(lambda: d.get("/readyz")[0] == 200 and d.metric("logtrain_pending_streams") == 0, WAIT, "the pod to be known")
    secret(web)
    api.deployment("web", "shop", drains=web.url)
    drained(d, 1)
    public(oracle, web, "public1")
    assert not told(web)


def test_L17_a_drain_that_lags_forgets_what_it_was_behind(node, oracle, api, kube, web, http):
    """503 since the start: the owner removes the drain, so its backlog is not wanted any more."""
    web.peer.default = 503
    d = kube()
    drained(d, 1)
    secret(web)
    wait_for(lambda: web.peer.requests, WAIT, "a try")
    api.deployment("web", "shop", drains="none")
    drained(d, 0)
    assert d.log_lines("route removed, unconfirmed lines are not sent")
    web.peer.default = 200
    before = len(web.peer.messages())
    api.deployment("web", "shop", drains=web.url)
    drained(d, 1)
    public(oracle, web, "public")
    assert not [m for m in web.peer.messages()[before:] if b"SECRET" in m]


@pytest.mark.parametrize("how", ["row", "truncate", "line"])
def test_L17_a_deleted_row_or_line(node, oracle, daemon, table, http, how):
    peer = http()
    web = SimpleNamespace(container=node.container("web-0", "shop"), peer=peer)
    url = peer.url("batch=ndjson")
    env = {} if how == "line" else {"POSTGRES": "true", "DATABASE_URL": table.url()}
    if how != "line":
        table.put("web.shop", url)
    d = daemon(node, routes=[("web.shop", url)] if how == "line" else [("nothing", "null://")], env=env)
    drained(d, 1)
    public(oracle, web, "public0")
    if how == "line":
        d.set_routes([("nothing", "null://")])
    else:
        table.sql("DELETE FROM drains" if how == "row" else "TRUNCATE drains", "owner")
    drained(d, 0)
    secret(web)
    if how == "line":
        d.set_routes([("web.shop", url)])
    else:
        table.put("web.shop", url)
    drained(d, 1)
    public(oracle, web, "public1")
    assert not told(web)


# --- routes that disappear without a decision ------------------------------------------------------------------------


def test_L17_a_reapplied_object_keeps_the_place(node, oracle, api, kube, http):
    """A StatefulSet is deleted without its pod and created again: pods lose their owner and get another one."""
    peer = http()
    c = node.container("db-0", "shop")
    url = peer.url("batch=ndjson")
    owner = api.put("statefulsets", "db", "shop", drains=url)
    api.pod_of(c, owner=owner)
    d = kube()
    drained(d, 1)
    source = oracle.source("a")
    for _ in range(2):
        c.write(source.take(20))
        oracle.wait_complete(peer, WAIT)
        api.delete(owner)
        api.pod_of(c)
        drained(d, 0)
        assert d.metric("logtrain_parked_cursors") == 1
        c.write(source.take(20))
        owner = api.put("statefulsets", "db", "shop", drains=url)
        api.pod_of(c, owner=owner)
        drained(d, 1)
    c.write(source.take(20))
    oracle.wait_complete(peer, WAIT)


def test_L17_route_grace_is_over(node, oracle, api, kube, http):
    peer = http()
    c = node.container("db-0", "shop")
    url = peer.url("batch=ndjson")
    owner = api.put("statefulsets", "db", "shop", drains=url)
    api.pod_of(c, owner=owner)
    d = kube(env={"ROUTE_GRACE": "100ms"})
    drained(d, 1)
    c.write(oracle.source("a").take(20))
    oracle.wait_complete(peer, WAIT)
    api.delete(owner)
    api.pod_of(c)
    drained(d, 0)
    wait_for(lambda: d.metric("logtrain_parked_cursors") == 0, WAIT, "the grace to be over")
    c.write([b"SECRET"])
    api.pod_of(c, owner=api.put("statefulsets", "db", "shop", drains=url))
    drained(d, 1)
    c.write(oracle.source("b").take(20))
    oracle.wait_complete(peer, WAIT)
    assert not [m for m in peer.messages() if b"SECRET" in m]


def test_L17_a_mistake_in_the_url_ends_nothing(node, oracle, api, kube, web):
    d = kube()
    source = oracle.source("a")
    web.container.write(source.take(20))
    oracle.wait_complete(web.peer, WAIT)
    api.deployment("web", "shop", drains=web.url + "&timeout=soon")
    drained(d, 0)
    web.container.write(source.take(20))
    api.deployment("web", "shop", drains=web.url)
    drained(d, 1)
    web.container.write(source.take(20))
    oracle.wait_complete(web.peer, WAIT)


def test_L17_a_lost_watch_ends_nothing(node, oracle, api, kube, web):
    d = kube()
    source = oracle.source("a")
    web.container.write(source.take(20))
    oracle.wait_complete(web.peer, WAIT)
    api.compact()
    api.stop()
    web.container.write(source.take(20))
    api.start()
    wait_for(lambda: d.metric("logtrain_kubernetes_watching", resource="deployments") == 1, 2 * WAIT, "the watch")
    web.container.write(source.take(20))
    oracle.wait_complete(web.peer, WAIT)


# --- L4 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
def test_L04_a_corrected_password_gets_the_backlog(node, oracle, api, kube, http, restart):
    peer = http()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    api.workload(c, "web", drains=peer.url("batch=ndjson", userinfo="u:wrong"))
    peer.default = 401
    d = kube()
    drained(d, 1)
    c.write(oracle.source("a").take(1000))
    wait_for(lambda: d.drain(peer.port)["state"] == "held", WAIT, "the 401")
    if restart:
        wait_for(lambda: d.metric("logtrain_state_pending") == 0, WAIT, "the state")
        d.kill()
    peer.default = 200
    api.deployment("web", "shop", drains=peer.url("batch=ndjson&linger=10ms", userinfo="u:right"))
    if restart:
        d.start()
    oracle.wait_complete(peer, WAIT)


@pytest.mark.parametrize("how", ["row", "line"])
def test_L04_rows_and_lines(node, oracle, daemon, table, http, how):
    peer = http()
    peer.default = 401
    c = node.container("web-0", "shop")
    first, second = (peer.url("batch=ndjson", userinfo=f"u:{p}") for p in ("wrong", "right"))
    env = {} if how == "line" else {"POSTGRES": "true", "DATABASE_URL": table.url()}
    row = table.put("web.shop", first) if how == "row" else None
    d = daemon(node, routes=[("nothing", "null://"), *([("web.shop", first)] if how == "line" else [])], env=env)
    drained(d, 1)
    c.write(oracle.source("a").take(1000))
    wait_for(lambda: d.drain(peer.port)["state"] == "held", WAIT, "the 401")
    peer.default = 200
    if how == "line":
        d.set_routes([("web.shop", second)])
    else:
        table.sql(f"UPDATE drains SET endpoint = '{second}' WHERE drain = '{row}'", "owner")
    oracle.wait_complete(peer, WAIT)


def test_L04_several_drains_of_one_host_and_one_of_another_path(node, oracle, api, kube, http):
    """One of three is changed: it continues, the others are not affected, and another path starts anew."""
    peers = [http() for _ in range(3)]
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    urls = [p.url("batch=ndjson", userinfo="u:1") for p in peers]
    api.workload(c, "web", drains=";".join(urls))
    peers[1].default = 401
    d = kube()
    drained(d, 3)
    source = oracle.source("a")
    c.write(source.take(100))
    for p in (peers[0], peers[2]):
        oracle.wait_complete(p, WAIT).assert_exact()
    wait_for(lambda: d.drain(peers[1].port)["state"] == "held", WAIT, "the 401")
    peers[1].default = 200
    api.deployment("web", "shop", drains=";".join([urls[2], peers[1].url("batch=ndjson", userinfo="u:2"), urls[0]]))
    oracle.wait_complete(peers[1], WAIT)
    for p in (peers[0], peers[2]):
        oracle.wait_complete(p, WAIT).assert_exact()
    api.deployment("web", "shop", drains=";".join([urls[2], peers[1].url("batch=ndjson", path="/other"), urls[0]]))
    drained(d, 3)
    before = len(peers[1].messages())
    c.write(oracle.source("b").take(20))
    oracle.wait_complete(peers[1], WAIT)
    assert len(peers[1].messages()) == before + 20


def test_L04_changed_again_and_again_under_load(node, oracle, api, kube, web):
    """With batches in flight: gaps are fatal, some lines arrive twice."""
    kube()
    with Writer(web.container, oracle.source("a"), rate=500) as writer:
        for i in range(10):
            seen = web.peer.count()
            wait_for(lambda n=seen: web.peer.count() > n + 50, WAIT, "lines")
            api.deployment("web", "shop", drains=f"{web.url}&linger={10 + i}ms")
        writer.stop()
    oracle.wait_complete(web.peer, WAIT)
