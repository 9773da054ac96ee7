/* How many changes of a namespace are acted on at once, and when the next one is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "kube/pace.h"

static void T02_a_burst_then_one_at_a_time(void **state)
{
    struct kube_pace p = {0};
    uint64_t now = 1000, look = 0;

    (void)state;
    for (int i = 0; i < KUBE_CHANGES_BURST; i++) {
        assert_true(kube_pace_may(&p, ++look, now));
        kube_pace_take(&p, look, now);
    }
    assert_false(kube_pace_may(&p, ++look, now));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kube_pace_due(&p), now + KUBE_CHANGE_MS);
        assert_false(kube_pace_may(&p, ++look, now + KUBE_CHANGE_MS - 1));
        now += KUBE_CHANGE_MS;
        assert_true(kube_pace_may(&p, ++look, now));
        kube_pace_take(&p, look, now);
    }
    now += (uint64_t)KUBE_CHANGES_BURST * KUBE_CHANGE_MS; /* and all of them again, not more */
    for (int i = 0; i < KUBE_CHANGES_BURST; i++) {
        assert_true(kube_pace_may(&p, ++look, now));
        kube_pace_take(&p, look, now);
    }
    assert_false(kube_pace_may(&p, ++look, now));
}

static void T02_what_changes_at_once_is_one_change(void **state)
{
    struct kube_pace p = {0};

    (void)state;
    for (int i = 0; i < 10 * KUBE_CHANGES_BURST; i++) {
        assert_true(kube_pace_may(&p, 1, 1000));
        kube_pace_take(&p, 1, 1000);
    }
    assert_true(kube_pace_may(&p, 2, 1000));
    assert_int_equal(p.full_at, 1000 + KUBE_CHANGE_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T02_a_burst_then_one_at_a_time),
        cmocka_unit_test(T02_what_changes_at_once_is_one_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
