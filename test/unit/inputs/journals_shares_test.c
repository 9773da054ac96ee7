/*
 * Nobody can use all of the journals: limits of senders and hostnames, in bytes and in names (row
 * T5). Nothing is read here, so all accepted records stay.
 */
#include "journals_world.h"

#define RECORD 10000

static char line[RECORD];

/* Bytes of records that are accepted until there is no room. */
static uint64_t fill(struct world *w, const char *sender, const char *host)
{
    uint64_t n = 0;

    while (append_from(w, sender, host, str_make(line, sizeof(line))) == JOURNAL_OK)
        n += sizeof(line);
    turn(w);
    return n;
}

static void open_for_all(struct world *w, unsigned hosts_max)
{
    memset(line, 'x', sizeof(line));
    w->cfg.bytes_max = w->cfg.host_bytes_max = 64 * 1024 * 1024;
    w->cfg.hosts_max = hosts_max;
    route(w, "*");
    open_journals(w);
}

/* <stuck> hostnames are stuck, all of one sender or each of its own: the next ones find room for
 * their lines. */
static void stuck_leave_room(struct world *w, unsigned stuck, bool one_sender)
{
    char host[64], sender[32];

    for (unsigned i = 0; i < stuck; i++) {
        (void)snprintf(host, sizeof(host), "dead%u", i);
        (void)snprintf(sender, sizeof(sender), "192.0.2.%u", one_sender ? 1 : i);
        (void)fill(w, sender, host);
    }
    for (unsigned i = 0; i < 3; i++) { /* from a dead one's sender, and from others */
        (void)snprintf(host, sizeof(host), "live%u-%u", stuck, i);
        (void)snprintf(sender, sizeof(sender), "192.0.2.%u", 1 + 100 * i);
        for (unsigned n = 0; n < 10; n++)
            if (append_from(w, sender, host, str_make(line, sizeof(line))) != JOURNAL_OK)
                fail_msg("%u stuck: line %u of %s from %s", stuck, n, host, sender);
    }
}

static void test_T05_stuck_hostnames_leave_room(void **state)
{
    struct world *w = *state;

    open_for_all(w, 1000);
    stuck_leave_room(w, 2, false);
    stuck_leave_room(w, 20, false);
}

static void test_T05_stuck_hostnames_of_one_sender_leave_room(void **state)
{
    struct world *w = *state;

    open_for_all(w, 1000);
    stuck_leave_room(w, 2, true);
    stuck_leave_room(w, 20, true);
}

/* One sender cannot have all, under one hostname or under many. */
static void test_T05_a_sender_leaves_a_quarter(void **state)
{
    struct world *w = *state;
    char host[64];
    uint64_t all = 0;

    open_for_all(w, 1000);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(host, sizeof(host), "dead%u", i);
        all += fill(w, "192.0.2.1", host);
    }
    assert_in_range(all, w->cfg.bytes_max / 2, w->cfg.bytes_max / 4 * 3);
    assert_in_range(fill(w, "192.0.2.2", "other"), w->cfg.bytes_max / 128, w->cfg.bytes_max / 4);
}

/* In a hostname that another has filled, a sender finds room. */
static void test_T05_a_hostname_is_shared_by_its_senders(void **state)
{
    struct world *w = *state;
    uint64_t first;

    open_for_all(w, 1000);
    first = fill(w, "192.0.2.1", "web");
    assert_in_range(first, w->cfg.bytes_max / 3, w->cfg.bytes_max / 2);
    assert_in_range(fill(w, "192.0.2.2", "web"), 100 * RECORD, first / 4);
}

/* More senders than a segment can tell apart: the others count as one, and all can be freed. */
static void test_T05_many_senders_of_one_hostname(void **state)
{
    struct world *w = *state;
    char sender[32];

    open_for_all(w, 1000);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(sender, sizeof(sender), "192.0.2.%u", i % 100);
        assert_int_equal(append_from(w, sender, "web", str_make(line, sizeof(line))), JOURNAL_OK);
    }
    turn(w);
    read_all(w, true);
    turn(w);
    assert_in_range(bytes_held(w), 1, 1200000);
}

/* A sender that invents names ends its own ones; those of others stay, and new ones find places. */
static void test_T05_invented_names_take_nobodys_place(void **state)
{
    struct world *w = *state;
    struct journal_stats s;
    unsigned taken = 0;
    char host[64];

    open_for_all(w, 20);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(host, sizeof(host), "good%u", i);
        assert_int_equal(append_from(w, "192.0.2.1", host, STR("x")), JOURNAL_OK);
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(host, sizeof(host), "made-up%u", i);
        taken += append_from(w, "192.0.2.9", host, STR("x")) == JOURNAL_OK;
    }
    assert_in_range(taken, 10, 30);
    for (unsigned i = 0; i < 6; i++) { /* the old ones, and as many that are new */
        (void)snprintf(host, sizeof(host), "good%u", i);
        assert_int_equal(append_from(w, "192.0.2.1", host, STR("x")), JOURNAL_OK);
    }
    assert_int_equal(append_from(w, "192.0.2.2", "third", STR("x")), JOURNAL_OK);
    journals_stats(w->js, &s);
    assert_in_range(s.hostnames, 1, 40);
}

/* Datagrams of any number of senders, each in another's name: connections find a quarter. */
static void test_T05_forged_senders_leave_a_quarter(void **state)
{
    struct world *w = *state;
    char host[64], sender[32];
    uint64_t all = 0;

    open_for_all(w, 1000);
    w->forgeable = true;
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(host, sizeof(host), "dead%u", i);
        (void)snprintf(sender, sizeof(sender), "192.0.2.%u", i);
        all += fill(w, sender, host);
    }
    assert_in_range(all, w->cfg.bytes_max / 2, w->cfg.bytes_max / 4 * 3);
    w->forgeable = false;
    for (unsigned i = 0; i < 3; i++) { /* one of them is in a name that was forged */
        (void)snprintf(host, sizeof(host), "live%u", i);
        (void)snprintf(sender, sizeof(sender), "192.0.2.%u", 199 + i);
        assert_in_range(fill(w, sender, host), w->cfg.bytes_max / 128, w->cfg.bytes_max / 4);
    }
    read_all(w, true);
    turn(w);
}

static void test_T05_forged_senders_leave_names(void **state)
{
    struct world *w = *state;
    char host[64], sender[32];

    open_for_all(w, 20);
    w->forgeable = true;
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(host, sizeof(host), "made-up%u", i);
        (void)snprintf(sender, sizeof(sender), "192.0.2.%u", i);
        (void)append_from(w, sender, host, STR("x"));
    }
    w->forgeable = false;
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(host, sizeof(host), "good%u", i);
        assert_int_equal(append_from(w, "192.0.2.1", host, STR("x")), JOURNAL_OK);
    }
}

static void name_ipv6(char out[64], unsigned network, unsigned i)
{
    (void)snprintf(out, 64, "2001:db8:0:%x::%x", network, i + 1);
}

/* As many addresses as hostnames, all in one IPv6 network: others find a quarter, and its neighbours
 * there something. */
static void test_T05_addresses_of_one_network_leave_a_quarter(void **state)
{
    struct world *w = *state;
    char host[64], sender[64];
    uint64_t all = 0;

    open_for_all(w, 1000);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(host, sizeof(host), "dead%u", i % 100);
        name_ipv6(sender, 1, i);
        all += fill(w, sender, host);
    }
    assert_in_range(all, w->cfg.bytes_max / 2, w->cfg.bytes_max / 4 * 3);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(host, sizeof(host), "live%u", i);
        name_ipv6(sender, 2, i);
        assert_in_range(fill(w, i ? sender : "192.0.2.1", host), w->cfg.bytes_max / 128,
                        w->cfg.bytes_max / 4);
    }
    read_all(w, true);
    turn(w);
}

/* One of the network has filled its share: its neighbours find room. */
static void test_T05_an_address_leaves_room_in_its_network(void **state)
{
    struct world *w = *state;
    char host[64], sender[64];

    open_for_all(w, 1000);
    name_ipv6(sender, 1, 0);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(host, sizeof(host), "dead%u", i);
        (void)fill(w, sender, host);
    }
    for (unsigned i = 1; i < 4; i++) {
        (void)snprintf(host, sizeof(host), "live%u", i);
        name_ipv6(sender, 1, i);
        assert_in_range(fill(w, sender, host), 10 * RECORD, w->cfg.bytes_max / 4);
    }
}

/* A hostname is shared with many addresses of a network, more than a segment accounts separately. */
static void test_T05_a_network_is_one_sender_of_a_hostname(void **state)
{
    struct world *w = *state;
    uint64_t first = 0;
    char sender[64];

    open_for_all(w, 1000);
    for (unsigned round = 0; round < 60; round++)
        for (unsigned i = 0; i < 60; i++) {
            name_ipv6(sender, 1, i);
            first += append_from(w, sender, "web", str_make(line, sizeof(line))) == JOURNAL_OK;
        }
    turn(w);
    for (unsigned i = 0; i < 60; i++) {
        name_ipv6(sender, 1, i);
        first += fill(w, sender, "web") / RECORD;
    }
    assert_in_range(first * RECORD, w->cfg.bytes_max / 3, w->cfg.bytes_max / 2);
    assert_in_range(fill(w, "192.0.2.2", "web"), 100 * RECORD, first * RECORD / 4);
    read_all(w, true);
    turn(w);
    for (unsigned i = 0; i < 1000; i++) { /* their entries are removed when nothing is left */
        name_ipv6(sender, i, 1);
        assert_int_equal(append_from(w, sender, "web", STR("x")), JOURNAL_OK);
    }
}

static void test_T05_addresses_of_one_network_leave_names(void **state)
{
    struct world *w = *state;
    char host[64], sender[64];

    open_for_all(w, 20);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(host, sizeof(host), "good%u", i);
        assert_int_equal(append_from(w, "192.0.2.1", host, STR("x")), JOURNAL_OK);
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(host, sizeof(host), "made-up%u", i);
        name_ipv6(sender, 1, i);
        (void)append_from(w, sender, host, STR("x"));
    }
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(host, sizeof(host), "good%u", i);
        assert_int_equal(append_from(w, "192.0.2.1", host, STR("x")), JOURNAL_OK);
    }
    assert_int_equal(append_from(w, "2001:db8:0:2::1", "third", STR("x")), JOURNAL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_T05_stuck_hostnames_leave_room),
        TEST(test_T05_stuck_hostnames_of_one_sender_leave_room),
        TEST(test_T05_a_sender_leaves_a_quarter),
        TEST(test_T05_a_hostname_is_shared_by_its_senders),
        TEST(test_T05_many_senders_of_one_hostname),
        TEST(test_T05_invented_names_take_nobodys_place),
        TEST(test_T05_forged_senders_leave_a_quarter),
        TEST(test_T05_forged_senders_leave_names),
        TEST(test_T05_addresses_of_one_network_leave_a_quarter),
        TEST(test_T05_an_address_leaves_room_in_its_network),
        TEST(test_T05_a_network_is_one_sender_of_a_hostname),
        TEST(test_T05_addresses_of_one_network_leave_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
