/* A peer whose library answers before its program has processed what came, and that ends the
 * connection at some lines: which ones are passed over, and what comes twice (L11). */
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
    unsigned taken[LINES_MAX]; /* by the program, how often */
    unsigned ends;
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

static bool in_the_middle(unsigned n)
{
    return n == 583;
}

static bool some(unsigned n)
{
    return n == 3 || n == 4 || n == 700 || n == 998;
}

/* What its program takes of the batch that is there. False: it fails. */
static bool process(struct peer *p)
{
    struct str line;

    for (struct str rest = buf_str(&p->f->batch->body); str_cut(&rest, '\n', &line) && line.len;) {
        unsigned n = 0;

        if (sscanf(line.p, "line %u", &n) != 1)
            continue;
        if (p->fails(n))
            return false;
        p->taken[n]++;
    }
    return true;
}

static void end(struct peer *p)
{
    struct drain *d = &p->f->base;
    bool blamed = drain_blame(d, p->says);
    struct err e;

    p->ends++;
    p->f->written = 0;
    (void)err_set(&e, EPIPE, "the program failed");
    if (p->f->batch)
        answer(p->f, !blamed                      ? VERDICT_OFFLINE
                     : p->says == VERDICT_OFFLINE ? VERDICT_REJECTED
                                                  : p->says);
    drain_disconnected_for(d, VERDICT_OFFLINE, -1, &e);
    turns(5);
}

static void step(struct peer *p)
{
    struct fake *f = p->f;
    bool good;

    if (f->opening)
        open_fake(0);
    if (!f->batch) {
        pass_ms(500);
        (void)drain_confirm_old(&f->base);
        turns(5);
        return;
    }
    good = process(p);
    if (!f->base.alone)
        reply(f, VERDICT_SENT); /* the Pong was there before */
    if (!good) {
        end(p);
    } else if (f->base.alone) {
        pass_ms(COMMIT_LAG_MS);
        reply(f, VERDICT_DELIVERED);
    }
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

/* One end proves nothing, peers restart: all comes again as it was. */
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

static void test_L11_a_goodbye_confirms(void **state)
{
    struct peer p = start(nothing, VERDICT_OFFLINE, 10);

    (void)state;
    reply(p.f, VERDICT_SENT);
    drain_closed_by_peer(&p.f->base);
    assert_true(through(&p));
    assert_int_equal(counters(p.f)->records_out, 10);
}

/* Then it is the peer, and nothing is passed over; once it is mended all comes. */
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
        cmocka_unit_test_setup_teardown(test_L11_the_first_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_some_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_it_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_too_large_it_says, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_the_first_end_is_no_search, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_a_goodbye_confirms, setup, teardown),
        cmocka_unit_test_setup_teardown(test_L11_who_fails_at_everything_loses_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
