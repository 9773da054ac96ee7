/*
 * Acts on the verdict of a batch for its cursors: acknowledged, moved to the ledger, given back to
 * be read again, or refused (refusal.c). Called in the worker's turn for each settled batch.
 */
#include "base/fault.h"
#include "drains/core/ledger.h"
#include "drains/core/trace.h"
#include "drains/core/worker_internal.h"

static void delivered(struct drain *d, struct batch *b)
{
    uint64_t bytes_dropped;
    uint32_t dropped = drain_dropped(d, b, &bytes_dropped);

    if (b->records > b->gaps)
        drain_accepted(d);
    for (unsigned i = 0; i < b->nranges; i++) {
        struct batch_range *r = &b->ranges[i];
        struct drain_cursor *c = r->cursor;

        if (!c)
            continue;
        c->busy = false;
        c->reject_tries = 0;
        if (c->suspects) { /* it is alone in its batch and is sent again */
            if (!r->gaps)
                drain_cursor_accepted(c);
            drain_cursor_ready(c, true);
            return;
        }
        if (r->records > r->gaps)
            drain_cursor_accepted(c);
        cursor_ack(&c->cursor, &r->to);
        FAULT_POINT("after-ack");
        if (r->dry_at)
            c->caught_up_at = r->dry_at;
        if (r->dry_at)
            drain_cursor_tell_dry(c);
        drain_cursor_unstick(c);
        drain_cursor_ready(c, false);
    }
    d->counters.records_out += b->records - b->gaps - dropped;
    d->counters.gaps += b->gaps;
    d->counters.bytes_out += b->bytes - bytes_dropped;
    drain_recovered(d);
    if (dropped)
        d->last_error = b->refusal;
}

/* The ledger now holds the ranges. */
static void sent(struct drain *d, const struct batch *b)
{
    if (!d->pipelined)
        d->healthy = true;
    for (unsigned i = 0; i < b->nranges; i++) {
        struct drain_cursor *c = b->ranges[i].cursor;

        if (!c)
            continue;
        if (b->ranges[i].dry_at)
            c->caught_up_at = b->ranges[i].dry_at;
        c->busy = false;
        drain_cursor_ready(c, false);
    }
}

/* <b> is one record behind suspects: the peer's answer for the record becomes that of the batch. */
static void only_one(struct batch *b)
{
    b->verdict = b->outcomes[0];
    if (b->verdict == VERDICT_REJECTED)
        b->err = b->refusal;
}

void drain_act_on(struct batch *b)
{
    struct drain *d = b->drain;
    struct worker *wk = d->worker;
    bool taken = true;

    if (b->verdict == VERDICT_DELIVERED || b->verdict == VERDICT_SENT ||
        b->verdict == VERDICT_MIXED)
        scheme_took(d, loop_now(&wk->loop) - b->handed_at);
    d->ninflight--;
    d->alone = false;
    b->extra = b->fixed = 0;
    budget_charge(b, 0);
    list_del(&b->body_node);
    if (d->spec->trace)
        trace_settle(d, b);
    if (b->verdict == VERDICT_MIXED && b->ranges[0].cursor && b->ranges[0].cursor->suspects)
        only_one(b);
    switch (b->verdict) {
    case VERDICT_DELIVERED:
        delivered(d, b);
        drain_grow(d, b);
        break;
    case VERDICT_SENT:
        if (!d->ledger)
            d->ledger = ledger_create();
        ledger_add(d->ledger, b, loop_now(&wk->loop));
        sent(d, b);
        drain_grow(d, b);
        break;
    case VERDICT_REJECTED:
    case VERDICT_TOO_LARGE:
        drain_rejected(d, b);
        break;
    case VERDICT_MIXED:
        drain_mixed(d, b);
        break;
    case VERDICT_RETRY:
    case VERDICT_HOLD:
    case VERDICT_OFFLINE:
        taken = false;
        d->counters.retries++;
        if (b->verdict != VERDICT_OFFLINE || !d->ops->open) /* else its connection's end counts */
            scheme_failed(d, b->verdict, &b->err);
        drain_give_back(d, b);
        if (!d->pipelined && !d->soon)
            drain_failed(d, b->verdict, b->retry_after_ms, &b->err);
        break;
    }
    batch_release_cursors(b);
    for (unsigned i = 0; i < b->nranges; i++) {
        struct drain_cursor *c = b->ranges[i].cursor;

        if (!c)
            continue;
        if (taken)
            drain_cursor_settle_idle(c);
        drain_cursor_done(c);
    }
    if (taken || !repeat_keep(d, b))
        batch_free(b);
    worker_want(wk, d);
}

void drain_settle_now(struct drain *d)
{
    list_for_each_safe (it, &d->worker->settled) {
        struct batch *b = list_entry(it, struct batch, node);

        if (b->drain != d)
            continue;
        list_del(&b->node);
        drain_act_on(b);
    }
}
