/*
 * The table, as SQL. One text for `logtrain schema` and for a daemon that finds no table, so that
 * both create the same. It may be run again, also on an original logtrain's table: then it adds
 * what is missing and replaces the triggers.
 *
 * - The lock, with a fixed number, makes nodes that all find no table create it one after the
 *   other. Those that waited for it may still be told that there is none.
 * - The notifications carry ids only. NOTIFY takes less than 8,000 bytes, and a trigger that fails
 *   fails the writer's statement. Also, LISTEN needs no permission, while endpoints contain
 *   credentials.
 * - The index is a hash: a B-tree refuses rows above 2.7 KB, which again would fail a writer. - No
 * column except the original's is NOT NULL: an application that writes NULL as created keeps
 *   working.
 */
#include "datasources/datasource.h"
#include "datasources/postgres_internal.h"

const char pg_schema_sql[] =
    "DO $do$\n"
    "DECLARE\n"
    "    new_id text := 'gen_random_uuid()';  -- PostgreSQL 13 and later have it\n"
    "BEGIN\n"
    "    PERFORM pg_advisory_xact_lock(4711622076190013);\n"
    "    IF to_regclass('drains') IS NULL THEN\n"
    "        IF to_regprocedure(new_id) IS NULL THEN\n"
    "            CREATE EXTENSION IF NOT EXISTS \"uuid-ossp\";\n"
    "            new_id := 'uuid_generate_v4()';\n"
    "        END IF;\n"
    "        EXECUTE 'CREATE TABLE IF NOT EXISTS drains ('\n"
    "            'drain uuid PRIMARY KEY DEFAULT ' || new_id || ','\n"
    "            'hostname text NOT NULL,'\n"
    "            'endpoint text NOT NULL,'\n"
    "            'created timestamptz DEFAULT now(),'\n"
    "            'updated timestamptz DEFAULT now())';\n"
    "    END IF;\n"
    "END\n"
    "$do$;\n"
    "\n"
    "ALTER TABLE drains ADD COLUMN IF NOT EXISTS tag text,\n"
    "    ADD COLUMN IF NOT EXISTS created timestamptz DEFAULT now(),\n"
    "    ADD COLUMN IF NOT EXISTS updated timestamptz DEFAULT now();\n"
    "CREATE INDEX IF NOT EXISTS drains_hostname ON drains USING hash (hostname);\n"
    "\n"
    "CREATE OR REPLACE FUNCTION touch_drains() RETURNS trigger LANGUAGE plpgsql AS $$\n"
    "BEGIN\n"
    "    IF TG_OP = 'INSERT' THEN\n"
    "        NEW.created := coalesce(NEW.created, now());\n"
    "    END IF;\n"
    "    NEW.updated := now();\n"
    "    RETURN NEW;\n"
    "END\n"
    "$$;\n"
    "\n"
    "CREATE OR REPLACE FUNCTION notify_drains_insert() RETURNS trigger LANGUAGE plpgsql "
    "AS $$\n"
    "BEGIN\n"
    "    PERFORM pg_notify('drains.insert', json_build_object('drain', "
    "NEW.drain)::text);\n"
    "    RETURN NULL;\n"
    "END\n"
    "$$;\n"
    "\n"
    "CREATE OR REPLACE FUNCTION notify_drains_update() RETURNS trigger LANGUAGE plpgsql "
    "AS $$\n"
    "BEGIN\n"
    "    PERFORM pg_notify('drains.update', json_build_object(\n"
    "        'old', json_build_object('drain', OLD.drain),\n"
    "        'new', json_build_object('drain', NEW.drain))::text);\n"
    "    RETURN NULL;\n"
    "END\n"
    "$$;\n"
    "\n"
    "CREATE OR REPLACE FUNCTION notify_drains_delete() RETURNS trigger LANGUAGE plpgsql "
    "AS $$\n"
    "BEGIN\n"
    "    IF TG_OP = 'TRUNCATE' THEN\n"
    "        PERFORM pg_notify('drains.delete', '');\n"
    "    ELSE\n"
    "        PERFORM pg_notify('drains.delete', json_build_object('drain', "
    "OLD.drain)::text);\n"
    "    END IF;\n"
    "    RETURN NULL;\n"
    "END\n"
    "$$;\n"
    "\n"
    "DROP TRIGGER IF EXISTS touch_drains ON drains;\n"
    "CREATE TRIGGER touch_drains BEFORE INSERT OR UPDATE ON drains\n"
    "    FOR EACH ROW EXECUTE PROCEDURE touch_drains();\n"
    "DROP TRIGGER IF EXISTS notify_drains_insert ON drains;\n"
    "CREATE TRIGGER notify_drains_insert AFTER INSERT ON drains\n"
    "    FOR EACH ROW EXECUTE PROCEDURE notify_drains_insert();\n"
    "DROP TRIGGER IF EXISTS notify_drains_update ON drains;\n"
    "CREATE TRIGGER notify_drains_update AFTER UPDATE ON drains\n"
    "    FOR EACH ROW\n"
    "    WHEN ((OLD.drain, OLD.hostname, OLD.endpoint) IS DISTINCT FROM\n"
    "          (NEW.drain, NEW.hostname, NEW.endpoint))\n"
    "    EXECUTE PROCEDURE notify_drains_update();\n"
    "DROP TRIGGER IF EXISTS notify_drains_delete ON drains;\n"
    "CREATE TRIGGER notify_drains_delete AFTER DELETE ON drains\n"
    "    FOR EACH ROW EXECUTE PROCEDURE notify_drains_delete();\n"
    "DROP TRIGGER IF EXISTS notify_drains_truncate ON drains;\n"
    "CREATE TRIGGER notify_drains_truncate AFTER TRUNCATE ON drains\n"
    "    FOR EACH STATEMENT EXECUTE PROCEDURE notify_drains_delete();\n";

int datasource_postgres_schema(struct buf *out)
{
    return buf_addf(
        out,
        "-- The table that logtrain reads routes from, and the triggers that tell it of "
        "changes.\n"
        "-- It may be run again, also on a table of logtrain's predecessor: it adds "
        "what is missing.\n"
        "-- logtrain's own role needs no more than SELECT:\n"
        "--     GRANT SELECT ON drains TO ...;\n"
        "BEGIN;\n"
        "\n"
        "%s"
        "\n"
        "COMMIT;\n",
        pg_schema_sql);
}
