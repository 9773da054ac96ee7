/*
 * Routes that go: a cursor that is detached, parked or taken over, with and without batches in flight;
 * drains that are not used any more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "worker_world.h"

static void detach(struct fake *f)
{
    worker_detach(w.wk, w.stream, f->base.spec);
    turns(5);
}

static void park(struct fake *f)
{
    worker_park_route(w.wk, w.stream, f->base.spec);
    turns(5);
}

static void parked_cursor_keeps_its_place(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    reply(f, VERDICT_DELIVERED);
    buf_clear(&f->got);
    park(f);
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    pass_ms(ROUTE_GRACE_MS / 2);
    assert_got(f, "");
    (void)attach(0, false);
    assert_got(f, "two\n");
    reply(f, VERDICT_DELIVERED);
    /* With something in flight: its answer does not count any more. */
    put("0.log", T "F three\n", O_APPEND);
    feed_grew();
    assert_got(f, "three\n");
    park(f);
    reply(f, VERDICT_DELIVERED);
    assert_null(f->batch);
    (void)attach(0, false);
    assert_got(f, "three\n");
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), sent(f));
    /* Its time is over: as if it had never been there. */
    park(f);
    pass_ms(ROUTE_GRACE_MS + 1);
    assert_int_equal(worker_parked_count(w.wk), 0);
    (void)attach(0, false);
    assert_non_null(f->batch);
    reply(f, VERDICT_DELIVERED);
    assert_got(f, "one\ntwo\nthree\n");
}

/* L17: a route ended by decision is not parked. */
static void L17_an_ended_cursor_is_forgotten(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    detach(f);
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(worker_parked_count(w.wk), 0);
    buf_clear(&f->got);
    (void)attach(0, false); /* the control thread gives the position: here from the start */
    assert_got(f, "one\n");
    reply(f, VERDICT_DELIVERED);
}

static void change(struct fake *before, unsigned now)
{
    struct drain_spec *spec = numbered_spec(now);
    struct position end = {.seg = 1, .off = UINT64_MAX};
    const struct worker_change c = {.before = before->base.spec, .now = spec, .end = &end};

    worker_change(w.wk, w.stream, &c);
    drain_spec_unref(spec);
    turns(5);
    if (w.fakes[now])
        open_fake(now);
}

/* L4: another URL continues where the first was, also with a batch in flight. */
static void L04_a_changed_url_takes_the_place_over(void **state)
{
    struct fake *f = drain_with(T "F one\n" T "F two\n", false);

    (void)state;
    buf_clear(&f->got);
    assert_non_null(f->batch);
    change(f, 1);
    assert_got(w.fakes[1], "one\ntwo\n");
    reply(f, VERDICT_DELIVERED); /* too late to count */
    assert_int_equal(worker_parked_count(w.wk), 0);
    assert_true(list_empty(&f->base.cursors));
    reply(w.fakes[1], VERDICT_DELIVERED);
    put("0.log", T "F three\n", O_APPEND);
    feed_grew();
    assert_got(w.fakes[1], "three\n");
    assert_got(f, "");
    reply(w.fakes[1], VERDICT_DELIVERED);
}

/* The drain of the new URL cannot be created yet: the position waits for it. */
static void L04_the_place_waits_for_the_drain(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    reply(f, VERDICT_RETRY);
    w.cannot = true;
    change(f, 1);
    assert_null(w.fakes[1]);
    w.cannot = false;
    pass_ms(5000);
    assert_non_null(w.fakes[1]);
    reopen(w.fakes[1]);
    assert_got(w.fakes[1], "one\n");
    reply(w.fakes[1], VERDICT_DELIVERED);
}

/* A parked cursor has the same place under another URL: the new drain continues there, and the
 * position is also kept for the old URL. */
static void L04_a_parked_place_is_shared(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    reply(f, VERDICT_RETRY);
    park(f);
    buf_clear(&f->got);
    assert_got(attach(1, false), "one\n");
    reply(w.fakes[1], VERDICT_DELIVERED);
    assert_int_equal(worker_parked_count(w.wk), 1);
    (void)attach(0, false);
    if (f->base.state != DRAIN_OPEN)
        reopen(f);
    assert_got(f, "one\n");
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(worker_parked_count(w.wk), 0);
}

/* T2: the drain is freed long before the position. */
static void T02_a_parked_cursor_keeps_no_drain(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    reply(f, VERDICT_DELIVERED);
    w.wk->cfg.route_grace_ms = 2 * DRAIN_UNUSED_MS;
    park(f);
    pass_ms(DRAIN_UNUSED_MS + TIDY_MS);
    assert_int_equal(w.freed, 1);
    assert_int_equal(worker_parked_count(w.wk), 1);
}

/* The stream gets a drain of its own, which is parked. */
static void park_one(unsigned n, bool owner)
{
    struct drain_spec *spec = numbered_spec(n * 10);

    spec->owner = owner;
    worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
    turns(2);
    worker_park_route(w.wk, w.stream, spec);
    turns(2);
    drain_spec_unref(spec);
}

struct wanted {
    uint64_t drain;
    bool owner, found;
};

static void look_parked(void *arg, struct cursor *k, const struct drain_place *p, uint64_t away_ms)
{
    struct wanted *want = arg;

    (void)k, (void)away_ms;
    want->found |= p->drain == want->drain && p->owner == want->owner;
}

static bool is_parked(unsigned n, bool owner)
{
    struct drain_spec *spec = numbered_spec(n * 10);
    struct wanted want = {worker_place(w.wk, spec).drain, owner, false};

    worker_parked_each(w.wk, look_parked, &want);
    drain_spec_unref(spec);
    return want.found;
}

static void T02_a_stream_parks_so_many(void **state)
{
    (void)state;
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    for (unsigned n = 0; n < PARKED_STREAM_MAX; n++)
        park_one(n, n % 2);
    assert_int_equal(worker_parked_count(w.wk), PARKED_STREAM_MAX);
    assert_int_equal(w.wk->parked_dropped, 0);
    park_one(PARKED_STREAM_MAX, true); /* the longest parked one is dropped */
    assert_int_equal(worker_parked_count(w.wk), PARKED_STREAM_MAX);
    assert_int_equal(w.wk->parked_dropped, 1);
    assert_false(is_parked(0, false));
    assert_true(is_parked(1, true));
    assert_true(is_parked(PARKED_STREAM_MAX, true));
    park_one(1, true); /* again: it is the same one */
    assert_int_equal(w.wk->parked_dropped, 1);
}

static void T02_a_namespace_parks_so_many(void **state)
{
    unsigned n = 0;

    (void)state;
    put("0.log", T "F one\n", 0);
    for (; n < PARKED_NAMESPACE_MAX; n++) {
        w.stream = 1 + n / PARKED_STREAM_MAX;
        if (n % PARKED_STREAM_MAX == 0) {
            feed_stream();
            feed_segment(1, "0.log");
        }
        park_one(n, true);
    }
    w.stream++;
    feed_stream();
    feed_segment(1, "0.log");
    park_one(n, false); /* an operator's costs the namespace nothing */
    assert_int_equal(worker_parked_count(w.wk), PARKED_NAMESPACE_MAX + 1);
    assert_int_equal(w.wk->parked_dropped, 0);
    park_one(n + 1, true);
    assert_int_equal(worker_parked_count(w.wk), PARKED_NAMESPACE_MAX + 1);
    assert_int_equal(w.wk->parked_dropped, 1);
    assert_false(is_parked(0, true));
    assert_true(is_parked(n, false));
}

/* T2: a drain that fails or was never open is not worth keeping. */
static void T02_an_unused_drain_that_fails_is_freed(void **state)
{
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    reply(f, VERDICT_RETRY);
    detach(f);
    pass_ms(TIDY_SOON_MS);
    assert_int_equal(w.freed, 1);
    park_one(0, true); /* not open yet */
    pass_ms(TIDY_SOON_MS);
    assert_int_equal(w.freed, 2);
}

/* T2: of one namespace's drains that are well some keep their connections. */
static void T02_a_namespace_keeps_few_unused_drains(void **state)
{
    (void)state;
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    for (unsigned n = 0; n < DRAIN_UNUSED_MAX + 5; n++) {
        struct drain_spec *spec = numbered_spec(n * 10);

        spec->owner = true;
        worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
        turns(5);
        open_fake(0);
        reply(w.fakes[0], VERDICT_DELIVERED);
        worker_detach(w.wk, w.stream, spec);
        turns(5);
        drain_spec_unref(spec);
    }
    pass_ms(TIDY_SOON_MS);
    assert_int_equal(w.freed, 5);
    assert_int_equal(w.wk->past.records_out, 5);
    pass_ms(DRAIN_UNUSED_MS + TIDY_MS);
    assert_int_equal(w.freed, DRAIN_UNUSED_MAX + 5);
}

static void dropped_with_a_batch_in_flight(void **state)
{
    static const enum verdict verdicts[] = {VERDICT_DELIVERED, VERDICT_RETRY, VERDICT_REJECTED,
                                            VERDICT_OFFLINE};
    struct fake *f = drain_with(T "F one\n", false);

    (void)state;
    FOR_ROWS (i, verdicts) {
        assert_non_null(f->batch);
        drain_cursor_drop(cursor_of(f));
        assert_null(f->batch->ranges[0].cursor);
        reply(f, verdicts[i]);
        assert_null(f->batch);
        (void)attach(0, false); /* from the start */
        if (f->base.state != DRAIN_OPEN)
            reopen(f);
    }
    reply(f, VERDICT_DELIVERED);
    assert_int_equal(acked(f), sent(f));
}

/* With the answer given but not acted on, and with lines in the ledger. */
static void dropped_with_lines_unconfirmed(void **state)
{
    struct fake *f = drain_with(T "F one\n", true);
    uint64_t end;

    (void)state;
    answer(f, VERDICT_SENT);
    drain_cursor_drop(cursor_of(f));
    turns(3);
    (void)attach(0, true);
    reply(f, VERDICT_SENT);
    end = f->written;
    drain_cursor_drop(cursor_of(f));
    drain_confirm(&f->base, end);
    (void)attach(0, true);
    reply(f, VERDICT_SENT);
    drain_cursor_drop(cursor_of(f));
    lose(f);
    (void)attach(0, true);
    reopen(f);
    reply(f, VERDICT_SENT);
    drain_confirm(&f->base, f->written);
    assert_int_equal(acked(f), sent(f));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(parked_cursor_keeps_its_place),
        CASE(L17_an_ended_cursor_is_forgotten),
        CASE(L04_a_changed_url_takes_the_place_over),
        CASE(L04_the_place_waits_for_the_drain),
        CASE(L04_a_parked_place_is_shared),
        CASE(T02_a_parked_cursor_keeps_no_drain),
        CASE(T02_a_stream_parks_so_many),
        CASE(T02_a_namespace_parks_so_many),
        CASE(T02_an_unused_drain_that_fails_is_freed),
        CASE(T02_a_namespace_keeps_few_unused_drains),
        CASE(dropped_with_a_batch_in_flight),
        CASE(dropped_with_lines_unconfirmed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
