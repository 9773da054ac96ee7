/*
 * A drain's health: healthy, failing or suspended. Each change is logged and reported to the owner
 * once. The last error and the number of consecutive failures are kept for /drains and for the next
 * backoff.
 */
#include "base/log.h"
#include "base/log_quota.h"
#include "drains/core/worker_internal.h"

#define REST_ATTEMPTS 3 /* failures after which a drain releases what it can create again */

const char *drain_state_name(const struct drain *d)
{
    if (d->suspended)
        return "held";
    switch (d->state) {
    case DRAIN_CLOSED:
        return "idle";
    case DRAIN_OPENING:
        return "connecting";
    case DRAIN_OPEN:
        return d->failing ? "failing" : "open";
    case DRAIN_WAITING:
        return "waiting";
    case DRAIN_CLOSING:
        break;
    }
    return "closing";
}

void drain_recovered(struct drain *d)
{
    uint64_t now = loop_now(&d->worker->loop);

    d->healthy = true;
    d->blamed = false;
    d->attempts = 0;
    if (d->nstuck)
        return; /* some of its streams still fail */
    d->suspended = false;
    if (!d->failing)
        return;
    d->failing = false;
    d->last_error = (struct err){0};
    log_info_for(drain_cause(d), "drain recovered", KV_CSTR("drain", d->spec->name),
                 KV_INT("after_ms", now - d->failing_since));
    worker_news(d->worker, d->spec, DRAIN_RECOVERED, 0);
}

void drain_mark_failing(struct drain *d, bool hold, uint64_t retry_ms, const struct err *e)
{
    d->last_error = *e;
    if (!d->failing || (hold && !d->suspended)) {
        LOG_AT_FOR(drain_cause(d), hold ? LOG_ERROR : LOG_WARN,
                   hold ? "drain suspended: its configuration is refused" : "drain failing",
                   KV_CSTR("drain", d->spec->name), KV_ERR(e), KV_INT("retry_ms", retry_ms),
                   KV_END);
        if (!d->failing) {
            d->failing_since = loop_now(&d->worker->loop);
            worker_news(d->worker, d->spec, DRAIN_FAILS, 0);
        }
        if (hold)
            worker_news(d->worker, d->spec, DRAIN_HELD, 0);
        d->failing = true;
    }
    d->suspended = hold;
}

bool drain_fails_like_others(struct drain *d)
{
    struct err why;

    if (!host_wait_known(d, &why))
        return false;
    if (!d->failing)
        drain_mark_failing(d, false, host_retry_in(d), &why);
    return true;
}

/* Releases what can be created again. */
static void rest(struct drain *d)
{
    if (d->ops->rest)
        d->ops->rest(d);
    drain_timer_rest(d); /* it waits with its host */
    list_for_each (it, &d->cursors)
        drain_cursor_rename(list_entry(it, struct drain_cursor, drain_node));
}

void drain_failed(struct drain *d, enum verdict v, int64_t retry_after_ms, const struct err *e)
{
    bool hold = v == VERDICT_HOLD, again = d->state == DRAIN_WAITING;
    uint64_t ms = worker_backoff(d->worker, d->attempts, hold ? HOLD_MS : BACKOFF_CAP_MS);

    d->healthy = false;
    d->batch_target = BATCH_BYTES_PROBE;
    if (retry_after_ms >= 0) {
        ms = (uint64_t)retry_after_ms;
        ms = ms < RETRY_AFTER_MIN_MS   ? RETRY_AFTER_MIN_MS
             : ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS
                                       : ms;
    }
    drain_mark_failing(d, hold, ms, e);
    if (again && retry_after_ms < 0)
        return; /* answers another request of the same attempt */
    d->attempts++;
    if (retry_after_ms >= 0 || !host_wait(d, e))
        drain_wait(d, ms);
    if (!d->ninflight && (!d->counters.connects || d->attempts >= REST_ATTEMPTS))
        rest(d);
}
