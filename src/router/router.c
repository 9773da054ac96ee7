/*
 * Routes on one side, streams on the other:
 *
 *   source "routes file" ── by_key ──▶ route ── urls ──▶ route_url (shared by equal text, counted)
 *                                        │                   ▲
 *       router.exact (by hostname) ──────┤                   │
 *       router.wild  (by pattern) ───────┘   stream ── urls ─┘   (what it is attached to)
 *       router.hosts (by hostname) ──▶ streams
 *
 * Routes take effect in the tables at once; what that means for streams is worked out at commit,
 * for the streams that a changed route matches (they are marked dirty when it changes), by
 * comparing what each should be attached to with what it is. So the sink hears differences only,
 * and a route withdrawn and given back leaves no trace.
 *
 * Invariants: a stream's urls hold no URL twice; outside of a commit in the making they are exactly
 * what the routes say.
 */
#include "router/router.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "router/chains.h"

struct route_url {
    struct chain chain; /* router->urls */
    uint64_t mark;      /* the last look that came by (router->mark) */
    uint32_t refs;
    uint32_t len;
    char text[];
};

struct route {
    struct chain by_key;     /* source->routes */
    struct chain by_pattern; /* router->exact or router->wild */
    uint32_t generation;     /* of the source's full set that it was last in */
    uint32_t nurls;
    uint32_t key_len;
    uint32_t pattern_len;
    struct route_url *urls[]; /* a reference each; behind them the key and the pattern */
};

struct route_source {
    struct list node; /* router->sources */
    struct router *router;
    char *name;
    struct chains routes;
    uint32_t generation;
    size_t fresh; /* routes of this generation: when it is all, none is stale */
    bool full;    /* the commit to come drops what was not put */
    bool late;    /* its first full set is still to come, and counts as there from the start */
};

struct host {
    struct list streams;
    size_t len;
    char name[];
};

struct route_stream {
    struct list node;  /* host->streams */
    struct list dirty; /* router->dirty */
    struct host *host;
    struct origin *origin;
    struct route_url **urls; /* owned, a reference each */
    unsigned nurls;
    bool existing; /* was there when we started */
};

struct router {
    const struct router_sink *sink;
    void *arg;
    enum attach_from existing_from;
    struct list sources;
    struct chains exact;
    struct chains wild;
    struct chains urls;
    struct map hosts;
    struct list dirty;
    uint64_t mark;
    struct route_url **want; /* scratch: what the stream looked at should be attached to */
    unsigned nwant, want_cap;
    struct router_stats stats;
};

/* ---- URLs ---- */

static struct str url_text(const struct route_url *u)
{
    return str_make(u->text, u->len);
}

static struct str url_chain_key(const struct chain *c)
{
    return url_text((const struct route_url *)(const void *)c); /* chain is its first member */
}

static struct route_url *url_take(struct router *r, struct str text)
{
    struct chain *c = chains_find(&r->urls, text);
    struct route_url *u = c ? container_of(c, struct route_url, chain) : NULL;

    if (!u) {
        u = xmalloc(sizeof(*u) + text.len);
        *u = (struct route_url){.len = (uint32_t)text.len};
        memcpy(u->text, text.p, text.len);
        chains_add(&r->urls, &u->chain);
    }
    u->refs++;
    return u;
}

static void url_drop(struct router *r, struct route_url *u)
{
    if (--u->refs > 0)
        return;
    chains_del(&r->urls, &u->chain);
    free(u);
}

/* ---- routes ---- */

static struct str route_key(const struct route *rt)
{
    return str_make((const char *)&rt->urls[rt->nurls], rt->key_len);
}

static struct str route_pattern(const struct route *rt)
{
    return str_make((const char *)&rt->urls[rt->nurls] + rt->key_len, rt->pattern_len);
}

static struct route *route_by_key(const struct chain *c)
{
    return container_of(c, struct route, by_key);
}

static struct route *route_by_pattern(const struct chain *c)
{
    return container_of(c, struct route, by_pattern);
}

static struct str key_chain_key(const struct chain *c)
{
    return route_key(route_by_key(c));
}

static struct str pattern_chain_key(const struct chain *c)
{
    return route_pattern(route_by_pattern(c));
}

static bool is_wild(struct str pattern)
{
    return str_find(pattern, '*') >= 0;
}

static struct str host_name(const struct host *h)
{
    return str_make(h->name, h->len);
}

static void mark_dirty(struct router *r, struct host *h)
{
    list_for_each (it, &h->streams) {
        struct route_stream *st = list_entry(it, struct route_stream, node);

        list_del(&st->dirty);
        list_add_tail(&r->dirty, &st->dirty);
    }
}

/* Something about the routes for <pattern> has changed. */
static void mark_matching_dirty(struct router *r, struct str pattern)
{
    struct host *h;

    if (!is_wild(pattern)) {
        h = map_get(&r->hosts, pattern);
        if (h)
            mark_dirty(r, h);
        return;
    }
    for (size_t i = 0; (h = map_next(&r->hosts, &i));)
        if (str_glob(pattern, host_name(h)))
            mark_dirty(r, h);
}

static struct chains *table_of(struct router *r, struct str pattern)
{
    return is_wild(pattern) ? &r->wild : &r->exact;
}

static void route_link(struct router *r, struct route *rt)
{
    chains_add(table_of(r, route_pattern(rt)), &rt->by_pattern);
    r->stats.routes += rt->nurls;
    mark_matching_dirty(r, route_pattern(rt));
}

static void route_unlink(struct router *r, struct route *rt)
{
    chains_del(table_of(r, route_pattern(rt)), &rt->by_pattern);
    r->stats.routes -= rt->nurls;
    mark_matching_dirty(r, route_pattern(rt));
}

/* Takes it out of the tables. */
static void route_remove(struct route_source *s, struct route *rt)
{
    route_unlink(s->router, rt);
    chains_del(&s->routes, &rt->by_key);
    s->fresh -= rt->generation == s->generation;
    for (uint32_t i = 0; i < rt->nurls; i++)
        url_drop(s->router, rt->urls[i]);
    free(rt);
}

static struct route *route_find(const struct route_source *s, struct str key)
{
    struct chain *c = chains_find(&s->routes, key);

    return c ? route_by_key(c) : NULL;
}

static bool route_same(const struct route *rt, struct str pattern, const struct str *urls,
                       unsigned n)
{
    if (rt->nurls != n || !str_eq(route_pattern(rt), pattern))
        return false;
    for (unsigned i = 0; i < n; i++)
        if (!str_eq(url_text(rt->urls[i]), urls[i]))
            return false;
    return true;
}

bool route_keep(struct route_source *s, struct str key, struct str pattern, const struct str *urls,
                unsigned nurls)
{
    struct route *rt = route_find(s, key);

    if (!rt || !route_same(rt, pattern, urls, nurls))
        return false;
    s->fresh += rt->generation != s->generation;
    rt->generation = s->generation;
    return true;
}

void route_put(struct route_source *s, struct str key, struct str pattern, const struct str *urls,
               unsigned nurls)
{
    struct route *old, *rt;
    char *text;

    if (route_keep(s, key, pattern, urls, nurls))
        return;
    old = route_find(s, key);
    rt = xmalloc(sizeof(*rt) + nurls * sizeof(rt->urls[0]) + key.len + pattern.len);
    *rt = (struct route){.generation = s->generation,
                         .nurls = nurls,
                         .key_len = (uint32_t)key.len,
                         .pattern_len = (uint32_t)pattern.len};
    for (unsigned i = 0; i < nurls; i++)
        rt->urls[i] = url_take(s->router, urls[i]);
    text = (char *)&rt->urls[nurls];
    memcpy(text, key.p, key.len);
    memcpy(text + key.len, pattern.p, pattern.len);
    if (old)
        route_remove(s, old);
    chains_add(&s->routes, &rt->by_key);
    s->fresh++;
    route_link(s->router, rt);
}

void route_drop(struct route_source *s, struct str key)
{
    struct route *rt = route_find(s, key);

    if (rt)
        route_remove(s, rt);
}

void route_begin(struct route_source *s)
{
    s->full = true;
    s->generation++;
    s->fresh = 0;
}

void route_begin_changes(struct route_source *s)
{
    s->full = false;
}

static void drop_stale(struct route_source *s)
{
    if (s->fresh == s->routes.len)
        return;
    for (size_t i = 0; i < s->routes.cap; i++)
        for (struct chain *c = s->routes.heads[i], *next; c; c = next) {
            struct route *rt = route_by_key(c);

            next = c->next;
            if (rt->generation != s->generation)
                route_remove(s, rt);
        }
}

/* ---- streams ---- */

static void want_route(struct router *r, const struct route *rt)
{
    for (uint32_t i = 0; i < rt->nurls; i++) {
        struct route_url *u = rt->urls[i];

        if (u->mark == r->mark)
            continue;
        u->mark = r->mark;
        if (r->nwant == r->want_cap) {
            r->want_cap = r->want_cap ? r->want_cap * 2 : 16;
            r->want = xrealloc(r->want, r->want_cap * sizeof(struct route_url *));
        }
        r->want[r->nwant++] = u;
    }
}

/* Fills router->want with what <hostname> is to be attached to; the URLs in it carry router->mark.
 */
static void want_collect(struct router *r, struct str hostname)
{
    struct chain *c;

    r->mark += 2; /* one for wanted, one for wanted and already there */
    r->nwant = 0;
    for (c = chains_find(&r->exact, hostname); c; c = chains_next(&r->exact, c, hostname))
        want_route(r, route_by_pattern(c));
    for (size_t i = 0; i < r->wild.cap; i++)
        for (c = r->wild.heads[i]; c; c = c->next)
            if (str_glob(pattern_chain_key(c), hostname))
                want_route(r, route_by_pattern(c));
}

/* Makes what <st> is attached to what it should be. */
static void stream_sync(struct router *r, struct route_stream *st, enum attach_from from)
{
    struct route_url **old = st->urls;
    unsigned nold = st->nurls;

    list_del(&st->dirty);
    want_collect(r, st->origin->identity->hostname);
    st->nurls = r->nwant;
    st->urls = r->nwant ? xmalloc(r->nwant * sizeof(struct route_url *)) : NULL;
    for (unsigned i = 0; i < r->nwant; i++) {
        st->urls[i] = r->want[i];
        st->urls[i]->refs++;
    }
    for (unsigned i = 0; i < nold; i++)
        if (old[i]->mark == r->mark)
            old[i]->mark++;
    for (unsigned i = 0; i < st->nurls; i++)
        if (st->urls[i]->mark == r->mark)
            r->sink->attach(r->arg, st->origin, url_text(st->urls[i]), from);
    for (unsigned i = 0; i < nold; i++) {
        if (old[i]->mark != r->mark + 1)
            r->sink->detach(r->arg, st->origin, url_text(old[i]));
        url_drop(r, old[i]);
    }
    free(old);
    r->stats.attachments += st->nurls;
    r->stats.attachments -= nold;
    r->stats.unrouted += st->nurls == 0;
    r->stats.unrouted -= nold == 0;
}

static enum attach_from stream_from(const struct router *r, const struct route_stream *st)
{
    return st->existing ? r->existing_from : ATTACH_START;
}

void route_commit(struct route_source *s)
{
    struct router *r = s->router;
    unsigned looked = 0;

    if (s->full)
        drop_stale(s);
    for (; !list_empty(&r->dirty); looked++) {
        struct route_stream *st = list_entry(r->dirty.next, struct route_stream, dirty);

        stream_sync(r, st, s->late ? stream_from(r, st) : ATTACH_END);
    }
    s->late = s->late && !s->full;
    s->full = false;
    log_debug("routes committed", KV_CSTR("source", s->name), KV_INT("rows", s->routes.len),
              KV_INT("streams_concerned", looked));
}

static void stream_enter_host(struct router *r, struct route_stream *st)
{
    struct str name = st->origin->identity->hostname;
    struct host *h = map_get(&r->hosts, name);

    if (!h) {
        h = xmalloc(sizeof(*h) + name.len);
        h->len = name.len;
        memcpy(h->name, name.p, name.len);
        list_init(&h->streams);
        (void)map_put(&r->hosts, host_name(h), h); /* there was none */
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

static void stream_free(struct router *r, struct route_stream *st)
{
    for (unsigned i = 0; i < st->nurls; i++)
        url_drop(r, st->urls[i]);
    free(st->urls);
    st->origin->route = NULL;
    free(st);
}

void router_stream_add(struct router *r, struct origin *o, bool existing)
{
    struct route_stream *st = xcalloc(1, sizeof(*st));

    if (o->route)
        BUG("router: stream %llu added twice", (unsigned long long)o->id);
    st->origin = o;
    st->existing = existing;
    o->route = st;
    list_init(&st->dirty);
    stream_enter_host(r, st);
    r->stats.streams++;
    r->stats.unrouted++; /* until stream_sync finds out */
    stream_sync(r, st, stream_from(r, st));
}

void router_stream_renamed(struct router *r, struct origin *o)
{
    struct route_stream *st = o->route;

    if (!st)
        return;
    stream_leave_host(r, st);
    stream_enter_host(r, st);
    stream_sync(r, st, ATTACH_END);
}

void router_stream_remove(struct router *r, struct origin *o)
{
    struct route_stream *st = o->route;

    if (!st)
        return;
    r->stats.streams--;
    r->stats.attachments -= st->nurls;
    r->stats.unrouted -= st->nurls == 0;
    list_del(&st->dirty);
    stream_leave_host(r, st);
    stream_free(r, st);
}

/* ---- the whole ---- */

struct router *router_create(const struct router_sink *sink, void *arg)
{
    struct router *r = xcalloc(1, sizeof(*r));

    r->sink = sink;
    r->arg = arg;
    r->existing_from = ATTACH_END;
    list_init(&r->sources);
    list_init(&r->dirty);
    chains_init(&r->exact, pattern_chain_key);
    chains_init(&r->wild, pattern_chain_key);
    chains_init(&r->urls, url_chain_key);
    map_init(&r->hosts);
    return r;
}

struct route_source *router_source_create(struct router *r, const char *name)
{
    struct route_source *s = xcalloc(1, sizeof(*s));

    s->router = r;
    s->name = str_dup(str_of(name));
    chains_init(&s->routes, key_chain_key);
    list_add_tail(&r->sources, &s->node);
    return s;
}

void route_source_set_late(struct route_source *s)
{
    s->late = true;
}

/* Streams first, so that dropping the routes has nobody to mark. */
void router_free(struct router *r)
{
    struct host *h;

    if (!r)
        return;
    for (size_t i = 0; (h = map_next(&r->hosts, &i));) {
        list_for_each_safe (it, &h->streams)
            stream_free(r, list_entry(it, struct route_stream, node));
        free(h);
    }
    map_release(&r->hosts);
    while (!list_empty(&r->sources)) {
        struct route_source *s = list_entry(r->sources.next, struct route_source, node);

        s->generation++;
        s->fresh = 0;
        drop_stale(s);
        chains_release(&s->routes);
        list_del(&s->node);
        free(s->name);
        free(s);
    }
    chains_release(&r->exact);
    chains_release(&r->wild);
    chains_release(&r->urls);
    free(r->want);
    free(r);
}

void router_set_existing_from(struct router *r, enum attach_from from)
{
    r->existing_from = from;
}

void router_stats(const struct router *r, struct router_stats *out)
{
    *out = r->stats;
}
