"""HTTP_PORT with clients that do not read, do not finish, or are many: kubelet's probes are answered all the time, and memory
stays within the manifest's limit."""

import http.client
import selectors
import socket
import threading
import time

import pytest
from lib.cgroup import MemoryCgroup, run_the_release
from lib.daemon import SLOW, limits
from lib.wait import wait_for

MIB = 1 << 20
MANIFEST_LIMIT = 64 * MIB
PROBE_S = 5  # from the manifest: readiness 5 s, liveness 10 s
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n"
CHUNKED = b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def from_address(i):
    return f"127.{1 + i // 60000}.{i // 250 % 240}.{1 + i % 250}"


class Flood:
    """<n> connections from <addresses> addresses. Each sends <first> at once and <then> repeatedly, as fast as it is accepted or
    every <pace> seconds, and never reads. A closed connection is opened again."""

    def __init__(self, port, n, addresses, first, then=b"", pace=0):
        self.port, self.first, self.then, self.pace = port, first, then, pace
        self.opened = self.closed = 0
        self._at = [from_address(i % addresses) for i in range(n)]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _open(self, selector, source):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.bind((source, 0))
        s.settimeout(5)
        try:
            s.connect(("127.0.0.1", self.port))
            s.send(self.first)
        except OSError:
            s.close()
            return False
        s.setblocking(False)
        selector.register(s, selectors.EVENT_WRITE if self.then else selectors.EVENT_READ, source)
        self.opened += 1
        return True

    def _turn(self, selector):
        """Sends to all that accept data; returns the addresses whose connections are gone."""
        gone = []
        for key, _ in selector.select(0.05):
            try:
                if self.then:
                    key.fileobj.send(self.then)
                elif key.fileobj.recv(1, socket.MSG_PEEK) == b"":
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                gone.append(key.data)
        return gone

    def _run(self):
        selector = selectors.DefaultSelector()
        missing = list(self._at)
        while not self._stop.is_set():
            missing = [a for a in missing if not self._open(selector, a)]
            gone = self._turn(selector)
            self.closed += len(gone)
            missing += gone
            self._stop.wait(self.pace or 0.01)
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        selector.close()

    def close(self):
        self._stop.set()
        self._thread.join()


FLOODS = {
    # the attacks that were seen, and similar ones
    "pipelines that are not read": dict(n=320, addresses=5, first=GET * 200, then=GET * 200),
    "pipelines of the probe's address": dict(n=320, addresses=1, first=GET * 200, then=GET * 200),
    "pipelines of many addresses": dict(n=400, addresses=400, first=GET * 200, then=GET * 200),
    "probes that are not read": dict(n=320, addresses=5, first=b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" * 400),
    "slow heads": dict(n=320, addresses=5, first=b"GET /metrics HTTP/1.1\r\nX: ", then=b"x", pace=1),
    "silence": dict(n=600, addresses=300, first=b""),
    "keep-alive": dict(n=400, addresses=5, first=b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    "bodies that do not end": dict(n=320, addresses=5, first=POST + b" ", then=b" " * 2000, pace=1),
    "bodies of the probe's address": dict(n=320, addresses=1, first=POST + b" ", then=b" " * 2000, pace=1),
    "HEADs that are not read": dict(n=320, addresses=5, first=b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 300,
                                    then=b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 300),
    "trailers that do not end": dict(n=320, addresses=5, first=CHUNKED + b"0\r\n", then=b"X: x\r\n" * 300, pace=1),
    "requests for what is private": dict(n=320, addresses=5, first=b"GET /drains HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n" * 200),
    "heads as long as they may be": dict(n=320, addresses=5, first=b"GET / HTTP/1.1\r\nX: " + b"x" * 16000, then=b"x", pace=1),
}


def probe(port, path, source):
    """A GET as kubelet does it, on a connection of its own: (status, seconds)."""
    began = time.monotonic()
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=2 * PROBE_S * SLOW, source_address=(source, 0))
    try:
        conn.request("GET", path, headers={"Connection": "close"})
        return conn.getresponse().status, time.monotonic() - began
    except OSError as e:
        return repr(e), time.monotonic() - began
    finally:
        conn.close()


@pytest.fixture
def limited(daemon, monkeypatch, closing):
    """A daemon in a memory cgroup with the manifest's limit. If this build has a sanitizer, the release build is run."""
    run_the_release(monkeypatch)
    group = closing(MemoryCgroup("floods", MANIFEST_LIMIT))

    def start(**options):
        return daemon(prefix=group.run_in(), **options), group
    return start


@pytest.mark.parametrize("name", FLOODS)
def test_T04_probes_are_answered_whatever_others_do(limited, closing, name):
    d, group = limited(routes=[("*", "null://")], env={"KUBERNETES": "false", "HTTP_EVENTS": "true"})
    quiet = d.rss()
    flood = closing(Flood(d.port, **FLOODS[name]))
    wait_for(lambda: flood.opened >= min(256, FLOODS[name]["n"]), 60 * SLOW, "the flood")
    slowest = 0
    for i in range(20):
        for path, source in [("/healthz", from_address(0)), ("/readyz", "127.0.0.1"), ("/healthz", "127.0.0.1"),
                             ("/readyz", from_address(0)), ("/metrics", "127.0.0.1")]:
            # from an address that floods: kubelet restarts after three failures in a row
            for _ in range(3 if source == from_address(0) else 1):
                status, seconds = probe(d.port, path, source)
                if status == 200:
                    break
            assert status == 200, f"{path} number {i} from {source}: {status} after {seconds:.1f} s; {flood.closed} were closed"
            slowest = max(slowest, seconds)
        flood._stop.wait(0.05)
    print(f"\n{name}: {flood.opened} connections; slowest probe {slowest * 1000:.0f} ms; RSS {quiet / MIB:.1f} -> "
          f"{d.rss_peak() / MIB:.1f} MiB, cgroup's peak {group.peak() / MIB:.1f} of {MANIFEST_LIMIT / MIB:.0f} MiB")
    assert group.killed() == 0
    assert d.rss_peak() - quiet < limits()["HTTP_HELD_MAX"] + 8 * MIB
