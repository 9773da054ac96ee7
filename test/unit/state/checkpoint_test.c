/* When the state is written. Nobody is asked anything: there are no workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "state/checkpoint_internal.h"

struct fixture {
    struct loop loop;
    struct checkpoint *c;
    uint64_t now;
    char dir[64];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err e = {0};

    assert_true(snprintf(f->dir, sizeof(f->dir), "/tmp/checkpoint_test.XXXXXX") > 0);
    assert_non_null(mkdtemp(f->dir));
    f->now = 1000000;
    clock_fake(f->now, 1700000000000000000);
    loop_init(&f->loop);
    f->c = checkpoint_open(&f->loop, f->dir, NULL, &e);
    if (!f->c)
        fail_msg("%s", e.text);
    checkpoint_start(f->c, 0, ROUTE_GRACE_MS);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char cmd[128];

    clock_fake(0, 0);
    checkpoint_close(f->c);
    loop_release(&f->loop);
    assert_true(snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir) > 0);
    assert_int_equal(system(cmd), 0);
    free(f);
    return 0;
}

/* The worker reports one cursor, and that it used so much CPU to collect it. */
static void report(struct fixture *f, uint64_t cpu_ms)
{
    struct worker_positions p = {.n = 1, .cpu_ns = cpu_ms * 1000000};

    p.records = xcalloc(1, sizeof(*p.records));
    p.records[0] = (struct state_record){.stream = 1, .drain = 1};
    checkpoint_saved(f->c, &p);
    f->c->asked = 0;
    f->c->changed = false; /* it was written */
}

static void advance(struct fixture *f, uint64_t ms)
{
    f->now += ms;
    clock_fake(f->now, 1700000000000000000);
    loop_turn(&f->loop, 0);
}

/* Milliseconds until the worker is asked, which confirms something now. */
static uint64_t until_asked(struct fixture *f)
{
    uint64_t began = f->now;

    checkpoint_dirty(f->c, 0);
    while (!f->c->asked && f->now < began + 60000)
        advance(f, 10);
    return f->now - began;
}

static void L22_the_interval_grows_with_the_cost(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(until_asked(f), CHECKPOINT_FIRST_MS);
    report(f, 0);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
    report(f, CHECKPOINT_MS / CHECKPOINT_CPU_SHARE);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
    report(f, 30);
    assert_int_equal(until_asked(f), 30 * CHECKPOINT_CPU_SHARE);
    report(f, 1);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
    report(f, 1000);
    assert_int_equal(until_asked(f), CHECKPOINT_MAX_MS);
    report(f, 1000);
    advance(f, CHECKPOINT_MAX_MS);
    assert_int_equal(until_asked(f), CHECKPOINT_FIRST_MS);
}

/* What is measured here: the report taken in, the slot made of it and, on the pool's thread,
 * written. */
static void L22_all_that_a_write_takes_counts(void **state)
{
    struct fixture *f = *state;

    clock_fake_cpu(10000000);
    (void)until_asked(f);
    report(f, 10);
    checkpoint_write_soon(f->c, true);
    while (f->c->writing)
        loop_turn(&f->loop, 100);
    clock_fake_cpu(0);
    assert_int_equal(until_asked(f), 40 * CHECKPOINT_CPU_SHARE);
}

/* What else there is to write does not wait for so long, and what is demanded does not wait. */
static void L22_other_news_are_written_as_soon(void **state)
{
    struct fixture *f = *state;

    (void)until_asked(f);
    report(f, 1000);
    checkpoint_dirty(f->c, 0);
    checkpoint_write_soon(f->c, false);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
    report(f, 1000);
    checkpoint_write_soon(f->c, true);
    assert_true(f->c->writing);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(L22_the_interval_grows_with_the_cost),
        CASE(L22_all_that_a_write_takes_counts),
        CASE(L22_other_news_are_written_as_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
