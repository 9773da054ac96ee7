/* What journals accept, keep and refuse (docs/faults.md N05, N12). */
#include "journals_world.h"

static void test_record_passes_whole(void **state)
{
    struct world *w = *state;

    route(w, "web.*");
    open_journals(w);
    assert_int_equal(append(w, "web.shop", STR("hello")), JOURNAL_OK);
    assert_int_equal(append(w, "web.shop", str_make("a\nb\0c\xff", 6)), JOURNAL_OK);
    turn(w);
    read_all(w, true);
    static const char want[] = "165 2026-11-20T10:15:00.5Z app 1 ID [a b=\"c\"] hello|"
                               "165 2026-11-20T10:15:00.5Z app 1 ID [a b=\"c\"] a\nb\0c\xff|";
    assert_int_equal(w->got.len, sizeof(want) - 1);
    assert_memory_equal(w->got.p, want, sizeof(want) - 1);
    assert_int_equal(w->counters.records, 2);
    assert_int_equal(w->counters.bytes, 11);
}

static void test_no_route_no_journal(void **state)
{
    struct world *w = *state;
    struct journal_stats s;

    route(w, "web.*");
    open_journals(w);
    assert_int_equal(append(w, "db.shop", STR("x")), JOURNAL_UNROUTED);
    assert_int_equal(append(w, "db.shop", STR("x")), JOURNAL_UNROUTED);
    assert_int_equal(w->counters.unrouted, 2);
    journals_stats(w->js, &s);
    assert_int_equal(s.hostnames, 0);
    assert_int_equal(s.bytes, 0);
    route(w, "db.*"); /* the answer that was remembered is no longer true */
    assert_int_equal(append(w, "db.shop", STR("x")), JOURNAL_OK);
}

static void test_segments_go_when_passed(void **state)
{
    struct world *w = *state;
    char line[1000];
    uint64_t held;

    memset(line, 'x', sizeof(line));
    route(w, "*");
    open_journals(w);
    for (int i = 0; i < 4000; i++)
        assert_int_equal(append(w, "web", str_make(line, sizeof(line))), JOURNAL_OK);
    turn(w);
    held = bytes_held(w);
    assert_in_range(held, 4000000, 4400000);
    read_all(w, false);
    turn(w);
    assert_int_equal(bytes_held(w), held); /* read is not confirmed */
    read_all(w, true);
    turn(w);
    assert_in_range(bytes_held(w), 1, 1200000); /* the last one stays */
    assert_int_equal(w->records, 4000);
}

static void room(struct journal_waiter *waiter)
{
    container_of(waiter, struct world, waiter)->room_told++;
}

static void test_N05_full_is_told_and_ends(void **state)
{
    struct world *w = *state;
    char line[60000];
    unsigned n = 0, more = 0;

    memset(line, 'x', sizeof(line));
    w->waiter.room = room;
    route(w, "*");
    open_journals(w);
    while (append(w, "web", str_make(line, sizeof(line))) == JOURNAL_OK)
        n++;
    assert_in_range(n, 120, 140); /* the share of one hostname */
    assert_in_range(bytes_held(w), 1, SHARE);
    assert_int_equal(append(w, "other", STR("x")), JOURNAL_OK); /* uses no other's space */
    journals_wait(w->js, &w->waiter);
    turn(w);
    assert_int_equal(w->room_told, 0);
    read_all(w, true);
    turn(w);
    assert_int_equal(w->room_told, 1);
    while (more < 100 && append(w, "web", str_make(line, sizeof(line))) == JOURNAL_OK)
        more++;
    assert_int_equal(more, 100);
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, n + 1 + more); /* no accepted record is missing */
}

static void test_full_of_read_ones_makes_room(void **state)
{
    struct world *w = *state;
    char line[60000], name[16];
    enum journal_result rc = JOURNAL_OK;

    memset(line, 'x', sizeof(line));
    w->cfg.bytes_max = SHARE;
    route(w, "*");
    open_journals(w);
    /* Each is read at once, and keeps its last segment: together they are all there may be. */
    for (int i = 0; i < 16 && rc == JOURNAL_OK; i++) {
        (void)snprintf(name, sizeof(name), "host%d", i);
        for (int k = 0; k < 10 && rc == JOURNAL_OK; k++)
            rc = append(w, name, str_make(line, sizeof(line)));
        turn(w);
        read_all(w, true);
    }
    assert_int_equal(rc, JOURNAL_FULL);
    turn(w);
    read_all(w, true);
    turn(w);
    assert_int_equal(append(w, "host0", str_make(line, sizeof(line))), JOURNAL_OK);
}

static void test_N12_hostnames_are_limited(void **state)
{
    struct world *w = *state;
    struct journal_stats s;
    char name[16];

    w->cfg.hosts_max = 4;
    route(w, "*");
    open_journals(w);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "host%d", i);
        assert_int_equal(append(w, name, STR("x")), JOURNAL_OK);
    }
    /* four are written to, four were ended and are not read yet: no place for a ninth */
    assert_int_equal(append(w, "host8", STR("x")), JOURNAL_FULL);
    assert_int_equal(append(w, "host7", STR("x")), JOURNAL_OK);
    journals_stats(w->js, &s);
    assert_int_equal(s.evicted, 4);
    assert_int_equal(s.hostnames, 8);
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, 9);
    for (unsigned i = 0; i < 4; i++) { /* the worker has read them to their end */
        struct reading *r = &w->readings[i];
        struct origin *o = origins_find(&w->set, r->stream->id);

        assert_true(r->stream->finished);
        cursor_release(&r->cursor);
        stream_free(r->stream);
        *r = (struct reading){.stream = NULL};
        journals_forgotten(w->js, o, 0);
        assert_true(origin_forgotten(o, 0));
    }
    assert_int_equal(append(w, "host8", STR("x")), JOURNAL_OK);
}

static void test_a_journal_that_ended_is_not_found(void **state)
{
    static const char *const names[] = {"web.shop.one", "web.shop.one", "b", "c", "web.shop.one"};
    struct world *w = *state;
    struct journal_stats s;

    w->cfg.hosts_max = 2;
    route(w, "*");
    open_journals(w);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(append(w, names[i], STR("x")), JOURNAL_OK);
    journals_stats(w->js, &s);
    assert_int_equal(s.evicted, 2); /* "c" replaces the first one, which had replaced "b" */
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, 5);
}

static void test_hostnames_of_an_input(void **state)
{
    struct world *w = *state;

    w->cfg.hostnames = "syslog_*=web.* db; http=*.evil";
    route(w, "*");
    open_journals(w);
    assert_int_equal(append(w, "web.shop", STR("x")), JOURNAL_OK);
    assert_int_equal(append(w, "db", STR("x")), JOURNAL_OK);
    assert_int_equal(append(w, "dbx", STR("x")), JOURNAL_REFUSED);
    assert_int_equal(append(w, "a.evil", STR("x")), JOURNAL_REFUSED);
    assert_int_equal(w->counters.refused, 2);
}

static void test_all_or_nothing(void **state)
{
    struct world *w = *state;
    static char line[60000];
    struct journal_entry e[20];
    uint64_t held;

    memset(line, 'x', sizeof(line));
    route(w, "*");
    open_journals(w);
    for (int i = 0; i < 20; i++)
        e[i] = (struct journal_entry){.hostname = i % 2 ? STR("a") : STR("b"),
                                      .syslog.pri = 14,
                                      .msg = str_make(line, sizeof(line))};
    assert_int_equal(journals_append_all(w->js, w->src, e, 20), JOURNAL_OK);
    while (append(w, "b", str_make(line, sizeof(line))) == JOURNAL_OK)
        ;
    turn(w);
    held = bytes_held(w);
    w->counters.records = 0;
    assert_int_equal(journals_append_all(w->js, w->src, e, 20), JOURNAL_FULL);
    assert_int_equal(w->counters.records, 0);
    turn(w);
    assert_in_range(bytes_held(w), held, held + 3 * 4096 + 1024); /* empty segments at most */
    assert_int_equal(w->counters.dropped_full, 0);
}

/* A request under a new hostname needs one place, however many records it has. */
static void test_many_records_of_a_new_hostname(void **state)
{
    enum { N = 20000 };
    struct world *w = *state;
    struct journal_entry *e = xcalloc(N, sizeof(*e));

    w->cfg.hosts_max = 10;
    route(w, "*");
    open_journals(w);
    for (int i = 0; i < N; i++)
        e[i] = (struct journal_entry){
            .hostname = i % 2 ? STR("new") : STR("newer"), .syslog.pri = 14, .msg = STR("x")};
    assert_int_equal(journals_append_all(w->js, w->src, e, N), JOURNAL_OK);
    assert_int_equal(w->counters.records, N);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_record_passes_whole),
        TEST(test_no_route_no_journal),
        TEST(test_segments_go_when_passed),
        TEST(test_N05_full_is_told_and_ends),
        TEST(test_full_of_read_ones_makes_room),
        TEST(test_N12_hostnames_are_limited),
        TEST(test_a_journal_that_ended_is_not_found),
        TEST(test_hostnames_of_an_input),
        TEST(test_all_or_nothing),
        TEST(test_many_records_of_a_new_hostname),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
