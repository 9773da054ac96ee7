/* Who gets a place for a drain when there are not enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/limits.h"
#include "datasources/drain_shares.h"

/* <uid> of <namespace> asks for URLs <from> … <from>+<n>-1 of its own. Returns how many it gets. */
static unsigned ask(struct drain_shares *p, const char *uid, const char *namespace, unsigned from,
                    unsigned n)
{
    struct share_holder *h = drain_shares_begin(p, str_of(uid), str_of(namespace), n);
    unsigned got = 0;
    char url[32];

    for (unsigned i = 0; i < n; i++)
        got += drain_shares_take(
            p, h, str_make(url, (size_t)snprintf(url, sizeof(url), "http://h/%u", from + i)));
    return got;
}

static void test_T15_a_namespace_has_a_share(void **state)
{
    struct drain_shares p;

    (void)state;
    drain_shares_init(&p);
    assert_int_equal(ask(&p, "a", "evil", 0, OWNERS_DRAINS_NAMESPACE_MAX + 5),
                     OWNERS_DRAINS_NAMESPACE_MAX);
    assert_int_equal(ask(&p, "b", "evil", 0, 9), 9); /* the same URLs */
    assert_int_equal(ask(&p, "c", "calm", 0, 9), 9); /* of another namespace they are others */
    assert_int_equal(ask(&p, "d", "evil", 1000, 1), 0);
    assert_int_equal(p.freed, 0);
    drain_shares_drop(&p, str_of("b"));
    assert_int_equal(p.freed, 0); /* "a" has them, too */
    drain_shares_drop(&p, str_of("a"));
    assert_int_equal(p.freed, 1);
    assert_int_equal(ask(&p, "d", "evil", 1000, 1), 1);
    drain_shares_drop(&p, str_of("nobody"));
    drain_shares_release(&p);
}

static void test_T15_what_is_guaranteed_has_a_reserve(void **state)
{
    unsigned left = OWNERS_DRAINS_MAX - OWNERS_DRAINS_NAMESPACE_MAX, all = OWNERS_DRAINS_MAX;
    struct drain_shares p;
    char name[16];

    (void)state;
    drain_shares_init(&p);
    assert_int_equal(ask(&p, "a", "evil1", 0, OWNERS_DRAINS_NAMESPACE_MAX),
                     OWNERS_DRAINS_NAMESPACE_MAX);
    assert_int_equal(ask(&p, "b", "evil2", 0, OWNERS_DRAINS_NAMESPACE_MAX), left);
    for (unsigned i = 0; i < 2 * OWNERS_DRAINS_RESERVE; i++) {
        (void)snprintf(name, sizeof(name), "calm%u", i);
        all += ask(&p, name, name, 0, OWNERS_DRAINS_GUARANTEED + 1);
        assert_true(i > 0 || all == OWNERS_DRAINS_MAX + OWNERS_DRAINS_GUARANTEED);
    }
    assert_int_equal(all, OWNERS_DRAINS_MAX + OWNERS_DRAINS_RESERVE);
    drain_shares_release(&p);
}

/* A list that changes gives its places back first. */
static void test_T15_a_full_namespace_can_change(void **state)
{
    struct drain_shares p;

    (void)state;
    drain_shares_init(&p);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask(&p, "a", "shop", 1000 * i, OWNERS_DRAINS_NAMESPACE_MAX),
                         OWNERS_DRAINS_NAMESPACE_MAX);
    assert_int_equal(p.urls.len, OWNERS_DRAINS_NAMESPACE_MAX);
    drain_shares_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T15_a_namespace_has_a_share),
        cmocka_unit_test(test_T15_what_is_guaranteed_has_a_reserve),
        cmocka_unit_test(test_T15_a_full_namespace_can_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
