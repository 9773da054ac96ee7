/* Bytes by namespace: those with most have counters, and no counter ever goes down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/core/worker.h"
#include "report/namespaces.h"

static struct namespaces ns;

static int setup(void **state)
{
    (void)state;
    namespaces_init(&ns);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    namespaces_release(&ns);
    return 0;
}

/* Namespace n<from> to n<to - 1> had <bytes> each. */
static void add(unsigned from, unsigned to, uint64_t bytes)
{
    struct worker_report r = {.nread = to - from};

    r.read = xcalloc(r.nread, sizeof(*r.read));
    for (unsigned i = 0; i < r.nread; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "n%u", from + i);
        r.read[i] = (struct read_report){str_dup(str_of(name)), bytes};
    }
    namespaces_add(&ns, &r);
    for (unsigned i = 0; i < r.nread; i++)
        free(r.read[i].namespace);
    free(r.read);
}

static const struct namespace_bytes *get(const char *name)
{
    return map_get(&ns.all, str_of(name));
}

static void few_have_counters_each(void **state)
{
    struct read_report none = {(char[]){""}, 7};
    struct worker_report r = {.read = &none, .nread = 1, .read_others = 5};

    (void)state;
    add(0, METRICS_NAMESPACES_MAX - 1, 10);
    add(0, 1, 10);
    namespaces_add(&ns, &r);
    assert_int_equal(get("n0")->bytes, 20);
    assert_int_equal(get("n1")->bytes, 10);
    assert_int_equal(get(NAMESPACES_NONE)->bytes, 7);
    assert_int_equal(ns.nplaced, METRICS_NAMESPACES_MAX);
    assert_int_equal(ns.others, 5);
}

static void who_floods_takes_a_place(void **state)
{
    (void)state;
    add(0, METRICS_NAMESPACES_MAX, 1000);
    add(100, 101, 500);
    assert_false(get("n100")->placed);
    assert_int_equal(ns.others, 500);
    for (unsigned i = 0; i < 40; i++) {
        add(0, METRICS_NAMESPACES_MAX - 1, 1000); /* the last one is silent */
        add(100, 101, 500);
    }
    assert_true(get("n100")->placed);
    assert_false(get("n49")->placed);
    assert_int_equal(get("n49")->bytes, 1000);
    assert_int_equal(ns.nplaced, METRICS_NAMESPACES_MAX);
    assert_int_equal(get("n100")->bytes + ns.others, 41 * 500);
    assert_in_range(ns.others, 500, 10000);
}

static void their_number_is_bounded(void **state)
{
    uint64_t all;

    (void)state;
    add(0, METRICS_NAMESPACES_MAX, 1000);
    for (unsigned i = 0; i < 3; i++)
        add(1000 * i + 100, 1000 * i + 1100, 1);
    assert_int_equal(ns.all.len, READ_TALLIES_MAX);
    assert_int_equal(get("n0")->bytes, 1000);
    all = ns.others;
    assert_int_equal(all, 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(few_have_counters_each, setup, teardown),
        cmocka_unit_test_setup_teardown(who_floods_takes_a_place, setup, teardown),
        cmocka_unit_test_setup_teardown(their_number_is_bounded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
