/*
 * Hosts that nobody has reached: their drains wait together. A drain whose connection was never
 * made has no timer of its own for the next try; all such drains of one host (of one namespace,
 * where workloads asked for them) share one backoff, and take turns:
 *
 *   host ── waiting: drain ─ drain ─ drain …   every turn tries the first of them, one in TURNS
 *
 * So ten thousand dead drains of a host cost what its turns cost, and one bad port does not hold a
 * good one for ever. When one is reached, those of the same port are let go at once.
 *
 * Tries of drains that were never reached have a pace of their own, RETRIES_PER_SECOND for all of a
 * worker (engine.c): however many there are, looking after them costs next to nothing. A drain that
 * was ever reached has its own backoff (drain.c), and waits for none of these.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/engine_internal.h"

#define TURNS 4 /* at the most, until each of those that wait was tried */

struct host {
    struct engine *engine;
    struct loop_timer *timer; /* owned: the next turn */
    struct list waiting;      /* struct drain.host_node */
    unsigned refs, nwaiting;
    unsigned attempts; /* turns in vain, in a row */
    uint16_t port;     /* that was tried last, in vain */
    size_t len;
    char name[]; /* namespace/host */
};

static void leave(struct drain *d)
{
    if (list_empty(&d->host_node))
        return;
    list_del(&d->host_node);
    d->host->nwaiting--;
}

static void let_try(struct drain *d)
{
    leave(d);
    if (d->state != DRAIN_WAITING)
        return;
    d->state = DRAIN_CLOSED;
    engine_want(d->engine, d);
}

static void next_turn(struct host *h)
{
    uint64_t ms = engine_backoff(h->engine, h->attempts, BACKOFF_CAP_MS);

    h->attempts++;
    loop_timer_start(h->timer, ms);
}

static void turn(void *arg)
{
    struct host *h = arg;
    unsigned tries = (h->nwaiting + TURNS - 1) / TURNS;

    while (tries-- && !list_empty(&h->waiting))
        let_try(list_entry(h->waiting.next, struct drain, host_node));
    if (!list_empty(&h->waiting))
        next_turn(h);
}

static struct host *host_create(struct engine *en, struct str name)
{
    struct host *h = xcalloc(1, sizeof(*h) + name.len);

    h->engine = en;
    h->timer = loop_timer_create(&en->loop, turn, h);
    list_init(&h->waiting);
    h->len = name.len;
    memcpy(h->name, name.p, name.len);
    (void)map_put(&en->hosts, str_make(h->name, h->len), h);
    return h;
}

void host_join(struct drain *d, const struct identity *id)
{
    struct engine *en = d->engine;
    struct buf *name;

    if (d->host || !d->spec->url.host.len)
        return;
    name = engine_scratch(en, 2 * URL_MAX);
    if ((d->spec->owner && buf_add_str(name, id->namespace) < 0) || buf_add_ch(name, '/') < 0 ||
        buf_add_str(name, d->spec->url.host) < 0)
        BUG("drain: a host's name of more than %d bytes", 2 * URL_MAX);
    d->host = map_get(&en->hosts, buf_str(name));
    if (!d->host)
        d->host = host_create(en, buf_str(name));
    d->host->refs++;
}

void host_leave(struct drain *d)
{
    struct host *h = d->host;

    if (!h)
        return;
    leave(d);
    d->host = NULL;
    if (--h->refs)
        return;
    (void)map_del(&d->engine->hosts, str_make(h->name, h->len));
    loop_timer_free(h->timer);
    free(h);
}

static void wait_turn(struct drain *d)
{
    struct host *h = d->host;

    d->state = DRAIN_WAITING;
    list_del(&d->connect_node);
    if (list_empty(&d->host_node))
        h->nwaiting++;
    list_del(&d->host_node);
    list_add_tail(&h->waiting, &d->host_node);
    if (!loop_timer_active(h->timer))
        next_turn(h);
}

static bool never_reached(const struct drain *d)
{
    return d->host && !d->counters.connects;
}

bool host_wait(struct drain *d)
{
    if (!never_reached(d) || d->state == DRAIN_CLOSING)
        return false;
    d->host->port = d->spec->port;
    wait_turn(d);
    return true;
}

bool host_wait_new(struct drain *d)
{
    if (!never_reached(d) || d->attempts || d->host->port != d->spec->port ||
        list_empty(&d->host->waiting))
        return false;
    d->attempts = 1; /* once: when its turn has come it tries */
    wait_turn(d);
    return true;
}

void host_reached(struct drain *d)
{
    struct host *h = d->host;

    if (!h || !h->attempts)
        return;
    h->attempts = 0;
    list_for_each_safe (it, &h->waiting) {
        struct drain *other = list_entry(it, struct drain, host_node);

        if (other->spec->port == d->spec->port)
            let_try(other);
    }
    if (list_empty(&h->waiting))
        loop_timer_stop(h->timer);
    else
        loop_timer_start(h->timer, BACKOFF_BASE_MS);
}

uint64_t host_retry_in(const struct drain *d)
{
    const struct loop_timer *t = list_empty(&d->host_node) ? d->timer : d->host->timer;

    return t ? loop_timer_left(t) : 0;
}
