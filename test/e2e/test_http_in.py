"""The HTTP inputs /events and /syslog, used by curl and by the daemon's own drains. Records of a request that was answered 200
arrive; of a refused request nothing is kept."""

import gzip
import json
import socket
import subprocess

import pytest
from lib.wait import wait_for

ON = {"KUBERNETES": "false", "HTTP_EVENTS": "true", "HTTP_SYSLOG": "true", "HTTP_ADDRESS": "127.0.0.1"}


def packet(message, hostname="db.shop", **more):
    return {"severity": 6, "facility": 1, "hostname": hostname, "tag": "db-1", "time": "2026-11-20T10:15:00.5Z",
            "message": message.decode("latin-1") if isinstance(message, bytes) else message, **more}


def ndjson(packets):
    return b"".join(json.dumps(p).encode() + b"\n" for p in packets)


def curl(d, path, body, *options):
    """A POST with curl: (status, answer)."""
    done = subprocess.run(["curl", "-sS", "-m", "60", "-w", "\n%{http_code}", *options, "--data-binary", "@-",
                           f"http://127.0.0.1:{d.port}{path}"], input=body, capture_output=True, timeout=90, check=True)
    text, _, status = done.stdout.rpartition(b"\n")
    return int(status), text.decode()


def received(web):
    return [r for request in web.accepted() for r in request.records()]


@pytest.fixture
def listener(daemon, http):
    """listener(env=…): a daemon with the inputs, and the receiver of all its lines."""
    def start(env=None, **options):
        web = http(**options)
        return daemon(routes=[("*", web.url("batch=ndjson&sd=true"))], env={**ON, **(env or {})}), web
    return start


# --- curl ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("form", ["object", "array", "ndjson", "gzip", "chunked"])
def test_events_from_curl(listener, oracle, form):
    d, web = listener()
    lines = [packet(m) for m in oracle.source("events").take(1 if form == "object" else 500)]
    body, options = ndjson(lines), []
    if form == "array":
        body = json.dumps(lines).encode()
    elif form == "gzip":
        body, options = gzip.compress(body), ["-H", "Content-Encoding: gzip"]
    elif form == "chunked":
        options = ["-H", "Transfer-Encoding: chunked"]
    assert curl(d, "/events", body, *options) == (200, "ok\n")
    oracle.wait_complete(web, 30).assert_exact()
    first = received(web)[0]
    assert {k: first[k] for k in ("severity", "facility", "hostname", "tag")} == \
        {"severity": 6, "facility": 1, "hostname": "db.shop", "tag": "db-1"}
    assert first["time"].startswith("2026-11-20T10:15:00.5")
    assert '[input@32473 peer="127.0.0.1"]' in json.dumps(first).replace('\\"', '"')
    metrics = d.metrics()
    assert metrics.get("logtrain_input_records_total", input="http_events") == len(lines)


@pytest.mark.parametrize("framing", ["lf", "octet"])
def test_syslog_from_curl(listener, oracle, framing):
    d, web = listener()
    frames = [b"<14>1 2026-11-20T10:15:00Z db.shop db-1 7 ID - " + m for m in oracle.source("frames").take(300)]
    body = b"".join(f + b"\n" if framing == "lf" else b"%d %s" % (len(f), f) for f in frames)
    assert curl(d, "/syslog", body) == (200, "ok\n")
    oracle.wait_complete(web, 30).assert_exact()
    assert received(web)[0]["hostname"] == "db.shop"


def test_requests_without_a_good_record_are_refused_with_the_reason(listener, oracle):
    d, web = listener()
    good = [packet(m) for m in oracle.source("good").take(20)]
    for body, why in [
        (b'{"hostname":"db.shop","time":"yesterday"}', "record 0: time: not a time of RFC 3339"),
        (b'{"hostname":', "record 0: the body ends inside of it"),
        (b'{"message":"bad"}', "record 0: hostname: is missing, longer than 255 bytes, or not visible ASCII"),
        (ndjson([packet("bad", severity=9)] * 2), "record 0: severity: is not one of 0 to 7"),
        (b"", "there is no record"),
        (b"[1]", "record 0: not an object"),
    ]:
        assert curl(d, "/events", body) == (400, why + "\n")
    assert curl(d, "/syslog", b"hello\n") == (400, "record 0: not a syslog message\n")
    assert curl(d, "/syslog", b"99999999 <14>x") == (400, "record 0: invalid octet count\n")
    assert curl(d, "/syslog", b"") == (400, "there is no record\n")
    assert curl(d, "/events", b"x", "-H", "Content-Encoding: br")[0] == 415
    assert curl(d, "/events", b"not gzip", "-H", "Content-Encoding: gzip") == (400, "the body is not gzip\n")
    assert curl(d, "/metrics", b"x")[0] == 405
    strict = ndjson([packet("bad")] * 3) + b'{"hostname":"db.shop","time":"yesterday"}'
    assert curl(d, "/events", strict, "-H", "Prefer: handling=strict") == (400, "record 3: time: not a time of RFC 3339\n")
    assert curl(d, "/events", ndjson(good))[0] == 200
    oracle.wait_complete(web, 30).assert_exact()
    assert not [r for r in received(web) if r["message"] == "bad"]
    assert d.metric("logtrain_input_records_total", input="http_events") == 20


def test_N07_bodies_too_large(listener, oracle):
    d, web = listener()
    bomb = gzip.compress(b'{"hostname":"db.shop","message":"' + b"x" * (64 << 20))
    status, why = curl(d, "/events", bomb, "-H", "Content-Encoding: gzip")
    assert (status, why) == (413, "decompressed body is too large\n")
    assert curl(d, "/events", b" " * (9 << 20)) == (413, "the body is too long\n")
    assert curl(d, "/events", b" " * (9 << 20), "-H", "Transfer-Encoding: chunked", "-H", "Expect:")[0] == 413
    assert curl(d, "/events", ndjson([packet("x")] * 20001))[0] == 413
    assert curl(d, "/events", ndjson([packet(oracle.source("s").next())]))[0] == 200
    oracle.wait_complete(web, 30).assert_exact()


def test_T10_a_request_behind_a_bare_lf_is_not_delivered(listener, oracle):
    """A proxy that ends a head only at CR LF CR LF would forward both as one request."""
    d, web = listener()
    hidden = ndjson([packet("hidden")])
    post = b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(hidden), hidden)
    for head in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\n", b"GET /healthz HTTP/1.1\nHost: x\n\n", b"\n"):
        with socket.create_connection(("127.0.0.1", d.port), timeout=30) as s:
            s.sendall(head + post)
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, answer
    assert curl(d, "/events", ndjson([packet(oracle.source("s").next())]))[0] == 200
    oracle.wait_complete(web, 30).assert_exact()
    assert d.metric("logtrain_input_records_total", input="http_events") == 1


def test_the_bearer_token(listener, oracle, tmp_path):
    (tmp_path / "token").write_text("s3cret-of-ours\n")
    d, web = listener(env={"HTTP_TOKEN_FILE": tmp_path / "token"})
    body = ndjson([packet(m) for m in oracle.source("s").take(3)])
    for options in [(), ("-H", "Authorization: Bearer wrong"), ("-u", "a:s3cret-of-ours")]:
        assert curl(d, "/events", body, *options)[0] == 401
    assert curl(d, "/syslog", body)[0] == 401
    assert d.get("/healthz")[0] == 200
    assert curl(d, "/events", body, "-H", "Authorization: Bearer s3cret-of-ours")[0] == 200
    oracle.wait_complete(web, 30).assert_exact()
    assert "s3cret-of-ours" not in d.log()


def test_hostnames_that_an_input_may_not_use(listener):
    d, web = listener(env={"INPUT_HOSTNAMES": "http*=*.shop"})
    assert curl(d, "/events", ndjson([packet("no", "db.bank")])) == (403, "hostname not allowed\n")
    assert curl(d, "/events", ndjson([packet("no", "db.bank"), packet("yes")]))[0] == 200
    wait_for(lambda: [r["message"] for r in received(web)] == ["yes"], 30, "the one that is allowed")


def test_a_token_file_that_is_missing_refuses_to_start(daemon, tmp_path):
    d = daemon(routes=[("*", "null://")], env={**ON, "HTTP_TOKEN_FILE": tmp_path / "none"}, wait=False)
    assert wait_for(lambda: d.process.poll() is not None, 30, "its end")
    assert f"HTTP_TOKEN_FILE: cannot read {tmp_path}/none" in d.log()
    d.process = None


# --- backpressure, and bad clients -----------------------------------------------------------------------------------

def test_N05_full_journals_answer_503_and_lose_nothing(listener, oracle):
    """While the drain is away, requests are accepted up to the hostname's share, and then refused as a whole."""
    d, web = listener(env={"JOURNAL_HOST_BYTES_MAX": "4m", "MAX_LINE": "64k"})
    web.refuse()
    source, refused, taken = oracle.source("s", 1000), 0, 0
    batch = [packet(m) for m in source.take(400)]
    while refused < 3:
        status, why = curl(d, "/events", ndjson(batch))
        if status == 200:
            taken += 1
            batch = [packet(m) for m in source.take(400)]
        else:
            assert (status, why) == (503, "there is no room now\n")
            refused += 1
        assert taken < 20
    assert taken >= 3
    head = subprocess.run(["curl", "-sSi", "-d", "@-", f"http://127.0.0.1:{d.port}/events"], input=ndjson(batch),
                          capture_output=True, timeout=60, check=True).stdout
    assert b"retry-after: 5\r\n" in head
    web.resume()
    wait_for(lambda: curl(d, "/events", ndjson(batch))[0] == 200, 90, "room")
    oracle.wait_complete(web, 90).assert_exact()


def test_N08_a_client_that_dies_in_the_body_leaves_nothing(listener, oracle):
    d, web = listener()
    body = ndjson([packet("half")] * 50)
    for cut in (0, 1, len(body) // 2, len(body) - 1):
        with socket.create_connection(("127.0.0.1", d.port)) as s:
            s.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:cut])
    assert curl(d, "/events", ndjson([packet(m) for m in oracle.source("s").take(5)]))[0] == 200
    oracle.wait_complete(web, 30).assert_exact()
    assert [r for r in received(web) if r["message"] == "half"] == []


def test_N06_a_request_in_anothers_body_is_not_seen(listener, oracle):
    d, web = listener()
    inner = ndjson([packet("smuggled")])
    inner = b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    for head in (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"Content-Length : 4\r\n", b"Transfer-Encoding: xchunked\r\n",
                 b"Content-Length: 4\r\nContent-Length: 5\r\n", b"X: y\nContent-Length: 4\r\n", b"X: y\r\n Content-Length: 4\r\n"):
        with socket.create_connection(("127.0.0.1", d.port), timeout=30) as s:
            s.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + inner)
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, answer
    assert curl(d, "/events", ndjson([packet(m) for m in oracle.source("s").take(5)]))[0] == 200
    oracle.wait_complete(web, 30).assert_exact()
    assert [r for r in received(web) if r["message"] == "smuggled"] == []


# --- the daemon's own drains -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("scheme, path, options", [
    ("http", "/events", ""), ("http", "/events", "batch=ndjson&compression=gzip"), ("http", "/events", "batch=array"),
    ("syslog+http", "/syslog", ""), ("syslog+http", "/syslog", "framing=octet&compression=gzip"),
])
def test_our_own_drains_into_our_own_input(daemon, listener, node, oracle, scheme, path, options):
    d, web = listener()
    daemon(node, drains=[("*", f"{scheme}://127.0.0.1:{d.port}{path}?{options}")])
    node.container("web-1", "shop").write(oracle.source("s", lambda i: 40 + i % 4000).take(400))
    oracle.wait_complete(web, 60).assert_exact()
    record = received(web)[0]
    assert (record["hostname"], record["severity"], record["facility"]) == ("web.shop", 6, 1)
