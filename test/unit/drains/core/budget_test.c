#include "worker_world.h"

/* A worker whose budget another party has used up. */

static char lines[300 * 1024];

static void big_file(void)
{
    char *p = lines;

    while (p + 1100 < lines + sizeof(lines))
        p += snprintf(p, 1100, T "F %01000d\n", 7);
    put("0.log", lines, 0);
}

/* Healthy, with one batch unanswered and more to send. */
static struct fake *busy_drain(unsigned n)
{
    struct fake *f;

    w.slots = 2;
    f = attach(n, true);
    f->base.healthy = true;
    return f;
}

static void start(void)
{
    big_file();
    feed_stream();
    feed_segment(1, "0.log");
}

static void test_who_has_nothing_gets_a_small_batch(void **state)
{
    struct fake *f;

    (void)state;
    start();
    w.wk->inflight_bytes = INFLIGHT_MAX;
    f = busy_drain(0);
    assert_non_null(f->batch);
    assert_true(f->batch->body.len <= BATCH_BYTES_SMALL);
    assert_null(f->second); /* it has something now */
    w.wk->inflight_bytes -= INFLIGHT_MAX;
}

static void test_beyond_the_reserve_all_wait_and_are_woken(void **state)
{
    struct fake *f, *other;

    (void)state;
    start();
    other = busy_drain(1);
    assert_non_null(other->batch);
    w.wk->inflight_bytes += INFLIGHT_MAX + INFLIGHT_RESERVE;
    f = busy_drain(0);
    assert_null(f->batch);
    w.wk->inflight_bytes -= INFLIGHT_MAX + INFLIGHT_RESERVE;
    drain_shelve(&other->base, other->batch); /* frees memory */
    turns(3);
    assert_non_null(f->batch);
}

/* What a party holds reduces what it may have: two parties get two thirds together. */
static void test_a_party_leaves_as_much_as_it_has(void **state)
{
    struct fake *f, *other;

    (void)state;
    start();
    f = busy_drain(0);
    other = busy_drain(1);
    assert_true(f->batch->charged > 0);
    assert_int_equal(budget_room(&f->base),
                     INFLIGHT_MAX - w.wk->inflight_bytes - 2 * f->batch->charged);
    assert_int_equal(budget_room(&f->base), budget_room(&other->base));
}

static void test_what_stands_still_is_let_go(void **state)
{
    struct fake *f;

    (void)state;
    start();
    f = busy_drain(0);
    assert_non_null(f->batch);
    drain_moved(&f->base, f->batch);
    assert_true(w.wk->inflight_bytes > 0);
    pass_ms(SHELVE_MS - 1);
    assert_false(f->batch->shelved);
    pass_ms(1);
    assert_true(f->batch->shelved);
    assert_null(f->batch->body.p);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    assert_int_equal(f->batch->body.len, f->batch->len);
}

static void test_sooner_while_somebody_waits(void **state)
{
    struct fake *f, *waits;

    (void)state;
    start();
    f = busy_drain(0);
    drain_moved(&f->base, f->batch);
    w.wk->inflight_bytes += INFLIGHT_MAX + INFLIGHT_RESERVE;
    waits = busy_drain(1);
    assert_null(waits->batch);
    pass_ms(SHELVE_STARVED_MS);
    assert_true(f->batch->shelved);
    w.wk->inflight_bytes -= INFLIGHT_MAX + INFLIGHT_RESERVE;
    budget_wake(w.wk);
    turns(3);
    assert_non_null(waits->batch);
}

/* T3: a copy that a member makes of a body is released like a body when it makes no progress. */
static void T03_a_copy_that_stands_still_is_asked_for(void **state)
{
    struct fake *f;

    (void)state;
    start();
    f = busy_drain(0);
    f->batch->extra = 1000;
    drain_body_copied(&f->base, f->batch);
    assert_null(f->batch->body.p);
    assert_int_equal(f->batch->charged, 1000);
    assert_false(list_empty(&f->batch->body_node));
    f->base.batch_target = BATCH_BYTES_STREAM;
    pass_ms(SHELVE_MS - 1);
    drain_moved(&f->base, f->batch);
    pass_ms(SHELVE_MS - 1);
    assert_int_equal(f->base.batch_target, BATCH_BYTES_STREAM);
    pass_ms(1);
    assert_int_equal(f->base.batch_target, BATCH_BYTES_PROBE);
    assert_true(list_empty(&f->batch->body_node));
    f->batch->extra = 0;
}

/* T3: requests that hang, of many parties, leave half of the budget to bodies. */
static void T03_requests_leave_room_for_bodies(void **state)
{
    struct fake *f, *other;
    size_t bodies;

    (void)state;
    start();
    f = busy_drain(0);
    other = busy_drain(1);
    bodies = w.wk->inflight_bytes;
    w.wk->inflight_bytes += REQUESTS_MAX - 16 * REQUEST_BYTES; /* of others */
    w.wk->request_bytes += REQUESTS_MAX - 16 * REQUEST_BYTES;
    for (size_t n = 1; n <= 5; n++) { /* then 11 are left, and it has almost half of these */
        assert_true(budget_room(&f->base) >= BATCH_BYTES_HTTP);
        f->batch->fixed = n * REQUEST_BYTES;
        drain_charge(f->batch);
    }
    assert_int_equal(budget_room(&f->base), 0);
    assert_true(budget_room(&other->base) >= REQUESTS_MAX - 2 * bodies);
    f->batch->fixed = 0;
    drain_charge(f->batch);
    w.wk->inflight_bytes -= REQUESTS_MAX - 16 * REQUEST_BYTES;
    w.wk->request_bytes -= REQUESTS_MAX - 16 * REQUEST_BYTES;
}

/* T15: a party with answers in memory leaves as much to others as it holds. */
static void T15_answers_are_shared(void **state)
{
    struct fake *f, *other;

    (void)state;
    start();
    f = busy_drain(0);
    other = busy_drain(1);
    assert_true(drain_charge_answer(f->batch, ANSWERS_MAX / 2));
    assert_false(drain_charge_answer(f->batch, ANSWERS_MAX / 2 + 1));
    assert_true(drain_charge_answer(f->batch, ANSWERS_MAX / 2)); /* less is always right */
    assert_true(drain_charge_answer(other->batch, ANSWERS_MAX / 4));
    assert_false(drain_charge_answer(other->batch, ANSWERS_MAX / 4 + 1));
    (void)drain_charge_answer(f->batch, 0);
    assert_true(drain_charge_answer(other->batch, ANSWERS_MAX / 2));
    (void)drain_charge_answer(other->batch, 0);
    assert_int_equal(w.wk->answer_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_party_leaves_as_much_as_it_has, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_has_nothing_gets_a_small_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beyond_the_reserve_all_wait_and_are_woken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_stands_still_is_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sooner_while_somebody_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(T03_a_copy_that_stands_still_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(T03_requests_leave_room_for_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(T15_answers_are_shared, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
