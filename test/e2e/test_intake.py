"""Drains for log intakes that are asked by http: what each request says (lib/intake.py checks every field), limits, outages."""

import pytest
from lib.daemon import SLOW
from lib.http_peer import Answer
from lib.intake import ClickHouse, Datadog, NewRelic, Splunk, VictoriaLogs
from lib.node import Writer
from lib.oracle import parse
from lib.victorialogs import RealVictoriaLogs
from lib.wait import wait_for

# each fake, the options that its drain needs, and whether there is TLS
INTAKES = {"victorialogs": (VictoriaLogs, "", False), "clickhouse": (ClickHouse, "table=logs", False),
           "splunk": (Splunk, "", False), "datadog": (Datadog, "", True), "newrelic": (NewRelic, "", True)}
each = pytest.mark.parametrize("name", INTAKES)
POD = "web-7d4b9c6f5-x2x4z"
LINES = (b"2026-11-20T10:15:00.123456789+01:00 stdout F hello \"you\" \xe2\x82\xac\n"
         b"2026-11-20T10:15:01Z stderr F  \n")


@pytest.fixture
def intake(closing, certs):
    """(fake, the URL of a drain to it)"""
    def start(name, more="", key="k3y", **options):
        fake, needed, tls = INTAKES[name]
        peer = closing(fake(tls=certs.server("good") if tls else None, **options))
        all_options = "&".join(filter(None, [needed, "linger=10ms", more, "ca=" + certs.option() if tls else ""]))
        return peer, peer.url(all_options, userinfo=":" + key)
    return start


def state(d):
    (drain,) = wait_for(d.drains, 60 * SLOW, "the drain")
    return drain


@each
def test_killed_and_started_again(node, oracle, daemon, intake, name):
    """Outages and kill -9 while lines come: none is lost."""
    answers = [503, 429, 500]
    peer, url = intake(name, whole=lambda request: answers.pop() if answers else None)
    peer.remembers = False  # ClickHouse: an insert that is left out would look like lines out of order
    d = daemon(node, drains=[("*", url)], env={"READ_FROM": "end"})
    with Writer(node.container(), oracle.source("a"), rate=2000, count=6000) as writer:
        for part in (500, 2000):
            wait_for(lambda n=part: peer.count() >= n, 60 * SLOW, "some of them")
            d.kill()
            d.start()
        writer.join()
    oracle.wait_complete(peer, 60 * SLOW).assert_exact(dup_max=6000)


@each
def test_wrong_credentials_hold_it(node, oracle, daemon, intake, name):
    peer, url = intake(name, whole=lambda request: 403)
    d = daemon(node, drains=[("*", url)])
    node.container().write(oracle.source("a").take(20))
    wait_for(lambda: state(d)["state"] == "held", 60 * SLOW, "the drain to be held")
    peer.whole = None
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()


def two_records(node, daemon, peer, url):
    node.container(POD, "shop").write_raw(LINES)
    daemon(node, drains=[("*", url)], env={"NODE": "n1"})
    wait_for(lambda: len(peer.messages()) == 2, 60 * SLOW, "both")
    return peer.records


def test_rows_of_clickhouse(node, daemon, intake):
    first, second = two_records(node, daemon, *intake("clickhouse"))
    assert first.pop("id") != second.pop("id")
    assert first == {"severity": 6, "facility": 1, "hostname": "web.shop", "tag": POD,
                     "time": "2026-11-20T10:15:00.123456789+01:00", "message": "hello \"you\" €", "namespace": "shop",
                     "pod": POD, "container": "main", "node": "n1", "stream": "stdout"}
    assert (second["severity"], second["stream"], second["message"]) == (3, "stderr", " ")


def test_clickhouse_takes_an_insert_once(node, oracle, daemon, intake):
    """Answers to inserts are lost while lines come: the same rows come again under the same token, however large the request was and
    whatever was written since. None is there twice."""
    cut, failed = Answer(cut="before", counts=False), Answer(503, counts=False)
    lost = iter([None] * 4 + [cut, cut, None, None, failed, None, failed, failed])
    peer, url = intake("clickhouse", instead=lambda _: next(lost, None))
    d = daemon(node, drains=[("*", url)], env={"READ_FROM": "end"})
    with (Writer(node.container(pod="web-a"), oracle.source("a"), rate=4000, count=6000) as one,
          Writer(node.container(pod="web-b"), oracle.source("b"), rate=4000, count=6000) as two):
        one.join()
        two.join()
    oracle.wait_complete(peer, 60 * SLOW).assert_exact(dup_max=0)
    assert peer.again == 5
    assert max(len(ids) for ids in peer.inserts.values()) > 100, "they were no small requests"
    assert state(d)["counters"]["retries"] >= 3, "the client repeats a request by itself only once"


def test_clickhouse_that_answers_no_large_insert(node, oracle, daemon, intake):
    """It gets such a request three times, and then smaller ones, which are other inserts."""
    peer, url = intake("clickhouse", instead=lambda request: Answer(503, counts=False) if request.body.count(b"\n") > 300 else None)
    d = daemon(node, drains=[("*", url)], env={"READ_FROM": "end"})
    node.container().write(oracle.source("a").take(1000))
    wait_for(lambda: state(d)["counters"]["records_out"] == 1000, 60 * SLOW, "it goes on with smaller ones")
    oracle.wait_complete(peer, 60 * SLOW).assert_exact(dup_max=1000)
    assert peer.again == 2


def test_events_of_splunk(node, daemon, intake):
    peer, url = intake("splunk", "index=main")
    first, second = two_records(node, daemon, peer, url)
    assert first == {"host": "n1", "source": "web.shop", "sourcetype": "kube:container:main", "index": "main",
                     "time": "1795166100.123456", "event": "hello \"you\" €",
                     "fields": {"namespace": "shop", "workload": "web", "pod": POD, "container": "main", "severity": "info",
                                "stream": "stdout"}}
    assert (second["time"], second["event"], second["fields"]["severity"]) == (1795169701, "-", "error"), "it takes no blank event"
    assert peer.requests[0].headers["authorization"] == "Splunk k3y"


def test_items_of_datadog(node, daemon, intake):
    peer, url = intake("datadog", "tags=env:prod&sd=true")
    first, second = two_records(node, daemon, peer, url)
    assert first.pop("id") != second.pop("id")
    assert first == {"ddsource": "logtrain", "hostname": "n1", "service": "web", "timestamp": 1795166100123,
                     "ddtags": f"kube_namespace:shop,pod_name:{POD},kube_container_name:main,env:prod",
                     "message": "hello \"you\" €", "status": "info", "stream": "stdout"}
    assert (second["timestamp"], second["message"], second["status"]) == (1795169701000, " ", "error")
    assert peer.requests[0].headers["dd-api-key"] == "k3y"


def test_logs_of_newrelic(node, daemon, intake):
    peer, url = intake("newrelic", "service=shop-web")
    first, second = two_records(node, daemon, peer, url)
    assert first == {"timestamp": 1795166100123, "message": "hello \"you\" €", "attributes": {"level": "info", "stream": "stdout"},
                     "common": {"hostname": "n1", "service.name": "shop-web", "namespace_name": "shop", "pod_name": POD,
                                "container_name": "main"}}
    assert (second["attributes"]["level"], second["timestamp"]) == ("error", 1795169701000)
    assert peer.requests[0].headers["api-key"] == "k3y"


@pytest.mark.parametrize("name", ["datadog", "newrelic"])
def test_limits_of_a_request(node, oracle, daemon, intake, name):
    """The fakes refuse a request that is over what their receivers take."""
    peer, url = intake(name)
    daemon(node, drains=[("*", url)])
    for i in range(4):
        node.container(f"web-{i}").write(oracle.source(f"s{i}", size=700).take(3000))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    sizes = [len(r.body) for r in peer.requests]
    assert max(sizes) > 500_000, "and requests are no smaller than they must be"


@pytest.mark.parametrize("code", [7, 10, 11, 14, 16])
def test_what_splunk_says_of_its_configuration_holds(node, oracle, daemon, intake, code):
    """Not the events: nothing is passed over."""
    bad = Answer(400, body=b'{"text":"no","code":%d}' % code, counts=False)
    peer, url = intake("splunk")
    d = daemon(node, drains=[("*", url)])
    c, source = node.container(), oracle.source("a")
    c.write(source.take(20))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    peer.whole = lambda request: bad
    c.write(source.take(20))
    wait_for(lambda: state(d)["state"] == "held", 60 * SLOW, "the drain to be held")
    peer.whole = None
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    assert state(d)["counters"]["rejected"] == 0


# --- Splunk's indexer acknowledgement ---------------------------------------------------------------------------------

def ack_drain(node, daemon, intake, more="", **options):
    peer, url = intake("splunk", "ack=true&compression=gzip" + more, **options)
    return peer, daemon(node, drains=[("*", url)], env={"READ_FROM": "end"})


def test_acknowledged(node, oracle, daemon, intake):
    """Lines of several streams; nothing is confirmed before the indexer says so."""
    asked, held = set(), [True]

    def ack(number):
        """The second time that it is asked, and only after the gate is open."""
        again = number in asked
        asked.add(number)
        return again and not held[0]
    peer, d = ack_drain(node, daemon, intake, ack=ack)
    pods = [node.container(f"web-{i}") for i in range(4)]
    for c in pods:
        c.write(oracle.source(c.pod.name).take(500))
    wait_for(lambda: peer.waiting and asked, 60 * SLOW, "a question")
    assert state(d)["counters"]["records_out"] == 0 and state(d)["counters"]["retries"] == 0
    held[0] = False
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()
    wait_for(lambda: state(d)["counters"]["records_out"] == 2000, 60 * SLOW, "all to be confirmed")
    assert len(peer.channels) == 1 and peer.confirmed > 1


def test_never_acknowledged_is_sent_again(node, oracle, daemon, intake):
    """The indexer dies with what it had not indexed: nobody says so, and the bound is ten times timeout=."""
    peer, d = ack_drain(node, daemon, intake, "&timeout=1s", ack=lambda number: number >= 2)
    c, source = node.container(), oracle.source("a")
    c.write(source.take(100))
    wait_for(lambda: peer.waiting, 60 * SLOW, "the first request")
    peer.forget()
    c.write(source.take(100))
    oracle.wait_complete(peer, 120 * SLOW)
    assert "no acknowledgement within 10 s" in d.log() and state(d)["counters"]["retries"] >= 1
    wait_for(lambda: state(d)["counters"]["records_out"] == 200, 60 * SLOW, "all to be confirmed")


def test_acknowledged_and_killed(node, oracle, daemon, intake):
    """kill -9 of logtrain and of the indexer while lines come, and questions that fail: none is lost."""
    failing = [503, 500, 429]
    peer, d = ack_drain(node, daemon, intake, "&timeout=1s", ack=lambda number: True,
                        question=lambda request: failing.pop() if failing else None)
    with Writer(node.container(), oracle.source("a"), rate=1000, count=6000) as writer:
        for i, part in enumerate((100, 1000, 2500)):
            wait_for(lambda n=part: peer.count() >= n, 120 * SLOW, "some of them")
            if i == 1:
                peer.forget()
            d.kill()
            d.start()
        writer.join()
    oracle.wait_complete(peer, 180 * SLOW)
    assert len(peer.channels) >= 2, "each run has its own"


@pytest.mark.parametrize("says", ["no number", "no questions"])
def test_a_token_without_acknowledgement_holds(node, oracle, daemon, intake, says):
    disabled = Answer(400, body=b'{"text":"ACK is disabled","code":14}', counts=False)
    peer, d = ack_drain(node, daemon, intake, ack=lambda number: True, question=lambda request: disabled)
    if says == "no number":
        peer.ack = None
    node.container().write(oracle.source("a").take(50))
    wait_for(lambda: state(d)["state"] == "held", 60 * SLOW, "the drain to be held")
    assert {"no number": "acknowledgement is not enabled", "no questions": "400"}[says] in state(d)["last_error"]
    peer.ack, peer.question = (lambda number: True), None
    oracle.wait_complete(peer, 60 * SLOW)


def test_stopped_while_it_waits(node, oracle, daemon, intake):
    """A stop waits for the acknowledgement, as for an answer."""
    peer, d = ack_drain(node, daemon, intake, ack=lambda number: True)
    node.container().write(oracle.source("a").take(50))
    wait_for(lambda: peer.waiting, 60 * SLOW, "the request")
    d.stop()
    assert len(peer.messages()) == 50
    d.start()
    node.container("web-2").write(oracle.source("b").take(50))
    oracle.wait_complete(peer, 60 * SLOW).assert_exact()


def test_victorialogs_gets_no_line_that_it_leaves_out(node, daemon, intake):
    peer, url = intake("victorialogs")
    d = daemon(node, drains=[("*", url)], env={"MAX_LINE": "1m"})
    node.container().write_raw(b"2026-11-20T10:15:00Z stdout F " + b"x" * 300_000 + b"\n")
    wait_for(peer.messages, 60 * SLOW, "the line")
    (request,) = peer.requests
    assert 262_000 < len(request.body) <= 262_145 and peer.messages()[0].startswith(b"xxxx")
    wait_for(lambda: state(d)["counters"]["truncated"] == 1, 60 * SLOW, "the cut to be counted")


# --- the real one ----------------------------------------------------------------------------------------------------

@pytest.fixture
def victoria(closing, tmp_path):
    if why := RealVictoriaLogs.available():
        pytest.skip(why)
    return closing(RealVictoriaLogs(tmp_path / "victorialogs"))


def wait_all(oracle, victoria, n):
    wait_for(lambda: victoria.count() >= n, 60 * SLOW, lambda: f"{n} entries; {victoria.count()} are there")
    oracle.check(sorted(victoria.messages(), key=lambda m: parse(m)[:2])).assert_exact(dup_max=n)


def test_real_victorialogs(node, oracle, daemon, victoria):
    """Lines written before, while it is away and after; fields as they were sent."""
    d = daemon(node, drains=[("*", victoria.url("linger=20ms&compression=gzip"))], env={"NODE": "n1"})
    c, source = node.container("web-7d4b9c6f5-x2x4z", "shop"), oracle.source("a")
    c.write(source.take(500))
    wait_all(oracle, victoria, 500)
    victoria.stop()
    c.write(source.take(500))
    wait_for(lambda: state(d)["state"] == "failing", 60 * SLOW, "the outage to be noticed")
    victoria.start()
    wait_all(oracle, victoria, 1000)
    entry = victoria.entries()[0]
    assert (entry["namespace"], entry["pod"], entry["node"]) == ("shop", "web-7d4b9c6f5-x2x4z", "n1")
    assert entry["_stream"] == '{container="main",hostname="web.shop",namespace="shop",pod="web-7d4b9c6f5-x2x4z"}'
