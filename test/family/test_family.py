"""One suite for every drain: what every member must do, whatever its protocol. members.py lists the members."""

import re
import signal
import time

import pytest
from lib.daemon import SILENCE_S, SLOW
from lib.node import Writer
from lib.peer import Mode
from lib.wait import stays, wait_for
from members import CONFIRMED, MEMBERS, STREAMS, Mumbler, Tools

each = pytest.mark.parametrize("member", MEMBERS, ids=lambda m: m.name)
each_stream = pytest.mark.parametrize("member", STREAMS, ids=lambda m: m.name)


@pytest.fixture
def tools(closing, certs):
    return Tools(closing, certs)


@pytest.fixture
def witness(http):
    """A healthy drain beside the one under test, which must never be affected."""
    return http()


def shown(d, member, peer):
    """The drain as /drains shows it; waits until it exists."""
    at = member.address(peer)
    return wait_for(lambda: [r for r in d.drains() if at in r["name"]], 10 * SLOW, f"the drain to {at}")[0]


def run_with_witness(daemon, node, member, tools, peer, witness, more="", **options):
    return daemon(node, routes=[("*", member.url(tools, peer, more)), ("*", witness.url("batch=ndjson&linger=10ms"))], **options)


def in_time(oracle, peer):
    """Everything written so far arrives within a second or so."""
    oracle.wait_complete(peer, 2 * SLOW).assert_exact()


# --- delivery --------------------------------------------------------------------------------------------------------

@each
def test_accept(node, oracle, daemon, tools, member):
    peer = member.start(tools)
    d = daemon(node, routes=[("*", member.url(tools, peer))])
    pods = [node.container(f"web-{i}") for i in range(3)]
    sources = [oracle.source(c.pod.name) for c in pods]
    for _ in range(3):
        for c, source in zip(pods, sources):
            c.write(source.take(30))
        oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    counters = shown(d, member, peer)["counters"]
    assert counters["records_in"] == 3 * 3 * 30
    assert counters["retries"] == counters["rewinds"] == counters["rejected"] == counters["lost_known"] == 0
    if member.confirmed:
        wait_for(lambda: shown(d, member, peer)["lag_bytes"] == 0, 5 * SLOW, "everything confirmed")
    if member.stream:
        assert counters["connects"] == len(peer.connections) >= 1


@each_stream
def test_refuse_for_ever(node, oracle, daemon, tools, member, witness):
    """The cursor does not move, one log line says so, and the other drain gets everything at once."""
    peer = member.start(tools)
    peer.refuse()
    d = run_with_witness(daemon, node, member, tools, peer, witness)
    c, source = node.container("web-0"), oracle.source("a")
    for n in range(3):
        c.write(source.take(100))
        in_time(oracle, witness)
        wait_for(lambda want=n: shown(d, member, peer)["counters"]["connect_errors"] > want, 10 * SLOW, "another try")
    one = shown(d, member, peer)
    assert one["lag_bytes"] == c.live.stat().st_size
    assert one["counters"]["records_out"] == 0 and "refused" in one["last_error"]
    assert len(d.log_lines("drain failing")) == 1


@pytest.mark.parametrize("member", [m for m in MEMBERS if not m.stream], ids=lambda m: m.name)
def test_refusal_without_connections(node, oracle, daemon, tools, member, witness):
    """Best effort: one batch may be gone before the refusal arrives; the rest is kept."""
    peer = member.start(tools)
    peer.close()
    d = run_with_witness(daemon, node, member, tools, peer, witness)
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(5):
        c.write(source.take(20))
        in_time(oracle, witness)
    wait_for(lambda: shown(d, member, peer)["state"] == "waiting", 5 * SLOW, "the refusal")
    peer.resume()
    wait_for(lambda: oracle.check(peer.messages()).accounts["a"].high == 99, 20 * SLOW, "the last line")
    report = oracle.check(peer.messages())
    report.assert_exact(lost=report.lost)
    assert 0 < shown(d, member, peer)["counters"]["lost_known"] <= report.lost <= 20, "what was sent before the refusal was heard"
    assert len(d.log_lines("drain failing")) == 1


@each_stream
def test_refuse_once(node, oracle, daemon, tools, member):
    peer = member.start(tools)
    peer.refuse()
    d = daemon(node, routes=[("*", member.url(tools, peer))])
    node.container("web-0").write(oracle.source("a").take(100))
    wait_for(lambda: shown(d, member, peer)["counters"]["connect_errors"] >= 1, 10 * SLOW, "a try")
    peer.resume()
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()


# --- no answer, broken connections -----------------------------------------------------------------------------------

@each_stream
def test_time_out(node, oracle, daemon, tools, member, witness):
    """It accepts the connection and reads no line: the time limit passes, the cursor stays, and when it behaves all lines arrive."""
    peer = member.start(tools, **member.silent())
    d = run_with_witness(daemon, node, member, tools, peer, witness, f"timeout={SILENCE_S}s")
    c, source = node.container("web-0"), oracle.source("a", size=2000)
    c.write(source.take(5000))
    oracle.wait_complete(witness, 20 * SLOW).assert_exact()
    wait_for(lambda: shown(d, member, peer)["last_error"], 20 * SLOW, "the time to run out")
    assert re.search("timed out|timeout|did not answer|accepted no data|no reply|no pong", shown(d, member, peer)["last_error"]), \
        shown(d, member, peer)["last_error"]
    assert shown(d, member, peer)["lag_bytes"] == c.live.stat().st_size
    member.heal(peer)
    for conn in peer.open_connections():
        conn.order("reset")
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


@each_stream
def test_D04_one_byte_a_second(node, oracle, daemon, tools, member, witness):
    """It reads so slowly that it is as good as dead: the other drain is not affected, and no line is given up."""
    peer = member.start(tools, mode=Mode(bytes_per_s=1), rcvbuf=4096)
    d = run_with_witness(daemon, node, member, tools, peer, witness, env={"STOP_GRACE": "1s"})
    c, source = node.container("web-0"), oracle.source("a", size=2000)
    for _ in range(3):
        c.write(source.take(500))
        in_time(oracle, witness)
    one = shown(d, member, peer)
    assert one["lag_bytes"] == c.live.stat().st_size and one["counters"]["rejected"] == one["counters"]["unconfirmed"] == 0


@each_stream
def test_D06_blackhole(node, oracle, daemon, tools, member, witness):
    """No answer to a connect: logged once, retried, and everything arrives when it is back."""
    peer = member.start(tools)
    peer.blackhole()
    d = run_with_witness(daemon, node, member, tools, peer, witness, f"timeout={SILENCE_S}s")
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    in_time(oracle, witness)
    wait_for(lambda: shown(d, member, peer)["counters"]["connect_errors"] >= 1, 20 * SLOW, "the time to run out")
    assert re.search("timed out|timeout", shown(d, member, peer)["last_error"])
    assert shown(d, member, peer)["lag_bytes"] == c.live.stat().st_size
    peer.resume()
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert len(d.log_lines("drain failing")) == 1


@each_stream
@pytest.mark.parametrize("how", ["reset_after", "close_after"])
def test_dropped_in_the_middle_of_a_batch(node, oracle, daemon, tools, member, how, witness):
    """Nothing is lost; at most what the broken connections had delivered arrives twice."""
    peer = member.start(tools, script=[Mode(**{how: n}) for n in member.cuts])
    d = run_with_witness(daemon, node, member, tools, peer, witness, member.one_connection)
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(400))
    oracle.wait_complete(witness, 20 * SLOW).assert_exact()
    report = oracle.wait_complete(peer, 30 * SLOW)
    broken = sum(len(conn.messages) for conn in peer.connections[:2])
    report.assert_exact(dup_max=broken if member.piecemeal or not member.confirmed else 0)
    assert len(peer.connections) >= 3
    assert len(d.log_lines("drain failing")) <= 2


@each
def test_close_while_sending(node, oracle, daemon, tools, member):
    """SIGTERM while lines are sent: exit code 0 within the grace, and what arrived is the beginning, whole and in order."""
    peer = member.start(tools)
    d = daemon(node, routes=[("*", member.url(tools, peer, member.one_connection))], env={"STOP_GRACE": "3s"})
    with Writer(node.container("web-0"), oracle.source("a"), rate=2000) as writer:
        wait_for(lambda: peer.count() > 100, 20 * SLOW, "lines")
        began = time.monotonic()
        d.signal(signal.SIGTERM)
        assert d.wait_exit(60 * SLOW) == 0, d.tail()
        assert time.monotonic() - began < 3 + 10 * SLOW
        writer.stop()
    wait_for(lambda: not member.stream or not peer.open_connections(), 5 * SLOW, "its connections to end")
    report = oracle.check(peer.messages())
    report.assert_exact(pending=report.written - report.distinct)
    assert [first for first, _ in report.lost_ranges["a"]] in ([], [report.distinct]), report
    assert member.half_sent(peer) == 0


# --- garbage ---------------------------------------------------------------------------------------------------------

@each
def test_garbage_from_the_peer(node, oracle, daemon, tools, member, witness):
    """Whatever the peer sends is read, bounded, and believed only if it is valid."""
    peer = member.garbage(tools)
    d = run_with_witness(daemon, node, member, tools, peer, witness)
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(30))
    in_time(oracle, witness)
    if member.confirmed:
        wait_for(lambda: shown(d, member, peer)["counters"]["retries"] >= 2, 20 * SLOW, "two tries")
        assert shown(d, member, peer)["lag_bytes"] == c.live.stat().st_size
        member.heal(peer)
    else:
        wait_for(lambda: peer.count() >= 30, 10 * SLOW, "the lines")
    c.write(source.take(30))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()


@pytest.mark.parametrize("member", CONFIRMED, ids=lambda m: m.name)
def test_unknown_answers(node, oracle, daemon, tools, member, witness):
    """A valid answer that is in no table confirms nothing and loses no line: the batch is sent again."""
    peer = member.start(tools, **member.unknown())
    d = run_with_witness(daemon, node, member, tools, peer, witness)
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(30))
    in_time(oracle, witness)
    wait_for(lambda: shown(d, member, peer)["counters"]["retries"] >= 2, 20 * SLOW, "two tries")
    one = shown(d, member, peer)
    assert one["lag_bytes"] == c.live.stat().st_size and one["last_error"] and "not today" not in one["last_error"]
    assert one["counters"]["rejected"] == one["counters"]["records_out"] == 0
    member.heal(peer)
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.tls], ids=lambda m: m.name)
def test_garbage_instead_of_tls(node, oracle, daemon, tools, member, witness):
    """No line and no credential is sent to a peer that does not prove its identity."""
    peer, mumbler = member.start(tools), tools.closing(Mumbler())
    url = member.url(tools, peer).replace(f":{peer.port}", f":{mumbler.port}")
    d = daemon(node, routes=[("*", url), ("*", witness.url("batch=ndjson&linger=10ms"))])
    node.container("web-0").write(oracle.source("a").take(30))
    in_time(oracle, witness)
    wait_for(lambda: len(mumbler.received) >= 2, 20 * SLOW, "two tries")
    (one,) = [r for r in d.drains() if str(mumbler.port) in r["name"]]
    assert one["counters"]["connects"] == one["counters"]["records_out"] == 0
    assert b"lt a" not in b"".join(mumbler.received)


# --- certificates ----------------------------------------------------------------------------------------------------

each_tls = pytest.mark.parametrize("member", [m for m in MEMBERS if m.tls], ids=lambda m: m.name)


@each_tls
def test_certificate_of_ours(node, oracle, daemon, tools, member, certs):
    """cert= is shown to a receiver that requires one; without it, and with another CA's, no line arrives."""
    tools.demanding = True
    peers = [member.start(tools) for _ in range(3)]
    mores = ["cert=" + certs.both("good2"), "", "cert=" + certs.both("unknown")]
    d = daemon(node, routes=[("*", member.url(tools, peer, more)) for peer, more in zip(peers, mores)])
    node.container("web-0").write(oracle.source("a").take(30))
    oracle.wait_complete(peers[0], 20 * SLOW).assert_exact()
    for peer in peers[1:]:
        error = wait_for(lambda p=peer: shown(d, member, p)["last_error"], 20 * SLOW, "the refusal")
        assert "PRIVATE KEY" not in error and peer.count() == 0, error
    assert "PRIVATE KEY" not in d.log() and certs.both("good2")[-60:-10] not in d.log()


@each_tls
def test_servername(node, oracle, daemon, tools, member, certs):
    """servername= is the name that the certificate must be for, whatever the URL's host is."""
    tools.shown = "wronghost"
    peer, other = member.start(tools), member.start(tools)
    d = daemon(node, routes=[("*", member.url(tools, peer, "servername=elsewhere.example")), ("*", member.url(tools, other))])
    node.container("web-0").write(oracle.source("a").take(30))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    wait_for(lambda: shown(d, member, other)["last_error"], 20 * SLOW, "the refusal")
    assert other.count() == 0


# --- secrets ---------------------------------------------------------------------------------------------------------

@each
def test_credentials_show_nowhere(node, oracle, daemon, tools, member, witness):
    """With user and password where the scheme has them; where it does not, the URL is refused, and the error does not contain
    them."""
    peer = member.start(tools)
    d = daemon(node, routes=True, env={"LOG_LEVEL": "debug", "LOGTRAIN_TRACE": "drain,route"})
    secret = d.secret()
    d.set_routes([("*", member.url(tools, peer, userinfo=f"user:{secret}")), ("*", witness.url())])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(witness, 20 * SLOW).assert_exact()
    if member.userinfo:
        oracle.wait_complete(peer, 20 * SLOW).assert_exact()
        peer.refuse(end="reset")  # errors name the drain, too
        node.container("web-1").write(oracle.source("b").take(20))
        wait_for(lambda: d.log_lines("drain failing"), 10 * SLOW, "the failure")
    else:
        assert d.log_lines(r"(warn|error).*(user|password|credential)")
        assert len(d.drains()) == 1
    d.check_canaries()


# --- sharing ---------------------------------------------------------------------------------------------------------

@each
def test_same_url_shares_a_connection(node, oracle, daemon, tools, member):
    peer = member.start(tools)
    url = member.url(tools, peer, member.one_connection)
    d = daemon(node, routes=[(f"web-{i}.default", url) for i in range(4)])
    pods = [node.container(f"web-{i}-7d4b9c6f5-x2x4z") for i in range(4)]
    for c in pods:
        c.write(oracle.source(c.pod.name).take(20))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    (one,) = d.drains()
    assert one["streams"] == 4
    if member.stream:
        assert len(peer.connections) == 1


@each_stream
def test_noisy_pod_does_not_starve_a_quiet_one(node, oracle, daemon, tools, member):
    """A receiver that takes a megabyte a second, a backlog of many seconds, and a pod that writes a line from time to time: its
    lines overtake the backlog."""
    peer = member.start(tools, mode=Mode(bytes_per_s=1 << 20), rcvbuf=65536)
    noisy, quiet = node.container("noisy-0"), node.container("quiet-0")
    backlog, words = oracle.source("noisy", size=1000), oracle.source("quiet")
    noisy.write(backlog.take(20000))
    daemon(node, routes=[("*", member.url(tools, peer, "timeout=60s"))], env={"STOP_GRACE": "1s"})
    progress = {name: oracle.progress(peer, [name]) for name in ("noisy", "quiet")}
    wait_for(lambda: progress["noisy"].distinct() > 0, 20 * SLOW, "the backlog to begin")
    for n in range(3):
        before = progress["noisy"].distinct()
        quiet.write(words.take(1))
        wait_for(lambda want=n: progress["quiet"].distinct() > want, 6 * SLOW, "the quiet line")
        assert progress["noisy"].distinct() - before < 10000, "half of the backlog went first"
    assert progress["noisy"].distinct() < 20000, "before the backlog was through"
