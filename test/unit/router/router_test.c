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
        char url[32];
    } pairs[PAIRS_MAX];
    unsigned n;
    unsigned attached, detached;
    enum attach_from from; /* of the last attach */
};

struct world {
    struct router *router;
    struct origins set;
    struct told told;
};

static int pair_find(const struct told *t, uint64_t stream, struct str url)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->pairs[i].stream == stream && str_eq(str_of(t->pairs[i].url), url))
            return (int)i;
    return -1;
}

static void on_attach(void *arg, struct origin *o, struct str url, enum attach_from from)
{
    struct told *t = arg;

    assert_int_equal(pair_find(t, o->id, url), -1); /* never twice */
    assert_true(t->n < PAIRS_MAX);
    t->pairs[t->n].stream = o->id;
    (void)snprintf(t->pairs[t->n++].url, sizeof(t->pairs[0].url), "%.*s", STR_ARG(url));
    t->attached++;
    t->from = from;
}

static void on_detach(void *arg, struct origin *o, struct str url)
{
    struct told *t = arg;
    int i = pair_find(t, o->id, url);

    assert_true(i >= 0); /* only what was attached */
    t->pairs[i] = t->pairs[--t->n];
    t->detached++;
}

static const struct router_sink sink = {on_attach, on_detach};

static void world_open(struct world *w)
{
    memset(w, 0, sizeof(*w));
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
    assert_int_equal(w.told.from, ATTACH_END); /* READ_FROM's default */
    router_stream_add(w.router, stream_called(&w, "b"), false);
    assert_int_equal(w.told.from, ATTACH_START);
    router_set_existing_from(w.router, ATTACH_START);
    router_stream_add(w.router, o = stream_called(&w, "c"), true);
    assert_int_equal(w.told.from, ATTACH_START);
    route_begin_changes(s);
    put(s, "2", "c", "later");
    route_commit(s);
    assert_int_equal(w.told.from, ATTACH_END);
    assert_told(&w, 4, 0);
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
    assert_int_equal(w.told.from, ATTACH_END); /* READ_FROM's default */
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
    router_stream_renamed(w.router, o);
    assert_told(&w, 1, 1);
    assert_true(pair_find(&w.told, o->id, STR("u2")) >= 0);
    route_begin_changes(s);
    route_drop(s, STR("2")); /* and is found under its new name */
    route_commit(s);
    assert_told(&w, 0, 1);
    world_close(&w);
}

/* ---- the model ---- */

#define SOURCES 3
#define KEYS 12
#define HOSTS 8
#define STREAMS 40

static const char *const patterns[] = {"h0", "h1", "h2", "h3",   "h*",
                                       "*1", "*",  "h7", "none", "*h*2"};
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

static bool model_wants(const struct model *m, struct str hostname, unsigned url)
{
    for (unsigned s = 0; s < SOURCES; s++)
        for (unsigned k = 0; k < KEYS; k++)
            for (unsigned u = 0; m->rows[s][k].in && u < m->rows[s][k].nurls; u++)
                if (m->rows[s][k].urls[u] == url &&
                    str_glob(str_of(patterns[m->rows[s][k].pattern]), hostname))
                    return true;
    return false;
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
            bool wanted = model_wants(m, m->streams[i]->identity->hostname, u);

            assert_int_equal(pair_find(&w->told, m->streams[i]->id, str_of(urls[u])) >= 0, wanted);
            mine += wanted;
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
    m->rows[si][k].nurls = 1 + dice(m, 3);
    for (unsigned u = 0; u < m->rows[si][k].nurls; u++) {
        m->rows[si][k].urls[u] = dice(m, 5);
        list[u] = str_of(urls[m->rows[si][k].urls[u]]);
    }
    key_of(k, key);
    route_put(s, str_of(key), str_of(patterns[m->rows[si][k].pattern]), list, m->rows[si][k].nurls);
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
    id = (struct identity){.hostname = str_of(name)};
    if (!*slot) {
        *slot = origin_create(&w->set, identity_create(&id));
        router_stream_add(w->router, *slot, false);
    } else if (dice(m, 2)) {
        origin_set_identity(*slot, identity_create(&id));
        router_stream_renamed(w->router, *slot);
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
        sources[s] = router_source_create(w.router, "model");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_and_wildcard_meet_in_one_attachment),
        cmocka_unit_test(unchanged_pairs_are_left_alone),
        cmocka_unit_test(where_attachments_begin),
        cmocka_unit_test(where_attachments_of_a_late_source_begin),
        cmocka_unit_test(kept_routes_survive_a_full_set),
        cmocka_unit_test(renamed_streams_move_their_routes),
        cmocka_unit_test(random_changes_match_model),
        cmocka_unit_test(many_routes_are_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
