/*
 * The framework's half of a drain: its states (see drain.h), what its member reports about the
 * connection, and its turn. Everything here runs on the worker's loop. drain_work() is called once
 * per turn while there is work, and moves at most one batch. verdict.c acts on verdicts.
 */
#include "drains/core/drain.h"

#include "base/fault.h"
#include "drains/core/ledger.h"
#include "drains/core/trace.h"
#include "drains/core/worker_internal.h"

void drain_init(struct drain *d, const struct drain_ops *ops, struct worker *wk,
                struct drain_spec *spec)
{
    d->ops = ops;
    d->worker = wk;
    d->spec = drain_spec_ref(spec);
    d->place = worker_place(wk, spec);
    d->stats = scheme_stats_of(wk, spec);
    d->slots = 1;
    d->batch_target = BATCH_BYTES_PROBE;
    list_init(&d->node);
    list_init(&d->work_node);
    list_init(&d->connect_node);
    list_init(&d->cursors);
    list_init(&d->ready);
    list_init(&d->inflight);
    list_init(&d->repeats);
    list_init(&d->starved_node);
    list_init(&d->host_node);
}

void drain_set_slots(struct drain *d, unsigned slots)
{
    d->slots = slots;
    worker_want(d->worker, d);
}

void drain_counters_add(struct drain_counters *to, const struct drain_counters *more)
{
    _Static_assert(sizeof(*to) % sizeof(uint64_t) == 0, "counters_add()");
    counters_add(to, more, sizeof(*to));
}

void drain_release(struct drain *d)
{
    if (d->spec->owner)
        drain_counters_add(&d->worker->past, &d->counters);
    list_del(&d->node);
    list_del(&d->work_node);
    list_del(&d->connect_node);
    ledger_free(d->ledger);
    repeat_free_all(d);
    budget_leave(d);
    host_leave(d);
    loop_timer_free(d->timer);
    drain_spec_unref(d->spec);
}

struct drain *drain_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain *d = spec->scheme->member->ops->create(wk, spec, e);

    if (!d)
        return NULL;
    list_add_tail(&wk->all, &d->node);
    return d;
}

void drain_free(struct drain *d)
{
    while (!list_empty(&d->cursors))
        drain_cursor_drop(list_entry(d->cursors.next, struct drain_cursor, drain_node));
    d->ops->free(d);
}

/* ---- called by members ---- */

void drain_opened(struct drain *d)
{
    if (d->state != DRAIN_OPENING)
        return;
    d->state = DRAIN_OPEN;
    d->opened_at = d->looked_at = loop_now(&d->worker->loop);
    if (d->ops->open) {
        d->counters.connects++;
        host_reached(d, d->counters.connects == 1);
    }
    worker_want(d->worker, d);
}

void drain_count_connects(struct drain *d, unsigned made, unsigned failed)
{
    d->counters.connects += made;
    if (made)
        host_reached(d, d->counters.connects == made);
    d->counters.connect_errors += failed;
}

bool drain_unconfirmed(const struct drain *d)
{
    return d->ninflight || (d->ledger && !ledger_empty(d->ledger));
}

static void confirmed(struct drain_cursor *c, const struct mark *to)
{
    cursor_ack(&c->cursor, to);
    drain_cursor_accepted(c);
    drain_cursor_settle_idle(c);
}

void drain_confirm(struct drain *d, uint64_t end)
{
    if (!d->ledger || !ledger_confirm(d->ledger, end, confirmed, &d->counters))
        return;
    drain_accepted(d);
    drain_recovered(d);
    worker_want(d->worker, d);
    list_for_each_safe (it, &d->cursors)
        drain_cursor_done(list_entry(it, struct drain_cursor, drain_node));
    loop_task_post(&d->worker->loop, &d->worker->turn); /* positions may be saved now */
}

uint64_t drain_seen_until(struct drain *d)
{
    uint64_t before = d->looked_at;

    d->looked_at = loop_now(&d->worker->loop);
    return before;
}

bool drain_confirm_old(struct drain *d, uint64_t seen_until)
{
    if (seen_until > COMMIT_LAG_MS && d->ledger)
        drain_confirm(d, ledger_end_before(d->ledger, seen_until - COMMIT_LAG_MS));
    return d->ledger && !ledger_empty(d->ledger);
}

/* Sets the state to CLOSED. Returns false if something else follows: the drain is closing, or its
 * returned batches have already set the time of the next attempt. */
static bool to_closed(struct drain *d)
{
    d->opened_at = 0;
    if (d->state == DRAIN_CLOSING || (d->state == DRAIN_WAITING && !d->pipelined))
        return false;
    d->state = DRAIN_CLOSED;
    return true;
}

void drain_disconnected_for(struct drain *d, enum verdict v, int64_t retry_after_ms,
                            const struct err *e)
{
    bool was_open = d->state == DRAIN_OPEN, soon;

    drain_settle_now(d);
    soon = d->soon;
    d->soon = false;
    scheme_failed(d, v, e);
    if (was_open)
        d->counters.disconnects++;
    else
        d->counters.connect_errors++;
    if (d->pipelined || (d->ledger && !ledger_empty(d->ledger)))
        drain_rewind(d);
    if (!to_closed(d))
        return;
    if (soon)
        drain_seek_on(d, e);
    else
        drain_failed(d, v, retry_after_ms, e);
}

void drain_closed_by_peer(struct drain *d)
{
    drain_settle_now(d);
    drain_confirm(d, UINT64_MAX);
}

void drain_disconnected(struct drain *d, bool clean, const struct err *e)
{
    if (!clean) {
        drain_disconnected_for(d, VERDICT_OFFLINE, -1, e);
        return;
    }
    d->soon = false;
    drain_closed_by_peer(d);
    if (d->ledger)
        ledger_clear(d->ledger, 0); /* the next connection counts from 0 */
    if (to_closed(d))
        worker_want(d->worker, d);
}

void drain_settle(struct drain *d, struct batch *b, enum verdict v)
{
    if (b->drain != d || b->verdict)
        BUG("drain: '%s' settles a batch twice, or another's", d->ops->name);
    if (v == VERDICT_MIXED && (!b->outcomes || d->pipelined))
        BUG("drain: '%s' settles as mixed without outcomes, or in a pipe", d->ops->name);
    b->verdict = v;
    list_del(&b->node);
    list_add_tail(&d->worker->settled, &b->node);
    loop_task_post(&d->worker->loop, &d->worker->turn);
}

void drain_closed(struct drain *d)
{
    drain_settle_now(d);
    d->closed = true;
    if (!d->worker->stopping) /* it is unused: freed later, not inside this call */
        list_add_tail(&d->worker->closed, &d->work_node);
    loop_task_post(&d->worker->loop, &d->worker->turn); /* frees it, or ends the worker */
}

/* ---- called by the worker ---- */

void drain_send(struct drain *d, struct batch *b)
{
    d->ninflight++;
    b->len = b->body.len;
    drain_charge(b);
    d->counters.batches++;
    d->counters.records_in += b->records - b->gaps;
    d->counters.bytes_in += b->bytes;
    d->counters.wire_bytes += b->body.len;
    b->retry_after_ms = -1;
    b->handed_at = loop_now(&d->worker->loop);
    list_add_tail(&d->inflight, &b->node);
    if (d->spec->trace)
        trace_send(d, b);
    d->ops->send(d, b);
    FAULT_POINT("after-send");
}

void drain_connect(struct drain *d)
{
    if (d->state != DRAIN_CLOSED)
        return;
    d->state = DRAIN_OPENING;
    if (d->ops->open)
        d->ops->open(d);
    else
        drain_opened(d);
}

/* Whether the ready cursors should wait for more data (linger=). */
static bool lingering(struct drain *d)
{
    if (!d->spec->linger_ms || d->lingered || d->record_limit || d->worker->stopping)
        return false;
    drain_linger(d, d->spec->linger_ms);
    return true;
}

/* Whether <b> became full before all ready cursors were read. */
static bool more_pending(const struct batch *b)
{
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor->pending)
            return true;
    return false;
}

bool drain_work(struct drain *d)
{
    struct batch *b;
    bool alone, sure;

    if (list_empty(&d->ready) || d->ninflight >= d->slots)
        return false;
    if (d->state == DRAIN_CLOSED) {
        if (!drain_fails_like_others(d))
            worker_connect(d->worker, d);
        return false;
    }
    if (d->state != DRAIN_OPEN || (!d->pipelined && !d->healthy && d->ninflight) || d->alone ||
        drain_is_slowed(d) || lingering(d))
        return false;
    if (!budget_room(d)) {
        budget_wait(d);
        return false;
    }
    alone = drain_seeks(d);
    sure = alone && drain_seek_is_sure(d);
    if (alone && (sure ? drain_unconfirmed(d) : d->ninflight > 0))
        return false;
    b = batch_fill(d);
    if (!b) { /* this wait covers the next cursors too: after a start most have nothing to read */
        d->lingered = !list_empty(&d->ready);
        return d->lingered;
    }
    d->lingered = !list_empty(&d->ready) || more_pending(b);
    d->alone = alone;
    d->sure = sure;
    b->alone = alone;
    if (!alone)
        drain_seek_sent(d, b->records);
    drain_send(d, b);
    return !list_empty(&d->ready) && d->ninflight < d->slots;
}

void drain_close(struct drain *d, bool flush)
{
    if (d->timer)
        loop_timer_stop(d->timer);
    list_del(&d->connect_node);
    list_del(&d->starved_node);
    list_del(&d->work_node);
    d->state = DRAIN_CLOSING;
    d->ops->close(d, flush);
}
