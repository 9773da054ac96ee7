/*
 * The effect of each verdict on the cursors, the pauses and the counters; and the order of turns.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "worker_world.h"

#define TRIES_MAX 200 /* turns of a dialogue that does not end */

/* ---- fixture ---- */

/* Lets the pause of a drain pass, and opens it again. */
static void next_try(struct fake *f)
{
    assert_int_equal(f->base.state, DRAIN_WAITING);
    pass_ms(loop_timer_left(f->base.timer));
    reopen(f);
}

static void write_lines(char *out, size_t size, unsigned n)
{
    size_t len = 0;

    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(out + len, size - len, T "F line %u\n", i);
    assert_true(len < size);
}

/* ---- verdicts ---- */

static void delivered_is_acknowledged(void **state)
{
    struct fake *f;

    (void)state;
    f = drain_with(T "F one\n" T "F two\n", false);
    assert_got(f, "one\ntwo\n");
    assert_int_equal(acked(f), 0);
    assert_true(sent(f) > 0);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), sent(f));
    assert_int_equal(counters(f)->records_out, 2);
    assert_int_equal(counters(f)->bytes_out, 6);
    assert_int_equal(counters(f)->retries, 0);
    assert_null(f->batch);
    put("0.log", T "F three\n", O_APPEND);
    feed_grew();
    assert_got(f, "three\n");
    reply(f, VERDICT_DELIVERED);
}

/* RETRY and OFFLINE: the same lines again after a pause that grows, differs, and has a cap. */
static void check_pauses(struct fake *f, enum verdict v, uint64_t cap)
{
    uint64_t largest = 0, differ = 0, last = 0;

    for (unsigned try = 0; try < 40; try++) {
        uint64_t span, left;

        assert_got(f, "one\n");
        reply(f, v);
        assert_int_equal(acked(f), 0);
        assert_int_equal(f->base.state, DRAIN_WAITING);
        assert_null(f->batch);
        left = loop_timer_left(f->base.timer);
        span = try < 16 ? (uint64_t)BACKOFF_BASE_MS <<
        try : cap
            ;
        assert_true(left >= BACKOFF_BASE_MS && left <= BACKOFF_BASE_MS + span && left <= cap);
        differ += left != last;
        last = left;
        largest = left > largest ? left : largest;
        next_try(f);
    }
    assert_true(largest > cap / 2);
    assert_true(differ > 30);
    assert_int_equal(counters(f)->retries, 40);
    assert_got(f, "one\n");
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), sent(f));
    assert_int_equal(f->base.attempts, 0);
    assert_false(f->base.failing);
}

static void retry_gives_back(void **state)
{
    (void)state;
    check_pauses(drain_with(T "F one\n", false), VERDICT_RETRY, BACKOFF_CAP_MS);
}

static void offline_gives_back(void **state)
{
    (void)state;
    check_pauses(drain_with(T "F one\n", false), VERDICT_OFFLINE, BACKOFF_CAP_MS);
}

static void hold_gives_back(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    check_pauses(f, VERDICT_HOLD, HOLD_MS);
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    reply(f, VERDICT_HOLD);
    assert_string_equal(drain_state_name(&f->base), "held");
    assert_string_equal(f->base.last_error.text, "the test says so");
    next_try(f);
    reply(f, VERDICT_DELIVERED);
    assert_string_equal(drain_state_name(&f->base), "open");
    assert_string_equal(f->base.last_error.text, "");
}

static void retry_after_is_clamped(void **state)
{
    static const struct {
        int64_t asked;
        uint64_t given;
    } rows[] = {{0, RETRY_AFTER_MIN_MS},
                {RETRY_AFTER_MIN_MS - 1, RETRY_AFTER_MIN_MS},
                {RETRY_AFTER_MIN_MS, RETRY_AFTER_MIN_MS},
                {10000, 10000},
                {RETRY_AFTER_MAX_MS, RETRY_AFTER_MAX_MS},
                {RETRY_AFTER_MAX_MS + 1, RETRY_AFTER_MAX_MS},
                {INT64_MAX, RETRY_AFTER_MAX_MS}};
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    FOR_ROWS (i, rows) {
        f->batch->retry_after_ms = rows[i].asked;
        reply(f, VERDICT_RETRY);
        assert_int_equal(loop_timer_left(f->base.timer), rows[i].given);
        next_try(f);
    }
    reply(f, VERDICT_DELIVERED);
}

/* Answers <v> to every batch that has <needle> in it, DELIVERED to the others. Returns how often it
 * was refused while it stood alone. */
static unsigned refuse(struct fake *f, const char *needle, enum verdict v, struct buf *taken)
{
    unsigned alone = 0, refused = 0;

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (f->base.state == DRAIN_WAITING)
            next_try(f);
        if (!f->batch)
            return alone;
        if (strstr(f->batch->body.p, needle)) {
            alone += f->batch->records == 1;
            assert_true(++refused <= 16); /* it is halved, not tried one by one */
            reply(f, v);
            continue;
        }
        assert_int_equal(buf_add_str(taken, buf_str(&f->batch->body)), 0);
        reply(f, VERDICT_DELIVERED);
    }
    fail_msg("no end after %u batches", TRIES_MAX);
    return 0;
}

/* Wherever the bad one lies: all the others are delivered, once, in order. */
static void rejected_skips_exactly_the_poison(void **state)
{
    enum { LINES = 20 };
    struct buf taken = BUF_INIT(4096), wanted = BUF_INIT(4096);
    char text[LINES * 64], needle[16];
    struct fake *f;

    (void)state;
    write_lines(text, sizeof(text), LINES);
    f = drain_with(T "F first\n", false);
    reply(f, VERDICT_DELIVERED); /* it accepts something */
    put("0.log", text, O_APPEND);
    feed_grew();
    for (unsigned bad = 0; bad < LINES; bad++) {
        uint64_t before = counters(f)->rejected;

        (void)snprintf(needle, sizeof(needle), "line %u\n", bad);
        buf_clear(&taken);
        buf_clear(&wanted);
        for (unsigned i = 0; i < LINES; i++)
            if (i != bad)
                assert_int_equal(buf_addf(&wanted, "line %u\n", i), 0);
            else
                assert_int_equal(buf_add_str(&wanted, i < 10 ? STR(REFUSED(6)) : STR(REFUSED(7))),
                                 0);
        assert_int_equal(refuse(f, needle, VERDICT_REJECTED, &taken), REJECT_TRIES);
        assert_string_equal(taken.p, wanted.p);
        assert_int_equal(counters(f)->rejected, before + 1);
        assert_int_equal(counters(f)->too_large, 0);
        assert_int_equal(acked(f), sent(f));
        assert_int_equal(f->base.record_limit, 0);
        put("0.log", text, O_APPEND);
        feed_grew();
    }
    buf_clear(&taken);
    assert_int_equal(refuse(f, "none of them", VERDICT_REJECTED, &taken), 0);
    buf_release(&taken);
    buf_release(&wanted);
}

/* A peer that accepts at most <limit> bytes. Returns the largest batch after the first. */
static size_t take_up_to(struct fake *f, size_t limit, struct buf *taken)
{
    size_t largest = 0;

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (f->base.state == DRAIN_WAITING)
            next_try(f);
        if (!f->batch)
            return largest;
        if (i && f->batch->body.len > largest)
            largest = f->batch->body.len;
        if (f->batch->body.len > limit) {
            reply(f, VERDICT_TOO_LARGE);
            continue;
        }
        assert_int_equal(buf_add_str(taken, buf_str(&f->batch->body)), 0);
        reply(f, VERDICT_DELIVERED);
    }
    fail_msg("no end after %u batches", TRIES_MAX);
    return 0;
}

static void too_large_learns_the_limit(void **state)
{
    enum { LINES = 200, LIMIT = 300 };
    struct buf taken = BUF_INIT(64 * 1024);
    char text[LINES * 64], *big;
    struct fake *f;
    size_t first;

    (void)state;
    write_lines(text, sizeof(text), LINES);
    f = drain_with(text, false);
    first = f->batch->body.len;
    assert_true(first > LIMIT);
    (void)take_up_to(f, LIMIT, &taken);
    assert_true(f->base.batch_limit > 0 && f->base.batch_limit <= LIMIT);
    assert_int_equal(counters(f)->rejected, 0);
    assert_int_equal(counters(f)->records_out, LINES);
    buf_clear(&taken);
    put("0.log", text, O_APPEND); /* known from the first batch on */
    feed_grew();
    assert_true(f->batch->body.len <= LIMIT);
    assert_true(take_up_to(f, LIMIT, &taken) <= LIMIT);
    /* A record that alone is too large is skipped at once. */
    big = xcalloc(1, 2 * LIMIT);
    memset(big, 'x', 2 * LIMIT - 1);
    put("0.log", T "F ", O_APPEND);
    put("0.log", big, O_APPEND);
    put("0.log", "\n" T "F after\n", O_APPEND);
    free(big);
    buf_clear(&taken);
    feed_grew();
    (void)take_up_to(f, LIMIT, &taken);
    assert_string_equal(taken.p, REFUSED(599) "after\n");
    assert_int_equal(counters(f)->rejected, 1);
    assert_int_equal(counters(f)->too_large, 1);
    assert_int_equal(counters(f)->lost[GAP_REFUSED], 599);
    assert_int_equal(acked(f), sent(f));
    buf_release(&taken);
}

/* ---- turns ---- */

static void deliver(struct fake *f)
{
    buf_clear(&f->got);
    reply(f, f->base.pipelined ? VERDICT_SENT : VERDICT_DELIVERED);
    drain_confirm(&f->base, f->written);
}

/* So many batches until <text> is in one; that is delivered. */
static unsigned batches_until(struct fake *f, const char *text)
{
    unsigned n = 1;

    for (; !strstr(f->batch->body.p, text); n++)
        deliver(f);
    deliver(f);
    return n;
}

/* A stream with any amount of lines does not hold up the other. */
static void check_quiet_stream(bool ordered)
{
    enum { NOISE = 60000 };
    struct buf noise = BUF_INIT(8 * 1024 * 1024);
    struct fake *f;

    for (unsigned i = 0; i < NOISE; i++)
        assert_int_equal(buf_addf(&noise, T "F noise %u %s\n", i, "......................"), 0);
    put("noise.log", noise.p, 0);
    buf_release(&noise);
    put("quiet.log", T "F quiet 1\n", 0);
    feed_stream();
    feed_segment(1, "noise.log");
    f = attach(0, ordered);
    for (unsigned i = 0; i < 5; i++)
        deliver(f); /* batches grow */
    w.stream = 2;
    feed_stream();
    feed_segment(1, "quiet.log");
    (void)attach(0, ordered);
    assert_true(batches_until(f, "quiet 1") <= 2);
    put("quiet.log", T "F quiet 2\n", O_APPEND);
    feed_grew();
    assert_true(batches_until(f, "quiet 2") <= 2);
    assert_true(counters(f)->records_out < NOISE);
    while (f->batch)
        deliver(f);
    assert_int_equal(counters(f)->records_out, NOISE + 2);
}

static void quiet_stream_is_not_starved(void **state)
{
    (void)state;
    check_quiet_stream(false);
}

static void quiet_stream_is_not_starved_in_one_pipe(void **state)
{
    (void)state;
    check_quiet_stream(true);
}

/* After a start all cursors are ready, and most find nothing to read. They linger once together,
 * not once for each group that a turn of the loop checks. */
static void quiet_cursors_linger_together(void **state)
{
    enum { STREAMS = 200, LINGER_MS = 100 };
    struct fake *f = NULL;
    char name[32];

    (void)state;
    for (unsigned i = 1; i <= STREAMS; i++) {
        assert_true(snprintf(name, sizeof(name), "%u.log", i) > 0);
        put(name, "", 0);
        w.stream = i;
        feed_stream();
        feed_segment(1, name);
        f = attach(0, false);
    }
    f->base.spec->linger_ms = LINGER_MS;
    put(name, T "F the only line\n", O_APPEND);
    for (w.stream = 1; w.stream <= STREAMS; w.stream++)
        feed_grew();
    assert_null(f->batch);
    pass_ms(LINGER_MS);
    assert_non_null(f->batch);
    assert_got(f, "the only line\n");
    reply(f, VERDICT_DELIVERED);
}

/* A drain with two slots: what one stream has in flight delays only its own later lines. */
static void order_in_each_stream(void **state)
{
    struct fake *f;

    (void)state;
    w.slots = 2;
    f = drain_with(T "F a1\n", false);
    reply(f, VERDICT_DELIVERED); /* well: no longer one at a time */
    buf_clear(&f->got);
    put("0.log", T "F a2\n", O_APPEND);
    feed_grew();
    put("0.log", T "F a3\n", O_APPEND);
    feed_grew();
    assert_got(f, "a2\n");
    assert_null(f->second);
    w.stream = 2;
    put("1.log", T "F b1\n", 0);
    feed_stream();
    feed_segment(1, "1.log");
    (void)attach(0, false);
    assert_non_null(f->second);
    assert_got(f, "b1\n");
    reply(f, VERDICT_RETRY); /* a2 */
    next_try(f);
    assert_null(f->second);
    assert_got(f, ""); /* not well: b1's answer is waited for */
    reply(f, VERDICT_DELIVERED);
    assert_got(f, "a2\na3\n");
    reply(f, VERDICT_DELIVERED);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(delivered_is_acknowledged),
        CASE(retry_gives_back),
        CASE(offline_gives_back),
        CASE(hold_gives_back),
        CASE(retry_after_is_clamped),
        CASE(rejected_skips_exactly_the_poison),
        CASE(too_large_learns_the_limit),
        CASE(quiet_stream_is_not_starved),
        CASE(quiet_stream_is_not_starved_in_one_pipe),
        CASE(quiet_cursors_linger_together),
        CASE(order_in_each_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
