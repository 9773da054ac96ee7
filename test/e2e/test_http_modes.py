"""HTTP drains in normal use: one object per request, NDJSON, arrays, gzip, TLS, credentials, and nginx in front. Many
connections, and still every stream in order."""

import base64
import json
import re
import time

import pytest
from lib.daemon import SANITIZED, SLOW, run
from lib.http_peer import Answer
from lib.node import Writer
from lib.wait import stays, wait_for


def counters(d):
    (drain,) = wait_for(d.drains, 10, "the drain")
    return drain["counters"]


def uneven(seed=7):
    """answers=: success after 0 to 30 ms, so that requests overtake each other."""
    def answer(request):
        return Answer(200, delay=(hash((seed, len(request.body), request.conn)) % 31) / 1000)
    return answer


# --- requests --------------------------------------------------------------------------------------------------------

def test_one_object_per_request_on_many_connections(node, oracle, daemon, http):
    web = http(answers=uneven())
    d = daemon(node, routes=[("*", web.url(path="/in/box"))])
    for i in range(12):
        node.container(f"web-{i}", "shop").write(oracle.source(f"s{i}").take(60))
    oracle.wait_complete(web, 60).assert_exact()
    assert len(web.requests) == 12 * 60
    assert 4 <= web.busy_max <= len(web.connections) <= 12, "a stream has one request at a time"
    assert counters(d)["connects"] == len(web.connections)
    first = web.requests[0]
    assert (first.method, first.target) == ("POST", "/in/box")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["host"] == f"127.0.0.1:{web.port}"
    (record,) = first.records()
    assert re.fullmatch(r"web-\d+", record["tag"]) and record["hostname"] == "web.shop"


def test_connections_are_limited(node, oracle, daemon, http):
    web = http(answers=uneven())
    daemon(node, routes=[("*", web.url("connections=2"))])
    for i in range(8):
        node.container(f"web-{i}").write(oracle.source(f"s{i}").take(20))
    oracle.wait_complete(web, 60).assert_exact()
    assert web.busy_max == len(web.connections) == 2


@pytest.mark.parametrize("compression", ["", "&compression=gzip"], ids=["plain", "gzip"])
@pytest.mark.parametrize("batch, kind", [("ndjson", "application/x-ndjson"), ("array", "application/json")])
def test_batches(node, oracle, daemon, http, batch, kind, compression):
    web = http(answers=uneven())
    d = daemon(node, routes=[("*", web.url(f"batch={batch}{compression}"))])
    for i in range(5):
        node.container(f"web-{i}").write(oracle.source(f"s{i}").take(3000))
    oracle.wait_complete(web, 60).assert_exact()
    assert {r.headers["content-type"] for r in web.requests} == {kind}
    assert {r.headers.get("content-encoding") for r in web.requests} == {"gzip" if compression else None}
    assert len(web.requests) < 100, "batches grow"
    assert max(len(r.body) for r in web.requests) <= (1 << 20) + 8192
    if compression:
        d.wait_confirmed(web.port)
        assert sum(len(r.raw) for r in web.requests) < counters(d)["wire_bytes"] / 3


def test_linger_collects(node, oracle, daemon, http):
    """Lines that arrive one by one within linger= are sent together; a full batch does not wait."""
    web = http()
    daemon(node, routes=[("*", web.url("batch=ndjson&linger=1s"))])
    began = time.monotonic()
    with Writer(node.container("web-0"), oracle.source("a"), rate=100, count=150) as writer:
        writer.join()
    oracle.wait_complete(web, 20).assert_exact()
    assert len(web.requests) <= web.requests[-1].at - began + 3


@pytest.mark.parametrize("url_format, kind, shape", [
    ("format=raw&batch=ndjson", "text/plain", rb"lt a 0 .*"),
    ("format=rfc5424&batch=ndjson", "application/syslog", rb"<14>1 \S+ web.default web-0 - - - lt a 0 .*"),
])
def test_other_formats(node, oracle, daemon, http, url_format, kind, shape):
    web = http()
    daemon(node, routes=[("*", web.url(url_format))])
    node.container("web-0").write(oracle.source("a").take(50))
    oracle.wait_complete(web, 20).assert_exact()
    assert web.requests[0].headers["content-type"].split(";")[0] == kind
    assert re.match(shape, web.messages()[0])


def test_bytes_that_are_not_utf8(node, daemon, http):
    web = http()
    daemon(node, routes=[("*", web.url("batch=array"))])
    node.container("web-0").write([b'\xff\xfe"quoted" \\ \x00\x1b[31m', "snow \u2603 \u2028".encode()])
    wait_for(lambda: web.count() == 2, 10 * SLOW, "two records")
    records = json.loads(web.requests[0].body)
    assert records[0]["message"] == '\ufffd\ufffd"quoted" \\ \x00\x1b[31m'
    assert records[1]["message"] == "snow \u2603 \u2028"


# --- authentication of both sides ------------------------------------------------------------------------------------

@pytest.mark.parametrize("userinfo, plain", [("logs:{}", "logs:{}"), ("l%40gs:{}%3a%2f%c3%bc", "l@gs:{}:/ü"), (":{}", ":{}")])
def test_userinfo_becomes_basic(node, oracle, daemon, http, userinfo, plain):
    web = http()
    d = daemon(node, routes=True)
    secret = d.secret()
    d.set_routes([("*", web.url("batch=ndjson&api_key=k1&b=2", path="/p", userinfo=userinfo.format(secret)))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(5))
    oracle.wait_complete(web, 20).assert_exact()
    request = web.requests[0]
    kind, value = request.headers["authorization"].split(" ")
    assert (kind, base64.b64decode(value).decode()) == ("Basic", plain.format(secret))
    assert request.target == "/p?api_key=k1&b=2", "what is not ours is passed on"
    assert secret not in request.target


@pytest.mark.parametrize("scheme", ["", "syslog+", "gelf+", "loki+"])
@pytest.mark.parametrize("auth, user, wanted", [("bearer", "", "Bearer {}"), ("splunk", "", "Splunk {}"), ("apikey", "", "ApiKey {}"),
                                                ("bearer", "not-sent", "Bearer {}")])
def test_auth_and_headers(node, daemon, http, scheme, auth, user, wanted):
    """Sent as asked for, kept over a refusal and a new connection, shown nowhere."""
    web = http(answers=[Answer(503, cut="after", counts=False)], default=Answer(counts=False))
    d = daemon(node, routes=True, env={"LOG_LEVEL": "debug", "LOGTRAIN_TRACE": "drain,route"})
    secret, other = d.secret(), d.secret()
    d.set_routes([("*", scheme + web.url(f"auth={auth}&header=X-Key:{other}&header=x-note:a%20b", userinfo=f"{user}:{secret}"))])
    d.hup()
    node.container().write([b"hello"])
    wait_for(lambda: len(web.requests) == 2, 60 * SLOW, "the line, twice")
    for request in web.requests:
        assert request.headers["authorization"] == wanted.format(secret)
        assert (request.headers["x-key"], request.headers["x-note"]) == (other, "a b")
    d.check_canaries()


@pytest.mark.parametrize("cert, reason", [
    ("expired", "expired"), ("wronghost", "name|host"), ("unknown", "issuer|unable"), ("selfsigned", "self.signed"),
])
def test_D08_bad_certificates_of_https(node, oracle, daemon, https, certs, cert, reason):
    web = https(cert=cert)
    d = daemon(node, routes=[("*", web.url("batch=ndjson&ca=" + certs.option()))])
    node.container("web-0").write(oracle.source("a").take(5))
    wait_for(lambda: counters(d)["connect_errors"] >= 2, 20 * SLOW, "two tries")
    (drain,) = d.drains()
    assert re.search(reason, drain["last_error"], re.IGNORECASE), drain["last_error"]
    assert len(d.log_lines("drain failing")) == 1
    assert not web.requests and counters(d)["records_out"] == 0


@pytest.mark.parametrize("cert", ["expired", "selfsigned"])
def test_insecure_takes_any(node, oracle, daemon, https, cert):
    web = https(cert=cert)
    daemon(node, routes=[("*", web.url("batch=ndjson&insecure=true"))])
    node.container("web-0").write(oracle.source("a").take(5))
    oracle.wait_complete(web, 20).assert_exact()


def test_D08_no_plain_text_where_tls_was_asked_for(node, oracle, daemon, http, certs):
    web = http()
    d = daemon(node, routes=[("*", f"https://localhost:{web.port}/?timeout=1s&ca={certs.option()}")])
    node.container("web-0").write(oracle.source("a").take(5))
    wait_for(lambda: counters(d)["connect_errors"] >= 2, 20 * SLOW, "two tries")
    assert not web.requests


@pytest.mark.parametrize("options", ["batch=ndjson", "batch=array&compression=gzip", ""], ids=["ndjson", "array-gzip", "record"])
def test_https_with_ca(node, oracle, daemon, https, certs, options):
    web = https(answers=uneven())
    d = daemon(node, routes=[("*", web.url("&".join(filter(None, ["ca=" + certs.option(), options]))))])
    for i in range(4):
        node.container(f"web-{i}").write(oracle.source(f"s{i}").take(100))
    oracle.wait_complete(web, 60).assert_exact()
    assert counters(d)["connects"] == len(web.connections) <= 4


# --- nginx in front --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", ["", "batch=ndjson&linger=10ms"], ids=["record", "ndjson"])
@pytest.mark.parametrize("proxy_options", [{"per_connection": 5}, {"http2": True, "per_connection": 7}], ids=["http1", "http2"])
def test_nginx_that_closes_kept_connections(node, oracle, daemon, http, nginx, certs, options, proxy_options):
    """nginx ends each connection after a few requests: no line is lost or arrives twice."""
    web = http()
    proxy = nginx(web, **proxy_options)
    d = daemon(node, routes=[("*", proxy.url("&".join(filter(None, ["ca=" + certs.option(), options]))))])
    pods = [node.container(f"web-{i}") for i in range(4)]
    writers = [Writer(c, oracle.source(c.pod.name), rate=150, count=300 if options else 100) for c in pods]
    for w in writers:
        w.join()
    oracle.wait_complete(web, 60).assert_exact()
    assert counters(d)["connects"] >= len(web.requests) / proxy_options["per_connection"]
    assert counters(d)["retries"] == 0


def test_nginx_restarts(node, oracle, daemon, http, nginx, certs):
    web = http()
    proxy = nginx(web)
    daemon(node, routes=[("*", proxy.url("batch=ndjson&linger=10ms&ca=" + certs.option()))])
    with Writer(node.container("web-0"), oracle.source("a"), rate=500) as writer:
        wait_for(lambda: len(web.requests) > 5, 20, "lines")
        proxy.kill()
        proxy.restart()
        before = len(web.requests)
        wait_for(lambda: len(web.requests) > before + 5, 20 * SLOW, "lines again")
        writer.stop()
    report = oracle.wait_complete(web, 30)
    report.assert_exact(dup_max=report.written)  # requests that nginx had forwarded and not answered


# --- resources -------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(SANITIZED, reason="memory under a sanitizer says nothing")
def test_fifty_gzip_drains_cost_little(node, oracle, daemon, http):
    """zlib's state is shared; separate states would take 13 MB."""
    web = http()
    d = daemon(node, routes=[("*", web.url("batch=ndjson&compression=gzip", path=f"/{i}")) for i in range(50)])
    node.container("web-0").write(oracle.source("a").take(300))
    wait_for(lambda: web.count() == 50 * 300, 60, "fifty times all lines")
    assert d.rss_peak() < 24 << 20


def test_idle_connections_are_kept_and_used_again(node, oracle, daemon, http):
    web = http()
    d = daemon(node, routes=[("*", web.url())])
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(5):
        c.write(source.take(3))
        oracle.wait_complete(web, 20).assert_exact()
    assert len(web.connections) == 1 == counters(d)["connects"]
    stays(lambda: web.open_connections(), 0.5, "the connection is kept")


# --- D30: invalid URLs -----------------------------------------------------------------------------------------------

BAD = ["http://", "http://:80/", "http://h:0/", "http://h:70000/", "http://h:port/", "htp://h/", "http://h:80:80/",
       "http://a@b#@c/", "http://h/%0d%0aX:1?batch=no", "http://[::1", "http://[fe80::1%25eth0]/", "http://h\\x/", "http://h/?batch=",
       "http://h/?batch=ndjson&batch=array", "http://h/?connections=0", "http://h/?connections=257", "http://h/?linger=2m",
       "http://h/?timeout=0", "http://h/?ca=notbase64!", "http://h/?format=gelf2", "http://h/?compression=lzma",
       "http://h/?insecure=maybe", "http://h/?conections=4", "http://h/?framing=lf", "http://h/?max=1",
       "http://h/" + "x" * 65536]


@pytest.mark.parametrize("url", BAD, ids=lambda u: re.sub(r"[^\w.=%-]", "_", u)[:40])
def test_D30_bad_url_is_named_and_the_others_work(node, oracle, daemon, http, url):
    web = http()
    d = daemon(node, routes=True)
    secret = d.secret()
    bad = url.replace("://", f"://user:{secret}@", 1)
    d.set_routes([("*", web.url("batch=ndjson&linger=10ms")), ("bad.workload", bad), ("*", web.url(path="/two"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(10))
    wait_for(lambda: web.count() == 20, 10 * SLOW, "both good routes")
    assert d.log_lines(r"(warn|error) .*(bad\.workload|line.?2\b)"), d.tail()
    assert len(d.drains()) == 2
    done = run("--check", bad)
    assert done.returncode == 2 and done.stdout == "" and secret not in done.stderr


@pytest.mark.parametrize("url", ["http://h/\r\nX: 1", "http://h /", "http://h/\x01", "http://h\t/", "http://\u2603/", "http://h/\x7f"])
def test_D30_control_characters(url):
    done = run("--check", url)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
