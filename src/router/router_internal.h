/*
 * Between router.c (routes and their tables) and router_streams.c (what they mean for streams).
 *
 *   source "routes file" ── by_key ──▶ route ── urls ──▶ route_url (shared by equal text and trust)
 *                                        │                   ▲
 *       router.exact (by hostname) ──────┤                   │
 *       router.wild  (by name) ──────────┤   stream ── urls ─┘   (what it is attached to)
 *       router.owned (by UID) ───────────┘
 *       router.hosts (by hostname) ──▶ streams
 *       router.owners (by UID) ──────▶ streams
 *
 * Routes take effect in the tables at once; what that means for streams is worked out at commit,
 * for the streams that a changed route matches (they are marked dirty when it changes), by
 * comparing what each should be attached to with what it is. So the sink hears differences only,
 * and a route withdrawn and given back leaves no trace.
 *
 * Invariants: a stream's urls hold no URL twice, not with two trusts either; outside of a commit in
 * the making they are exactly what the routes say. A pending stream is in no table and has none.
 */
#ifndef ROUTER_ROUTER_INTERNAL_H
#define ROUTER_ROUTER_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "router/chains.h"
#include "router/router.h"

struct route_url {
    struct chain chain; /* router->urls */
    uint64_t mark;      /* the last look that came by (router->mark) */
    uint32_t refs;
    uint32_t len : 30;
    uint32_t trust : 2; /* enum route_trust */
    char text[];
};

struct route {
    struct chain by_key;     /* source->routes */
    struct chain by_pattern; /* router->exact, ->wild or ->owned */
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
    enum route_trust trust;
    struct chains routes;
    uint32_t generation;
    size_t fresh; /* routes of this generation: when it is all, none is stale */
    bool unsure;  /* nobody decided that what goes now goes */
    bool full;    /* the commit to come drops what was not put */
    bool late;    /* its first full set is still to come, and counts as there from the start */
};

struct host {
    struct list streams;
    size_t len;
    char name[];
};

enum stream_named {
    STREAM_PENDING = 0, /* attached to nothing until somebody says what it is called */
    STREAM_GUESSED,     /* attached by a guess, to be corrected */
    STREAM_IDENTIFIED,
};

struct route_stream {
    struct list all;       /* router->streams */
    struct list node;      /* host->streams */
    struct list dirty;     /* router->dirty */
    struct chain by_owner; /* router->owners, when its identity has one */
    struct host *host;     /* NULL while pending */
    struct origin *origin;
    struct identity *identity; /* a reference: what it is in the tables under */
    unsigned nurls;
    struct route_url **urls; /* owned, a reference each */
    enum stream_named named;
    bool unsure;           /* what it loses at the next look, nobody has ended */
    enum attach_from from; /* where it begins for routes that count as there before it */
};

struct router {
    const struct router_sink *sink;
    void *arg;
    bool by_hostname; /* patterns, too */
    bool unsure;      /* of the source whose routes change now */
    struct list sources;
    struct chains exact;
    struct chains wild;
    struct chains owned;
    struct chains urls;
    struct chains owners; /* of the streams */
    struct map hosts;
    struct list streams;
    struct list dirty;
    uint64_t mark;
    uint64_t generation;     /* of all routes together */
    struct route_url **want; /* scratch: what the stream looked at should be attached to */
    unsigned nwant, want_cap;
    struct router_stats stats;
};

/* ---- route_url.c ---- */

struct str route_url_text(const struct route_url *u);
/* The one of that text and trust, or NULL. */
struct route_url *route_url_find(const struct router *r, struct str text, enum route_trust trust);
/* The same, made when it is not there; a reference, which route_url_drop() gives back. */
struct route_url *route_url_take(struct router *r, struct str text, enum route_trust trust);
void route_url_drop(struct router *r, struct route_url *u);
struct str route_pattern(const struct route *rt);

static inline struct route *route_by_pattern(const struct chain *c)
{
    return container_of(c, struct route, by_pattern);
}

/* ---- router_streams.c ---- */

void router_streams_init(struct router *r);
/* What patterns are matched with. */
struct str router_wild_text(const struct router *r, const struct identity *id);
/* Something about the routes for <pattern> has changed. */
void router_mark_dirty(struct router *r, enum route_trust trust, struct str pattern);
/* All dirty ones lose what they lose by nobody's decision. */
void router_dirty_unsure(struct router *r);
/* Makes the dirty ones what they should be. <late>: as if the routes had been there before them.
 * How many there were. */
unsigned router_sync_dirty(struct router *r, bool late);
/* The first full set of a late source is in: tells the sink of the streams that have waited for it.
 */
void router_streams_routed(struct router *r);
void router_streams_release(struct router *r);

#endif
