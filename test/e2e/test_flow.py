"""The normal path of a line, without faults: from container files through a rotation and a restart to every kind of receiver."""

import pytest
from lib.node import Writer
from lib.wait import wait_for

LINES = 3000


def write_with_changes(node, oracle, pods=3):
    """Each pod writes LINES lines; half-way through, its log is rotated and its container restarts."""
    containers = [node.container(f"web-{i}", max_files=100) for i in range(pods)]
    writers = []
    for c in containers:
        with Writer(c, oracle.source(c.pod.name), rate=20000, count=LINES // 2) as w:
            w.join()
    for c in containers:
        writers.append(Writer(c, oracle.source(c.pod.name + "-2"), rate=20000, count=LINES // 2))
    for c in containers:
        c.rotate(reopen_delay=0.02)
    for w in writers:
        w.join()
    for c in containers:
        c.restart()
        c.write(oracle.source(c.pod.name + "-3").take(100))


@pytest.mark.tsan
@pytest.mark.parametrize("workers", [1, 4])
def test_every_line_arrives_once_at_every_drain(node, oracle, daemon, syslog_tcp, http, workers):
    tcp, web, single = syslog_tcp(), http(), http()
    daemon(node, routes=[("*", tcp.url()), ("*", web.url("batch=ndjson")), ("*", single.url(path="/one"))],
           env={"WORKERS": workers})
    write_with_changes(node, oracle)
    for peer in (tcp, web, single):
        oracle.wait_complete(peer, 60).assert_exact()
    assert {c.framing for c in tcp.connections} == {"lf"}


@pytest.mark.tsan
def test_routes_change_while_lines_flow(node, oracle, daemon, syslog_tcp):
    first, second = syslog_tcp(), syslog_tcp()
    c = node.container("web-0", "shop")
    d = daemon(node, routes=[("*", first.url())], env={"WORKERS": 4})
    with Writer(c, oracle.source("a"), rate=2000) as writer:
        progress = oracle.progress(second)
        d.set_routes([("*", first.url()), ("*.shop", second.url())])
        d.hup()
        wait_for(lambda: progress.distinct() > 100, 20, "lines at the drain that was added")
        writer.stop()
    oracle.wait_complete(first, 20).assert_exact()
    assert len(first.connections) == 1, "the route that did not change kept its connection"
    report = oracle.check(second.messages())
    assert report.dup == 0 and report.reorder == 0 and not report.corrupt


def test_tls_udp_and_gzip(node, oracle, daemon, syslog_tls, syslog_udp, https, certs):
    tls, udp, web = syslog_tls(), syslog_udp(), https()
    ca = "ca=" + certs.option()
    daemon(node, routes=[("*", tls.url(ca)), ("*", udp.url()), ("*", web.url(ca + "&batch=array&compression=gzip"))])
    node.container("web-0").write(oracle.source("a").take(2000))
    for peer in (tls, udp, web):
        oracle.wait_complete(peer, 30).assert_exact()
    assert {c.framing for c in tls.connections} == {"octet"}
    assert {r.headers["content-encoding"] for r in web.requests} == {"gzip"}


@pytest.mark.parametrize("kind", ["tcp", "tls", "udp"])
def test_rsyslog_receives(node, oracle, daemon, rsyslog, certs, kind):
    r = rsyslog(kind)
    daemon(node, routes=[("*", r.url("ca=" + certs.option() if kind == "tls" else ""))])
    node.container("web-0", "shop").write(oracle.source("a").take(500))
    oracle.wait_complete(r, 30).assert_exact()
    pri, _, hostname, tag, _, _ = r.lines()[0].split(b"|", 5)
    assert (pri, hostname, tag) == (b"14", b"web.shop", b"web-0")


def test_nginx_in_front(node, oracle, daemon, nginx, http, certs):
    web = http()
    proxy = nginx(web)
    daemon(node, routes=[("*", proxy.url("batch=ndjson&ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(500))
    oracle.wait_complete(web, 30).assert_exact()


def test_credentials_show_nowhere(node, oracle, daemon, http):
    """X05: here without faults; every test that uses daemon.secret() checks it again when the daemon stops."""
    web = http()
    d = daemon(node, routes=True)
    d.set_routes([("*", web.url("batch=ndjson", userinfo=f"user:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(web, 20).assert_exact()
    assert web.requests[0].headers["authorization"].startswith("Basic ")
    d.check_canaries()
