"""Rows P01 to P07 of the fault list: the database is down, silent, forgets a LISTEN, refuses, or answers wrongly."""

import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from lib.daemon import SANITIZED, SILENCE_S, SLOW
from lib.node import Writer
from lib.postgres import (AUTH_CLEARTEXT, AUTH_OK, LIVE_S, PASSWORD, READY, FakeServer, Relay, Standby, message,
                          routes_become, schema)
from lib.wait import stays, wait_for

BACK_S = 15 * SLOW  # including a pause of the backoff


def fails(d, pattern, seconds=LIVE_S):
    wait_for(lambda: d.log_lines(f"(warn|info) .*{pattern}"), seconds, lambda: f"{pattern!r}:\n{d.tail()}")


# --- P01: down, and back ---------------------------------------------------------------------------------------------

def test_P01_restart(node, oracle, table, pg, syslog_tcp):
    """Routes stay during the outage, each line arrives once, and changes made just before it are found afterwards."""
    peer = syslog_tcp()
    table.put("web.shop", peer.url())
    d = pg(table.url())
    with Writer(node.container("web-0", "shop"), oracle.source("a"), rate=500) as writer:
        table.server.stop()
        fails(d, "postgres unavailable, keeping known routes")
        assert "degraded: postgres is away" in d.get("/readyz")[1]
        stays(lambda: d.metric("logtrain_routes") == 1, 1, "the route")
        table.server.start()
        table.put("db.shop", "null://")
        routes_become(d, 2, BACK_S)
        writer.stop()
    oracle.wait_complete(peer, 10).assert_exact()
    assert len(peer.connections) == 1
    assert len(d.log_lines("postgres is away")) <= 4, "it is said when it changes, not with every try"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_P01_the_reason_is_logged(table, pg, how):
    d = pg(table.url())
    table.server.stop(how)
    table.server.start()
    fails(d, "terminating connection" if how == signal.SIGINT else "(closed the connection|EOF)")
    wait_for(lambda: d.metric("logtrain_postgres_up") == 1, BACK_S, "the rows")


def test_P01_pg_terminate_backend(table, pg):
    """Changes committed while there is no session are notified to nobody; they are found all the same."""
    d = pg(table.url())
    for n in range(1, 4):
        table.sql("BEGIN; SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'logtrain'"
                  f" AND datname = '{table.name}'; INSERT INTO drains (hostname, endpoint) VALUES ('h{n}', 'null://'); COMMIT")
        routes_become(d, n, BACK_S)
    fails(d, "terminating connection due to administrator command")


def test_P01_silence(table, pg, closing):
    """The network drops everything: a query without an answer shows it within POSTGRES_TIMEOUT."""
    relay = closing(Relay(table.server.port))
    d = pg(table.url(port=relay.port), POSTGRES_RESYNC="1s")
    relay.freeze()
    fails(d, "no answer", 5 * SLOW)
    fails(d, "connect to '127.0.0.1': timeout", 5 * SLOW)
    table.put("web.shop", "null://")
    relay.thaw()
    routes_become(d, 1, BACK_S)


def test_P01_silence_while_nothing_is_to_be_done(table, pg, closing):
    """A query is sent from time to time, so a dead peer is noticed before the next read of all rows."""
    relay = closing(Relay(table.server.port))
    d = pg(table.url(port=relay.port), POSTGRES_TIMEOUT=f"{SILENCE_S}s")
    relay.freeze()
    fails(d, "postgres unavailable, keeping known routes error=\"no answer", 5 * SLOW)
    assert d.metric("logtrain_postgres_reads_total") == 1


def test_P01_pauses_between_connects_grow(pg, closing):
    server = closing(FakeServer(lambda s: s.shutdown(socket.SHUT_RDWR)))
    pg(server.url(), wait=False)
    wait_for(lambda: server.connections >= 2, BACK_S, "another try")
    stays(lambda: server.connections <= 12, 3, "few connects")


def test_P01_failover(table, pg, closing):
    """The standby is promoted: routes stay, and changes there are followed. Before that it can be read, but not LISTENed to."""
    primary, standby = table.server, closing(Standby(table.server))
    follower = pg(table.url(port=standby.port), POSTGRES_RESYNC="1s", wait=False)
    both = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    d = pg(f"postgres://owner:{table.password()}@{both}/{table.name}?target_session_attrs=read-write")
    table.put("web.shop", "null://")
    routes_become(d, 1)
    routes_become(follower, 1, BACK_S)
    fails(follower, "no notifications for changes of the table, polling it .*LISTEN")
    try:
        primary.stop()
        fails(d, "postgres unavailable, keeping known routes", 5 * SLOW)
        standby.promote()
        for n in (2, 3):
            standby.sql("INSERT INTO drains (hostname, endpoint) VALUES ('a', 'null://')", table.name, "owner")
            routes_become(d, n, BACK_S)
        assert d.metric("logtrain_postgres_notifications_total") >= 2
    finally:
        primary.start()


def test_P01_a_locked_table(table, pg):
    """A migration locks it for hours: the attempts leave no waiting sessions behind on the server."""
    table.put("web.shop", "null://")
    d = pg(table.url(), POSTGRES_RESYNC="1s", POSTGRES_TIMEOUT="500ms")
    with table.session("BEGIN; LOCK TABLE drains") as migration:
        fails(d, "canceling statement due to lock timeout", 5 * SLOW)
        wait_for(lambda: d.metric("logtrain_postgres_failures_total") >= 3, BACK_S, "more tries")
        wait_for(lambda: table.sessions() <= 2, BACK_S, "no session to be left behind")
        assert d.metric("logtrain_routes") == 1
        migration.stdin.write("COMMIT;\n")
    wait_for(lambda: d.metric("logtrain_postgres_up") == 1, BACK_S, "the rows")


# --- P02: no notification --------------------------------------------------------------------------------------------

def test_P02_changes_that_are_not_notified(table, pg):
    d = pg(table.url(), POSTGRES_RESYNC="1s")
    table.sql("ALTER TABLE drains DISABLE TRIGGER ALL")
    row = table.put("web.shop", "null://")
    table.put("db.shop", "null://")
    routes_become(d, 2, 5 * SLOW)
    table.sql(f"DELETE FROM drains WHERE drain = '{row}'")
    routes_become(d, 1, 5 * SLOW)
    assert d.metric("logtrain_postgres_notifications_total") == 0


def test_P02_a_table_without_triggers(db, pg):
    """It is read at intervals, and this is logged."""
    db.sql("CREATE TABLE drains (drain uuid, hostname text, endpoint text)", "owner")
    d = pg(db.url(), POSTGRES_RESYNC="1s")
    fails(d, "no notifications for changes of the table, polling it .*no triggers")
    db.sql("INSERT INTO drains VALUES (gen_random_uuid(), 'a', 'null://')", "owner")
    routes_become(d, 1, 5 * SLOW)


def test_P02_between_the_read_and_the_listen(table, pg):
    """Rows come and go while sessions start: after each start the known rows are the existing ones."""
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            table.sql("INSERT INTO drains (hostname, endpoint) SELECT 'h' || i, 'null://' FROM generate_series(1, 20) i;"
                      " DELETE FROM drains WHERE drain IN (SELECT drain FROM drains ORDER BY random() LIMIT 15)")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        d = pg(table.url())
        for _ in range(5):
            failures = d.metric("logtrain_postgres_failures_total")
            table.kill_sessions()
            wait_for(lambda: d.metric("logtrain_postgres_failures_total") > failures
                     and d.metric("logtrain_postgres_up") == 1, BACK_S, "a new session")
    finally:
        stop.set()
        thread.join()
    routes_become(d, int(table.sql("SELECT count(*) FROM drains")))


def test_P02_it_listens_before_it_reads(pg, closing):
    """In one session: a change that is committed after the read began is notified."""
    asked = []

    def script(sock):
        sock.sendall(AUTH_OK + READY)
        for reply in (LOOKED, LISTENED, NO_ROWS):
            asked.append(sock.recv(10_000).decode("latin-1"))
            sock.sendall(reply)

    pg(closing(FakeServer(script)).url())
    look, listen, read = asked
    assert "FROM drains" not in look + listen and "LISTEN" not in look + read
    assert all(f'LISTEN "drains.{what}"' in listen for what in ("insert", "update", "delete"))
    assert "FROM drains" in read


def test_P02_the_triggers_are_dropped(table, pg):
    """While the daemon runs: it is logged, and the table is read at intervals."""
    d = pg(table.url(), POSTGRES_TIMEOUT="500ms")
    table.sql("".join(f"DROP TRIGGER {t} ON drains;" for t in ("touch_drains", *(f"notify_drains_{w}" for w in (
        "insert", "update", "delete", "truncate")))), "owner")
    fails(d, "no notifications for changes of the table, polling it .*no triggers", 5 * SLOW)


# --- P03: missing table or permission --------------------------------------------------------------------------------

def test_P03_no_table_and_no_right_to_make_it(node, oracle, db, pg, syslog_tcp):
    """The log says what to run; another datasource works meanwhile; when that was run, this one works too."""
    peer = syslog_tcp()
    d = pg(db.url("reader"), wait=False, routes=[("web.shop", peer.url())])
    node.container("web-0", "shop").write(oracle.source("a").take(100))
    oracle.wait_complete(peer, 10).assert_exact()
    fails(d, "may not create it .run `logtrain schema | psql` as an administrator.*permission denied")
    db.sql(schema(), "owner")
    fails(d, 'run `GRANT SELECT ON drains TO .*reader', BACK_S)
    db.sql("GRANT SELECT ON drains TO reader", "owner")
    db.put("db.shop", "null://")
    routes_become(d, 2, BACK_S)
    db.put("other.shop", "null://")  # a role that may only read is notified too
    routes_become(d, 3)


def test_P03_the_table_is_replaced(table, pg):
    """Dropped: the routes stay, and the daemon does not create the table while an administrator works on it. When it is back, its
    rows are the routes."""
    table.put("web.shop", "null://")
    d = pg(table.url(), POSTGRES_RESYNC="1s")
    table.sql("DROP TABLE drains", "owner")
    fails(d, "the table drains is missing", 5 * SLOW)
    stays(lambda: d.metric("logtrain_routes") == 1, 1, "the route")
    assert table.sql("SELECT to_regclass('drains') IS NULL") == "t"
    table.sql(schema(), "owner")
    table.put("a", "null://")
    table.put("b", "null://")
    routes_become(d, 2, BACK_S)
    table.put("c", "null://")
    routes_become(d, 3)


def test_P03_a_column_is_missing(table, pg):
    table.put("web.shop", "null://")
    d = pg(table.url(), POSTGRES_RESYNC="1s")
    table.sql("ALTER TABLE drains RENAME endpoint TO target", "owner")
    fails(d, "the table drains has no column hostname, or none endpoint", 5 * SLOW)
    assert d.metric("logtrain_routes") == 1
    table.sql("ALTER TABLE drains RENAME target TO endpoint", "owner")
    wait_for(lambda: d.metric("logtrain_postgres_up") == 1, BACK_S, "the rows")


def test_P03_ids_need_not_be_uuids(db, pg):
    """Another table with another key: each notification causes a read of all rows."""
    db.sql("CREATE TABLE drains (drain bigserial PRIMARY KEY, hostname varchar(80), endpoint varchar(200))", "owner")
    db.sql("CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
           " PERFORM pg_notify('drains.insert', row_to_json(NEW)::text); RETURN NEW; END $$;"
           "CREATE TRIGGER told AFTER INSERT ON drains FOR EACH ROW EXECUTE PROCEDURE told()", "owner")
    d = pg(db.url())
    for n in range(1, 4):
        db.put(f"h{n}", "null://")
        routes_become(d, n, 5 * SLOW)


# --- P05: notifications without content, or false ones ---------------------------------------------------------------

@pytest.mark.parametrize("payload", ["", "{", "[]", "{}", "null", '{"drain":"x"}', '{"drain":1}', '{"old":{}}', '{"a":' * 900,
                                     '{"drain":"00000000-0000-0000-0000-000000000000"} and more'])
def test_P05_invalid_payloads_cause_a_read(table, pg, payload):
    table.sql("ALTER TABLE drains DISABLE TRIGGER ALL")
    d = pg(table.url())
    table.put("web.shop", "null://")
    assert d.metric("logtrain_routes") == 0
    table.sql(f"SELECT pg_notify('drains.update', '{payload}')")
    routes_become(d, 1)
    assert d.metric("logtrain_postgres_reads_total") == 2


def test_P05_other_channels_are_other_peoples(table, pg):
    d = pg(table.url())
    table.sql("""SELECT pg_notify(c, 'x') FROM unnest(ARRAY['drains', 'drains.other', 'DRAINS.INSERT', 'insert']) c""")
    table.put("web.shop", "null://")
    routes_become(d, 1)
    assert d.metric("logtrain_postgres_notifications_total") == 1
    assert d.metric("logtrain_postgres_reads_total") == 1


def test_P05_a_notification_makes_no_routes(table, pg):
    """Whoever may connect may notify: only the table counts."""
    there = table.put("web.shop", "null://")
    d = pg(table.url())
    fake = '{"drain":"8b4ff3f0-4f6b-4c0e-9d5e-0c3f8b4ff3f0","hostname":"*","endpoint":"null://?format=json"}'
    gone = f'{{"drain":"{there}","hostname":"web.shop","endpoint":"null://"}}'
    table.sql(f"SELECT pg_notify('drains.insert', '{fake}'), pg_notify('drains.delete', '{gone}'),"
              f" pg_notify('drains.update', '{{\"old\":{gone},\"new\":{fake}}}')", "reader")
    wait_for(lambda: d.metric("logtrain_postgres_changes_total") >= 2, LIVE_S, "the rows were looked at")
    assert d.metric("logtrain_routes") == 1


# --- P06: large amounts ----------------------------------------------------------------------------------------------

def test_P06_a_thousand_notifications_a_second(table, pg):
    """They are coalesced: a few queries, little CPU, and in the end all changes are known."""
    n, seconds = 3000, 3
    d = pg(table.url(), LOG_LEVEL="debug")
    before = d.cpu()
    began = time.monotonic()
    process = subprocess.Popen([table.server.bin / "psql", "-qAtX", "-h", table.server.dir, "-p", str(table.server.port),
                                "-U", "admin", "-d", table.name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with process:
        for i in range(n // 20):
            process.stdin.write("".join(f"INSERT INTO drains (hostname, endpoint) VALUES ('h{i}-{k}', 'null://?max={1000 + k}');\n"
                                        for k in range(20)))
            process.stdin.flush()
            time.sleep(max(0, began + (i + 1) * 20 * seconds / n - time.monotonic()))
    routes_become(d, n, 60 * SLOW)
    assert d.metric("logtrain_postgres_notifications_total") == n
    assert d.metric("logtrain_postgres_reads_total") <= 3
    queries = len(d.log_lines("debug routes committed"))
    assert queries < 55 * (time.monotonic() - began), "coalesced"
    assert d.cpu() - before < 0.6 * seconds * SLOW


def test_P06_notifications_that_cannot_be_read_do_not_read_all_the_time(table, pg):
    table.sql("INSERT INTO drains (hostname, endpoint) SELECT 'h' || i, 'null://' FROM generate_series(1, 1000) i")
    d = pg(table.url())
    began = time.monotonic()
    table.sql("DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM pg_notify('drains.insert', 'x' || i); COMMIT;"
              " PERFORM pg_sleep(0.01); END LOOP; END $$")
    wait_for(lambda: d.metric("logtrain_postgres_notifications_total") == 200, LIVE_S, "all of them")
    wait_for(lambda: d.metric("logtrain_postgres_reads_total") >= 2, LIVE_S, "a read")
    assert d.metric("logtrain_postgres_reads_total") <= 3 + time.monotonic() - began


def test_P06_a_hundred_thousand_rows(table, pg):
    """They are loaded in bounded memory and bounded turns. One change reads one row; deleting them is one read."""
    rows = 20_000 if SANITIZED else 100_000
    table.sql("ALTER TABLE drains DISABLE TRIGGER ALL; INSERT INTO drains (hostname, endpoint) SELECT 'app-' || i || '.space',"
              f" 'syslog+tls://logs.example.com:6514/?max=' || i + 1000 FROM generate_series(1, {rows}) i;"
              " ALTER TABLE drains ENABLE TRIGGER ALL")
    small = pg(table.server.database().url())
    d = pg(table.url(), wait=False)
    routes_become(d, rows, 20 * SLOW)
    if not SANITIZED:
        each = (d.rss() - small.rss()) / rows
        assert each <= 200, f"{each} bytes a row"
    wait_for(lambda: d.metric("logtrain_postgres_up") == 1, 10, "the end of the read")
    table.sql("DELETE FROM drains WHERE hostname = 'app-777.space'")
    routes_become(d, rows - 1)
    assert d.metric("logtrain_postgres_reads_total") == 1
    table.sql("DELETE FROM drains")
    routes_become(d, 0, 20 * SLOW)
    assert d.metric("logtrain_postgres_notifications_total") == rows
    assert d.metric("logtrain_postgres_reads_total") <= 6


def test_P06_large_rows_over_tls(table, pg):
    """TLS gives libpq more data than it asks the socket for: nothing may be left in its buffer."""
    table.sql("INSERT INTO drains (hostname, endpoint) SELECT 'h' || i, 'http://h/' || repeat('x', 200 * (i % 80))"
              " FROM generate_series(1, 400) i", "owner")
    d = pg(table.url("tls", sslmode="require"), wait=False, POSTGRES_RESYNC="1s")
    table.sql("GRANT SELECT ON drains TO tls", "owner")
    routes_become(d, 400, BACK_S)
    reads = d.metric("logtrain_postgres_reads_total")
    wait_for(lambda: d.metric("logtrain_postgres_reads_total") > reads + 3, 10 * SLOW, "more reads")
    assert not d.log_lines("no answer")


# --- P07: connections ------------------------------------------------------------------------------------------------

def canaries(d, role):
    d.secrets += [PASSWORD % 99, role]
    d.check_canaries()


def test_P07_wrong_password(table, pg):
    wrong = PASSWORD % 77
    d = pg(table.url(password=wrong), wait=False)
    fails(d, "password authentication failed for user")
    canaries(d, wrong)


def test_P07_tls_required(table, pg, certs):
    table.sql("GRANT SELECT ON drains TO tls", "owner")
    d = pg(table.url("tls", sslmode="disable"), wait=False)
    fails(d, "pg_hba.conf rejects connection .*no encryption")
    canaries(d, table.password("tls"))
    for sslmode in (None, "require", "verify-ca", "verify-full"):
        verified = sslmode and sslmode.startswith("verify")
        options = ({"sslmode": sslmode} if sslmode else {}) | ({"sslrootcert": certs.pem("ca")} if verified else {})
        d = pg(table.url("tls", host="localhost" if options else "127.0.0.1", **options))
        assert d.log_lines('routes read .*channel="TLS, %s"' % ("verified" if verified else "not verified"))


def test_P07_wrong_password_in_a_file(table, pg, tmp_path):
    """The password file is read for every connect: when it is corrected, the connection works. Its content is as secret as the
    URL."""
    wrong = PASSWORD % 78
    passfile = tmp_path / "pgpass"
    passfile.touch(mode=0o600)
    passfile.write_text(f"127.0.0.1:*:{table.name}:owner:{wrong}\n")
    d = pg(f"postgres://owner@127.0.0.1:{table.server.port}/{table.name}", wait=False, PGPASSFILE=passfile, LOG_LEVEL="debug")
    fails(d, "password authentication failed for user")
    passfile.write_text(f"127.0.0.1:*:{table.name}:owner:{table.password()}\n")
    wait_for(lambda: d.metric("logtrain_postgres_up") == 1, BACK_S, "the rows")
    canaries(d, wrong)
    canaries(d, table.password())


def test_P07_a_certificate_that_does_not_fit(table, pg, certs):
    d = pg(table.url(sslmode="verify-full", sslrootcert=certs.pem("otherca")), wait=False)
    fails(d, "certificate verify failed")
    canaries(d, table.password())


def test_P07_the_password_in_clear_only_to_a_verified_server(table, pg, certs):
    table.sql("GRANT SELECT ON drains TO clear", "owner")
    for options in ({"sslmode": "disable"}, {"sslmode": "require"}):
        d = pg(table.url("clear", **options), wait=False)
        fails(d, "asks for the password in clear and has not proved who it is")
        canaries(d, table.password("clear"))
    pg(table.url("clear", host="localhost", sslmode="verify-full", sslrootcert=certs.pem("ca")))
    pg(f"postgres:///{table.name}?host={table.server.dir}&port={table.server.port}&user=clear")


def trickle(sock):
    for byte in AUTH_CLEARTEXT:
        sock.sendall(bytes([byte]))
        time.sleep(0.02)


def after_md5(sock):
    sock.sendall(message(b"R", struct.pack("!i", 5) + b"salt"))
    sock.recv(1000)
    sock.sendall(AUTH_CLEARTEXT)


def many_rounds(sock):
    sock.sendall(message(b"R", struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"))
    nonce = re.search(rb"r=([^,]*)", sock.recv(1000))[1]
    sock.sendall(message(b"R", struct.pack("!i", 11) + b"r=" + nonce + b"abc,s=c2FsdHNhbHQ=,i=2000000000"))


@pytest.mark.parametrize("script, says", [
    (lambda s: s.sendall(AUTH_CLEARTEXT), "asks for the password in clear"),
    (trickle, "asks for the password in clear"),
    (after_md5, "asks for the password in clear"),
    (many_rounds, "more than 262144 rounds"),
])
def test_P07_a_false_server_gets_no_password(node, pg, closing, script, says):
    server = closing(FakeServer(script))
    d = pg(server.url(), wait=False)
    fails(d, says, 5 * SLOW)
    assert (PASSWORD % 99).encode() not in server.received
    assert d.get("/healthz") == (200, "ok\n")
    canaries(d, PASSWORD % 99)


def row(*values):
    return message(b"D", struct.pack("!h", len(values)) + b"".join(struct.pack("!i", len(v)) + v for v in values))


def columns(*names):
    return message(b"T", struct.pack("!h", len(names)) + b"".join(n + b"\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
                                                                 for n in names))


def endless(kind, size):
    def script(sock):
        sock.sendall(AUTH_OK + READY)
        sock.recv(1000)
        sock.sendall(columns(b"a", b"b", b"c") + kind + struct.pack("!i", size) + struct.pack("!hi", 3, size - 20))
        while True:
            sock.sendall(b"x" * 65536)
    return script


def answers(*replies):
    """One answer per query; then nothing."""
    def script(sock):
        sock.sendall(AUTH_OK + READY)
        for reply in replies:
            sock.recv(10_000)
            sock.sendall(reply)
    return script


def table_of(name):
    return columns(b"a", b"b", b"c") + b"".join(row(c, b"t", b"3") for c in (b"drain", b"hostname", b"endpoint")) \
        + message(b"C", b"SELECT 3\0") + READY + name


LISTENED = message(b"C", b"LISTEN\0") + READY
LOOKED = table_of(b"")
NO_ROWS = columns(b"a", b"b", b"c") + message(b"C", b"SELECT 0\0") + READY
UUID = b"8b4ff3f0-4f6b-4c0e-9d5e-0c3f8b4ff3f0"


@pytest.mark.parametrize("script, says", [
    (lambda s: s.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "."),
    (lambda s: s.sendall(bytes(range(256)) * 400), "."),
    (lambda s: s.sendall(message(b"E", b"SFATAL\0C28000\0Mcome back later\0\0")), "come back later"),
    (lambda s: s.sendall(message(b"E", b"SFATAL\0Mno " + (PASSWORD % 99).encode() + b" here\0\0")), r"no \*\*\* here"),
    (lambda s: s.sendall(AUTH_OK + b"\xff" * 100), "."),
    (endless(b"D", 1 << 30), "a message of more than 1048576 bytes"),
    (endless(b"E", 1 << 30), "a message of more than 1048576 bytes"),
    (endless(b"N", 1 << 28), "a message of more than 1048576 bytes"),
    (answers(message(b"G", b"\0\0\0")), "unexpected answer from the server"),
    (answers(message(b"H", b"\0\0\0")), "unexpected answer from the server"),
    (answers(columns(b"a") + row(b"b") + message(b"C", b"SELECT 1\0") + READY), "."),
    (answers(LOOKED, LISTENED, columns(b"a") + row(b"b") + READY), "a row has unexpected columns"),
    (answers(LOOKED, LISTENED, columns(b"a", b"b", b"c") + row(b"b", b"c", b"d") + READY), "not the expected UUID"),
    (answers(LOOKED, LISTENED), "no answer"),
    (lambda s: None, "connect to '127.0.0.1': timeout"),
    (lambda s: s.shutdown(socket.SHUT_RDWR), "closed the connection unexpectedly"),
])
def test_P07_a_broken_server(pg, closing, script, says):
    """Garbage, huge messages and silence: an error, bounded memory, and the daemon goes on."""
    server = closing(FakeServer(script))
    d = pg(server.url(), wait=False)
    before = d.rss()
    fails(d, f"postgres cannot be read yet error=.*{says}", 5 * SLOW)
    wait_for(lambda: server.connections > 1, BACK_S, "another try")
    assert d.rss() < before + (64 if SANITIZED else 16) * 2**20
    assert d.get("/healthz") == (200, "ok\n")
    assert d.metric("logtrain_routes") == 0
    canaries(d, PASSWORD % 99)


def test_P07_rows_that_were_not_asked_for(pg, closing):
    """A notification names one row, and the answer contains another."""
    notified = message(b"A", struct.pack("!i", 1) + b'drains.insert\0{"drain":"' + UUID + b'"}\0')
    head = columns(b"a", b"b", b"c")
    server = closing(FakeServer(answers(LOOKED, LISTENED, NO_ROWS + notified,
                                        head + row(UUID[:-1] + b"1", b"h", b"null://") + message(b"C", b"SELECT 1\0") + READY)))
    d = pg(server.url(), wait=False)
    fails(d, "unexpected row", 5 * SLOW)
    assert d.metric("logtrain_routes") == 0
