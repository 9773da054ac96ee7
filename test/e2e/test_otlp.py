"""OTLP drains: every field of a record in both encodings, partial success, how answers are handled, and the collector's own
receiver."""

import threading

import pytest
from lib.daemon import SLOW
from lib.http_peer import Answer
from lib.node import Writer
from lib.oracle import parse
from lib.otlp import Otlp, RealOtlp
from lib.wait import wait_for

POD = "web-7d4b9c6f5-x2x4z"
LINES = (b"2026-11-20T10:15:00.123456789+01:00 stdout F hello \"you\" \xe2\x82\xac\xff\n"
         b"2026-11-20T10:15:01Z stderr F  \n")
encodings = pytest.mark.parametrize("encoding", ["protobuf", "json"])


@pytest.fixture
def otlp(closing, certs):
    def start(tls=False, **options):
        return closing(Otlp(tls=certs.server("good") if tls else None, **options))
    return start


def state(d):
    (drain,) = wait_for(d.drains, 60 * SLOW, "the drain")
    return drain


@encodings
@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_every_field(node, daemon, otlp, encoding, compression):
    peer = otlp()
    c = node.container(POD, "shop")
    c.write_raw(LINES)
    daemon(node, drains=[("*", peer.url(f"linger=50ms&sd=true&encoding={encoding}&compression={compression}"))], env={"NODE": "n1"})
    wait_for(lambda: len(peer.messages()) == 2, 60 * SLOW, "both")
    first, second = peer.records
    assert first.pop("resource") == {
        "service.name": "web", "k8s.namespace.name": "shop", "k8s.pod.name": POD, "k8s.pod.uid": c.pod.uid,
        "k8s.container.name": "main", "k8s.node.name": "n1"} == second["resource"]
    assert first["attributes"].pop("log.record.uid") != second["attributes"]["log.record.uid"]
    assert first.pop("observedTimeUnixNano") == second["observedTimeUnixNano"]
    assert first == {"timeUnixNano": "1795166100123456789", "severityNumber": 9, "severityText": "info",
                     "body": "hello \"you\" €\ufffd", "attributes": {"log.iostream": "stdout"}}
    assert (second["timeUnixNano"], second["severityNumber"], second["body"]) == ("1795169701000000000", 17, " ")
    assert second["attributes"]["log.iostream"] == "stderr"
    kind = {"protobuf": "application/x-protobuf", "json": "application/json"}[encoding]
    assert all(r.headers["content-type"] == kind for r in peer.requests)
    assert all(r.headers.get("content-encoding", "none") == compression for r in peer.requests)


@encodings
def test_many_streams(node, oracle, daemon, otlp, certs, encoding):
    """Each record is under the resource of its own stream; a path, TLS, a token and a header."""
    peer = otlp(tls=True)
    peer.path = "/otlp/v1/logs"
    more = f"linger=10ms&auth=bearer&header=x-scope:a&encoding={encoding}&ca={certs.option()}"
    daemon(node, drains=[("*", peer.url(more, path=peer.path, userinfo=":t0ken"))], env={"WORKERS": 2})
    writers = [Writer(c, oracle.source(c.pod.name), rate=3000, count=2000) for c in [node.container(f"web-{i}") for i in range(6)]]
    for w in writers:
        w.join()
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert {(parse(r["body"].encode())[0], r["resource"]["k8s.pod.name"]) for r in peer.records} == {(f"web-{i}",) * 2 for i in range(6)}
    assert {(r.headers["authorization"], r.headers["x-scope"]) for r in peer.requests} == {("Bearer t0ken", "a")}


def test_service_and_a_long_line(node, daemon, otlp):
    """A record is cut to max=, with the names of its fields."""
    peer = otlp()
    d = daemon(node, drains=[("*", peer.url("service=shop-web&max=2000"))])
    node.container().write_raw(b"2026-11-20T10:15:00Z stdout F " + "€".encode() * 3000 + b"\n")
    wait_for(peer.messages, 60 * SLOW, "the line")
    (record,) = peer.records
    assert record["resource"]["service.name"] == "shop-web"
    assert record["body"] == "€" * len(record["body"]) and 1800 < len(record["body"].encode()) < 2000
    wait_for(lambda: state(d)["counters"]["truncated"] == 1, 60 * SLOW, "the cut to be counted")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_sent_again(node, oracle, daemon, otlp, status):
    answers = [Answer(status, headers={"Retry-After": "1"}, counts=False), status]
    peer = otlp(whole=lambda request: answers.pop() if answers else None)
    d = daemon(node, drains=[("*", peer.url())])
    node.container().write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert state(d)["counters"]["retries"] >= 2 and state(d)["counters"]["rejected"] == 0


@pytest.mark.parametrize("status", [401, 403, 404, 415])
def test_suspended(node, oracle, daemon, otlp, status):
    peer = otlp(whole=lambda request: status)
    d = daemon(node, drains=[("*", peer.url())])
    node.container().write(oracle.source("a").take(50))
    wait_for(lambda: state(d)["state"] == "held", 60 * SLOW, "the drain to be held")
    peer.whole = None
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()


def test_a_record_that_is_refused_is_found(node, oracle, daemon, otlp):
    """400 for a request that has it."""
    peer = otlp(whole=lambda request: 400 if b"poison" in request.body else None)
    d = daemon(node, drains=[("*", peer.url("linger=10ms"))])
    c, source = node.container(), oracle.source("a")
    c.write(source.take(50))
    c.write_raw(b"2026-11-20T10:15:00Z stdout F poison\n")
    c.write(source.take(50))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    wait_for(lambda: state(d)["counters"]["rejected"] == 1, 60 * SLOW, "it to be counted")


# --- partial success --------------------------------------------------------------------------------------------------

def once(n, why):
    """Rejects <n> records of the first request that has more."""
    left, lock = [n], threading.Lock()

    def partial(records):
        with lock:
            return (left.pop(), why) if left and len(records) > n else None
    return partial


@encodings
def test_some_are_rejected(node, oracle, daemon, otlp, encoding):
    """Nothing is sent again, and what is missing is counted; the receiver's words are not repeated."""
    peer = otlp(partial=once(7, "s3cret is too old"))
    d = daemon(node, drains=[("*", peer.url(f"linger=100ms&encoding={encoding}"))])
    node.container().write(oracle.source("a").take(200))
    wait_for(lambda: len(peer.messages()) + len(peer.rejected) == 200, 60 * SLOW, "all")
    wait_for(lambda: state(d)["counters"]["records_out"] == 193, 60 * SLOW, "the answers")
    counters = state(d)["counters"]
    assert len(peer.rejected) == 7 == counters["rejected"] and counters["retries"] == 0
    assert len(set(peer.messages())) == 193
    lost = sum(len(r["body"]) for r in peer.rejected)
    assert 0 < counters["lost_refused"] < 3 * lost
    (line,) = wait_for(lambda: d.log_lines("records refused by the receiver"), 60 * SLOW, "the log line")
    assert '7 of' in line and "s3cret" not in d.log()


@encodings
def test_all_are_rejected(node, oracle, daemon, otlp, encoding):
    """As with a 400: a receiver that takes nothing is not the one that was meant, and the lines wait for it."""
    peer = otlp(partial=lambda records: (len(records), "no"))
    d = daemon(node, drains=[("*", peer.url(f"linger=10ms&encoding={encoding}"))])
    node.container().write(oracle.source("a").take(50))
    wait_for(lambda: state(d)["state"] in ("held", "failing"), 60 * SLOW, "it to be noticed")
    assert "rejected" in state(d)["last_error"]
    peer.partial = None
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert state(d)["counters"]["rejected"] == 0


@pytest.mark.parametrize("said", [b"OK", b"<html>thanks</html>", b"\x0a", b"\xff" * 50, b"{}", b'{"partialSuccess":{}}', b"\x0a\x05\x12\x03hey"])
def test_other_answers_are_a_success(node, oracle, daemon, otlp, said):
    peer = otlp()
    peer.answer = lambda status: Answer(status, body=said, counts=False)
    d = daemon(node, drains=[("*", peer.url("linger=10ms"))])
    node.container().write(oracle.source("a").take(50))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    wait_for(lambda: state(d)["counters"]["records_out"] == 50, 60 * SLOW, "the answers")
    assert state(d)["counters"]["rejected"] == 0


# --- outages ----------------------------------------------------------------------------------------------------------

@encodings
def test_killed_and_started_again(node, oracle, daemon, otlp, encoding):
    """Outages and kill -9 while lines come: none is lost."""
    answers = [503, 429, 500]
    peer = otlp(whole=lambda request: answers.pop() if answers else None)
    d = daemon(node, drains=[("*", peer.url(f"linger=10ms&encoding={encoding}"))], env={"READ_FROM": "end"})
    with Writer(node.container(), oracle.source("a"), rate=2000, count=6000) as writer:
        for part in (500, 2000):
            wait_for(lambda n=part: peer.count() >= n, 60 * SLOW, "some of them")
            d.kill()
            d.start()
        writer.join()
    oracle.wait_complete(peer, 60 * SLOW).assert_exact(dup_max=6000)


@pytest.fixture
def real(closing, tmp_path):
    if why := RealOtlp.available():
        pytest.skip(why)
    return closing(RealOtlp(tmp_path / "otlp"))


def wait_all(oracle, real, n):
    wait_for(lambda: len(set(real.messages())) >= n, 120 * SLOW, lambda: f"{n} records; {real.count()} are there")
    oracle.check(sorted(real.messages(), key=lambda m: parse(m)[:2])).assert_exact(dup_max=n)


@encodings
def test_real_receiver(node, oracle, daemon, real, encoding):
    """Lines written before, while it is away and after; fields as they were sent."""
    d = daemon(node, drains=[("*", real.url(f"linger=20ms&compression=gzip&encoding={encoding}"))], env={"NODE": "n1"})
    c, source = node.container(POD, "shop"), oracle.source("a")
    c.write(source.take(500))
    wait_all(oracle, real, 500)
    real.stop()
    c.write(source.take(500))
    wait_for(lambda: state(d)["state"] == "failing", 60 * SLOW, "the outage to be noticed")
    real.start()
    wait_all(oracle, real, 1000)
    record = real.records()[0]
    assert record["resource"] == {"service.name": "web", "k8s.namespace.name": "shop", "k8s.pod.name": POD, "k8s.pod.uid": c.pod.uid,
                                  "k8s.container.name": "main", "k8s.node.name": "n1"}
    assert record["attributes"] == {"log.iostream": "stdout"} and record["scope"] == "logtrain"
    assert (record["severity"], record["text"]) == (9, "info") and record["observed"] > record["time"] > 1.7e18


@encodings
def test_real_receiver_and_kills(node, oracle, daemon, real, encoding):
    """kill -9 of both, in turn, while lines come: none is lost."""
    d = daemon(node, drains=[("*", real.url(f"linger=10ms&encoding={encoding}"))], env={"READ_FROM": "end"})
    with Writer(node.container(), oracle.source("a"), rate=2000, count=6000) as writer:
        for i, part in enumerate((500, 2000, 3500)):
            wait_for(lambda n=part: real.count() >= n, 120 * SLOW, "some of them")
            if i % 2:
                real.kill()
                real.start()
            else:
                d.kill()
                d.start()
        writer.join()
    wait_all(oracle, real, 6000)
