/*
 * Fills batches. Ready cursors take turns of QUANTUM bytes, and the format writes directly into the
 * batch's body. No allocation per record. Called by drain_work() once per turn and drain.
 *
 * The size of a batch follows the drain's health: BATCH_BYTES_PROBE until it has answered well,
 * then doubled with each good answer, within the budget of its party (budget.c). A range is one
 * cursor's turn; ranges stand in the order of the body. When a batch was not taken, its cursors go
 * back and are ready again.
 */
#include "drains/core/worker_internal.h"
#include "formats/format.h"

#define QUANTUM (64 * 1024)
#define TURNS_MAX 64             /* cursors in one batch: bounds the work of one turn of the loop */
#define PASSED_MAX (1024 * 1024) /* ... as does this, when most records are not wanted */
#define SLACK (16 * 1024) /* most by which a batch with a record in it may exceed its target */

struct filler {
    struct record_sink sink;
    bool picks; /* not every record is wanted: see pick.c */
    struct batch *batch;
    struct formatter *formatter; /* of the current cursor */
    struct batch_range *range;
    bool full; /* stop, although the target is not reached */
    size_t target;
    size_t begun;  /* bytes in the body before its first record */
    size_t passed; /* message bytes of records that were not wanted */
    uint32_t max_records;
    struct pick pick; /* of the current record */
};

/* ---- size ---- */

size_t batch_max(const struct drain *d)
{
    switch (d->spec->batch) {
    case BATCH_NDJSON:
    case BATCH_ARRAY:
    case BATCH_MANY:
        return d->spec->batch_bytes ? d->spec->batch_bytes : BATCH_BYTES_HTTP;
    case BATCH_RECORD:
    case BATCH_STREAM:
        break;
    }
    return BATCH_BYTES_STREAM;
}

void drain_grow(struct drain *d, const struct batch *b)
{
    size_t max = batch_max(d);

    if (b->len >= d->batch_target / 2)
        d->batch_target = d->batch_target * 2 > max ? max : d->batch_target * 2;
    if (d->lags && !b->alone)
        return;
    if (d->suspect > b->records) {
        d->suspect -= b->records;
        d->record_limit = d->lags ? drain_seek_limit(d->suspect) : d->record_limit * 2;
    } else {
        d->suspect = 0;
        d->record_limit = 0;
    }
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

/* ---- turns ---- */

static inline bool is_full(struct filler *f)
{
    const struct batch *b = f->batch;

    if (b->records < f->max_records && b->body.len - (b->records ? 0 : f->begun) < f->target)
        return false;
    /* It stays full even if removing the range's beginning brings it below the target. */
    f->full = true;
    return true;
}

static int filler_add(struct record_sink *s, const struct record *r)
{
    struct filler *f = container_of(s, struct filler, sink);
    struct batch *b = f->batch;
    struct drain_counters *k = &b->drain->counters;
    size_t len = b->body.len, limit = b->drain->batch_limit;
    bool cut = false;

    if (is_full(f))
        return -1;
    b->body.max = b->records ? f->target + SLACK : BATCH_GROWTH_MAX;
    if (formatter_add(f->formatter, &b->body, r, b->now, &cut) < 0) {
        f->full = b->records;
        if (f->full)
            return -1;
        k->rejected++; /* larger than a whole batch may be: it can only be skipped */
        k->too_large++;
        return 0;
    }
    if (limit && b->records && b->body.len > limit) {
        b->body.len = len; /* the target may be exceeded, the limit may not */
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

/* Instead of filler_add() when not every record is wanted. */
static int filler_pick(struct record_sink *s, const struct record *r)
{
    struct filler *f = container_of(s, struct filler, sink);
    struct drain_cursor *c = f->range->cursor;
    struct cursor *k = &c->cursor;
    enum drain_tap_answer answer;
    int64_t rate = k->sent.rate;

    if (is_full(f))
        return -1;
    answer = drain_cursor_picks(c, k, &r, &f->pick);
    if (answer == TAP_PASS) {
        f->passed += r->msg.len;
        return 0;
    }
    f->full = answer == TAP_LATER;
    if (f->full)
        return -1;
    if (filler_add(s, r) == 0) {
        if (f->pick.found)
            drain_cursor_found(c, f->pick.found);
        return 0;
    }
    k->sent.rate = rate; /* it is offered again */
    return -1;
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

/* <c> is at its end, and no record came of this turn. Records of earlier turns may still be in <b>:
 * the end is told when they are delivered. */
static void came_dry(struct batch *b, struct drain_cursor *c, uint64_t now)
{
    for (unsigned i = b->nranges; i-- > 0;) {
        struct batch_range *r = &b->ranges[i];

        if (r->cursor != c)
            continue;
        r->to = c->cursor.sent;
        r->dry_at = now;
        return;
    }
    drain_cursor_tell_dry(c);
}

/* Reads one cursor's turn. */
static void fill_from(struct filler *f, struct drain_cursor *c)
{
    struct worker *wk = c->drain->worker;
    struct batch *b = f->batch;
    struct batch_range *r = range_add(b, c);
    size_t before = b->body.len;
    uint64_t now = loop_now(&wk->loop);
    size_t quantum = f->max_records == 1 ? 4096 : f->target < QUANTUM ? f->target : QUANTUM;
    enum read_result rc;

    f->formatter = drain_cursor_formatter(c);
    f->range = r;
    b->body.max = BATCH_GROWTH_MAX; /* what begins and ends a range is far below this cap */
    (void)formatter_begin_range(f->formatter, &b->body);
    f->begun = b->body.len;
    if (f->picks)
        drain_cursor_before(c, now);
    rc = cursor_read(&c->cursor, quantum, &f->sink);
    r->to = c->cursor.sent;
    if (f->picks)
        drain_cursor_picked(c);
    r->dry_at = rc == READ_MORE || rc == READ_STUCK ? 0 : now ? now : 1;
    c->pending = rc == READ_MORE;
    c->ended = rc == READ_END;
    if (f->picks)
        surplus_after(c);
    if (c->stuck_until &&
        ((rc != READ_WAIT && rc != READ_STUCK) || c->cursor.wake_at > c->stuck_until))
        c->cursor.wake_at = c->stuck_until;
    if (rc == READ_WAIT || rc == READ_STUCK || c->stuck_until)
        worker_wait(wk, c);
    if (r->records) {
        b->body.max = BATCH_GROWTH_MAX;
        (void)formatter_end_range(f->formatter, &b->body);
        c->inflight++;
        drain_cursor_ready(c, false);
        return;
    }
    b->nranges--; /* there was nothing to read */
    b->body.len = before;
    if (r->dry_at && !c->inflight)
        c->caught_up_at = now;
    if (r->dry_at && c->drain->ops->tap)
        came_dry(b, c, r->dry_at);
    drain_cursor_settle_idle(c);
    drain_cursor_ready(c, false);
    drain_cursor_done(c);
}

/* Reads the cursors' turns that <old> had. A turn may have fewer records now; then <f> is another
 * batch, and no worse. */
static void fill_like(struct filler *f, const struct batch *old)
{
    f->batch->tries = old->tries;
    f->target = old->len + SLACK;
    for (unsigned i = 0; i < old->nranges; i++) {
        struct drain_cursor *c = old->ranges[i].cursor;

        if (!c || list_empty(&c->ready_node))
            continue; /* its first turn found it at its end */
        f->max_records = f->batch->records + old->ranges[i].records;
        list_del(&c->ready_node);
        fill_from(f, c);
        f->full = false;
    }
}

static void fill_by_turns(struct filler *f, struct drain *d)
{
    unsigned turns = TURNS_MAX;

    while (turns-- && !list_empty(&d->ready) && f->batch->body.len < f->target &&
           f->batch->records < f->max_records && f->passed < PASSED_MAX && !f->full) {
        struct drain_cursor *c = list_entry(d->ready.next, struct drain_cursor, ready_node);

        if (drain_cursor_doubted(c) && f->batch->records)
            break; /* records behind suspects are sent alone */
        if (drain_cursor_doubted(c))
            f->max_records = 1;
        list_del(&c->ready_node);
        fill_from(f, c);
    }
}

struct batch *batch_fill(struct drain *d)
{
    bool picks = drain_picks(d);
    struct filler f = {
        .sink.add = picks ? filler_pick : filler_add, .picks = picks, .target = target_now(d)};
    struct batch *old = repeat_take(d);

    f.batch = batch_take(d, d->spec->batch == BATCH_RECORD ? SMALL_BODY : f.target);
    f.batch->now = str_make(f.batch->now_text, clock_format(f.batch->now_text, clock_wall_ns()));
    f.max_records = d->spec->batch == BATCH_RECORD ? 1
                    : d->spec->batch_records       ? d->spec->batch_records
                                                   : BATCH_RECORDS_MAX;
    if (d->record_limit && d->record_limit < f.max_records)
        f.max_records = d->record_limit;
    if (d->ops->tap)
        d->ops->tap->turn(d);
    d->search_steps = 0;
    if (old) {
        fill_like(&f, old);
        repeat_free(old);
    } else {
        fill_by_turns(&f, d);
    }
    if (!f.batch->records) {
        batch_free(f.batch);
        return NULL;
    }
    for (unsigned i = 0; i < f.batch->nranges && !d->pipelined; i++) {
        struct drain_cursor *c = f.batch->ranges[i].cursor;

        c->busy = true; /* its next batch waits for the answer; if not, lines could be reordered */
        list_del(&c->ready_node);
    }
    f.batch->body.max = BATCH_GROWTH_MAX;
    (void)formatter_end(drain_cursor_formatter(f.batch->ranges[0].cursor),
                        &f.batch->body); /* one byte, far below the cap */
    batch_body_trim(f.batch);
    return f.batch;
}

/* ---- batches that were not taken ---- */

void drain_give_back(struct drain *d, struct batch *b)
{
    for (unsigned i = b->nranges; i-- > 0;) {
        struct drain_cursor *c = b->ranges[i].cursor;

        if (!c)
            continue;
        c->busy = false;
        if (d->pipelined)
            continue; /* drain_disconnected() rewinds all of them */
        drain_cursor_rewind(c);
        drain_cursor_ready(c, true);
    }
}
