"""syslog over UDP: best effort, but never a storm, and known losses are counted (D01, D25)."""

import re

import pytest
from lib.daemon import SLOW
from lib.node import Writer
from lib.wait import stays, wait_for


@pytest.fixture
def peer(syslog_udp):
    return syslog_udp()


def test_D01_nobody_listens_then_somebody_does(node, oracle, daemon, peer):
    """Refusals by the host make the drain wait; the lines stay in their files and arrive when a receiver listens. Only what was
    in flight at the first refusal is lost."""
    peer.refuse()
    d = daemon(node, routes=[("*", peer.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(1))
    d.wait_counter(peer.port, "records_out", 1)
    c.write(source.take(200))
    d.wait_error(peer.port, "^send: Connection refused$")
    d.wait_counter(peer.port, "retries", 4, 30)
    assert len(d.log_lines("drain failing")) == 1 and not d.log_lines("drain recovered")
    row = d.drain(peer.port)
    assert row["counters"]["lost_known"] == 1, row
    assert row["counters"]["batches"] <= row["counters"]["retries"] + 2, "one try at a time"
    peer.resume()
    progress = oracle.progress(peer)
    wait_for(lambda: progress.distinct() == 200, 30 * SLOW, progress.text)
    wait_for(lambda: d.log_lines("drain recovered"), 10, "the line that says so")
    oracle.check(peer.messages()).assert_exact(lost=1)


def test_D25_refused_in_the_middle(node, oracle, daemon, peer):
    """The receiver is away for a while under load: no storm of attempts, no storm of log lines, and few lines are lost."""
    d = daemon(node, routes=[("*", peer.url())])
    with Writer(node.container("web-0"), oracle.source("a"), rate=1000) as writer:
        progress = oracle.progress(peer)
        wait_for(lambda: progress.distinct() >= 1000, 20, progress.text)
        peer.refuse()
        d.wait_counter(peer.port, "retries", 3, 20)
        peer.resume()
        at = writer.source.written
        wait_for(lambda: writer.source.written > at + 500, 10, "more lines")
        writer.stop()
    wait_for(lambda: d.drain(peer.port)["lag_bytes"] == 0 and d.drain(peer.port)["state"] == "open", 30 * SLOW, "the rest")
    total = writer.source.written
    wait_for(lambda: progress.distinct() >= total - 50, 10, progress.text)
    report = oracle.check(peer.messages())
    assert report.lost <= 50 and report.reorder == 0 and not report.corrupt, report
    assert report.lost == 0 or d.drain(peer.port)["counters"]["lost_known"] > 0
    assert len(d.log_lines("drain failing")) <= 2


@pytest.mark.parametrize("most, options", [(1024, ""), (480, "max=480"), (9000, "max=9000"), (65507, "max=65507")])
def test_D25_large_lines(node, daemon, syslog_udp, most, options):
    """A datagram has a maximum: longer lines are cut to it and counted. Fragmented datagrams (above 1500 bytes) arrive whole."""
    peer = syslog_udp()
    d = daemon(node, routes=[("*", peer.url(options))])
    c = node.container("web-0")
    sizes = [10, most - 100, most, most + 1, 70000, 20]
    c.write([b"%d " % i + b"x" * n for i, n in enumerate(sizes)])
    wait_for(lambda: peer.count() == len(sizes), 20 * SLOW, lambda: f"{peer.count()} of {len(sizes)}; {d.tail(5)}")
    lengths = [len(m) for m in peer.messages()]
    assert max(lengths) == most and lengths[0] < most and lengths[-1] < most
    assert [i for i, m in enumerate(peer.messages()) if b" %d x" % i in m] == list(range(len(sizes)))
    cut = sum(n == most for n in lengths)
    assert cut >= 3 and d.metric("logtrain_drain_truncated_records_total") == cut
    assert d.metric("logtrain_drain_lost_records_total") == 0


def test_D25_one_dead_one_alive(node, oracle, daemon, peer, syslog_udp):
    good = syslog_udp()
    peer.refuse()
    d = daemon(node, routes=[("*", peer.url()), ("*", good.url())])
    c = node.container("web-0")
    with Writer(c, oracle.source("a"), rate=2000, count=4000) as w:
        w.join()
    oracle.wait_complete(good, 20).assert_exact()
    cpu = d.cpu()
    stays(lambda: peer.count() == 0, 2, "nobody there")
    assert d.cpu() - cpu <= 0.1 * SLOW
    assert re.search("refused", d.drain(peer.port)["last_error"])
