"""redis against a fake that sends what no real server sends on request: every error (D20), and invalid replies (D21)."""

import re
import time

import pytest
from lib.daemon import SILENCE_S, SLOW
from lib.oracle import parse
from lib.peer import NEVER_READ, Ended, Mode
from lib.redis import FakeRedis, fake_redis  # noqa: F401
from lib.wait import stays, wait_for


def state(d):
    """The only drain of a daemon, as /drains shows it; waits until it exists."""
    (drain,) = wait_for(d.drains, 10 * SLOW, "the drain")
    return drain


def counter(d, name):
    return state(d)["counters"][name]


def error(d):
    return state(d)["last_error"] or ""


def for_a_while(reply, connections=2, name=b"PUBLISH"):
    """answer=: <reply> to all commands called <name>, on the first connections."""
    return lambda command, conn: reply if command[0] == name and conn.index < connections else None


def once(reply, connections=2):
    """answer=: on the first connections <reply>, and then nothing."""
    said = set()

    def answer(_, conn):
        if conn.index >= connections:
            return None
        if conn.index in said:
            return b""
        said.add(conn.index)
        return reply
    return answer


# --- D20 -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text", [
    "LOADING Redis is loading the dataset in memory", "BUSY Redis is busy running a script. You can only call SCRIPT KILL",
    "OOM command not allowed when used memory > 'maxmemory'.", "READONLY You can't write against a read only replica.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "CLUSTERDOWN The cluster is down",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "TRYAGAIN Multiple keys request during rehashing of slot", "ERR a proxy's own words", "upstream failure",
], ids=lambda t: t.split(" ")[0])
def test_D20_passes(node, oracle, daemon, fake_redis, text):
    """Nothing is skipped, one log line says so, and accepted records are not sent again."""
    peer = fake_redis(for_a_while(b"-%s\r\n" % text.encode()))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(1))
    wait_for(lambda: counter(d, "retries") >= 2, 10 * SLOW, "two tries")
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    wait_for(lambda: state(d)["state"] == "open", 5 * SLOW, "the drain to be well")
    (line,) = d.log_lines("drain failing")
    assert "redis: " in line and ("proxy" not in line and "upstream" not in line)
    assert counter(d, "rejected") == 0 and not d.log_lines("drain suspended")


@pytest.mark.parametrize("text", [
    "NOAUTH Authentication required.", "WRONGPASS invalid username-password pair or user is disabled.",
    "WRONGTYPE Operation against a key holding the wrong kind of value", "NOPERM this user has no permissions",
    "MOVED 866 {}", "ASK 866 {}", "ERR unknown command 'PUBLISH', with args beginning with: 'lines' '{}'",
    "DENIED Redis is running in protected mode",
], ids=lambda t: t.split(" ")[0])
def test_D20_D21_suspended(node, oracle, daemon, fake_redis, text):
    """Suspended, nothing skipped. A cluster's redirection is not followed; text quoted by the server is not shown."""
    elsewhere = fake_redis()
    text = text.format(f"127.0.0.1:{elsewhere.port}")
    peer = fake_redis(for_a_while(b"-%s\r\n" % text.encode()))
    d = daemon(node, routes=True)
    d.set_routes([("*", peer.url(userinfo=f"u:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(3))
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, lambda: f"the drain to be held; {error(d)}")
    assert re.match(f"redis: {text.split(' ')[0]}: ", error(d))
    assert ("cluster not supported" in error(d)) == text.startswith(("MOVED", "ASK"))
    assert "args" not in error(d) and str(elsewhere.port) not in error(d)
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert not elsewhere.connections and counter(d, "rejected") == 0
    assert len(d.log_lines("drain suspended")) == 1


@pytest.mark.parametrize("command, text", [
    (b"AUTH", "WRONGPASS invalid username-password pair"), (b"AUTH", "ERR unknown command `AUTH`, with args beginning with: `u` `{}`"),
    (b"SELECT", "ERR DB index is out of range"), (b"SELECT", "NOPERM this user"),
])
def test_D20_greeting_refused(node, oracle, daemon, fake_redis, command, text):
    """No record is sent before both have a good answer."""
    d = daemon(node, routes=True)
    secret = d.secret()
    peer = fake_redis(for_a_while(b"-%s\r\n" % text.format(secret).encode(), name=command))
    d.set_routes([("*", peer.url("db=2", userinfo=f"u:{secret}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(20))
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, lambda: f"the drain to be held; {error(d)}")
    assert not [c for c in peer.commands if c[0] == b"PUBLISH"]
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()
    assert [b"AUTH", b"u", secret.encode()] in peer.commands and [b"SELECT", b"2"] in peer.commands


@pytest.mark.parametrize("reply", [b"-LOADING Redis is loading\r\n", b":1\r\n", b"+QUEUED\r\n", b"$-1\r\n"])
def test_greeting_answered_oddly(node, oracle, daemon, fake_redis, reply):
    peer = fake_redis(for_a_while(reply, name=b"AUTH"))
    d = daemon(node, routes=[("*", peer.url(userinfo=":pw"))])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    assert not d.log_lines("drain suspended") and counter(d, "connect_errors") == 2


# --- D21: in the middle of a pipeline --------------------------------------------------------------------------------

def spoil(seqs, reply, times=1):
    """answer=: <reply> for the lines of <seqs>, this many times each."""
    left = {s: times for s in seqs}

    def answer(command, _):
        seq = parse(command[-1])[1] if command[0] == b"RPUSH" and parse(command[-1]) else None
        if left.get(seq):
            left[seq] -= 1
            return reply
        return None
    return answer


def grown(oracle, node, peer):
    """A container whose drain already takes large batches, and its source."""
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(6):
        c.write(source.take(400))
        oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    return c, source


def test_D21_error_in_the_middle(node, oracle, daemon, fake_redis):
    """Records before the error are delivered and not sent again; it and the records behind it are."""
    peer = fake_redis(spoil([2600], b"-OOM no\r\n"))
    d = daemon(node, routes=[("*", peer.url("mode=list&format=raw"))])
    c, source = grown(oracle, node, peer)
    before = len(peer.commands)
    c.write(source.take(400))
    wait_for(lambda: counter(d, "records_out") == 2800, 30 * SLOW, "all to be delivered")
    sent = [parse(command[-1])[1] for command in peer.commands[before:]]
    assert sent[:400] == list(range(2400, 2800)), "one pipeline"
    assert sent[400:] == list(range(2600, 2800)), "again from the one that failed"
    report = oracle.check(peer.messages())
    assert report.lost == report.corrupt.__len__() == 0 and report.dup == 199
    assert counter(d, "rejected") == 0


def test_D21_several_errors_of_both_kinds(node, oracle, daemon, fake_redis):
    """A record that is too large for the server is skipped wherever it stands; nothing else is."""
    large = spoil([2450, 2451, 2700], b"-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n", times=99)
    busy = spoil([2500, 2650], b"-BUSY no\r\n", times=2)
    peer = fake_redis(lambda *asked: large(*asked) or busy(*asked))
    d = daemon(node, routes=[("*", peer.url("mode=list&format=raw"))])
    c, source = grown(oracle, node, peer)
    c.write(source.take(400))
    wait_for(lambda: counter(d, "records_out") == 2797, 40 * SLOW, lambda: f"all but three; {state(d)}")
    assert counter(d, "rejected") == 3
    report = oracle.check(peer.messages())
    assert report.lost_ranges["a"] == [(2450, 2451), (2700, 2700)] and not report.corrupt
    lines = d.log_lines("record refused")
    assert len(lines) == 3 and all(f"file={c.live} offset=" in line for line in lines)


def test_D21_two_streams_in_a_pipeline(node, oracle, daemon, fake_redis):
    """An error in one does not affect the other."""
    failed = []

    def answer(command, _):
        if command[0] == b"RPUSH" and b"lt b 5 " in command[-1] and len(failed) < 2:
            failed.append(command)
            return b"-OOM no\r\n"
        return None

    peer = fake_redis(answer)
    d = daemon(node, routes=[("*", peer.url("mode=list&format=raw"))])
    for name in "abc":
        node.container(f"web-{name}").write(oracle.source(name).take(20))
    wait_for(lambda: counter(d, "records_out") == 60, 30 * SLOW, "all to be delivered")
    report = oracle.check(peer.messages())
    assert report.lost == 0 and all(report.accounts[n].dup == 0 for n in "ac") and report.accounts["b"].dup <= 2 * 14


def test_trim_refused(node, oracle, daemon, fake_redis):
    """The records are delivered; but because the lists would grow without limit, the drain is suspended."""
    peer = fake_redis(lambda command, _: b"-NOPERM this user\r\n" if command[0] == b"LTRIM" else None)
    d = daemon(node, routes=[("*", peer.url("mode=list&maxlen=10&format=raw"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(20))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    c.write(source.take(20))
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, lambda: f"the drain to be held; {state(d)}")
    assert "NOPERM" in error(d)
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


# --- D21: invalid replies --------------------------------------------------------------------------------------------

NONSENSE = {
    "push": b">3\r\n+message\r\n+lines\r\n+x\r\n", "array": b"*2\r\n:1\r\n:1\r\n", "huge array": b"*1000000000\r\n",
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "type": b"!7\r\nwhatsit\r\n", "status": b"+QUEUED\r\n", "nil": b"$-1\r\n",
    "bulk": b"$2\r\nhi\r\n", "number": b":12a\r\n", "zero": b"\0\0\0\0", "map": b"%1\r\n+a\r\n:1\r\n",
}


@pytest.mark.parametrize("what", NONSENSE)
def test_D21_garbage(node, oracle, daemon, fake_redis, what):
    """The connection is closed, and everything without a reply is sent again."""
    peer = fake_redis(once(NONSENSE[what]))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact(dup_max=2 if what in ("number", "bulk") else 0)
    wait_for(lambda: counter(d, "records_out") == 20, 10 * SLOW, "all to be delivered")
    assert len(peer.connections) == 3 and counter(d, "disconnects") == 2
    assert re.search("unexpected type of reply|reply does not match the command", d.log_lines("drain failing")[0])


def test_D21_half_a_gigabyte(node, oracle, daemon, fake_redis):
    """It is not read, let alone stored."""
    peer = fake_redis(once(b"$536870912\r\n" + b"x" * 1000000, connections=1))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact(dup_max=1)
    assert "reply is over 65536 bytes" in d.log_lines("drain failing")[0]


def test_one_reply_too_many(node, oracle, daemon, fake_redis):
    """A reply that was not requested: none of the following could be trusted."""
    peer = fake_redis(for_a_while(b":1\r\n:1\r\n", connections=1))
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(1))
    wait_for(lambda: len(peer.connections) == 1 and not peer.open_connections(), 10 * SLOW, "the connection to end")
    node.container("web-1").write(oracle.source("b").take(10))
    wait_for(lambda: counter(d, "records_out") == 11, 10 * SLOW, "all to be delivered")
    assert counter(d, "disconnects") == 1


@pytest.mark.parametrize("text, kept", [(b"-DENIED Redis is running in protected mode\r\n", "suspended"),
                                        (b"-ERR max number of clients reached\r\n", "failing")])
def test_the_server_says_why_it_hangs_up(node, oracle, daemon, closing, text, kept):
    class Rude(FakeRedis):
        rude = True

        def serve(self, conn):
            if self.rude:
                conn.write(text)
                raise Ended("fin")
            super().serve(conn)

    peer = closing(Rude())
    d = daemon(node, routes=[("*", peer.url())])
    node.container("web-0").write(oracle.source("a").take(20))
    wait_for(lambda: d.log_lines(f"drain {kept}"), 20 * SLOW, lambda: f"it to be said; {error(d)}")
    assert counter(d, "records_out") == 0
    peer.rude = False
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


# --- D02 to D07 ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["reset_after", "close_after"])
def test_D03_cut_at_every_place_of_a_command(node, oracle, daemon, fake_redis, how):
    """One drain for each position: afterwards nothing continues in the middle of a command, or the fake could not parse it."""
    peers = [fake_redis(script=[Mode(**{how: n})]) for n in range(1, 80)]
    daemon(node, routes=[("*", " ".join(peer.url() for peer in peers))])
    node.container("web-0").write(oracle.source("a", size=60).take(3))
    for peer in peers:
        report = oracle.wait_complete(peer, 30 * SLOW)
        report.assert_exact(dup_max=3)
        assert len(peer.connections) == 2 and not peer.errors()


def test_D02_never_reads(node, oracle, daemon, fake_redis):
    peer = fake_redis(mode=NEVER_READ, rcvbuf=4096)
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    c = node.container("web-0")
    c.write(oracle.source("a", size=2000).take(3000))
    wait_for(lambda: f"no reply for {SILENCE_S} s" in error(d), 20 * SLOW, lambda: f"the time to run out; {error(d)}")
    assert state(d)["lag_bytes"] == c.live.stat().st_size
    peer.mode = Mode()
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


def test_reads_but_never_replies(node, oracle, daemon, fake_redis):
    silent = [True]
    peer = fake_redis(lambda *_: b"" if silent[0] else None)
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    node.container("web-0").write(oracle.source("a").take(50))
    wait_for(lambda: f"no reply for {SILENCE_S} s" in error(d), 20 * SLOW, lambda: f"the time to run out; {error(d)}")
    silent[0] = False
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


def test_dripping_is_no_progress(node, oracle, daemon, closing):
    """Single bytes, and never a complete reply."""
    class Dripping(FakeRedis):
        def serve(self, conn):
            conn.read()
            while True:
                conn.write(b":" if not conn.messages else b"1")
                conn.messages.append(b"")
                conn.wait(0, until=time.monotonic() + 0.1)

    peer = closing(Dripping())
    d = daemon(node, routes=[("*", peer.url(f"timeout={SILENCE_S}s"))])
    node.container("web-0").write(oracle.source("a").take(5))
    began = time.monotonic()
    wait_for(lambda: f"no reply for {SILENCE_S} s" in error(d), 20 * SLOW, lambda: f"the time to run out; {error(d)}")
    assert time.monotonic() - began < SILENCE_S + 20 * SLOW


def test_D05_swallowed(node, oracle, daemon, fake_redis):
    """Takes everything, answers nothing, closes in order: nothing is confirmed."""
    swallowing = [True]

    def answer(*_):
        if swallowing[0]:
            raise Ended("fin")

    peer = fake_redis(answer)
    d = daemon(node, routes=[("*", peer.url())])
    c = node.container("web-0")
    c.write(oracle.source("a").take(50))
    wait_for(lambda: len(peer.connections) >= 3, 20 * SLOW, "three tries")
    assert state(d)["lag_bytes"] == c.live.stat().st_size
    assert "closed before the reply" in error(d) or "reset" in error(d)
    swallowing[0] = False
    oracle.wait_complete(peer, 30 * SLOW).assert_exact()


def test_pipelined(node, oracle, daemon, fake_redis):
    """Many commands are sent before the first reply; this keeps it fast with a slow server."""
    peer = fake_redis()
    d = daemon(node, routes=[("*", peer.url("mode=list&format=raw"))])
    c, source = grown(oracle, node, peer)
    c.write(source.take(2000))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    assert counter(d, "batches") < 60 and counter(d, "records_in") == 4400


def test_requests_nothing_else(node, oracle, daemon, fake_redis):
    peer = fake_redis()
    d = daemon(node, routes=[("*", peer.url("mode=list&maxlen=100"))])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    stays(lambda: {c[0] for c in peer.commands} <= {b"RPUSH", b"LTRIM"}, 0.3, "no other command")
    assert counter(d, "connects") == 1
