/* No password in any text that is shown, whoever wrote it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "datasources/postgres_internal.h"

static void secrets_are_masked_and_lines_joined(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "no reason given"},
        {"\n \n", "no reason given"},
        {"one", "one"},
        {"one\n", "one"},
        {"one\n\ttwo  three \n", "one; two three"},
        {"is hunter2 good? hunter2", "is *** good? ***"},
        {"hunter22 hunter", "***2 hunter"},
        {"hunter2x", "***"}, /* the longer of two */
        {"a b\nc", "***"},   /* a secret may have space in it */
    };
    const struct pg_secrets secrets = {{"hunter2", "", NULL, "hunter2x"}};
    const struct pg_secrets spaced = {{NULL, "a b\nc"}};

    (void)state;
    FOR_ROWS (i, rows) {
        struct err e = {0, ""};

        assert_int_equal(
            pg_err_set(&e, 5, rows[i].text[0] == 'a' ? &spaced : &secrets, rows[i].text), -1);
        assert_string_equal(e.text, rows[i].want);
        assert_int_equal(e.code, 5);
    }
}

static void too_much_is_cut(void **state)
{
    const struct pg_secrets secrets = {{"x"}};
    struct err e = {0, ""};
    char text[2000];

    (void)state;
    memset(text, 'y', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    text[254] = 'x'; /* where it is cut */
    assert_int_equal(pg_err_set(&e, 1, &secrets, text), -1);
    assert_true(strlen(e.text) < sizeof(e.text));
    assert_null(strchr(e.text, 'x'));
}

static void what_libpq_quotes_is_left_out(void **state)
{
    static const struct {
        const char *url, *text, *want;
    } rows[] = {
        {"u", "missing \"=\" after \"hunter2\" in string",
         "missing \"***\" after \"***\" in string"},
        {"u", "option \"sslmode\" is \"x\"", "option \"sslmode\" is \"***\""},
        {"u", "ends in \"hunter2\"", "ends in \"***\""},
        {"u", "ends in \"hunter2", "ends in \"***\""},
        {"u", "nothing\n", "nothing"},
        {"a\"b", "in \"a\"b\" it is", "in *** it is"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct err e = {0, ""};

        assert_int_equal(pg_err_set_unquoted(&e, rows[i].url, rows[i].text), -1);
        assert_string_equal(e.text, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_masked_and_lines_joined),
        cmocka_unit_test(too_much_is_cut),
        cmocka_unit_test(what_libpq_quotes_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
