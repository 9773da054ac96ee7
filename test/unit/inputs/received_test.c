/* The records of one request: they are stored and read back, and cost what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inputs/received.h"

static void entries_cost_while_they_are_there(void **state)
{
    struct received_record r = {.pri = 14};
    const struct journal_entry *e;
    struct received h;
    size_t cost;

    (void)state;
    received_init(&h, 1024, 100);
    assert_int_equal(received_keep(&h, STR("web.shop"), &r.hostname), 0);
    assert_int_equal(received_keep(&h, STR("hello"), &r.msg), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(received_add(&h, &r), 0);
    assert_int_equal(received_add(&h, &r), -1);
    cost = received_cost(&h); /* counted against HTTP_BODIES_MAX */
    for (int i = 0; i < 2; i++) {
        e = received_entries(&h, STR("192.0.2.1"), STR("[x]"));
        assert_true(str_eq(e[99].hostname, STR("web.shop")) && str_eq(e[99].msg, STR("hello")));
        assert_true(str_eq(e[99].syslog.sd, STR("[x]")));
        assert_true(received_cost(&h) >= cost + 100 * sizeof(*e));
        received_drop_entries(&h);
        assert_int_equal(received_cost(&h), cost);
    }
    received_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_cost_while_they_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
