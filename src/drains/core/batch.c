/*
 * Filling batches: ready cursors take turns, QUANTUM bytes each, and the format writes straight
 * into the batch's body. No allocation per record; bodies are used again. Called by drain_work()
 * once per turn and drain.
 *
 * How much a batch holds follows the drain's health: BATCH_BYTES_PROBE while it has not answered
 * well, then twice as much with each good answer; and what its party may still have (budget.c). A
 * range is one cursor's turn, in the order of the body.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/core/worker_internal.h"
#include "formats/format.h"

#define QUANTUM (64 * 1024)
#define TURNS_MAX 64      /* of cursors, in one batch: bounds the work of one turn of the loop */
#define SPARE_BATCHES 64  /* kept for use again, without bodies */
#define SLACK (16 * 1024) /* a batch with a record in it passes its target by so much at most */
#define SMALL_BODY 4096   /* bytes of a body for one record ... */
#define LARGE_BODY (64 * 1024) /* ... and from which on its unused half is given back */

struct filler {
    struct record_sink sink;
    struct batch *batch;
    struct formatter *formatter; /* of the cursor whose turn it is */
    struct batch_range *range;
    bool full; /* though the target is not reached */
    size_t target;
    uint32_t max_records;
};

size_t batch_max(const struct drain *d)
{
    switch (d->spec->batch) {
    case BATCH_NDJSON:
    case BATCH_ARRAY:
    case BATCH_MANY:
        return BATCH_BYTES_HTTP;
    case BATCH_RECORD:
    case BATCH_STREAM:
        break;
    }
    return BATCH_BYTES_STREAM;
}

/* ---- bodies: few, used again by all drains ---- */

/* A spare one that is not too large to be held for <want> bytes. */
static struct buf body_take(struct worker *wk, size_t want)
{
    size_t most = want <= SMALL_BODY ? SMALL_BODY : 2 * want > LARGE_BODY ? 2 * want : LARGE_BODY;

    for (unsigned i = wk->nspare_bodies; i-- > 0;) {
        struct buf body = wk->spare_bodies[i];

        if (body.cap > most)
            continue;
        wk->spare_bodies[i] = wk->spare_bodies[--wk->nspare_bodies];
        wk->spare_bytes -= body.cap;
        return body;
    }
    return BUF_INIT(BATCH_GROWTH_MAX);
}

void batch_body_release(struct batch *b)
{
    struct worker *wk = b->drain->worker;

    if (b->body.p && wk->nspare_bodies < SPARE_BODIES &&
        wk->spare_bytes + b->body.cap <= SPARE_BYTES) {
        buf_clear(&b->body);
        wk->spare_bytes += b->body.cap;
        wk->spare_bodies[wk->nspare_bodies++] = b->body;
        b->body = BUF_INIT(BATCH_GROWTH_MAX);
        return;
    }
    buf_release(&b->body);
}

/* A body that is mostly empty does not keep what others could use. */
static void body_trim(struct batch *b)
{
    struct buf small = BUF_INIT(BATCH_GROWTH_MAX);

    if (b->body.cap <= LARGE_BODY || b->body.cap / 2 <= b->body.len ||
        buf_add_str(&small, buf_str(&b->body)) < 0)
        return;
    batch_body_release(b);
    b->body = small;
}

static struct batch *batch_take(struct drain *d, size_t want)
{
    struct worker *wk = d->worker;
    struct batch *b;

    if (list_empty(&wk->spare)) {
        b = xcalloc(1, sizeof *b);
        list_init(&b->node);
        list_init(&b->body_node);
    } else {
        b = list_entry(wk->spare.next, struct batch, node);
        list_del(&b->node);
        wk->nspare--;
    }
    b->body = body_take(wk, want);
    b->drain = d;
    return b;
}

unsigned char *batch_outcomes(struct batch *b)
{
    if (!b->outcomes) {
        b->outcomes = xmalloc(b->records);
        memset(b->outcomes, VERDICT_DELIVERED, b->records);
    }
    return b->outcomes;
}

void batch_free(struct batch *b)
{
    struct worker *wk = b->drain->worker;

    list_del(&b->node);
    list_del(&b->body_node);
    free(b->outcomes);
    batch_body_release(b);
    if (wk->nspare == SPARE_BATCHES) {
        free(b->ranges);
        free(b);
        return;
    }
    *b = (struct batch){.ranges = b->ranges, .ranges_cap = b->ranges_cap};
    list_init(&b->body_node);
    list_init(&b->node);
    list_add_head(&wk->spare, &b->node);
    wk->nspare++;
}

void batch_let_go(struct batch *b)
{
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor)
            b->ranges[i].cursor->inflight--;
}

void batch_forget_cursor(struct batch *b, const struct drain_cursor *c)
{
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor == c)
            b->ranges[i].cursor = NULL;
}

static int filler_add(struct record_sink *s, const struct record *r)
{
    struct filler *f = container_of(s, struct filler, sink);
    struct batch *b = f->batch;
    struct drain_counters *k = &b->drain->counters;
    size_t len = b->body.len, limit = b->drain->batch_limit;
    bool cut = false;

    if (b->records >= f->max_records || len >= f->target)
        return -1;
    b->body.max = b->records ? f->target + SLACK : BATCH_GROWTH_MAX;
    if (formatter_add(f->formatter, &b->body, r, b->now, &cut) < 0) {
        f->full = b->records;
        if (f->full)
            return -1;
        k->rejected++; /* larger than a whole batch may be: there is no other way for it */
        k->too_large++;
        return 0;
    }
    if (limit && b->records && b->body.len > limit) {
        b->body.len = len; /* a target may be passed, a limit may not */
        f->full = true;
        return -1;
    }
    b->records++;
    f->range->records++;
    if (r->flags & RECORD_GAP) {
        b->gaps++;
        f->range->gaps++;
        return 0;
    }
    b->bytes += r->msg.len;
    f->range->bytes += r->msg.len;
    k->truncated += cut;
    return 0;
}

static struct batch_range *range_add(struct batch *b, struct drain_cursor *c)
{
    struct batch_range *r;

    if (b->nranges == b->ranges_cap) {
        b->ranges_cap = b->ranges_cap ? b->ranges_cap * 2 : 4;
        b->ranges = xrealloc(b->ranges, b->ranges_cap * sizeof(*b->ranges));
    }
    r = &b->ranges[b->nranges++];
    *r = (struct batch_range){.cursor = c, .from = c->cursor.sent};
    return r;
}

/* One cursor's turn. */
static void fill_from(struct filler *f, struct drain_cursor *c)
{
    struct worker *wk = c->drain->worker;
    struct batch *b = f->batch;
    struct batch_range *r = range_add(b, c);
    uint64_t now = loop_now(&wk->loop);
    size_t quantum = f->max_records == 1 ? 4096 : f->target < QUANTUM ? f->target : QUANTUM;
    enum read_result rc;

    f->formatter = drain_cursor_formatter(c);
    f->range = r;
    rc = cursor_read(&c->cursor, quantum, &f->sink);
    r->to = c->cursor.sent;
    r->dry_at = rc == READ_MORE || rc == READ_STUCK ? 0 : now ? now : 1;
    c->pending = rc == READ_MORE;
    c->ended = rc == READ_END;
    if (c->stuck_until &&
        ((rc != READ_WAIT && rc != READ_STUCK) || c->cursor.wake_at > c->stuck_until))
        c->cursor.wake_at = c->stuck_until;
    if (rc == READ_WAIT || rc == READ_STUCK || c->stuck_until)
        worker_wait(wk, c);
    if (r->records) {
        c->inflight++;
        drain_cursor_ready(c, false);
        return;
    }
    b->nranges--; /* there was nothing to read */
    if (r->dry_at && !c->inflight)
        c->caught_up_at = now;
    drain_cursor_settle_idle(c);
    drain_cursor_ready(c, false);
    drain_cursor_done(c);
}

static size_t target_now(const struct drain *d)
{
    size_t target = d->batch_target, room = budget_room(d);

    if (target > room)
        target = room;
    if (d->batch_limit && target > d->batch_limit)
        target = d->batch_limit;
    return target;
}

struct batch *batch_fill(struct drain *d)
{
    struct filler f = {.sink.add = filler_add, .target = target_now(d)};
    unsigned turns = TURNS_MAX;

    f.batch = batch_take(d, d->spec->batch == BATCH_RECORD ? SMALL_BODY : f.target);
    f.batch->now = str_make(f.batch->now_text, clock_format(f.batch->now_text, clock_wall_ns()));
    f.max_records = d->spec->batch == BATCH_RECORD ? 1 : BATCH_RECORDS_MAX;
    if (d->record_limit && d->record_limit < f.max_records)
        f.max_records = d->record_limit;
    while (turns-- && !list_empty(&d->ready) && f.batch->body.len < f.target &&
           f.batch->records < f.max_records && !f.full) {
        struct drain_cursor *c = list_entry(d->ready.next, struct drain_cursor, ready_node);

        if (drain_cursor_doubted(c) && f.batch->records)
            break; /* what is behind suspects goes alone */
        if (drain_cursor_doubted(c))
            f.max_records = 1;
        list_del(&c->ready_node);
        fill_from(&f, c);
    }
    if (!f.batch->records) {
        batch_free(f.batch);
        return NULL;
    }
    for (unsigned i = 0; i < f.batch->nranges && !d->pipelined; i++) {
        struct drain_cursor *c = f.batch->ranges[i].cursor;

        c->busy = true; /* its next batch waits for the answer, or its lines could change places */
        list_del(&c->ready_node);
    }
    f.batch->body.max = BATCH_GROWTH_MAX;
    (void)formatter_end(drain_cursor_formatter(f.batch->ranges[0].cursor),
                        &f.batch->body); /* one byte; the cap is far */
    body_trim(f.batch);
    return f.batch;
}
