/* Who makes room for whom: networks first, then addresses, then uses (rows T4, T5, T11). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/places.h"

#define PLACES 100
#define PER_HOST 40
#define MANY 1000

struct conn {
    struct place place; /* host NULL = it has none */
    struct places *places;
};

struct world {
    struct places places;
    struct conn conns[MANY];
    unsigned n;
};

static void evict(struct place *p)
{
    places_leave(container_of(p, struct conn, place)->places, p);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    places_init(&w->places, PLACES, PER_HOST, 0, evict);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < w->n; i++)
        places_leave(&w->places, &w->conns[i].place);
    assert_int_equal(w->places.n, 0);
    assert_int_equal(w->places.hosts.len, 0);
    places_release(&w->places);
    free(w);
    return 0;
}

/* A new connection; NULL = it is refused. */
static struct conn *come(struct world *w, const char *address, enum place_use use)
{
    struct conn *c = &w->conns[w->n++];

    assert_true(w->n <= MANY);
    c->places = &w->places;
    if (!places_enter_from(&w->places, &c->place, str_of(address)))
        return NULL;
    places_set(&w->places, &c->place, use);
    return c;
}

/* <n> connections, each of another address of 2001:db8:0:<network>::/64. */
static unsigned come_many(struct world *w, unsigned network, unsigned n, enum place_use use)
{
    char address[64];
    unsigned in = 0;

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(address, sizeof(address), "2001:db8:0:%x::%x", network, i + 1);
        in += come(w, address, use) != NULL;
    }
    return in;
}

static bool stays(const struct conn *c)
{
    return c && c->place.host;
}

/* Each address has one connection, which is at work. */
static void test_T04_many_addresses_of_a_network_make_room(void **state)
{
    struct world *w = *state;
    struct conn *calm[4];

    assert_int_equal(come_many(w, 1, 2 * PLACES, PLACE_BUSY), PLACES);
    calm[0] = come(w, "192.0.2.1", PLACE_BUSY);
    calm[1] = come(w, "192.0.2.2", PLACE_SPARE);
    calm[2] = come(w, "2001:db8:0:2::1", PLACE_BUSY);
    calm[3] = come(w, "2001:db8:0:2::1", PLACE_SPARE);
    (void)come_many(w, 1, 2 * PLACES, PLACE_BUSY);
    for (unsigned i = 0; i < 4; i++)
        assert_true(stays(calm[i]));
    assert_int_equal(w->places.n, PLACES);
}

/* Silent ones of the network do not push out silent ones of others. */
static void test_T11_half_open_ones_of_a_network_evict_their_own(void **state)
{
    struct world *w = *state;
    struct conn *calm = come(w, "192.0.2.1", PLACE_SPARE);
    struct conn *other = come(w, "2001:db8:0:2::1", PLACE_SPARE);

    assert_int_equal(come_many(w, 1, 5 * PLACES, PLACE_SPARE), 5 * PLACES);
    assert_true(stays(calm));
    assert_true(stays(other));
}

/* Within a network it is the address that has most. */
static void test_T04_neighbours_of_a_network_keep_their_places(void **state)
{
    struct world *w = *state;
    struct conn *calm[10];
    char address[64];

    for (unsigned i = 0; i < 10; i++) {
        (void)snprintf(address, sizeof(address), "2001:db8:0:1::1:%x", i);
        calm[i] = come(w, address, PLACE_SPARE);
    }
    for (unsigned i = 0; i < 5 * PLACES; i++)
        (void)come(w, i % 2 ? "2001:db8:0:1::1" : "2001:db8:0:1::2", PLACE_SPARE);
    assert_true(stays(come(w, "2001:db8:0:1::3", PLACE_BUSY)));
    assert_true(stays(come(w, "192.0.2.1", PLACE_BUSY)));
    for (unsigned i = 0; i < 10; i++)
        assert_true(stays(calm[i]));
}

static void test_T05_what_a_network_has_counts_together(void **state)
{
    struct world *w = *state;
    struct conn *calm = come(w, "192.0.2.1", PLACE_BUSY), *most = NULL, *c;
    char address[64];

    places_have(&w->places, &calm->place, PLACE_BYTES, 55);
    for (unsigned i = 1; i <= 10; i++) {
        (void)snprintf(address, sizeof(address), "2001:db8:0:1::%x", i);
        c = come(w, address, PLACE_BUSY);
        places_have(&w->places, &c->place, PLACE_BYTES, i == 7 ? 11 : 10);
        most = i == 7 ? c : most;
    }
    assert_ptr_equal(places_richest(&w->places, PLACE_BYTES), &most->place);
    assert_int_equal(w->places.has[PLACE_BYTES], 156);
    for (unsigned i = 0; i < 5; i++) { /* 101, 90, 80, 70, 60 */
        struct place *p = places_richest(&w->places, PLACE_BYTES);

        assert_ptr_not_equal(p, &calm->place);
        places_leave(&w->places, p);
    }
    assert_ptr_equal(places_richest(&w->places, PLACE_BYTES), &calm->place);
}

/* An address alone has its limit, as before. */
static void test_T11_one_address_has_a_limit(void **state)
{
    struct world *w = *state;
    unsigned in = 0;

    for (unsigned i = 0; i < PLACES; i++)
        in += come(w, "192.0.2.1", PLACE_BUSY) != NULL;
    assert_int_equal(in, PER_HOST);
    for (in = 0; in < PER_HOST && come(w, "2001:db8::1", PLACE_BUSY); in++)
        ;
    assert_int_equal(in, PER_HOST);
    assert_null(come(w, "2001:db8::1", PLACE_BUSY));
    assert_true(stays(come(w, "2001:db8::2", PLACE_BUSY)));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_T04_many_addresses_of_a_network_make_room),
        TEST(test_T11_half_open_ones_of_a_network_evict_their_own),
        TEST(test_T04_neighbours_of_a_network_keep_their_places),
        TEST(test_T05_what_a_network_has_counts_together),
        TEST(test_T11_one_address_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
