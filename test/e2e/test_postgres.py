"""Rows of a table as routes, with a real PostgreSQL: normal use. Faults are in test_postgres_faults.py, the table itself in
test_postgres_schema.py."""

import re
import time

import pytest
from lib.daemon import SLOW, run
from lib.node import Writer
from lib.postgres import LIVE_S, Bouncer, Relay, routes_become, schema, settings
from lib.wait import stays, wait_for


def test_rows_come_change_and_go(node, oracle, db, pg, syslog_tcp):
    """The table is created at start; a row becomes a route within a moment, for lines written from then on."""
    first, second = syslog_tcp(), syslog_tcp()
    d = pg(db.url())
    assert d.log_lines(r"info created table drains")
    with Writer(node.container("web-0", "shop"), oracle.source("a"), rate=500) as writer:
        one, two = oracle.progress(first), oracle.progress(second)
        wait_for(lambda: d.metric("logtrain_streams") == 1, LIVE_S, "the stream")
        row = db.put("web.shop", first.url())
        wait_for(lambda: one.distinct() > 20, LIVE_S, "lines at the first drain")
        db.sql(f"UPDATE drains SET endpoint = '{second.url()}' WHERE drain = '{row}'", "owner")
        wait_for(lambda: two.distinct() > 20, LIVE_S, "lines at the second drain")
        db.sql("DELETE FROM drains", "owner")
        routes_become(d, 0)
        db.put("web.shop", second.url())
        routes_become(d, 1)
        db.sql("TRUNCATE drains", "owner")
        routes_become(d, 0)
        writer.stop()
    assert d.metric("logtrain_postgres_changes_total") >= 3
    for peer in (first, second):
        report = oracle.check(peer.messages())
        assert report.dup == 0 and report.reorder == 0 and not report.corrupt


def test_wildcards_and_other_routes_meet_in_one_drain(node, oracle, db, pg, syslog_tcp):
    """A row, a wildcard row and a line of the routes file with the same URL: every line arrives once."""
    peer = syslog_tcp()
    db.sql(schema(), "owner")
    for pattern in ("*.shop", "web.shop", "web.shop", "w*b.*op"):
        db.put(pattern, peer.url())
    d = pg(db.url(), routes=[("web.shop", peer.url())])
    assert d.metric("logtrain_routes") == 5
    c = node.container("web-0", "shop")
    c.write(oracle.source("a").take(200))
    oracle.wait_complete(peer, 10).assert_exact()
    d.set_routes([])
    db.sql("DELETE FROM drains WHERE hostname <> 'w*b.*op'", "owner")
    routes_become(d, 1)
    c.write(oracle.source("b").take(200))
    oracle.wait_complete(peer, 10).assert_exact()
    assert len(peer.connections) == 1, "the drain kept its connection"


@pytest.mark.slow
def test_lines_written_before_the_first_read_are_not_passed_over(node, oracle, db, pg, syslog_tcp, closing):
    """The database is down at start; lines that a new container writes meanwhile go to its routes too."""
    peer = syslog_tcp()
    db.sql(schema(), "owner")
    db.put("*", peer.url())
    relay = closing(Relay(db.server.port))
    relay.freeze()
    d = pg(db.url(port=relay.port), wait=False, READ_FROM="end")
    wait_for(lambda: d.log_lines("warn postgres cannot be read yet"), 5 * SLOW, "a failure")
    code, text = d.get("/readyz")
    assert code == 503 and "degraded: postgres is away" in text, text  # L18
    node.container("web-0", "shop").write(oracle.source("a").take(500))
    wait_for(lambda: d.metric("logtrain_streams") == 1, LIVE_S, "the stream")
    relay.thaw()
    oracle.wait_complete(peer, 20 * SLOW).assert_exact()
    code, text = d.get("/readyz")
    assert code == 200 and "postgres" not in text, text
    relay.freeze()
    wait_for(lambda: "degraded: postgres is away" in d.get("/readyz")[1], 60 * SLOW, "the outage to be named")
    assert d.get("/readyz")[0] == 200  # L18: a later outage


def test_P04_bad_rows_are_named_and_the_others_work(db, pg):
    db.sql(schema(), "owner")
    db.sql("ALTER TABLE drains ALTER hostname DROP NOT NULL, ALTER endpoint DROP NOT NULL", "owner")
    secret = "cnryInRow77"
    bad = {
        "the hostname is NULL": "NULL, 'null://'",
        "the endpoint is NULL": "'a', NULL",
        "there is no hostname": "'', 'null://'",
        "invalid character in the hostname": "'a b', 'null://'",
        "longer than 512": f"'{'h' * 600}', 'null://'",
        "longer": f"'a', 'http://u:{secret}@h/{'x' * (1 << 20)}'",
        "gopher": f"'a', 'gopher://u:{secret}@h'",
        "compression": f"'a', 'http://u:{secret}@h?compression={secret}'",
    }
    rows = {why: db.sql(f"INSERT INTO drains (hostname, endpoint) VALUES ({values}) RETURNING drain", "owner")
            for why, values in bad.items()}
    good = [db.put("web.shop", "null://") for _ in range(3)]  # three identical rows are no fault
    d = pg(db.url(), POSTGRES_RESYNC="1s")
    d.secrets.append(secret)
    assert d.metric("logtrain_routes") == len(good)
    assert d.metric("logtrain_postgres_refused_rows") == len(bad)
    for why, row in rows.items():
        (line,) = d.log_lines(f"warn route refused .*row={row}")
        assert why in line
    wait_for(lambda: d.metric("logtrain_postgres_reads_total") > 2, 10, "more reads")
    assert len(d.log_lines("route refused")) == len(bad), "each is named once"
    db.sql(f"UPDATE drains SET hostname = 'now.good' WHERE drain = '{rows['there is no hostname']}'", "owner")
    routes_become(d, len(good) + 1)
    db.sql(f"UPDATE drains SET hostname = '' WHERE drain = '{good[0]}'", "owner")
    routes_become(d, len(good))
    assert d.log_lines(f"warn route refused .*row={good[0]}")
    d.check_canaries()


def test_P04_rows_without_an_id_of_their_own(db, pg):
    """The id is not a key here: each such row is logged, the others work."""
    db.sql("CREATE TABLE drains (drain uuid, hostname text, endpoint text)", "owner")
    twice = "8b4ff3f0-4f6b-4c0e-9d5e-0c3f8b4ff3f0"
    db.sql(f"INSERT INTO drains VALUES (NULL, 'a', 'null://'), ('{twice}', 'b', 'null://'), ('{twice}', 'c', 'null://'),"
           " (gen_random_uuid(), 'd', 'null://')", "owner")
    d = pg(db.url())
    assert d.metric("logtrain_routes") == 2
    assert d.metric("logtrain_postgres_refused_rows") == 2
    assert d.log_lines("warn route refused .*row=NULL")
    assert d.log_lines(f"warn route refused .*row={twice} .*another row has the same id")


def test_P04_rows_that_are_no_text_in_any_encoding(postgres_server, pg):
    """Bytes that are not UTF-8, in a database that accepts them."""
    db = postgres_server.database("ENCODING 'SQL_ASCII' TEMPLATE template0")
    db.sql(schema(), "owner")
    db.put("web.shop", "null://")
    db.sql("INSERT INTO drains (hostname, endpoint) VALUES (E'a\\xff\\xfe', 'null://'), ('a', E'http://h/\\xc3')", "owner")
    d = pg(db.url())
    assert d.metric("logtrain_routes") == 1
    assert d.metric("logtrain_postgres_refused_rows") == 2


def test_addresses_of_the_database(node, db, pg, tmp_path, closing):
    """Unix socket, a service file, names, several hosts of which one is dead and one silent."""
    db.sql(schema(), "owner")
    db.put("a", "null://")
    silent = closing(Relay(db.server.port))
    silent.freeze()
    port, name, password = db.server.port, db.name, db.password()
    service = tmp_path / "service.conf"
    service.write_text(f"[logs]\nhost=localhost\nport={port}\ndbname={name}\nuser=owner\npassword={password}\n")
    daemons = [
        pg(f"postgres:///{name}?host={db.server.dir}&port={port}&user=owner"),
        pg("service=logs", PGSERVICEFILE=service),
        pg(f"host=localhost port={port} dbname={name} user=owner", PGPASSWORD=password),
        pg(f"postgres://owner:{password}@127.0.0.1:1,no-such-host.invalid,localhost:{port}/{name}", wait=False,
              DNS_SERVERS="127.0.0.1:1", POSTGRES_TIMEOUT="5s"),
        pg(f"postgres://owner:{password}@127.0.0.1:{silent.port},127.0.0.1:{port}/{name}", wait=False),
    ]
    for d in daemons:
        routes_become(d, 1, 20 * SLOW)
        d.secrets.append(password)
        d.check_canaries()
    assert daemons[0].log_lines('routes read .*channel="Unix socket"')


def test_unchanged_routes_keep_their_connection(node, oracle, db, pg, syslog_tcp):
    """However often all rows are read and the session is killed."""
    peer = syslog_tcp()
    db.sql(schema(), "owner")
    db.put("web.shop", peer.url())
    d = pg(db.url(), POSTGRES_RESYNC="1s")
    with Writer(node.container("web-0", "shop"), oracle.source("a"), rate=500) as writer:
        for _ in range(2):
            reads = d.metric("logtrain_postgres_reads_total")
            assert db.kill_sessions() != "0"
            wait_for(lambda: d.metric("logtrain_postgres_reads_total") > reads + 1, 15 * SLOW, "two reads")
        d.hup()
        writer.stop()
    oracle.wait_complete(peer, 10).assert_exact()
    assert len(peer.connections) == 1


def test_credentials_show_nowhere(node, db, pg, http):
    peer = http()
    db.sql(schema(), "owner")
    d = pg(db.url(), LOG_LEVEL="debug", LOGTRAIN_TRACE="drain,route")
    d.secrets.append(db.password())
    db.put("web.shop", peer.url(f"token={d.secret()}", userinfo=f"u:{d.secret()}"))
    routes_become(d, 1)
    node.container("web-0", "shop").write([b"one"])
    wait_for(lambda: peer.count() == 1, 10, "the line")
    db.kill_sessions()
    wait_for(lambda: d.metric("logtrain_postgres_failures_total") >= 1, 5, "the end of the session")
    routes_become(d, 1)
    d.check_canaries()


def test_P02_behind_a_pooler_rows_are_read_at_intervals(db, pg, closing):
    """pgbouncer in transaction mode forgets the LISTEN: no notification arrives, and changes are found all the same."""
    if Bouncer.missing():
        pytest.skip(Bouncer.missing())
    db.sql(schema(), "owner")
    bouncer = closing(Bouncer(db))
    d = pg(db.url(port=bouncer.port), POSTGRES_RESYNC="1s", POSTGRES_TIMEOUT="6s")
    row = db.put("web.shop", "null://")
    routes_become(d, 1, 5)
    db.sql(f"UPDATE drains SET hostname = 'db.shop' WHERE drain = '{row}'", "owner")
    db.put("x", "null://")
    routes_become(d, 2, 5)
    db.sql("DELETE FROM drains", "owner")
    routes_become(d, 0, 5)
    wait_for(lambda: d.log_lines("no notifications for changes of the table, polling it .*as behind a pooler"), 10 * SLOW, "to be told")
    assert d.metric("logtrain_postgres_notifications_total") == 0
    assert d.metric("logtrain_postgres_failures_total") == 0


def test_idle_it_sleeps(node, db, pg):
    d = pg(db.url())
    before, began = d.cpu(), time.monotonic()
    stays(lambda: d.running(), 2, "the daemon runs")
    assert d.cpu() - before <= 0.06 * (time.monotonic() - began) * SLOW


@pytest.mark.parametrize("url", ["", "   "])
def test_a_blank_url_refuses_to_start(url):
    done = run(env={"POSTGRES": "true", "DATABASE_URL": url})
    assert done.returncode == 2
    assert done.stderr.startswith("logtrain: DATABASE_URL: ")


@pytest.mark.parametrize("url", [
    "cnryUrl", "postgres://u:cnryUrl@h:x/db", "postgres://u:cnry/Url@h/db", "postgres://u:cnry@Url@h/db",
    "postgres://u:cnryUrl%zz@h/db", "postgres://u:cnryUrl@[::1/db", "postgres://u:cnry\"Url@[::1/db",
    "host=h password=cnryUrl sslmode=cnryUrl", "host=h password='cnryUrl", "postgres://u:cnryUrl@h/db?cnryUrl=1",
    "service=cnryUrl",
])
def test_a_url_that_libpq_cannot_read_refuses_to_start(url, tmp_path):
    done = run(env={"POSTGRES": "true", "DATABASE_URL": url, "HTTP_PORT": "0", "KUBERNETES_LOG_PATH": str(tmp_path)})
    assert done.returncode == 2
    assert re.search(r"error cannot start error=\"DATABASE_URL: ", done.stderr), done.stderr
    assert "cnry" not in done.stderr and "Url" not in done.stderr.replace("DATABASE_URL", "")
