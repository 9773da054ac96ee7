"""docs/faults.md#state, S08: file descriptors are a budget. Files and connections share it, and neither takes all."""

import pytest
from lib.daemon import SLOW
from lib.wait import wait_for

PODS = 200
DRAINS = 50


def urls(tcp, web):
    """One receiver of each kind, and drains with different options: each option makes a drain of its own."""
    for i in range(DRAINS // 2):
        yield tcp.url(f"framing=octet&timeout={31 + i}s")
        yield web.url(f"batch=ndjson&connections=1&timeout={31 + i}s")


@pytest.mark.parametrize("limit", [100, 90])
def test_S08_more_files_and_drains_than_descriptors(node, oracle, daemon, syslog_tcp, http, limit):
    """Each line arrives once at the right drain, and the daemon still answers requests."""
    tcp, web = syslog_tcp(), http()
    names = [f"pod{i}" for i in range(PODS)]
    for name in names:
        node.container(name)
    destinations = list(urls(tcp, web))
    d = daemon(node, routes=[(f"{name}.default", destinations[i % DRAINS]) for i, name in enumerate(names)], descriptors=limit)
    seen = {tcp: names[0::2], web: names[1::2]}
    for _ in range(3):
        for name in names:
            source = oracle.sources.get(name) or oracle.source(name)
            node.pods[("default", name)].all["main"].write(source.take(10))
        for peer, streams in seen.items():
            progress = oracle.progress(peer, streams)
            wait_for(progress.complete, 30 * SLOW, progress.text)
        assert len(d.fds()) <= limit
    for peer, streams in seen.items():
        oracle.wait_complete(peer, 5, streams=streams).assert_exact()
        assert "open_segments" in d.get("/metrics", 30)[1]
    assert d.metric("logtrain_lost_bytes_total") == 0
