/* struct err: untouched unless set, cut rather than overrun, NULL is fine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/err.h"

static void set_returns_minus_one(void **state)
{
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(err_set(&e, EINVAL, "http: url '%s' has no host", "http://"), -1);
    assert_int_equal(e.code, EINVAL);
    assert_string_equal(e.text, "http: url 'http://' has no host");
}

static void system_text_is_appended(void **state)
{
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(err_sys(&e, ENOENT, "open %s", "x.log"), -1);
    assert_int_equal(e.code, ENOENT);
    assert_string_equal(e.text, "open x.log: No such file or directory");
}

static void wrap_keeps_code_and_cause(void **state)
{
    struct err e = {0, ""};

    (void)state;
    (void)err_set(&e, EPIPE, "broken");
    assert_int_equal(err_wrap(&e, "drain %d", 7), -1);
    assert_int_equal(e.code, EPIPE);
    assert_string_equal(e.text, "drain 7: broken");
    (void)err_set(&e, EIO, "again: %s", e.text); /* its own text as an argument */
    assert_string_equal(e.text, "again: drain 7: broken");
}

static void long_text_is_cut_but_the_cause_stays(void **state)
{
    struct err e = {0, ""};
    char name[1000];

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)err_set(&e, EINVAL, "%s", name);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
    (void)err_sys(&e, ENOENT, "%s", name);
    assert_non_null(strstr(e.text, ": No such file or directory"));
    (void)err_set(&e, EINVAL, "the cause");
    (void)err_wrap(&e, "%s", name);
    assert_non_null(strstr(e.text, ": the cause"));
}

static void null_is_fine(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, EINVAL, "x"), -1);
    assert_int_equal(err_sys(NULL, EINVAL, "x"), -1);
    assert_int_equal(err_wrap(NULL, "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_minus_one),
        cmocka_unit_test(system_text_is_appended),
        cmocka_unit_test(wrap_keeps_code_and_cause),
        cmocka_unit_test(long_text_is_cut_but_the_cause_stays),
        cmocka_unit_test(null_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
