/*
 * Hosts without a connection yet: their drains wait together. A drain that never connected has no
 * retry timer of its own. All such drains of one host (and of one namespace, if workloads asked for
 * them) share one backoff and take turns:
 *
 *   host ── ports: port ── waiting: drain ─ drain ─ drain …
 *                  port ── waiting: drain …
 *
 * A failure before the connection is made counts for all: for the whole host when its name has no
 * address, for the port when nothing listens there. Then one drain tries in each turn, and the
 * others wait for its result without doing any work. Any later failure (TLS, refused login) may be
 * the drain's own. Then each drain gets its turn, one in TURNS of them at a time, so that a bad
 * drain does not delay a good one for ever. When one drain connects, those of the same port may try
 * at once.
 *
 * Attempts of drains that never connected have their own rate limit, RETRIES_PER_SECOND per worker
 * (agenda.c), so that any number of them costs almost nothing. A drain that has connected once has
 * its own backoff (health.c) and waits for none of these.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "drains/core/worker_internal.h"
#include "loop/dns.h"

#define TURNS 4 /* most turns until each waiting drain has tried */

struct host {
    struct worker *worker;
    struct loop_timer *timer; /* owned: the next turn; NULL while no drain waits */
    struct list ports;        /* of struct port, those with waiting drains, served round-robin */
    struct drain *probe;      /* if <nameless>: the drain that may resolve the name */
    struct drain *last;       /* drain that failed last and has the error; may be NULL */
    bool nameless;            /* the last lookup found no address */
    unsigned refs, nwaiting;
    unsigned attempts; /* consecutive turns without success */
    size_t len;
    char name[]; /* namespace/host */
};

struct port {
    struct host *host;   /* one reference */
    struct list node;    /* host->ports */
    struct list waiting; /* of struct drain.host_node */
    struct drain *probe; /* if <shut>: the drain that may try */
    struct drain *last;  /* as in struct host */
    bool shut;           /* the last attempt found nothing listening */
    bool failed;         /* an attempt has failed since the last connection */
    unsigned refs, nwaiting;
    size_t len;
    char name[]; /* namespace/host:port */
};

/* ---- joining a host ---- */

static struct host *host_for(struct worker *wk, struct str name)
{
    struct host *h = map_get(&wk->hosts, name);

    if (h)
        return h;
    h = xcalloc(1, sizeof(*h) + name.len);
    h->worker = wk;
    list_init(&h->ports);
    h->len = name.len;
    memcpy(h->name, name.p, name.len);
    (void)map_put(&wk->hosts, str_make(h->name, h->len), h);
    return h;
}

static struct port *port_for(struct worker *wk, struct str name, size_t host_len)
{
    struct port *p = map_get(&wk->ports, name);

    if (p)
        return p;
    p = xcalloc(1, sizeof(*p) + name.len);
    p->host = host_for(wk, str_head(name, host_len));
    p->host->refs++;
    list_init(&p->node);
    list_init(&p->waiting);
    p->len = name.len;
    memcpy(p->name, name.p, name.len);
    (void)map_put(&wk->ports, str_make(p->name, p->len), p);
    return p;
}

void host_join(struct drain *d, const struct identity *id)
{
    struct worker *wk = d->worker;
    struct buf *name;
    size_t host_len;

    if (d->port || !d->spec->url.host.len)
        return;
    name = worker_scratch(wk, 2 * URL_MAX);
    if ((d->spec->owner && buf_add_str(name, id->namespace) < 0) || buf_add_ch(name, '/') < 0 ||
        buf_add_str(name, d->spec->url.host) < 0)
        BUG("drain: a host's name of more than %d bytes", 2 * URL_MAX);
    host_len = name->len;
    if (buf_addf(name, ":%u", d->spec->port) < 0)
        BUG("drain: a host's name of more than %d bytes", 2 * URL_MAX);
    d->port = port_for(wk, buf_str(name), host_len);
    d->port->refs++;
}

static void leave(struct drain *d)
{
    struct port *p = d->port;

    if (p->probe == d)
        p->probe = NULL;
    if (p->host->probe == d)
        p->host->probe = NULL;
    if (list_empty(&d->host_node))
        return;
    list_del(&d->host_node);
    p->host->nwaiting--;
    if (!--p->nwaiting)
        list_del(&p->node);
}

static void host_unref(struct host *h)
{
    if (--h->refs)
        return;
    (void)map_del(&h->worker->hosts, str_make(h->name, h->len));
    loop_timer_free(h->timer);
    free(h);
}

void host_leave(struct drain *d)
{
    struct port *p = d->port;

    if (!p)
        return;
    leave(d);
    if (p->last == d)
        p->last = NULL;
    if (p->host->last == d)
        p->host->last = NULL;
    d->port = NULL;
    if (--p->refs)
        return;
    (void)map_del(&d->worker->ports, str_make(p->name, p->len));
    host_unref(p->host);
    free(p);
}

/* ---- turns ---- */

static void let_try(struct drain *d)
{
    leave(d);
    if (d->state != DRAIN_WAITING)
        return;
    d->state = DRAIN_CLOSED;
    worker_want(d->worker, d);
}

static struct drain *first_of(const struct port *p)
{
    return list_entry(p->waiting.next, struct drain, host_node);
}

/* Lets one drain of <p> try. */
static void probe(struct port *p, struct drain **which)
{
    struct drain *d = first_of(p);

    let_try(d);
    *which = d;
}

/* Lets up to <most> drains of <p> try. Returns how many have had their turn, by themselves or
 * through another. */
static unsigned port_turn(struct port *p, unsigned most)
{
    unsigned n = p->nwaiting < most ? p->nwaiting : most;

    if (p->shut) {
        n = p->nwaiting;
        probe(p, &p->probe);
        return n;
    }
    for (unsigned i = 0; i < n; i++)
        let_try(first_of(p));
    return n;
}

static void turn(void *host);

static void next_turn(struct host *h)
{
    uint64_t ms = worker_backoff(h->worker, h->attempts, BACKOFF_CAP_MS);

    h->attempts++;
    loop_timer_start(h->timer, ms);
}

/* Thousands of hosts may be queued for RETRIES_PER_SECOND. */
static void nobody_waits(struct host *h)
{
    loop_timer_free(h->timer);
    h->timer = NULL;
}

/* A port that was tried goes to the end of the list. */
static void turn(void *host)
{
    struct host *h = host;
    unsigned tries = (h->nwaiting + TURNS - 1) / TURNS;
    struct list tried;

    list_init(&tried);
    while (tries && !list_empty(&h->ports)) {
        struct port *p = list_entry(h->ports.next, struct port, node);
        unsigned n;

        list_del(&p->node);
        list_add_tail(&tried, &p->node);
        if (h->nameless) {
            probe(p, &h->probe);
            break;
        }
        n = port_turn(p, tries);
        tries -= n < tries ? n : tries;
    }
    while (!list_empty(&tried)) {
        struct list *node = tried.next;

        list_del(node);
        list_add_tail(&h->ports, node);
    }
    if (!list_empty(&h->ports))
        next_turn(h);
    else
        nobody_waits(h);
}

static void wait_turn(struct drain *d)
{
    struct port *p = d->port;
    struct host *h = p->host;

    leave(d);
    d->state = DRAIN_WAITING;
    list_del(&d->connect_node);
    list_add_tail(&p->waiting, &d->host_node);
    h->nwaiting++;
    if (!p->nwaiting++)
        list_add_tail(&h->ports, &p->node);
    if (h->timer)
        return;
    h->timer = loop_timer_create(&h->worker->loop, turn, h);
    next_turn(h);
}

/* ---- results of an attempt ---- */

static bool never_reached(const struct drain *d)
{
    return d->port && !d->counters.connects;
}

/* Whether any other drain of the port would have failed in the same way. */
static bool of_all(const struct err *e)
{
    switch (e->code) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EACCES: /* no address is allowed */
        return true;
    default:
        return false;
    }
}

/* There is a reason for the others to try soon. */
static void hurry(struct host *h)
{
    h->attempts = 0;
    if (h->timer && loop_timer_left(h->timer) > BACKOFF_BASE_MS)
        loop_timer_start(h->timer, BACKOFF_BASE_MS);
}

bool host_wait(struct drain *d, const struct err *e)
{
    bool nameless = e->code == DNS_NO_ADDRESS, better;
    struct port *p = d->port;
    struct host *h;

    if (!never_reached(d) || d->state == DRAIN_CLOSING)
        return false;
    h = p->host;
    better = !nameless && (h->nameless || (p->shut && !of_all(e)));
    h->nameless = nameless;
    h->last = p->last = d;
    p->failed = true;
    if (!nameless)
        p->shut = of_all(e);
    if (better)
        hurry(h);
    wait_turn(d);
    return true;
}

bool host_wait_known(struct drain *d, struct err *why)
{
    const struct port *p = d->port;
    const struct drain *last;

    if (!never_reached(d) || list_empty(&p->host->ports) || d == p->host->probe ||
        !(p->host->nameless || (p->shut && d != p->probe)))
        return false;
    if (!d->attempts)
        d->attempts = 1;
    wait_turn(d);
    last = p->host->nameless ? p->host->last : p->last;
    if (last)
        *why = last->last_error;
    else
        (void)err_set(why, EHOSTUNREACH, "another drain has just failed to reach this host");
    return true;
}

void host_reached(struct drain *d, bool first)
{
    struct port *p = d->port;

    if (!p)
        return;
    if (p->host->nameless)
        hurry(p->host);
    p->host->nameless = false;
    if (!p->shut && !(first && p->failed))
        return;
    p->shut = p->failed = false;
    while (!list_empty(&p->waiting)) {
        struct drain *other = first_of(p);

        other->attempts = 0; /* as a new one: ahead of those that never connected */
        let_try(other);
    }
    if (list_empty(&p->host->ports))
        nobody_waits(p->host);
    else
        hurry(p->host);
}

uint64_t host_retry_in(const struct drain *d)
{
    const struct loop_timer *t = list_empty(&d->host_node) ? d->timer : d->port->host->timer;

    return t ? loop_timer_left(t) : 0;
}
