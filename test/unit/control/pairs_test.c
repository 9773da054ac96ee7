/* How many pairs of a log and a drain there may be, and who gives up logs that have ended (T15). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above, in any order. */
#include <cmocka.h>

#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "control/pairs.h"

struct world {
    struct pairs pairs;
    uint64_t given_up[16];
    unsigned ngiven_up, freed;
};

static void give_up(void *arg, uint64_t stream)
{
    struct world *w = arg;

    w->given_up[w->ngiven_up++ % ARRAY_LEN(w->given_up)] = stream;
}

static void freed(void *arg)
{
    ((struct world *)arg)->freed++;
}

static void world_open(struct world *w)
{
    *w = (struct world){.freed = 0};
    pairs_init(&w->pairs);
    w->pairs.give_up = give_up;
    w->pairs.freed = freed;
    w->pairs.arg = w;
}

/* Logs first, first + 1, … of <namespace> with <pairs> each. Returns the number of pairs taken. */
static unsigned take(struct world *w, uint64_t first, unsigned logs, unsigned pairs,
                     const char *space)
{
    unsigned n = 0;

    for (unsigned i = 0; i < logs; i++)
        for (unsigned k = 0; k < pairs; k++)
            n += pairs_take(&w->pairs, first + i, str_of(space), true);
    return n;
}

static void end(struct world *w, uint64_t first, unsigned logs)
{
    for (unsigned i = 0; i < logs; i++)
        pairs_ended(&w->pairs, first + i);
}

static void test_T15_a_namespace_gives_up_its_oldest_logs(void **state)
{
    enum { LOGS = CURSORS_NAMESPACE_MAX / 8 };
    struct world w;

    (void)state;
    world_open(&w);
    assert_int_equal(take(&w, 1000, LOGS, 8, "evil"), CURSORS_NAMESPACE_MAX);
    assert_int_equal(take(&w, 1, 1, 8, "calm"), 8);
    end(&w, 1, 1);
    end(&w, 1000, LOGS);
    assert_int_equal(w.ngiven_up, 0);
    assert_int_equal(take(&w, 9000, 1, 9, "evil"), 9);
    assert_int_equal(w.ngiven_up, 2);
    assert_int_equal(w.given_up[0], 1000);
    assert_int_equal(w.given_up[1], 1001);
    assert_int_equal(w.pairs.all, CURSORS_NAMESPACE_MAX + 8 - 16 + 9);
    pairs_release(&w.pairs);
}

static void test_T15_logs_that_go_on_are_not_given_up(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    assert_int_equal(take(&w, 1000, CURSORS_NAMESPACE_MAX, 1, "evil"), CURSORS_NAMESPACE_MAX);
    assert_int_equal(take(&w, 9000, 1, 1, "evil"), 0);
    assert_int_equal(take(&w, 9001, 1, 8, "calm"), 8);
    assert_int_equal(w.freed, 0);
    pairs_drop(&w.pairs, 1000, true);
    pairs_drop(&w.pairs, 1001, true);
    assert_int_equal(w.freed, 1); /* once for each refusal */
    assert_int_equal(take(&w, 9000, 1, 3, "evil"), 2);
    pairs_ended(&w.pairs, 1002); /* room can be made */
    assert_int_equal(w.freed, 2);
    assert_int_equal(take(&w, 9000, 1, 1, "evil"), 1);
    assert_int_equal(w.ngiven_up, 1);
    assert_int_equal(w.given_up[0], 1002);
    pairs_release(&w.pairs);
}

/* The budget is used up: the namespace with most pays, and if it has no log that has ended, the
 * others have what is guaranteed to them. */
static void test_T15_the_namespace_with_most_pays(void **state)
{
    enum { REST = CURSORS_MAX - CURSORS_NAMESPACE_MAX };
    struct world w;

    (void)state;
    world_open(&w);
    assert_int_equal(take(&w, 10000, CURSORS_NAMESPACE_MAX, 1, "a"), CURSORS_NAMESPACE_MAX);
    assert_int_equal(take(&w, 20000, REST - 2, 1, "b"), REST - 2);
    assert_int_equal(take(&w, 1, 5, 1, "c"), 5);
    assert_int_equal(w.ngiven_up, 0); /* three of them from the reserve */
    end(&w, 20000, 5);
    end(&w, 10000, 3);
    assert_int_equal(take(&w, 100, CURSORS_GUARANTEED - 5, 1, "c"), CURSORS_GUARANTEED - 5);
    assert_int_equal(w.ngiven_up, 0);
    assert_int_equal(take(&w, 5000, 1, 1, "c"), 0); /* over its guarantee */
    assert_int_equal(w.ngiven_up, 8);               /* the budget is for those that go on, too */
    assert_int_equal(w.given_up[0], 10000);
    pairs_release(&w.pairs);
}

/* What is guaranteed to a namespace stays, also when the reserve is used up. */
static void test_T15_small_namespaces_do_not_pay(void **state)
{
    struct world w;
    char name[16];

    (void)state;
    world_open(&w);
    assert_int_equal(take(&w, 1, 1, 1, "calm"), 1);
    end(&w, 1, 1);
    (void)take(&w, 10000, CURSORS_MAX, 1, "a");
    (void)take(&w, 20000, CURSORS_MAX, 1, "b");
    for (unsigned i = 0; i < CURSORS_RESERVE / CURSORS_GUARANTEED + 2; i++) {
        (void)snprintf(name, sizeof(name), "c%u", i);
        (void)take(&w, 30000 + 100 * i, CURSORS_GUARANTEED + 1, 1, name);
    }
    assert_int_equal(w.pairs.all, CURSORS_MAX + CURSORS_RESERVE);
    assert_int_equal(w.ngiven_up, 0);
    pairs_release(&w.pairs);
}

/* Files and network streams have limits of their own. */
/* A thousand dead ones cost neither the owners' drains nor the operator's healthy one its place. */
static void test_T15_the_operators_drains_are_not_refused(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 1000; k++)
            assert_true(pairs_take(&w.pairs, 1000 + i, STR("shop"), false));
    assert_int_equal(w.pairs.total, 8000);
    assert_int_equal(take(&w, 2000, 1, 64, "shop"), 64);
    for (unsigned k = 0; k < 999; k++)
        pairs_drop(&w.pairs, 1000, false);
    assert_int_equal(w.pairs.total, 8000 + 64 - 999);
    assert_int_equal(w.ngiven_up, 0);
    end(&w, 1000, 8); /* now they are pinned by dead drains, and the oldest are given up */
    assert_int_equal(take(&w, 3000, 1, 1, "shop"), 1);
    assert_int_equal(w.ngiven_up, 5);
    assert_int_equal(w.given_up[0], 1000);
    pairs_forget(&w.pairs, 1007);
    assert_int_equal(w.pairs.total, 2 * 1000 + 64 + 1);
    pairs_release(&w.pairs);
    assert_int_equal(w.pairs.total, 0);
}

static void test_T15_logs_without_a_namespace(void **state)
{
    enum { MANY = CURSORS_MAX + CURSORS_RESERVE + 100 };
    struct world w;

    (void)state;
    world_open(&w);
    assert_int_equal(take(&w, 100000, MANY, 1, ""), MANY);
    assert_int_equal(w.pairs.all, 0);
    end(&w, 100000, CURSORS_NAMESPACE_MAX);
    assert_int_equal(take(&w, 1, 1, 1, ""), 1);
    assert_int_equal(w.ngiven_up, 0);
    end(&w, 100000 + CURSORS_NAMESPACE_MAX, 2);
    assert_int_equal(take(&w, 2, 1, 1, ""), 1);
    assert_int_equal(w.ngiven_up, 2);
    assert_int_equal(w.given_up[0], 100000);
    pairs_forget(&w.pairs, 100002);
    pairs_forget(&w.pairs, 100002);
    pairs_drop(&w.pairs, 77, true); /* unknown */
    pairs_release(&w.pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T15_a_namespace_gives_up_its_oldest_logs),
        cmocka_unit_test(test_T15_logs_that_go_on_are_not_given_up),
        cmocka_unit_test(test_T15_the_namespace_with_most_pays),
        cmocka_unit_test(test_T15_small_namespaces_do_not_pay),
        cmocka_unit_test(test_T15_the_operators_drains_are_not_refused),
        cmocka_unit_test(test_T15_logs_without_a_namespace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
