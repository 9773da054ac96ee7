"""How an HTTP receiver's answers are handled: when to retry, what to halve, what to skip, when to suspend (D10 to D15). A line
counts as received when its request was answered with 2xx. So `exact` means that every refused line was sent again, and that no
accepted line was sent twice."""

import email.utils
import re
import time

import pytest
from lib.daemon import SLOW
from lib.http_peer import Answer, poison, too_large
from lib.node import Writer
from lib.oracle import parse
from lib.wait import wait_for

NDJSON = "batch=ndjson&linger=20ms"
TEN_YEARS = 315360000


def state(d):
    """The only drain of a daemon, as /drains shows it."""
    (drain,) = wait_for(d.drains, 10, "the drain")
    return drain


def counter(d, name):
    return state(d)["counters"][name]


def streams_in(request):
    return {parse(m)[0] for m in request.messages()}


# --- D10: 429 and 503 with Retry-After -------------------------------------------------------------------------------

def http_date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("status, after, least, most", [
    (429, "3", 3, 4.5), (503, "2", 2, 3.5), (429, "0", 1, 2.5), (503, lambda: http_date(4), 3, 5.5),
    (429, lambda: http_date(-60), 1, 2.5),
], ids=["seconds", "503", "zero", "date", "past"])
def test_D10_retry_after_is_honoured(node, oracle, daemon, http, status, after, least, most):
    def answer(_):  # a date is relative to the moment of the answer
        return None if web.requests else Answer(status, {"Retry-After": after() if callable(after) else after})

    web = http(answers=answer)
    daemon(node, routes=[("*", web.url(NDJSON))])
    with Writer(node.container("web-0"), oracle.source("a"), rate=200) as writer:
        wait_for(lambda: len(web.requests) >= 2, 10 * SLOW, "the second try")
        writer.stop()
    assert least - 0.05 <= web.requests[1].at - web.requests[0].at <= most + 10 * SLOW
    oracle.wait_complete(web, 20).assert_exact()


@pytest.mark.parametrize("after", [str(TEN_YEARS), "9" * 40, lambda: http_date(TEN_YEARS)], ids=["seconds", "huge", "date"])
def test_D10_retry_after_is_capped(node, oracle, daemon, http, after):
    web = http(default=Answer(503, {"Retry-After": after() if callable(after) else after}))
    d = daemon(node, routes=[("*", web.url(NDJSON))])
    node.container("web-0").write(oracle.source("a").take(1))
    wait_for(lambda: state(d)["state"] == "waiting", 10, "the answer")
    assert 800 < state(d)["retry_in_seconds"] <= 900
    assert d.log_lines("drain failing.*retry_ms=900000$")


@pytest.mark.parametrize("after", ["soon", "-5", "1e3", "", "3 parsecs", "Fri, 99 Nov 2026 99:99:99 GMT"])
def test_D10_an_invalid_retry_after_is_ignored(node, oracle, daemon, http, after):
    web = http(answers=[Answer(429, {"Retry-After": after})])
    daemon(node, routes=[("*", web.url(NDJSON))])
    node.container("web-0").write(oracle.source("a").take(20))
    oracle.wait_complete(web, 20).assert_exact()
    assert 0.45 <= web.requests[1].at - web.requests[0].at <= 10 * SLOW


def test_D10_no_other_request_meanwhile(node, oracle, daemon, http):
    """Forty connections, many pods: none sends anything. A record that is refused alone at that time does not shorten the pause."""
    def answer(request):
        if not limited and len(web.requests) > 30 and "a" in streams_in(request):
            limited.append(time.monotonic())
            return Answer(429, raw=when_refused())
        if limited and len(refused) < 2 and "b" in streams_in(request):
            refused.append(request)
            return Answer(400, delay=0.5)
        return Answer(200, delay=0.005)

    def when_refused():
        """Makes sure that a refusal is on its way when the pause begins."""
        wait_for(lambda: refused, 60 * SLOW, "a record to be refused")
        limited[0] = time.monotonic()
        yield b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 8\r\nContent-Length: 0\r\n\r\n"

    limited, refused = [], []
    web = http(answers=answer)
    daemon(node, routes=[("*", web.url())])
    pods = [node.container(f"web-{i}") for i in range(6)]
    writers = [Writer(c, oracle.source(name), rate=50) for c, name in zip(pods, "abcdef")]
    wait_for(lambda: refused and time.monotonic() > limited[0] + 8.5, 60 * SLOW, "the pause to end")
    for w in writers:
        w.stop()
    quiet = [r for r in web.requests if limited[0] + 4 < r.at < limited[0] + 8]
    assert refused and not quiet, [r.at - limited[0] for r in quiet]
    oracle.wait_complete(web, 30).assert_exact()


# --- D11: a storm of errors ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["batch=array&linger=20ms", ""], ids=["array", "record"])
def test_D11_error_storm(node, oracle, daemon, http, mode):
    """Three in ten requests succeed: everything arrives, and accepted lines are not sent again."""
    pattern = [500, 502, None, 504, 408, 500, None, 503, None, 500] * 2
    web = http(answers=lambda _: pattern.pop() if pattern else None)
    d = daemon(node, routes=[("*", web.url(mode))])
    node.container("web-0").write(oracle.source("a").take(200 if mode else 12))
    oracle.wait_complete(web, 100).assert_exact()
    failed = [s for s in web.statuses() if s >= 400]
    assert counter(d, "retries") == len(failed) >= 7
    assert len(d.log_lines("drain failing")) <= len(d.log_lines("drain recovered")) + 1


# --- D12: 413 --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("batch", ["ndjson", "array"])
def test_D12_learned_limit_is_kept(node, oracle, daemon, http, batch):
    limit = 20000
    web = http(answers=too_large(limit))
    d = daemon(node, routes=[("*", web.url(f"batch={batch}"))])
    c, source = node.container("web-0"), oracle.source("a", size=lambda seq: 4000 if seq % 7 == 0 else 200)
    c.write(source.take(1000))
    oracle.wait_complete(web, 30).assert_exact()
    refused = [len(r.body) for r in web.requests if r.answer.status == 413]
    assert 1 <= len(refused) <= 3
    learned, count = min(refused) // 2, len(web.requests)
    c.write(b"x" * 3 * limit)  # a single line over the limit, counted and skipped...
    c.write(source.take(2000))
    oracle.wait_complete(web, 30).assert_exact()
    assert counter(d, "rejected") == counter(d, "too_large") == 1
    (line,) = d.log_lines("record refused")
    assert f"file={c.live}" in line and "413" in line and "xxx" not in line
    before = web.statuses().count(413)
    began = time.monotonic()
    c.write(source.take(5000))  # ... without changing the learned limit; full batches do not linger
    oracle.wait_complete(web, 30).assert_exact()
    assert time.monotonic() - began < 60 * SLOW
    assert web.statuses().count(413) == before == len(refused) + 1
    assert learned * 0.7 < max(len(r.body) for r in web.requests[count:] if r.answer.status == 200) <= learned + 1


def test_D12_halved_down_to_one_line(node, oracle, daemon, http):
    web = http(answers=too_large(1000))  # one line of 400 bytes fits, two do not
    daemon(node, routes=[("*", web.url(NDJSON))])
    node.container("web-0").write(oracle.source("a", size=400).take(60))
    oracle.wait_complete(web, 30).assert_exact()
    assert {len(r.records()) for r in web.accepted()} == {1}
    assert web.statuses().count(413) < 8


def test_D12_by_nginx(node, oracle, daemon, http, nginx, certs):
    """A proxy that answers before it has read the whole body."""
    web = http()
    proxy = nginx(web, body_max="64k")
    d = daemon(node, routes=[("*", proxy.url("batch=ndjson&ca=" + certs.option()))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(3000))
    c.write(b"y" * 200000)
    c.write(source.take(100))
    oracle.wait_complete(web, 60).assert_exact()
    assert counter(d, "too_large") == 1
    assert max(len(r.body) for r in web.requests) <= 65536


# --- D13: one poison line --------------------------------------------------------------------------------------------

POISON = b"7f3ad99c the line that nobody wants"


def offset_of(container, needle):
    data = container.live.read_bytes()
    return data.rfind(b"\n", 0, data.index(needle)) + 1


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("place", [0, 300, 499])
def test_D13_poison_in_a_large_batch(node, oracle, daemon, http, status, place):
    web = http(answers=poison(POISON, status))
    d = daemon(node, routes=[("*", web.url("batch=ndjson&linger=500ms"))])
    c, source = node.container("web-0"), oracle.source("a")
    for _ in range(6):  # good answers make batches grow, so that 500 lines are one
        c.write(source.take(500))
        oracle.wait_complete(web, 20).assert_exact()
    before = len(web.requests)
    c.write(source.take(place) + [POISON] + source.take(499 - place))
    oracle.wait_complete(web, 20).assert_exact()
    wait_for(lambda: counter(d, "rejected") == 1, 10, "the poison to be passed over")
    asked = web.requests[before:]
    assert len(asked[0].records()) == 500
    assert sum(r.answer.status == status and len(r.records()) == 1 for r in asked) == 3
    assert len(asked) < 30, "bisected, and back to large batches at once"
    (line,) = d.log_lines("record refused")
    assert f"file={c.live} offset={offset_of(c, POISON)} " in line and str(status) in line
    assert POISON[:8] not in (d.log() + d.ask("/drains")[1] + d.ask("/metrics")[1]).encode()
    assert d.metric("logtrain_drain_rejected_records_total", reason="refused") == 1


def test_D13_poison_among_many_streams(node, oracle, daemon, http):
    """In the default mode a bad line delays only itself."""
    web = http(answers=poison(POISON))
    d = daemon(node, routes=[("*", web.url())])
    pods = [node.container(f"web-{i}") for i in range(4)]
    for c in pods:
        source = oracle.source(c.pod.name)
        c.write(source.take(20) + [POISON] + source.take(20))
    oracle.wait_complete(web, 30).assert_exact()
    wait_for(lambda: counter(d, "rejected") == 4, 10, "all four to be passed over")
    assert web.statuses().count(400) == 12
    assert {line.split("file=")[1].split(" ")[0] for line in d.log_lines("record refused")} == {str(c.live) for c in pods}


def test_L15_the_file_of_the_first_record_is_named(node, oracle, daemon, http):
    """The very first record, and the first one after a rotation: the log names the right file, which exists. (Nothing was
    accepted before the first one: the records behind it are tried and then sent again.)"""
    web = http(answers=poison(POISON))
    d = daemon(node, routes=[("*", web.url())])
    c, source = node.container("web-0"), oracle.source("a")
    c.write([POISON] + source.take(5))
    oracle.wait_complete(web, 30).assert_exact(dup_max=1)
    c.rotate()
    c.write([POISON] + source.take(5))
    oracle.wait_complete(web, 30).assert_exact(dup_max=1)
    wait_for(lambda: counter(d, "rejected") == 2, 10 * SLOW, "both to be passed over")
    for line in d.log_lines("record refused"):
        assert f"file={c.live} offset=0 " in line


# --- L09: is the record bad, or the drain? ---------------------------------------------------------------------------

def held(d):
    return [x["state"] for x in d.drains()] == ["held"]


@pytest.mark.parametrize("scheme, options", [("http", ""), ("http", "batch=ndjson"), ("http", "batch=array"), ("http", "format=raw"),
                                             ("syslog+http", ""), ("gelf+http", ""), ("es+http", "")])
@pytest.mark.parametrize("status", [400, 422, 413])
def test_L09_a_receiver_that_refuses_everything(node, oracle, daemon, http, scheme, options, status):
    """It is not the receiver that the URL should name: nothing is skipped, the drain is suspended, and this is logged. After a
    correction everything arrives."""
    web = http(default=status)
    d = daemon(node, routes=[("*", web.url(options).replace("http", scheme, 1))])
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(50))
    wait_for(lambda: held(d), 20 * SLOW, "the drain to be held")
    c.write(source.take(50))
    wait_for(lambda: len(web.requests) > 30, 60 * SLOW, "more tries")
    assert held(d) and counter(d, "rejected") == 0 and counter(d, "records_out") == 0
    assert f"{status}" in d.drains()[0]["last_error"] and "has accepted nothing yet" in d.drains()[0]["last_error"]
    assert d.metric("logtrain_drain_state", state="held") == 1
    assert len(d.log_lines(" error .*drain suspended")) == 1
    if scheme in ("es+http", "gelf+http"):
        return  # their normal answer is not that of this receiver
    web.default = 200
    oracle.wait_complete(web, 120 * SLOW)
    wait_for(lambda: d.drains()[0]["state"] == "open", 60 * SLOW, "the drain to recover")
    assert oracle.check(web.messages()).refused == 0 and counter(d, "rejected") == 0


PAGE = Answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"\n<!DOCTYPE html><title>Sign in</title>", counts=False)


@pytest.mark.parametrize("scheme, options", [("gelf+http", ""), ("loki+http", ""), ("otlp+http", ""), ("es+http", ""),
                                             ("victorialogs+http", ""), ("clickhouse+http", "table=logs"), ("splunk+http", ""),
                                             ("splunk+http", "ack=true")])
def test_L09_a_web_page_confirms_nothing(node, oracle, daemon, http, scheme, options):
    """A web server or a gateway that answers everything with a page: the lines wait, and arrive when the right server is there."""
    web = http(default=PAGE)
    d = daemon(node, routes=[("*", web.url(options, path="", userinfo="u:key").replace("http", scheme, 1))])
    node.container("web-0").write(oracle.source("a").take(50))
    wait_for(lambda: held(d), 60 * SLOW, "the drain to be held")
    assert "a web page" in d.drains()[0]["last_error"] and len(d.log_lines(" error .*drain suspended")) == 1
    assert counter(d, "rejected") == 0 and counter(d, "records_out") == 0 and d.drains()[0]["lag_bytes"] > 0
    if scheme == "es+http" or "ack" in options:
        return  # their normal answer is not that of this receiver
    web.default = Answer(204, counts=False)
    wait_for(lambda: counter(d, "records_out") == 50, 60 * SLOW, "the lines to be taken")
    assert not held(d)


@pytest.mark.parametrize("scheme, answer", [
    ("http", PAGE), ("syslog+http", PAGE), ("loki+http", Answer(200, {"Content-Type": "text/html"}, b"ok", counts=False)),
    ("loki+http", Answer(200, {"Content-Type": "text/html"}, b"", counts=False)), ("loki+http", Answer(200, {}, b"<ok/>", counts=False))])
def test_L09_other_bodies_confirm(node, oracle, daemon, http, scheme, answer):
    """Receivers that somebody wrote for http:// answer with anything, and many frameworks call any body HTML."""
    web = http(default=answer)
    d = daemon(node, routes=[("*", web.url().replace("http", scheme, 1))])
    node.container("web-0").write(oracle.source("a").take(50))
    wait_for(lambda: counter(d, "records_out") == 50, 60 * SLOW, "the lines to be taken")


def test_L09_a_restart_loses_nothing(node, oracle, daemon, http):
    """The receiver is replaced while the daemon is down, and the first line after the start is a bad one."""
    web = http()
    c, source = node.container("web-0"), oracle.source("a")
    d = daemon(node, routes=[("*", web.url())], wait=False)
    d.wait_ready()
    c.write(source.take(20))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    d.stop()
    web.default = 400
    c.write(source.take(20))
    d.start()
    wait_for(lambda: held(d), 20 * SLOW, "the drain to be held")
    assert counter(d, "rejected") == 0
    web.default, web.answers = 200, poison(POISON)
    c.write([POISON] + source.take(5))
    oracle.wait_complete(web, 120 * SLOW)
    wait_for(lambda: counter(d, "rejected") == 1, 60 * SLOW, "the one bad line to be passed over")
    wait_for(lambda: oracle.check(web.messages()).refused == 1, 10 * SLOW, "the receiver to be told")


@pytest.mark.parametrize("options", ["", "batch=ndjson"])
def test_L09_the_very_first_line_is_bad(node, oracle, daemon, http, options):
    web = http(answers=poison(POISON))
    c, source = node.container("web-0"), oracle.source("a")
    d = daemon(node, routes=[("*", web.url(options))])
    c.write([POISON])
    wait_for(lambda: held(d), 20 * SLOW, "the drain to be held: it has accepted nothing yet")
    c.write(source.take(20))
    wait_for(lambda: counter(d, "rejected") == 1, 20 * SLOW, "the bad line to be passed over")
    oracle.wait_complete(web, 20 * SLOW).assert_exact(dup_max=1)
    (line,) = d.log_lines("record refused")
    assert f"file={c.live} offset=0 " in line
    wait_for(lambda: oracle.check(web.messages()).refused == 1, 10 * SLOW, "the receiver to be told")
    assert d.metric("logtrain_drain_lost_bytes_total", reason="refused") == len(POISON)


def test_L09_a_receiver_that_turns_bad(node, oracle, daemon, http):
    """After successes: at most REFUSED_RUN lines are skipped, each counted, logged and reported to the drain; the rest waits."""
    web = http()
    c, source = node.container("web-0"), oracle.source("a")
    d = daemon(node, routes=[("*", web.url())])
    c.write(source.take(50))
    oracle.wait_complete(web, 20 * SLOW).assert_exact()
    web.default = 400
    c.write(source.take(50))
    wait_for(lambda: held(d), 60 * SLOW, "the drain to be held")
    assert "it refuses all recent records" in d.drains()[0]["last_error"]
    passed = counter(d, "rejected")
    assert passed <= 8 and len(d.log_lines("record refused")) == passed
    web.default = 200
    wait_for(lambda: d.drains()[0]["state"] == "open" and d.drains()[0]["lag_bytes"] == 0, 180 * SLOW, "the drain to recover")
    report = oracle.check(web.messages())
    assert report.lost == passed == counter(d, "rejected"), report


# --- D14: the configuration is wrong ---------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_D14_suspended_and_nothing_skipped(node, oracle, daemon, http, status):
    web = http(default=status)
    d = daemon(node, routes=True)
    d.set_routes([("*", web.url(NDJSON, userinfo=f"logs:{d.secret()}"))])
    d.hup()
    c, source = node.container("web-0"), oracle.source("a")
    c.write(source.take(50))
    wait_for(lambda: len(web.requests) >= 4, 20 * SLOW, "several tries")
    assert state(d)["state"] == "held" and str(status) in state(d)["last_error"]
    assert state(d)["retry_in_seconds"] <= 300 and counter(d, "rejected") == 0
    (line,) = d.log_lines("drain suspended")
    assert " error " in line and str(status) in line
    web.default = 200
    c.write(source.take(50))
    oracle.wait_complete(web, 30).assert_exact()
    wait_for(lambda: state(d)["state"] == "open", 20 * SLOW, "the drain to recover")
    assert len(d.log_lines("drain suspended|drain failing|drain recovered")) == 2


# --- D15: redirects --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["same host", "other host", "metadata", "loop"])
def test_D15_redirects_are_not_followed(node, oracle, daemon, http, status, target):
    other = http()
    web = http()
    where = {"same host": web.url(path="/elsewhere"), "other host": other.url(path="/taken"),
             "metadata": "http://169.254.169.254/latest/meta-data/", "loop": web.url(path="/in")}[target]
    web.default = Answer(status, {"Location": where})
    d = daemon(node, routes=True)
    d.set_routes([("*", web.url(NDJSON, path="/in", userinfo=f"logs:{d.secret()}"))])
    d.hup()
    node.container("web-0").write(oracle.source("a").take(20))
    wait_for(lambda: len(web.requests) >= 2, 10 * SLOW, "two tries")
    assert state(d)["state"] == "held" and "redirect" in state(d)["last_error"]
    assert web.requests[1].at - web.requests[0].at > 0.4, "tried again, not followed"
    web.default = 200
    oracle.wait_complete(web, 20).assert_exact()
    assert {r.target for r in web.requests} == {"/in"}
    assert not other.connections
    assert re.search("Basic ", web.requests[0].headers["authorization"])
