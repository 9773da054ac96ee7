"""/v1/tail with as many clients as there may be, that do not read or do not stay, beside journals that are full: memory stays within
a container's limit, and drains get everything."""

import contextlib
import socket
import subprocess
import sys

import pytest

from lib.cgroup import MIB, MemoryCgroup, run_the_release
from lib.daemon import SLOW
from lib.listener import line

WAIT = 60 * SLOW
LIMIT = 96 * MIB

# argv: directory of the socket, tails that are kept and never read; then tails are opened and closed, 100 a second.
CLIENT = """
import os, socket, sys, time
directory = os.open(sys.argv[1], os.O_PATH | os.O_DIRECTORY)
def tail():
    s = socket.socket(socket.AF_UNIX)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(f"/proc/self/fd/{directory}/api.sock")
    s.sendall(b"GET /v1/tail?namespace=shop&since=start HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    return s
kept = [tail() for _ in range(int(sys.argv[2]))]
statuses = {s.recv(12) for s in kept}
print(*sorted(w.decode().split()[1] for w in statuses), flush=True)
while True:
    tail().close()
    time.sleep(0.01)
"""


@pytest.fixture
def clients():
    running = []

    def start(d, tails):
        running.append(subprocess.Popen([sys.executable, "-c", CLIENT, d.env["STATE_PATH"], str(tails)], stdout=subprocess.PIPE, text=True))
        return running[-1].stdout.readline().split()
    yield start
    for p in running:
        p.kill()
        p.wait()
        p.stdout.close()


def fill(port):
    """Three hostnames whose drain is dead, each until the journals take no more."""
    for i in range(3):
        with socket.create_connection(("127.0.0.1", port), WAIT) as s, contextlib.suppress(TimeoutError):
            s.settimeout(1)
            s.sendall(b"".join(line(n, f"{i}.dead", 1000) for n in range(12000)))


def test_T15_tails_and_full_journals_together(node, oracle, daemon, syslog_tcp, monkeypatch, closing, tmp_path, clients):
    run_the_release(monkeypatch)
    group = closing(MemoryCgroup("tails", LIMIT))
    peer = syslog_tcp()
    c = node.container("web-7d9c8b6f5d-bcdfg", "shop")
    source = oracle.source("web", 500)
    c.write(source.take(2000))
    ports = tmp_path / "ports"
    d = daemon(node, drains=[("*.shop", peer.url()), ("*.dead", "syslog+tcp://127.0.0.1:1/")], prefix=group.run_in(), env={
        "INPUT_ADDRESS": "127.0.0.1", "SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": "0", "INPUT_PORTS_FILE": ports, "JOURNAL_BYTES_MAX": "32m"})
    fill(int(ports.read_text().split()[1]))
    assert d.metric("logtrain_journal_bytes") > 16 * MIB
    assert [clients(d, 16) for _ in range(4)] == [["200"]] * 4
    assert clients(d, 0) == []
    for _ in range(10):
        c.write(source.take(2000))
    oracle.wait_complete(peer, WAIT).assert_exact()
    print(f"\ncgroup's peak {group.peak() / MIB:.1f} of {LIMIT / MIB:.0f} MiB, RSS {d.rss_peak() / MIB:.1f} MiB")
    assert group.killed() == 0
