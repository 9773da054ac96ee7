/*
 * The commit rule: the effect of SENT, a confirmation, and the end of a connection on the cursors.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker_world.h"

static void sent_waits_for_its_confirmation(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);
    uint64_t one, end_of_one;

    (void)state;
    reply(f, VERDICT_SENT);
    one = sent(f);
    end_of_one = f->written;
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    reply(f, VERDICT_SENT);
    assert_int_equal(acked(f), 0);
    assert_int_equal(counters(f)->records_out, 0);
    drain_confirm(&f->base, end_of_one - 1);
    assert_int_equal(acked(f), 0);
    drain_confirm(&f->base, end_of_one);
    assert_int_equal(acked(f), one);
    assert_int_equal(counters(f)->records_out, 1);
    assert_true(drain_unconfirmed(&f->base));
    drain_confirm(&f->base, f->written);
    assert_int_equal(acked(f), sent(f));
    assert_int_equal(counters(f)->records_out, 2);
    assert_int_equal(counters(f)->bytes_out, 6);
    assert_false(drain_unconfirmed(&f->base));
}

/* Bytes that confirm nothing, as those of a TLS handshake, say nothing about the drain either. */
static void nothing_confirmed_is_not_recovered(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);

    (void)state;
    reply(f, VERDICT_SENT);
    lose(f);
    reopen(f);
    reply(f, VERDICT_SENT);
    drain_confirm(&f->base, 1);
    assert_true(f->base.failing);
    drain_confirm(&f->base, f->written);
    assert_false(f->base.failing);
}

static void lost_goes_back_to_what_is_confirmed(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);
    uint64_t one;

    (void)state;
    reply(f, VERDICT_SENT);
    one = sent(f);
    drain_confirm(&f->base, f->written);
    put("0.log", T "F two\n" T "F three\n", O_APPEND);
    feed_grew();
    reply(f, VERDICT_SENT);
    buf_clear(&f->got);
    lose(f);
    assert_int_equal(acked(f), one);
    assert_int_equal(sent(f), one);
    reopen(f);
    assert_got(f, "two\nthree\n");
    assert_int_equal(counters(f)->rewinds, 1);
    assert_int_equal(counters(f)->disconnects, 1);
    /* In order: what it had received is confirmed. */
    reply(f, VERDICT_SENT);
    f->written = 0;
    drain_disconnected(&f->base, true, &(struct err){0});
    assert_int_equal(acked(f), sent(f));
    assert_int_equal(counters(f)->rewinds, 1);
    assert_int_equal(f->base.state, DRAIN_CLOSED);
}

/* A connection of <age_ms> takes everything, of which the peer's kernel has <reached> bytes. */
static void take_and_lose(struct fake *f, uint64_t age_ms, uint64_t reached)
{
    reply(f, VERDICT_SENT);
    pass_ms(age_ms);
    f->base.reached = reached;
    lose(f);
    f->base.reached = 0;
}

static void fourth_loss_passes_over(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);

    (void)state;
    for (unsigned i = 0; i < REWINDS_MAX; i++) {
        take_and_lose(f, YOUNG_NEVER_MS, 4);
        assert_int_equal(acked(f), 0);
        reopen(f);
    }
    take_and_lose(f, YOUNG_NEVER_MS, 4);
    assert_true(acked(f) > 0);
    assert_int_equal(counters(f)->unconfirmed, acked(f));
    assert_int_equal(counters(f)->records_out, 0);
    assert_int_equal(counters(f)->rewinds, REWINDS_MAX + 1);
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    buf_clear(&f->got);
    reopen(f);
    assert_got(f, "two\n");
    reply(f, VERDICT_SENT);
    drain_confirm(&f->base, f->written);
}

static void young_losses_never_count(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);

    (void)state;
    for (unsigned i = 0; i < 5 * REWINDS_MAX; i++) {
        take_and_lose(f, YOUNG_NEVER_MS - 1, 4);
        assert_int_equal(acked(f), 0);
        reopen(f);
    }
    assert_int_equal(counters(f)->unconfirmed, 0);
    reply(f, VERDICT_SENT);
    drain_confirm(&f->base, f->written);
    assert_int_equal(counters(f)->records_out, 1);
}

/* Later lines, and data that the peer's kernel did not have each time, are not skipped. */
static void only_what_was_tried_each_time_is_passed_over(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);

    (void)state;
    take_and_lose(f, YOUNG_NEVER_MS, 4);
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    for (unsigned i = 0; i < REWINDS_MAX; i++) {
        reopen(f);
        take_and_lose(f, YOUNG_NEVER_MS, 8);
    }
    assert_int_equal(counters(f)->unconfirmed, acked(f));
    buf_clear(&f->got);
    reopen(f);
    assert_got(f, "two\n");
    /* A peer that accepts nothing at all is tried for ever. */
    for (unsigned i = 0; i < 5 * REWINDS_MAX; i++) {
        take_and_lose(f, YOUNG_NEVER_MS, 3);
        reopen(f);
    }
    buf_clear(&f->got);
    reply(f, VERDICT_SENT);
    drain_confirm(&f->base, f->written);
    assert_int_equal(counters(f)->records_out, 1);
}

/* Progress in between begins the count anew. */
static void progress_begins_anew(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);

    (void)state;
    for (unsigned i = 0; i < 3 * REWINDS_MAX; i++) {
        uint64_t before = acked(f);

        if (i % REWINDS_MAX == REWINDS_MAX - 1) {
            reply(f, VERDICT_SENT);
            drain_confirm(&f->base, f->written);
            assert_true(acked(f) > before);
            put("0.log", T "F more\n", O_APPEND);
            feed_grew();
        }
        take_and_lose(f, YOUNG_NEVER_MS, 1000);
        reopen(f);
    }
    assert_int_equal(counters(f)->unconfirmed, 0);
    reply(f, VERDICT_SENT);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sent_waits_for_its_confirmation),
        CASE(nothing_confirmed_is_not_recovered),
        CASE(lost_goes_back_to_what_is_confirmed),
        CASE(fourth_loss_passes_over),
        CASE(young_losses_never_count),
        CASE(only_what_was_tried_each_time_is_passed_over),
        CASE(progress_begins_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
