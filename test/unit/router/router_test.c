/* The calls to the sink, and where attachments start. */
#include "router_world.h"

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
    assert_reported(&w, 0, 0);     /* not before the commit */
    route_commit(a);
    assert_reported(&w, 2, 0);
    route_begin(b);
    put(b, "1", "*.shop", "u2"); /* already attached through another route */
    put(b, "2", "*", "u4");
    route_commit(b);
    assert_reported(&w, 1, 0);
    router_stats(w.router, &st);
    assert_int_equal(st.routes, 6);
    assert_int_equal(st.attachments, 3);
    assert_int_equal(st.unrouted, 0);
    route_begin(a);
    route_commit(a); /* all removed; u2 stays through the wildcard */
    assert_reported(&w, 0, 1);
    assert_int_equal(pair_find(&w.reported, web->id, STR("u1")), -1);
    route_begin(b);
    route_commit(b);
    assert_reported(&w, 0, 2);
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
    assert_reported(&w, 2, 0);
    route_begin(s); /* the same, from other lines, in another order */
    put(s, "line 1", "other", "u1");
    route_put(s, STR("line 2"), STR("web"), swapped, 2);
    route_commit(s);
    assert_reported(&w, 0, 0);
    route_begin_changes(s);
    route_drop(s, STR("line 2")); /* withdrawn and given back */
    route_put(s, STR("line 2"), STR("web"), both, 2);
    route_drop(s, STR("no such key"));
    route_commit(s);
    assert_reported(&w, 0, 0);
    route_begin_changes(s); /* keyed: line 1 is not dropped for not being put */
    put(s, "line 2", "web", "u2");
    route_commit(s);
    assert_reported(&w, 0, 1);
    route_begin_changes(s);
    put(s, "line 1", "w*b", "u9");
    route_commit(s);
    assert_reported(&w, 1, 0);
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
    assert_int_equal(w.reported.from, ATTACH_FOUND); /* READ_FROM's default */
    w.reported.found = ATTACH_START;                 /* the sink knows better */
    router_stream_add(w.router, stream_called(&w, "x"), true);
    assert_int_equal(w.reported.from, ATTACH_START);
    w.reported.found = ATTACH_FOUND;
    router_stream_add(w.router, stream_called(&w, "b"), false);
    assert_int_equal(w.reported.from, ATTACH_START);
    router_stream_add(w.router, o = stream_called(&w, "c"), false);
    assert_int_equal(w.reported.from, ATTACH_START);
    assert_int_equal(w.reported.routed, 4);
    route_begin_changes(s);
    put(s, "2", "c", "later");
    route_commit(s);
    assert_int_equal(w.reported.from, ATTACH_END);
    assert_reported(&w, 5, 0);
    assert_int_equal(w.reported.routed, 4);
    router_stream_remove(w.router, o); /* the workers finish it: no detach is reported */
    router_stream_remove(w.router, o);
    assert_reported(&w, 0, 0);
    assert_int_equal(w.reported.gone, 1);
    world_close(&w);
}

/* Routes that come late, once, as if they had been there; and later ones at the end. */
static void where_attachments_of_a_late_source_begin(void **state)
{
    struct route_source *late, *other;
    struct origin *pending;
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
    assert_int_equal(w.reported.from, ATTACH_END);
    router_stream_add_pending(w.router, pending = stream_called(&w, "pending"), false);
    route_begin(late);
    put(late, "1", "new", "u2");
    route_begin_changes(late); /* broken off */
    route_commit(late);
    assert_int_equal(w.reported.from, ATTACH_START);
    assert_int_equal(w.reported.routed, 0); /* its routes may still be to come */
    route_begin(late);
    put(late, "1", "new", "u2");
    put(late, "2", "old", "u3");
    route_commit(late);
    assert_int_equal(w.reported.routed, 2);
    router_stream_guessed(w.router, pending);
    assert_int_equal(w.reported.routed, 2);
    router_stream_identified(w.router, pending);
    assert_int_equal(w.reported.routed, 3);
    assert_int_equal(w.reported.from, ATTACH_FOUND); /* READ_FROM's default */
    assert_reported(&w, 3, 0);
    route_begin_changes(late);
    put(late, "3", "new", "u4");
    route_commit(late);
    assert_int_equal(w.reported.from, ATTACH_END);
    assert_reported(&w, 1, 0);
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
    assert_reported(&w, 2, 0);
    route_begin(s);
    assert_true(route_keep(s, STR("1"), STR("web"), &url, 1));
    assert_false(route_keep(s, STR("1"), STR("wab"), &url, 1));
    assert_false(route_keep(s, STR("1"), STR("web"), &other, 1));
    route_commit(s);
    assert_reported(&w, 0, 1);
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
    assert_reported(&w, 2, 0);
    origin_set_identity(o, identity_create(&named));
    router_stream_identified(w.router, o);
    assert_reported(&w, 1, 1);
    assert_true(pair_find(&w.reported, o->id, STR("u2")) >= 0);
    route_begin_changes(s);
    route_drop(s, STR("2")); /* and is found under its new name */
    route_commit(s);
    assert_reported(&w, 0, 1);
    world_close(&w);
}

static void refused(const struct world *w, unsigned refused, unsigned attached)
{
    struct router_stats st;

    router_stats(w->router, &st);
    assert_int_equal(st.refused, refused);
    assert_int_equal(st.attachments, attached);
}

/* The sink refuses what there is no room for (T15): it is attached by a later try, and begins where
 * it would have begun. */
static void test_T15_refused_attachments_are_tried_again(void **state)
{
    struct route_source *s;
    struct origin *o;
    struct world w;

    (void)state;
    world_open(&w);
    s = router_source_create(w.router, "s");
    route_begin(s);
    put(s, "1", "*", "u");
    put(s, "2", "*", "v");
    route_commit(s);
    w.reported.refuses = true;
    router_stream_add(w.router, o = stream_called(&w, "a"), true);
    refused(&w, 2, 0);
    router_retry(w.router);
    refused(&w, 2, 0);
    w.reported.refuses = false;
    router_retry(w.router);
    refused(&w, 0, 2);
    assert_reported(&w, 2, 0);
    assert_int_equal(w.reported.from, ATTACH_FOUND);
    assert_int_equal(w.reported.tried, 6);
    router_retry(w.router);
    assert_int_equal(w.reported.tried, 6);
    w.reported.refuses = true;
    route_begin_changes(s);
    put(s, "3", "a", "late");
    route_commit(s);
    refused(&w, 1, 2);
    w.reported.refuses = false;
    router_retry(w.router);
    assert_int_equal(w.reported.from, ATTACH_END);
    refused(&w, 0, 3);
    assert_reported(&w, 1, 0);
    w.reported.refuses = true;
    route_begin_changes(s);
    put(s, "4", "a", "later");
    route_commit(s);
    route_begin_changes(s);
    route_drop(s, STR("4")); /* it was never attached: no detach is reported */
    route_commit(s);
    refused(&w, 0, 3);
    assert_reported(&w, 0, 0);
    put(s, "5", "a", "last");
    route_commit(s);
    refused(&w, 1, 3);
    router_stream_remove(w.router, o);
    refused(&w, 0, 0);
    assert_int_equal(w.reported.unsent, 1);
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
        cmocka_unit_test(test_T15_refused_attachments_are_tried_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
