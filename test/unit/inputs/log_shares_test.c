/* How many logs of pods there may be (T15). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "inputs/log_shares.h"

static unsigned take(struct log_shares *l, const char *namespace, unsigned n)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < n; i++)
        taken += log_shares_take(l, str_of(namespace)) != NULL;
    return taken;
}

static void test_T15_each_namespace_has_a_share(void **state)
{
    struct log_shares l;
    struct log_space *s;

    (void)state;
    log_shares_init(&l);
    s = log_shares_take(&l, STR("a"));
    assert_non_null(s);
    assert_int_equal(take(&l, "a", LOGS_MAX), LOGS_NAMESPACE_MAX - 1);
    assert_int_equal(take(&l, "b", LOGS_MAX), LOGS_MAX - LOGS_NAMESPACE_MAX);
    assert_int_equal(take(&l, "c", LOGS_MAX), LOGS_GUARANTEED);
    assert_int_equal(l.all, LOGS_MAX + LOGS_GUARANTEED);
    log_shares_drop(&l, s);
    assert_int_equal(take(&l, "a", 2), 0); /* all others have more than there are */
    assert_int_equal(take(&l, "d", 1), 1);
    log_shares_drop(&l, NULL);
    log_shares_release(&l);
}

static void test_T15_what_is_given_back_is_free(void **state)
{
    struct log_space *all[LOGS_NAMESPACE_MAX];
    struct log_shares l;

    (void)state;
    log_shares_init(&l);
    for (unsigned i = 0; i < LOGS_NAMESPACE_MAX; i++)
        all[i] = log_shares_take(&l, STR("a"));
    assert_null(log_shares_take(&l, STR("a")));
    for (unsigned i = 0; i < LOGS_NAMESPACE_MAX; i++)
        log_shares_drop(&l, all[i]);
    assert_int_equal(l.all, 0);
    assert_int_equal(l.spaces.len, 0);
    log_shares_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T15_each_namespace_has_a_share),
        cmocka_unit_test(test_T15_what_is_given_back_is_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
