"""D23: names that do not resolve, resolve slowly, to many addresses, to dead ones, to others each time. For every kind of syslog
drain, next to a healthy drain that must not be affected."""

import time

import pytest
from lib.daemon import SILENCE_S, SLOW
from lib.peer import SyslogTcp, SyslogUdp, same_port
from lib.wait import stays, wait_for

NAME = "logs.example.test"
HELD_UP_S = 9  # shorter than the time limit of a connect
SOME = pytest.mark.parametrize("kind", ["tcp", "tls", "udp"])


@pytest.fixture
def named(closing, certs, dns):
    """named(kind, address=…) gives (peer, URL with NAME); with also=…, (peer, another one at that address, URL)."""
    def make(kind, options="", address="127.0.0.1", also=None):
        def one(at, port):
            return closing(SyslogTcp(tls=certs.server() if kind == "tls" else None, address=at, port=port))

        if kind == "udp":
            peers = [closing(SyslogUdp(address))]
        else:
            peers = same_port(one, *filter(None, [address, also]))
        peer = peers[0]
        more = "insecure=true" if kind == "tls" else ""  # the certificates are for localhost
        options = "&".join(filter(None, [more, options]))
        return *peers, f"syslog+{kind}://{NAME}:{peer.port}/" + (f"?{options}" if options else "")
    return make


@SOME
@pytest.mark.parametrize("answer, why", [("nxdomain", "no such host"), ("servfail", "no answer from the dns servers"),
                                         (NAME, "no such host|no answer|bad answer"), ([], "no such host|no address")],
                         ids=["nxdomain", "servfail", "cname_loop", "empty"])
def test_D23_no_address(node, oracle, daemon, dns, named, syslog_tcp, kind, answer, why):
    peer, url = named(kind)
    good = syslog_tcp()
    dns.set(NAME, answer)
    d = daemon(node, routes=[("*", url), ("*", good.url())], env={"DNS_SERVERS": dns.address})
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(good, 10).assert_exact()
    d.wait_error(peer.port, f"^resolve '{NAME}': .*({why})", 30)
    assert len(d.log_lines("drain failing")) == 1
    dns.set(NAME, ["127.0.0.1"])
    oracle.wait_complete(peer, 30).assert_exact()


@SOME
def test_D23_silence(node, oracle, daemon, dns, named, syslog_tcp, kind):
    """The name server does not answer at all: its drain waits, no other does, and the loop keeps turning."""
    peer, url = named(kind, f"timeout={SILENCE_S}s" if kind != "udp" else "")
    good = syslog_tcp()
    dns.set(NAME, None)
    d = daemon(node, routes=[("*", url), ("*", good.url())], env={"DNS_SERVERS": dns.address})
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    wait_for(lambda: dns.queries(NAME), 10 * SLOW, "the question")
    began = time.monotonic()
    c.write(source.take(100))
    oracle.wait_complete(good, 10).assert_exact()
    assert time.monotonic() - began < HELD_UP_S
    d.wait_error(peer.port, f"^resolve '{NAME}': timeout$", 30)
    assert d.metric("logtrain_loop_delay_seconds") < 5 * SLOW
    dns.set(NAME, ["127.0.0.1"])
    oracle.wait_complete(peer, 40).assert_exact()


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_D23_dead_address_first(node, oracle, daemon, dns, named, kind):
    """The first address does not answer: the second is tried a quarter of a second later, without waiting for the first one's
    timeout."""
    good, dead, url = named(kind, address="127.0.0.3", also="127.0.0.2")
    dead.blackhole()
    dns.set(NAME, ["127.0.0.2", "127.0.0.3"])
    d = daemon(node, routes=[("*", url)], env={"DNS_SERVERS": dns.address})
    began = time.monotonic()
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(good, 10).assert_exact()
    assert good.connections[0].opened - began < HELD_UP_S
    assert not d.log_lines("drain failing")


def test_D23_refusing_addresses_first(node, oracle, daemon, dns, named):
    """Ten addresses that refuse, then one that accepts: all this is one attempt."""
    good, url = named("tcp", address="127.0.0.30")
    dns.set(NAME, [f"127.0.0.{i}" for i in range(20, 31)])
    d = daemon(node, routes=[("*", url)], env={"DNS_SERVERS": dns.address})
    began = time.monotonic()
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(good, 10).assert_exact()
    assert good.connections[0].opened - began < HELD_UP_S
    assert not d.log_lines("drain failing")


def test_D23_a_thousand_addresses(node, oracle, daemon, dns, named):
    """A first answer that needs TCP; ADDRESSES_MAX of the addresses are tried."""
    good, url = named("tcp")
    dns.set(NAME, ["127.0.0.1", *(f"127.1.{i // 250}.{i % 250 + 1}" for i in range(1000))])
    daemon(node, routes=[("*", url)], env={"DNS_SERVERS": dns.address})
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(good, 10).assert_exact()


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_D23_address_changes_between_connects(node, oracle, daemon, dns, named, kind):
    """The service moves: the old receiver closes its connections, and the name has a new address. It is resolved for each
    connection, whatever its TTL."""
    old, new, url = named(kind, address="127.0.0.2", also="127.0.0.3")
    dns.set(NAME, ["127.0.0.2"])
    d = daemon(node, routes=[("*", url)], env={"DNS_SERVERS": dns.address})
    c = node.container("web-0")
    c.write(oracle.source("a").take(100))
    d.wait_counter(old.port, "records_out", 100)
    dns.set(NAME, ["127.0.0.3"])
    stays(lambda: len(dns.queries(NAME)) <= 2 and not new.connections, 0.5, "a connection that is well is not looked up again")
    old.refuse("reset")
    c.write(oracle.source("b").take(100))
    oracle.wait_complete(new, 20, streams=["b"]).assert_exact()
    assert len(old.connections) == len(new.connections) == 1
