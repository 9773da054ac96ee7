/*
 * A batch for which the peer answered record by record (a bulk request). No state is kept per
 * record. The cursor goes back to its first unresolved record, and everything from there is sent
 * again. So records delivered behind that one are sent twice, which is why the peer must recognise
 * duplicates. The offset of the n-th record of a range is not stored either, because it is needed
 * seldom: the range is read once more.
 *
 *   range    r0 r1 r2 r3 r4 r5       d delivered, x rejected, ? to be sent again
 *             d  d  x  d  ?  d
 *                        ▲ acked and sent: r2 is counted and logged, r4 and r5 are sent again
 *
 * Such a cursor is stuck: it pauses, longer each time. The drain's other streams go on, because
 * what one index refuses another may take. The drain counts as failing while a cursor is stuck. A
 * stream of which every record is rejected gets stuck too.
 *
 * Called by drain_act_on() only.
 */
#include <string.h>

#include "drains/core/worker_internal.h"

/* State for walking over the resolved records of a range: counts delivered ones, logs refused
 * ones. */
struct passage {
    struct record_sink sink;
    const struct batch *batch;
    const struct batch_range *range;
    const unsigned char *outcome; /* outcome of the next record */
    uint64_t bytes;               /* delivered message bytes */
    uint32_t gaps;                /* delivered gap records */
    uint32_t rejected;
    uint64_t segment, offset; /* place of the first rejected record ... */
    uint32_t lines_lost;      /* ... number of rejected lines ... */
    uint64_t bytes_lost;      /* ... and their message bytes */
};

static int pass(struct record_sink *s, const struct record *r)
{
    struct passage *p = container_of(s, struct passage, sink);

    if (*p->outcome++ == VERDICT_REJECTED) {
        drain_refused(p->range->cursor, r, &p->batch->refusal);
        if (!p->rejected++) {
            p->segment = r->segment;
            p->offset = r->offset;
        }
        if (!(r->flags & RECORD_GAP)) {
            p->lines_lost++;
            p->bytes_lost += r->msg.len;
        }
    } else if (r->flags & RECORD_GAP) {
        p->gaps++;
    } else {
        p->bytes += r->msg.len;
    }
    return 0;
}

static bool is_resolved(unsigned char outcome)
{
    return outcome == VERDICT_DELIVERED || outcome == VERDICT_REJECTED;
}

/* How many of <n> outcomes stand before the first unresolved one; *rejected of them are
 * rejected. */
static uint32_t resolved(const unsigned char *outcome, uint32_t n, uint32_t *rejected)
{
    uint32_t i = 0;

    for (*rejected = 0; i < n && is_resolved(outcome[i]); i++)
        *rejected += outcome[i] == VERDICT_REJECTED;
    return i;
}

/* A range of the same cursor earlier in the batch is sent again, so <r> must be too. */
static bool follows_stuck(const struct batch *b, const struct batch_range *r)
{
    for (const struct batch_range *before = b->ranges; before < r; before++)
        if (before->cursor == r->cursor && before->stuck)
            return true;
    return false;
}

/* Moves the cursor of <r>. */
static void resolve(struct batch *b, struct batch_range *r, const unsigned char *outcome)
{
    struct drain *d = b->drain;
    struct drain_cursor *c = r->cursor;
    struct passage p = {.sink.add = pass, .batch = b, .range = r, .outcome = outcome};
    struct mark end = r->to;
    uint32_t rejected, n = resolved(outcome, r->records, &rejected), found = n;

    if (n < r->records || rejected) {
        found = batch_range_read(r, n, &p.sink, n < r->records ? &end : NULL);
    } else {
        p.bytes = r->bytes;
        p.gaps = r->gaps;
        if (r->dry_at)
            c->caught_up_at = r->dry_at;
    }
    r->stuck = n < r->records;
    if (r->stuck)
        n = found; /* the rest is sent again and gets a new answer */
    else
        for (; p.rejected < rejected; p.rejected++) /* the file is gone, so the offset is unknown */
            drain_refused(c, &(struct record){.offset = r->from.pos.off}, &b->refusal);
    cursor_ack(&c->cursor, &end);
    if (p.lines_lost) {
        cursor_refused(&c->cursor, p.segment, p.offset, p.lines_lost, p.bytes_lost);
        c->pending = true;
    }
    c->reject_tries = 0;
    if (!r->stuck)
        drain_cursor_unstick(c);
    r->passed = n > 0;
    d->counters.records_out += n - p.rejected - p.gaps;
    d->counters.gaps += p.gaps;
    d->counters.bytes_out += p.bytes;
}

/* The worst outcome: HOLD, then RETRY, then 0. */
static enum verdict worst(const unsigned char *outcome, uint32_t n)
{
    enum verdict v = VERDICT_DELIVERED;

    for (uint32_t i = 0; i < n; i++) {
        if (outcome[i] == VERDICT_HOLD)
            return VERDICT_HOLD;
        if (!is_resolved(outcome[i]))
            v = VERDICT_RETRY;
    }
    return v;
}

/* Moves the cursor back to its first unresolved record and pauses it. <moved>: records before that
 * were resolved. */
static void stick(struct drain_cursor *c, enum verdict rest, bool moved)
{
    if (moved)
        drain_cursor_unstick(c);
    drain_cursor_rewind(c);
    c->pending = !c->probing; /* then it waits until something else can be tried */
    drain_cursor_stick(c,
                       worker_backoff(c->drain->worker, c->stuck_tries,
                                      rest == VERDICT_HOLD ? HOLD_MS : BACKOFF_CAP_MS),
                       false);
}

/* Returns the unresolved ranges of the batch; other cursors may go on. */
static enum verdict give_back(struct batch *b)
{
    const unsigned char *outcome = b->outcomes;

    for (unsigned i = 0; i < b->nranges; outcome += b->ranges[i++].records) {
        struct batch_range *r = &b->ranges[i];

        if (!r->cursor)
            continue;
        r->cursor->busy = false;
        if (!r->stuck)
            drain_cursor_ready(r->cursor, false);
        else if (!follows_stuck(b, r))
            stick(r->cursor, worst(outcome, r->records), r->passed);
    }
    return worst(b->outcomes, b->records);
}

/* ---- refusals ---- */

static uint32_t count(const unsigned char *outcome, uint32_t n, enum verdict v)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < n; i++)
        found += outcome[i] == v;
    return found;
}

/* The outcomes of all ranges of one cursor in the batch. */
struct tally {
    uint32_t delivered; /* lines */
    uint32_t rejected;
};

static struct tally tally(const struct batch *b, const struct batch_range *r)
{
    const unsigned char *outcome = b->outcomes;
    struct tally t = {0, 0};
    uint32_t gaps = 0;

    for (unsigned i = 0; i < b->nranges; outcome += b->ranges[i++].records) {
        if (b->ranges[i].cursor != r->cursor)
            continue;
        gaps += b->ranges[i].gaps;
        t.delivered += count(outcome, b->ranges[i].records, VERDICT_DELIVERED);
        t.rejected += count(outcome, b->ranges[i].records, VERDICT_REJECTED);
    }
    t.delivered -= t.delivered < gaps ? t.delivered : gaps;
    return t;
}

/* If the peer takes nothing of a stream, its refused records are not skipped without limit (see
 * refusal.c): the stream waits. */
static void weigh(struct batch *b, const struct batch_range *r, unsigned char *outcome)
{
    struct drain_cursor *c = r->cursor;
    struct tally t = tally(b, r);

    c->probing = false;
    if (t.delivered) {
        drain_cursor_accepted(c);
        c->allowed = t.rejected;
    } else if (t.rejected && !drain_may_pass(c, t.rejected)) {
        for (uint32_t i = 0; i < r->records; i++)
            if (outcome[i] == VERDICT_REJECTED)
                outcome[i] = VERDICT_HOLD;
        c->probing = t.rejected < REFUSED_RUN;
        drain_explain_refusal(b->drain, &b->refusal, &b->err);
    }
}

/* How often in a row the first stream of <b> was refused. */
static unsigned first_tries(const struct batch *b)
{
    return b->refusal.code && b->ranges[0].cursor ? b->ranges[0].cursor->stuck_tries : 0;
}

void drain_mixed(struct drain *d, struct batch *b)
{
    unsigned char *outcome = b->outcomes;
    enum verdict rest;

    if (count(outcome, b->records, VERDICT_DELIVERED) > b->gaps)
        drain_accepted(d);
    for (unsigned i = 0; i < b->nranges; outcome += b->ranges[i++].records)
        if (b->ranges[i].cursor)
            weigh(b, &b->ranges[i], outcome);
    outcome = b->outcomes;
    for (unsigned i = 0; i < b->nranges; outcome += b->ranges[i++].records) {
        struct batch_range *r = &b->ranges[i];

        if (r->cursor && follows_stuck(b, r))
            r->stuck = true;
        else if (r->cursor)
            resolve(b, r, outcome);
    }
    rest = give_back(b);
    if (rest == VERDICT_DELIVERED) {
        drain_recovered(d);
        drain_grow(d, b);
        if (!d->nstuck)
            d->last_error = b->refusal;
        return;
    }
    d->counters.retries++;
    scheme_failed(d, rest, &b->err);
    drain_mark_failing(d, rest == VERDICT_HOLD || d->suspended, BACKOFF_BASE_MS, &b->err);
    d->healthy = memchr(b->outcomes, VERDICT_DELIVERED, b->records) != NULL;
    if (d->healthy)
        return;
    d->batch_target = BATCH_BYTES_PROBE;
    for (unsigned tries = first_tries(b); tries > 1 && d->batch_target < batch_max(d); tries--)
        d->batch_target *= 2; /* the peer may take one of a thousand */
}
