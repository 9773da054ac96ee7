"""The table, with a real PostgreSQL: who creates it, which existing tables work as they are, and what its triggers store and
notify."""

from lib.daemon import SLOW
from lib.postgres import LIVE_S, routes_become, schema, settings
from lib.wait import wait_for

ORIGINAL = """
CREATE EXTENSION "uuid-ossp";
CREATE TABLE drains (drain uuid PRIMARY KEY DEFAULT uuid_generate_v4(), hostname text NOT NULL, endpoint text NOT NULL,
                     created timestamptz, updated timestamptz);
CREATE FUNCTION notify_drains_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_notify('drains.insert', row_to_json(NEW)::text); RETURN NEW; END $$;
CREATE FUNCTION notify_drains_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_notify('drains.update', json_build_object('old', OLD, 'new', NEW)::text); RETURN NEW; END $$;
CREATE FUNCTION notify_drains_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  PERFORM pg_notify('drains.delete', row_to_json(OLD)::text); RETURN OLD; END $$;
CREATE TRIGGER notify_drains_insert AFTER INSERT ON drains FOR EACH ROW EXECUTE PROCEDURE notify_drains_insert();
CREATE TRIGGER notify_drains_update AFTER UPDATE ON drains FOR EACH ROW EXECUTE PROCEDURE notify_drains_update();
CREATE TRIGGER notify_drains_delete AFTER DELETE ON drains FOR EACH ROW EXECUTE PROCEDURE notify_drains_delete();
"""


def test_an_original_table_works_as_it_is(node, oracle, db, pg, syslog_tcp):
    peer = syslog_tcp()
    db.sql(ORIGINAL)
    db.sql("GRANT ALL ON drains TO owner")
    before = db.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'drains'::regclass")
    row = db.put("web.shop", "null://")
    d = pg(db.url("reader"), wait=False)
    wait_for(lambda: d.log_lines("GRANT SELECT ON drains TO"), LIVE_S, "to be told what to run")
    db.sql("GRANT SELECT ON drains TO reader")
    routes_become(d, 1, 10)
    reads = d.metric("logtrain_postgres_reads_total")
    db.sql(f"UPDATE drains SET endpoint = '{peer.url()}', hostname = 'w*.shop' WHERE drain = '{row}'", "owner")
    wait_for(lambda: d.metric("logtrain_postgres_changes_total") == 1, LIVE_S, "the change")
    node.container("web-0", "shop").write(oracle.source("a").take(100))
    oracle.wait_complete(peer, 10).assert_exact()
    db.put("db.shop", "null://")
    routes_become(d, 2)
    db.sql("DELETE FROM drains WHERE hostname = 'db.shop'", "owner")
    routes_become(d, 1)
    assert d.metric("logtrain_postgres_reads_total") == reads, "the payloads were understood"
    assert db.sql("SELECT attname FROM pg_attribute WHERE attrelid = 'drains'::regclass") == before


def test_P05_schema_on_an_original_table_no_writer_fails(db, pg):
    db.sql(ORIGINAL + "ALTER TABLE drains OWNER TO owner;"
           + "".join(f"ALTER FUNCTION notify_drains_{w}() OWNER TO owner;" for w in ("insert", "update", "delete")))
    kept = db.put("web.shop", "null://")
    large = "http://h/?x=" + "y" * 9000
    assert "payload string too long" in db.fails(f"INSERT INTO drains (hostname, endpoint) VALUES ('a', '{large}')")
    for _ in range(2):
        db.sql(schema(), "owner")
    d = pg(db.url())
    db.put("large", large)
    db.sql(f"INSERT INTO drains (hostname, endpoint) VALUES ('{'h' * 100_000}', '{'e' * 1_000_000}')", "owner")
    wait_for(lambda: d.metric("logtrain_postgres_changes_total") == 2, LIVE_S, "both rows")
    assert db.sql(f"SELECT count(*) FROM drains WHERE drain = '{kept}' AND tag IS NULL") == "1"
    assert "hash" in db.sql("SELECT indexdef FROM pg_indexes WHERE indexname = 'drains_hostname'")


def test_time_stamps_are_kept_by_the_table(db):
    db.sql(schema(), "owner")
    row = db.put("web.shop", "null://")
    assert db.sql("SELECT created = updated AND created > now() - interval '1 min' FROM drains") == "t"
    db.sql(f"UPDATE drains SET tag = 'blue' WHERE drain = '{row}'", "owner")
    assert db.sql("SELECT updated > created FROM drains") == "t"
    db.sql("INSERT INTO drains (hostname, endpoint, created, updated) VALUES ('a', 'null://', NULL, NULL)", "owner")
    assert db.sql("SELECT count(*) FROM drains WHERE created IS NULL OR updated IS NULL") == "0"


def test_schema_says_nothing_about_changes_that_are_none(db, pg):
    """An update of other columns notifies nobody."""
    d = pg(db.url())
    row = db.put("web.shop", "null://")
    routes_become(d, 1)
    db.sql(f"UPDATE drains SET tag = 'blue', endpoint = 'null://' WHERE drain = '{row}'", "owner")
    db.put("db.shop", "null://")
    routes_become(d, 2)
    assert d.metric("logtrain_postgres_notifications_total") == 2


def test_P05_schema_on_a_table_of_three_columns_no_writer_fails(db, pg):
    """The columns that the triggers use are added too."""
    db.sql("CREATE TABLE drains (drain uuid, hostname text, endpoint text)", "owner")
    db.sql("INSERT INTO drains VALUES (gen_random_uuid(), 'a', 'null://')", "owner")
    d = pg(db.url())
    db.sql(schema(), "owner")
    db.sql("INSERT INTO drains VALUES (gen_random_uuid(), 'b', 'null://')", "owner")
    routes_become(d, 2)
    db.sql("UPDATE drains SET hostname = 'c', endpoint = 'null://?max=1000' WHERE hostname = 'a'", "owner")
    wait_for(lambda: d.metric("logtrain_postgres_changes_total") == 2, LIVE_S, "both changes")
    assert db.sql("SELECT count(*) FROM drains WHERE created IS NULL OR updated IS NULL OR tag IS NOT NULL") == "0"


def test_P05_triggers_never_fail_a_writer(table):
    """Whatever is written, by any role: as large as Postgres allows, and NULL where that is allowed."""
    table.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON drains TO plain", "owner")
    table.sql("ALTER TABLE drains ALTER hostname DROP NOT NULL, ALTER endpoint DROP NOT NULL", "owner")
    table.sql("INSERT INTO drains (hostname, endpoint, tag) SELECT repeat(h, 9000), repeat('e', 2000000), repeat(h, 9000)"
              " FROM unnest(ARRAY['x', chr(1), chr(8232), '\"', '\\', 'ü', NULL]) h;"
              "UPDATE drains SET endpoint = NULL, updated = NULL; UPDATE drains SET drain = gen_random_uuid();"
              "DELETE FROM drains", "plain")
    table.sql("TRUNCATE drains", "owner")


def test_many_nodes_make_the_table_at_once(db, daemon, tmp_path):
    """Five daemons find no table: one creates it, and all use it."""
    (tmp_path / "logs").mkdir()
    env = settings(db.url(), KUBERNETES_LOG_PATH=tmp_path / "logs") | {"POSTGRES_TIMEOUT": "20s"}
    daemons = [daemon(env=env, wait=False) for _ in range(5)]
    for d in daemons:
        d.wait_ready()
        wait_for(lambda d=d: d.metric("logtrain_postgres_up") == 1, 10 * SLOW, "the rows")
        assert d.metric("logtrain_postgres_failures_total") == 0, d.tail()
    db.put("a", "null://")
    for d in daemons:
        routes_become(d, 1)


def test_P03_no_schema_to_make_it_in(db, pg):
    """This is logged; when the schema exists, the table is created."""
    db.sql("DROP SCHEMA public")
    d = pg(db.url(), wait=False)
    wait_for(lambda: d.log_lines("the table drains is missing and could not be created: no schema"), LIVE_S, d.tail)
    db.sql("CREATE SCHEMA public AUTHORIZATION owner")
    wait_for(lambda: d.metric("logtrain_postgres_up") == 1, 15 * SLOW, "the rows")


def test_a_table_elsewhere_on_the_search_path(db, pg):
    db.sql("CREATE SCHEMA routes AUTHORIZATION owner")
    db.sql("SET search_path = routes; " + schema(), "owner")
    d = pg(db.url(options="-csearch_path%3Droutes"))
    db.sql("INSERT INTO routes.drains (hostname, endpoint) VALUES ('a', 'null://')", "owner")
    routes_become(d, 1)
    assert db.sql("SELECT to_regclass('public.drains') IS NULL") == "t"


def test_schema_is_for_psql_as_it_stands():
    text = schema()
    assert text.count("BEGIN;\n") == 1 and text.rstrip().endswith("COMMIT;")
    assert "gen_random_uuid()" in text and "uuid-ossp" in text
