/*
 * A worker without its thread, with a member that does what the test says: fake_send() keeps the
 * batch until answer(). One thread, a faked clock, real files in a directory of their own. For
 * worker_test.c, framework_test.c and rewind_test.c; setup() and teardown() run for each test.
 */
#ifndef TEST_WORKER_H
#define TEST_WORKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "drains/core/worker_internal.h"
#include "drains/members/members.h"

#define T "2026-11-20T10:15:00.123456789Z stdout "
#define REFUSED(n) "logtrain: 1 line with " #n " bytes were lost: the receiver refuses them\n"
#define DRAINS_MAX 32

/* A member that accepts a batch, records its content, and waits for the test to answer. */
struct fake {
    struct drain base;
    struct batch *batch;  /* unsettled */
    struct batch *second; /* the same, with two slots */
    struct buf got;       /* bodies of all batches */
    uint64_t written;
    bool opening;
};

static struct world {
    struct loop control_loop;
    struct mailbox control;
    struct worker *wk;
    struct fake *fakes[DRAINS_MAX]; /* by the last character of their URL, from '0' on */
    bool pipelined;                 /* those created from now on are */
    bool lags;                      /* the same */
    unsigned slots;                 /* ... and take so many batches */
    bool cannot;                    /* none can be created */
    uint64_t stream;                /* whom feed_*() and attach() speak of */
    unsigned freed;
    unsigned forgotten;
    unsigned left;
    bool stopped;
    uint64_t now;
    char dir[64];
} w;

static inline struct fake *fake_of(struct drain *d)
{
    return container_of(d, struct fake, base);
}

static inline struct drain *fake_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct fake *f;

    if (w.cannot) {
        (void)err_set(e, EMFILE, "the test says so");
        return NULL;
    }
    f = xcalloc(1, sizeof(*f));
    drain_init(&f->base, spec->scheme->member->ops, wk, spec);
    f->base.pipelined = w.pipelined;
    f->base.lags = w.lags;
    f->base.slots = w.slots;
    buf_init(&f->got, 1024 * 1024);
    w.fakes[spec->text[strlen(spec->text) - 1] - '0'] = f;
    return &f->base;
}

static inline void fake_open(struct drain *d)
{
    fake_of(d)->opening = true;
}

static inline void fake_send(struct drain *d, struct batch *b)
{
    struct fake *f = fake_of(d);

    if (f->batch) {
        assert_null(f->second);
        f->second = b;
    } else {
        f->batch = b;
    }
    assert_int_equal(buf_add_str(&f->got, buf_str(&b->body)), 0);
}

/* Answers the older of its batches; the verdict is acted on in the next turn. */
static inline void answer(struct fake *f, enum verdict v)
{
    struct batch *b = f->batch;

    assert_non_null(b);
    f->batch = f->second;
    f->second = NULL;
    f->written += b->len;
    b->end = f->written;
    if (v != VERDICT_DELIVERED && v != VERDICT_SENT)
        (void)err_set(&b->err, EPROTO, "the test says so");
    drain_settle(&f->base, b, v);
}

static inline void fake_close(struct drain *d, bool flush)
{
    struct fake *f = fake_of(d);

    (void)flush;
    while (f->batch)
        answer(f, VERDICT_OFFLINE);
    if (!d->closed)
        drain_closed(d);
}

static inline void fake_free(struct drain *d)
{
    struct fake *f = fake_of(d);

    w.freed++;
    buf_release(&f->got);
    drain_release(d);
    free(f);
}

static const struct drain_ops fake_ops = {
    .name = "fake",
    .create = fake_create,
    .open = fake_open,
    .send = fake_send,
    .close = fake_close,
    .free = fake_free,
};
static const struct drain_member fake_member = {.ops = &fake_ops};
static const struct drain_scheme fake_scheme = {.name = "fake",
                                                .member = &fake_member,
                                                .flags = DRAIN_NO_HOST,
                                                .promise = PROMISE_TRANSPORT,
                                                .format = FORMAT_RAW,
                                                .framing = FRAMING_LF};

/* ---- fixture ---- */

static inline void turns(unsigned n)
{
    while (n--) {
        loop_turn(worker_loop(w.wk), 0);
        loop_turn(&w.control_loop, 0);
    }
}

static inline void pass_ms(uint64_t ms)
{
    w.now += ms;
    clock_fake(w.now, 1700000000000000000);
    turns(5);
}

static inline void forgotten(void *control, unsigned worker, uint64_t stream)
{
    (void)control, (void)worker, (void)stream;
    w.forgotten++;
}

static inline void left(void *control, uint64_t stream)
{
    (void)control, (void)stream;
    w.left++;
}

static inline int setup(void **state)
{
    struct worker_config cfg = {.max_line = 4096,
                                .partial_timeout_ms = PARTIAL_TIMEOUT_MS,
                                .route_grace_ms = ROUTE_GRACE_MS,
                                .control = &w.control,
                                .forgotten = forgotten,
                                .left = left};
    struct err e;

    (void)state;
    memset(&w, 0, sizeof(w));
    w.stream = 1;
    w.slots = 1;
    assert_true(snprintf(w.dir, sizeof(w.dir), "/tmp/worker_test.XXXXXX") > 0);
    assert_non_null(mkdtemp(w.dir));
    w.now = 1000000;
    clock_fake(w.now, 1700000000000000000);
    loop_init(&w.control_loop);
    mailbox_open(&w.control, &w.control_loop, NULL);
    w.wk = worker_create(&cfg, &e);
    assert_non_null(w.wk);
    return 0;
}

static inline void stopped(void *arg)
{
    (void)arg;
    w.stopped = true;
}

static inline int teardown(void **state)
{
    char cmd[128];

    (void)state;
    if (!w.wk->stopping)
        worker_stop(w.wk, 100, stopped, NULL);
    for (int i = 0; i < 100 && !w.stopped; i++)
        pass_ms(100);
    assert_true(w.stopped);
    worker_free(w.wk);
    mailbox_close(&w.control);
    loop_release(&w.control_loop);
    clock_fake(0, 0);
    assert_true(snprintf(cmd, sizeof(cmd), "rm -rf %s", w.dir) > 0);
    assert_int_equal(system(cmd), 0);
    return 0;
}

static inline void path_of(const char *name, char out[128])
{
    assert_true(snprintf(out, 128, "%s/%s", w.dir, name) < 128);
}

static inline void put(const char *name, const char *text, int flags)
{
    char path[128];
    int fd;

    path_of(name, path);
    fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static inline struct feed_mail *feed_mail(enum feed_kind kind)
{
    struct feed_mail *m = xcalloc(1, sizeof(*m));

    m->kind = kind;
    m->stream = w.stream;
    return m;
}

static inline void feed_stream(void)
{
    const struct identity id = {
        .hostname = STR("web.default"), .namespace = STR("default"), .tag = STR("web-1")};
    struct feed_mail *m = feed_mail(FEED_STREAM);

    m->identity = identity_create(&id);
    worker_feed(w.wk, &m->mail);
}

static inline void feed_segment(uint32_t no, const char *name)
{
    struct feed_mail *m = feed_mail(FEED_SEGMENT);
    struct segment_stat st;
    struct err e;
    char path[128];

    path_of(name, path);
    assert_int_equal(segment_stat_path(path, &st, &e), 0);
    m->no = no;
    m->path = str_dup(str_of(path));
    m->id = st.id;
    worker_feed(w.wk, &m->mail);
}

static inline void feed_grew(void)
{
    struct feed_mail m = {.kind = FEED_GREW, .stream = w.stream};

    worker_feed(w.wk, &m.mail);
    turns(5);
}

static inline void feed_finished(void)
{
    worker_feed(w.wk, &feed_mail(FEED_FINISHED)->mail);
    turns(5);
}

/* A URL with fake number <n>; all have the same place. */
static inline struct drain_spec *numbered_spec(unsigned n)
{
    char url[32];
    struct err e;
    struct drain_spec *spec = drain_spec_create(STR("null://"), &e);

    assert_non_null(spec);
    assert_true(snprintf(url, sizeof(url), "null://?trace=%u", n) > 0);
    free(spec->id);
    spec->id = str_dup(str_of(url));
    spec->text = spec->id;
    spec->scheme = &fake_scheme;
    spec->batch = BATCH_STREAM;
    spec->linger_ms = 0;
    return spec;
}

static inline void open_fake(unsigned n)
{
    if (w.fakes[n]->opening)
        drain_opened(&w.fakes[n]->base);
    w.fakes[n]->opening = false;
    turns(5);
}

/* Attaches the stream to a drain of its own, called fake number <n>, and opens that. */
static inline struct fake *attach(unsigned n, bool ordered)
{
    struct drain_spec *spec = numbered_spec(n);

    w.pipelined = ordered;
    worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
    drain_spec_unref(spec);
    turns(5);
    if (w.cannot)
        return NULL;
    open_fake(n);
    return w.fakes[n];
}

static inline void lose(struct fake *f)
{
    struct err e;

    (void)err_set(&e, ECONNRESET, "reset");
    f->written = 0;
    drain_disconnected(&f->base, false, &e);
    turns(5);
}

static inline void reopen(struct fake *f)
{
    for (int i = 0; i < 1000 && !f->opening; i++)
        pass_ms(100);
    assert_true(f->opening);
    f->opening = false;
    drain_opened(&f->base);
    turns(5);
}

static inline void assert_got(struct fake *f, const char *text)
{
    assert_string_equal(f->got.p ? f->got.p : "", text);
    buf_clear(&f->got);
}

/* A stream of its own file with these lines, and a drain for it. */
static inline struct fake *drain_with(const char *text, bool ordered)
{
    put("0.log", text, 0);
    feed_stream();
    feed_segment(1, "0.log");
    return attach(0, ordered);
}

static inline struct drain_cursor *cursor_of(struct fake *f)
{
    return list_entry(f->base.cursors.next, struct drain_cursor, drain_node);
}

static inline uint64_t acked(struct fake *f)
{
    return cursor_of(f)->cursor.acked.pos.off;
}

static inline uint64_t sent(struct fake *f)
{
    return cursor_of(f)->cursor.sent.pos.off;
}

static inline void reply(struct fake *f, enum verdict v)
{
    answer(f, v);
    turns(3);
}

static inline struct drain_counters *counters(struct fake *f)
{
    return &f->base.counters;
}

#endif
