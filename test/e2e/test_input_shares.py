"""Row T5: what one sender, or one hostname with a dead drain, cannot take from the others: places in the journals, and bytes. For
each input, with all senders at one address as well as at many."""

import json
import socket
import time

import pytest
from lib import als
from lib.daemon import SLOW
from lib.listener import NUMBER, line
from lib.wait import wait_for

ON = {"KUBERNETES": "false", "INPUT_ADDRESS": "127.0.0.1", "HTTP_ADDRESS": "127.0.0.1", "HTTP_EVENTS": "true", "SYSLOG_TCP": "true",
      "SYSLOG_TCP_PORT": "0", "SYSLOG_UDP": "true", "SYSLOG_UDP_PORT": "0", "ENVOY": "true", "ENVOY_PORT": "0",
      "JOURNAL_BYTES_MAX": "16m", "JOURNAL_HOST_BYTES_MAX": "8m", "MAX_LINE": "64k"}


class World:
    """A daemon with all inputs, a healthy receiver for *.live, and a missing one for *.dead."""

    def __init__(self, daemon, peer, dead, tmp_path, **env):
        ports = tmp_path / "ports"
        self.peer = peer
        self.daemon = daemon(drains=[("*.live", peer.url()), ("*.dead", dead)], env={**ON, "INPUT_PORTS_FILE": ports, **env})
        self.ports = {name: int(port) for name, port in (entry.split() for entry in ports.read_text().splitlines())}

    def tcp(self, data, source=None, timeout=None):
        """Sends all of it; with <timeout>, until neither the socket nor the journals have taken anything for that many seconds."""
        sent, held = 0, -1
        with socket.create_connection(("127.0.0.1", self.ports["syslog_tcp"]), 30 * SLOW, (source, 0) if source else None) as s:
            s.settimeout(timeout or 60 * SLOW)
            while sent < len(data):
                try:
                    sent += s.send(data[sent:sent + 65536])
                except TimeoutError:
                    assert timeout
                    before, held = held, self.held()
                    if held == before:
                        return

    def udp(self, lines, source=None, rate=0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((source or "127.0.0.1", 0))
            for one in lines:
                s.sendto(one, ("127.0.0.1", self.ports["syslog_udp"]))
                if rate:
                    time.sleep(1 / rate)

    def http(self, lines, host, source=None):
        """One request per ten lines; returns their statuses."""
        statuses = []
        for at in range(0, len(lines), 10):
            body = b"".join(json.dumps({"hostname": host, "message": one}).encode() + b"\n" for one in lines[at:at + 10])
            with socket.create_connection(("127.0.0.1", self.daemon.port), 30 * SLOW, (source, 0) if source else None) as s:
                s.sendall(b"POST /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                statuses.append(int(b"".join(iter(lambda: s.recv(65536), b"")).split()[1]))
        return statuses

    def held(self):
        return self.daemon.metrics().get("logtrain_journal_bytes") or 0

    def numbers(self, host):
        return {int(NUMBER.search(m)[1]) for m in self.peer.messages() if b" %s " % host.encode() in m and NUMBER.search(m)}

    def arrived(self, host, n):
        wait_for(lambda: len(self.numbers(host)) >= n, 60 * SLOW, lambda: f"{n} of {host}; {len(self.numbers(host))} came")
        assert self.numbers(host) == set(range(n))


@pytest.fixture
def world(daemon, syslog_tcp, tmp_path):
    return lambda **env: World(daemon, syslog_tcp(), "syslog+tcp://127.0.0.1:1/", tmp_path, **env)


def fill(w, sources):
    """Each of these addresses sends to a hostname whose drain is dead, until it is refused."""
    for i, source in enumerate(sources):
        w.tcp(b"".join(line(n, f"{i}.dead", 1000) for n in range(20000)), source, timeout=1)
    before = -1
    while w.held() != before:  # data in kernel buffers also counts against its share
        before = w.held()
        time.sleep(0.2)


@pytest.mark.parametrize("sources", [["127.0.0.1"] * 2, ["127.0.0.1"] * 8, ["127.0.0.2", "127.0.0.3"],
                                     [f"127.0.0.{i}" for i in range(2, 10)]],
                         ids=["2 of one", "8 of one", "2 senders", "8 senders"])
def test_T05_dead_hostnames_leave_room_for_others(world, sources):
    w = world()
    fill(w, sources)
    assert w.held() > 8 << 20, "they hold much"
    lines = [f"n={i}" for i in range(100)]
    for source in ("127.0.0.1", "127.0.0.99"):
        tail = source.rpartition(".")[2]
        w.tcp(b"".join(line(i, f"tcp{tail}.live") for i in range(100)), source)
        w.udp((line(i, f"udp{tail}.live") for i in range(100)), source, rate=2000)
        assert w.http([" " + one for one in lines], f"http{tail}.live", source) == [200] * 10
        for kind in ("tcp", "udp", "http"):
            w.arrived(f"{kind}{tail}.live", 100)
    c = als.Client(w.ports["envoy"])
    try:
        entries = [als.http_entry(f"/ n={i}", "outbound|80||envoy.live.svc.cluster.local") for i in range(100)]
        stream = c.request(als.V3)
        c.message(stream, als.identifier() + als.http_logs(*entries))
        assert c.finish(stream) == 0
    finally:
        c.close()
    wait_for(lambda: sum(b" envoy.live " in m for m in w.peer.messages()) == 100, 60 * SLOW, "Envoy's entries")


def test_T05_invented_hostnames_cost_nobody_a_line(world):
    """Ten senders with a hostname each, while another one invents more than a thousand; all names have routes."""
    w = world(JOURNAL_HOSTS_MAX="200")
    for part in range(5):
        w.udp((line(i, f"made-up-{part}-{i}.{'dead' if i % 2 else 'live'}") for i in range(400)), "127.0.0.66", rate=4000)
        for k in range(10):
            source = f"127.0.0.{100 + k}"
            w.udp((line(i, f"u{k}.live") for i in range(20 * part, 20 * part + 20)), source, rate=2000)
            w.tcp(b"".join(line(i, f"t{k}.live") for i in range(20 * part, 20 * part + 20)), source)
            assert w.http([f" n={i}" for i in range(20 * part, 20 * part + 20)], f"h{k}.live", source) == [200] * 2
    for k in range(10):
        for kind in "uth":
            w.arrived(f"{kind}{k}.live", 100)
    assert w.daemon.metrics().get("logtrain_journal_hostnames") <= 400


@pytest.mark.parametrize("size", [0, 8000], ids=["names", "bytes"])
def test_T05_forged_datagrams_take_no_place_of_a_connections(world, size):
    """Each datagram comes from another address, under another hostname, whose drain is dead. Who has a connection is heard, also
    from an address in whose name datagrams came."""
    w = world(JOURNAL_HOSTS_MAX="200")
    for i in range(3000):
        w.udp([line(i, f"{i % (40 if size else 3000)}.dead", size)], f"127.1.{i // 250}.{i % 250 + 1}")
        if i % 50 == 0:
            w.held()  # it has read what came before
    lines = [f" n={i}" for i in range(20)]
    for k, source in enumerate(["127.0.0.99", "127.1.0.1", "127.1.11.250"]):
        w.tcp(b"".join(line(i, f"t{k}.live") for i in range(20)), source)
        assert w.http(lines, f"h{k}.live", source) == [200] * 2
        for kind in "th":
            w.arrived(f"{kind}{k}.live", 20)
