/*
 * Records of a trusted input, and of others under the same hostname: two journals, of which only
 * one has an owner; in memory, and loaded again from SPOOL_PATH.
 */
#include "../../lib/unit.h"
#include "journals_world.h"

/* Knows names: an owner has a drain for "web.shop", and for other names in <wants>. */
struct names {
    struct identify identify;
    enum identify_wants wants;
    bool known;
    unsigned asked, there; /* lookups; streams that exist */
};

static void name_for(struct origin *o, struct str tenant)
{
    struct identity id = *o->identity;

    id.owner = STR("name:web.shop");
    id.namespace = STR("shop");
    id.tenant = tenant;
    origin_set_identity(o, identity_create(&id));
}

static void name_it(struct origin *o)
{
    name_for(o, STR("shop/1"));
}

static bool found(struct identify *i, struct origin *o)
{
    struct names *n = container_of(i, struct names, identify);

    assert_true(o->identity->trusted);
    n->there++;
    if (n->known)
        name_it(o);
    return n->known;
}

static void gone(struct identify *i, struct origin *o)
{
    (void)o;
    container_of(i, struct names, identify)->there--;
}

static enum identify_wants wants(struct identify *i, struct str hostname)
{
    struct names *n = container_of(i, struct names, identify);

    (void)hostname;
    n->asked++;
    return n->wants;
}

static const struct names yes = {{found, gone, wants, 0}, IDENTIFY_YES, true, 0, 0};

/* An owner's route for the stream, and no operator's. */
static void open_owned(struct world *w, struct names *n, const char *owners)
{
    struct route_source *s = router_source_create_owner(w->router, "owner");
    struct str url = STR("null://");

    w->env.identify = &n->identify;
    w->cfg.owners = owners;
    route_begin(s);
    route_put(s, STR("1"), STR("name:web.shop"), &url, 1);
    route_commit(s);
    open_journals(w);
}

/* Both are received under one hostname, the trusted one first. */
static void hear_both(struct world *w, enum journal_result others)
{
    struct journal_source *other = w->src;
    struct input_counters counters = {0};
    struct err e;

    w->src = journal_source_open(w->js, "envoy", &counters, &e);
    assert_int_equal(append(w, "web.shop", STR("a")), JOURNAL_OK);
    assert_int_equal(append(w, "web.shop", STR("b")), JOURNAL_OK);
    journal_source_close(w->src);
    w->src = other;
    assert_int_equal(append(w, "web.shop", STR("claimed")), others);
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, others == JOURNAL_OK ? 3 : 2);
    assert_true(w->readings[0].stream->identity->trusted);
    assert_true(str_eq(w->readings[0].stream->identity->owner, STR("name:web.shop")));
}

static void test_only_the_trusted_input_has_an_owner(void **state)
{
    struct world *w = *state;
    struct names n = yes;

    open_owned(w, &n, "envoy");
    hear_both(w, JOURNAL_UNROUTED);
    assert_int_equal(n.there, 1);
    close_journals(w);
    assert_int_equal(n.there, 0);
}

static void test_an_operator_has_both(void **state)
{
    struct world *w = *state;
    struct names n = yes;

    route(w, "web.*");
    open_owned(w, &n, "envoy");
    hear_both(w, JOURNAL_OK);
    assert_int_equal(w->nreadings, 2);
    assert_false(w->readings[1].stream->identity->trusted);
    assert_int_equal(w->readings[1].stream->identity->owner.len, 0);
    close_journals(w);
}

static void test_what_nobody_wants_is_asked_for_once(void **state)
{
    struct world *w = *state;
    struct names n = yes;

    n.wants = IDENTIFY_NO;
    open_owned(w, &n, "syslog_tcp");
    for (int i = 0; i < 5; i++)
        assert_int_equal(append(w, "web.shop", STR("x")), JOURNAL_UNROUTED);
    assert_int_equal(n.asked, 1);
    n.wants = IDENTIFY_YES;
    n.identify.generation++;
    assert_int_equal(append(w, "web.shop", STR("x")), JOURNAL_OK);
    close_journals(w);
}

/* While the owner is unknown, it is kept; when it has no owner, it is evicted. */
static void test_what_may_be_wanted_waits(void **state)
{
    struct world *w = *state;
    struct names n = yes;
    struct journal_stats s;
    static char line[50000];

    memset(line, 'x', sizeof(line));
    n.known = false;
    n.wants = IDENTIFY_UNKNOWN;
    open_owned(w, &n, "syslog_*");
    for (int i = 0; i < 100; i++)
        assert_int_equal(append(w, "web.shop", STR("x")), JOURNAL_OK);
    while (append(w, "nobody.shop", str_make(line, sizeof(line))) == JOURNAL_OK)
        ;
    turn(w);
    assert_int_equal(w->nreadings, 0);
    list_for_each (it, &w->set.all) {
        struct origin *o = list_entry(it, struct origin, node);

        if (str_eq(o->identity->hostname, STR("web.shop")))
            name_it(o);
        router_stream_identified(w->router, o);
    }
    n.known = true;
    n.wants = IDENTIFY_NO;
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, 100); /* from the first */
    assert_int_equal(append(w, "nobody.shop", STR("x")), JOURNAL_UNROUTED);
    route(w, "full.*"); /* needs the space that the other has */
    for (int h = 0; h < 3; h++)
        for (int i = 0; i < 60; i++)
            assert_int_equal(append(w, h ? h == 1 ? "full.1" : "full.2" : "full.0",
                                    str_make(line, sizeof(line))),
                             JOURNAL_OK);
    assert_int_equal(append(w, "full.3", str_make(line, sizeof(line))), JOURNAL_OK);
    while (append(w, "full.3", str_make(line, sizeof(line))) == JOURNAL_OK)
        ;
    journals_stats(w->js, &s);
    assert_int_equal(s.hostnames, 5); /* nobody.shop was removed */
    close_journals(w);
    assert_int_equal(n.there, 0);
}

/* SPOOL_PATH: records of a trusted input are trusted at the next start if all its writers still
 * are. */
static void test_trust_survives_a_restart(void **state)
{
    static const struct {
        const char *owners;
        bool trusted;
    } rows[] = {{"syslog_tcp", true},
                {"", false},
                {"syslog_tcp envoy", true},
                {"envoy", false},
                {"syslog_*", true}};
    struct world *w = *state;
    struct names n = yes;

    w->cfg.spool_path = w->dir;
    open_owned(w, &n, "syslog_tcp");
    assert_int_equal(append(w, "web.shop", STR("kept")), JOURNAL_OK);
    turn(w);
    FOR_ROWS (i, rows) {
        forget(w);
        n = yes;
        open_owned(w, &n, rows[i].owners);
        turn(w);
        read_all(w, false);
        assert_int_equal(n.there, rows[i].trusted);
        assert_int_equal(w->records, rows[i].trusted); /* only an owner's, or no owner's */
    }
    forget(w);
}

static struct origin *only_origin(const struct world *w)
{
    assert_false(list_empty(&w->set.all));
    assert_true(w->set.all.next == w->set.all.prev);
    return list_entry(w->set.all.next, struct origin, node);
}

/* SPOOL_PATH: a segment records the owner of the name from its first record on, and contains no
 * record of another owner. */
static void test_segments_say_whose_they_are(void **state)
{
    struct world *w = *state;
    struct names n = yes;
    struct origin *o;

    w->cfg.spool_path = w->dir;
    open_owned(w, &n, "syslog_tcp");
    assert_int_equal(append(w, "web.shop", STR("1")), JOURNAL_OK);
    o = only_origin(w);
    assert_int_equal(origin_owned_from(o, false), 0);
    name_for(o, STR("evil/2"));
    assert_int_equal(origin_owned_from(o, false), 2); /* nothing that is there */
    assert_int_equal(append(w, "web.shop", STR("2")), JOURNAL_OK);
    assert_int_equal(origin_owned_from(o, false), 2);
    name_it(o);
    assert_int_equal(append(w, "web.shop", STR("3")), JOURNAL_OK);
    assert_int_equal(append(w, "web.shop", STR("4")), JOURNAL_OK);
    turn(w);
    forget(w);
    n = yes;
    open_owned(w, &n, "syslog_tcp");
    o = only_origin(w);
    assert_int_equal(o->last_no, 3);
    assert_int_equal(origin_owned_from(o, true), 3);
    name_for(o, STR("evil/2"));
    assert_int_equal(origin_owned_from(o, true), 4);
    forget(w);
}

/* ... and records received while the owner was unknown have no owner at the next start. */
static void test_what_nobody_knew_is_nobodys_at_the_next_start(void **state)
{
    struct world *w = *state;
    struct names n = yes;

    n.known = false;
    w->cfg.spool_path = w->dir;
    open_owned(w, &n, "syslog_tcp");
    assert_int_equal(append(w, "web.shop", STR("1")), JOURNAL_OK);
    name_it(only_origin(w));
    assert_int_equal(origin_owned_from(only_origin(w), true), 0);
    turn(w);
    forget(w);
    n = yes;
    open_owned(w, &n, "syslog_tcp");
    assert_int_equal(origin_owned_from(only_origin(w), true), 2);
    forget(w);
}

/* A restart does not make records of other inputs trusted. */
static void test_trust_is_not_given_by_a_restart(void **state)
{
    struct world *w = *state;
    struct names n = yes;

    w->cfg.spool_path = w->dir;
    route(w, "web.*");
    open_owned(w, &n, "");
    assert_int_equal(append(w, "web.shop", STR("claimed")), JOURNAL_OK);
    turn(w);
    forget(w);
    open_owned(w, &n, "*");
    turn(w);
    assert_int_equal(n.there, 0);
    assert_int_equal(w->nreadings, 0);
    forget(w);
}

/* JOURNAL_HOSTS_MAX while the API has not answered: accepted records are not evicted. */
static void test_waiting_is_not_evicted(void **state)
{
    static const char *const names[] = {"web.shop", "b.shop", "c.shop"};
    struct world *w = *state;
    struct names n = yes;
    unsigned taken = 0;

    n.known = false;
    n.wants = IDENTIFY_UNKNOWN;
    w->cfg.hosts_max = 2;
    open_owned(w, &n, "syslog_*");
    for (int i = 0; i < 3; i++)
        taken += append(w, names[i], STR("x")) == JOURNAL_OK;
    assert_int_equal(taken, 2);
    turn(w);
    list_for_each (it, &w->set.all) {
        struct origin *o = list_entry(it, struct origin, node);

        name_it(o);
        router_stream_identified(w->router, o);
    }
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, taken);
    close_journals(w);
}

/* A record by the input "envoy". */
static void hear_kept(struct world *w)
{
    struct journal_source *other = w->src;
    struct input_counters counters = {0};
    struct err e;

    w->src = journal_source_open(w->js, "envoy", &counters, &e);
    assert_int_equal(append(w, "web.shop", STR("kept")), JOURNAL_OK);
    journal_source_close(w->src);
    w->src = other;
    turn(w);
}

/* ... nor what a spool holds, whatever is received under other hostnames. */
static void test_spooled_is_not_evicted(void **state)
{
    struct world *w = *state;
    struct names n = yes;

    w->cfg.spool_path = w->dir;
    open_owned(w, &n, "envoy");
    hear_kept(w);
    forget(w);
    n = yes;
    n.known = false; /* the API has not answered yet */
    n.wants = IDENTIFY_UNKNOWN;
    w->cfg.hosts_max = 1;
    route(w, "any*");
    open_owned(w, &n, "envoy");
    assert_int_equal(append(w, "anybody", STR("x")), JOURNAL_FULL); /* not trusted */
    router_stream_guessed(w->router, only_origin(w));               /* nor will it soon */
    assert_int_equal(append(w, "anybody", STR("x")), JOURNAL_FULL);
    turn(w);
    forget(w);
    n = yes;
    open_owned(w, &n, "envoy");
    turn(w);
    read_all(w, true);
    assert_int_equal(n.there, 1);
    assert_int_equal(w->records, 1);
    close_journals(w);
}

static void room(struct journal_waiter *waiter)
{
    container_of(waiter, struct world, waiter)->room_told++;
}

static void until_told(struct world *w)
{
    for (int i = 0; i < 6000 && !w->room_told; i++) { /* a minute */
        turn(w);
        (void)usleep(10000);
    }
    assert_int_equal(w->room_told, 1);
}

/* Who waits for a place, or for room in what turns out to be nobody's, goes on. */
static void test_who_waits_for_a_name_is_told(void **state)
{
    struct world *w = *state;
    struct names n = yes;
    static char line[50000];

    memset(line, 'x', sizeof(line));
    n.known = false;
    n.wants = IDENTIFY_UNKNOWN;
    w->cfg.hosts_max = 1;
    open_owned(w, &n, "syslog_*");
    w->waiter.room = room;
    while (append(w, "nobody.shop", str_make(line, sizeof(line))) == JOURNAL_OK)
        ;
    assert_int_equal(append(w, "web.shop", STR("x")), JOURNAL_FULL);
    journals_wait(w->js, &w->waiter);
    turn(w);
    router_stream_identified(w->router, only_origin(w));
    n.known = true;
    n.identify.generation++;
    until_told(w);
    assert_int_equal(append(w, "nobody.shop", STR("x")), JOURNAL_UNROUTED);
    assert_int_equal(append(w, "web.shop", STR("x")), JOURNAL_OK);
    close_journals(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_the_trusted_input_has_an_owner),
        TEST(test_an_operator_has_both),
        TEST(test_what_nobody_wants_is_asked_for_once),
        TEST(test_what_may_be_wanted_waits),
        TEST(test_trust_survives_a_restart),
        TEST(test_trust_is_not_given_by_a_restart),
        TEST(test_segments_say_whose_they_are),
        TEST(test_what_nobody_knew_is_nobodys_at_the_next_start),
        TEST(test_waiting_is_not_evicted),
        TEST(test_spooled_is_not_evicted),
        TEST(test_who_waits_for_a_name_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
