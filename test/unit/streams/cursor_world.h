/*
 * For the tests of cursor.c: one stream of real files, one cursor, a sink that records what it
 * gets, a faked clock. Included by one file per program, which need not use all of it.
 */
#ifndef TEST_UNIT_STREAMS_CURSOR_WORLD_H
#define TEST_UNIT_STREAMS_CURSOR_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "streams/stream.h"

#define T "2026-11-20T10:15:00.123456789Z "

struct world {
    struct loop loop;
    struct reader reader;
    struct stream *stream;
    struct cursor cursor;
    struct record_sink sink;
    struct buf got; /* "<o|e>[C][R]:<message>|" per record */
    unsigned room;  /* records that the sink accepts before it is full */
    unsigned wakes;
    uint64_t now;
    char dir[64];
    uint32_t segments;
};

static inline struct world *world_of(struct record_sink *s)
{
    return container_of(s, struct world, sink);
}

static inline int take(struct record_sink *s, const struct record *r)
{
    struct world *w = world_of(s);

    if (!w->room)
        return -1;
    w->room--;
    assert_int_equal(buf_addf(&w->got, "%c%s%s:", r->fd == RECORD_STDERR ? 'e' : 'o',
                              r->flags & RECORD_CUT ? "C" : "", r->flags & RECORD_RAW ? "R" : ""),
                     0);
    assert_int_equal(buf_add_str(&w->got, r->msg), 0);
    assert_int_equal(buf_add_ch(&w->got, '|'), 0);
    return 0;
}

static inline void woken(struct cursor *c)
{
    container_of(c, struct world, cursor)->wakes++;
}

static inline void pass_ms(struct world *w, uint64_t ms)
{
    w->now += ms;
    clock_fake(w->now, 1700000000000000000);
}

static inline void path_of(const struct world *w, const char *name, char out[128])
{
    assert_true(snprintf(out, 128, "%s/%s", w->dir, name) < 128);
}

static inline void write_at(const struct world *w, const char *name, const char *p, size_t n,
                            int flags)
{
    char path[128];
    int fd;

    path_of(w, name, path);
    fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static inline void append(const struct world *w, const char *name, const char *text)
{
    write_at(w, name, text, strlen(text), O_APPEND);
}

static inline void segment(struct world *w, const char *name, uint32_t restart)
{
    struct segment_stat st;
    struct err e;
    char path[128];

    path_of(w, name, path);
    assert_int_equal(segment_stat_path(path, &st, &e), 0);
    stream_segment_add(w->stream, ++w->segments, str_dup(str_of(path)), &st.id, restart);
}

static inline void renamed(struct world *w, uint32_t no, const char *path)
{
    struct segment_stat st;
    struct err e;

    assert_int_equal(segment_stat_path(path, &st, &e), 0);
    stream_segment_path(w->stream, no, str_dup(str_of(path)), &st.id);
}

static inline int setup_with(void **state, size_t max_line)
{
    struct world *w = xcalloc(1, sizeof *w);
    const struct identity id = {.hostname = STR("web.default"), .tag = STR("web-1")};

    assert_true(snprintf(w->dir, sizeof w->dir, "/tmp/cursor_test.XXXXXX") > 0);
    assert_non_null(mkdtemp(w->dir));
    pass_ms(w, 1000000);
    loop_init(&w->loop);
    reader_init(&w->reader, &w->loop, max_line, PARTIAL_TIMEOUT_MS);
    w->stream = stream_create(&w->reader, 1, identity_create(&id));
    buf_init(&w->got, 64 * 1024 * 1024);
    w->sink.add = take;
    w->room = 1000000;
    *state = w;
    return 0;
}

static inline int setup(void **state)
{
    return setup_with(state, 4096);
}

static inline int teardown(void **state)
{
    struct world *w = *state;
    char cmd[128];

    cursor_release(&w->cursor);
    stream_free(w->stream);
    reader_release(&w->reader);
    loop_release(&w->loop);
    buf_release(&w->got);
    assert_int_equal(w->reader.stats.open_segments, 0);
    assert_true(snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir) > 0);
    assert_int_equal(system(cmd), 0);
    clock_fake(0, 0);
    free(w);
    return 0;
}

static inline void attach(struct world *w, bool at_end)
{
    const struct position end = {.seg = w->segments, .off = UINT64_MAX};

    cursor_init(&w->cursor, w->stream, woken, at_end ? &end : NULL);
}

/* Reads until there is nothing more to read now. */
static inline enum read_result read_all(struct world *w)
{
    enum read_result rc;
    unsigned steps = 0;

    do {
        rc = cursor_read(&w->cursor, READ_CHUNK, &w->sink);
        assert_true(steps++ < 100000);
    } while (rc == READ_MORE && w->room);
    return rc;
}

static inline void expect(struct world *w, enum read_result rc, const char *records)
{
    assert_int_equal(read_all(w), rc);
    assert_string_equal(buf_cstr(&w->got), records);
    buf_clear(&w->got);
}

#endif
