/*
 * A peer whose library answers before its program has processed the data, and that closes the
 * connection at some lines: which lines are skipped, and which are sent twice (L11).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker_world.h"

#define LINES_MAX 4096
#define STEPS_MAX 20000

typedef bool (*fails_fn)(unsigned n);

struct peer {
    struct fake *f;
    fails_fn fails;
    enum verdict says;         /* OFFLINE = nothing, it only ends */
    unsigned delay_ms;         /* so long after a line that it fails at the connection ends */
    unsigned taken[LINES_MAX]; /* by the program, how often */
    unsigned ends;
    bool failed;         /* on this connection, which ends at <ends_at> */
    uint64_t ends_at;    /* loop time */
    uint64_t ponged_at;  /* of the batch that is there */
    struct batch *asked; /* it */
};

static bool nothing(unsigned n)
{
    (void)n;
    return false;
}

static bool everything(unsigned n)
{
    (void)n;
    return true;
}

static bool the_first(unsigned n)
{
    return n == 0;
}

static bool the_last(unsigned n)
{
    return n == 999;
}

static bool in_the_middle(unsigned n)
{
    return n == 583;
}

static bool some(unsigned n)
{
    return n == 3 || n == 4 || n == 700 || n == 998;
}

/* Its program processes what it can of the current batch. */
static void process(struct peer *p)
{
    struct str line;

    for (struct str rest = buf_str(&p->f->batch->body); str_cut(&rest, '\n', &line) && line.len;) {
        unsigned n = 0;

        if (sscanf(line.p, "line %u", &n) != 1)
            continue;
        if (!p->failed && p->fails(n)) {
            p->failed = true;
            p->ends_at = w.now + p->delay_ms;
        }
        p->taken[n] += !p->failed;
    }
}

static void end(struct peer *p)
{
    struct drain *d = &p->f->base;
    bool blamed = drain_blame(d, p->says);
    struct err e;

    p->ends++;
    p->failed = false;
    p->asked = NULL;
    p->f->written = 0;
    (void)err_set(&e, EPIPE, "the program failed");
    if (p->f->batch)
        answer(p->f, !blamed                      ? VERDICT_OFFLINE
                     : p->says == VERDICT_OFFLINE ? VERDICT_REJECTED
                                                  : p->says);
    drain_disconnected_for(d, VERDICT_OFFLINE, -1, &e);
    turns(5);
}

/* The library answers at once, whatever becomes of it. */
static void step(struct peer *p)
{
    struct fake *f = p->f;
    enum verdict v = 0;

    if (f->opening)
        open_fake(0);
    if (f->batch && f->batch != p->asked) {
        p->asked = f->batch;
        p->ponged_at = w.now;
        process(p);
    }
    if (p->failed && w.now >= p->ends_at) {
        end(p);
        return;
    }
    if (f->batch)
        v = f->base.alone ? drain_seek_step(&f->base, w.now - p->ponged_at) : VERDICT_SENT;
    if (v) {
        p->asked = NULL;
        reply(f, v);
        return;
    }
    pass_ms(500);
    (void)drain_confirm_old(&f->base, w.now);
    turns(5);
}

static struct peer start(fails_fn fails, enum verdict says, unsigned lines)
{
    struct peer p = {.fails = fails, .says = says};
    char line[80];

    put("0.log", "", O_TRUNC);
    for (unsigned i = 0; i < lines; i++) {
        (void)snprintf(line, sizeof(line), T "F line %u\n", i);
        put("0.log", line, O_APPEND);
    }
    w.lags = true;
    feed_stream();
    feed_segment(1, "0.log");
    p.f = attach(0, false);
    return p;
}

static bool through(struct peer *p)
{
    struct cursor *k = &cursor_of(p->f)->cursor;

    return cursor_is_settled(k) && !cursor_lag(k, &k->acked);
}

static void run(struct peer *p)
{
    for (unsigned i = 0; i < STEPS_MAX && !through(p); i++)
        step(p);
}

static void all_came_but(struct peer *p, fails_fn refused, unsigned lines)
{
    unsigned n = 0;

    assert_true(through(p));
    for (unsigned i = 0; i < lines; i++) {
        n += refused(i);
        if (refused(i) ? p->taken[i] : !p->taken[i])
            fail_msg("line %u was taken %u times", i, p->taken[i]);
    }
    assert_int_equal(counters(p->f)->rejected, n);
    assert_int_equal(counters(p->f)->unconfirmed, 0);
}

static void test_L11_a_line_in_the_middle(void **state)
{
    struct peer p = start(in_the_middle, VERDICT_OFFLINE, 1000);
    uint64_t since = w.now;

    (void)state;
    run(&p);
    all_came_but(&p, in_the_middle, 1000);
    assert_in_range(w.now - since, 0, 120000); /* of the faked clock */
}

/* If the program fails late, the steps of the search become as long as it takes. */
static void test_L11_it_fails_late(void **state)
{
    static const unsigned delays[] = {400, 900, 1700, 2600, 4400};

    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        struct peer p;

        if (i) {
            (void)teardown(state);
            (void)setup(state);
        }
        p = start(some, VERDICT_OFFLINE, 1000);
        p.delay_ms = delays[i];
        run(&p);
        all_came_but(&p, some, 1000);
    }
}

/* Two ends in a row, and then the connection is healthy: the search delays nothing. */
static void test_L11_it_was_not_a_line(void **state)
{
    struct peer p = start(nothing, VERDICT_OFFLINE, 1000);
    uint64_t since;

    (void)state;
    end(&p);
    while (!p.f->batch)
        step(&p);
    end(&p);
    assert_true(p.f->base.record_limit);
    since = w.now;
    run(&p);
    all_came_but(&p, nothing, 1000);
    assert_in_range(w.now - since, 0, 12000);
}

static void test_L11_the_first_line(void **state)
{
    struct peer p = start(the_first, VERDICT_OFFLINE, 1000);

    (void)state;
    run(&p);
    all_came_but(&p, the_first, 1000);
}

static void test_L11_some_lines(void **state)
{
    struct peer p = start(some, VERDICT_OFFLINE, 1000);

    (void)state;
    run(&p);
    all_came_but(&p, some, 1000);
}

static void test_L11_it_says_so(void **state)
{
    struct peer p = start(some, VERDICT_REJECTED, 1000);

    (void)state;
    run(&p);
    all_came_but(&p, some, 1000);
}

static void test_L11_too_large_it_says(void **state)
{
    struct peer p = start(some, VERDICT_TOO_LARGE, 1000);

    (void)state;
    run(&p);
    all_came_but(&p, some, 1000);
    assert_int_equal(p.f->base.batch_limit, 0); /* it was not about the size */
}

/* One end proves nothing, since peers restart: everything is sent again unchanged. */
static void test_L11_the_first_end_is_no_search(void **state)
{
    struct peer p = start(nothing, VERDICT_OFFLINE, 10);

    (void)state;
    reply(p.f, VERDICT_SENT);
    assert_int_equal(acked(p.f), 0);
    assert_true(drain_unconfirmed(&p.f->base));
    end(&p);
    assert_int_equal(sent(p.f), 0);
    assert_int_equal(p.f->base.record_limit, 0);
    run(&p);
    all_came_but(&p, nothing, 10);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(p.taken[i], 1);
}

/* What the library had answered when the peer reported a message as too large is sent again as
 * usual, not in parts. */
static void test_L11_what_was_answered_goes_first(void **state)
{
    struct peer p = start(the_last, VERDICT_TOO_LARGE, 1000);
    struct drain *d = &p.f->base;
    uint64_t since = w.now;

    (void)state;
    d->batch_limit = 200; /* of bytes: many messages */
    run(&p);
    all_came_but(&p, the_last, 1000);
    assert_in_range(w.now - since, 0, 40000);
}

static void test_L11_an_orderly_close_confirms(void **state)
{
    struct peer p = start(nothing, VERDICT_OFFLINE, 10);

    (void)state;
    reply(p.f, VERDICT_SENT);
    drain_closed_by_peer(&p.f->base);
    assert_true(through(&p));
    assert_int_equal(counters(p.f)->records_out, 10);
}

/* Then the peer is at fault, and nothing is skipped; when it is repaired, everything arrives. */
static void test_L11_who_fails_at_everything_loses_nothing(void **state)
{
    struct peer p = start(everything, VERDICT_OFFLINE, 200);
    uint64_t since = w.now;

    (void)state;
    while (w.now - since < 3600000)
        step(&p);
    assert_int_equal(counters(p.f)->rejected, 0);
    assert_int_equal(acked(p.f), 0);
    assert_true(p.f->base.suspended);
    assert_in_range(p.ends, 10, 3000); /* in an hour, with growing pauses */
    p.fails = nothing;
    run(&p);
    all_came_but(&p, nothing, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_L11_a_line_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_it_fails_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_it_was_not_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_the_first_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_some_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_it_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_too_large_it_says, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_the_first_end_is_no_search, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_what_was_answered_goes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_an_orderly_close_confirms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_who_fails_at_everything_loses_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
