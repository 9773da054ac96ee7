"""Rows T5, T11 and T15: what is not in the journals yet. Bytes of unfinished messages, requests and calls, and connections: one sender
takes as much of them as he can; another, who behaves, does not notice, and memory has its bound."""

import contextlib
import socket
import ssl

import pytest
from lib import als
from lib.cgroup import MemoryCgroup, run_the_release
from lib.daemon import SLOW, limits
from lib.listener import complete, line, numbers, tls_settings
from lib.wait import wait_for

HOSTILE, OTHER = "127.0.0.66", "127.0.0.99"
MIB = 1 << 20
ON = {"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_ADDRESS": "127.0.0.1", "INPUT_ADDRESS": "127.0.0.1", "ENVOY": "true",
      "ENVOY_PORT": "0", "SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": "0", "SYSLOG_TLS_PORT": "0"}


class World(contextlib.ExitStack):
    """A daemon with inputs, and whoever connects to it."""

    def __init__(self, daemon, tmp_path, url, env=None, prefix=()):
        super().__init__()
        ports = tmp_path / "ports"
        self.daemon = daemon(drains=[("*", url)], env={**ON, "INPUT_PORTS_FILE": ports, **(env or {})}, prefix=prefix)
        self.ports = {name: int(port) for name, port in (entry.split() for entry in ports.read_text().splitlines())}

    def connect(self, name, source):
        port = self.daemon.port if name == "http" else self.ports[name]
        s = self.enter_context(socket.create_connection(("127.0.0.1", port), 60 * SLOW, (source, 0)))
        s.settimeout(60 * SLOW)
        return s

    def half_message(self, source=HOSTILE, size=900_000):
        with contextlib.suppress(ConnectionError):  # it may be one too many already
            self.connect("syslog_tcp", source).sendall(b"1000000 <13>1 - web app - - - " + b"x" * size)

    def half_request(self, source=HOSTILE):
        with contextlib.suppress(ConnectionError):
            self.connect("http", source).sendall(
                b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 8000000\r\n\r\n" + events(0, 550, 1000))

    def client(self, source):
        c = als.Client(self.ports["envoy"], source=source)
        self.callback(c.close)
        return c

    def half_calls(self, source=HOSTILE):
        c = self.client(source)
        left = {c.request(): b"\0" + (1_000_000).to_bytes(4, "big") + b"x" * 300_000 for _ in range(60)}
        while left := {at: rest for at, data in left.items() if at not in c.answers and (rest := c.push(at, data))}:
            c.step()


def events(i, n, size=0):
    return b"".join(b'{"hostname":"web","message":"%s n=%d"}\n' % (b"x" * size, k) for k in range(i, i + n))


def post(d, body, source):
    with socket.create_connection(("127.0.0.1", d.port), 60 * SLOW, (source, 0)) as s:
        s.sendall(b"POST /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        return int(b"".join(iter(lambda: s.recv(65536), b"")).split()[1])


def test_T05_half_messages_of_one_end_nobody_elses(daemon, syslog_tcp, tmp_path):
    """One sender has sent the most of many long messages, and no end. Who sends half a message next keeps his connection."""
    peer = syslog_tcp()
    with World(daemon, tmp_path, peer.url()) as w:
        for _ in range(limits()["INPUT_KEPT_MAX"] // 900_000 + 2):
            w.half_message()
        wait_for(lambda: w.daemon.metric("logtrain_input_connection_errors_total", input="syslog_tcp"), 60 * SLOW,
                 "their bytes to be too many")
        for _ in range(25):  # whatever is left
            w.half_message(size=40_000)
        s = w.connect("syslog_tcp", OTHER)
        for i in range(0, 30, 3):
            data = line(i) + line(i + 1, size=200_000) + line(i + 2)
            s.sendall(data[:100_000])
            wait_for(lambda i=i: i in numbers(peer), 60 * SLOW, "the message before the long one")
            w.half_message()
            s.sendall(data[100_000:])
            complete(peer, i + 3)


def test_T05_half_requests_of_one_refuse_nobody_elses(daemon, syslog_tcp, tmp_path):
    """One sender has many long requests under way, and ends none. Requests of others are taken."""
    peer = syslog_tcp()
    with World(daemon, tmp_path, peer.url()) as w:
        for _ in range(limits()["HTTP_PEER_CONNECTIONS_MAX"]):
            w.half_request()
        wait_for(lambda: w.daemon.log_lines("too many requests"), 60 * SLOW, "their bytes to be too many")
        for i in range(0, 5000, 1000):
            assert post(w.daemon, events(i, 1000, 2000), OTHER) == 200
            w.half_request()
        complete(peer, 5000)


def test_T05_half_calls_of_one_end_nobody_elses(daemon, syslog_tcp, tmp_path):
    """One proxy begins many messages in many calls. Another's message, larger than each of these, is taken."""
    peer = syslog_tcp()
    with World(daemon, tmp_path, peer.url()) as w:
        for _ in range(4):
            if not w.daemon.log_lines("messages of all calls are too many bytes"):
                w.half_calls()
        assert w.daemon.log_lines("messages of all calls are too many bytes")
        c = w.client(OTHER)
        for i in range(3):
            stream = c.request()
            entries = [als.http_entry(f"/{'x' * 10000} n={i * 100 + k}") for k in range(100)]
            c.message(stream, als.identifier() + als.http_logs(*entries))
            assert c.finish(stream) == 0
            w.half_calls()
        complete(peer, 300)


def test_T05_calls_of_one_end_nobody_elses(daemon, syslog_tcp, tmp_path):
    """One proxy opens as many calls as there may be, and more. Another's is taken."""
    peer = syslog_tcp()
    of_one = limits()["GRPC_CONNECTION_CALLS_MAX"]
    most = limits()["GRPC_CALLS_MAX"] // of_one
    with World(daemon, tmp_path, peer.url()) as w:
        def say(c, stream, i):
            c.message(stream, als.identifier() + als.http_logs(als.http_entry(f"/ n={i}")))
        for i in range(most):
            c = w.client(HOSTILE)
            say(c, [c.request() for _ in range(of_one)][-1], i)
            complete(peer, i + 1)
        late = w.client(HOSTILE)
        assert late.status(late.request()) == 8, "RESOURCE_EXHAUSTED"
        for i in range(most, 2 * most):
            c = w.client(OTHER)
            stream = c.request()
            say(c, stream, i)
            assert c.finish(stream) == 0
        complete(peer, 2 * most)


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_T11_connections_that_spoke_once_make_room(daemon, syslog_tcp, tmp_path, certs, kind):
    """All places are taken by four addresses, by connections that sent one message each. Others get theirs."""
    most, of_one = limits()["INPUT_CONNECTIONS_MAX"], limits()["INPUT_CONNECTIONS_PER_PEER"]
    peer, trust = syslog_tcp(), ssl.create_default_context(cafile=certs.pem("ca"))
    with World(daemon, tmp_path, peer.url(), tls_settings(certs)) as w:
        def connect(source):
            s = w.connect(f"syslog_{kind}", source)
            return w.enter_context(trust.wrap_socket(s, server_hostname="localhost")) if kind == "tls" else s
        for i in range(most):
            connect(f"127.0.0.{1 + i // of_one}").sendall(line(i))
        complete(peer, most, 120)
        wait_for(lambda: w.daemon.metric("logtrain_input_connections", input=f"syslog_{kind}") == most, 60 * SLOW, "all places")
        mine = [connect(OTHER) for _ in range(20)]
        for at in (most, most + 20):
            for i, s in enumerate(mine):
                s.sendall(line(at + i))
            complete(peer, at + 20)


@pytest.mark.parametrize("size", [300_000, 900])
def test_T15_what_senders_keep_is_what_is_counted(daemon, closing, tmp_path, monkeypatch, size):
    """Each connection sends a long message, whole, and one byte of the next: the byte is kept, not the room for the message."""
    run_the_release(monkeypatch)
    group = closing(MemoryCgroup("kept", 192 * MIB))
    with World(daemon, tmp_path, "null://", prefix=group.run_in()) as w:
        quiet = w.daemon.rss()
        for i in range(250):
            w.connect("syslog_tcp", HOSTILE).sendall(line(i, size=size) + b"<")
        wait_for(lambda: w.daemon.metric("logtrain_input_records_total", input="syslog_tcp") == 250, 120 * SLOW, "all messages")
        print(f"\nRSS {quiet // MIB} -> {w.daemon.rss_peak() // MIB} MiB, cgroup's peak {group.peak() // MIB} MiB")
        assert group.killed() == 0
        assert w.daemon.rss() - quiet < 48 * MIB


@pytest.mark.slow
def test_T15_all_inputs_at_once_stay_within_the_bound(daemon, closing, tmp_path, monkeypatch):
    """Journals that are full, unfinished messages, requests and calls, of many addresses, in the memory that the manifest allows
    for inputs: what is printed as the bound holds, and the page with it is there."""
    run_the_release(monkeypatch)
    group = closing(MemoryCgroup("all-inputs", 320 * MIB))
    with World(daemon, tmp_path, "syslog+tcp://127.0.0.1:1/", prefix=group.run_in()) as w:
        bound = w.daemon.metric("logtrain_memory_bound_bytes")
        for i in range(30):
            w.connect("syslog_tcp", f"127.0.1.{i}").send(line(i, f"{i}.dead", 1000) * 2000)
        for turn in range(3):
            for i in range(25):
                w.half_message(f"127.0.2.{i}")
                w.half_request(f"127.0.3.{i}")
            w.half_calls(f"127.0.4.{turn}")
        held = w.daemon.metric("logtrain_journal_bytes")
        print(f"\nRSS {w.daemon.rss_peak() // MIB} of {bound / MIB:.0f} MiB, journals {held / MIB:.0f} MiB, "
              f"cgroup's peak {group.peak() // MIB} MiB")
        assert group.killed() == 0
        assert w.daemon.rss_peak() < bound
