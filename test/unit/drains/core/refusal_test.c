/* Is the record bad, or the drain? What happens when a peer refuses records (L9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker_world.h"

#define TRIES_MAX 100000

/* A peer: which lines it refuses, by the number behind "line ". */
typedef bool (*refuses_fn)(unsigned n);

struct peer {
    struct fake *f;
    refuses_fn refuses;
    enum verdict how; /* REJECTED, TOO_LARGE, MIXED */
    unsigned batches;
    unsigned taken[4096]; /* how often each line was */
    unsigned gaps;
};

static bool all(unsigned n)
{
    (void)n;
    return true;
}

static bool none(unsigned n)
{
    (void)n;
    return false;
}

static bool the_first(unsigned n)
{
    return n == 0;
}

static bool but_one_of_a_thousand(unsigned n)
{
    return n % 1000 != 999;
}

static void add_lines(const char *name, unsigned from, unsigned n)
{
    char line[80];

    for (unsigned i = from; i < from + n; i++) {
        (void)snprintf(line, sizeof(line), T "F line %u\n", i);
        put(name, line, O_APPEND);
    }
    feed_grew();
}

static void take(struct peer *p, struct str line)
{
    unsigned n = 0;

    if (sscanf(line.p, "line %u", &n) == 1)
        p->taken[n]++;
    else
        p->gaps++;
}

/* Answers the batch that is there. */
static void answer_one(struct peer *p)
{
    struct batch *b = p->f->batch;
    struct str body = buf_str(&b->body), line;
    uint32_t refused = 0, i = 0;

    p->batches++;
    for (struct str rest = body; str_cut(&rest, '\n', &line) && line.len; i++) {
        unsigned n;
        bool bad = sscanf(line.p, "line %u", &n) == 1 && p->refuses(n);

        refused += bad;
        if (p->how == VERDICT_MIXED)
            batch_outcomes(b)[i] = bad ? VERDICT_REJECTED : VERDICT_DELIVERED;
        if (p->how == VERDICT_MIXED && !bad)
            take(p, line);
    }
    if (refused && p->how == VERDICT_MIXED)
        (void)err_set(&b->refusal, EPROTO, "the test says so");
    if (!refused)
        for (struct str rest = body;
             p->how != VERDICT_MIXED && str_cut(&rest, '\n', &line) && line.len;)
            take(p, line);
    answer(p->f, refused ? p->how : VERDICT_DELIVERED);
    turns(3);
}

/* Answers batches until <ms> have passed, or nothing is left unconfirmed. */
static void serve(struct peer *p, uint64_t ms)
{
    uint64_t end = w.now + ms, step = ms > HOLD_MS ? 500 : 50;

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (p->f->opening) {
            p->f->opening = false;
            drain_opened(&p->f->base);
            turns(3);
        }
        if (p->f->batch)
            answer_one(p);
        else if (w.now >= end)
            return;
        else
            pass_ms(step);
    }
    fail_msg("no end after %u batches", TRIES_MAX);
}

static void check_nothing_was_passed_over(const struct peer *p)
{
    assert_int_equal(counters(p->f)->rejected, 0);
    assert_int_equal(counters(p->f)->lost[GAP_REFUSED], 0);
    assert_int_equal(acked(p->f), 0);
    assert_string_equal(drain_state_name(&p->f->base), "held");
    assert_non_null(strstr(p->f->base.last_error.text, "has accepted nothing yet"));
}

static void check_all_taken(const struct peer *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!p->taken[i])
            fail_msg("line %u is missing", i);
    assert_int_equal(acked(p->f), sent(p->f));
    assert_string_equal(drain_state_name(&p->f->base), "open");
}

static void refuses_everything(enum verdict how)
{
    struct peer p = {.refuses = all, .how = how};
    unsigned before;

    put("0.log", "", 0);
    p.f = drain_with("", false);
    add_lines("0.log", 0, 100);
    serve(&p, 60000);
    check_nothing_was_passed_over(&p);
    before = p.batches;
    serve(&p, 1800000); /* half an hour: seldom asked, as after a 404 */
    check_nothing_was_passed_over(&p);
    assert_true(p.batches - before < 30000);
    p.refuses = none; /* it is put right */
    serve(&p, 2 * HOLD_MS);
    check_all_taken(&p, 100);
    assert_int_equal(counters(p.f)->rejected, 0);
    assert_int_equal(p.gaps, 0);
    assert_int_equal(p.f->base.batch_limit, 0);
}

static void test_L09_nothing_taken_yet_rejected(void **state)
{
    (void)state;
    refuses_everything(VERDICT_REJECTED);
}

static void test_L09_nothing_taken_yet_too_large(void **state)
{
    (void)state;
    refuses_everything(VERDICT_TOO_LARGE);
}

static void test_L09_nothing_taken_yet_each_item(void **state)
{
    (void)state;
    refuses_everything(VERDICT_MIXED);
}

/* The very first record is bad. It waits until another one was accepted. */
static void bad_one_first(enum verdict how, bool alone)
{
    struct peer p = {.refuses = the_first, .how = how};

    put("0.log", "", 0);
    p.f = drain_with("", false);
    add_lines("0.log", 0, alone ? 1 : 20);
    serve(&p, alone ? 600000 : 1000);
    if (alone) {
        check_nothing_was_passed_over(&p);
        add_lines("0.log", 1, 19); /* known at once */
        serve(&p, 2000);
    }
    p.taken[0]++;
    check_all_taken(&p, 20);
    assert_int_equal(p.taken[0], 1);
    assert_int_equal(counters(p.f)->rejected, 1);
    assert_int_equal(counters(p.f)->lost[GAP_REFUSED], 6);
    assert_int_equal(p.gaps, 1);
    for (unsigned i = 2; i < 20; i++)
        assert_true(p.taken[i] == 1); /* the one behind it may come twice */
}

static void test_L09_the_first_one_is_bad(void **state)
{
    (void)state;
    bad_one_first(VERDICT_REJECTED, false);
}

static void test_L09_the_first_one_is_bad_item(void **state)
{
    (void)state;
    bad_one_first(VERDICT_MIXED, false);
}

static void test_L09_the_only_one_is_bad(void **state)
{
    (void)state;
    bad_one_first(VERDICT_REJECTED, true);
}

static void test_L09_the_only_one_is_bad_item(void **state)
{
    (void)state;
    bad_one_first(VERDICT_MIXED, true);
}

static void test_L09_the_only_one_is_too_large(void **state)
{
    (void)state;
    bad_one_first(VERDICT_TOO_LARGE, true);
}

/* After successes, too: a run of refusals ends in a hold, and costs no more than REFUSED_RUN. */
static void turns_bad(enum verdict how)
{
    struct peer p = {.refuses = none, .how = how};
    uint64_t passed;

    put("0.log", "", 0);
    p.f = drain_with("", false);
    add_lines("0.log", 0, 100);
    serve(&p, 1000);
    check_all_taken(&p, 100);
    p.refuses = all;
    for (unsigned i = 100; i < 200; i += 2) {
        add_lines("0.log", i, 2);
        serve(&p, 2000);
    }
    serve(&p, 1800000);
    passed = counters(p.f)->rejected;
    assert_true(passed <= REFUSED_RUN);
    assert_string_equal(drain_state_name(&p.f->base), "held");
    p.refuses = none;
    serve(&p, 2 * HOLD_MS);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(p.taken[i], 1);
    for (unsigned i = 100 + (unsigned)passed; i < 200; i++)
        assert_int_equal(p.taken[i], 1);
    assert_int_equal(counters(p.f)->rejected, passed);
    assert_string_equal(drain_state_name(&p.f->base), "open");
}

static void test_L09_it_turns_bad(void **state)
{
    (void)state;
    turns_bad(VERDICT_REJECTED);
}

static void test_L09_it_turns_bad_item(void **state)
{
    (void)state;
    turns_bad(VERDICT_MIXED);
}

static void test_L09_it_turns_too_small(void **state)
{
    (void)state;
    turns_bad(VERDICT_TOO_LARGE);
}

/* It gets longer and longer runs until it accepts one: it is not suspended for ever. */
static void one_of_a_thousand(enum verdict how)
{
    struct peer p = {.refuses = but_one_of_a_thousand, .how = how};

    put("0.log", "", 0);
    p.f = drain_with("", false);
    add_lines("0.log", 0, 2000);
    serve(&p, 10 * HOLD_MS);
    assert_true(p.taken[999] && p.taken[1999]);
    assert_int_equal(counters(p.f)->rejected, 1998);
    assert_int_equal(acked(p.f), sent(p.f));
    assert_string_equal(drain_state_name(&p.f->base), "open");
}

static void test_L09_one_of_a_thousand(void **state)
{
    (void)state;
    one_of_a_thousand(VERDICT_REJECTED);
}

static void test_L09_one_of_a_thousand_items(void **state)
{
    (void)state;
    one_of_a_thousand(VERDICT_MIXED);
}

/* Of two streams, the one that is refused waits alone. */
static bool the_second_stream(unsigned n)
{
    return n >= 1000;
}

static void another_stream(enum verdict how)
{
    struct peer p = {.refuses = the_second_stream, .how = how};

    put("0.log", "", 0);
    p.f = drain_with("", false);
    add_lines("0.log", 0, 10);
    serve(&p, 1000);
    w.stream = 2;
    put("1.log", "", 0);
    feed_stream();
    feed_segment(1, "1.log");
    (void)attach(0, false);
    add_lines("1.log", 1000, 100);
    serve(&p, 5000);
    for (unsigned i = 10; i < 100; i++) {
        w.stream = 1;
        add_lines("0.log", i, 1);
        serve(&p, 1000);
        assert_int_equal(p.taken[i], 1); /* not delayed */
    }
    assert_true(counters(p.f)->rejected <= REFUSED_RUN);
    assert_string_equal(drain_state_name(&p.f->base), "held");
    p.refuses = none;
    serve(&p, 2 * HOLD_MS);
    for (unsigned i = 1000 + (unsigned)counters(p.f)->rejected; i < 1100; i++)
        assert_int_equal(p.taken[i], 1);
    assert_string_equal(drain_state_name(&p.f->base), "open");
}

static void test_L09_a_stream_is_held_alone(void **state)
{
    (void)state;
    another_stream(VERDICT_REJECTED);
}

static void test_L09_a_stream_is_held_alone_items(void **state)
{
    (void)state;
    another_stream(VERDICT_MIXED);
}

/* Records refused while the receiver was wrong, and accepted when it is right, are not lost in
 * between. */
static unsigned right_from;

static bool until_then(unsigned n)
{
    (void)n;
    return right_from && right_from--;
}

static void test_L09_put_right_at_any_moment(void **state)
{
    (void)state;
    for (unsigned then = 1; then < 60; then++) {
        struct peer p = {.refuses = until_then, .how = VERDICT_REJECTED};

        right_from = then;
        put("0.log", "", O_TRUNC);
        p.f = drain_with("", false);
        add_lines("0.log", 0, 30);
        serve(&p, 2 * HOLD_MS);
        check_all_taken(&p, 30);
        assert_int_equal(counters(p.f)->rejected, 0);
        (void)teardown(state);
        (void)setup(state);
    }
}

/* The peer took a batch but for some records, and does not say which. */
static void test_some_of_a_batch_are_dropped(void **state)
{
    struct peer p = {0};
    uint64_t bytes;

    (void)state;
    put("0.log", "", 0);
    p.f = drain_with("", false);
    add_lines("0.log", 0, 10);
    for (unsigned dropped = 3; dropped < 30; dropped += 20) {
        struct drain_counters before = *counters(p.f);
        unsigned lines = p.f->batch->records, gone = dropped < lines ? dropped : lines;

        bytes = p.f->batch->bytes;
        p.f->batch->dropped = dropped;
        (void)err_set(&p.f->batch->refusal, EPROTO, "the test says so");
        answer(p.f, VERDICT_DELIVERED);
        turns(3);
        assert_int_equal(counters(p.f)->rejected - before.rejected, gone);
        assert_int_equal(counters(p.f)->records_out - before.records_out, lines - gone);
        assert_int_equal(counters(p.f)->lost[GAP_REFUSED] - before.lost[GAP_REFUSED],
                         bytes / lines * gone);
        assert_int_equal(counters(p.f)->bytes_out - before.bytes_out, bytes - bytes / lines * gone);
        assert_int_equal(acked(p.f), sent(p.f));
        assert_int_equal(counters(p.f)->retries, 0);
        assert_string_equal(drain_state_name(&p.f->base), "open");
        assert_string_equal(p.f->base.last_error.text, "the test says so");
        add_lines("0.log", 0, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_L09_nothing_taken_yet_rejected),
        TEST(test_L09_nothing_taken_yet_too_large),
        TEST(test_L09_nothing_taken_yet_each_item),
        TEST(test_L09_the_first_one_is_bad),
        TEST(test_L09_the_first_one_is_bad_item),
        TEST(test_L09_the_only_one_is_bad),
        TEST(test_L09_the_only_one_is_bad_item),
        TEST(test_L09_the_only_one_is_too_large),
        TEST(test_L09_it_turns_bad),
        TEST(test_L09_it_turns_bad_item),
        TEST(test_L09_it_turns_too_small),
        TEST(test_L09_one_of_a_thousand),
        TEST(test_L09_one_of_a_thousand_items),
        TEST(test_L09_a_stream_is_held_alone),
        TEST(test_L09_a_stream_is_held_alone_items),
        TEST(test_L09_put_right_at_any_moment),
        TEST(test_some_of_a_batch_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
