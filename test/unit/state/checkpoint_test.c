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

/* The worker reports so many cursors. */
static void report(struct fixture *f, uint32_t n)
{
    struct state_record *records = xcalloc(n, sizeof(*records));

    for (uint32_t i = 0; i < n; i++)
        records[i] = (struct state_record){.stream = 1, .drain = 1 + i};
    checkpoint_saved(f->c, 0, records, n);
    f->c->changed = false; /* it was written */
}

/* Milliseconds until the worker is asked. */
static uint64_t until_asked(struct fixture *f)
{
    uint64_t began = f->now;

    f->c->asked = 0;
    while (!f->c->asked && f->now < began + 60000) {
        f->now += 10;
        clock_fake(f->now, 1700000000000000000);
        loop_turn(&f->loop, 0);
    }
    return f->now - began;
}

static void L22_many_cursors_are_written_less_often(void **state)
{
    struct fixture *f = *state;

    report(f, 10);
    checkpoint_dirty(f->c, 0);
    assert_int_equal(until_asked(f), CHECKPOINT_FIRST_MS);
    f->c->asked = 0;
    checkpoint_dirty(f->c, 0);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
    report(f, CHECKPOINT_RECORDS_PER_SECOND);
    f->c->asked = 0;
    checkpoint_dirty(f->c, 0);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
    report(f, 3 * CHECKPOINT_RECORDS_PER_SECOND);
    f->c->asked = 0;
    checkpoint_dirty(f->c, 0);
    assert_int_equal(until_asked(f), 3000);
}

/* What else there is to write does not wait for so long. */
static void L22_other_news_are_written_as_soon(void **state)
{
    struct fixture *f = *state;

    report(f, 3 * CHECKPOINT_RECORDS_PER_SECOND);
    checkpoint_dirty(f->c, 0);
    assert_int_equal(until_asked(f), CHECKPOINT_FIRST_MS);
    f->c->asked = 0;
    checkpoint_dirty(f->c, 0);
    checkpoint_write_soon(f->c, false);
    assert_int_equal(until_asked(f), CHECKPOINT_MS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(L22_many_cursors_are_written_less_often),
        CASE(L22_other_news_are_written_as_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
