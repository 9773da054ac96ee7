/*
 * Ranges handed over and not confirmed: exactly these are acknowledged, and the ledger stays small.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "drains/core/ledger.h"
#include "drains/core/worker_internal.h"

#define CURSORS 3
#define KIB 1024

/* Cursors of a stream without files: a ledger only uses marks. */
struct world {
    struct loop loop;
    struct reader reader;
    struct stream *stream;
    struct drain_cursor cursors[CURSORS];
    struct rewound rewound[CURSORS];
    struct ledger *ledger;
    uint64_t end; /* end of what was added */
};

static int setup(void **state)
{
    const struct identity id = {.hostname = STR("h"), .tag = STR("t")};
    struct world *w = xcalloc(1, sizeof(*w));

    loop_init(&w->loop);
    reader_init(&w->reader, &w->loop, 4096, 1000);
    w->stream = stream_create(&w->reader, 1, identity_create(&id));
    for (unsigned i = 0; i < CURSORS; i++)
        cursor_init(&w->cursors[i].cursor, w->stream, NULL, false);
    w->ledger = ledger_create();
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    ledger_free(w->ledger);
    for (unsigned i = 0; i < CURSORS; i++)
        cursor_release(&w->cursors[i].cursor);
    stream_free(w->stream);
    reader_release(&w->reader);
    loop_release(&w->loop);
    free(w);
    return 0;
}

static uint64_t acked(const struct world *w, unsigned i)
{
    return w->cursors[i].cursor.acked.pos.off;
}

/* A batch of <bytes> on the wire, one record for each cursor of <mask>, each <bytes> further. */
static void add(struct world *w, unsigned mask, uint64_t bytes, uint64_t now_ms)
{
    struct batch_range ranges[CURSORS];
    struct batch b = {.ranges = ranges};

    for (unsigned i = 0; i < CURSORS; i++) {
        struct cursor *k = &w->cursors[i].cursor;

        if (!(mask & 1u << i))
            continue;
        ranges[b.nranges] = (struct batch_range){.cursor = &w->cursors[i], .from = k->sent};
        k->sent.pos.seg = 1;
        k->sent.pos.off += bytes;
        ranges[b.nranges++].to = k->sent;
        b.records++;
    }
    b.bytes = b.records;
    b.end = w->end += bytes;
    ledger_add(w->ledger, &b, now_ms);
}

static void confirmed(struct drain_cursor *c, const struct mark *to)
{
    cursor_ack(&c->cursor, to);
}

static uint64_t confirm(struct world *w, uint64_t end)
{
    struct drain_counters k = {.bytes_out = 0};
    bool any = ledger_confirm(w->ledger, end, confirmed, &k);

    assert_int_equal(k.bytes_out, k.records_out); /* see add() */
    assert_int_equal(any, k.records_out > 0);
    return k.records_out;
}

static void a_byte_less_confirms_nothing(void **state)
{
    struct world *w = *state;

    assert_true(ledger_empty(w->ledger));
    add(w, 1, 100, 1000);
    assert_false(ledger_empty(w->ledger));
    assert_int_equal(w->cursors[0].inflight, 1);
    assert_int_equal(confirm(w, 99), 0);
    assert_int_equal(acked(w, 0), 0);
    assert_int_equal(confirm(w, 100), 1);
    assert_int_equal(acked(w, 0), 100);
    assert_int_equal(w->cursors[0].inflight, 0);
    assert_true(ledger_empty(w->ledger));
    assert_int_equal(confirm(w, 1000), 0);
}

static void each_cursor_has_its_own_mark(void **state)
{
    struct world *w = *state;

    add(w, 3, 10, 1000);
    add(w, 1, 10, 2000);
    add(w, 6, 10, 3000);
    assert_int_equal(confirm(w, 10), 2);
    assert_int_equal(acked(w, 0), 10);
    assert_int_equal(acked(w, 1), 10);
    assert_int_equal(confirm(w, 20), 1);
    assert_int_equal(acked(w, 0), 20);
    assert_int_equal(acked(w, 1), 10);
    assert_int_equal(confirm(w, 30), 2);
    assert_int_equal(acked(w, 1), 20);
    assert_int_equal(acked(w, 2), 10);
}

/* However much is written within a moment: not many entries, and each an eighth at most. */
static void check_entries(struct world *w)
{
    enum { BATCHES = 100000, ENTRIES = 150 };
    unsigned steps = 0;
    uint64_t start = acked(w, 0), before = start;

    for (unsigned i = 0; i < BATCHES; i++)
        add(w, 1, KIB, 1000);
    for (uint64_t end = KIB; end <= (uint64_t)BATCHES * KIB; end += KIB) {
        (void)confirm(w, end);
        assert_true(acked(w, 0) - start <= end);
        assert_true(end - (acked(w, 0) - start) <= end / 8 + KIB);
        steps += acked(w, 0) != before;
        before = acked(w, 0);
    }
    assert_true(ledger_empty(w->ledger));
    assert_true(steps > 20 && steps < ENTRIES);
}

static void entries_are_fine_and_few(void **state)
{
    struct world *w = *state;

    check_entries(w);
    ledger_clear(w->ledger, 0); /* the next connection counts from 0 */
    w->end = 0;
    check_entries(w);
}

static void time_parts_entries(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < 100; i++)
        add(w, 1, KIB, 1000); /* the last entry now covers a lot */
    add(w, 1, 1, 1000 + LEDGER_SLOT_MS + 1);
    add(w, 1, 1, 1000 + LEDGER_SLOT_MS + 1);
    (void)confirm(w, 100 * KIB);
    assert_int_equal(acked(w, 0), 100 * KIB);
    assert_false(ledger_empty(w->ledger));
}

static void clear_says_what_was_reached(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < CURSORS; i++)
        w->cursors[i].rewound = &w->rewound[i];
    add(w, 3, 10, 1000);
    add(w, 2, 10, 2000);
    add(w, 3, 10, 3000);
    ledger_clear(w->ledger, 29);
    assert_true(ledger_empty(w->ledger));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(acked(w, i), 0);
        assert_int_equal(w->cursors[i].inflight, 0);
    }
    assert_int_equal(w->rewound[0].reached.pos.off, 10);
    assert_int_equal(w->rewound[1].reached.pos.off, 20);
    assert_int_equal(w->rewound[2].reached.pos.off, 0);
    /* The next connection counts from 0 again. */
    w->end = 0;
    add(w, 4, 5, 4000);
    assert_int_equal(confirm(w, 5), 1);
    assert_int_equal(acked(w, 2), 5);
}

static void forgotten_cursors_are_not_touched(void **state)
{
    struct world *w = *state;

    add(w, 3, 10, 1000);
    add(w, 3, 10, 2000);
    ledger_forget_cursor(w->ledger, &w->cursors[0]);
    w->cursors[0].inflight = 77;
    /* The lines were confirmed, although their cursor is gone. */
    assert_int_equal(confirm(w, 10), 2);
    ledger_clear(w->ledger, 20);
    assert_int_equal(w->cursors[0].inflight, 77);
    assert_int_equal(acked(w, 0), 0);
    assert_int_equal(acked(w, 1), 10);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_byte_less_confirms_nothing), CASE(each_cursor_has_its_own_mark),
        CASE(entries_are_fine_and_few),     CASE(time_parts_entries),
        CASE(clear_says_what_was_reached),  CASE(forgotten_cursors_are_not_touched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
