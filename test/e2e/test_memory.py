"""docs/faults.md#state, S09: what counts against a node's memory limit, with dead drains, many files, and journals that fill up."""

import socket

from lib.daemon import SANITIZED, SLOW
from lib.wait import wait_for

PODS = 1000
DRAINS = 200
MIB = 1 << 20
LIMIT = 64 * MIB
JOURNALS = 16 * MIB


def journal_memory(daemon):
    """Bytes of the memfds: they are charged to the daemon even if no page of them is mapped."""
    total = 0
    for entry in daemon._proc("fd").iterdir():
        try:
            if "memfd:" in str(entry.readlink()):
                total += entry.stat().st_blocks * 512
        except FileNotFoundError:
            pass  # closed meanwhile
    return total


def test_S09_dead_drains_and_full_journals_within_the_memory_limit(node, oracle, daemon, syslog_tcp, http, tmp_path):
    """1,000 files, 200 drains that are down, and a sender who fills the journals: memory stays below the pod's limit, the sender
    is slowed and no line is dropped, and the healthy drain gets every line."""
    dead, healthy, ports = syslog_tcp(), http(), tmp_path / "ports"
    dead.refuse()
    names = [f"pod{i}" for i in range(PODS)]
    for name in names:
        node.container(name).write(oracle.source(name).take(3))
    routes = [("*.default", healthy.url("batch=ndjson&linger=10ms")), ("router", dead.url())]
    routes += [(f"{name}.default", dead.url(f"timeout={31 + i % DRAINS}s")) for i, name in enumerate(names)]
    d = daemon(node, routes=routes, env={"SYSLOG_TCP": "true", "SYSLOG_TCP_PORT": 0, "INPUT_ADDRESS": "127.0.0.1",
                                         "INPUT_PORTS_FILE": ports, "JOURNAL_BYTES_MAX": JOURNALS})
    peak, sent = 0, 0
    with socket.create_connection(("127.0.0.1", int(ports.read_text().split()[1])), 10) as sender:
        sender.settimeout(10)
        data = b"".join(b"<13>1 - router app - - - %s n=%d\n" % (b"x" * 1000, i) for i in range(1000))
        try:
            while sent < 4 * JOURNALS:
                sent += sender.send(data[sent % len(data):])
        except socket.timeout:
            pass  # it has stopped reading
        assert JOURNALS // 4 < sent < 4 * JOURNALS, f"{sent} bytes were taken"
        for name in names:
            node.pods[("default", name)].all["main"].write(oracle.sources[name].take(3))
        oracle.wait_complete(healthy, 60 * SLOW, streams=names).assert_exact()
        peak = max(peak, d.rss_peak() + journal_memory(d))
    wait_for(lambda: d.metric("logtrain_journal_bytes") <= JOURNALS, 5, "the journals' limit")
    assert d.metric("logtrain_lost_bytes_total") == 0
    if not SANITIZED:
        assert peak < LIMIT, f"{peak / MIB:.1f} MiB"
    print(f"{peak / MIB:.1f} MiB")
