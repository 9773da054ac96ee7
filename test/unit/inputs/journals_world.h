/*
 * Journals from the input's call to the reader's sink: a router with routes, and a worker's mailbox
 * on the same loop that keeps real streams and reads them with real cursors. The test decides what
 * is confirmed. Included by one file per program, which need not use all of it.
 */
#ifndef TEST_UNIT_INPUTS_JOURNALS_WORLD_H
#define TEST_UNIT_INPUTS_JOURNALS_WORLD_H

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
#define STREAMS_MAX 128

struct world;

struct reading {
    struct cursor cursor;
    struct stream *stream;
    bool attached;
};

struct world {
    bool forgeable; /* what is appended is from datagrams */
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

static inline struct reading *reading_of(struct world *w, uint64_t id)
{
    for (unsigned i = 0; i < w->nreadings; i++)
        if (w->readings[i].stream && w->readings[i].stream->id == id)
            return &w->readings[i];
    return NULL;
}

static inline void hear(void *receiver, struct mail *mail)
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

static inline void hear_passed(void *receiver, struct mail *mail)
{
    struct passed *p = container_of(mail, struct passed, mail);
    struct world *w = receiver;

    if (w->js)
        journals_passed(w->js, 0, p->stream, p->no);
    free(p);
}

static inline void passed(struct reader *r, const struct stream *s, uint32_t no)
{
    struct world *w = container_of(r, struct world, reader);
    struct passed *p = xcalloc(1, sizeof(*p));

    p->mail.handle = hear_passed;
    p->stream = s->id;
    p->no = no;
    mailbox_post(&w->control, &p->mail);
}

static inline void woken(struct cursor *c)
{
    (void)c; /* the test reads when it wants to */
}

static inline int sink_add(struct record_sink *s, const struct record *r)
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
static inline void read_all(struct world *w, bool ack)
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

static inline void turn(struct world *w)
{
    for (int i = 0; i < 4; i++)
        loop_turn(&w->loop, 0);
}

/* ---- the router's sink: the worker attaches when it has received of the stream ---- */

static inline bool attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
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
    return true;
}

static inline void detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    (void)arg, (void)o, (void)url, (void)trust;
}

static inline enum attach_from found_one(void *arg, struct origin *o, bool existing)
{
    (void)arg, (void)o;
    assert_false(existing);
    return ATTACH_START;
}

static const struct router_sink test_sink = {
    .attach = attach, .detach = detach, .found = found_one};

/* ---- the world ---- */

static inline void route(struct world *w, const char *pattern)
{
    struct str url = STR("null://");

    route_begin(w->routes);
    route_put(w->routes, STR("1"), str_of(pattern), &url, 1);
    route_commit(w->routes);
}

static inline void open_journals(struct world *w)
{
    struct err e = {0};

    w->js = journals_open(&w->env, &w->cfg, &e);
    assert_string_equal(e.text, "");
    assert_non_null(w->js);
    w->src = journal_source_open(w->js, "syslog_tcp", &w->counters, &e);
    assert_non_null(w->src);
}

static inline void close_journals(struct world *w)
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

static inline int setup(void **state)
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
    w->cfg = (struct journals_config){"", false, 32 * 1024 * 1024, SHARE, 16, LINE_MAX_HERE, "",
                                      "", false};
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

static inline void remove_dir(const char *path)
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

static inline int teardown(void **state)
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

static inline enum journal_result append_from(struct world *w, const char *sender, const char *host,
                                              struct str msg)
{
    struct journal_entry e = {.hostname = str_of(host),
                              .sender = str_of(sender),
                              .forgeable = w->forgeable,
                              .time = STR("2026-11-20T10:15:00.5Z"),
                              .syslog = {STR("app"), STR("1"), STR("ID"), STR("[a b=\"c\"]"), 165},
                              .msg = msg};

    return journals_append(w->js, w->src, &e);
}

static inline enum journal_result append(struct world *w, const char *host, struct str msg)
{
    return append_from(w, "", host, msg);
}

static inline uint64_t bytes_held(const struct world *w)
{
    struct journal_stats s;

    journals_stats(w->js, &s);
    return s.bytes;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* The daemon ends: only the spool is kept. */
static inline void forget(struct world *w)
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
}

#endif
