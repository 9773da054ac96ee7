"""When lines count as delivered over a connection without answers (docs/design.md#acknowledgement). Bytes are confirmed when the
peer's kernel has had them for COMMIT_LAG_MS and the connection is still healthy. If a connection ends before it is
YOUNG_CONNECTION_MS old, or not in order, its unconfirmed data is sent again. After three times from one position that data is
given up."""

import time

import pytest
from lib.daemon import SLOW, limits
from lib.peer import Mode
from lib.wait import stays, wait_for

BOTH = pytest.mark.parametrize("syslog_stream", [("tcp", "lf"), ("tls", "octet")], indirect=True, ids="-".join)
TLS = pytest.mark.parametrize("syslog_stream", [("tls", "octet")], indirect=True, ids="-".join)


@pytest.fixture(scope="module")
def limit():
    """A limit, in seconds."""
    table = limits()
    return lambda name: table[name] / 1000


@pytest.mark.slow
@BOTH
def test_commit_lags_behind(node, oracle, daemon, syslog_stream, limit):
    """First the connection must be old enough, then each line."""
    peer, url = syslog_stream()
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")

    def confirmed_after(source, lag):
        began = time.monotonic()
        c.write(source.take(100))
        behind = c.live.stat().st_size - (0 if source.name == "a" else size)
        oracle.wait_complete(peer, 20).assert_exact()
        stays(lambda: d.drain(peer.port)["lag_bytes"] == behind or time.monotonic() > began + lag, lag - 0.2,
              "nothing is confirmed before its time")
        d.wait_confirmed(peer.port, 5)
        assert time.monotonic() - began < (lag + 2) * SLOW

    size = 0
    confirmed_after(oracle.source("a"), limit("YOUNG_CONNECTION_MS"))
    size = c.live.stat().st_size
    confirmed_after(oracle.source("b"), limit("COMMIT_LAG_MS"))
    assert d.drain(peer.port)["counters"]["records_out"] == 200


@BOTH
def test_abnormal_end_goes_back_to_what_is_confirmed(node, oracle, daemon, syslog_stream):
    peer, url = syslog_stream()
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(100))
    d.wait_counter(peer.port, "records_out", 100)
    c.write(oracle.source("b").take(100))
    oracle.wait_complete(peer, 20).assert_exact()
    peer.end_all("reset")
    wait_for(lambda: len(peer.connections) == 2 and len(peer.connections[1].messages) == 100, 20 * SLOW, "the lines again")
    report = oracle.check(peer.messages()).assert_exact(dup_max=100)
    assert (report.accounts["a"].dup, report.accounts["b"].dup) == (0, 100)
    counters = d.drain(peer.port)["counters"]
    assert (counters["rewinds"], counters["disconnects"], counters["unconfirmed"]) == (1, 1, 0)
    assert counters["records_in"] == 300 and counters["records_out"] == 100


@pytest.mark.slow
@TLS
@pytest.mark.parametrize("notify", [True, False], ids=["close_notify", "no_close_notify"])
def test_tls_end_without_close_notify(node, oracle, daemon, syslog_stream, notify, limit):
    """An old connection with everything acknowledged: close_notify makes it an orderly end. Without it, a third party may have
    cut the connection, and unconfirmed data is sent again."""
    age = limit("YOUNG_CONNECTION_MS") + 3  # the peer counts from the accept, the daemon from the end of the handshake
    peer, url = syslog_stream(script=[Mode(fin_after=age, notify=notify)])
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(10))
    wait_for(lambda: peer.connections, 20, "the connection")
    conn = peer.connections[0]
    wait_for(lambda: time.monotonic() > conn.opened + age - limit("COMMIT_LAG_MS") + 1.5, 20, "the connection to be nearly old enough")
    c.write(oracle.source("b").take(10))
    wait_for(lambda: not conn.open, 10, "its end")
    if not notify:
        wait_for(lambda: len(peer.connections) == 2 and len(peer.connections[1].messages) == 10, 20 * SLOW, "the lines again")
        assert "without close_notify" in d.drain(peer.port)["last_error"]
    else:
        d.wait_confirmed(peer.port)
    report = oracle.check(peer.messages()).assert_exact(dup_max=10)
    assert (report.accounts["a"].dup, report.accounts["b"].dup) == (0, 0 if notify else 10)
    assert len(peer.connections) == (1 if notify else 2)
    assert d.drain(peer.port)["counters"]["disconnects"] == (0 if notify else 1)


@pytest.mark.slow
@BOTH
def test_three_rewinds_to_one_offset_then_it_is_skipped(node, oracle, daemon, syslog_stream, limit):
    """Four times the peer took everything and closed after more than a second: the lines are skipped, counted and logged, and the
    next ones are sent."""
    tries = int(limit("REWINDS_MAX") * 1000) + 1
    young = limit("YOUNG_NEVER_MS") + 2  # the peer counts from the accept, the daemon from the end of the handshake
    peer, url = syslog_stream(script=[Mode(fin_after=young)] * tries)
    d = daemon(node, routes=[("*", url)])
    c = node.container("web-0")
    c.write(oracle.source("a").take(100))
    size = c.live.stat().st_size
    d.wait_counter(peer.port, "unconfirmed", 1, 40)
    assert [len(x.messages) for x in peer.connections] == [100] * tries
    row = d.drain(peer.port)
    assert (row["lag_bytes"], row["counters"]["unconfirmed"], row["counters"]["records_out"]) == (0, size, 0)
    (line,) = d.log_lines("lines committed without confirmation")
    assert f"drain={row['name']} " in line and line.endswith(f"hostname=web.default from=0 bytes={size}")
    assert d.metric("logtrain_drain_unconfirmed_bytes_total") == size
    c.write(oracle.source("b").take(100))
    wait_for(lambda: len(peer.connections) > tries and len(peer.connections[-1].messages) == 100, 40 * SLOW, "the next lines")
    oracle.check(peer.messages()).assert_exact(dup_max=100 * (tries - 1))
    assert len(peer.connections) == tries + 1
