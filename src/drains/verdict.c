/*
 * What a verdict means for the cursors of a batch: acknowledged, kept in the ledger, given back to
 * be read again, or halved until the record that the peer refuses stands alone. Called by the
 * engine's turn for each settled batch.
 */
#include "base/fault.h"
#include "base/log.h"
#include "drains/engine_internal.h"
#include "drains/ledger.h"
#include "drains/trace.h"

#define SKIP_PAUSE_MS 200 /* between tries of a record that was refused alone */
#define REFUSALS_SAID 100 /* lines of our log per drain ... */
#define REFUSALS_MS 60000 /* ... in so long */

/* The cursors of a batch that was not taken: back to what is confirmed, and first in turn, in the
 * same order. */
static void give_back(struct drain *d, struct batch *b)
{
    for (unsigned i = b->nranges; i-- > 0;) {
        struct drain_cursor *c = b->ranges[i].cursor;

        if (!c)
            continue;
        c->busy = false;
        if (d->ordered)
            continue; /* drain_lost() rewinds them all */
        cursor_rewind(&c->cursor);
        c->pending = true;
        c->ended = false;
        drain_cursor_ready(c, true);
    }
}

static void delivered(struct drain *d, struct batch *b)
{
    for (unsigned i = 0; i < b->nranges; i++) {
        struct batch_range *r = &b->ranges[i];
        struct drain_cursor *c = r->cursor;

        if (!c)
            continue;
        cursor_ack(&c->cursor, &r->to);
        FAULT_POINT("after-ack");
        if (r->dry_at)
            c->caught_up_at = r->dry_at;
        c->busy = false;
        c->reject_tries = 0;
        drain_cursor_unstick(c);
        drain_cursor_ready(c, false);
    }
    d->counters.records_out += b->records - b->gaps;
    d->counters.gaps += b->gaps;
    d->counters.bytes_out += b->bytes;
    drain_recovered(d);
}

void drain_grow(struct drain *d, const struct batch *b)
{
    size_t max = batch_max(d);

    if (b->len >= d->batch_target / 2)
        d->batch_target = d->batch_target * 2 > max ? max : d->batch_target * 2;
    if (d->suspect > b->records) {
        d->suspect -= b->records;
        d->record_limit *= 2;
    } else {
        d->suspect = 0;
        d->record_limit = 0;
    }
}

/* The counter has them all, the log has REFUSALS_SAID per REFUSALS_MS. */
bool drain_may_say(struct drain *d)
{
    uint64_t now = loop_now(&d->engine->loop);

    if (now - d->refusals_since >= REFUSALS_MS) {
        d->refusals_since = now;
        d->refusals = 0;
    }
    return d->refusals++ < REFUSALS_SAID;
}

void drain_refused(struct drain *d, const struct segment *seg, uint64_t offset,
                   const struct err *why)
{
    d->counters.rejected++;
    if (drain_may_say(d))
        log_warn("record refused by the drain, passed over", KV_CSTR("drain", d->spec->name),
                 KV_CSTR("file", seg && seg->path ? seg->path : "(deleted)"),
                 KV_INT("offset", offset), KV_ERR(why));
}

/* The one record of <b> is refused: after REJECT_TRIES it is passed over. */
static void rejected_alone(struct drain *d, struct batch *b)
{
    struct batch_range *r = &b->ranges[0];
    struct drain_cursor *c = r->cursor;
    bool same = c && c->reject_tries && c->reject_pos.seg == r->from.pos.seg &&
                c->reject_pos.off == r->from.pos.off;

    if (!c)
        return;
    c->reject_tries = same ? c->reject_tries + 1 : 1;
    c->reject_pos = r->from.pos;
    if (c->reject_tries < REJECT_TRIES && b->verdict != VERDICT_TOO_LARGE) {
        give_back(d, b);
        drain_wait(d, SKIP_PAUSE_MS);
        return;
    }
    /* The record ends there, and begins there too, but for a line that lies in two files; <from>
     * may still be where the file before it ends, or the beginning of the stream. */
    drain_refused(d, stream_segment(c->cursor.stream, r->to.pos.seg),
                  r->from.pos.seg == r->to.pos.seg ? r->from.pos.off : 0, &b->err);
    c->reject_tries = 0;
    d->counters.too_large += b->verdict == VERDICT_TOO_LARGE;
    if (d->suspect)
        d->suspect--;
    if (!d->suspect)
        d->record_limit = 0;
    cursor_ack(&c->cursor, &r->to);
    c->busy = false;
    drain_cursor_ready(c, true);
}

static void rejected(struct drain *d, struct batch *b)
{
    d->last_error = b->err;
    if (b->records == 1) {
        rejected_alone(d, b);
        return;
    }
    if (b->verdict == VERDICT_TOO_LARGE) {
        if (!d->batch_limit || d->batch_limit > b->len / 2)
            d->batch_limit = b->len / 2;
        if (d->batch_target > d->batch_limit)
            d->batch_target = d->batch_limit;
    }
    d->record_limit = b->records / 2;
    if (d->suspect < b->records)
        d->suspect = b->records;
    give_back(d, b);
}

void drain_act_on(struct batch *b)
{
    struct drain *d = b->drain;
    struct engine *en = d->engine;
    bool taken = true;

    d->ninflight--;
    b->extra = 0;
    budget_charge(b, 0);
    list_del(&b->body_node);
    if (d->spec->trace)
        trace_settle(d, b);
    switch (b->verdict) {
    case VERDICT_DELIVERED:
        delivered(d, b);
        drain_grow(d, b);
        break;
    case VERDICT_SENT:
        if (!d->ledger)
            d->ledger = ledger_create();
        ledger_add(d->ledger, b, loop_now(&en->loop));
        for (unsigned i = 0; i < b->nranges; i++)
            if (b->ranges[i].cursor && b->ranges[i].dry_at)
                b->ranges[i].cursor->caught_up_at = b->ranges[i].dry_at;
        drain_grow(d, b);
        break;
    case VERDICT_REJECTED:
    case VERDICT_TOO_LARGE:
        rejected(d, b);
        break;
    case VERDICT_MIXED:
        drain_mixed(d, b);
        break;
    case VERDICT_RETRY:
    case VERDICT_HOLD:
    case VERDICT_OFFLINE:
        taken = false;
        d->counters.retries++;
        give_back(d, b);
        if (!d->ordered)
            drain_failed(d, b->verdict, b->retry_after_ms, &b->err);
        break;
    }
    batch_let_go(b);
    for (unsigned i = 0; i < b->nranges; i++) {
        struct drain_cursor *c = b->ranges[i].cursor;

        if (!c)
            continue;
        if (taken)
            drain_cursor_settle_idle(c);
        engine_cursor_done(en, c);
    }
    batch_free(b);
    engine_want(en, d);
}
