/*
 * Why a stream is attached to its drains: the routes behind its URLs, with the name of their
 * source.
 */
#include "router/router_internal.h"

static bool meets(const struct identity *id, const struct route_source *s, struct str pattern)
{
    if (s->trust == ROUTE_OPERATOR && str_find(pattern, '*') < 0)
        return str_eq(pattern, id->hostname);
    if (s->trust == ROUTE_OPERATOR)
        return str_glob(pattern, router_wild_text(s->router, id));
    return id->owner.len && str_eq(id->owner, pattern);
}

static bool attached(const struct route_stream *st, const struct route_url *u)
{
    for (unsigned i = 0; i < st->nurls; i++)
        if (st->urls[i] == u)
            return true;
    return false;
}

bool router_stream_pending(const struct origin *o)
{
    const struct route_stream *st = o->route;

    return st && st->named == STREAM_PENDING;
}

/* The routes that match <id>; with <st>, only what it is attached to. */
static void explain(
    const struct router *r, const struct identity *id, const struct route_stream *st,
    void (*fn)(void *arg, const char *source, struct str url, enum route_trust trust), void *arg)
{
    list_for_each (it, &r->sources) {
        const struct route_source *s = list_entry(it, struct route_source, node);

        for (size_t i = 0; i < s->routes.cap; i++)
            for (const struct chain *c = s->routes.heads[i]; c; c = c->next) {
                const struct route *rt = container_of(c, struct route, by_key);

                if (!meets(id, s, route_pattern(rt)))
                    continue;
                for (uint32_t u = 0; u < rt->nurls; u++)
                    if (!st || attached(st, rt->urls[u]))
                        fn(arg, s->name, route_url_text(rt->urls[u]),
                           (enum route_trust)rt->urls[u]->trust);
            }
    }
}

void router_explain(const struct router *r, const struct origin *o,
                    void (*fn)(void *arg, const char *source, struct str url,
                               enum route_trust trust),
                    void *arg)
{
    const struct route_stream *st = o->route;

    if (st && st->identity)
        explain(r, st->identity, st, fn, arg);
}

void router_explain_hostname(const struct router *r, struct str hostname,
                             void (*fn)(void *arg, const char *source, struct str url,
                                        enum route_trust trust),
                             void *arg)
{
    const struct identity id = {.hostname = hostname, .name = hostname, .network = true};

    explain(r, &id, NULL, fn, arg);
}
