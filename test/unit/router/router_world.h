/* For router_*_test.c: a router with streams, whose sink records the pairs. */
#ifndef TEST_ROUTER_WORLD_H
#define TEST_ROUTER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "router/router.h"

#define PAIRS_MAX 4096

/* What the sink knows to be attached, and its calls since the last check. */
struct reported {
    struct {
        uint64_t stream;
        enum route_trust trust;
        char url[32];
    } pairs[PAIRS_MAX];
    unsigned n;
    unsigned attached, detached, changed, parked;
    unsigned routed, gone, tried, unsent;
    bool refuses;           /* what is attached from now on */
    enum attach_from from;  /* of the last attach */
    enum attach_from found; /* value for streams that existed */
};

struct world {
    struct router *router;
    struct origins set;
    struct reported reported;
};

static inline int pair_of(const struct reported *t, uint64_t stream, struct str url,
                          enum route_trust trust)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->pairs[i].stream == stream && t->pairs[i].trust == trust &&
            str_eq(str_of(t->pairs[i].url), url))
            return (int)i;
    return -1;
}

/* By whomever it was asked for. */
static inline int pair_find(const struct reported *t, uint64_t stream, struct str url)
{
    int i = -1;

    for (unsigned trust = ROUTE_OPERATOR; trust <= ROUTE_OWNER && i < 0; trust++)
        i = pair_of(t, stream, url, (enum route_trust)trust);
    return i;
}

static inline bool on_attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                             enum attach_from from)
{
    struct reported *t = arg;

    assert_int_equal(pair_of(t, o->id, url, trust), -1); /* never twice */
    t->tried++;
    if (t->refuses)
        return false;
    assert_true(t->n < PAIRS_MAX);
    t->pairs[t->n].stream = o->id;
    t->pairs[t->n].trust = trust;
    (void)snprintf(t->pairs[t->n++].url, sizeof(t->pairs[0].url), "%.*s", STR_ARG(url));
    t->attached++;
    t->from = from;
    return true;
}

static inline void on_detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    struct reported *t = arg;
    int i = pair_of(t, o->id, url, trust);

    assert_true(i >= 0); /* only what was attached */
    t->pairs[i] = t->pairs[--t->n];
    t->detached++;
}

static inline void on_change(void *arg, struct origin *o, const struct route_target *before,
                             const struct route_target *now)
{
    struct reported *t = arg;

    on_detach(arg, o, before->url, before->trust);
    (void)on_attach(arg, o, now->url, now->trust, ATTACH_END);
    t->detached--;
    t->attached--;
    t->changed++;
}

static inline void on_park(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    struct reported *t = arg;

    on_detach(arg, o, url, trust);
    t->detached--;
    t->parked++;
}

static inline enum attach_from on_found(void *arg, struct origin *o, bool existing)
{
    struct reported *t = arg;

    (void)o;
    return existing ? t->found : ATTACH_START;
}

static inline void on_routed(void *arg, struct origin *o)
{
    struct reported *t = arg;

    (void)o;
    t->routed++;
}

static inline void on_gone(void *arg, struct origin *o)
{
    struct reported *t = arg;

    (void)o;
    t->gone++;
}

static inline void on_unsent(void *arg, struct origin *o)
{
    struct reported *t = arg;

    (void)o;
    t->unsent++;
}

static const struct router_sink sink = {on_attach, on_detach, on_found, on_routed,
                                        on_gone,   on_change, on_park,  on_unsent};

static inline void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->reported.found = ATTACH_FOUND;
    w->router = router_create(&sink, &w->reported);
    origins_init(&w->set, NULL, 0);
}

static inline void world_close(struct world *w)
{
    router_free(w->router);
    origins_release(&w->set);
}

static inline struct origin *stream_called(struct world *w, const char *hostname)
{
    struct identity id = {.hostname = str_of(hostname)};

    return origin_create(&w->set, identity_create(&id));
}

static inline void put(struct route_source *s, const char *key, const char *pattern,
                       const char *url)
{
    struct str u = str_of(url);

    route_put(s, str_of(key), str_of(pattern), &u, 1);
}

/* The sink was called exactly so many times since the last check. */
static inline void assert_reported(struct world *w, unsigned attached, unsigned detached)
{
    assert_int_equal(w->reported.attached, attached);
    assert_int_equal(w->reported.detached, detached);
    w->reported.attached = w->reported.detached = 0;
}

static inline struct origin *stream_owned(struct world *w, const char *hostname, const char *owner)
{
    struct identity id = {.hostname = str_of(hostname), .owner = str_of(owner)};

    return origin_create(&w->set, identity_create(&id));
}

#endif
