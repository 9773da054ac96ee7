/*
 * Shared by router.c (routes and their tables) and router_streams.c (their effect on streams).
 *
 *   source "routes file" ── by_key ──▶ route ── urls ──▶ route_url (shared by equal text and trust)
 *                                        │                   ▲
 *       router.exact (by hostname) ──────┤                   │
 *       router.wild  (by name) ──────────┤   stream ── urls ─┘   (what it is attached to)
 *       router.owned (by UID) ───────────┘
 *       router.hosts (by hostname) ──▶ streams
 *       router.owners (by UID) ──────▶ streams
 *
 * Routes change the tables at once and mark the streams that they match dirty. The commit compares,
 * for each dirty stream, the URLs it should be attached to with those it is attached to. So the
 * sink receives differences only, and a route that is removed and added again has no effect.
 *
 * Invariants: a stream's urls contain no URL twice, not with two trusts either. Outside of an open
 * commit they are exactly what the routes say, without those that the sink refuses. A pending stream is in no table and has no URLs.
 */
#ifndef ROUTER_ROUTER_INTERNAL_H
#define ROUTER_ROUTER_INTERNAL_H

#include "base/list.h"
#include "base/map.h"
#include "router/chains.h"
#include "router/router.h"

struct route_url {
    struct chain chain; /* router->urls */
    uint64_t mark;      /* value of router->mark at the last visit */
    uint32_t refs;
    uint32_t len : 30;
    uint32_t trust : 2; /* enum route_trust */
    char text[];
};

struct route {
    struct chain by_key;     /* source->routes */
    struct chain by_pattern; /* router->exact, ->wild or ->owned */
    uint32_t generation;     /* last full set of the source that contained it */
    uint32_t nurls;
    uint32_t key_len;
    uint32_t pattern_len;
    struct route_url *urls[]; /* a reference each; followed by the key and the pattern */
};

struct route_source {
    struct list node; /* router->sources */
    struct router *router;
    char *name;
    enum route_trust trust;
    struct chains routes;
    uint32_t generation;
    size_t fresh; /* routes of this generation; when these are all, none is stale */
    bool unsure;  /* removals are unconfirmed now */
    bool full;    /* the next commit drops what was not put */
    bool late;    /* its first full set is still to come, and counts as present from the start */
};

struct host {
    struct list streams;
    size_t len;
    char name[];
};

enum stream_named {
    STREAM_PENDING = 0, /* attached to nothing: identity unknown */
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
    struct identity *identity; /* a reference: its key in the tables */
    unsigned nurls;
    struct route_url **urls; /* owned, a reference each */
    enum stream_named named;
    bool unsure;           /* removals at the next sync are unconfirmed */
    enum attach_from from; /* where routes attach that count as older than it */
    unsigned nrefused;     /* URLs that it should be attached to: the sink refused them, ... */
    enum attach_from refused_from; /* ... and where they would have begun */
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
    struct route_url **want; /* scratch: what the current stream should be attached to */
    unsigned nwant, want_cap;
    struct router_stats stats;
};

/* ---- route_url.c ---- */

struct str route_url_text(const struct route_url *u);
/* The URL with that text and trust, or NULL. */
struct route_url *route_url_find(const struct router *r, struct str text, enum route_trust trust);
/* The same, created if missing. Returns a reference; release it with route_url_drop(). */
struct route_url *route_url_take(struct router *r, struct str text, enum route_trust trust);
void route_url_drop(struct router *r, struct route_url *u);
struct str route_pattern(const struct route *rt);

static inline struct route *route_by_pattern(const struct chain *c)
{
    return container_of(c, struct route, by_pattern);
}

/* ---- router_streams.c ---- */

void router_streams_init(struct router *r);
/* The text that patterns match. */
struct str router_wild_text(const struct router *r, const struct identity *id);
/* A route for <pattern> has changed. */
void router_mark_dirty(struct router *r, enum route_trust trust, struct str pattern);
/* Marks the removals of all dirty streams as unconfirmed. */
void router_dirty_unsure(struct router *r);
/* Updates the attachments of the dirty streams and returns their number. <late>: as if the routes
 * had been there first. */
unsigned router_sync_dirty(struct router *r, bool late);
/* The first full set of a late source is complete: reports the streams that have waited for it to
 * the sink. */
void router_streams_routed(struct router *r);
void router_streams_release(struct router *r);

#endif
