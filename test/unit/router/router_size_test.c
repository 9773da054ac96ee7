/* The memory of many routes, and the cost of a change among them. */
#include <malloc.h>

#include "router_world.h"

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
    assert_reported(&w, 1, 0);
    each = (mallinfo2().uordblks + mallinfo2().hblkhd - before - text) / MANY;
    print_message("%zu bytes for each route\n", each);
    assert_in_range(each, 1, 200);
    world_close(&w);
}

/* A change of one route costs the same among a hundred thousand; if each were checked, this would
 * take an hour. */
static void many_owner_routes_cost_no_more(void **state)
{
    struct route_source *s;
    struct world w;
    char uid[40], url[64];

    (void)state;
    world_open(&w);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(uid, sizeof(uid), "uid-%d", i * 50);
        router_stream_add(w.router, stream_owned(&w, "same.for.all", uid), false);
    }
    s = router_source_create_owner(w.router, "many");
    route_begin(s);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(uid, sizeof(uid), "uid-%d", i);
        (void)snprintf(url, sizeof(url), "u%d", i % 3000);
        put(s, uid, uid, url);
    }
    route_commit(s);
    assert_reported(&w, 2000, 0);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(uid, sizeof(uid), "uid-%d", i);
        route_begin_changes(s);
        route_drop(s, str_of(uid));
        route_commit(s);
    }
    assert_reported(&w, 0, 2000);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_routes_are_small),
        cmocka_unit_test(many_owner_routes_cost_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
