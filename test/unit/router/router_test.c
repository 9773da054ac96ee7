/* What the sink is told; against a naive recomputation under random changes; and the memory of many
 * routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/router.h"

#define PAIRS_MAX 4096

/* What the sink believes is attached, and what it was told since the last look. */
struct told {
    struct {
        uint64_t stream;
        enum route_trust trust;
        char url[32];
    } pairs[PAIRS_MAX];
    unsigned n;
    unsigned attached, detached;
    enum attach_from from;  /* of the last attach */
    enum attach_from found; /* what to say of streams that existed */
};

struct world {
    struct router *router;
    struct origins set;
    struct told told;
};

static int pair_of(const struct told *t, uint64_t stream, struct str url, enum route_trust trust)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->pairs[i].stream == stream && t->pairs[i].trust == trust &&
            str_eq(str_of(t->pairs[i].url), url))
            return (int)i;
    return -1;
}

/* By whomever it was asked for. */
static int pair_find(const struct told *t, uint64_t stream, struct str url)
{
    int i = pair_of(t, stream, url, ROUTE_OPERATOR);

    return i >= 0 ? i : pair_of(t, stream, url, ROUTE_OWNER);
}

static void on_attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                      enum attach_from from)
{
    struct told *t = arg;

    assert_int_equal(pair_of(t, o->id, url, trust), -1); /* never twice */
    assert_true(t->n < PAIRS_MAX);
    t->pairs[t->n].stream = o->id;
    t->pairs[t->n].trust = trust;
    (void)snprintf(t->pairs[t->n++].url, sizeof(t->pairs[0].url), "%.*s", STR_ARG(url));
    t->attached++;
    t->from = from;
}

static void on_detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    struct told *t = arg;
    int i = pair_of(t, o->id, url, trust);

    assert_true(i >= 0); /* only what was attached */
    t->pairs[i] = t->pairs[--t->n];
    t->detached++;
}

static enum attach_from on_found(void *arg, struct origin *o)
{
    struct told *t = arg;

    (void)o;
    return t->found;
}

static const struct router_sink sink = {on_attach, on_detach, on_found};

static void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
    w->told.found = ATTACH_FOUND;
    w->router = router_create(&sink, &w->told);
    origins_init(&w->set, NULL, 0);
}

static void world_close(struct world *w)
{
    router_free(w->router);
    origins_release(&w->set);
}

static struct origin *stream_called(struct world *w, const char *hostname)
{
    struct identity id = {.hostname = str_of(hostname)};

    return origin_create(&w->set, identity_create(&id));
}

static void put(struct route_source *s, const char *key, const char *pattern, const char *url)
{
    struct str u = str_of(url);

    route_put(s, str_of(key), str_of(pattern), &u, 1);
}

/* The sink was told exactly so much since the last time. */
static void assert_told(struct world *w, unsigned attached, unsigned detached)
{
    assert_int_equal(w->told.attached, attached);
    assert_int_equal(w->told.detached, detached);
    w->told.attached = w->told.detached = 0;
}

static void exact_and_wildcard_meet_in_one_attachment(void **state)
{
    struct str both[2] = {STR("u1"), STR("u2")};
    struct route_source *a, *b;
    struct router_stats st;
    struct origin *web;
    struct world w;

    (void)state;
    world_open(&w);
    web = stream_called(&w, "web.shop");
    router_stream_add(w.router, web, false);
    a = router_source_create(w.router, "a");
    b = router_source_create(w.router, "b");
    route_begin(a);
    route_put(a, STR("1"), STR("web.shop"), both, 2);
    put(a, "2", "db.shop", "u3");
    put(a, "3", "WEB.shop", "u3"); /* case-sensitive */
    assert_told(&w, 0, 0);         /* not before the commit */
    route_commit(a);
    assert_told(&w, 2, 0);
    route_begin(b);
    put(b, "1", "*.shop", "u2"); /* there already, by another way */
    put(b, "2", "*", "u4");
    route_commit(b);
    assert_told(&w, 1, 0);
    router_stats(w.router, &st);
    assert_int_equal(st.routes, 6);
    assert_int_equal(st.attachments, 3);
    assert_int_equal(st.unrouted, 0);
    route_begin(a);
    route_commit(a); /* all gone; u2 stays through the wildcard */
    assert_told(&w, 0, 1);
    assert_int_equal(pair_find(&w.told, web->id, STR("u1")), -1);
    route_begin(b);
    route_commit(b);
    assert_told(&w, 0, 2);
    router_stats(w.router, &st);
    assert_int_equal(st.routes, 0);
    assert_int_equal(st.unrouted, 1);
    world_close(&w);
}

static void unchanged_pairs_are_left_alone(void **state)
{
    struct str swapped[2] = {STR("u2"), STR("u1")}, both[2] = {STR("u1"), STR("u2")};
    struct route_source *s;
    struct world w;

    (void)state;
    world_open(&w);
    router_stream_add(w.router, stream_called(&w, "web"), false);
    s = router_source_create(w.router, "s");
    route_begin(s);
    route_put(s, STR("line 1"), STR("web"), both, 2);
    route_commit(s);
    assert_told(&w, 2, 0);
    route_begin(s); /* the same, from other lines, in another order */
    put(s, "line 1", "other", "u1");
    route_put(s, STR("line 2"), STR("web"), swapped, 2);
    route_commit(s);
    assert_told(&w, 0, 0);
    route_begin_changes(s);
    route_drop(s, STR("line 2")); /* withdrawn and given back */
    route_put(s, STR("line 2"), STR("web"), both, 2);
    route_drop(s, STR("no such key"));
    route_commit(s);
    assert_told(&w, 0, 0);
    route_begin_changes(s); /* keyed: line 1 is not dropped for not being put */
    put(s, "line 2", "web", "u2");
    route_commit(s);
    assert_told(&w, 0, 1);
    route_begin_changes(s);
    put(s, "line 1", "w*b", "u9");
    route_commit(s);
    assert_told(&w, 1, 0);
    world_close(&w);
}

static void where_attachments_begin(void **state)
{
    struct route_source *s;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    s = router_source_create(w.router, "s");
    route_begin(s);
    put(s, "1", "*", "u");
    route_commit(s);
    router_stream_add(w.router, stream_called(&w, "a"), true);
    assert_int_equal(w.told.from, ATTACH_FOUND); /* READ_FROM's default */
    w.told.found = ATTACH_START;                 /* the sink knows better */
    router_stream_add(w.router, stream_called(&w, "x"), true);
    assert_int_equal(w.told.from, ATTACH_START);
    w.told.found = ATTACH_FOUND;
    router_stream_add(w.router, stream_called(&w, "b"), false);
    assert_int_equal(w.told.from, ATTACH_START);
    router_set_existing_from(w.router, ATTACH_START);
    router_stream_add(w.router, o = stream_called(&w, "c"), true);
    assert_int_equal(w.told.from, ATTACH_START);
    route_begin_changes(s);
    put(s, "2", "c", "later");
    route_commit(s);
    assert_int_equal(w.told.from, ATTACH_END);
    assert_told(&w, 5, 0);
    router_stream_remove(w.router, o); /* the workers finish it: nothing is told */
    router_stream_remove(w.router, o);
    assert_told(&w, 0, 0);
    world_close(&w);
}

/* Routes that come late, once, as if they had been there; and later ones at the end. */
static void where_attachments_of_a_late_source_begin(void **state)
{
    struct route_source *late, *other;
    struct world w;

    (void)state;
    world_open(&w);
    late = router_source_create(w.router, "late");
    other = router_source_create(w.router, "other");
    route_source_set_late(late);
    router_stream_add(w.router, stream_called(&w, "old"), true);
    router_stream_add(w.router, stream_called(&w, "new"), false);
    route_begin(other);
    put(other, "1", "new", "u1");
    route_commit(other); /* another source's set is not this one's */
    assert_int_equal(w.told.from, ATTACH_END);
    route_begin(late);
    put(late, "1", "new", "u2");
    route_begin_changes(late); /* broken off */
    route_commit(late);
    assert_int_equal(w.told.from, ATTACH_START);
    route_begin(late);
    put(late, "1", "new", "u2");
    put(late, "2", "old", "u3");
    route_commit(late);
    assert_int_equal(w.told.from, ATTACH_FOUND); /* READ_FROM's default */
    assert_told(&w, 3, 0);
    route_begin_changes(late);
    put(late, "3", "new", "u4");
    route_commit(late);
    assert_int_equal(w.told.from, ATTACH_END);
    assert_told(&w, 1, 0);
    world_close(&w);
}

static void kept_routes_survive_a_full_set(void **state)
{
    struct str url = STR("u"), other = STR("v");
    struct route_source *s;
    struct world w;

    (void)state;
    world_open(&w);
    router_stream_add(w.router, stream_called(&w, "web"), false);
    s = router_source_create(w.router, "s");
    route_begin(s);
    assert_false(route_keep(s, STR("1"), STR("web"), &url, 1));
    put(s, "1", "web", "u");
    put(s, "2", "web", "v");
    route_commit(s);
    assert_told(&w, 2, 0);
    route_begin(s);
    assert_true(route_keep(s, STR("1"), STR("web"), &url, 1));
    assert_false(route_keep(s, STR("1"), STR("wab"), &url, 1));
    assert_false(route_keep(s, STR("1"), STR("web"), &other, 1));
    route_commit(s);
    assert_told(&w, 0, 1);
    world_close(&w);
}

static void renamed_streams_move_their_routes(void **state)
{
    struct identity named = {.hostname = {"shop", 4}};
    struct route_source *s;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    s = router_source_create(w.router, "s");
    route_begin(s);
    put(s, "1", "web", "u1");
    put(s, "2", "shop", "u2");
    put(s, "3", "*", "u3");
    route_commit(s);
    router_stream_add(w.router, o = stream_called(&w, "web"), false);
    assert_told(&w, 2, 0);
    origin_set_identity(o, identity_create(&named));
    router_stream_identified(w.router, o);
    assert_told(&w, 1, 1);
    assert_true(pair_find(&w.told, o->id, STR("u2")) >= 0);
    route_begin_changes(s);
    route_drop(s, STR("2")); /* and is found under its new name */
    route_commit(s);
    assert_told(&w, 0, 1);
    world_close(&w);
}

/* ---- owners ---- */

static struct origin *stream_owned(struct world *w, const char *hostname, const char *pod,
                                   const char *owner, const char *namespace)
{
    struct identity id = {.hostname = str_of(hostname),
                          .owners = {str_of(pod), str_of(owner)},
                          .nowners = 2,
                          .namespace_uid = str_of(namespace)};

    return origin_create(&w->set, identity_create(&id));
}

static bool goes_to(const struct world *w, const struct origin *o, const char *url)
{
    return pair_of(&w->told, o->id, str_of(url), ROUTE_OWNER) >= 0;
}

/* FAULTS K12: the hostname is a label. Whoever calls himself after another gets nothing of his. */
static void K12_a_claimed_hostname_reads_nothing(void **state)
{
    struct origin *victim, *thief;
    struct route_source *owners;
    struct world w;

    (void)state;
    world_open(&w);
    router_stream_add(w.router, victim = stream_owned(&w, "bank.prod", "p1", "d1", "n1"), false);
    router_stream_add(w.router, thief = stream_owned(&w, "bank.prod", "p2", "d2", "n2"), false);
    owners = router_source_create_owner(w.router, "owners");
    route_begin(owners);
    put(owners, "thief", "d2", "mine");
    put(owners, "by name", "bank.prod", "by-name");
    put(owners, "by wildcard", "*", "by-wildcard");
    put(owners, "by prefix", "d", "by-prefix");
    put(owners, "by nothing", "", "by-nothing");
    route_commit(owners);
    assert_told(&w, 1, 0);
    assert_true(goes_to(&w, thief, "mine"));
    assert_false(goes_to(&w, victim, "mine"));
    world_close(&w);
}

static void the_namespace_is_a_default(void **state)
{
    struct route_source *workloads, *namespaces;
    struct origin *o, *other;
    struct world w;

    (void)state;
    world_open(&w);
    workloads = router_source_create_owner(w.router, "deployments");
    namespaces = router_source_create_owner(w.router, "namespaces");
    router_stream_add(w.router, o = stream_owned(&w, "a", "p1", "d1", "n1"), false);
    router_stream_add(w.router, other = stream_owned(&w, "b", "p2", "d2", "n2"), false);
    route_begin(namespaces);
    put(namespaces, "n1", "n1", "default");
    route_commit(namespaces);
    assert_told(&w, 1, 0);
    assert_true(goes_to(&w, o, "default"));
    route_begin_changes(workloads);
    put(workloads, "d1", "d1", "own");
    route_commit(workloads);
    assert_told(&w, 1, 1);
    assert_true(goes_to(&w, o, "own"));
    route_begin_changes(workloads); /* none */
    route_put(workloads, STR("d1"), STR("d1"), NULL, 0);
    route_commit(workloads);
    assert_told(&w, 0, 1);
    route_begin_changes(workloads);
    put(workloads, "p1", "p1", "pod's"); /* what its objects say adds up */
    route_commit(workloads);
    assert_told(&w, 1, 0);
    route_begin(workloads);
    route_commit(workloads); /* they say nothing */
    assert_told(&w, 1, 1);
    assert_true(goes_to(&w, o, "default"));
    assert_false(goes_to(&w, other, "default"));
    world_close(&w);
}

/* One URL, one delivery; an operator's word counts more. */
static void an_operators_route_takes_an_owners_place(void **state)
{
    struct route_source *owners, *operators;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    owners = router_source_create_owner(w.router, "owners");
    operators = router_source_create(w.router, "operators");
    router_stream_add(w.router, o = stream_owned(&w, "a", "p", "d", "n"), false);
    route_begin(owners);
    put(owners, "1", "d", "u");
    put(owners, "2", "p", "u");
    route_commit(owners);
    assert_told(&w, 1, 0);
    assert_true(goes_to(&w, o, "u"));
    route_begin(operators);
    put(operators, "1", "*", "u");
    route_commit(operators);
    assert_told(&w, 1, 1);
    assert_false(goes_to(&w, o, "u"));
    assert_true(pair_of(&w.told, o->id, STR("u"), ROUTE_OPERATOR) >= 0);
    route_begin(operators);
    route_commit(operators);
    assert_told(&w, 1, 1);
    assert_true(goes_to(&w, o, "u"));
    world_close(&w);
}

static void call(struct origin *o, const char *hostname, const char *owner)
{
    struct identity id = {
        .hostname = str_of(hostname), .owners = {str_of(owner)}, .nowners = *owner != '\0'};

    origin_set_identity(o, identity_create(&id));
}

/* FAULTS K07: while nobody knows what it is called it goes nowhere; then it begins where it stood
 * when it was found. */
static void K07_a_pending_stream_waits_at_its_place(void **state)
{
    struct route_source *owners, *operators;
    struct origin *old, *new;
    struct router_stats st;
    struct world w;

    (void)state;
    world_open(&w);
    owners = router_source_create_owner(w.router, "owners");
    operators = router_source_create(w.router, "operators");
    route_begin(operators);
    put(operators, "1", "guess", "u1");
    put(operators, "2", "real", "u2");
    route_commit(operators);
    router_stream_add_pending(w.router, old = stream_called(&w, "guess"), true);
    router_stream_add_pending(w.router, new = stream_called(&w, "guess"), false);
    route_begin(owners);
    put(owners, "1", "d", "u3");
    route_commit(owners);
    assert_told(&w, 0, 0);
    router_stats(w.router, &st);
    assert_int_equal(st.pending, 2);
    assert_int_equal(st.streams, 2);
    assert_int_equal(st.unrouted, 0);
    call(old, "real", "d");
    router_stream_identified(w.router, old);
    assert_told(&w, 2, 0);
    assert_int_equal(w.told.from, ATTACH_FOUND);
    router_stream_guessed(w.router, new); /* nobody has answered for long */
    assert_told(&w, 1, 0);
    assert_int_equal(w.told.from, ATTACH_START);
    call(new, "real", "d");
    router_stream_identified(w.router, new);
    assert_told(&w, 2, 1);
    assert_int_equal(w.told.from, ATTACH_START);
    router_stream_guessed(w.router, new); /* it is known: no more guesses */
    call(new, "other", "d");
    router_stream_identified(w.router, new);
    assert_told(&w, 0, 1);
    call(new, "guess", "");
    router_stream_identified(w.router, new);
    assert_told(&w, 1, 1);
    assert_int_equal(w.told.from, ATTACH_END); /* a mere renaming */
    router_stats(w.router, &st);
    assert_int_equal(st.pending, 0);
    world_close(&w);
}

static void pending_streams_may_go(void **state)
{
    struct router_stats st;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    router_stream_add_pending(w.router, o = stream_called(&w, "a"), false);
    router_stream_add_pending(w.router, stream_called(&w, "b"), false);
    router_stream_remove(w.router, o);
    router_stream_identified(w.router, o); /* nobody knows it */
    router_stats(w.router, &st);
    assert_int_equal(st.pending, 1);
    assert_int_equal(st.streams, 1);
    world_close(&w);
}

/* ---- the model ---- */

#define SOURCES 4
#define OWNERS 3 /* the source of owner routes */
#define KEYS 12
#define HOSTS 8
#define STREAMS 40

static const char *const patterns[] = {"h0", "h1", "h2", "h3",   "h*",
                                       "*1", "*",  "h7", "none", "*h*2"};
/* Two namespaces among them. */
static const char *const uids[] = {"w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "n0", "n1"};
static const char *const urls[] = {"u0", "u1", "u2", "u3", "u4"};

struct model {
    struct {
        bool in;
        unsigned pattern, nurls, urls[3];
    } rows[SOURCES][KEYS];
    struct origin *streams[STREAMS];
    uint32_t rnd;
};

static unsigned dice(struct model *m, unsigned sides)
{
    m->rnd = m->rnd * 1664525 + 1013904223;
    return (m->rnd >> 8) % sides;
}

static bool row_has(const struct model *m, unsigned s, unsigned k, unsigned url)
{
    for (unsigned u = 0; u < m->rows[s][k].nurls; u++)
        if (m->rows[s][k].urls[u] == url)
            return true;
    return false;
}

static bool operator_wants(const struct model *m, const struct identity *id, unsigned url)
{
    for (unsigned s = 0; s < OWNERS; s++)
        for (unsigned k = 0; k < KEYS; k++)
            if (m->rows[s][k].in && row_has(m, s, k, url) &&
                str_glob(str_of(patterns[m->rows[s][k].pattern]), id->hostname))
                return true;
    return false;
}

/* <*any>: an object called <uid> has a route. */
static bool object_wants(const struct model *m, struct str uid, unsigned url, bool *any)
{
    bool wants = false;

    for (unsigned k = 0; k < KEYS; k++)
        if (m->rows[OWNERS][k].in && str_eq(str_of(uids[m->rows[OWNERS][k].pattern]), uid)) {
            *any = true;
            wants |= row_has(m, OWNERS, k, url);
        }
    return wants;
}

static bool owner_wants(const struct model *m, const struct identity *id, unsigned url)
{
    bool any = false, wants = false;

    for (unsigned i = 0; i < id->nowners; i++)
        wants |= object_wants(m, id->owners[i], url, &any);
    return any ? wants : object_wants(m, id->namespace_uid, url, &any);
}

static void assert_like_model(const struct world *w, const struct model *m)
{
    unsigned attachments = 0, unrouted = 0, streams = 0, routes = 0;
    struct router_stats st;

    for (unsigned i = 0; i < STREAMS; i++) {
        unsigned mine = 0;

        if (!m->streams[i])
            continue;
        for (unsigned u = 0; u < 5; u++) {
            const struct identity *id = m->streams[i]->identity;
            bool trusted = operator_wants(m, id, u), owner = !trusted && owner_wants(m, id, u);
            uint64_t stream = m->streams[i]->id;

            assert_int_equal(pair_of(&w->told, stream, str_of(urls[u]), ROUTE_OPERATOR) >= 0,
                             trusted);
            assert_int_equal(pair_of(&w->told, stream, str_of(urls[u]), ROUTE_OWNER) >= 0, owner);
            mine += trusted || owner;
        }
        streams++;
        attachments += mine;
        unrouted += mine == 0;
    }
    for (unsigned s = 0; s < SOURCES; s++)
        for (unsigned k = 0; k < KEYS; k++)
            routes += m->rows[s][k].in ? m->rows[s][k].nurls : 0;
    router_stats(w->router, &st);
    assert_int_equal(st.attachments, attachments);
    assert_int_equal(st.unrouted, unrouted);
    assert_int_equal(st.streams, streams);
    assert_int_equal(st.routes, routes);
}

static void key_of(unsigned k, char out[8])
{
    (void)snprintf(out, 8, "k%u", k);
}

static void model_put(struct model *m, struct route_source *s, unsigned si, unsigned k)
{
    struct str list[3];
    char key[8];

    m->rows[si][k].in = true;
    m->rows[si][k].pattern = dice(m, 10);
    m->rows[si][k].nurls = dice(m, 4);
    for (unsigned u = 0; u < m->rows[si][k].nurls; u++) {
        m->rows[si][k].urls[u] = dice(m, 5);
        list[u] = str_of(urls[m->rows[si][k].urls[u]]);
    }
    key_of(k, key);
    route_put(s, str_of(key), str_of((si == OWNERS ? uids : patterns)[m->rows[si][k].pattern]),
              list, m->rows[si][k].nurls);
}

static void model_commit(struct model *m, struct route_source *s, unsigned si)
{
    bool full = dice(m, 2);
    char key[8];

    if (full) {
        route_begin(s);
        for (unsigned k = 0; k < KEYS; k++)
            m->rows[si][k].in = false;
    } else {
        route_begin_changes(s);
    }
    for (unsigned i = dice(m, KEYS); i > 0; i--) {
        unsigned k = dice(m, KEYS);

        if (dice(m, 3)) {
            model_put(m, s, si, k);
            continue;
        }
        key_of(k, key);
        route_drop(s, str_of(key));
        m->rows[si][k].in = false;
    }
    route_commit(s);
}

/* The sink forgets a removed stream's pairs without being told, as the workers do. */
static void forget_stream(struct told *t, uint64_t id)
{
    for (unsigned i = 0; i < t->n;)
        if (t->pairs[i].stream == id)
            t->pairs[i] = t->pairs[--t->n];
        else
            i++;
}

static void model_stream(struct world *w, struct model *m)
{
    struct origin **slot = &m->streams[dice(m, STREAMS)];
    struct identity id;
    char name[8];

    (void)snprintf(name, sizeof(name), "h%u", dice(m, HOSTS));
    id = (struct identity){.hostname = str_of(name), .nowners = dice(m, 4)};
    for (unsigned i = 0; i < id.nowners; i++)
        id.owners[i] = str_of(uids[dice(m, 8)]);
    if (dice(m, 4))
        id.namespace_uid = str_of(uids[8 + dice(m, 2)]);
    if (!*slot) {
        *slot = origin_create(&w->set, identity_create(&id));
        router_stream_add(w->router, *slot, false);
    } else if (dice(m, 2)) {
        origin_set_identity(*slot, identity_create(&id));
        router_stream_identified(w->router, *slot);
    } else {
        forget_stream(&w->told, (*slot)->id);
        router_stream_remove(w->router, *slot);
        origin_finish(*slot);
        *slot = NULL;
    }
}

static void random_changes_match_model(void **state)
{
    static struct model m = {.rnd = 4711};
    static struct world w;
    struct route_source *sources[SOURCES];

    (void)state;
    world_open(&w);
    for (unsigned s = 0; s < SOURCES; s++)
        sources[s] = s == OWNERS ? router_source_create_owner(w.router, "model of owners")
                                 : router_source_create(w.router, "model");
    for (int step = 0; step < 20000; step++) {
        unsigned s = dice(&m, SOURCES);

        if (dice(&m, 3))
            model_stream(&w, &m);
        else
            model_commit(&m, sources[s], s);
        assert_like_model(&w, &m);
    }
    world_close(&w);
}

/* ---- size ---- */

#define MANY 100000

static void many_routes_are_small(void **state)
{
    struct route_source *s;
    struct world w;
    size_t before, each, text = 0;
    char key[32], host[64], url[64];

    (void)state;
    if (mallinfo2().uordblks == 0)
        skip(); /* a sanitizer's allocator, which does not count */
    world_open(&w);
    router_stream_add(w.router, stream_called(&w, "host-4711.namespace"), false);
    s = router_source_create(w.router, "many");
    before = mallinfo2().uordblks + mallinfo2().hblkhd;
    route_begin(s);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof(key), "line %d", i);
        (void)snprintf(host, sizeof(host), "host-%d.namespace", i);
        (void)snprintf(url, sizeof(url), "http://drain-%d.example/in", i); /* all different */
        text += strlen(url);
        put(s, key, host, url);
    }
    route_commit(s);
    assert_told(&w, 1, 0);
    each = (mallinfo2().uordblks + mallinfo2().hblkhd - before - text) / MANY;
    print_message("%zu bytes for each route\n", each);
    assert_in_range(each, 1, 200);
    world_close(&w);
}

/* A change of one costs the same among a hundred thousand; would each look at all, this took an
 * hour. */
static void many_owner_routes_cost_no_more(void **state)
{
    struct route_source *s;
    struct world w;
    char uid[40], url[64];

    (void)state;
    world_open(&w);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(uid, sizeof(uid), "uid-%d", i * 50);
        router_stream_add(w.router, stream_owned(&w, "same.for.all", uid, "x", "n"), false);
    }
    s = router_source_create_owner(w.router, "many");
    route_begin(s);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(uid, sizeof(uid), "uid-%d", i);
        (void)snprintf(url, sizeof(url), "u%d", i % 3000);
        put(s, uid, uid, url);
    }
    route_commit(s);
    assert_told(&w, 2000, 0);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(uid, sizeof(uid), "uid-%d", i);
        route_begin_changes(s);
        route_drop(s, str_of(uid));
        route_commit(s);
    }
    assert_told(&w, 0, 2000);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_and_wildcard_meet_in_one_attachment),
        cmocka_unit_test(unchanged_pairs_are_left_alone),
        cmocka_unit_test(where_attachments_begin),
        cmocka_unit_test(where_attachments_of_a_late_source_begin),
        cmocka_unit_test(kept_routes_survive_a_full_set),
        cmocka_unit_test(renamed_streams_move_their_routes),
        cmocka_unit_test(K12_a_claimed_hostname_reads_nothing),
        cmocka_unit_test(the_namespace_is_a_default),
        cmocka_unit_test(an_operators_route_takes_an_owners_place),
        cmocka_unit_test(K07_a_pending_stream_waits_at_its_place),
        cmocka_unit_test(pending_streams_may_go),
        cmocka_unit_test(random_changes_match_model),
        cmocka_unit_test(many_routes_are_small),
        cmocka_unit_test(many_owner_routes_cost_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
