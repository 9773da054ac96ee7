/*
 * Lines that a drain's sieve leaves out: acknowledged with what follows, counted once, and left out
 * again when a batch is read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../../lib/unit.h"
#include "worker_world.h"

#define IN T "F in %u\n"
#define OUT T "F out %u\n"

/* Lets the pause of a drain pass, and opens it again. */
static void next_try(struct fake *f)
{
    pass_ms(loop_timer_left(f->base.timer));
    reopen(f);
}

/* <n> pairs of a line that is wanted and one that is not. */
static const char *pairs(unsigned n)
{
    static char text[64 * 1024];
    size_t len = 0;

    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, IN OUT, i, i);
    assert_true(len < sizeof(text));
    return text;
}

typedef int setter(struct sieve *s, struct str v, struct err *e);

static struct fake *with(setter *set, const char *value, const char *text, bool pipelined)
{
    struct drain_spec *spec = numbered_spec(0);
    struct err e;

    put("0.log", text, O_TRUNC);
    feed_stream();
    feed_segment(1, "0.log");
    spec->sieve = sieve_create();
    assert_int_equal(set(spec->sieve, str_of(value), &e), 0);
    w.pipelined = pipelined;
    worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
    drain_spec_unref(spec);
    turns(5);
    open_fake(0);
    return w.fakes[0];
}

static struct fake *sifted(const char *text, bool pipelined)
{
    return with(sieve_add_exclude, "out", text, pipelined);
}

static void is_acknowledged_with_what_follows(void **state)
{
    struct fake *f = sifted(pairs(3), false);

    (void)state;
    assert_got(f, "in 0\nin 1\nin 2\n");
    assert_int_equal(acked(f), 0);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), strlen(pairs(3)));
    assert_int_equal(counters(f)->records_out, 3);
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 3);
}

static void nothing_wanted_moves_all_the_same(void **state)
{
    struct fake *f = sifted(T "F out 1\n", false);

    (void)state;
    assert_null(f->batch);
    assert_int_equal(acked(f), strlen(T "F out 1\n"));
    put("0.log", T "F out 2\n" T "F out 3\n", O_APPEND);
    feed_grew();
    assert_null(f->batch);
    assert_int_equal(acked(f), 3 * strlen(T "F out 1\n"));
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 3);
    assert_int_equal(counters(f)->batches, 0);
}

/* What is left out behind a batch in flight waits for its answer. */
static void behind_a_batch_in_flight(void **state)
{
    struct fake *f = sifted(T "F in 1\n", true);

    (void)state;
    f->base.slots = 2;
    assert_got(f, "in 1\n");
    put("0.log", T "F out 1\n", O_APPEND);
    feed_grew();
    assert_int_equal(acked(f), 0);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), strlen(T "F in 1\n" T "F out 1\n"));
}

static void a_retry_leaves_out_the_same_and_counts_once(void **state)
{
    struct fake *f = sifted(pairs(3), false);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_got(f, "in 0\nin 1\nin 2\n");
        reply(f, VERDICT_RETRY);
        assert_int_equal(acked(f), 0);
        next_try(f);
    }
    assert_got(f, "in 0\nin 1\nin 2\n");
    put("0.log", T "F out 9\n", O_APPEND);
    reply(f, VERDICT_DELIVERED);
    feed_grew();
    assert_int_equal(acked(f), strlen(pairs(3)) + strlen(T "F out 9\n"));
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 4);
}

static void a_lost_connection_too(void **state)
{
    struct fake *f = sifted(pairs(3), true);

    (void)state;
    assert_got(f, "in 0\nin 1\nin 2\n");
    reply(f, VERDICT_SENT);
    lose(f);
    next_try(f);
    assert_got(f, "in 0\nin 1\nin 2\n");
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 3);
}

static void a_shelved_batch_is_read_again_alike(void **state)
{
    struct fake *f = sifted(pairs(20), false);
    char before[4096];
    size_t len = f->batch->body.len;

    (void)state;
    assert_true(len < sizeof(before));
    memcpy(before, f->batch->body.p, len);
    drain_shelve(&f->base, f->batch);
    assert_null(f->batch->body.p);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    assert_int_equal(f->batch->body.len, len);
    assert_memory_equal(f->batch->body.p, before, len);
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 20);
    reply(f, VERDICT_DELIVERED);
}

/* The peer answers for each record: the place behind the n-th wanted one is found. */
static void answers_for_each_record(void **state)
{
    struct fake *f = sifted(pairs(4), false);
    unsigned char *outcome = batch_outcomes(f->batch);

    (void)state;
    assert_int_equal(f->batch->records, 4);
    assert_got(f, "in 0\nin 1\nin 2\nin 3\n");
    outcome[2] = VERDICT_RETRY;
    reply(f, VERDICT_MIXED);
    assert_true(acked(f) >= strlen(pairs(2)) - strlen(T "F out 1\n"));
    assert_true(acked(f) <= strlen(pairs(2)));
    pass_ms(BACKOFF_CAP_MS);
    assert_got(f, "in 2\nin 3\n");
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), strlen(pairs(4)));
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 4);
}

/* A turn of the loop has an end, whatever is left out. */
static void other_drains_get_their_turn(void **state)
{
    static char line[] =
        T "F out 0123456789012345678901234567890123456789012345678901234567890123\n";
    struct fake *f = sifted("", false);

    (void)state;
    for (unsigned i = 0; i < 40000; i++)
        if (i % 100 == 0) {
            static char many[100 * sizeof(line)];
            size_t len = 0;

            for (unsigned k = 0; k < 100; k++, len += sizeof(line) - 1)
                memcpy(many + len, line, sizeof(line));
            put("0.log", many, O_APPEND);
        }
    f->base.batch_target = 64 * 1024; /* as of a healthy drain: it reads most in a turn */
    worker_feed(w.wk, &(struct feed_mail){.kind = FEED_GREW, .stream = w.stream}.mail);
    loop_turn(worker_loop(w.wk), 0);
    assert_in_range(acked(f), 1, 2 * 1024 * 1024);
    turns(50);
    assert_int_equal(acked(f), 40000 * (sizeof(line) - 1));
}

/* ---- expressions ---- */

#define EVIL "(a|aa)+$"
#define AAAA                                                                                       \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "!"

static void what_is_undecided_is_sent_and_counts_once(void **state)
{
    struct fake *f =
        with(sieve_add_exclude, "~" EVIL, T "F " AAAA "\n" T "F aa\n" T "F b\n", false);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_got(f, AAAA "\nb\n");
        reply(f, VERDICT_RETRY);
        next_try(f);
    }
    assert_got(f, AAAA "\nb\n");
    drain_shelve(&f->base, f->batch);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(counters(f)->undecided, 1);
    assert_int_equal(counters(f)->filtered[SIEVE_EXCLUDE], 1);
    assert_int_equal(counters(f)->records_out, 2);
}

static void put_evil(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put("0.log", T "F " AAAA "\n", O_APPEND);
}

/* A worker spends a part of its time on lines that take many steps: other drains have the rest. */
static void slow_lines_have_a_share_of_the_time(void **state)
{
    struct fake *f;
    uint64_t per_line = (PATTERN_STEPS_MAX - PATTERN_STEPS_FREE) * 40ULL * PATTERN_SLOW_SHARE;
    uint64_t began, most;

    (void)state;
    f = with(sieve_add_exclude, "~" EVIL, "", false);
    put_evil(1000);
    began = loop_now(worker_loop(w.wk));
    feed_grew();
    most = f->batch ? f->batch->records : 0;
    assert_in_range(most, 1, PATTERN_STEPS_TURN / PATTERN_STEPS_MAX + 1);
    for (unsigned i = 0; i < 2000 && counters(f)->records_out < 1000; i++) {
        if (f->batch)
            reply(f, VERDICT_DELIVERED);
        if (!f->batch)
            pass_ms(10);
    }
    assert_int_equal(counters(f)->records_out, 1000);
    assert_int_equal(counters(f)->undecided, 1000);
    assert_true(loop_now(worker_loop(w.wk)) - began > 900 * per_line / 1000000);
}

/* ---- redact= ---- */

static void what_is_masked_is_the_same_each_time(void **state)
{
    struct fake *f = with(sieve_add_redact, "ipv4", T "F from 192.0.2.1\n" T "F in 1.2\n", false);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_got(f, "from [ipv4]\nin 1.2\n");
        reply(f, VERDICT_RETRY);
        next_try(f);
    }
    assert_got(f, "from [ipv4]\nin 1.2\n");
    drain_shelve(&f->base, f->batch);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(counters(f)->redacted, 1);
    assert_int_equal(counters(f)->records_out, 2);
    assert_int_equal(acked(f), strlen(T "F from 192.0.2.1\n" T "F in 1.2\n"));
}

/* A line that the batch had no room for counts when it is taken. */
static void what_did_not_fit_counts_once(void **state)
{
    struct fake *f = with(sieve_add_redact, "ipv4", "", false);

    (void)state;
    f->base.batch_limit = 130; /* more than one line, less than two */
    for (unsigned i = 0; i < 20; i++)
        put("0.log", T "F 192.0.2.1 " AAAA "\n", O_APPEND);
    feed_grew();
    for (unsigned i = 0; i < 100 && f->batch; i++)
        reply(f, VERDICT_DELIVERED);
    assert_int_equal(counters(f)->records_out, 20);
    assert_int_equal(counters(f)->redacted, 20);
}

/* ---- rate= ---- */

#define TIME "2026-11-20T10:15:00.123456789Z"
#define TOLD(n)                                                                                    \
    "logtrain: " n " from " TIME " to " TIME                                                       \
    " were left out: there are more than rate= of the drain allows\n"

static void assert_no_loss(struct fake *f)
{
    for (unsigned i = 0; i < GAP_REASONS; i++) {
        assert_int_equal(counters(f)->lost[i], 0);
        assert_int_equal(w.wk->reader.stats.lost[i], 0);
    }
}

static void over_the_rate_is_told_once_a_minute(void **state)
{
    struct fake *f = with(sieve_set_rate, "1/h,4", pairs(4), false);

    (void)state;
    assert_got(f, "in 0\nout 0\nin 1\nout 1\n");
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), strlen(pairs(4)));
    assert_int_equal(counters(f)->filtered[SIEVE_RATE], 4);
    put("0.log", T "F over\n", O_APPEND);
    feed_grew();
    pass_ms(SURPLUS_REPORT_MS - 10);
    assert_null(f->batch);
    pass_ms(20);
    assert_got(f, TOLD("5 lines"));
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(counters(f)->gaps, 1);
    assert_int_equal(counters(f)->records_out, 4);
    assert_int_equal(acked(f), strlen(pairs(4)) + strlen(T "F over\n"));
    pass_ms(10 * SURPLUS_REPORT_MS); /* and that was all */
    assert_null(f->batch);
    assert_no_loss(f);
}

static void a_retry_has_the_same_rate(void **state)
{
    struct fake *f = with(sieve_set_rate, "1/h,3", pairs(4), false);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_got(f, "in 0\nout 0\nin 1\n");
        reply(f, VERDICT_RETRY);
        next_try(f);
    }
    assert_got(f, "in 0\nout 0\nin 1\n");
    drain_shelve(&f->base, f->batch);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(counters(f)->filtered[SIEVE_RATE], 5);
    put("0.log", T "F over\n", O_APPEND);
    feed_grew();
    assert_null(f->batch);
    assert_int_equal(counters(f)->filtered[SIEVE_RATE], 6);
}

static void a_stream_that_ends_tells_the_rest(void **state)
{
    struct fake *f = with(sieve_set_rate, "1/h,1", T "F one\n" T "F over\n", false);

    (void)state;
    assert_got(f, "one\n");
    reply(f, VERDICT_DELIVERED);
    feed_finished();
    assert_got(f, TOLD("1 line"));
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(w.forgotten, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(is_acknowledged_with_what_follows, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_wanted_moves_all_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(behind_a_batch_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retry_leaves_out_the_same_and_counts_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_lost_connection_too, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shelved_batch_is_read_again_alike, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_for_each_record, setup, teardown),
        cmocka_unit_test_setup_teardown(other_drains_get_their_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_undecided_is_sent_and_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_lines_have_a_share_of_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_masked_is_the_same_each_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_did_not_fit_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(over_the_rate_is_told_once_a_minute, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retry_has_the_same_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_that_ends_tells_the_rest, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
