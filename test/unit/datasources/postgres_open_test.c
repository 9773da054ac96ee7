/* How DATABASE_URL is interpreted, and the addresses that libpq gets: names, addresses, sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/unit.h"
#include "datasources/postgres_internal.h"

static void options_are_libpqs(void **state)
{
    struct pg_options o;
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(pg_options_read(&o,
                                     "postgres://u:p%40ss@a,b:2/db?sslmode=verify-full"
                                     "&connect_timeout=3",
                                     &e),
                     0);
    assert_string_equal(o.host, "a,b");
    assert_string_equal(o.port, ",2");
    assert_string_equal(o.hostaddr, "");
    assert_string_equal(o.password, "p@ss");
    assert_int_equal(o.connect_timeout_ms, 3000);
    assert_true(o.verified);
    assert_false(o.require_auth);
    pg_options_release(&o);
    assert_int_equal(pg_options_read(&o, "host=/run dbname='a b' password='x y'", &e), 0);
    assert_string_equal(o.host, "/run");
    assert_string_equal(o.password, "x y");
    assert_false(o.verified);
    pg_options_release(&o);
    /* A value in the URL for the option that is used internally does no harm. */
    assert_int_equal(pg_options_read(&o, "host=a target_session_attrs=read-write", &e), 0);
    pg_options_release(&o);
}

static void options_from_the_environment(void **state)
{
    struct pg_options o;
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(setenv("PGHOST", "db.example", 1), 0);
    assert_int_equal(setenv("PGSSLMODE", "verify-ca", 1), 0);
    assert_int_equal(pg_options_read(&o, "user=u", &e), 0);
    assert_string_equal(o.host, "db.example");
    assert_true(o.verified);
    pg_options_release(&o);
    assert_int_equal(unsetenv("PGHOST"), 0);
    assert_int_equal(unsetenv("PGSSLMODE"), 0);
}

static void bad_ones_are_refused(void **state)
{
    static const char *const urls[] = {
        "",
        "db",
        "postgres://u:secret@[::1/db",
        "postgres://u:sec@ret@h/db",
        "postgres://u:sec/ret@h/db",
        "host=h nonsense=secret",
        "host=h sslmode=secret",
        "host=h port=1x",
        "host=a,b port=1,2,3",
        "host=a,b hostaddr=127.0.0.1",
        "service=secret",
    };
    struct pg_options o;

    (void)state;
    for (size_t i = 1; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct err e = {0, ""};

        assert_int_equal(pg_options_read(&o, urls[i], &e), -1);
        assert_true(e.text[0] != '\0');
        assert_null(strstr(e.text, "secret"));
        assert_null(o.host);
    }
}

/* Takes all places; a name gets the addresses 10.0.0.1 and 10.0.0.2. */
static void take_all(struct pg_places *p, const struct pg_options *o)
{
    struct str host, port;
    int rc;

    pg_places_init(p, o);
    while ((rc = pg_places_next(p, &host, &port)) >= 0)
        if (rc == 1) {
            pg_places_add(p, host, port, STR("10.0.0.1"));
            pg_places_add(p, host, port, STR("10.0.0.2"));
        }
}

static void names_become_addresses(void **state)
{
    static const struct {
        const char *host, *hostaddr, *port;
        const char *want_host, *want_addr, *want_port;
    } rows[] = {
        {"a", "", "1", "a,a", "10.0.0.1,10.0.0.2", "1,1"},
        {"a", "9.9.9.9", "1", "a", "9.9.9.9", "1"},
        {"", "9.9.9.9,8.8.8.8", "", ",", "9.9.9.9,8.8.8.8", ","},
        {"", "", "", "", "", ""},
        {"/run", "", "5432", "/run", "", "5432"},
        {"@abstract", "", "", "@abstract", "", ""},
        {"/run,a,", "", "1,2,3", "/run,a,a,", ",10.0.0.1,10.0.0.2,", "1,2,2,3"},
        {"a,b", ",7.7.7.7", "1", "a,a,b", "10.0.0.1,10.0.0.2,7.7.7.7", "1,1,1"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        const struct pg_options o = {.host = (char *)rows[i].host,
                                     .hostaddr = (char *)rows[i].hostaddr,
                                     .port = (char *)rows[i].port};
        struct pg_places p;

        take_all(&p, &o);
        assert_string_equal(buf_cstr(&p.host), rows[i].want_host);
        assert_string_equal(buf_cstr(&p.hostaddr), rows[i].want_addr);
        assert_string_equal(buf_cstr(&p.port), rows[i].want_port);
        pg_places_release(&p);
    }
}

static void places_take_turns(void **state)
{
    const struct pg_options o = {.host = "a,/run", .hostaddr = "", .port = "1,2"};
    struct pg_places p;

    (void)state;
    take_all(&p, &o);
    pg_places_rotate(&p, 0);
    assert_string_equal(buf_cstr(&p.hostaddr), "10.0.0.1,10.0.0.2,");
    pg_places_rotate(&p, 4); /* of three */
    assert_string_equal(buf_cstr(&p.host), "a,/run,a");
    assert_string_equal(buf_cstr(&p.hostaddr), "10.0.0.2,,10.0.0.1");
    assert_string_equal(buf_cstr(&p.port), "1,2,1");
    pg_places_release(&p);
}

static void there_is_an_end_to_places(void **state)
{
    const struct pg_options o = {.host = "a", .hostaddr = "", .port = ""};
    struct pg_places p;

    (void)state;
    pg_places_init(&p, &o);
    for (int i = 0; i < 1000; i++)
        pg_places_add(&p, STR("a"), STR("1"), STR("10.0.0.1"));
    assert_in_range(p.len, 16, 256);
    pg_places_release(&p);
}

static char *option_of(PGconn *conn, const char *keyword)
{
    PQconninfoOption *all = PQconninfo(conn);
    char *value = NULL;

    assert_non_null(all);
    for (PQconninfoOption *o = all; o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0 && o->val)
            value = strdup(o->val);
    PQconninfoFree(all);
    return value;
}

/* Of a connection that is begun to <url>, resolved. */
static void assert_option(const char *url, const char *keyword, const char *want)
{
    struct pg_options o;
    struct pg_places p;
    struct err e;
    PGconn *conn;
    char *value;

    assert_int_equal(pg_options_read(&o, url, &e), 0);
    take_all(&p, &o);
    conn = pg_connect_start(url, &o, &p);
    assert_non_null(conn);
    value = option_of(conn, keyword);
    if (want)
        assert_string_equal(value ? value : "(none)", want);
    else
        assert_null(value);
    free(value);
    PQfinish(conn);
    pg_places_release(&p);
    pg_options_release(&o);
}

/* P01: the kernel notices a dead peer, unless the URL says otherwise. */
static void P01_dead_peers_are_noticed(void **state)
{
    (void)state;
    assert_option("host=h hostaddr=127.0.0.1 port=1", "keepalives_idle", "15");
    assert_option("host=h hostaddr=127.0.0.1 port=1", "tcp_user_timeout", "30000");
    assert_option("host=h hostaddr=127.0.0.1 port=1 keepalives_idle=7", "keepalives_idle", "7");
    assert_option("host=h hostaddr=127.0.0.1 port=1 application_name=x", "application_name", "x");
}

/* P07: libpq 16 and later has an option for this; before, it does not (postgres_guard.c). */
static void P07_no_password_in_clear(void **state)
{
    bool has = PQlibVersion() >= 160000;

    (void)state;
    assert_option("host=h hostaddr=127.0.0.1 port=1", "require_auth", has ? "!password" : NULL);
    assert_option("host=h hostaddr=127.0.0.1 port=1 sslmode=verify-full sslrootcert=/dev/null",
                  "require_auth", NULL);
    assert_option("host=/nowhere port=1", "require_auth", NULL);
    assert_option("host=/nowhere,h hostaddr=,127.0.0.1 port=1", "require_auth",
                  has ? "!password" : NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_libpqs),
        cmocka_unit_test(options_from_the_environment),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(names_become_addresses),
        cmocka_unit_test(places_take_turns),
        cmocka_unit_test(there_is_an_end_to_places),
        cmocka_unit_test(P01_dead_peers_are_noticed),
        cmocka_unit_test(P07_no_password_in_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
