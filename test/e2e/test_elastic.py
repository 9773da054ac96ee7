"""Elasticsearch drains: every byte of the bulk protocol, the status of each item (D18), invalid answers (D19), and the promise
that the index holds each line once, whatever happens."""

import base64
import gzip
import json
import re
import threading

import pytest
from lib.daemon import SANITIZED, SLOW, limits
from lib.elastic import Elastic, item
from lib.http_peer import Answer, endless
from lib.node import Writer
from lib.oracle import parse
from lib.wait import stays, wait_for


def state(d):
    (drain,) = d.drains()
    return drain


def counter(d, name):
    return state(d)["counters"][name]


@pytest.fixture
def elastic(closing, certs):
    def start(*args, tls=False, **options):
        return closing(Elastic(*args, tls=certs.server("good") if tls else None, **options))
    return start


def assert_each_once(oracle, es, **allowed):
    """Documents may arrive in another order than the lines were written: a record that waits does not delay others."""
    report = oracle.check(sorted(es.messages(), key=lambda m: (parse(m) or ("", 0))[:2]))
    report.assert_exact(**allowed)
    return report


# --- requests --------------------------------------------------------------------------------------------------------

def test_every_byte(node, daemon, elastic):
    es = elastic()
    c = node.container("web-7d4b9c6f5-x2x4z", "shop")
    c.write_raw(b"2026-11-20T10:15:00.123456789+01:00 stdout F hello \"you\" \xe2\x82\xac\xff\n"
                b"2026-11-20T10:15:01Z stderr F {\"create\":{}}\n")
    daemon(node, drains=[("*", es.url("linger=50ms"))], env={"NODE": "n1"})
    wait_for(lambda: len(es.documents) == 2, 10 * SLOW, "both")
    es.messages()
    (request,) = es.requests
    names = '"hostname":"web.shop","tag":"web-7d4b9c6f5-x2x4z"'
    more = '"facility":1,"namespace":"shop","pod":"web-7d4b9c6f5-x2x4z","container":"main","node":"n1"'
    segment = re.search(r'"_id":"([0-9a-f]{16})-0-', request.body.decode())[1]
    checks = re.findall(r'-([0-9a-f]{8})"}}', request.body.decode())
    second = len(c.live.read_bytes().split(b"\n")[0]) + 1
    assert request.body.decode() == (
        f'{{"create":{{"_index":"web.shop","_id":"{segment}-0-{checks[0]}"}}}}\n'
        f'{{"@timestamp":"2026-11-20T10:15:00.123456+01:00",{names},"message":"hello \\"you\\" €\ufffd","severity":6,'
        f'{more},"stream":"stdout"}}\n'
        f'{{"create":{{"_index":"web.shop","_id":"{segment}-{second:x}-{checks[1]}"}}}}\n'
        f'{{"@timestamp":"2026-11-20T10:15:01Z",{names},"message":"{{\\"create\\":{{}}}}","severity":3,'
        f'{more},"stream":"stderr"}}\n')
    assert request.headers["content-type"] == "application/x-ndjson"
    assert "authorization" not in request.headers and "content-encoding" not in request.headers


@pytest.mark.parametrize("options, wanted", [("index=logs", {"logs"}), ("index=l-%25Y.%25m.%25d", {"l-2026.11.19", "l-2026.11.20"}),
                                             ("", {"web.shop"})], ids=["name", "date", "hostname"])
def test_index(node, daemon, elastic, options, wanted):
    es = elastic()
    node.container("web-7d4b9c6f5-x2x4z", "shop").write_raw(b"2026-11-20T00:15:00+01:00 stdout F a\n"
                                                            b"2026-11-20T00:15:00Z stdout F b\n")
    daemon(node, drains=[("*", es.url(options))])
    wait_for(lambda: len(es.documents) == 2, 10 * SLOW, "both")
    assert {index for index, _ in es.documents} == wanted and not es.violations


@pytest.mark.parametrize("options, wanted", [
    ("", "Basic {both}"), ("auth=basic", "Basic {both}"), ("auth=apikey", "ApiKey {both}"), ("auth=bearer", "Bearer {password}"),
], ids=["default", "basic", "apikey", "bearer"])
def test_auth(node, oracle, daemon, elastic, options, wanted):
    """Valid credentials work and are shown nowhere; if they are refused, the drain is suspended."""
    es = elastic()
    d = daemon(node, routes=True)
    secret = d.secret()
    both = base64.b64encode(f"logs:{secret}".encode()).decode()
    header = wanted.format(both=both, password=secret)
    d.secrets.append(both)
    es.whole = lambda request: None if request.headers.get("authorization") == header else 401
    d.set_routes([("*", es.url(options, userinfo=f"logs:{secret}"))])
    d.hup()
    c, source = node.container(), oracle.source("a")
    c.write(source.take(20))
    oracle.wait_complete(es, 10 * SLOW).assert_exact()
    es.whole = lambda request: 401
    c.write(source.take(20))
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, "the drain to be held")
    assert "401" in state(d)["last_error"]
    es.whole = None
    oracle.wait_complete(es, 20 * SLOW).assert_exact()


def test_a_path_and_parameters_of_its_own(node, oracle, daemon, elastic):
    es = elastic(path="/behind/a/proxy/_bulk")
    daemon(node, drains=[("*", es.url("pipeline=p&index=x&refresh=true", path="/behind/a/proxy"))])
    node.container().write(oracle.source("a").take(20))
    oracle.wait_complete(es, 10 * SLOW).assert_exact()
    assert es.requests[0].target.endswith("error.type&pipeline=p&refresh=true")


def test_tls_and_gzip(node, oracle, daemon, elastic, certs):
    es = elastic(tls=True)
    d = daemon(node, drains=[("*", es.url("compression=gzip&ca=" + certs.option()))])
    with Writer(node.container(), oracle.source("a"), rate=20000, count=10000) as writer:
        writer.join()
    oracle.wait_complete(es, 20 * SLOW)
    assert_each_once(oracle, es)
    assert es.conflicts == 0 and counter(d, "retries") == 0
    assert all(r.headers["content-encoding"] == "gzip" for r in es.requests)
    assert sum(len(r.raw) for r in es.requests) < sum(len(r.body) for r in es.requests) / 2


def test_many_streams_and_workers(node, oracle, daemon, elastic):
    es = elastic(full=True)
    pods = [node.container(f"web-{i}") for i in range(8)]
    d = daemon(node, drains=[("*", es.url("linger=10ms"))], env={"WORKERS": 3})
    writers = [Writer(c, oracle.source(c.pod.name), rate=3000, count=3000) for c in pods]
    for w in writers:
        w.join()
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)
    assert es.conflicts == 0 and d.metric("logtrain_rejected_lines_total") in (0, None)


# --- D18: each item has a status of its own --------------------------------------------------------------------------

def offset_of(container, needle):
    data = container.live.read_bytes()
    return data.rfind(b"\n", 0, data.index(needle)) + 1


def seq(document):
    """-1: not one of our lines, but a gap record."""
    line = parse(document["message"].encode())
    return line[1] if line else -1


@pytest.mark.slow
def test_D18_mixed_items(node, oracle, daemon, elastic):
    """201 and 409 are delivered, 429 and 503 are sent again, 400 is skipped and logged, each exactly."""
    tries = {}

    def decide(document, id_):
        if "poison" in document["message"]:
            return 400
        n = seq(document)
        if n < 0:
            return None
        tries[n] = tries.get(n, 0) + 1
        if tries[n] == 1:
            return {3: 429, 7: 503, 11: (429, "circuit_breaking_exception")}.get(n % 13)
        return None

    es = elastic(decide)
    c, source = node.container(), oracle.source("a")
    poisons = []
    for i in range(4):
        c.write(source.take(100))
        poisons.append(f"poison {i}".encode())
        c.write(poisons[-1])
    c.write(source.take(100))
    d = daemon(node, drains=[("*", es.url())])
    oracle.wait_complete(es, 100 * SLOW)
    wait_for(lambda: counter(d, "rejected") == 4, 10 * SLOW, "all four to be passed over")
    assert_each_once(oracle, es)
    wait_for(lambda: state(d)["lag_bytes"] == 0, 5 * SLOW, "the cursor to reach the end")
    lines = d.log_lines("record refused")
    assert len(lines) == 4 and "poison" not in d.log()
    for line, poison in zip(lines, poisons):
        assert f"file={c.live} offset={offset_of(c, poison)} " in line and "mapper_parsing_exception" in line
    assert counter(d, "records_out") == 500
    assert set(es.statuses_said) == {201, 409, 429, 503, 400}


def test_D18_cursor_is_at_the_first_item_that_waits(node, oracle, daemon, elastic):
    """Items behind the waiting one were stored and are not stored again; items before it are confirmed and not sent again."""
    waits = []
    es = elastic(lambda document, id_: 429 if seq(document) == 40 and not waits.append(id_) and len(waits) < 4 else None)
    c, source = node.container(), oracle.source("a")
    c.write(source.take(100))
    d = daemon(node, drains=[("*", es.url("linger=300ms"))])
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)
    sent = [len(r.body.splitlines()) // 2 for r in es.requests]
    firsts = [parse(json.loads(r.body.splitlines()[1])["message"].encode())[1] for r in es.requests]
    at = next(i for i, r in enumerate(es.requests) if b"a 40 " in r.body)
    assert firsts[at + 1:at + 4] == [40, 40, 40], (firsts, sent)
    assert es.conflicts > 0 and counter(d, "rejected") == 0
    assert "item status 429" in "".join(d.log_lines("drain failing"))


def test_D18_a_block_suspends(node, oracle, daemon, elastic):
    blocked = [True]
    es = elastic(lambda document, id_: 403 if blocked[0] and seq(document) >= 50 else None)
    c, source = node.container(), oracle.source("a")
    c.write(source.take(100))
    d = daemon(node, drains=[("*", es.url())])
    wait_for(lambda: state(d)["state"] == "held", 20 * SLOW, "the drain to be held")
    assert "cluster_block_exception" in state(d)["last_error"] and counter(d, "rejected") == 0
    assert len(es.documents) == 50
    assert len(d.log_lines(" error .*drain suspended")) == 1
    blocked[0] = False
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)


@pytest.mark.parametrize("kind", ["index_closed_exception", "validation_exception", "invalid_index_name_exception"])
def test_D18_bad_requests_that_are_the_indexs_fault(node, oracle, daemon, elastic, kind):
    wrong = [True]
    es = elastic(lambda document, id_: (400, kind) if wrong[0] else None)
    node.container().write(oracle.source("a").take(50))
    d = daemon(node, drains=[("*", es.url())])
    wait_for(lambda: state(d)["state"] == "held", 20 * SLOW, "the drain to be held")
    assert counter(d, "rejected") == 0
    wrong[0] = False
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)


def test_D18_refused_records_across_rotation_and_pieces(node, oracle, daemon, elastic):
    """A refused line that was written in pieces, and refused lines in files that are rotated away meanwhile, are logged exactly."""
    es = elastic(lambda document, id_: 400 if "poison" in document["message"] else None)
    es.refuse()
    c, source = node.container(max_files=100), oracle.source("a")
    d = daemon(node, drains=[("*", es.url())])
    wanted = set()
    for i in range(3):
        c.write(source.take(30))
        at = c.live.stat().st_size
        c.write([b"poison" + b"x" * 40000])  # three pieces
        away = c.rotate()
        wanted.add((str(away), at))
        c.write(source.take(30))
    es.resume()
    oracle.wait_complete(es, 30 * SLOW)
    wait_for(lambda: counter(d, "rejected") == 3, 10 * SLOW, "all three")
    assert_each_once(oracle, es)
    found = {re.search(r"file=(\S+) offset=(\d+) ", line).groups() for line in d.log_lines("record refused")}
    assert {(name.removesuffix(".gz"), int(offset)) for name, offset in found} == wanted


def test_D18_one_index_that_is_busy_does_not_stop_the_rest(node, oracle, daemon, elastic):
    """Records for one index are refused for a while; records of other streams in the same requests are confirmed."""
    busy = [True]
    es = elastic(lambda document, id_: 429 if busy[0] and document["hostname"] == "busy.default" else None)
    slow, fast = node.container("busy-7d4b9c6f5-x2x4z"), node.container("fast-7d4b9c6f5-x2x4z")
    a, b = oracle.source("a"), oracle.source("b")
    daemon(node, drains=[("*", es.url("linger=10ms"))])
    slow.write(a.take(20))
    for _ in range(5):
        fast.write(b.take(20))
        oracle.wait_complete(es, 20 * SLOW, ["b"])
    assert not [1 for i, _ in es.documents if i == "busy.default"]
    busy[0] = False
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)


# --- D19: invalid answers --------------------------------------------------------------------------------------------

def body(items):
    return json.dumps({"items": items}).encode()


MANGLED = {
    "fewer": lambda items: body(items[:-1]),
    "none": lambda items: body([]),
    "more": lambda items: body(items + [item("0" * 16 + "-0-00000000", 201)]),
    "twice": lambda items: body(items + items),
    "reordered": lambda items: body(items[::-1]),
    "rotated": lambda items: body(items[1:] + items[:1]),
    "swapped": lambda items: body(items[1::-1] + items[2:]),
    "not JSON": lambda items: b"<html><body>It works!</body></html>",
    "empty": lambda items: b"",
    "cut off": lambda items: body(items)[:-3],
    "broken off": lambda items: Answer(200, {}, body(items), cut="body", counts=False),
    "all fine": lambda items: b'{"took":1,"errors":false}',
    "other ids": lambda items: body([item(i["create"]["_id"][:-1] + "x", 201) for i in items]),
    "no status": lambda items: body([{"create": {"_id": i["create"]["_id"]}} for i in items]),
    "100 MiB": lambda items: Answer(200, {}, b'{"items":[' + b" " * (100 << 20), counts=False),
    "endless": lambda items: Answer(200, raw=endless(b"[" * 65536), counts=False),
    "nested": lambda items: b"[" * 900000,
}


@pytest.mark.parametrize("how", MANGLED)
@pytest.mark.parametrize("stored", [True, False], ids=["stored", "half stored"])
def test_D19_an_invalid_answer(node, oracle, daemon, elastic, how, stored):
    """Whether or not the server has stored the records, nothing is lost and nothing is stored twice. It refuses half of them, the
    first one included, with 429 at first. So an answer whose items were assigned to the wrong records would lose lines."""
    left, seen = [3], set()

    def decide(document, id_):
        if not stored and id_ not in seen:
            seen.add(id_)
            return None if seq(document) % 2 else 429
        return None

    def mangle(items):
        left[0] -= 1
        return MANGLED[how](items) if left[0] >= 0 else None

    es = elastic(decide, mangle)
    node.container().write(oracle.source("a").take(60))
    d = daemon(node, drains=[("*", es.url())])
    oracle.wait_complete(es, 60 * SLOW)
    wait_for(lambda: state(d)["lag_bytes"] == 0, 60 * SLOW, "everything confirmed")
    assert_each_once(oracle, es)
    assert counter(d, "retries") >= 3 and counter(d, "rejected") == 0
    assert not stored or len(d.log_lines("drain failing")) + len(d.log_lines("drain suspended")) == 1
    if not SANITIZED:
        assert d.rss_peak() < 64 << 20


@pytest.mark.parametrize("what", ["truncated", "route"])
def test_D19_an_answer_for_lines_that_are_gone(node, oracle, daemon, elastic, what):
    """The answer comes so late that the request was released and cannot be read again: the file was truncated, or the route has
    ended. The daemon goes on, and so do later lines."""
    said, asked = threading.Event(), []

    def late(data):
        said.wait(600)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)

    def mangle(items):
        asked.append(len(items))
        return Answer(200, raw=late(body(items)), counts=False) if len(asked) == 1 else None

    es = elastic(mangle=mangle)
    c, routes = node.container(), [("*", es.url("timeout=300s"))]
    c.write(oracle.source("old").take(100))
    d = daemon(node, routes=routes)
    wait_for(lambda: asked and d.metric("logtrain_inflight_bytes") < limits()["REQUEST_BYTES"] + 4096, 60 * SLOW,
             "the request to be let go")
    if what == "truncated":
        c.copytruncate()
    else:
        d.set_routes([("nothing", "null://")])
        wait_for(lambda: d.metric("logtrain_cursors") == 0, 60 * SLOW, "the route to go")
    said.set()
    if what == "route":
        stays(d.running, 1, "the daemon")
        d.set_routes(routes)
        wait_for(lambda: d.metric("logtrain_cursors") == 1, 60 * SLOW, "the route to be back")
    c.write(oracle.source("new").take(100))
    oracle.wait_complete(es, 60 * SLOW, ["new"])
    assert not d.log_lines("drain suspended"), "the receiver is not to blame"


def test_D19_answers_too_long_to_read_make_requests_smaller(node, oracle, daemon, elastic):
    """The server does not support filter_path and writes much about each item. Delivery makes progress all the same."""
    es = elastic(mangle=lambda items: body([{"create": i["create"] | {"x": "y" * 8000}} for i in items]))
    node.container().write(oracle.source("a").take(3000))
    daemon(node, drains=[("*", es.url())])
    oracle.wait_complete(es, 60 * SLOW)
    assert_each_once(oracle, es)


# --- L10: servers that return no ids ---------------------------------------------------------------------------------

def zipped(text):
    return Answer(200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(text), counts=False)


def without_ids(items):
    return [{"create": {k: v for k, v in i["create"].items() if k != "_id"}} for i in items]


@pytest.mark.parametrize("how", [
    lambda items: body(without_ids(items)),
    lambda items: json.dumps({"took": 3, "errors": False, "items": without_ids(items)}).encode(),  # VictoriaLogs
    lambda items: body([{"create": i["create"] | {"_id": ""}} for i in items]),
    lambda items: body([{"create": i["create"] | {"_id": None}} for i in items]),
    lambda items: body([{"index": i["create"]} for i in items]),
    lambda items: body(without_ids(items[:1]) + items[1:]),
    lambda items: zipped(body(items)),  # by a proxy, unasked
], ids=["without", "victorialogs", "empty", "null", "index", "mixed", "gzip"])
def test_L10_statuses_in_order_are_an_answer(node, oracle, daemon, elastic, how):
    """Each row is stored once and none is sent again; an item's error refuses that record."""
    es = elastic(lambda document, id_: 400 if seq(document) == 7 else None, mangle=how)
    node.container().write(oracle.source("a").take(40))
    d = daemon(node, drains=[("*", es.url())])
    wait_for(lambda: state(d)["lag_bytes"] == 0, 20 * SLOW, "everything answered")
    assert len(es.messages()) == 39 + counter(d, "gaps") and es.conflicts == 0
    assert counter(d, "rejected") == 1 and counter(d, "retries") == 0 and state(d)["state"] == "open"


@pytest.mark.parametrize("answer, why", [
    (b'{"took":1,"errors":false,"items":[]}', "fewer items"), (b'{"took":1,"errors":false}', "no items"),
    (b'{"errors":false}', "no items"), (b'{"took":1}', "no items"), (b"{}", "no items"), (b"", "empty"), (b"OK", "not JSON"),
], ids=["no items", "without", "errors only", "took only", "nothing", "empty", "text"])
def test_L10_no_statuses_suspend_the_drain(node, oracle, daemon, elastic, answer, why):
    """The server may have stored the rows, but does not say so. So they are not sent again and again, and this is logged."""
    es = elastic(mangle=lambda items: answer)
    node.container().write(oracle.source("a").take(20))
    d = daemon(node, drains=[("*", es.url())])
    wait_for(lambda: state(d)["state"] == "held", 10 * SLOW, "the drain to be held")
    assert why in state(d)["last_error"]
    assert state(d)["lag_bytes"] > 0 and counter(d, "records_out") == 0 and counter(d, "rejected") == 0
    es.mangle = None
    oracle.wait_complete(es, 30 * SLOW)
    wait_for(lambda: state(d)["state"] == "open", 30 * SLOW, "the drain to recover")
    assert_each_once(oracle, es)


# --- requests as a whole ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [429, 502, 503, 504, 413, 400])
def test_whole_requests_refused(node, oracle, daemon, elastic, status):
    left = [4]

    def whole(request):
        if status in (413, 400):
            return status if len(request.body) > 5000 else None
        left[0] -= 1
        return status if left[0] >= 0 else None

    es = elastic(whole=whole)
    node.container().write(oracle.source("a").take(100))
    d = daemon(node, drains=[("*", es.url())])
    oracle.wait_complete(es, 60 * SLOW)
    assert_each_once(oracle, es)
    assert counter(d, "rejected") == 0


def test_a_web_server_is_no_elasticsearch(node, daemon, http):
    """200 with "It works!" confirms nothing."""
    web = http(default=Answer(200, {}, b"It works!", counts=False))
    c = node.container()
    c.write([b"a line"])
    d = daemon(node, drains=[("*", web.url().replace("http", "es+http"))])
    wait_for(lambda: counter(d, "retries") >= 2, 10 * SLOW, "two tries")
    assert state(d)["lag_bytes"] == c.live.stat().st_size
    assert "not JSON" in state(d)["last_error"]


# --- each line is stored once ----------------------------------------------------------------------------------------

def test_killed_and_started_over(node, oracle, daemon, elastic):
    """Killed in the middle, positions lost, read again from the start: the index holds each line once."""
    es = elastic()
    c, source = node.container(max_files=100), oracle.source("a")
    c.write(source.take(5000))
    c.rotate()
    c.write(source.take(3000))
    drains = [("*", es.url("linger=5ms"))]
    d = daemon(node, drains=drains)
    wait_for(lambda: len(es.documents) > 1000, 20 * SLOW, "some of it")
    d.kill()
    daemon(node, drains=drains)  # with a state directory of its own
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)
    assert es.conflicts > 1000


def test_killed_and_resumed(node, oracle, daemon, elastic):
    """It resumes at its saved positions; only a few documents are sent again, and the index recognises them."""
    es = elastic()
    c, source = node.container(max_files=100), oracle.source("a")
    d = daemon(node, drains=[("*", es.url("linger=5ms"))])
    with Writer(c, source, rate=3000) as writer:
        for _ in range(3):
            n = len(es.documents)
            wait_for(lambda least=n: len(es.documents) > least + 1500, 20 * SLOW, "some of it")
            d.kill()
            d.start()
        writer.stop()
    oracle.wait_complete(es, 30 * SLOW)
    assert_each_once(oracle, es)


def test_lost_answers(node, oracle, daemon, elastic):
    """The server stores the documents, and the connection is cut before its answer: they are sent again and recognised."""
    n = [0]

    def mangle(items):
        n[0] += 1
        return Answer(200, {}, body(items), cut="before", counts=False) if n[0] % 3 == 1 else None

    es = elastic(mangle=mangle)
    daemon(node, drains=[("*", es.url("linger=5ms"))])
    with Writer(node.container(), oracle.source("a"), rate=2000, count=4000) as writer:
        writer.join()
    oracle.wait_complete(es, 60 * SLOW)
    assert_each_once(oracle, es)
    assert es.conflicts > 0


def test_truncated_in_place(node, oracle, daemon, elastic):
    """After copytruncate, offsets start at 0 again: other lines at the same offset are other documents."""
    es = elastic()
    f, source = node.plain("app.log"), oracle.source("a", size=100)
    daemon(node, drains=[("*", es.url("linger=5ms"))])
    for _ in range(3):
        f.write(source.take(50))
        oracle.wait_complete(es, 20 * SLOW)
        f._file.truncate(0)
        f.write(source.take(20))
        oracle.wait_complete(es, 20 * SLOW)
        f._file.truncate(0)
    assert_each_once(oracle, es)


def test_the_same_line_twice_is_two(node, daemon, elastic):
    es = elastic()
    c = node.container()
    c.write_raw(b"2026-11-20T10:15:00.000000001Z stdout F again\n" * 100)
    daemon(node, drains=[("*", es.url())])
    wait_for(lambda: len(es.documents) >= 100, 10 * SLOW, "all of them")
    stays(lambda: len(es.documents) == 100 and es.conflicts == 0, 0.3, "another document")
