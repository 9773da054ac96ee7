/*
 * Journals from the input's hand-over to the reader's sink: a router with routes, a worker's ear on
 * the same loop that keeps real streams and reads them with real cursors. What is confirmed is what
 * the test says is confirmed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "inputs/journals.h"
#include "streams/stream.h"

#define LINE_MAX_HERE (64 * 1024)
#define SHARE (8 * 1024 * 1024)
#define STREAMS_MAX 64

struct world;

struct reading {
    struct cursor cursor;
    struct stream *stream;
    bool attached;
};

struct world {
    struct loop loop;
    struct mailbox ear;
    struct mailbox control;
    struct feed_port port;
    struct origins set;
    struct router *router;
    struct route_source *routes;
    struct input_env env;
    struct journals_config cfg;
    struct journals *js;
    struct journal_source *src;
    struct input_counters counters;
    struct reader reader;
    struct reading readings[STREAMS_MAX];
    unsigned nreadings;
    struct record_sink sink;
    struct buf got;
    unsigned records;
    char dir[64];
    unsigned room_told, safe_told;
    bool safe_ok;
    struct journal_waiter waiter;
    struct journal_safe safe;
};

/* ---- the worker ---- */

static struct reading *reading_of(struct world *w, uint64_t id)
{
    for (unsigned i = 0; i < w->nreadings; i++)
        if (w->readings[i].stream && w->readings[i].stream->id == id)
            return &w->readings[i];
    return NULL;
}

static void hear(void *receiver, struct mail *mail)
{
    struct feed_mail *m = container_of(mail, struct feed_mail, mail);
    struct world *w = receiver;
    struct reading *r = reading_of(w, m->stream);

    if (m->kind == FEED_GREW) {
        atomic_store(&m->queued, false);
        return;
    }
    if (m->kind == FEED_STREAM) {
        assert_true(w->nreadings < STREAMS_MAX);
        w->readings[w->nreadings++].stream = stream_create(&w->reader, m->stream, m->identity);
        m->identity = NULL;
    } else if (m->kind == FEED_SEGMENT && r) {
        assert_true(m->journal);
        stream_journal_add(r->stream, m->no, m->path, m->fd, &m->id);
        m->path = NULL;
    } else if (m->kind == FEED_FINISHED && r) {
        stream_finish(r->stream);
    }
    identity_unref(m->identity);
    free(m->path);
    free(m);
}

struct passed {
    struct mail mail;
    uint64_t stream;
    uint32_t no;
};

static void hear_passed(void *receiver, struct mail *mail)
{
    struct passed *p = container_of(mail, struct passed, mail);
    struct world *w = receiver;

    if (w->js)
        journals_passed(w->js, 0, p->stream, p->no);
    free(p);
}

static void passed(struct reader *r, const struct stream *s, uint32_t no)
{
    struct world *w = container_of(r, struct world, reader);
    struct passed *p = xcalloc(1, sizeof(*p));

    p->mail.handle = hear_passed;
    p->stream = s->id;
    p->no = no;
    mailbox_post(&w->control, &p->mail);
}

static void woken(struct cursor *c)
{
    (void)c; /* the test reads when it wants to */
}

static int sink_add(struct record_sink *s, const struct record *r)
{
    struct world *w = container_of(s, struct world, sink);

    assert_non_null(r->syslog);
    w->records++;
    (void)buf_addf(&w->got, "%u %.*s %.*s %.*s %.*s %.*s ", r->syslog->pri, STR_ARG(r->time),
                   STR_ARG(r->syslog->tag), STR_ARG(r->syslog->procid), STR_ARG(r->syslog->msgid),
                   STR_ARG(r->syslog->sd));
    (void)buf_add_str(&w->got, r->msg);
    (void)buf_add_ch(&w->got, '|');
    return 0;
}

/* Everything that is there, and confirms it when <ack>. */
static void read_all(struct world *w, bool ack)
{
    for (unsigned i = 0; i < w->nreadings; i++) {
        struct reading *r = &w->readings[i];

        if (!r->attached)
            continue;
        while (cursor_read(&r->cursor, READ_CHUNK, &w->sink) == READ_MORE)
            ;
        if (ack)
            cursor_ack(&r->cursor, &r->cursor.sent);
    }
}

static void turn(struct world *w)
{
    for (int i = 0; i < 4; i++)
        loop_turn(&w->loop, 0);
}

/* ---- the router's sink: the worker attaches when it has heard of the stream ---- */

static void attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                   enum attach_from from)
{
    struct world *w = arg;

    (void)url, (void)trust;
    assert_int_equal(from, ATTACH_START);
    origin_introduce(o, 0);
    turn(w);
    struct reading *r = reading_of(w, o->id);
    assert_non_null(r);
    cursor_init(&r->cursor, r->stream, woken, NULL);
    r->attached = true;
}

static void detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    (void)arg, (void)o, (void)url, (void)trust;
}

static const struct router_sink test_sink = {.attach = attach, .detach = detach};

/* ---- the world ---- */

static void route(struct world *w, const char *pattern)
{
    struct str url = STR("null://");

    route_begin(w->routes);
    route_put(w->routes, STR("1"), str_of(pattern), &url, 1);
    route_commit(w->routes);
}

static void open_journals(struct world *w)
{
    struct err e = {0};

    w->js = journals_open(&w->env, &w->cfg, &e);
    assert_string_equal(e.text, "");
    assert_non_null(w->js);
    w->src = journal_source_open(w->js, "syslog_tcp", &w->counters, &e);
    assert_non_null(w->src);
}

static void close_journals(struct world *w)
{
    struct journals *js = w->js;

    journals_stop(js);
    turn(w);
    for (unsigned i = 0; i < w->nreadings; i++) {
        if (w->readings[i].attached)
            cursor_release(&w->readings[i].cursor);
        stream_free(w->readings[i].stream);
    }
    memset(w->readings, 0, sizeof(w->readings));
    w->nreadings = 0;
    journal_source_close(w->src);
    journals_close(js);
    w->js = NULL;
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    log_set_level(LOG_ERROR);
    loop_init(&w->loop);
    mailbox_open(&w->ear, &w->loop, w);
    mailbox_open(&w->control, &w->loop, w);
    w->port = (struct feed_port){&w->ear, hear};
    origins_init(&w->set, &w->port, 1);
    w->router = router_create(&test_sink, w);
    w->routes = router_source_create(w->router, "test");
    w->env = (struct input_env){.loop = &w->loop, .origins = &w->set, .router = w->router};
    w->cfg = (struct journals_config){"", false, 32 * 1024 * 1024, SHARE, 16, LINE_MAX_HERE, ""};
    reader_init(&w->reader, &w->loop, LINE_MAX_HERE, 1000);
    w->reader.passed = passed;
    buf_init(&w->got, 256 * 1024 * 1024);
    w->sink.add = sink_add;
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/logtrain-journals-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    list_init(&w->waiter.node);
    list_init(&w->safe.node);
    *state = w;
    return 0;
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *ent;

    while (dir && (ent = readdir(dir)))
        if (ent->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), ent->d_name, 0);
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path);
}

static int teardown(void **state)
{
    struct world *w = *state;

    if (w->js)
        close_journals(w);
    mailbox_close(&w->ear);
    mailbox_close(&w->control);
    router_free(w->router);
    origins_release(&w->set);
    reader_release(&w->reader);
    buf_release(&w->got);
    loop_release(&w->loop);
    remove_dir(w->dir);
    free(w);
    return 0;
}

static enum journal_result append(struct world *w, const char *host, struct str msg)
{
    struct journal_entry e = {.hostname = str_of(host),
                              .time = STR("2026-11-20T10:15:00.5Z"),
                              .syslog = {STR("app"), STR("1"), STR("ID"), STR("[a b=\"c\"]"), 165},
                              .msg = msg};

    return journals_append(w->js, w->src, &e);
}

static uint64_t bytes_held(const struct world *w)
{
    struct journal_stats s;

    journals_stats(w->js, &s);
    return s.bytes;
}

/* ---- tests ---- */

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
    assert_int_equal(append(w, "other", STR("x")), JOURNAL_OK); /* takes nobody else's */
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
    assert_int_equal(w->records, n + 1 + more); /* nothing that was taken is missing */
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

static void safe(struct journal_safe *s, bool ok)
{
    struct world *w = container_of(s, struct world, safe);

    w->safe_told++;
    w->safe_ok = ok;
}

static void test_safe_is_told_when_written(void **state)
{
    struct world *w = *state;

    w->safe.done = safe;
    route(w, "*");
    w->cfg.spool_path = w->dir;
    w->cfg.spool_sync = true;
    open_journals(w);
    assert_int_equal(append(w, "web", STR("x")), JOURNAL_OK);
    journals_when_safe(w->js, &w->safe);
    assert_int_equal(w->safe_told, 0);
    for (int i = 0; i < 1000 && !w->safe_told; i++)
        loop_turn(&w->loop, 10);
    assert_int_equal(w->safe_told, 1);
    assert_true(w->safe_ok);
}

static unsigned files_in(const struct world *w, char *last, size_t size)
{
    DIR *dir = opendir(w->dir);
    const struct dirent *ent;
    unsigned n = 0;

    while ((ent = readdir(dir)))
        if (strstr(ent->d_name, ".journal")) {
            n++;
            (void)snprintf(last, size, "%s/%s", w->dir, ent->d_name);
        }
    (void)closedir(dir);
    return n;
}

static void restart(struct world *w)
{
    close_journals(w);
    router_free(w->router);
    origins_release(&w->set);
    origins_init(&w->set, &w->port, 1);
    w->router = router_create(&test_sink, w);
    w->env.router = w->router;
    w->routes = router_source_create(w->router, "test");
    buf_clear(&w->got);
    w->records = 0;
    route(w, "*");
    open_journals(w);
}

static void test_N13_spooled_records_survive(void **state)
{
    struct world *w = *state;
    char path[512];

    w->cfg.spool_path = w->dir;
    route(w, "*");
    open_journals(w);
    for (int i = 0; i < 100; i++)
        assert_int_equal(append(w, i % 2 ? "odd" : "even", STR("x")), JOURNAL_OK);
    turn(w);
    assert_int_equal(files_in(w, path, sizeof(path)), 2);
    restart(w);
    turn(w);
    read_all(w, true);
    assert_int_equal(w->records, 100);
    assert_int_equal(append(w, "odd", STR("y")), JOURNAL_OK); /* goes on in a segment of its own */
    turn(w);
    assert_int_equal(files_in(w, path, sizeof(path)), 3);
    read_all(w, true);
    read_all(w, true);
    turn(w);
    assert_int_equal(w->records, 101);
    assert_int_equal(files_in(w, path, sizeof(path)), 2); /* what was passed is gone */
}

/* S07: whatever a crash leaves of the last record, those before it are read and it is not. */
static void test_S07_torn_tail_is_cut(void **state)
{
    struct world *w = *state;
    char path[512];
    struct stat st;

    w->cfg.spool_path = w->dir;
    route(w, "*");
    open_journals(w);
    assert_int_equal(append(w, "web", STR("first")), JOURNAL_OK);
    turn(w);
    assert_int_equal(files_in(w, path, sizeof(path)), 1);
    assert_int_equal(stat(path, &st), 0);
    off_t whole = st.st_size;
    assert_int_equal(append(w, "web", STR("second")), JOURNAL_OK);
    turn(w);
    assert_int_equal(stat(path, &st), 0);
    for (off_t len = st.st_size - 1; len >= whole; len--) {
        assert_int_equal(truncate(path, len), 0);
        restart(w);
        turn(w);
        read_all(w, false);
        assert_int_equal(w->records, 1);
        assert_non_null(strstr(w->got.p, " first|"));
    }
    struct stat after;
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_size, whole);
    int fd = open(path, O_WRONLY | O_APPEND); /* what a power loss leaves */
    assert_int_equal(write(fd, (char[64]){0}, 64), 64);
    assert_int_equal(close(fd), 0);
    restart(w);
    turn(w);
    read_all(w, false);
    assert_int_equal(w->records, 1);
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

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_record_passes_whole),
        TEST(test_no_route_no_journal),
        TEST(test_segments_go_when_passed),
        TEST(test_N05_full_is_told_and_ends),
        TEST(test_full_of_read_ones_makes_room),
        TEST(test_N12_hostnames_are_limited),
        TEST(test_hostnames_of_an_input),
        TEST(test_safe_is_told_when_written),
        TEST(test_N13_spooled_records_survive),
        TEST(test_S07_torn_tail_is_cut),
        TEST(test_all_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
