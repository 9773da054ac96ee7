/*
 * Drains of hosts without a connection: which ones try, which ones wait, and what happens when one
 * connects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "loop/dns.h"
#include "worker_world.h"

#define MANY 20

static struct drain_spec *host_spec(unsigned n, uint16_t port)
{
    struct drain_spec *spec = numbered_spec(0);

    spec->id[strlen(spec->id) - 1] = (char)('0' + n);
    spec->url.host = STR("logs.test");
    spec->port = port;
    return spec;
}

static void add(unsigned n, uint16_t port)
{
    struct drain_spec *spec = host_spec(n, port);

    worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
    drain_spec_unref(spec);
    turns(5);
}

static void add_stream(void)
{
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
}

static void add_all(unsigned n, uint16_t port)
{
    add_stream();
    for (unsigned i = 0; i < n; i++)
        add(i, port);
}

static unsigned trying(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < DRAINS_MAX; i++)
        n += w.fakes[i] && w.fakes[i]->opening;
    return n;
}

static void fail_one(struct fake *f, int code)
{
    struct err e;

    f->opening = false;
    (void)err_set(&e, code, "in vain");
    drain_disconnected(&f->base, false, &e);
    turns(5);
}

/* Fails all that try now, and adds their number to <tried>. */
static void fail_all(int code, unsigned *tried)
{
    bool now[DRAINS_MAX];

    for (unsigned i = 0; i < DRAINS_MAX; i++)
        now[i] = w.fakes[i] && w.fakes[i]->opening;
    for (unsigned i = 0; i < DRAINS_MAX; i++) {
        if (!now[i])
            continue;
        if (tried)
            tried[i]++;
        fail_one(w.fakes[i], code);
    }
}

/* Waits until a drain tries. Returns how many do, including those that may try with it. */
static unsigned next_turn(void)
{
    for (uint64_t ms = 0; ms < 2 * BACKOFF_CAP_MS && !trying(); ms += 50)
        pass_ms(50);
    for (unsigned i = 0; i < 8; i++)
        pass_ms(50); /* RETRIES_PER_SECOND; the next turn is not before BACKOFF_BASE_MS */
    return trying();
}

static struct fake *who_tries(void)
{
    for (unsigned i = 0; i < DRAINS_MAX; i++)
        if (w.fakes[i] && w.fakes[i]->opening)
            return w.fakes[i];
    fail_msg("nobody tries");
    return NULL;
}

/* One of a port that refuses tries in each turn, not always the same one; the others know why. */
static void L22_one_of_a_port_tries(void **state)
{
    unsigned tried[DRAINS_MAX] = {0};

    (void)state;
    add_all(MANY, 514);
    fail_all(ECONNREFUSED, NULL);
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(w.fakes[i]->base.failing);
        assert_string_equal(w.fakes[i]->base.last_error.text, "in vain");
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(next_turn(), 1);
        fail_all(ECONNREFUSED, tried);
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_true(tried[i] > 0);
}

/* When it gets through, all others try at once. */
static void L22_all_come_back(void **state)
{
    (void)state;
    add_all(MANY, 514);
    fail_all(ECONNREFUSED, NULL);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(next_turn(), 1);
        fail_all(ECONNREFUSED, NULL);
    }
    assert_int_equal(next_turn(), 1);
    who_tries()->opening = false;
    for (unsigned i = 0; i < MANY; i++) {
        if (w.fakes[i]->base.state == DRAIN_OPENING)
            drain_opened(&w.fakes[i]->base);
    }
    pass_ms(1000 * MANY / CONNECTS_PER_SECOND + 10);
    assert_int_equal(trying(), MANY - 1);
}

/* A name without an address: one lookup per turn, for all ports; when it has one, each port is
 * tried. */
static void L22_one_looks_the_name_up(void **state)
{
    unsigned ports = 0, tried[DRAINS_MAX] = {0};

    (void)state;
    add_stream();
    for (unsigned i = 0; i < MANY; i++)
        add(i, (uint16_t)(1000 + i));
    fail_all(DNS_NO_ADDRESS, NULL);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(next_turn(), 1);
        fail_all(DNS_NO_ADDRESS, NULL);
    }
    for (unsigned i = 0; i < 8 * MANY; i++) {
        (void)next_turn();
        fail_all(ECONNREFUSED, tried);
    }
    for (unsigned i = 0; i < MANY; i++)
        ports += tried[i] > 0;
    assert_int_equal(ports, MANY);
}

/* What may be a drain's own fault keeps no other from its turn. */
static void L22_its_own_fault(void **state)
{
    unsigned n = 0, tried[DRAINS_MAX] = {0};

    (void)state;
    add_all(MANY, 514);
    fail_all(ECONNREFUSED, NULL);
    assert_int_equal(next_turn(), 1);
    fail_all(EPROTO, NULL); /* it refuses no longer */
    for (uint64_t ms = 0; ms < 6 * BACKOFF_BASE_MS + 1000; ms += 50) {
        pass_ms(50);
        fail_all(EPROTO, tried);
    }
    for (unsigned i = 0; i < MANY; i++)
        n += tried[i] > 0;
    assert_in_range(n, MANY / 4, MANY); /* at once, not in twenty turns */
    for (uint64_t ms = 0; ms < 5 * BACKOFF_CAP_MS; ms += 50) {
        pass_ms(50);
        fail_all(EPROTO, tried);
    }
    for (unsigned i = 0; i < MANY; i++)
        assert_true(tried[i] > 0);
}

/* One port is dead, whatever the number of its drains: the other's turn comes. */
static void L22_another_port(void **state)
{
    unsigned tried[DRAINS_MAX] = {0};

    (void)state;
    add_all(MANY, 514);
    fail_all(ECONNREFUSED, NULL);
    add(MANY, 515);
    assert_true(w.fakes[MANY]->opening); /* it has no information from others */
    fail_all(ECONNREFUSED, NULL);
    for (unsigned i = 0; i < 10; i++) {
        (void)next_turn();
        fail_all(ECONNREFUSED, tried);
    }
    assert_true(tried[MANY] > 0);
}

/* A new drain does not repeat an attempt that has just failed, and gives the same error. */
static void L22_a_new_one_waits(void **state)
{
    (void)state;
    add_all(2, 514);
    fail_all(ECONNREFUSED, NULL);
    add(2, 514);
    assert_int_equal(trying(), 0);
    assert_int_equal(w.fakes[2]->base.state, DRAIN_WAITING);
    assert_true(w.fakes[2]->base.failing);
    assert_string_equal(w.fakes[2]->base.last_error.text, "in vain");
}

/* The drain that tries is removed before it has a result: another one tries. */
static void L22_the_one_that_tries_goes(void **state)
{
    struct drain_spec *spec;
    unsigned n;

    (void)state;
    add_all(3, 514);
    fail_all(ECONNREFUSED, NULL);
    assert_int_equal(next_turn(), 1);
    for (n = 0; !w.fakes[n]->opening; n++)
        continue;
    w.fakes[n] = NULL;
    spec = host_spec(n, 514);
    worker_detach(w.wk, w.stream, spec);
    drain_spec_unref(spec);
    turns(5);
    assert_int_equal(next_turn(), 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(L22_one_of_a_port_tries),     CASE(L22_all_come_back), CASE(L22_one_looks_the_name_up),
        CASE(L22_its_own_fault),           CASE(L22_another_port),  CASE(L22_a_new_one_waits),
        CASE(L22_the_one_that_tries_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
