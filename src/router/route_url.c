/*
 * URLs of routes, stored once per trust and reference-counted, and the fields of a route. Used by
 * all other files here; uses only chains.c.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "router/router_internal.h"

struct str route_pattern(const struct route *rt)
{
    return str_make((const char *)&rt->urls[rt->nurls] + rt->key_len, rt->pattern_len);
}

struct str route_url_text(const struct route_url *u)
{
    return str_make(u->text, u->len);
}

struct route_url *route_url_find(const struct router *r, struct str text, enum route_trust trust)
{
    for (struct chain *c = chains_find(&r->urls, text); c; c = chains_next(&r->urls, c, text)) {
        struct route_url *u = container_of(c, struct route_url, chain);

        if (u->trust == (uint32_t)trust)
            return u;
    }
    return NULL;
}

struct route_url *route_url_take(struct router *r, struct str text, enum route_trust trust)
{
    struct route_url *u = route_url_find(r, text, trust);

    if (!u) {
        u = xmalloc(sizeof(*u) + text.len);
        *u = (struct route_url){.len = (uint32_t)text.len & (UINT32_MAX >> 2), .trust = trust & 3};
        memcpy(u->text, text.p, text.len);
        chains_add(&r->urls, &u->chain);
    }
    u->refs++;
    return u;
}

void route_url_drop(struct router *r, struct route_url *u)
{
    if (--u->refs > 0)
        return;
    chains_del(&r->urls, &u->chain);
    free(u);
}
