/* Rows to routes: full reads, reads by id, reads that break off, and log lines about bad rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/log.h"
#include "datasources/postgres_internal.h"
#include "fixture.h"

#define ID(n) "00000000-0000-0000-0000-00000000000" #n

static const char *const hostnames[] = {"web", "db"};

struct world {
    struct fixture f;
    struct pg_rows r;
    struct pg_id batch[4];
    bool found[4];
    int log;
};

static void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
    fixture_open(&w->f, hostnames, 2);
    w->r.env = &w->f.env;
    w->r.source = router_source_create(w->f.router, "postgres");
    w->r.ids = true;
    w->r.batch = w->batch;
    w->r.found = w->found;
    w->log = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    assert_true(w->log >= 0);
    log_set_fd(w->log);
}

static void world_close(struct world *w)
{
    fixture_close(&w->f);
    log_set_fd(2);
    (void)close(w->log);
}

static unsigned logged(const struct world *w, const char *text)
{
    return log_count(w->log, text);
}

static int take(struct world *w, const char *id, const char *hostname, const char *endpoint)
{
    static PGresAttDesc columns[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
    const char *values[3] = {id, hostname, endpoint};
    PGresult *row = PQmakeEmptyPGresult(NULL, PGRES_SINGLE_TUPLE);
    struct err e = {0, ""};
    int rc;

    assert_int_equal(PQsetResultAttrs(row, 3, columns), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(
            PQsetvalue(row, 0, i, (char *)values[i], values[i] ? (int)strlen(values[i]) : -1), 1);
    rc = pg_rows_take(&w->r, row, &e);
    assert_true(rc == 0 || e.text[0]);
    PQclear(row);
    return rc;
}

static void ask_for(struct world *w, const char *id)
{
    assert_true(pg_id_parse(str_of(id), &w->batch[w->r.nbatch++]));
}

static void full_reads_are_compared(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    pg_rows_begin(&w.r, true);
    assert_int_equal(take(&w, ID(1), "web", "http://a"), 0);
    assert_int_equal(take(&w, ID(2), "w*", " http://b\n"), 0);
    assert_string_equal(w.f.attached, ""); /* not before the end */
    pg_rows_commit(&w.r);
    assert_non_null(strstr(w.f.attached, "web=http://a "));
    assert_non_null(strstr(w.f.attached, "web=http://b "));
    pg_rows_begin(&w.r, true);
    assert_int_equal(take(&w, ID(3), "web", "http://a"), 0); /* the table was created again */
    assert_int_equal(take(&w, ID(2), "db", "http://b"), 0);
    pg_rows_commit(&w.r);
    assert_string_equal(w.f.attached, "web=http://a db=http://b ");
    assert_int_equal(w.f.changes, 4);
    assert_int_equal(w.r.rows, 2);
    world_close(&w);
}

static void broken_off_reads_drop_nothing(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    pg_rows_begin(&w.r, true);
    assert_int_equal(take(&w, ID(1), "web", "http://a"), 0);
    assert_int_equal(take(&w, ID(2), "db", "http://b"), 0);
    pg_rows_commit(&w.r);
    pg_rows_begin(&w.r, true);
    assert_int_equal(take(&w, ID(1), "web", "http://c"), 0);
    pg_rows_abandon(&w.r);
    assert_string_equal(w.f.attached, "db=http://b web=http://c ");
    world_close(&w);
}

static void reads_by_id_drop_what_is_gone(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    pg_rows_begin(&w.r, true);
    assert_int_equal(take(&w, ID(1), "web", "http://a"), 0);
    assert_int_equal(take(&w, ID(2), "web", "http://b"), 0);
    assert_int_equal(take(&w, ID(3), "web", "http://c"), 0);
    pg_rows_commit(&w.r);
    ask_for(&w, ID(3));
    ask_for(&w, ID(1));
    ask_for(&w, ID(4));
    pg_rows_begin(&w.r, false);
    assert_int_equal(take(&w, ID(4), "db", "http://d"), 0);
    assert_int_equal(take(&w, ID(1), "web", "http://e"), 0);
    assert_int_equal(take(&w, ID(2), "db", "http://x"), -1); /* not asked for */
    pg_rows_commit(&w.r);
    assert_null(strstr(w.f.attached, "http://a "));
    assert_null(strstr(w.f.attached, "http://c "));
    assert_non_null(strstr(w.f.attached, "web=http://b "));
    assert_non_null(strstr(w.f.attached, "db=http://d "));
    assert_non_null(strstr(w.f.attached, "web=http://e "));
    world_close(&w);
}

static void bad_rows_are_named_once(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    for (int i = 0; i < 3; i++) {
        pg_rows_begin(&w.r, true);
        assert_int_equal(take(&w, ID(1), NULL, "http://a"), 0);
        assert_int_equal(take(&w, ID(2), "web", NULL), 0);
        assert_int_equal(take(&w, ID(3), "a b", "http://a"), 0);
        assert_int_equal(take(&w, ID(4), "web", "bad://u:secret@h"), 0);
        assert_int_equal(take(&w, ID(5), "web", ""), 0); /* the fixture accepts it */
        pg_rows_commit(&w.r);
        assert_int_equal(w.r.refused, 4);
    }
    assert_int_equal(logged(&w, "route refused"), 4);
    assert_int_equal(logged(&w, "row=" ID(1)), 1);
    assert_int_equal(logged(&w, "secret"), 0);
    ask_for(&w, ID(4));
    pg_rows_begin(&w.r, false); /* bad for another reason */
    assert_int_equal(take(&w, ID(4), "", "bad://u:secret@h"), 0);
    pg_rows_commit(&w.r);
    assert_int_equal(logged(&w, "row=" ID(4)), 2);
    world_close(&w);
}

/* A table of nothing but bad rows: all are counted, some are named. */
static void there_is_an_end_to_naming(void **state)
{
    char id[PG_ID_TEXT_SIZE];
    struct world w;

    (void)state;
    world_open(&w);
    for (int read = 0; read < 2; read++) {
        pg_rows_begin(&w.r, true);
        for (int i = 0; i < 1000; i++) {
            (void)snprintf(id, sizeof(id), "00000000-0000-0000-0000-%012d", i);
            assert_int_equal(take(&w, id, "", "http://a"), 0);
        }
        pg_rows_commit(&w.r);
        assert_int_equal(w.r.refused, 1000);
        assert_int_equal(logged(&w, "route refused"), PG_LOGGED_MAX);
    }
    world_close(&w);
}

static void rows_that_are_none_end_the_read(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    pg_rows_begin(&w.r, true);
    assert_int_equal(take(&w, "17", "web", "http://a"), -1); /* the column is declared as UUID */
    w.r.ids = false;
    assert_int_equal(take(&w, "17", "web", "http://a"), 0);
    w.r.rows = POSTGRES_ROWS_MAX - 1;
    assert_int_equal(take(&w, "18", "web", "http://b"), 0);
    assert_int_equal(take(&w, "19", "web", "http://c"), -1);
    pg_rows_abandon(&w.r);
    assert_non_null(strstr(w.f.attached, "web=http://a "));
    assert_non_null(strstr(w.f.attached, "web=http://b "));
    assert_int_equal(w.f.changes, 2);
    world_close(&w);
}

/* Where the id is no key, NULL may stand there: that row is skipped, the others work. */
static void rows_without_an_id_are_refused(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    for (int read = 0; read < 2; read++) {
        pg_rows_begin(&w.r, true);
        assert_int_equal(take(&w, NULL, "web", "http://a"), 0);
        assert_int_equal(take(&w, NULL, "db", "http://a"), 0);
        assert_int_equal(take(&w, ID(1), "web", "http://b"), 0);
        pg_rows_commit(&w.r);
        assert_int_equal(w.r.refused, 2);
        assert_int_equal(w.r.rows, 3);
    }
    assert_string_equal(w.f.attached, "web=http://b ");
    assert_int_equal(logged(&w, "row=NULL"), 1);
    w.r.nbatch = 0;
    ask_for(&w, ID(1));
    pg_rows_begin(&w.r, false);
    assert_int_equal(take(&w, NULL, "web", "http://a"), -1); /* such a row cannot be asked for */
    pg_rows_abandon(&w.r);
    world_close(&w);
}

/* Where the id is not a key, the first of several different rows works, and the others are
 * logged. */
static void rows_with_the_same_id_are_refused(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    for (int read = 0; read < 2; read++) {
        pg_rows_begin(&w.r, true);
        assert_int_equal(take(&w, ID(1), "web", "http://a"), 0);
        assert_int_equal(take(&w, ID(1), "web", "http://a"), 0); /* logs nothing more */
        assert_int_equal(take(&w, ID(1), "web", "http://b"), 0);
        assert_int_equal(take(&w, ID(2), "db", "http://c"), 0);
        pg_rows_commit(&w.r);
        assert_int_equal(w.r.refused, 1);
    }
    assert_null(strstr(w.f.attached, "http://b"));
    assert_non_null(strstr(w.f.attached, "web=http://a "));
    assert_non_null(strstr(w.f.attached, "db=http://c "));
    assert_int_equal(w.f.changes, 2);
    assert_int_equal(logged(&w, "row=" ID(1)), 1);
    w.r.nbatch = 0;
    ask_for(&w, ID(2));
    pg_rows_begin(&w.r, false);
    assert_int_equal(take(&w, ID(2), "db", "http://d"), 0);
    assert_int_equal(take(&w, ID(2), "db", "http://e"), 0);
    pg_rows_commit(&w.r);
    assert_non_null(strstr(w.f.attached, "db=http://d "));
    assert_null(strstr(w.f.attached, "http://e"));
    assert_int_equal(logged(&w, "row=" ID(2)), 1);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_reads_are_compared),
        cmocka_unit_test(broken_off_reads_drop_nothing),
        cmocka_unit_test(reads_by_id_drop_what_is_gone),
        cmocka_unit_test(bad_rows_are_named_once),
        cmocka_unit_test(there_is_an_end_to_naming),
        cmocka_unit_test(rows_that_are_none_end_the_read),
        cmocka_unit_test(rows_without_an_id_are_refused),
        cmocka_unit_test(rows_with_the_same_id_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
