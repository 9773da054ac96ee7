/*
 * The worker's agenda: which drains have work this turn, which ones wait for a connection token,
 * and which drains and cursors wait for a point in time.
 *
 *   work         drains with something to do           ─┐
 *   connecting   drains waiting for a token             ├─▶ the turn (worker.c)
 *   retrying     ... that never had a connection       ─┘
 *   waiting      cursors, until wake_at                ───▶ wake()
 *   a timer      drains in backoff or linger=; when it fires, they go on <work>
 *
 * This file calls no other file of the framework. Code that has something to do puts it on a list
 * here, and the worker reads the lists on its turn.
 */
#include "drains/core/worker_internal.h"

#define LONG_DEAD                                                                                  \
    4 /* consecutive failures after which a drain may wait behind others that never connected */

void worker_want(struct worker *wk, struct drain *d)
{
    if (list_empty(&d->work_node) && d->state != DRAIN_CLOSING)
        list_add_tail(&wk->work, &d->work_node);
    loop_task_post(&wk->loop, &wk->turn);
}

/* ---- connection tokens ---- */

/* Queues by priority. Drains that were healthy come first, because others may wait behind them.
 * Drains that never connected come last; among these, the one with the oldest attempt comes
 * first. */
void worker_connect(struct worker *wk, struct drain *d)
{
    if (!list_empty(&d->connect_node))
        return;
    if (d->counters.connects && !d->failing)
        list_add_head(&wk->connecting, &d->connect_node);
    else if (d->counters.connects || !d->attempts)
        list_add_tail(&wk->connecting, &d->connect_node);
    else if (d->attempts < LONG_DEAD)
        list_add_head(&wk->retrying, &d->connect_node);
    else
        list_add_tail(&wk->retrying, &d->connect_node);
    loop_task_post(&wk->loop, &wk->turn);
}

static void refill_tokens(struct worker *wk)
{
    uint64_t now = loop_now(&wk->loop);
    uint64_t more = (now - wk->connect_refilled) * CONNECTS_PER_SECOND / 1000;

    if (!more)
        return;
    wk->connect_refilled = now;
    wk->connect_tokens = more + wk->connect_tokens > CONNECTS_BURST
                             ? CONNECTS_BURST
                             : wk->connect_tokens + (unsigned)more;
}

struct drain *worker_next_to_connect(struct worker *wk)
{
    uint64_t now = loop_now(&wk->loop);
    struct list *from = &wk->connecting;
    struct drain *d;

    refill_tokens(wk);
    if (!wk->connect_tokens)
        return NULL;
    if (list_empty(from) && now >= wk->retry_at && !list_empty(&wk->retrying)) {
        from = &wk->retrying;
        wk->retry_at = now + 1000 / RETRIES_PER_SECOND;
    }
    if (list_empty(from))
        return NULL;
    d = list_entry(from->next, struct drain, connect_node);
    list_del(&d->connect_node);
    return d;
}

void worker_connect_again(struct worker *wk, struct drain *d)
{
    list_del(&d->connect_node);
    list_add_tail(d->attempts ? &wk->retrying : &wk->connecting, &d->connect_node);
}

void worker_connect_later(struct worker *wk)
{
    uint64_t now = loop_now(&wk->loop), wait = 1000 / CONNECTS_PER_SECOND + 1;

    if (list_empty(&wk->connecting) && wk->retry_at > now)
        wait = wk->retry_at - now;
    if (!(list_empty(&wk->connecting) && list_empty(&wk->retrying)) &&
        !loop_timer_active(wk->connect_timer))
        loop_timer_start(wk->connect_timer, wait);
}

static void connect_timer_fired(void *arg)
{
    struct worker *wk = arg;
    loop_task_post(&wk->loop, &wk->turn);
}

/* ---- waiting cursors ---- */

void worker_wait(struct worker *wk, struct drain_cursor *c)
{
    uint64_t now = loop_now(&wk->loop);
    uint64_t at = c->cursor.wake_at;

    list_del(&c->wait_node);
    list_add_tail(&wk->waiting, &c->wait_node);
    if (loop_timer_active(wk->wait_timer) && wk->wait_until <= at)
        return;
    wk->wait_until = at;
    loop_timer_start(wk->wait_timer, at > now ? at - now : 1);
}

static void wait_timer_fired(void *arg)
{
    struct worker *wk = arg;
    uint64_t now = loop_now(&wk->loop), next = UINT64_MAX;

    list_for_each_safe (it, &wk->waiting) {
        struct drain_cursor *c = list_entry(it, struct drain_cursor, wait_node);

        if (c->cursor.wake_at <= now)
            c->cursor.wake(&c->cursor);
        else if (c->cursor.wake_at < next)
            next = c->cursor.wake_at;
    }
    if (next == UINT64_MAX)
        return;
    wk->wait_until = next;
    loop_timer_start(wk->wait_timer, next - now);
}

/* ---- waiting drains ---- */

/* A random number in [0, below). */
static uint64_t random_below(struct worker *wk, uint64_t below)
{
    /* xorshift64: good enough for jitter. */
    wk->random ^= wk->random << 13;
    wk->random ^= wk->random >> 7;
    wk->random ^= wk->random << 17;
    return below ? wk->random % below : 0;
}

uint64_t worker_backoff(struct worker *wk, unsigned attempts, uint64_t cap)
{
    unsigned shift = attempts < 16 ? attempts : 16;
    uint64_t span = (uint64_t)BACKOFF_BASE_MS << shift;

    if (span > cap - BACKOFF_BASE_MS)
        span = cap - BACKOFF_BASE_MS;
    return BACKOFF_BASE_MS + random_below(wk, span);
}

static void timer_fired(void *arg)
{
    struct drain *d = arg;

    if (d->state == DRAIN_WAITING)
        d->state = DRAIN_CLOSED;
    else
        d->lingered = true;
    worker_want(d->worker, d);
}

static struct loop_timer *timer_of(struct drain *d)
{
    if (!d->timer)
        d->timer = loop_timer_create(&d->worker->loop, timer_fired, d);
    return d->timer;
}

void drain_wait(struct drain *d, uint64_t ms)
{
    if (d->state == DRAIN_CLOSING)
        return;
    if (d->state == DRAIN_WAITING && loop_timer_left(timer_of(d)) >= ms)
        return; /* another answer of the same drain has set a longer pause */
    d->state = DRAIN_WAITING;
    d->lingered = false;
    list_del(&d->connect_node);
    loop_timer_start(timer_of(d), ms);
}

void drain_linger(struct drain *d, uint64_t ms)
{
    if (!loop_timer_active(timer_of(d)))
        loop_timer_start(timer_of(d), ms);
}

void drain_timer_rest(struct drain *d)
{
    if (!d->timer || loop_timer_active(d->timer))
        return;
    loop_timer_free(d->timer);
    d->timer = NULL;
}

/* ---- clean-up of unused drains and parked cursors ---- */

void worker_tidy_in(struct worker *wk, uint64_t ms)
{
    if (!loop_timer_active(wk->tidy_timer) || loop_timer_left(wk->tidy_timer) > ms)
        loop_timer_start(wk->tidy_timer, ms);
}

/* ---- open and close ---- */

void agenda_open(struct worker *wk)
{
    list_init(&wk->work);
    list_init(&wk->connecting);
    list_init(&wk->retrying);
    list_init(&wk->waiting);
    wk->wait_timer = loop_timer_create(&wk->loop, wait_timer_fired, wk);
    wk->connect_timer = loop_timer_create(&wk->loop, connect_timer_fired, wk);
    wk->connect_tokens = CONNECTS_BURST;
    wk->connect_refilled = loop_now(&wk->loop);
    wk->random = hash_seeded(&wk->cfg.index, sizeof wk->cfg.index) | 1;
}

void agenda_close(struct worker *wk)
{
    loop_timer_free(wk->wait_timer);
    loop_timer_free(wk->connect_timer);
}
