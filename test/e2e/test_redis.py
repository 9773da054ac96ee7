"""redis and rediss against a real redis-server: every mode, credentials, and the errors of a server in trouble (D20)."""

import gzip
import json
import re

import pytest
from lib.daemon import SANITIZED, SLOW
from lib.node import Writer
from lib.oracle import parse
from lib.redis import RedisError, fake_redis, line_of, redis  # noqa: F401
from lib.wait import stays, wait_for


def state(d):
    """The only drain of a daemon, as /drains shows it; waits until it exists."""
    (drain,) = wait_for(d.drains, 10 * SLOW, "the drain")
    return drain


def counter(d, name):
    return state(d)["counters"][name]


def error(d):
    return state(d)["last_error"] or ""


# --- publish ---------------------------------------------------------------------------------------------------------

@pytest.mark.tsan
def test_publish_to_the_channel_in_the_path(node, oracle, daemon, redis):
    server = redis()
    page = server.subscribe("*")
    d = daemon(node, routes=[("*", server.url(path="/lines/of%20all"))])
    for i in range(3):
        c = node.container(f"web-{i}")
        c.write(oracle.source(c.pod.name).take(1000))
    oracle.wait_complete(page, 20 * SLOW).assert_exact()
    assert {channel for channel, _ in page.received} == {"lines/of all"}
    wait_for(lambda: counter(d, "records_out") == 3000, 5 * SLOW, "the last reply")
    assert counter(d, "unsubscribed") == counter(d, "retries") == 0 and counter(d, "connects") == 1


def test_publish_to_the_hostname_and_what_a_page_reads(node, oracle, daemon, redis):
    """The contract of realtime-log-web-viewer: one channel for each program, JSON with these fields."""
    server = redis()
    shop, all_of_them = server.subscribe("shop.default"), server.subscribe("*")
    daemon(node, routes=[("*", server.url())])
    for name in ("shop-7d4b9c6f5-x2x4z", "web-7d4b9c6f5-x2x4z"):
        node.container(name).write(oracle.source(name).take(200))
    oracle.wait_complete(all_of_them, 20 * SLOW).assert_exact()
    oracle.wait_complete(shop, 5 * SLOW, ["shop-7d4b9c6f5-x2x4z"]).assert_exact()
    assert {channel for channel, _ in all_of_them.received} == {"shop.default", "web.default"}
    for _, record in shop.received:
        fields = json.loads(record)
        assert fields["_app_name"] == fields["host"] == "shop.default" and fields["_group"] == "lr"
        assert fields["version"] == "1.1" and fields["_pod"] == "shop-7d4b9c6f5-x2x4z"
        assert parse(fields["short_message"].encode())[0] == "shop-7d4b9c6f5-x2x4z"
        assert isinstance(fields["timestamp"], (int, float)) and "\n" not in record.decode().rstrip("\n")


def test_a_channel_made_of_the_stream(node, oracle, daemon, redis):
    server = redis()
    page = server.subscribe("*")
    daemon(node, routes=[("*", server.url(path="/%25h.viewer"))])
    for name in ("shop-7d4b9c6f5-x2x4z", "web-7d4b9c6f5-x2x4z"):
        node.container(name).write(oracle.source(name).take(20))
    oracle.wait_complete(page, 60 * SLOW).assert_exact()
    assert {channel for channel, _ in page.received} == {"shop.default.viewer", "web.default.viewer"}


def test_no_subscribers(node, oracle, daemon, redis):
    server = redis()
    d = daemon(node, routes=[("*", server.url(path="/void"))])
    node.container("web-0").write(oracle.source("a").take(300))
    wait_for(lambda: counter(d, "records_out") == 300, 10 * SLOW, "the replies")
    assert counter(d, "unsubscribed") == 300
    assert d.metric("logtrain_drain_unsubscribed_records_total") == 300
    assert state(d)["lag_bytes"] == 0


@pytest.mark.parametrize("fmt, begin", [("raw", b"lt a 0 "), ("json", b'{"severity":6,'), ("rfc5424", b"<14>1 "), ("gelf", b'{"version":"1.1"')])
def test_formats(node, oracle, daemon, redis, fmt, begin):
    server = redis()
    page = server.subscribe("c")
    daemon(node, routes=[("*", server.url(f"format={fmt}", path="/c"))])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(page, 10 * SLOW).assert_exact()
    assert page.received[0][1].startswith(begin)


@pytest.mark.parametrize("keep", [True, False])
def test_L11_bytes_are_bytes_where_they_are_kept(node, daemon, redis, keep):
    """CR LF, NUL, text that looks like the protocol, and an empty line."""
    server = redis()
    lines = [b"a\r", b"\x00\xff\xfe", b"$3\r", b"*1\r $4", b"", b"+OK", "täglich ☃".encode()]
    daemon(node, routes=[("*", server.url("mode=list&key=k&format=raw" + ("&utf8=keep" if keep else "")))])
    node.container("web-0").write(lines)
    wait_for(lambda: server.call("LLEN", "k") == len(lines), 10 * SLOW, "the lines")
    assert server.call("LRANGE", "k", 0, -1) == [line if keep else line.decode("utf-8", "replace").encode() for line in lines]


@pytest.mark.parametrize("mode", ["publish", "list", "stream"])
@pytest.mark.parametrize("more", ["compression=gzip&format=raw", "compression=gzip&format=json", "framing=lf&format=raw"])
def test_whole_lines_together(node, oracle, daemon, redis, mode, more):
    """What subscribers of zlogs read: whole lines, about 8 KiB of one stream in each message, a gzip member."""
    server = redis()
    keep = {"publish": server.subscribe("*"), "list": server.list("k"), "stream": server.stream("k")}[mode]
    d = daemon(node, drains=[("*", server.url(f"{more}&mode={mode}", path="/k"))], env={"READ_FROM": "end"})
    for name in ("web-0", "web-1"):
        node.container(name).write(oracle.source(name).take(1500))
    oracle.wait_complete(keep, 60 * SLOW).assert_exact()
    wait_for(lambda: counter(d, "records_out") == 3000, 60 * SLOW, "the last reply")
    if mode != "publish":
        return
    messages = [m for _, m in keep.received]
    assert all((m[:2] == b"\x1f\x8b") == ("gzip" in more) for m in messages)
    texts = [gzip.decompress(m) if "gzip" in more else m for m in messages]
    assert 10 < len(texts) < 300 and all(t.endswith(b"\n") and len(t) <= 8192 for t in texts)
    for text in texts:
        assert len({parse(line_of(line))[0] for line in text.splitlines()}) == 1, "one stream"


def test_a_line_among_whole_lines_that_is_too_large(node, oracle, daemon, redis):
    """It is alone in its message: only it is refused, and nothing else with it."""
    server = redis(proto_max_bulk_len="1mb")
    d = daemon(node, drains=[("*", server.url("mode=list&key=k&format=raw&framing=lf"))], env={"READ_FROM": "end", "MAX_LINE": "4m"})
    source = oracle.source("a")
    node.container("web-0").write(source.take(50) + [b"x" * (2 << 20)] + source.take(50))
    oracle.wait_complete(server.list("k"), 60 * SLOW).assert_exact()
    wait_for(lambda: counter(d, "rejected") == 1, 60 * SLOW, "the count")


def test_whole_lines_that_are_refused_are_not_skipped(node, oracle, daemon, fake_redis):
    """A server (a proxy) that says of many lines that they are too large: they wait, and none of them is skipped."""
    refusals = [b"-ERR string exceeds maximum allowed size\r\n"]
    peer = fake_redis(answer=lambda command, _: refusals.pop() if refusals and command[0] == b"PUBLISH" else None)
    d = daemon(node, drains=[("*", peer.url("compression=gzip&format=raw"))], env={"READ_FROM": "end"})
    node.container("web-0").write(oracle.source("a").take(500))
    report = oracle.wait_complete(peer, 60 * SLOW)
    assert report.lost == 0 and report.dup <= 500, report
    wait_for(lambda: counter(d, "records_out") == 500, 60 * SLOW, "the replies")
    assert counter(d, "rejected") == 0 and not refusals


def test_lf_and_nul_in_whole_lines(node, daemon, redis):
    server = redis()
    daemon(node, drains=[("*", server.url("mode=list&key=k&format=raw&framing=lf"))], env={"READ_FROM": "end"})
    node.container("web-0").write([b"a\x00b", b"", "täglich ☃".encode()])
    wait_for(lambda: server.list("k").count() == 3, 60 * SLOW, "the lines")
    assert server.list("k").messages() == [b"a b", b"", "täglich ☃".encode()]


# --- lists and streams -----------------------------------------------------------------------------------------------

def test_list(node, oracle, daemon, redis):
    server = redis()
    daemon(node, routes=[("*", server.url("mode=list&key=lines&db=5"))])
    server.call("SELECT", 5)
    with Writer(node.container("web-0"), oracle.source("a"), rate=2000, count=3000) as writer:
        node.container("web-1").write(oracle.source("b").take(5000))
        writer.join()
    oracle.wait_complete(server.list("lines"), 20 * SLOW).assert_exact()


def test_list_with_maxlen_keeps_the_newest(node, oracle, daemon, redis):
    server = redis()
    d = daemon(node, routes=[("*", server.url("mode=list&maxlen=500", path="/lines"))])
    node.container("web-0").write(oracle.source("a").take(3000))
    wait_for(lambda: counter(d, "records_out") == 3000, 10 * SLOW, "the replies")
    kept = server.list("lines").messages()
    assert [parse(m)[1] for m in kept] == list(range(2500, 3000))


def test_stream(node, oracle, daemon, redis):
    server = redis()
    daemon(node, routes=[("*", server.url("mode=stream&key=s"))])
    for i in range(2):
        node.container(f"web-{i}").write(oracle.source(f"s{i}").take(2000))
    view = server.stream("s")
    oracle.wait_complete(view, 20 * SLOW).assert_exact()
    ids = [i for i, _ in view.entries]
    assert len(set(ids)) == 4000 and all(re.fullmatch(rb"[0-9a-f]{16}-[0-9a-f]+", i) for i in ids)


def test_stream_with_maxlen(node, oracle, daemon, redis):
    server = redis()
    d = daemon(node, routes=[("*", server.url("mode=stream&maxlen=1000"))])
    node.container("web-0").write(oracle.source("a").take(5000))
    wait_for(lambda: counter(d, "records_out") == 5000, 10 * SLOW, "the replies")
    assert 1000 <= server.call("XLEN", "web.default") <= 1200


# --- TLS, users ------------------------------------------------------------------------------------------------------

def test_tls(node, oracle, daemon, redis, certs):
    server = redis(tls=certs)
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    node.container("web-0").write(oracle.source("a").take(3000))
    oracle.wait_complete(server.list("k"), 20 * SLOW).assert_exact()
    assert counter(d, "connects") == 1


@pytest.mark.parametrize("cert, why", [("expired", "expired"), ("wronghost", "mismatch"), ("unknown", "issuer"), ("selfsigned", "self-signed|self signed")])
def test_D08_bad_certificates(node, oracle, daemon, redis, certs, cert, why):
    server = redis(tls=certs, cert=cert)
    d = daemon(node, routes=True)
    d.set_routes([("*", server.url("mode=list&key=k", userinfo=f"u:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: re.search(why, error(d)), 10 * SLOW, lambda: f"the refusal; {error(d)}")
    assert counter(d, "connects") == 0


def test_password_and_acl_user(node, oracle, daemon, redis):
    """A user that may only publish to its channel."""
    server = redis()
    page = server.subscribe("app:*")
    d = daemon(node, routes=True)
    secret = d.secret()
    server.call("ACL", "SETUSER", "logs", "on", f">{secret}", "resetchannels", "&app:*", "-@all", "+publish", "+select")
    d.set_routes([("*", server.url("db=1", path="/app:lines", userinfo=f"logs:{secret}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(page, 10 * SLOW).assert_exact()


def test_requirepass(node, oracle, daemon, redis):
    server = redis(requirepass="open sesame")
    server.password = "open sesame"
    d = daemon(node, routes=[("*", server.url("mode=list&key=k", userinfo=":open%20sesame"))])
    node.container("web-0").write(oracle.source("a").take(100))
    oracle.wait_complete(server.list("k"), 10 * SLOW).assert_exact()
    assert "open sesame" not in d.log() and "open%20sesame" not in d.log()


def held(d, word):
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, lambda: f"the drain to be held; {state(d)}")
    assert word in error(d), error(d)
    (line,) = d.log_lines("drain suspended")
    assert " error " in line and word in line


@pytest.mark.parametrize("userinfo, word", [("logs:{}", "WRONGPASS"), ("nobody:{}", "WRONGPASS"), ("", "NOAUTH")])
def test_D20_wrong_password_suspends(node, oracle, daemon, redis, userinfo, word):
    server = redis(requirepass="right")
    server.password = "right"
    server.call("ACL", "SETUSER", "logs", "on", ">another", "~*", "&*", "+@all")
    d = daemon(node, routes=True)
    secret = d.secret()
    d.set_routes([("*", server.url("mode=list&key=k", userinfo=userinfo.format(secret)))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(100))
    held(d, word)
    assert counter(d, "rejected") == counter(d, "records_out") == 0
    if userinfo:
        server.call("ACL", "SETUSER", userinfo.split(":")[0], "on", f">{secret}", "~*", "&*", "+@all")
    else:
        server.call("CONFIG", "SET", "requirepass", "")
    oracle.wait_complete(server.list("k"), 30 * SLOW).assert_exact()


def test_D20_not_permitted_suspends(node, oracle, daemon, redis):
    server = redis()
    server.call("ACL", "SETUSER", "logs", "on", ">pw", "~other", "+@all")
    d = daemon(node, routes=[("*", server.url("mode=list&key=k", userinfo="logs:pw"))])
    node.container("web-0").write(oracle.source("a").take(100))
    held(d, "NOPERM")
    server.call("ACL", "SETUSER", "logs", "~*")
    oracle.wait_complete(server.list("k"), 30 * SLOW).assert_exact()


def test_D20_a_needless_password_suspends(node, oracle, daemon, redis):
    """The default user has no password: AUTH is answered with an error other than WRONGPASS."""
    server = redis()
    d = daemon(node, routes=[("*", server.url(userinfo=":pw"))])
    node.container("web-0").write(oracle.source("a").take(10))
    held(d, "no such password")
    assert counter(d, "records_out") == 0


def test_D20_no_such_database_suspends(node, oracle, daemon, redis):
    server = redis()
    d = daemon(node, routes=[("*", server.url("db=99"))])
    node.container("web-0").write(oracle.source("a").take(10))
    held(d, "no such database")


@pytest.mark.parametrize("mode", ["list", "stream"])
def test_D20_wrong_type_suspends(node, oracle, daemon, redis, mode):
    server = redis()
    server.call("SET", "k", "a string")
    d = daemon(node, routes=[("*", server.url(f"mode={mode}&key=k"))])
    node.container("web-0").write(oracle.source("a").take(100))
    held(d, "WRONGTYPE")
    server.call("DEL", "k")
    oracle.wait_complete(server.list("k") if mode == "list" else server.stream("k"), 30 * SLOW).assert_exact()


# --- errors of a running server --------------------------------------------------------------------------------------

def waits(d, word):
    wait_for(lambda: word in error(d), 20 * SLOW, lambda: f"{word}; {state(d)}")
    assert state(d)["state"] in ("waiting", "connecting", "failing")
    assert counter(d, "rejected") == 0


def recovers(oracle, d, server, key="k", dup_max=0):
    oracle.wait_complete(server.list(key), 60 * SLOW).assert_exact(dup_max=dup_max)
    wait_for(lambda: state(d)["state"] == "open", 10 * SLOW, "the drain to be well")
    assert len(d.log_lines("drain failing")) == len(d.log_lines("drain recovered"))


def test_D20_out_of_memory(node, oracle, daemon, redis):
    server = redis()
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(2000))
    oracle.wait_complete(server.list("k"), 20 * SLOW).assert_exact()
    server.call("CONFIG", "SET", "maxmemory", "1mb")
    c.write(source.take(2000))
    waits(d, "OOM")
    before = server.call("LLEN", "k")
    stays(lambda: server.call("LLEN", "k") == before, 1, "nothing gets in")
    server.call("CONFIG", "SET", "maxmemory", 0)
    recovers(oracle, d, server)


def test_D20_read_only(node, oracle, daemon, redis):
    server = redis()
    server.call("REPLICAOF", "127.0.0.1", 1)
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    node.container("web-0").write(oracle.source("a").take(500))
    waits(d, "READONLY")
    server.call("REPLICAOF", "NO", "ONE")
    recovers(oracle, d, server)


def test_D20_no_replicas(node, oracle, daemon, redis):
    server = redis(min_replicas_to_write=1)
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    node.container("web-0").write(oracle.source("a").take(500))
    waits(d, "NOREPLICAS")
    server.call("CONFIG", "SET", "min-replicas-to-write", 0)
    recovers(oracle, d, server)


def test_D20_busy(node, oracle, daemon, redis):
    server = redis(busy_reply_threshold=100)
    server.call("PING")
    script = server.client()
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    oracle.wait_complete(server.list("k"), 20 * SLOW).assert_exact()
    script.sock.sendall(b"*3\r\n$4\r\nEVAL\r\n$18\r\nwhile true do end \r\n$1\r\n0\r\n")
    wait_for(lambda: _busy(server), 10 * SLOW, "the script to keep it busy")
    c.write(source.take(500))
    waits(d, "BUSY")
    server.call("SCRIPT", "KILL")
    wait_for(lambda: not _busy(server), 10 * SLOW, "the script to end")  # SCRIPT KILL is answered before the script has ended
    recovers(oracle, d, server)


def _busy(server):
    try:
        server.call("PING")
    except RedisError as e:
        return str(e).startswith("BUSY")
    return False


def test_D20_loading(node, oracle, daemon, redis):
    server = redis(appendonly="no")
    server.call("DEBUG", "POPULATE", 3000)
    server.call("SAVE")
    server.restart(loaded=False, key_load_delay=1000, loading_process_events_interval_bytes=1024)
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    node.container("web-0").write(oracle.source("a").take(500))
    waits(d, "LOADING")
    server.call("CONFIG", "SET", "key-load-delay", 0)
    wait_for(lambda: not server.loading(), 30 * SLOW, "the data to be there")
    recovers(oracle, d, server)


def test_D20_cluster_down(node, oracle, daemon, redis):
    server = redis(cluster_enabled="yes")
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    node.container("web-0").write(oracle.source("a").take(500))
    waits(d, "CLUSTERDOWN")
    server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_for(lambda: b"cluster_state:ok" in server.call("CLUSTER", "INFO"), 20 * SLOW, "the cluster")
    recovers(oracle, d, server)


def test_larger_than_the_server_takes(node, oracle, daemon, redis):
    """proto-max-bulk-len: the server closes in the middle; only the long line is skipped."""
    server = redis(proto_max_bulk_len="1mb")
    d = daemon(node, routes=[("*", server.url("mode=list&key=k&format=raw"))], env={"MAX_LINE": "4m"})
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(50) + [b"x" * (2 << 20)] + source.take(50))
    oracle.wait_complete(server.list("k"), 30 * SLOW).assert_exact()
    assert counter(d, "rejected") == 1
    (line,) = d.log_lines("record refused")
    assert f"file={c.live} offset=" in line and "xxx" not in line


@pytest.mark.parametrize("mode", ["list", "stream"])
def test_killed_and_back(node, oracle, daemon, redis, mode):
    """Three times while lines are sent. Nothing is lost; at most what was in flight arrives twice."""
    server = redis()
    d = daemon(node, routes=[("*", server.url(f"mode={mode}&key=k"))])
    with Writer(node.container("web-0"), oracle.source("a"), rate=2000) as writer:
        for _ in range(3):
            before = counter(d, "records_out")
            wait_for(lambda: counter(d, "records_out") > before + 500, 30 * SLOW, "some lines")
            server.restart()
        writer.stop()
    view = server.list("k") if mode == "list" else server.stream("k")
    report = oracle.wait_complete(view, 60 * SLOW)
    report.assert_exact(dup_max=3 * 2000)
    if mode == "stream":  # a reader can tell: the id field is the record's
        lines = {}
        for i, record in view.entries:
            lines.setdefault(i, set()).add(record)
        assert len(lines) == report.distinct and all(len(v) == 1 for v in lines.values())


def test_idle_connection_closed_by_the_server(node, oracle, daemon, redis):
    server = redis(timeout=3)
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(100))
    oracle.wait_complete(server.list("k"), 20 * SLOW).assert_exact()
    clients = server.client()
    wait_for(lambda: clients.call("CLIENT", "LIST").count(b"cmd=rpush") == 0, 20 * SLOW, "the server to hang up")
    server.clients = server.clients[-1:]
    c.write(source.take(100))
    oracle.wait_complete(server.list("k"), 20 * SLOW).assert_exact()
    assert counter(d, "disconnects") == 0 and not d.log_lines("drain failing")


def test_stop_waits_for_the_replies(node, oracle, daemon, redis):
    server = redis()
    d = daemon(node, routes=[("*", server.url("mode=list&key=k"))])
    with Writer(node.container("web-0"), oracle.source("a"), rate=5000) as writer:
        wait_for(lambda: server.call("LLEN", "k") > 1000, 20 * SLOW, "lines")
        d.stop()
        writer.stop()
    report = oracle.check(server.list("k").messages())
    report.assert_exact(pending=report.written - report.distinct)
    assert [first for first, _ in report.lost_ranges["a"]] in ([], [report.distinct])


@pytest.mark.slow
@pytest.mark.skipif(SANITIZED, reason="speed is not what a sanitizer shows")
def test_a_million_lines(node, oracle, daemon, redis):
    server = redis(appendonly="no")
    d = daemon(node, routes=[("*", server.url("mode=list&key=k&format=raw"))])
    c, source = node.container("web-0"), oracle.source("a", size=100)
    for _ in range(100):
        c.write(source.take(10000))
    wait_for(lambda: server.call("LLEN", "k") >= 10**6, 120, lambda: f"a million; {server.call('LLEN', 'k')} are there")
    view = server.list("k")
    oracle.check(view.messages()).assert_exact()
    assert counter(d, "retries") == 0
