"""D24: whether a workload's drain may connect is decided at each connect, by the address that is connected to. In these tests
127.0.0.2 stands for the outside world, and 127.0.0.1 is forbidden."""

import socket
import threading

import pytest
from lib.daemon import SLOW
from lib.http_peer import Http
from lib.kapi import Kapi, body, status
from lib.peer import SyslogTcp, SyslogUdp, same_port
from lib.ports import free_port
from lib.wait import stays, wait_for

WAIT = 30 * SLOW
NAME = "logs.example.test"

SCHEMES = ["syslog+tcp://{}/", "syslog+tls://{}/?insecure=true", "syslog+udp://{}/", "http://{}/", "https://{}/?insecure=true",
           "syslog+http://{}/", "es://{}/?insecure=true", "ws://{}/", "wss://{}/?insecure=true", "redis://{}/channel",
           "rediss://{}/channel?insecure=true", "gelf+tcp://{}/", "gelf+udp://{}/", "gelf+http://{}/"]


class Forbidden:
    """Records every connection and datagram to 127.0.0.1."""

    def __init__(self):
        self.port = free_port()
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for sock in self.tcp, self.udp:
            sock.setblocking(False)

    def received(self):
        for ask in self.tcp.accept, lambda: self.udp.recv(100):
            try:
                ask()
                return True
            except BlockingIOError:
                pass
        return False

    def close(self):
        self.tcp.close()
        self.udp.close()


@pytest.fixture
def forbidden(closing):
    return closing(Forbidden())


@pytest.fixture
def kube(closing, daemon, node, dns, tmp_path):
    """kube(…): the daemon with annotations. Its API is kube.api."""
    api = closing(Kapi())

    def start(drains=(), env=None):
        config = api.kubeconfig(tmp_path / "kubeconfig")
        return daemon(node, drains=drains, args=["--kube-config", str(config)], env={
            "KUBERNETES_DATASOURCE": "true", "NODE": api.node, "EGRESS_ALLOW": "127.0.0.2", "DNS_SERVERS": dns.address,
            **(env or {})})

    start.api = api
    return start


def refused(d, port, n=1):
    rows = [r for r in d.drains() if f":{port}#" in r["name"]]
    return len(rows) >= n and all("address not allowed: loopback" in (r["last_error"] or "") for r in rows)


def test_D24_no_scheme_gets_through(kube, node, oracle, dns, forbidden):
    """By name, and by the address written in five ways."""
    dns.set(NAME, ["127.0.0.1"])
    dns.set("mapped.example.test", ["::ffff:127.0.0.1", "64:ff9b::7f00:1"])
    urls = [scheme.format(f"{NAME}:{forbidden.port}") for scheme in SCHEMES]
    places = [f"{host}:{forbidden.port}" for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "mapped.example.test",
                                                      "[64:ff9b::7f00:1]")]
    urls += ["http://" + p for p in places] + ["syslog+tcp://" + p for p in places]
    c = node.container("web-7d9c8b6f5d-abcde", "shop")
    for i in range(0, len(urls), 8):  # a workload may have ten drains
        one = node.container(f"web{i}-7d9c8b6f5d-abcde", "shop")
        kube.api.workload(one, f"web{i}", drains=";".join(urls[i:i + 8]))
        one.write([b"x"])
    kube.api.workload(c, "web")
    d = kube()
    wait_for(lambda: refused(d, forbidden.port, len(urls)), WAIT, lambda: "\n".join(
        f"{r['name']}: {r['last_error']}" for r in d.drains()))
    assert not forbidden.received()


def test_T12_no_way_of_writing_an_address_gets_through(kube, node, forbidden):
    """The address that is connected to decides. A text that some parsers read as 127.0.0.1 is either a name that does not exist,
    or that address."""
    hosts = ["127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "0", "0.0.0.0", "127.0.0.1.",
             "localhost", "localhost.", "[::1]", "[::]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[2002:7f00:1::]",
             "[64:ff9b:1::7f00:1]", "[::ffff:0.0.0.0]", "[fec0::1]", "[2001:db8::5efe:127.0.0.1]"]
    urls = [scheme.format(f"{host}:{forbidden.port}") for host in hosts
            for scheme in ("http://{}/", "syslog+tcp://{}/", "gelf+udp://{}/", "ws://{}/")]
    for i in range(0, len(urls), 8):
        one = node.container(f"web{i}-7d9c8b6f5d-abcde", "shop")
        kube.api.workload(one, f"web{i}", drains=";".join(urls[i:i + 8]))
        one.write([b"x"])
    d = kube(env={"EGRESS_DENY": "177.0.0.1"})  # what 0177.0.0.1 may also mean
    wait_for(lambda: len(d.drains()) == len(urls) and all(r["last_error"] for r in d.drains()), WAIT,
             lambda: (len(urls), [(r["name"], r["last_error"]) for r in d.drains() if not r["last_error"]],
                      d.log_lines("drain refused")))
    assert all("address not allowed" in r["last_error"] or "resolve" in r["last_error"] for r in d.drains()), d.drains()
    assert not forbidden.received()


def test_T12_ports_of_the_control_plane_and_the_nodes_own_addresses(kube, node):
    """The ports are refused at any address, even one that is allowed. So are the addresses in NODE_IP."""
    c = node.container("web-7d9c8b6f5d-abcde", "shop")
    places = ["127.0.0.2:6443", "127.0.0.2:2379", "127.0.0.2:10250", "127.0.0.2:10257", "192.0.2.7:443", "[2001:db8::7]:443"]
    kube.api.workload(c, "web", drains=";".join(f"http://{p}/" for p in places))
    c.write([b"x"])
    d = kube(env={"NODE_IP": "192.0.2.7,2001:db8::7"})
    wait_for(lambda: sum("address not allowed" in (r["last_error"] or "") for r in d.drains()) == len(places), WAIT, d.drains)
    said = " ".join(r["last_error"] for r in d.drains())
    assert all(f"{whose}'s port" in said for whose in ("etcd", "kubelet", "API server", "control plane"))
    assert said.count("this node's own") == 2


API_SERVER = "address not allowed: the Kubernetes API server"
LEARNED = "drains of workloads may not reach the API server's address"


def test_T12_the_api_servers_real_addresses(kube, node, oracle, closing, forbidden):
    """The API server's Service has endpoints: the addresses in its EndpointSlice are refused at every port, even if their network
    is allowed. An operator's drain may reach them."""
    outside, server = pair(closing, SyslogTcp, "127.0.0.3")
    kube.api.endpoints = ["127.0.0.3", "192.0.2.9", "2001:db8::9", "::ffff:198.51.100.9"]
    c, trusted = node.container("web-7d9c8b6f5d-abcde", "shop"), node.container("api-7d9c8b6f5d-abcde", "shop")
    web = kube.api.workload(c, "web")
    kube.api.workload(trusted, "api")
    d = kube(drains=[("api.shop", server.url())], env={"EGRESS_ALLOW": "127.0.0.0/8"})
    wait_for(lambda: len(d.log_lines(LEARNED)) == 4, WAIT, d.tail)
    refused = [f"127.0.0.3:{server.port}", f"[::ffff:127.0.0.3]:{server.port}", f"[64:ff9b::7f00:3]:{server.port}", "192.0.2.9:443",
               "192.0.2.9:80", "[2001:db8::9]:443", "198.51.100.9:443"]
    kube.api.put("deployments", "web", "shop", uid=web["object"]["metadata"]["uid"], drains=";".join(
        [f"syslog+tcp://{p}/" for p in refused] + [outside.url()]))
    wait_for(lambda: len(d.drains()) == len(refused) + 2, WAIT, d.drains)
    c.write(oracle.source("web").take(10))
    trusted.write(oracle.source("api").take(10))
    oracle.wait_complete(outside, WAIT, ["web"]).assert_exact()
    oracle.wait_complete(server, WAIT, ["api"]).assert_exact()
    wait_for(lambda: sum(API_SERVER in (r["last_error"] or "") for r in d.drains()) == len(refused), WAIT, d.drains)
    assert len(server.connections) == 1, "the operator's"


@pytest.mark.parametrize("scheme", ["syslog+tcp://{}/", "syslog+udp://{}/", "http://{}/?batch=ndjson"])
def test_T12_an_address_is_learned_while_a_drain_is_connected(kube, node, oracle, closing, scheme):
    """When an address is learned while a drain is connected to it, the connection ends and no other is made. (A datagram's peer
    sees no end.)"""
    kind = {"s": SyslogUdp if "udp" in scheme else SyslogTcp, "h": Http}[scheme[0]]
    inside, mine = closing(kind(address="127.0.0.3")), closing(SyslogTcp(address="127.0.0.2"))
    known = threading.Event()

    def late(handler):
        known.wait(300 * SLOW)
        handler.endpoints(kube.api)

    kube.api.script("endpointslices", "get", late)
    c, source = node.container("web-7d9c8b6f5d-abcde", "shop"), oracle.source("a")
    kube.api.workload(c, "web", drains=f"{scheme.format(f'127.0.0.3:{inside.port}')}; {mine.url()}")
    d = kube(env={"EGRESS_ALLOW": "127.0.0.0/8"})
    c.write(source.take(10))
    oracle.wait_complete(inside, WAIT)
    kube.api.endpoints = ["127.0.0.3"]
    known.set()
    wait_for(lambda: d.log_lines(LEARNED), 150 * SLOW, d.tail)  # a request that timed out is sent again

    def goes_on():
        c.write(source.take(1))
        return any(API_SERVER in (r["last_error"] or "") for r in d.drains())

    wait_for(goes_on, WAIT, d.drains)
    later = source.take(50)
    c.write(later)
    oracle.wait_complete(mine, WAIT)
    if kind is not SyslogUdp:
        wait_for(lambda: all(conn.ended for conn in inside.connections), WAIT, lambda: inside.connections)
    assert not [m for m in inside.messages() if any(line in m for line in later)]


@pytest.mark.parametrize("answer, said", [(None, 1), (status(403, "Forbidden"), 1), (body(b'{"endpoints":[{"addr'), 0),
                                          (body(b"nonsense"), 0), (body(b"{}"), 1)],
                         ids=["none", "forbidden", "cut", "nonsense", "empty"])
def test_T12_without_the_api_servers_addresses_it_goes_on(kube, node, oracle, syslog_tcp, answer, said):
    c, peer = node.container("web-7d9c8b6f5d-abcde", "shop"), syslog_tcp(address="127.0.0.2")
    if answer:
        kube.api.script("endpointslices", "get", answer, times=100)
    kube.api.workload(c, "web", drains=peer.url())
    d = kube()
    c.write(oracle.source("a").take(10))
    oracle.wait_complete(peer, WAIT).assert_exact()
    wait_for(lambda: kube.api.count("endpointslices"), WAIT, "the question")
    wait_for(lambda: len(d.log_lines("the Service of the API server has no addresses")) == said, WAIT, d.tail)


def test_T12_more_addresses_than_are_kept(kube, node, oracle, syslog_tcp):
    """Of a thousand addresses the first 32 count, and the excess is logged. Nothing else is affected."""
    kube.api.endpoints = [f"192.0.2.{i}" if i < 250 else f"198.51.{i // 250}.{i % 250}" for i in range(1000)]
    c, peer = node.container("web-7d9c8b6f5d-abcde", "shop"), syslog_tcp(address="127.0.0.2")
    kube.api.workload(c, "web", drains=f"{peer.url()}; http://192.0.2.31/")
    d = kube()
    wait_for(lambda: d.log_lines("too many addresses to deny all of them.*addresses=1000"), WAIT, d.tail)
    assert len(d.log_lines(LEARNED)) == 32
    c.write(oracle.source("a").take(10))
    oracle.wait_complete(peer, WAIT).assert_exact()
    wait_for(lambda: any(API_SERVER in (r["last_error"] or "") for r in d.drains()), WAIT, d.drains)


def test_EGRESS_PRIVATE(kube, node, oracle, syslog_tcp):
    """deny: private networks are closed, except for what EGRESS_ALLOW names."""
    c = node.container("web-7d9c8b6f5d-abcde", "shop")
    peer = syslog_tcp(address="127.0.0.2")
    kube.api.workload(c, "web", drains=f"http://10.1.2.3/; http://192.168.1.1/; http://[fd00::1]/; {peer.url()}")
    c.write(oracle.source("a").take(10))
    d = kube(env={"EGRESS_PRIVATE": "deny"})
    oracle.wait_complete(peer, WAIT).assert_exact()
    wait_for(lambda: sum("a private network" in (r["last_error"] or "") for r in d.drains()) == 3, WAIT, d.drains)


def pair(closing, kind, inside="127.0.0.1"):
    """Two receivers on one port: one at an allowed address, one at a forbidden address."""
    return same_port(lambda address, port: closing(kind(address=address, port=port)), "127.0.0.2", inside)


def test_D24_a_name_that_leads_elsewhere_later(kube, node, oracle, dns, closing):
    """The name resolved to an allowed address at the first connect. Then it resolves to a forbidden one, and the connection ends."""
    outside, inside = pair(closing, SyslogTcp)
    web_out, web_in = pair(closing, Http)
    dns.set(NAME, ["127.0.0.2"])
    c, source = node.container("web-7d9c8b6f5d-abcde", "shop"), oracle.source("web")
    kube.api.workload(c, "web", drains=f"syslog+tcp://{NAME}:{outside.port}/; http://{NAME}:{web_out.port}/?batch=ndjson")
    d = kube()
    c.write(source.take(50))
    oracle.wait_complete(outside, WAIT).assert_exact()
    oracle.wait_complete(web_out, WAIT).assert_exact()
    dns.set(NAME, ["127.0.0.1"])
    for peer in outside, web_out:
        peer.end_all("fin")
    c.write(source.take(50))
    wait_for(lambda: refused(d, outside.port), WAIT, lambda: d.drains())
    oracle.wait_complete(web_out, WAIT)  # HTTP keeps an allowed address for half a minute
    assert not inside.connections and not web_in.connections
    dns.set(NAME, ["127.0.0.2"])
    oracle.wait_complete(outside, 90 * SLOW)
    assert not inside.connections and not web_in.connections


def test_D24_an_operators_drain_may_lead_anywhere(kube, node, oracle, syslog_tcp):
    """The same URL on a workload is refused at the same time: the two drains share no connection and no trust."""
    peer = syslog_tcp()
    trusted, other = node.container("web-7d9c8b6f5d-abcde", "shop"), node.container("api-7d9c8b6f5d-abcde", "shop")
    kube.api.workload(trusted, "web")
    kube.api.workload(other, "api", drains=peer.url())
    trusted.write(oracle.source("web").take(50))
    other.write(oracle.source("api").take(50))
    d = kube(drains=[("web.shop", peer.url())])
    oracle.wait_complete(peer, WAIT, ["web"]).assert_exact()
    wait_for(lambda: any("address not allowed" in (r["last_error"] or "") for r in d.drains()), WAIT, lambda: d.drains())
    stays(lambda: len(peer.messages()) == 50, 0.3, "not one line of the workload's")
