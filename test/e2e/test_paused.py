"""docs/faults.md#state, S12: a process that is stopped for a while loses nothing."""

from lib.daemon import SILENCE_S, SLOW
from lib.node import Writer
from lib.wait import stays, wait_for


def test_S12_stopped_for_longer_than_every_timeout(node, oracle, daemon, syslog_tcp, http):
    """When it continues, all timers are due. Nothing is lost. What was in flight may arrive twice (libcurl counts the pause
    against an answer that has arrived meanwhile). There is no storm: a drain fails at most once per pause."""
    tcp, web = syslog_tcp(), http()
    d = daemon(node, routes=[("*", tcp.url(f"timeout={SILENCE_S}s")), ("*", web.url(f"batch=ndjson&linger=1ms&timeout={SILENCE_S}s"))])
    with Writer(node.container("web-0"), oracle.source("a"), rate=2000) as writer:
        for _ in range(3):
            before = web.count()
            wait_for(lambda: web.count() > before + 500, 20 * SLOW, "some lines")
            d.pause()
            stays(d.running, SILENCE_S + 1.5, "the time passes")
            d.resume()
        writer.stop()
    for peer in (tcp, web):
        report = oracle.wait_complete(peer, 30 * SLOW)
        report.assert_exact(dup_max=report.written)
    assert len(d.log_lines("drain failing")) <= 2 * 3
    assert d.metric("logtrain_lost_bytes_total") == 0
