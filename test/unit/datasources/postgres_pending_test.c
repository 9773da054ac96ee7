/* Rows that were notified and not read yet: each once, in batches, and with a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasources/postgres_internal.h"

static struct pg_pending pending;
static struct pg_id out[PG_BATCH_MAX];

static struct pg_id id_of(unsigned n)
{
    struct pg_id id = {{0}};

    memcpy(id.bytes, &n, sizeof(n));
    return id;
}

static bool add(unsigned n)
{
    struct pg_id id = id_of(n);

    return pg_pending_add(&pending, &id, 1);
}

static void each_is_taken_once(void **state)
{
    const struct pg_id both[2] = {id_of(1), id_of(2)};

    (void)state;
    pending.len = 0;
    assert_int_equal(pg_pending_take(&pending, out), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(add(2));
        assert_true(pg_pending_add(&pending, both, 2));
    }
    assert_int_equal(pg_pending_take(&pending, out), 2);
    assert_memory_equal(&out[0], &both[0], sizeof(out[0]));
    assert_memory_equal(&out[1], &both[1], sizeof(out[1]));
    assert_int_equal(pg_pending_take(&pending, out), 0);
}

/* A row that changes all the time never fills it. */
static void one_row_is_one_row(void **state)
{
    (void)state;
    pending.len = 0;
    for (int i = 0; i < 10 * PG_PENDING_MAX; i++)
        assert_true(add(7));
    assert_int_equal(pg_pending_take(&pending, out), 1);
}

static void many_rows_are_batches_and_then_too_many(void **state)
{
    static bool seen[PG_PENDING_MAX];
    unsigned n, all = 0;

    (void)state;
    pending.len = 0;
    for (unsigned i = 0; i < PG_PENDING_MAX; i++)
        assert_true(add(i));
    assert_false(add(PG_PENDING_MAX));
    while ((n = pg_pending_take(&pending, out))) {
        assert_in_range(n, 1, PG_BATCH_MAX);
        all += n;
        for (unsigned i = 0; i < n; i++) {
            unsigned which;

            memcpy(&which, out[i].bytes, sizeof(which));
            assert_in_range(which, 0, PG_PENDING_MAX - 1);
            assert_false(seen[which]);
            seen[which] = true;
        }
    }
    assert_int_equal(all, PG_PENDING_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_taken_once),
        cmocka_unit_test(one_row_is_one_row),
        cmocka_unit_test(many_rows_are_batches_and_then_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
