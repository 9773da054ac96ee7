/* Streams with an owner, and streams without a name yet. */
#include "router_world.h"

static bool goes_to(const struct world *w, const struct origin *o, const char *url)
{
    return pair_of(&w->reported, o->id, str_of(url), ROUTE_OWNER) >= 0;
}

/* docs/faults.md K12: the hostname is a label. Whoever calls himself after another gets nothing of
 * his. */
static void K12_a_claimed_hostname_reads_nothing(void **state)
{
    struct origin *victim, *thief;
    struct route_source *owners;
    struct world w;

    (void)state;
    world_open(&w);
    router_stream_add(w.router, victim = stream_owned(&w, "bank.prod", "p1"), false);
    router_stream_add(w.router, thief = stream_owned(&w, "bank.prod", "p2"), false);
    owners = router_source_create_owner(w.router, "owners");
    route_begin(owners);
    put(owners, "thief", "p2", "mine");
    put(owners, "by name", "bank.prod", "by-name");
    put(owners, "by wildcard", "*", "by-wildcard");
    put(owners, "by prefix", "p", "by-prefix");
    put(owners, "by nothing", "", "by-nothing");
    route_commit(owners);
    assert_reported(&w, 1, 0);
    assert_true(goes_to(&w, thief, "mine"));
    assert_false(goes_to(&w, victim, "mine"));
    world_close(&w);
}

/* One URL, one delivery; an operator's route has precedence. */
static void an_operators_route_takes_an_owners_place(void **state)
{
    struct route_source *owners, *operators;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    owners = router_source_create_owner(w.router, "owners");
    operators = router_source_create(w.router, "operators");
    router_stream_add(w.router, o = stream_owned(&w, "a", "p"), false);
    route_begin(owners);
    put(owners, "1", "p", "u");
    put(owners, "2", "p", "u");
    route_commit(owners);
    assert_reported(&w, 1, 0);
    assert_true(goes_to(&w, o, "u"));
    route_begin(operators);
    put(operators, "1", "*", "u");
    route_commit(operators);
    assert_reported(&w, 0, 0);
    assert_int_equal(w.reported.changed, 1);
    assert_false(goes_to(&w, o, "u"));
    assert_true(pair_of(&w.reported, o->id, STR("u"), ROUTE_PATTERN) >= 0);
    route_begin(operators);
    route_commit(operators);
    assert_reported(&w, 0, 0);
    assert_int_equal(w.reported.changed, 2);
    assert_true(goes_to(&w, o, "u"));
    world_close(&w);
}

static void call(struct origin *o, const char *hostname, const char *owner)
{
    struct identity id = {.hostname = str_of(hostname), .owner = str_of(owner)};

    origin_set_identity(o, identity_create(&id));
}

/* docs/faults.md K07: while its name is unknown it goes nowhere; then it starts where it ended when
 * it was found. */
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
    assert_reported(&w, 0, 0);
    router_stats(w.router, &st);
    assert_int_equal(st.pending, 2);
    assert_int_equal(st.streams, 2);
    assert_int_equal(st.unrouted, 0);
    call(old, "real", "d");
    router_stream_identified(w.router, old);
    assert_reported(&w, 2, 0);
    assert_int_equal(w.reported.from, ATTACH_FOUND);
    router_stream_guessed(w.router, new); /* no answer for a long time */
    assert_reported(&w, 1, 0);
    assert_int_equal(w.reported.from, ATTACH_START);
    call(new, "real", "d");
    router_stream_identified(w.router, new);
    assert_reported(&w, 2, 1);
    assert_int_equal(w.reported.from, ATTACH_START);
    router_stream_guessed(w.router, new); /* it is known: no more guesses */
    call(new, "other", "d");
    router_stream_identified(w.router, new);
    assert_reported(&w, 0, 1);
    call(new, "guess", "");
    router_stream_identified(w.router, new);
    assert_reported(&w, 1, 1);
    assert_int_equal(w.reported.from, ATTACH_END); /* a mere renaming */
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
    router_stream_identified(w.router, o); /* its name is unknown */
    router_stats(w.router, &st);
    assert_int_equal(st.pending, 1);
    assert_int_equal(st.streams, 1);
    world_close(&w);
}

static struct origin *stream_received(struct world *w, const char *hostname, bool trusted,
                                      const char *owner)
{
    struct identity id = {
        .hostname = str_of(hostname), .owner = str_of(owner), .network = true, .trusted = trusted};

    return origin_create(&w->set, identity_create(&id));
}

/* K12 once more: of lines received under a hostname, an owner gets only those marked as his, none
 * from other senders under it, and none of a pod that takes this name; operators get all. */
static void K12_an_owner_has_only_what_is_trusted(void **state)
{
    struct origin *trusted, *claimed, *pod;
    struct route_source *owners, *operators;
    struct world w;

    (void)state;
    world_open(&w);
    router_stream_add(w.router, trusted = stream_received(&w, "a.b", true, "name:a.b"), false);
    router_stream_add(w.router, claimed = stream_received(&w, "a.b", false, ""), false);
    router_stream_add(w.router, pod = stream_owned(&w, "a.b", "p1"), false);
    owners = router_source_create_owner(w.router, "owners");
    operators = router_source_create(w.router, "operators");
    route_begin(owners);
    put(owners, "name:a.b", "name:a.b", "owner");
    put(owners, "by hostname", "a.b", "by-hostname");
    put(owners, "by wildcard", "name:*", "by-wildcard");
    route_commit(owners);
    assert_reported(&w, 1, 0);
    assert_true(goes_to(&w, trusted, "owner"));
    assert_false(router_wants(w.router, STR("a.b")));
    route_begin(operators);
    put(operators, "1", "a.*", "operator");
    route_commit(operators);
    assert_reported(&w, 3, 0);
    assert_true(pair_of(&w.reported, claimed->id, STR("operator"), ROUTE_PATTERN) >= 0);
    assert_true(pair_of(&w.reported, pod->id, STR("operator"), ROUTE_PATTERN) >= 0);
    route_begin(owners);
    route_commit(owners);
    assert_reported(&w, 0, 1);
    world_close(&w);
}

static struct origin *stream_named(struct world *w, const char *hostname, const char *name)
{
    struct identity id = {.hostname = str_of(hostname), .name = str_of(name)};

    return origin_create(&w->set, identity_create(&id));
}

/* T7: a pattern matches the true name; an exact name matches the annotation. */
static void T07_patterns_mean_the_true_name(void **state)
{
    struct origin *liar, *hidden, *honest;
    struct route_source *s;
    struct identity id;
    struct world w;

    (void)state;
    world_open(&w);
    s = router_source_create(w.router, "operators");
    route_begin(s);
    put(s, "1", "*.payments", "pattern");
    put(s, "2", "card.payments", "exact");
    route_commit(s);
    router_stream_add(w.router, liar = stream_named(&w, "card.payments", "evil.shop"), false);
    router_stream_add(w.router, hidden = stream_named(&w, "nothing", "ledger.payments"), false);
    router_stream_add(w.router, honest = stream_named(&w, "card.payments", "card.payments"), false);
    assert_true(pair_of(&w.reported, liar->id, STR("exact"), ROUTE_OPERATOR) >= 0);
    assert_int_equal(pair_find(&w.reported, liar->id, STR("pattern")), -1);
    assert_true(pair_of(&w.reported, hidden->id, STR("pattern"), ROUTE_PATTERN) >= 0);
    assert_true(pair_of(&w.reported, honest->id, STR("exact"), ROUTE_OPERATOR) >= 0);
    assert_true(pair_of(&w.reported, honest->id, STR("pattern"), ROUTE_PATTERN) >= 0);
    assert_reported(&w, 4, 0);
    /* routes that come later, a name that changes alone, and the same URL asked for in both ways */
    put(s, "3", "led*", "late");
    put(s, "4", "card.payments", "pattern");
    route_commit(s);
    assert_true(pair_find(&w.reported, hidden->id, STR("late")) >= 0);
    assert_true(pair_of(&w.reported, honest->id, STR("pattern"), ROUTE_OPERATOR) >= 0);
    assert_int_equal(w.reported.changed, 1);
    id = *hidden->identity;
    id.name = STR("ledger.shop");
    origin_set_identity(hidden, identity_create(&id));
    router_stream_identified(w.router, hidden);
    assert_int_equal(pair_find(&w.reported, hidden->id, STR("pattern")), -1);
    assert_true(pair_find(&w.reported, hidden->id, STR("late")) >= 0);
    world_close(&w);
}

/* OPERATOR_PATTERNS=hostname: as it was. */
static void T07_patterns_may_mean_the_hostname(void **state)
{
    struct origin *liar, *hidden;
    struct route_source *s;
    struct world w;

    (void)state;
    world_open(&w);
    router_match_hostnames(w.router);
    s = router_source_create(w.router, "operators");
    route_begin(s);
    put(s, "1", "*.payments", "pattern");
    route_commit(s);
    router_stream_add(w.router, liar = stream_named(&w, "card.payments", "evil.shop"), false);
    router_stream_add(w.router, hidden = stream_named(&w, "nothing", "ledger.payments"), false);
    assert_true(pair_of(&w.reported, liar->id, STR("pattern"), ROUTE_OPERATOR) >= 0);
    assert_int_equal(pair_find(&w.reported, hidden->id, STR("pattern")), -1);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K12_a_claimed_hostname_reads_nothing),
        cmocka_unit_test(K12_an_owner_has_only_what_is_trusted),
        cmocka_unit_test(T07_patterns_mean_the_true_name),
        cmocka_unit_test(T07_patterns_may_mean_the_hostname),
        cmocka_unit_test(an_operators_route_takes_an_owners_place),
        cmocka_unit_test(K07_a_pending_stream_waits_at_its_place),
        cmocka_unit_test(pending_streams_may_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
