/* --drain HOSTNAME=URL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static const char *const hostnames[] = {"web", "db"};

static void flags_become_routes(void **state)
{
    static const char *const flags[] = {"web=http://a/?x=y=z", " db = http://b ", "*=http://all"};
    struct datasource *d;
    struct fixture f;
    struct err e = {0, ""};

    (void)state;
    fixture_open(&f, hostnames, 2);
    d = datasource_flags_open(&f.env, flags, 3, &e);
    assert_non_null(d);
    assert_non_null(strstr(f.attached, "web=http://a/?x=y=z "));
    assert_non_null(strstr(f.attached, "db=http://b "));
    assert_non_null(strstr(f.attached, "web=http://all "));
    assert_int_equal(f.changes, 4);
    datasource_reload(d); /* nothing to reload */
    datasource_close(d);
    datasource_close(NULL);
    assert_int_equal(f.changes, 4);
    fixture_close(&f);
}

static void bad_flag_refuses_all(void **state)
{
    static const struct {
        const char *flag;
        const char *error;
    } bad[] = {
        {"http://user:secret@host", "--drain: not of the form HOSTNAME=URL"},
        {"=http://a", "--drain: there is no hostname"},
        {"w b=http://a", "--drain: invalid character in the hostname"},
        {"db=bad://user:secret@a", "--drain 'db': url: unknown scheme"},
    };
    struct fixture f;

    (void)state;
    fixture_open(&f, hostnames, 2);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *flags[2] = {"web=http://a", bad[i].flag};
        struct err e = {0, ""};

        assert_null(datasource_flags_open(&f.env, flags, 2, &e));
        assert_string_equal(e.text, bad[i].error);
        assert_int_equal(f.changes, 0);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_become_routes),
        cmocka_unit_test(bad_flag_refuses_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
