/*
 * Routes: the sources' sets of them, and the tables in which streams find them. router_internal.h
 * has the drawing; router_streams.c has the streams.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "router/router_internal.h"

static struct str url_chain_key(const struct chain *c)
{
    return route_url_text(
        (const struct route_url *)(const void *)c); /* chain is its first member */
}

/* ---- routes ---- */

static struct str route_key(const struct route *rt)
{
    return str_make((const char *)&rt->urls[rt->nurls], rt->key_len);
}

static struct route *route_by_key(const struct chain *c)
{
    return container_of(c, struct route, by_key);
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

static enum route_trust trust_of(const struct route_source *s, struct str pattern)
{
    bool by_name = s->trust == ROUTE_OPERATOR && is_wild(pattern) && !s->router->by_hostname;

    return by_name ? ROUTE_PATTERN : s->trust;
}

static struct chains *table_of(struct router *r, enum route_trust trust, struct str pattern)
{
    if (trust == ROUTE_OWNER)
        return &r->owned;
    return is_wild(pattern) ? &r->wild : &r->exact;
}

static void route_link(struct route_source *s, struct route *rt)
{
    struct router *r = s->router;

    chains_add(table_of(r, s->trust, route_pattern(rt)), &rt->by_pattern);
    r->stats.routes += rt->nurls;
    router_mark_dirty(r, s->trust, route_pattern(rt));
}

static void route_unlink(struct route_source *s, struct route *rt)
{
    struct router *r = s->router;

    chains_del(table_of(r, s->trust, route_pattern(rt)), &rt->by_pattern);
    r->stats.routes -= rt->nurls;
    r->unsure = s->unsure;
    router_mark_dirty(r, s->trust, route_pattern(rt));
    r->unsure = false;
}

/* Removes it from the tables. */
static void route_remove(struct route_source *s, struct route *rt)
{
    route_unlink(s, rt);
    chains_del(&s->routes, &rt->by_key);
    s->fresh -= rt->generation == s->generation;
    for (uint32_t i = 0; i < rt->nurls; i++)
        route_url_drop(s->router, rt->urls[i]);
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
        if (!str_eq(route_url_text(rt->urls[i]), urls[i]))
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
        rt->urls[i] = route_url_take(s->router, urls[i], trust_of(s, pattern));
    text = (char *)&rt->urls[nurls];
    memcpy(text, key.p, key.len);
    memcpy(text + key.len, pattern.p, pattern.len);
    if (old)
        route_remove(s, old);
    chains_add(&s->routes, &rt->by_key);
    s->fresh++;
    route_link(s, rt);
}

bool route_was_put(const struct route_source *s, struct str key)
{
    const struct route *rt = route_find(s, key);

    return rt && rt->generation == s->generation;
}

void route_drop(struct route_source *s, struct str key)
{
    struct route *rt = route_find(s, key);

    if (rt)
        route_remove(s, rt);
}

void route_source_unsure(struct route_source *s, bool unsure)
{
    s->unsure = unsure;
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

void route_commit(struct route_source *s)
{
    unsigned looked;

    s->router->generation++;
    if (s->full)
        drop_stale(s);
    if (s->unsure)
        router_dirty_unsure(s->router);
    s->unsure = false;
    looked = router_sync_dirty(s->router, s->late);
    if (s->late && s->full) {
        s->late = false;
        router_streams_routed(s->router);
    }
    s->full = false;
    log_debug("routes committed", KV_CSTR("source", s->name), KV_INT("rows", s->routes.len),
              KV_INT("streams_concerned", looked));
}

/* ---- life cycle ---- */

struct router *router_create(const struct router_sink *sink, void *arg)
{
    struct router *r = xcalloc(1, sizeof(*r));

    r->sink = sink;
    r->arg = arg;
    list_init(&r->sources);
    chains_init(&r->exact, pattern_chain_key);
    chains_init(&r->wild, pattern_chain_key);
    chains_init(&r->owned, pattern_chain_key);
    chains_init(&r->urls, url_chain_key);
    router_streams_init(r);
    return r;
}

static struct route_source *source_create(struct router *r, const char *name,
                                          enum route_trust trust)
{
    struct route_source *s = xcalloc(1, sizeof(*s));

    s->router = r;
    s->trust = trust;
    s->name = str_dup(str_of(name));
    chains_init(&s->routes, key_chain_key);
    list_add_tail(&r->sources, &s->node);
    return s;
}

struct route_source *router_source_create(struct router *r, const char *name)
{
    return source_create(r, name, ROUTE_OPERATOR);
}

struct route_source *router_source_create_owner(struct router *r, const char *name)
{
    return source_create(r, name, ROUTE_OWNER);
}

void route_source_set_late(struct route_source *s)
{
    s->late = true;
}

/* Streams first, so that dropping the routes marks none. */
void router_free(struct router *r)
{
    if (!r)
        return;
    router_streams_release(r);
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
    chains_release(&r->owned);
    chains_release(&r->urls);
    free(r);
}

void router_match_hostnames(struct router *r)
{
    r->by_hostname = true;
}

void router_stats(const struct router *r, struct router_stats *out)
{
    *out = r->stats;
}
