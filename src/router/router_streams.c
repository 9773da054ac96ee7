/*
 * Streams: what each should be attached to, and what it is attached to. router_internal.h has the
 * drawing; router.c has the routes.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "router/changes.h"
#include "router/router_internal.h"

static enum route_trust url_trust(const struct route_url *u)
{
    return (enum route_trust)u->trust;
}

static struct str host_name(const struct host *h)
{
    return str_make(h->name, h->len);
}

static struct route_stream *stream_by_owner(const struct chain *c)
{
    return container_of(c, struct route_stream, by_owner);
}

static struct str owner_chain_key(const struct chain *c)
{
    return stream_by_owner(c)->identity->owner;
}

/* ---- dirty streams ---- */

static void mark_stream(struct router *r, struct route_stream *st)
{
    list_del(&st->dirty);
    list_add_tail(&r->dirty, &st->dirty);
    st->unsure |= r->unsure;
}

void router_dirty_unsure(struct router *r)
{
    list_for_each (it, &r->dirty)
        list_entry(it, struct route_stream, dirty)->unsure = true;
}

static void mark_host(struct router *r, struct host *h)
{
    list_for_each (it, &h->streams)
        mark_stream(r, list_entry(it, struct route_stream, node));
}

void router_mark_dirty(struct router *r, enum route_trust trust, struct str pattern)
{
    struct chain *c;
    struct host *h;

    if (trust == ROUTE_OWNER) { /* by UID */
        for (c = chains_find(&r->owners, pattern); c; c = chains_next(&r->owners, c, pattern))
            mark_stream(r, stream_by_owner(c));
        return;
    }
    if (str_find(pattern, '*') < 0) {
        h = map_get(&r->hosts, pattern);
        if (h)
            mark_host(r, h);
        return;
    }
    list_for_each (it, &r->streams) {
        struct route_stream *st = list_entry(it, struct route_stream, all);

        if (st->identity && str_glob(pattern, router_wild_text(r, st->identity)))
            mark_stream(r, st);
    }
}

/* ---- what a stream should be attached to ---- */

struct str router_wild_text(const struct router *r, const struct identity *id)
{
    return r->by_hostname ? id->hostname : id->name;
}

/* True when the same URL is already wanted with a trust that precedes <u>'s. */
static bool wanted_already(const struct router *r, const struct route_url *u)
{
    for (uint32_t trust = ROUTE_OPERATOR; trust < u->trust; trust++) {
        const struct route_url *twin =
            route_url_find(r, route_url_text(u), (enum route_trust)trust);

        if (twin && twin->mark == r->mark)
            return true;
    }
    return false;
}

static void want_route(struct router *r, const struct route *rt)
{
    for (uint32_t i = 0; i < rt->nurls; i++) {
        struct route_url *u = rt->urls[i];

        if (u->mark == r->mark || wanted_already(r, u))
            continue;
        u->mark = r->mark;
        if (r->nwant == r->want_cap) {
            r->want_cap = r->want_cap ? r->want_cap * 2 : 16;
            r->want = xrealloc(r->want, r->want_cap * sizeof(struct route_url *));
        }
        r->want[r->nwant++] = u;
    }
}

static void want_by_hostname(struct router *r, struct str hostname)
{
    for (struct chain *c = chains_find(&r->exact, hostname); c;
         c = chains_next(&r->exact, c, hostname))
        want_route(r, route_by_pattern(c));
}

static void want_by_pattern(struct router *r, struct str text)
{
    for (size_t i = 0; i < r->wild.cap; i++)
        for (struct chain *c = r->wild.heads[i]; c; c = c->next)
            if (str_glob(route_pattern(route_by_pattern(c)), text))
                want_route(r, route_by_pattern(c));
}

static void want_by_owner(struct router *r, struct str uid)
{
    for (struct chain *c = chains_find(&r->owned, uid); c; c = chains_next(&r->owned, c, uid))
        want_route(r, route_by_pattern(c));
}

/* Fills router->want with the URLs that <id> should be attached to. They carry router->mark. */
static void want_collect(struct router *r, const struct identity *id)
{
    r->mark += 2; /* one mark for wanted, one for wanted and already attached */
    r->nwant = 0;
    want_by_hostname(r, id->hostname);
    want_by_pattern(r, router_wild_text(r, id));
    if (id->owner.len)
        want_by_owner(r, id->owner);
}

bool router_wants(struct router *r, struct str hostname)
{
    const struct identity id = {.hostname = hostname, .name = hostname, .network = true};

    want_collect(r, &id);
    return r->nwant > 0;
}

bool router_stream_wanted(const struct origin *o)
{
    const struct route_stream *st = o->route;

    return st && st->nurls > 0;
}

uint64_t router_generation(const struct router *r)
{
    return r->generation;
}

static struct route_target target_of(const struct route_url *u)
{
    return (struct route_target){route_url_text(u), url_trust(u)};
}

/* The sink refuses <u>: it is attached when the routes are compared again. */
static void stream_refused(struct router *r, struct route_stream *st, struct route_url *u,
                           enum attach_from from)
{
    unsigned n = 0;

    for (unsigned i = 0; i < st->nurls; i++)
        if (st->urls[i] != u)
            st->urls[n++] = st->urls[i];
    st->nurls = n;
    st->refused_from = st->nrefused && st->refused_from > from ? st->refused_from : from;
    st->nrefused++;
    r->stats.refused++;
    route_url_drop(r, u);
}

/* Passes the added and removed URLs to the sink; there are rarely any. */
static void report_changes(struct router *r, struct route_stream *st, struct route_url **gone,
                           unsigned ngone, struct route_url **came, unsigned ncame,
                           enum attach_from from)
{
    int *of = xcalloc(ncame + 1, sizeof(*of));

    route_changes_find(gone, ngone, came, ncame, st->unsure, of); /* a removed one may return */
    for (unsigned i = 0; i < ncame; i++) {
        const struct route_target now = target_of(came[i]);
        struct route_target before;

        if (of[i] < 0) {
            if (!r->sink->attach(r->arg, st->origin, now.url, now.trust, from))
                stream_refused(r, st, came[i], from);
            continue;
        }
        before = target_of(gone[of[i]]);
        r->sink->change(r->arg, st->origin, &before, &now);
        gone[of[i]] = NULL;
    }
    for (unsigned i = 0; i < ngone; i++) {
        void (*tell)(void *arg, struct origin *o, struct str url, enum route_trust trust) =
            st->unsure ? r->sink->park : r->sink->detach;

        if (gone[i])
            tell(r->arg, st->origin, route_url_text(gone[i]), url_trust(gone[i]));
    }
    free(of);
}

/* Updates the attachments of <st>. */
static void stream_sync(struct router *r, struct route_stream *st, enum attach_from from)
{
    struct route_url **old = st->urls, **gone, **came;
    unsigned nold = st->nurls, ngone = 0, ncame = 0;

    list_del(&st->dirty);
    r->stats.refused -= st->nrefused;
    st->nrefused = 0;
    want_collect(r, st->identity);
    st->nurls = r->nwant;
    st->urls = r->nwant ? xmalloc(r->nwant * sizeof(struct route_url *)) : NULL;
    gone = xmalloc((nold + r->nwant + 1) * sizeof(struct route_url *));
    came = gone + nold;
    for (unsigned i = 0; i < r->nwant; i++) {
        st->urls[i] = r->want[i];
        st->urls[i]->refs++;
    }
    for (unsigned i = 0; i < nold; i++)
        if (old[i]->mark == r->mark)
            old[i]->mark++;
        else
            gone[ngone++] = old[i];
    for (unsigned i = 0; i < st->nurls; i++)
        if (st->urls[i]->mark == r->mark)
            came[ncame++] = st->urls[i];
    report_changes(r, st, gone, ngone, came, ncame, from);
    for (unsigned i = 0; i < nold; i++)
        route_url_drop(r, old[i]);
    st->unsure = false;
    free(gone);
    free(old);
    r->stats.attachments += st->nurls;
    r->stats.attachments -= nold;
    r->stats.unrouted += st->nurls == 0;
    r->stats.unrouted -= nold == 0;
}

unsigned router_sync_dirty(struct router *r, bool late)
{
    unsigned n = 0;

    for (; !list_empty(&r->dirty); n++) {
        struct route_stream *st = list_entry(r->dirty.next, struct route_stream, dirty);

        stream_sync(r, st, late ? st->from : ATTACH_END);
    }
    return n;
}

void router_retry(struct router *r)
{
    list_for_each (it, &r->streams) {
        struct route_stream *st = list_entry(it, struct route_stream, all);

        if (st->nrefused)
            stream_sync(r, st, st->refused_from);
    }
}

/* ---- the tables ---- */

static void stream_enter_host(struct router *r, struct route_stream *st)
{
    struct str name = st->identity->hostname;
    struct host *h = map_get(&r->hosts, name);

    if (!h) {
        h = xmalloc(sizeof(*h) + name.len);
        h->len = name.len;
        memcpy(h->name, name.p, name.len);
        list_init(&h->streams);
        (void)map_put(&r->hosts, host_name(h), h); /* no previous entry */
    }
    st->host = h;
    list_add_tail(&h->streams, &st->node);
}

static void stream_leave_host(struct router *r, struct route_stream *st)
{
    struct host *h = st->host;

    list_del(&st->node);
    st->host = NULL;
    if (!list_empty(&h->streams))
        return;
    (void)map_del(&r->hosts, host_name(h));
    free(h);
}

/* Adds it under its origin's current identity. */
static void stream_enter(struct router *r, struct route_stream *st)
{
    st->identity = identity_ref(st->origin->identity);
    stream_enter_host(r, st);
    if (st->identity->owner.len)
        chains_add(&r->owners, &st->by_owner);
}

/* Removes it from the tables, if it is in any. */
static void stream_leave(struct router *r, struct route_stream *st)
{
    if (st->host)
        stream_leave_host(r, st);
    if (st->identity && st->identity->owner.len)
        chains_del(&r->owners, &st->by_owner);
    identity_unref(st->identity);
    st->identity = NULL;
}

/* ---- adding, identifying and removing streams ---- */

static struct route_stream *stream_add(struct router *r, struct origin *o, bool existing)
{
    struct route_stream *st = xcalloc(1, sizeof(*st));

    if (o->route)
        BUG("router: stream %llu added twice", (unsigned long long)o->id);
    st->origin = o;
    st->from = r->sink->found(r->arg, o, existing);
    o->route = st;
    list_init(&st->dirty);
    list_init(&st->node);
    list_add_tail(&r->streams, &st->all);
    r->stats.streams++;
    r->stats.pending++;
    return st;
}

/* True when all sources whose routes count as present from the start have loaded, as far as the
 * streams are identified. */
static bool all_sources_loaded(const struct router *r)
{
    list_for_each (it, &r->sources)
        if (list_entry(it, struct route_source, node)->late)
            return false;
    return true;
}

static void report_routed(struct router *r, struct route_stream *st)
{
    if (r->sink->routed && st->named == STREAM_IDENTIFIED)
        r->sink->routed(r->arg, st->origin);
}

void router_streams_routed(struct router *r)
{
    if (!all_sources_loaded(r))
        return;
    list_for_each (it, &r->streams)
        report_routed(r, list_entry(it, struct route_stream, all));
}

static void stream_named(struct router *r, struct route_stream *st, enum stream_named named)
{
    enum attach_from from = st->named == STREAM_IDENTIFIED ? ATTACH_END : st->from;

    if (st->named == STREAM_PENDING) {
        r->stats.pending--;
        r->stats.unrouted++; /* until stream_sync finds out */
    }
    st->named = named;
    stream_leave(r, st);
    stream_enter(r, st);
    stream_sync(r, st, from);
    if (all_sources_loaded(r))
        report_routed(r, st);
}

void router_stream_add(struct router *r, struct origin *o, bool existing)
{
    stream_named(r, stream_add(r, o, existing), STREAM_IDENTIFIED);
}

void router_stream_add_pending(struct router *r, struct origin *o, bool existing)
{
    (void)stream_add(r, o, existing); /* unchanged for now */
}

void router_stream_guessed(struct router *r, struct origin *o)
{
    struct route_stream *st = o->route;

    if (st && st->named != STREAM_IDENTIFIED)
        stream_named(r, st, STREAM_GUESSED);
}

void router_stream_identified(struct router *r, struct origin *o)
{
    if (o->route)
        stream_named(r, o->route, STREAM_IDENTIFIED);
}

static void stream_free(struct router *r, struct route_stream *st)
{
    stream_leave(r, st);
    list_del(&st->all);
    list_del(&st->dirty);
    for (unsigned i = 0; i < st->nurls; i++)
        route_url_drop(r, st->urls[i]);
    free(st->urls);
    st->origin->route = NULL;
    free(st);
}

void router_stream_remove(struct router *r, struct origin *o)
{
    struct route_stream *st = o->route;
    bool unsent;

    if (!st)
        return;
    unsent = st->nrefused;
    r->stats.refused -= st->nrefused;
    r->stats.streams--;
    r->stats.attachments -= st->nurls;
    if (st->named == STREAM_PENDING)
        r->stats.pending--;
    else
        r->stats.unrouted -= st->nurls == 0;
    stream_free(r, st);
    if (unsent && r->sink->unsent)
        r->sink->unsent(r->arg, o);
    if (r->sink->gone)
        r->sink->gone(r->arg, o);
}

void router_streams_init(struct router *r)
{
    list_init(&r->streams);
    list_init(&r->dirty);
    chains_init(&r->owners, owner_chain_key);
    map_init(&r->hosts);
}

void router_streams_release(struct router *r)
{
    while (!list_empty(&r->streams))
        stream_free(r, list_entry(r->streams.next, struct route_stream, all));
    map_release(&r->hosts);
    chains_release(&r->owners);
    free(r->want);
}
