"""T7: an operator's pattern matches a workload's true name, `<owner>.<namespace>`; an exact hostname matches its hostname
annotation."""

import pytest
from lib.daemon import SLOW
from lib.elastic import Elastic
from lib.folder import Folder
from lib.kapi import names
from lib.redis import redis  # noqa: F401
from lib.wait import wait_for

WAIT = 30 * SLOW


@pytest.fixture
def tenants(node, api):
    """A workload of shop that takes a name of payments, and one of payments that takes another name."""
    def make(liar="card.payments", hidden="www.example"):
        evil, card = node.container("evil-7d9c8b6f5d-bcdfg", "shop"), node.container("card-7d9c8b6f5d-bcdfg", "payments")
        api.workload(evil, "evil", hostname=liar)
        api.workload(card, "card", hostname=hidden)
        return evil, card
    return make


def write(oracle, containers, n=20):
    for name, container in containers.items():
        container.write(oracle.source(name).take(n))


def test_T07_a_pattern_ignores_annotations(oracle, kube, tenants, syslog_tcp):
    """No annotation takes a workload out of *.payments or brings one in; the receiver sees the annotation's hostname."""
    pattern, exact = syslog_tcp(), syslog_tcp()
    evil, card = tenants()
    write(oracle, {"evil": evil, "card": card})
    d = kube(routes=[("*.payments", pattern.url()), ("card.payments", exact.url()), ("*", "null://")])
    oracle.wait_complete(pattern, WAIT, ["card"])
    oracle.wait_complete(exact, WAIT, ["evil"])
    assert names(pattern) == {("www.example", "card-7d9c8b6f5d-bcdfg")}
    assert names(exact) == {("card.payments", "evil-7d9c8b6f5d-bcdfg")}
    page = d.ask("/explain?pod=shop/evil-7d9c8b6f5d-bcdfg")[1]
    assert "called card.payments / evil-7d9c8b6f5d-bcdfg, for patterns evil.shop" in page


def test_T07_an_annotation_that_changes_moves_nothing(oracle, api, kube, tenants, syslog_tcp):
    """The hostname is edited while lines are written: the pattern's drain gets them all, over one connection."""
    pattern = syslog_tcp()
    _, card = tenants()
    source = oracle.source("card")
    card.write(source.take(20))
    kube(routes=[("*.payments", pattern.url())])
    for hostname in ("evil.shop", None, "card.payments", "x"):
        oracle.wait_complete(pattern, WAIT)
        api.deployment("card", "payments", hostname=hostname)
        called = hostname or "card.payments"
        wait_for(lambda called=called: (card.write(source.take(1)), called in {h for h, _ in names(pattern)})[1], WAIT, called)
    assert oracle.wait_complete(pattern, WAIT).dup == 0
    assert len(pattern.connections) == 1


def test_T07_an_index_under_a_pattern_is_the_true_name(oracle, kube, tenants, closing):
    """With an exact hostname the index is named by the annotation, also on the same server."""
    server = closing(Elastic())
    evil, card = tenants(hidden="secrets")
    write(oracle, {"evil": evil, "card": card})
    kube(routes=[("*", server.url()), ("secrets", server.url())])
    oracle.wait_complete(server, WAIT)
    indexes = {(index, document["namespace"]) for (index, _), document in server.documents.items()}
    assert indexes == {("evil.shop", "shop"), ("secrets", "payments")}


@pytest.mark.parametrize("options", ["", "mode=list", "mode=stream"])
def test_T07_a_channel_or_key_under_a_pattern_is_the_true_name(oracle, kube, tenants, redis, options):  # noqa: F811
    server = redis()
    page = server.subscribe("*")
    evil, card = tenants()
    write(oracle, {"evil": evil, "card": card})
    kube(routes=[("*", server.url(options))])
    wanted = {"evil.shop", "card.payments"}
    if options:
        wait_for(lambda: {k.decode() for k in server.call("KEYS", "*")} == wanted, WAIT, "the keys")
    else:
        oracle.wait_complete(page, WAIT).assert_exact()
        assert {channel for channel, _ in page.received} == wanted


def test_T07_a_file_under_a_pattern_is_the_true_name(oracle, kube, tenants, tmp_path):
    """With an exact hostname the file is named by the annotation, also in the same folder."""
    by_pattern, by_name = Folder(tmp_path / "pattern"), Folder(tmp_path / "exact")
    evil, card = tenants(hidden="secrets")
    write(oracle, {"evil": evil, "card": card})
    kube(routes=[("*", by_pattern.url("path=$hostname")), ("secrets", by_name.url("path=$hostname"))])
    oracle.wait_complete(by_pattern, WAIT)
    oracle.wait_complete(by_name, WAIT, ["card"])
    assert {p.stem for p in by_pattern.files()} == {"evil-shop", "card-payments"}
    assert {p.stem for p in by_name.files()} == {"secrets"}


def test_T07_rows_are_the_same(oracle, kube, tenants, table, syslog_tcp):
    pattern, exact = syslog_tcp(), syslog_tcp()
    evil, card = tenants()
    table.put("*.payments", pattern.url())
    table.put("card.payments", exact.url())
    write(oracle, {"evil": evil, "card": card})
    kube(env={"POSTGRES": "true", "DATABASE_URL": table.url()})
    oracle.wait_complete(pattern, WAIT, ["card"])
    oracle.wait_complete(exact, WAIT, ["evil"])
    assert names(pattern) == {("www.example", "card-7d9c8b6f5d-bcdfg")}


def test_T07_the_old_meaning(oracle, kube, tenants, syslog_tcp, closing):
    """OPERATOR_PATTERNS=hostname."""
    pattern, server = syslog_tcp(), closing(Elastic())
    evil, card = tenants()
    write(oracle, {"evil": evil, "card": card})
    kube(env={"OPERATOR_PATTERNS": "hostname"}, routes=[("*.payments", pattern.url()), ("*", server.url())])
    oracle.wait_complete(pattern, WAIT, ["evil"])
    oracle.wait_complete(server, WAIT)
    assert names(pattern) == {("card.payments", "evil-7d9c8b6f5d-bcdfg")}
    assert {index for index, _ in server.documents} == {"card.payments", "www.example"}


def test_T07_before_the_api_answers_the_path_is_true(node, oracle, api, kube, syslog_tcp):
    pattern = syslog_tcp()
    api.stop()
    card = node.container("card-7d9c8b6f5d-bcdfg", "payments")
    card.write(oracle.source("card").take(20))
    kube(env={"IDENTITY_WAIT": "200ms"}, routes=[("*.payments", pattern.url())])
    oracle.wait_complete(pattern, WAIT)
    api.start()
    api.workload(card, "card", hostname="evil.shop")
    source = oracle.sources["card"]
    wait_for(lambda: (card.write(source.take(1)), "evil.shop" in {h for h, _ in names(pattern)})[1], WAIT, "the API's word")
    assert oracle.wait_complete(pattern, WAIT).dup == 0
