/* Reading a stream: lines, joining, rotation, truncation, holes, long lines. Real files, a faked
 * clock. */
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
    unsigned room;  /* records the sink takes before it is full */
    unsigned wakes;
    uint64_t now;
    char dir[64];
    uint32_t segments;
};

static struct world *world_of(struct record_sink *s)
{
    return container_of(s, struct world, sink);
}

static int take(struct record_sink *s, const struct record *r)
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

static void woken(struct cursor *c)
{
    container_of(c, struct world, cursor)->wakes++;
}

static void pass_ms(struct world *w, uint64_t ms)
{
    w->now += ms;
    clock_fake(w->now, 1700000000000000000);
}

static void path_of(const struct world *w, const char *name, char out[128])
{
    assert_true(snprintf(out, 128, "%s/%s", w->dir, name) < 128);
}

static void write_at(const struct world *w, const char *name, const char *p, size_t n, int flags)
{
    char path[128];
    int fd;

    path_of(w, name, path);
    fd = open(path, O_WRONLY | O_CREAT | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static void append(const struct world *w, const char *name, const char *text)
{
    write_at(w, name, text, strlen(text), O_APPEND);
}

static void segment(struct world *w, const char *name, uint32_t restart)
{
    struct segment_stat st;
    struct err e;
    char path[128];

    path_of(w, name, path);
    assert_int_equal(segment_stat_path(path, &st, &e), 0);
    stream_segment_add(w->stream, ++w->segments, str_dup(str_of(path)), &st.id, restart);
}

static void renamed(struct world *w, uint32_t no, const char *path)
{
    struct segment_stat st;
    struct err e;

    assert_int_equal(segment_stat_path(path, &st, &e), 0);
    stream_segment_path(w->stream, no, str_dup(str_of(path)), &st.id);
}

static int setup_with(void **state, size_t max_line)
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

static int setup(void **state)
{
    return setup_with(state, 4096);
}

static int teardown(void **state)
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

static void attach(struct world *w, bool at_end)
{
    const struct position end = {.seg = w->segments, .off = UINT64_MAX};

    cursor_init(&w->cursor, w->stream, woken, at_end ? &end : NULL);
}

/* Reads until there is nothing more to read now. */
static enum read_result read_all(struct world *w)
{
    enum read_result rc;
    unsigned steps = 0;

    do {
        rc = cursor_read(&w->cursor, READ_CHUNK, &w->sink);
        assert_true(steps++ < 100000);
    } while (rc == READ_MORE && w->room);
    return rc;
}

static void expect(struct world *w, enum read_result rc, const char *records)
{
    assert_int_equal(read_all(w), rc);
    assert_string_equal(buf_cstr(&w->got), records);
    buf_clear(&w->got);
}

static void test_lines_then_more_lines(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n" T "stderr F two\nneither of them\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|e:two|oR:neither of them|");
    append(w, "0.log", T "stdout F three\n");
    expect(w, READ_DRY, "o:three|");
    expect(w, READ_DRY, "");
    assert_int_equal(w->reader.stats.raw, 1);
}

static void test_at_end_begins_with_the_unfinished_line(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F old\n" T "stdout F be");
    segment(w, "0.log", 0);
    attach(w, true);
    expect(w, READ_WAIT, "");
    append(w, "0.log", "gun\n");
    expect(w, READ_DRY, "o:begun|");
}

static void test_full_sink_loses_nothing(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout P a\n" T "stderr F x\n" T "stdout F b\n" T "stdout F c\n");
    segment(w, "0.log", 0);
    attach(w, false);
    for (unsigned i = 0; i < 3; i++) {
        w->room = 1;
        (void)read_all(w);
    }
    w->room = 10;
    expect(w, READ_DRY, "e:x|o:ab|o:c|");
}

/* The file grows by one byte at a time: every split there is. */
static void test_F14_partials_split_at_every_byte(void **state)
{
    struct world *w = *state;
    static const char text[] =
        T "stdout P one-\n" T "stderr P ONE-\n" T "stdout P two-\n" T "stderr F TWO\n" T
          "stdout F three\n" T "stdout F \n" T "stderr F plain\n";
    uint64_t low = UINT64_MAX;

    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        write_at(w, "0.log", text + i, 1, O_APPEND);
        (void)read_all(w);
        /* never past a line that is not delivered whole */
        if (!strstr(buf_cstr(&w->got), "o:one-two-three|") && i > 50) {
            assert_int_equal(w->cursor.sent.part[RECORD_STDOUT].seg, 1);
            low = w->cursor.sent.part[RECORD_STDOUT].off;
            assert_int_equal(low, 0);
        }
    }
    assert_int_equal(low, 0);
    assert_string_equal(buf_cstr(&w->got), "e:ONE-TWO|o:one-two-three|o:|e:plain|");
}

static void test_F14_rewind_joins_again(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout P a\n" T "stderr F mid\n" T "stdout P b\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_WAIT, "e:mid|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    append(w, "0.log", T "stdout F c\n");
    expect(w, READ_DRY, "o:abc|");
    cursor_rewind(&w->cursor);
    expect(w, READ_DRY, "o:abc|");
}

static void test_F15_partial_across_rotation(void **state)
{
    struct world *w = *state;
    char from[128], to[128];

    append(w, "0.log", T "stdout P head-\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_WAIT, "");
    path_of(w, "0.log", from);
    path_of(w, "0.log.20261120-101500", to);
    assert_int_equal(rename(from, to), 0);
    append(w, "0.log", T "stdout F tail\n");
    renamed(w, 1, to);
    segment(w, "0.log", 0);
    expect(w, READ_WAIT, ""); /* late writes are waited for */
    append(w, "0.log.20261120-101500", T "stderr F late\n");
    pass_ms(w, ROTATE_GRACE_MS);
    expect(w, READ_DRY, "e:late|o:head-tail|");
    assert_int_equal(w->cursor.acked.pos.seg, 0);
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_null(stream_segment(w->stream, 1)); /* let go only now */
}

static void test_F10_restart_ends_a_partial(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout P died here\n");
    append(w, "1.log", T "stdout F born\n");
    segment(w, "0.log", 0);
    attach(w, false);
    segment(w, "1.log", 1);
    pass_ms(w, ROTATE_GRACE_MS);
    expect(w, READ_DRY, "o:died here|o:born|");
}

static void test_F20_unfinished_line_after_timeout_and_later_growth(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F whole\n" T "stdout F no end");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_WAIT, "o:whole|");
    pass_ms(w, PARTIAL_TIMEOUT_MS - 1);
    expect(w, READ_WAIT, "");
    pass_ms(w, 1);
    expect(w, READ_DRY, "o:no end|");
    append(w, "0.log", " yet\n" T "stdout F next\n");
    expect(w, READ_DRY, "oR: yet|o:next|");
}

static void test_F20_unfinished_line_and_only_its_newline_later(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F no end");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_WAIT, "");
    pass_ms(w, PARTIAL_TIMEOUT_MS);
    expect(w, READ_DRY, "o:no end|");
    append(w, "0.log", "\n\n" T "stdout F next\n");
    expect(w, READ_DRY, "oR:|o:next|"); /* the second newline is an empty line */
}

static void test_F17_pieces_that_add_up_to_more_than_the_limit(void **state)
{
    struct world *w = *state;
    char half[2100]; /* of the limit */

    assert_true(snprintf(half, sizeof half, T "stdout P %02048d\n", 0) > 0);
    for (int i = 0; i < 4; i++) {
        append(w, "0.log", half);
        if (i % 2)
            append(w, "0.log", i == 1 ? T "stdout F \n" : T "stdout F y\n");
    }
    segment(w, "0.log", 0);
    attach(w, false);
    assert_int_equal(cursor_read(&w->cursor, SIZE_MAX, &w->sink), READ_DRY);
    assert_memory_equal(w->got.p + 4096 + strlen("o:|"), "oC:0", 4);
}

static void test_F20_unfinished_line_when_the_stream_ends(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stderr P gone\n" T "stdout F no end");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_WAIT, "");
    stream_finish(w->stream);
    expect(w, READ_END, "o:no end|e:gone|");
    expect(w, READ_END, "");
}

static void test_F06_F07_truncated_and_grown_past_the_cursor(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n" T "stdout F two\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|o:two|");
    struct mark stale = w->cursor.sent;
    write_at(w, "0.log", T "stdout F ONE, LONGER\n" T "stdout F TWO\n", 2 * strlen(T) + 34,
             O_TRUNC);
    expect(w, READ_DRY, "o:ONE, LONGER|o:TWO|");
    assert_int_equal(w->reader.stats.truncated, 1);
    struct mark now = w->cursor.acked;
    cursor_ack(&w->cursor, &stale); /* a late answer about the file that was */
    assert_memory_equal(&now.pos, &w->cursor.acked.pos, sizeof now.pos);
}

static void test_F07_grown_past_a_cursor_that_went_back(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    append(w, "0.log", T "stdout F two\n");
    expect(w, READ_DRY, "o:two|");
    cursor_rewind(&w->cursor);
    write_at(w, "0.log", T "stdout F ONE, LONGER\n" T "stdout F TWO\n", 2 * strlen(T) + 34,
             O_TRUNC);
    expect(w, READ_DRY, "o:ONE, LONGER|o:TWO|");
}

static void test_F07_grown_past_a_cursor_that_began_at_the_end(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, true);
    write_at(w, "0.log", T "stdout F ONE, LONGER\n" T "stdout F TWO\n", 2 * strlen(T) + 34,
             O_TRUNC);
    expect(w, READ_DRY, "o:ONE, LONGER|o:TWO|");
}

static void test_F06_what_was_not_read_is_counted(void **state)
{
    struct world *w = *state;
    uint64_t unread = strlen(T "stdout F two\n");

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    append(w, "0.log", T "stdout F two\n");
    stream_grew(w->stream);
    assert_int_equal(cursor_lag(&w->cursor, &w->cursor.sent), unread);
    write_at(w, "0.log", "", 0, O_TRUNC);
    expect(w, READ_DRY, "");
    assert_int_equal(w->reader.stats.cut_off_bytes, unread);
}

static void test_F06_truncated_to_nothing(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    write_at(w, "0.log", "", 0, O_TRUNC);
    expect(w, READ_DRY, "");
    append(w, "0.log", T "stdout F two\n");
    expect(w, READ_DRY, "o:two|");
}

static void test_F08_hole_left_by_truncation(void **state)
{
    struct world *w = *state;
    const char *after = T "stdout F after\n";
    char path[128], filler[5000];
    int fd;

    memset(filler, 'x', sizeof filler);
    filler[sizeof filler - 1] = '\n';
    for (size_t size = 3; size < sizeof filler;
         size += 4990) { /* a hole within a page, and one over more */
        path_of(w, "0.log", path);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_int_equal(write(fd, filler + sizeof filler - size, size), (ssize_t)size);
        if (size == 3) {
            segment(w, "0.log", 0);
            attach(w, false);
        }
        (void)read_all(w);
        buf_clear(&w->got);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(write(fd, after, strlen(after)), (ssize_t)strlen(after));
        assert_int_equal(close(fd), 0);
        expect(w, READ_DRY, "o:after|");
    }
}

static void long_line(struct world *w, const char *prefix, size_t n, const char *end)
{
    char *line = xmalloc(n);

    memset(line, 'x', n);
    append(w, "0.log", prefix);
    write_at(w, "0.log", line, n, O_APPEND);
    append(w, "0.log", end);
    free(line);
}

static void test_F17_long_lines_at_the_limit(void **state)
{
    struct world *w = *state;
    const size_t max = w->reader.max_line;
    const size_t sizes[] = {max - 1, max, max + 1, READ_CHUNK, READ_CHUNK + 1, 300000, 5000000};

    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        size_t want = sizes[i] < max ? sizes[i] : max;
        bool cut = sizes[i] > max;

        long_line(w, T "stdout F ", sizes[i], "\n" T "stdout F next\n");
        assert_int_equal(read_all(w), READ_DRY);
        assert_int_equal(w->got.len, want + (cut ? 4 : 3) + strlen("o:next|"));
        assert_memory_equal(w->got.p, cut ? "oC:" : "o:", cut ? 3 : 2);
        assert_string_equal(w->got.p + w->got.len - 8, "|o:next|");
        buf_clear(&w->got);
    }
    assert_int_equal(w->reader.stats.cut, 5);
    assert_true(w->reader.big.cap <= READ_CHUNK);
}

static void test_F16_endless_partial_is_cut_and_skipped(void **state)
{
    struct world *w = *state;

    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    for (unsigned i = 0; i < 100; i++)
        long_line(w, T "stdout P ", 1000, "\n");
    append(w, "0.log", T "stderr F other\n" T "stdout F end of it\n" T "stdout F next\n");
    assert_int_equal(read_all(w), READ_DRY);
    assert_int_equal(w->got.len, 4 + w->reader.max_line + strlen("e:other|o:next|"));
    assert_string_equal(w->got.p + w->got.len - 16, "|e:other|o:next|");
}

static void test_F16_partial_over_too_much_of_the_file_is_let_go(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout P prompt> \n");
    segment(w, "0.log", 0);
    attach(w, false);
    for (unsigned i = 0; i < 9; i++) {
        char *lines = xmalloc(1024 * 1024);
        for (size_t k = 0; k < 1024 * 1024; k += 1024) {
            memset(lines + k, 'y', 1023);
            memcpy(lines + k, T "stderr F ", strlen(T) + 9);
            lines[k + 1023] = '\n';
        }
        write_at(w, "0.log", lines, 1024 * 1024, O_APPEND);
        free(lines);
    }
    append(w, "0.log", T "stdout F end\n");
    assert_int_equal(read_all(w), READ_DRY);
    assert_non_null(strstr(buf_cstr(&w->got), "oC:prompt> |"));
    assert_string_equal(w->got.p + w->got.len - 6, "o:end|");
}

static void test_F11_deleted_while_held(void **state)
{
    struct world *w = *state;
    char path[128];

    append(w, "0.log", T "stdout F one\n" T "stdout F two\n");
    segment(w, "0.log", 0);
    attach(w, false);
    w->room = 1;
    (void)read_all(w);
    path_of(w, "0.log", path);
    assert_int_equal(unlink(path), 0);
    stream_segment_path(w->stream, 1, NULL, NULL);
    stream_finish(w->stream);
    assert_false(reader_close_one(&w->reader)); /* closing it would lose it */
    w->room = 10;
    expect(w, READ_END, "o:one|o:two|");
}

static void test_F23_other_file_under_the_name_is_not_read(void **state)
{
    struct world *w = *state;
    char path[128], aside[128];

    append(w, "0.log", T "stdout F right\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    path_of(w, "aside.log", aside);
    assert_int_equal(rename(path, aside), 0);
    append(w, "0.log", T "stdout F wrong\n");
    attach(w, false);
    expect(w, READ_WAIT, ""); /* unreadable now is not deleted */
    renamed(w, 1, aside);
    expect(w, READ_DRY, "o:right|");
}

static void test_S08_file_closed_for_another_is_opened_again(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    assert_true(reader_close_one(&w->reader));
    assert_false(reader_close_one(&w->reader));
    append(w, "0.log", T "stdout F two\n");
    expect(w, READ_DRY, "o:two|");
}

/* The file could not be opened when the cursor came, and then it was gone: what follows it is new.
 */
static void test_at_end_of_a_file_that_is_gone(void **state)
{
    struct world *w = *state;
    char path[128];

    append(w, "0.log", T "stdout F old\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    assert_int_equal(unlink(path), 0);
    attach(w, true);
    expect(w, READ_WAIT, "");
    stream_segment_path(w->stream, 1, NULL, NULL);
    append(w, "1.log", T "stdout F new\n");
    segment(w, "1.log", 0);
    expect(w, READ_DRY, "o:new|");
}

/* A file of nothing but hole, however large, does not hold the loop up. */
static void test_hole_is_passed_over_in_steps(void **state)
{
    struct world *w = *state;
    char path[128];

    append(w, "0.log", "");
    path_of(w, "0.log", path);
    assert_int_equal(truncate(path, (off_t)16 << 20), 0);
    segment(w, "0.log", 0);
    attach(w, false);
    assert_int_equal(cursor_read(&w->cursor, READ_CHUNK, &w->sink), READ_MORE);
    assert_true(w->cursor.sent.pos.off <= READ_CHUNK);
    expect(w, READ_DRY, "");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_lines_then_more_lines),
        CASE(test_at_end_begins_with_the_unfinished_line),
        CASE(test_full_sink_loses_nothing),
        CASE(test_F14_partials_split_at_every_byte),
        CASE(test_F14_rewind_joins_again),
        CASE(test_F15_partial_across_rotation),
        CASE(test_F10_restart_ends_a_partial),
        CASE(test_F20_unfinished_line_after_timeout_and_later_growth),
        CASE(test_F20_unfinished_line_and_only_its_newline_later),
        CASE(test_F17_pieces_that_add_up_to_more_than_the_limit),
        CASE(test_F20_unfinished_line_when_the_stream_ends),
        CASE(test_F06_F07_truncated_and_grown_past_the_cursor),
        CASE(test_F07_grown_past_a_cursor_that_went_back),
        CASE(test_F07_grown_past_a_cursor_that_began_at_the_end),
        CASE(test_F06_what_was_not_read_is_counted),
        CASE(test_F06_truncated_to_nothing),
        CASE(test_F08_hole_left_by_truncation),
        CASE(test_F17_long_lines_at_the_limit),
        CASE(test_F16_endless_partial_is_cut_and_skipped),
        CASE(test_F16_partial_over_too_much_of_the_file_is_let_go),
        CASE(test_F11_deleted_while_held),
        CASE(test_F23_other_file_under_the_name_is_not_read),
        CASE(test_at_end_of_a_file_that_is_gone),
        CASE(test_hole_is_passed_over_in_steps),
        CASE(test_S08_file_closed_for_another_is_opened_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
