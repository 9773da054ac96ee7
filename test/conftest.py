"""Fixtures of the end-to-end tests (e2e) and of the family suite (family).

Everything that a test starts is stopped at its end, and a daemon that the test did not stop must stop cleanly. When a test
fails, the end of each daemon's stderr is printed with it."""

import resource
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "e2e"))

from lib import daemon as daemon_module  # noqa: E402
from lib import http_peer, kube_real, peer, real  # noqa: E402
from lib import postgres as postgres_module  # noqa: E402
from lib.certs import Certs  # noqa: E402
from lib.dns import Dns  # noqa: E402
from lib.kapi import Kapi  # noqa: E402
from lib.node import Node  # noqa: E402
from lib.oracle import Oracle  # noqa: E402
from lib.wait import wait_for  # noqa: E402

FAILED = pytest.StashKey()


def pytest_configure(config):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))  # the receivers of D26 need many


def pytest_collection_modifyitems(config, items):
    """Puts the slow tests first, at the heads of the chunks that xdist hands out at the start: if not, the last worker would run
    alone."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    chunk = max(len(items) // workers // 4, 2)
    items[:] = []
    for worker in range(workers):
        mine = slow[worker::workers]
        items += mine + rest[:max(chunk - len(mine), 0)]
        del rest[:max(chunk - len(mine), 0)]
    items += rest


def pytest_report_header(config):
    return f"logtrain: {daemon_module.BIN}" + (" (sanitized: deadlines are longer)" if daemon_module.SANITIZED else "")


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        item.stash[FAILED] = True


@pytest.fixture
def oracle():
    return Oracle()


@pytest.fixture
def node(tmp_path):
    made = Node(tmp_path / "node")
    yield made
    made.close()


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def kube_api(tmp_path_factory):
    """A real Kubernetes API with deployments/kubernetes applied."""
    why = kube_real.available()
    if why:
        pytest.skip(why)
    api = kube_real.KubeApi(tmp_path_factory.mktemp("kube"))
    try:
        api.kubectl("apply", "--validate=true", "-k", kube_real.DEPLOYMENTS / "kubernetes")
        yield api
    finally:
        api.close()


@pytest.fixture
def closing():
    """closing(thing): thing.close() at the end of the test, last one first."""
    things = []

    def add(thing):
        things.append(thing)
        return thing

    yield add
    for thing in reversed(things):
        thing.close()


@pytest.fixture
def syslog_tcp(closing):
    return lambda **options: closing(peer.SyslogTcp(**options))


@pytest.fixture
def syslog_tls(closing, certs):
    """Options as SyslogTcp's; cert= names the certificate (Certs)."""
    return lambda cert="good", **options: closing(peer.SyslogTcp(tls=certs.server(cert), **options))


STREAMS = [("tcp", "lf"), ("tcp", "octet"), ("tls", "lf"), ("tls", "octet")]


@pytest.fixture(params=STREAMS, ids="-".join)
def syslog_stream(request, closing, certs):
    """syslog_stream(options, cert=…, SyslogTcp's) returns (peer, URL). A test that uses it runs over TCP and TLS, with both
    framings; parametrize("syslog_stream", […], indirect=True) for fewer."""
    kind, framing = request.param

    def make(options="", cert="good", **peer_options):
        one = closing(peer.SyslogTcp(tls=certs.server(cert) if kind == "tls" else None, **peer_options))
        all_options = [f"framing={framing}", *(["ca=" + certs.option()] if kind == "tls" else []), *([options] if options else [])]
        return one, one.url("&".join(all_options))

    make.tls = kind == "tls"
    make.framing = framing
    return make


@pytest.fixture
def syslog_udp(closing):
    return lambda **options: closing(peer.SyslogUdp(**options))


@pytest.fixture
def http(closing):
    return lambda *args, **options: closing(http_peer.Http(*args, **options))


@pytest.fixture
def https(closing, certs):
    return lambda *args, cert="good", **options: closing(http_peer.Http(*args, tls=certs.server(cert), **options))


@pytest.fixture
def dns(closing):
    return closing(Dns())


@pytest.fixture
def rsyslog(closing, tmp_path, certs):
    def start(kind="tcp", **options):
        why = real.Rsyslogd.available(kind, options.get("driver", "ossl"))
        if why:
            pytest.skip(why)
        return closing(real.Rsyslogd(tmp_path / f"rsyslog-{kind}", kind, certs=certs, **options))
    return start


@pytest.fixture
def nginx(closing, tmp_path, certs):
    def start(upstream, **options):
        if real.Nginx.available():
            pytest.skip(real.Nginx.available())
        return closing(real.Nginx(tmp_path / "nginx", upstream, certs, **options))
    return start


@pytest.fixture
def openssl_server(closing, tmp_path, certs):
    def start(**options):
        if real.OpensslServer.available():
            pytest.skip(real.OpensslServer.available())
        return closing(real.OpensslServer(tmp_path / "s_server", certs, **options))
    return start


@pytest.fixture
def daemon(request, tmp_path, closing):
    """daemon(node, drains=…, routes=…, env=…, args=…): see lib/daemon.py."""
    started = []

    def start(*args, wait=True, **options):
        directory = tmp_path / f"daemon{len(started)}"
        directory.mkdir()
        one = daemon_module.Daemon(*args, tmp=directory, start=False, **options)
        started.append(one)
        return one.start(wait)

    yield start
    try:
        for one in started:
            if not request.node.stash.get(FAILED, False):
                one.stop()
    finally:
        for one in started:
            one.kill()
            if request.node.stash.get(FAILED, False):
                print(f"--- the end of {one.stderr_path}\n{one.tail()}")


@pytest.fixture
def api(closing):
    """A fake API server without a node in it."""
    return closing(Kapi())


@pytest.fixture
def kube(daemon, node, api, tmp_path):
    """kube(env, args, …): the daemon with routes from that API server's annotations; drains on loopback are allowed."""
    def start(env=None, args=(), config=None, **options):
        config = config or api.kubeconfig(tmp_path / "kubeconfig")
        return daemon(node, args=["--kube-config", str(config), *args],
                      env={"KUBERNETES_DATASOURCE": "true", "NODE": api.node, "EGRESS_ALLOW": "127.0.0.0/8", **(env or {})},
                      **options)
    return start


@pytest.fixture(scope="session")
def postgres_server(certs):
    why = postgres_module.missing()
    if why:
        pytest.skip(why)
    server = postgres_module.Postgres(certs)
    yield server
    server.close()


@pytest.fixture
def db(postgres_server):
    """A new, empty database of a real PostgreSQL; db.server is the cluster, which the tests of one worker share."""
    return postgres_server.database()


@pytest.fixture
def table(db):
    """<db> with the table in it, as `logtrain schema` makes it."""
    db.sql(postgres_module.schema(), "owner")
    return db


@pytest.fixture
def pg(daemon, node):
    """pg(url, **env): a daemon with routes from there; its rows have been read, unless wait=False."""
    def go(url, wait=True, drains=(), routes=None, **env):
        d = daemon(node, drains=drains, routes=routes, env=postgres_module.settings(url, **env))
        if wait:
            wait_for(lambda: d.metric("logtrain_postgres_up") == 1, 5 * daemon_module.SLOW,
                     lambda: f"the rows:\n{d.tail()}")
        return d
    return go
