/* Against a naive recomputation under random changes. */
#include "router_world.h"

#define SOURCES 4
#define OWNERS 3 /* the source of owner routes */
#define KEYS 12
#define HOSTS 8
#define STREAMS 40

static const char *const patterns[] = {"h0", "h1", "h2", "h3",   "h*",
                                       "*1", "*",  "h7", "none", "*h*2"};
static const char *const uids[] = {"p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"};
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

static bool operator_wants(const struct model *m, const struct identity *id, unsigned url,
                           bool by_pattern)
{
    for (unsigned s = 0; s < OWNERS; s++)
        for (unsigned k = 0; k < KEYS; k++) {
            struct str pattern = str_of(patterns[m->rows[s][k].pattern]);

            if (m->rows[s][k].in && row_has(m, s, k, url) &&
                by_pattern == (str_find(pattern, '*') >= 0) && str_glob(pattern, id->hostname))
                return true;
        }
    return false;
}

static bool owner_wants(const struct model *m, const struct identity *id, unsigned url)
{
    for (unsigned k = 0; k < KEYS; k++)
        if (m->rows[OWNERS][k].in && row_has(m, OWNERS, k, url) &&
            str_eq(str_of(uids[m->rows[OWNERS][k].pattern]), id->owner))
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
            const struct identity *id = m->streams[i]->identity;
            bool exact = operator_wants(m, id, u, false);
            bool pattern = !exact && operator_wants(m, id, u, true);
            bool owner = !exact && !pattern && owner_wants(m, id, u);
            uint64_t stream = m->streams[i]->id;

            assert_int_equal(pair_of(&w->reported, stream, str_of(urls[u]), ROUTE_OPERATOR) >= 0,
                             exact);
            assert_int_equal(pair_of(&w->reported, stream, str_of(urls[u]), ROUTE_PATTERN) >= 0,
                             pattern);
            assert_int_equal(pair_of(&w->reported, stream, str_of(urls[u]), ROUTE_OWNER) >= 0,
                             owner);
            mine += exact || pattern || owner;
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

/* The sink drops the pairs of a removed stream by itself, as the workers do. */
static void forget_stream(struct reported *t, uint64_t id)
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
    if (dice(m, 4))
        id.owner = str_of(uids[dice(m, 10)]);
    if (!*slot) {
        *slot = origin_create(&w->set, identity_create(&id));
        router_stream_add(w->router, *slot, false);
    } else if (dice(m, 2)) {
        origin_set_identity(*slot, identity_create(&id));
        router_stream_identified(w->router, *slot);
    } else {
        forget_stream(&w->reported, (*slot)->id);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_match_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
