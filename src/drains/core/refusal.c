/*
 * Acts on a refusal (VERDICT_REJECTED, VERDICT_TOO_LARGE). It has to tell a bad record from a wrong
 * receiver. If the peer takes other records and refuses one, the record is bad. A peer that has
 * taken nothing is most likely not the receiver that the URL should name. Skipping what it refuses
 * would lose the whole log, record by record.
 *
 * A refused batch is halved until a single record remains. This record is tried REJECT_TRIES times.
 * Then it is skipped (counted, logged, reported to the drain as a gap) if two things are true: the
 * peer has taken something since the drain was created, and fewer than REFUSED_RUN records in a row
 * have been refused, of this stream or of all. If not, the record is a suspect: it stays
 * unconfirmed, and the records behind it are tried.
 *
 *     acked     sent
 *       ▼         ▼
 *       s1 s2 s3  a      s: suspects; a: the next record, alone
 *
 * When <a> is taken, the peer does take records: the cursor goes back to s1, and as many records as
 * there were suspects may be skipped if they are refused again. When the window is full of
 * suspects, or nothing is left to read, all wait, with growing pauses as after a 404. Then they are
 * tried from s1 again with a window twice as large, because the peer may take one record of a
 * thousand. Lines written while the window has room are tried at once.
 *
 * A restart and a changed URL create a new drain, which has taken nothing yet.
 */
#include "base/log.h"
#include "drains/core/worker_internal.h"

#define SKIP_PAUSE_MS 200 /* pause between attempts of a record that was refused alone */
#define LIMIT_LEAST 4096  /* message size that every peer is assumed to take */
#define WINDOW_DOUBLINGS 7
#define WINDOW_DOUBLINGS_LAGS 3 /* when each attempt costs a connection */

/* ---- what the peer takes ---- */

/* Lines only: a peer that takes gap records need not take the lines around them. */

void drain_accepted(struct drain *d)
{
    if (!d->accepted && d->fresh && d->spec->scheme->promise != PROMISE_BEST_EFFORT)
        worker_news(d->worker, d->spec, DRAIN_DELIVERS, 0);
    d->accepted++;
    d->succeeded_at = clock_wall_ns() / 1000000;
    d->refused_run = 0;
    d->suspects = 0;
}

void drain_cursor_accepted(struct drain_cursor *c)
{
    c->refused_run = 0;
    c->allowed = c->suspects;
    if (!c->suspects)
        return;
    drain_cursor_rewind(c);
    drain_cursor_unstick(c);
    drain_recovered(c->drain);
}

bool drain_may_pass(const struct drain_cursor *c, uint32_t records)
{
    const struct drain *d = c->drain;

    return records <= c->allowed || (d->accepted && d->refused_run + records <= REFUSED_RUN &&
                                     c->refused_run + records <= REFUSED_RUN);
}

/* ---- skipping records ---- */

static const struct segment *segment_of(const struct stream *s, uint64_t id_hash)
{
    list_for_each (it, &s->segments) {
        const struct segment *seg = list_entry(it, struct segment, node);

        if (seg->id_hash == id_hash)
            return seg;
    }
    return NULL;
}

/* One more record is skipped. */
static void count_run(struct drain_cursor *c)
{
    if (c->allowed) {
        c->allowed--;
        return;
    }
    c->refused_run++;
    c->drain->refused_run++;
}

void drain_refused(struct drain_cursor *c, const struct record *r, const struct err *why)
{
    const struct segment *seg = segment_of(c->cursor.stream, r->segment);
    struct drain *d = c->drain;

    count_run(c);
    if (r->flags & RECORD_GAP)
        return; /* no line is lost */
    d->counters.rejected++;
    scheme_failed(d, VERDICT_REJECTED, why);
    log_warn_for(identity_cause(c->cursor.stream->identity),
                 "record refused by the receiver, skipped", KV_CSTR("drain", d->spec->name),
                 KV_CSTR("file", seg && seg->path ? seg->path : "(deleted)"),
                 KV_INT("offset", r->offset), KV_ERR(why));
}

/* Records of <b> were refused, and nobody knows which: none is sent again, for the others would be
 * there twice, and no gap is reported, for it has no place. */
static void pass_over_some(struct drain *d, const struct batch *b, uint32_t records, uint64_t bytes)
{
    const struct drain_cursor *first = b->ranges[0].cursor;
    struct log_cause cause =
        first ? identity_cause(first->cursor.stream->identity) : drain_cause(d);

    d->counters.rejected += records;
    d->counters.lost[GAP_REFUSED] += bytes;
    d->worker->reader.stats.lost[GAP_REFUSED] += bytes;
    scheme_failed(d, VERDICT_REJECTED, &b->refusal);
    log_warn_for(cause, "records refused by the receiver, which does not say which",
                 KV_CSTR("drain", d->spec->name), KV_INT("records", records),
                 KV_INT("of", b->records - b->gaps), KV_ERR(&b->refusal));
    worker_news(d->worker, d->spec, DRAIN_REFUSES, records);
}

uint32_t drain_dropped(struct drain *d, const struct batch *b, uint64_t *bytes)
{
    uint32_t lines = b->records - b->gaps, records = b->dropped < lines ? b->dropped : lines;

    *bytes = records ? b->bytes / lines * records : 0;
    if (records)
        pass_over_some(d, b, records, *bytes);
    return records;
}

/* Finds the place of a record in its file; its content is not kept. */
struct located {
    struct record_sink sink;
    struct record record;
};

static int locate(struct record_sink *s, const struct record *r)
{
    struct located *l = container_of(s, struct located, sink);

    l->record = (struct record){.segment = r->segment, .offset = r->offset, .flags = r->flags};
    return 0;
}

/* Skips the only record of <b>. */
static void pass_over(struct drain *d, const struct batch *b)
{
    const struct batch_range *r = &b->ranges[0];
    struct drain_cursor *c = r->cursor;
    struct located at = {.sink.add = locate, .record.offset = r->from.pos.off};

    (void)batch_range_read(r, 1, &at.sink, NULL);
    drain_refused(c, &at.record, &b->err);
    d->counters.too_large += b->verdict == VERDICT_TOO_LARGE && !r->gaps;
    if (d->lags && b->len < LIMIT_LEAST)
        d->batch_limit = 0; /* the size was not the cause */
    if (d->suspect)
        d->suspect--;
    if (!d->suspect)
        d->record_limit = 0;
    cursor_ack(&c->cursor, &r->to);
    if (!r->gaps)
        cursor_refused(&c->cursor, at.record.segment, at.record.offset, 1, r->bytes);
    c->reject_tries = 0;
    c->busy = false;
    c->pending = true;
    drain_cursor_unstick(c);
    drain_cursor_ready(c, true);
}

/* ---- suspects ---- */

static unsigned window(const struct drain *d, unsigned passes)
{
    unsigned most = d->lags ? WINDOW_DOUBLINGS_LAGS : WINDOW_DOUBLINGS;

    return REFUSED_RUN << (passes < most ? passes : most);
}

void drain_explain_refusal(const struct drain *d, const struct err *refusal, struct err *out)
{
    (void)err_set(out, refusal->code, "%s; %s", refusal->text,
                  d->accepted ? "it refuses all recent records"
                              : "it has accepted nothing yet, check the URL");
}

/* After one more suspect of <c>: whether the whole drain should pause. If the drain has taken
 * something, it pauses only when many streams have suspects, so that one stream cannot delay the
 * others. */
static bool refuses_all(struct drain *d, const struct drain_cursor *c)
{
    if (!d->accepted)
        return ++d->suspects >= window(d, d->attempts);
    d->suspects += c->suspects == 1;
    return d->suspects >= REFUSED_RUN && d->nstuck >= REFUSED_RUN;
}

/* The only record of <b> is refused, and it is unknown whether the peer takes others. */
static void suspect(struct drain *d, struct batch *b)
{
    struct drain_cursor *c = b->ranges[0].cursor;
    uint64_t pause = worker_backoff(d->worker, c->stuck_tries, HOLD_MS);
    struct err why;

    drain_explain_refusal(d, &b->err, &why);
    c->busy = false;
    c->reject_tries = 0;
    c->suspects++;
    if (!c->stuck_tries)
        c->suspected_at = d->accepted;
    drain_cursor_stick(c, pause, c->suspects > 1);
    c->probing = c->suspects < window(d, c->stuck_tries - 1);
    if (d->batch_limit && !d->accepted)
        d->batch_limit = 0; /* the size was not the cause */
    d->healthy = false;
    if (refuses_all(d, c)) {
        uint64_t ms =
            worker_backoff(d->worker, d->attempts, d->accepted ? BACKOFF_CAP_MS : HOLD_MS);

        d->suspects = 0;
        drain_failed(d, VERDICT_HOLD, d->accepted ? (int64_t)ms : -1, &why);
    } else {
        drain_mark_failing(d, true, pause, &why);
    }
    drain_cursor_ready(c, false);
}

/* ---- refused batches ---- */

/* Whether the single record of <b>, which was refused, is tried again first. */
static bool try_again(struct drain_cursor *c, const struct batch *b)
{
    const struct position *at = &b->ranges[0].from.pos;
    bool same = c->reject_tries && c->reject_pos.seg == at->seg && c->reject_pos.off == at->off;

    c->reject_tries = same ? c->reject_tries + 1 : 1;
    c->reject_pos = *at;
    return c->reject_tries < REJECT_TRIES && b->verdict != VERDICT_TOO_LARGE && !c->suspects;
}

/* Whether the record is the cause, or the connection would have ended at any other too. If the peer
 * did not say so itself, it must take another record between two refusals of this one, alone or
 * among others. */
static bool proven(const struct drain_cursor *c, const struct batch *b)
{
    uint64_t since = c->stuck_tries ? c->suspected_at : c->drain->sought_at;

    return !b->guessed || c->allowed || c->drain->accepted != since;
}

static void refused_alone(struct drain *d, struct batch *b)
{
    struct drain_cursor *c = b->ranges[0].cursor;

    if (!c)
        return;
    if (try_again(c, b)) {
        drain_give_back(d, b);
        drain_wait(d, SKIP_PAUSE_MS);
    } else if (!c->suspects && drain_may_pass(c, 1) && proven(c, b)) {
        pass_over(d, b);
    } else {
        suspect(d, b);
    }
}

void drain_rejected(struct drain *d, struct batch *b)
{
    if (!d->suspended) /* if it is suspended, the reason for that is kept */
        d->last_error = b->err;
    if (b->records == 1) {
        refused_alone(d, b);
        return;
    }
    if (b->verdict == VERDICT_TOO_LARGE) {
        if (!d->batch_limit || d->batch_limit > b->len / 2)
            d->batch_limit = b->len / 2;
        if (d->batch_target > d->batch_limit)
            d->batch_target = d->batch_limit;
    }
    if (d->lags && b->verdict == VERDICT_TOO_LARGE && b->len >= LIMIT_LEAST) {
        drain_give_back(d, b); /* the smaller size will most likely do */
        return;
    }
    d->record_limit = d->lags ? drain_seek_limit(b->records) : b->records / 2;
    if (d->suspect < b->records || d->lags)
        d->suspect = b->records;
    drain_give_back(d, b);
}
