/*
 * What a refusal (VERDICT_REJECTED, VERDICT_TOO_LARGE) means: is the record bad, or the drain? A
 * peer that refuses a record among others that it takes is right about it. One that has taken
 * nothing is most likely not the receiver that the URL should name, and to pass over what it
 * refuses would lose the whole log, record by record.
 *
 * A refused batch is halved until one record stands alone, and that is tried REJECT_TRIES times.
 * Then it is passed over (counted, logged, told to the drain as a gap) if the peer has taken
 * something since the drain was made, and has not refused REFUSED_RUN records since, of this
 * stream or of all. Else it is a suspect: it stays unconfirmed, and the next ones are tried.
 *
 *     acked     sent
 *       ▼         ▼
 *       s1 s2 s3  a      s: suspects; a: the next one, alone
 *
 * When <a> is taken, the peer takes records: the cursor goes back to s1, and as many as there were
 * may be passed over, if they are refused again. When as many as the window holds were refused, or
 * nothing is left to read, all wait, with growing pauses as after a 404. Then they are tried from
 * s1 again, with a window twice as large, for the peer may take one of a thousand. What is written
 * while the window has room is tried at once.
 *
 * A drain is made anew by a restart and by another URL: then it has taken nothing yet.
 */
#include "base/log.h"
#include "drains/core/worker_internal.h"

#define SKIP_PAUSE_MS 200 /* between tries of a record that was refused alone */
#define LIMIT_LEAST 4096  /* bytes of a message that any peer takes */
#define WINDOW_DOUBLINGS 7
#define WINDOW_DOUBLINGS_LAGS 3 /* when each costs a connection */

/* ---- what the peer takes ---- */

/* Lines only: that it takes a gap's record says nothing of the lines around it. */

void drain_accepted(struct drain *d)
{
    d->accepted++;
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

/* ---- passing over ---- */

static const struct segment *segment_of(const struct stream *s, uint64_t id_hash)
{
    list_for_each (it, &s->segments) {
        const struct segment *seg = list_entry(it, struct segment, node);

        if (seg->id_hash == id_hash)
            return seg;
    }
    return NULL;
}

/* One more that is passed over. */
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
    log_warn_for(identity_cause(c->cursor.stream->identity),
                 "record refused by the drain, passed over", KV_CSTR("drain", d->spec->name),
                 KV_CSTR("file", seg && seg->path ? seg->path : "(deleted)"),
                 KV_INT("offset", r->offset), KV_ERR(why));
}

/* Reads where a record lies; what it says is not kept. */
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

/* The only record of <b> is passed over. */
static void pass_over(struct drain *d, const struct batch *b)
{
    const struct batch_range *r = &b->ranges[0];
    struct drain_cursor *c = r->cursor;
    struct located at = {.sink.add = locate, .record.offset = r->from.pos.off};

    (void)batch_range_read(r, 1, &at.sink, NULL);
    drain_refused(c, &at.record, &b->err);
    d->counters.too_large += b->verdict == VERDICT_TOO_LARGE && !r->gaps;
    if (d->lags && b->len < LIMIT_LEAST)
        d->batch_limit = 0; /* it was not about the size */
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
                  d->accepted ? "it refuses one record after the other"
                              : "it has taken nothing yet, is this its address?");
}

/* One more suspect, of <c>: is it time for the whole drain to pause? One that has taken something
 * does so for many streams only, because what one stream writes must not hold up the others. */
static bool refuses_all(struct drain *d, const struct drain_cursor *c)
{
    if (!d->accepted)
        return ++d->suspects >= window(d, d->attempts);
    d->suspects += c->suspects == 1;
    return d->suspects >= REFUSED_RUN && d->nstuck >= REFUSED_RUN;
}

/* The only record of <b> is refused, and nobody knows whether the peer takes others. */
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
        d->batch_limit = 0; /* it was no limit */
    d->healthy = false;
    if (refuses_all(d, c)) {
        uint64_t ms =
            worker_backoff(d->worker, d->attempts, d->accepted ? BACKOFF_CAP_MS : HOLD_MS);

        d->suspects = 0;
        drain_failed(d, VERDICT_HOLD, d->accepted ? (int64_t)ms : -1, &why);
    } else {
        drain_ails(d, true, pause, &why);
    }
    drain_cursor_ready(c, false);
}

/* ---- what becomes of a refused batch ---- */

/* The one record of <b> is refused: is it tried again before anything is made of that? */
static bool try_again(struct drain_cursor *c, const struct batch *b)
{
    const struct position *at = &b->ranges[0].from.pos;
    bool same = c->reject_tries && c->reject_pos.seg == at->seg && c->reject_pos.off == at->off;

    c->reject_tries = same ? c->reject_tries + 1 : 1;
    c->reject_pos = *at;
    return c->reject_tries < REJECT_TRIES && b->verdict != VERDICT_TOO_LARGE && !c->suspects;
}

/* Is it the record, or would the connection have ended at any other? When the peer has not said so,
 * it has to take another one between two refusals of this one, alone or among others. */
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
    if (!d->suspended) /* else the reason for that stays */
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
        drain_give_back(d, b); /* most likely that will do */
        return;
    }
    d->record_limit = d->lags ? drain_seek_limit(b->records) : b->records / 2;
    if (d->suspect < b->records || d->lags)
        d->suspect = b->records;
    drain_give_back(d, b);
}
