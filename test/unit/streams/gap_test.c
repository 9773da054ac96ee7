/*
 * Losses: declared once and exactly, reported at their position, again after a rewind. Real files,
 * a faked clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"

#define EVICTED                                                                                    \
    " were lost: their deleted file was given up, for more bytes were held than HELD_BYTES_MAX "   \
    "allows|"
#define SKIPPED " were lost: they were skipped, for the client reads too slowly|"
#define LINE 44 /* bytes of each line written here, see put() */

struct world {
    struct loop loop;
    struct reader reader;
    struct stream *stream;
    struct cursor cursor;
    struct record_sink sink;
    struct buf got; /* messages, '|' behind each */
    unsigned room;  /* records that the sink accepts before it is full */
    uint64_t declared;
    unsigned declarations;
    char dir[64];
    uint32_t segments;
};

static int take(struct record_sink *s, const struct record *r)
{
    struct world *w = container_of(s, struct world, sink);

    if (!w->room)
        return -1;
    w->room--;
    assert_int_equal(buf_add_str(&w->got, r->msg), 0);
    assert_int_equal(buf_add_ch(&w->got, '|'), 0);
    return 0;
}

static void woken(struct cursor *c)
{
    (void)c;
}

static void lost(struct cursor *c, const struct gap *g)
{
    struct world *w = container_of(c, struct world, cursor);

    w->declared += g->bytes;
    w->declarations++;
}

static void path_of(const struct world *w, const char *name, char out[128])
{
    assert_true(snprintf(out, 128, "%s/%s", w->dir, name) < 128);
}

/* A line for each letter, a second apart, LINE bytes long. */
static void put(const struct world *w, const char *name, const char *letters)
{
    char path[128];
    int fd;

    path_of(w, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    for (; *letters; letters++)
        assert_int_equal(dprintf(fd, "2026-11-20T10:15:%02d.123456789Z stdout F %c%c%c\n",
                                 *letters - 'a', *letters, *letters, *letters),
                         LINE);
    assert_int_equal(close(fd), 0);
}

static void segment(struct world *w, const char *name, const char *letters)
{
    struct segment_stat st;
    char path[128];

    put(w, name, letters);
    path_of(w, name, path);
    assert_int_equal(segment_stat_path(path, &st, NULL), 0);
    stream_segment_add(w->stream, ++w->segments, str_dup(str_of(path)), &st.id, 0);
}

static void unlink_segment(struct world *w, const char *name, uint32_t no)
{
    char path[128];

    path_of(w, name, path);
    assert_int_equal(unlink(path), 0);
    stream_segment_path(w->stream, no, NULL, NULL);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    const struct identity id = {.hostname = STR("web.default"), .tag = STR("web-1")};

    assert_true(snprintf(w->dir, sizeof w->dir, "/tmp/gap_test.XXXXXX") > 0);
    assert_non_null(mkdtemp(w->dir));
    clock_fake(1000000, 1700000000000000000);
    loop_init(&w->loop);
    reader_init(&w->reader, &w->loop, 4096, PARTIAL_TIMEOUT_MS);
    w->stream = stream_create(&w->reader, 1, identity_create(&id));
    buf_init(&w->got, 1024 * 1024);
    w->sink.add = take;
    w->room = 1000;
    cursor_init(&w->cursor, w->stream, woken, NULL);
    w->cursor.lost = lost;
    *state = w;
    return 0;
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
    assert_true(snprintf(cmd, sizeof cmd, "rm -rf %s", w->dir) > 0);
    assert_int_equal(system(cmd), 0);
    clock_fake(0, 0);
    free(w);
    return 0;
}

static void later(uint64_t ms)
{
    clock_fake(clock_mono_ms() + ms, 1700000000000000000);
}

static void expect(struct world *w, const char *records)
{
    enum read_result rc;
    unsigned steps = 0;

    later(ROTATE_GRACE_MS);
    loop_turn(&w->loop, 0); /* it has the time */
    do {
        rc = cursor_read(&w->cursor, READ_CHUNK, &w->sink);
        assert_true(steps++ < 1000);
    } while (rc == READ_MORE && w->room);
    assert_string_equal(buf_cstr(&w->got), records);
    buf_clear(&w->got);
    w->room = 1000;
}

static void test_S14_evicted_is_told_in_its_place_until_it_is_confirmed(void **state)
{
    const char *told = "logtrain: 88 bytes from 2026-11-20T10:15:01.123456789Z to "
                       "2026-11-20T10:15:02.123456789Z" EVICTED "ddd|";
    struct world *w = *state;

    segment(w, "1", "abc");
    segment(w, "2", "d");
    w->room = 1;
    expect(w, "aaa|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    unlink_segment(w, "1", 1);
    assert_int_equal(cursor_lag(&w->cursor, &w->cursor.acked), 3 * LINE);
    stream_evict(w->stream, 1, false);
    assert_int_equal(w->declared, 2 * LINE);
    assert_int_equal(w->reader.stats.lost[GAP_EVICTED], 2 * LINE);
    assert_int_equal(cursor_lag(&w->cursor, &w->cursor.acked), LINE);
    assert_int_equal(w->reader.stats.open_segments, 1);
    expect(w, told);
    assert_false(cursor_is_settled(&w->cursor));
    cursor_rewind(&w->cursor);
    expect(w, told);
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_true(cursor_is_settled(&w->cursor));
    assert_true(list_empty(&w->cursor.gaps));
    cursor_rewind(&w->cursor);
    expect(w, "");
    assert_int_equal(w->declarations, 1);
}

static void test_S14_what_is_in_flight_is_lost_only_when_it_comes_back(void **state)
{
    struct world *w = *state;

    segment(w, "1", "abcd");
    segment(w, "2", "e");
    w->room = 2;
    expect(w, "aaa|bbb|");
    unlink_segment(w, "1", 1);
    stream_evict(w->stream, 1, false);
    assert_int_equal(w->declared, 2 * LINE);
    cursor_rewind(&w->cursor);
    expect(w,
           "logtrain: 88 bytes" EVICTED "logtrain: 88 bytes from 2026-11-20T10:15:02.123456789Z to "
           "2026-11-20T10:15:03.123456789Z" EVICTED "eee|");
    assert_int_equal(w->declared, 4 * LINE);
    cursor_rewind(&w->cursor);
    expect(w,
           "logtrain: 88 bytes" EVICTED "logtrain: 88 bytes from 2026-11-20T10:15:02.123456789Z to "
           "2026-11-20T10:15:03.123456789Z" EVICTED "eee|");
    assert_int_equal(w->declared, 4 * LINE);
}

static void test_S14_and_not_when_it_is_confirmed_after_all(void **state)
{
    struct world *w = *state;
    struct mark sent;

    segment(w, "1", "abcd");
    segment(w, "2", "e");
    w->room = 2;
    expect(w, "aaa|bbb|");
    sent = w->cursor.sent;
    unlink_segment(w, "1", 1);
    stream_evict(w->stream, 1, false);
    cursor_ack(&w->cursor, &sent);
    cursor_rewind(&w->cursor);
    expect(w, "logtrain: 88 bytes from 2026-11-20T10:15:02.123456789Z to "
              "2026-11-20T10:15:03.123456789Z" EVICTED "eee|");
    assert_int_equal(w->declared, 2 * LINE);
}

static void test_F02_several_files_one_record(void **state)
{
    struct world *w = *state;

    segment(w, "1", "ab");
    segment(w, "2", "cd");
    segment(w, "3", "ef");
    segment(w, "4", "g");
    unlink_segment(w, "1", 1);
    unlink_segment(w, "2", 2);
    unlink_segment(w, "3", 3);
    stream_evict(w->stream, 1, false);
    stream_evict(w->stream, 2, false);
    assert_int_equal(w->declared, 4 * LINE);
    assert_int_equal(w->declarations, 2);
    expect(w, "logtrain: 176 bytes from 2026-11-20T10:15:00.123456789Z to "
              "2026-11-20T10:15:03.123456789Z" EVICTED "eee|fff|ggg|");
}

static void test_S14_a_file_with_a_name_is_not_given_up(void **state)
{
    struct world *w = *state;

    segment(w, "1", "ab");
    segment(w, "2", "c");
    stream_evict(w->stream, 1, false);
    stream_evict(w->stream, 7, false);
    expect(w, "aaa|bbb|ccc|");
    assert_int_equal(w->declared, 0);
}

static void test_S14_a_file_that_was_compressed_is_read_on_there(void **state)
{
    struct world *w = *state;
    struct segment_stat st;
    char path[128], cmd[300];

    segment(w, "1", "ab");
    segment(w, "2", "c");
    w->room = 1;
    expect(w, "aaa|");
    path_of(w, "1", path);
    assert_true(snprintf(cmd, sizeof(cmd), "gzip %s", path) > 0);
    assert_int_equal(system(cmd), 0);
    path_of(w, "1.gz", path);
    assert_int_equal(segment_stat_path(path, &st, NULL), 0);
    stream_segment_path(w->stream, 1, str_dup(str_of(path)), &st.id);
    assert_true(stream_segment(w->stream, 1)->nameless);
    stream_evict(w->stream, 1, false);
    assert_false(stream_segment(w->stream, 1)->nameless);
    expect(w, "bbb|ccc|");
    assert_int_equal(w->declared, 0);
}

/* <name>, which is segment <no>, is compressed, and that is known. */
static void compress(struct world *w, const char *name, uint32_t no)
{
    struct segment_stat st;
    char path[128], cmd[300];

    path_of(w, name, path);
    assert_true(snprintf(cmd, sizeof(cmd), "gzip %s", path) > 0);
    assert_int_equal(system(cmd), 0);
    (void)snprintf(path + strlen(path), 4, ".gz");
    assert_int_equal(segment_stat_path(path, &st, NULL), 0);
    stream_segment_path(w->stream, no, str_dup(str_of(path)), &st.id);
    assert_true(stream_segment(w->stream, no)->nameless);
}

/* What can be read on in a .gz is to be closed, but the .gz has been deleted, too: the only file
 * that has the bytes stays open, for as long as it is not given up for its own sake. */
static void test_S14_nothing_is_closed_for_a_gz_that_is_gone(void **state)
{
    struct world *w = *state;
    struct segment *seg;
    char path[128];

    segment(w, "1", "ab");
    segment(w, "2", "c");
    compress(w, "1", 1);
    seg = stream_segment(w->stream, 1);
    path_of(w, "1.gz", path);
    assert_int_equal(unlink(path), 0);
    stream_evict(w->stream, 1, true); /* before the name's end is known */
    assert_true(seg->nameless && seg->unpackable);
    stream_segment_path(w->stream, 1, NULL, NULL);
    stream_evict(w->stream, 1, true); /* and after */
    assert_true(seg->nameless && seg->fd >= 0);
    assert_int_equal(w->declared, 0);
    w->room = 1;
    expect(w, "aaa|");
    stream_evict(w->stream, 1, false);
    assert_int_equal(w->reader.stats.lost[GAP_EVICTED], LINE);
    w->room = 1000;
    expect(w, "logtrain: 44 bytes from 2026-11-20T10:15:01.123456789Z to "
              "2026-11-20T10:15:01.123456789Z" EVICTED "ccc|");
}

static void test_F11_deleted_before_it_was_open(void **state)
{
    struct world *w = *state;
    char path[128];

    segment(w, "1", "a");
    segment(w, "2", "bc");
    segment_close(stream_segment(w->stream, 2)); /* descriptors were short */
    path_of(w, "2", path);
    segment(w, "3", "d");
    unlink_segment(w, "2", 2);
    assert_int_equal(w->declared, 2 * LINE);
    expect(w, "aaa|logtrain: 88 bytes were lost: their file was deleted before it could be "
              "read|ddd|");
    assert_int_equal(w->reader.stats.lost[GAP_DELETED], 2 * LINE);
}

static void test_F12_what_was_held_is_known_after_a_crash(void **state)
{
    struct world *w = *state;
    struct state_record r = {0};
    struct cursor again;

    segment(w, "1", "ab");
    segment(w, "2", "cd");
    segment(w, "3", "efg");
    w->room = 1;
    expect(w, "aaa|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    unlink_segment(w, "1", 1);
    unlink_segment(w, "2", 2);
    unlink_segment(w, "3", 3);
    stream_evict(w->stream, 1, false);
    assert_true(cursor_save(&w->cursor, &r));
    assert_int_equal(r.lost, LINE);
    assert_int_equal(r.pinned, 5 * LINE);
    assert_int_equal(r.behind, 0);
    assert_int_equal(r.size, r.off);
    segment(w, "4", "h");  /* all that is there later */
    r.id.ino = UINT64_MAX; /* and nothing of the old file */
    cursor_init(&again, w->stream, woken, NULL);
    assert_int_equal(cursor_resume(&again, &r), RESUME_LATER);
    clock_fake(2000000, 1700000000000000000);
    assert_int_equal(cursor_resume_again(&again), RESUME_GONE);
    assert_int_equal(w->reader.stats.lost[GAP_RESTART], 6 * LINE);
    cursor_release(&again);
}

static void append(const struct world *w, const char *name, const char *text)
{
    char path[128];
    int fd;

    path_of(w, name, path);
    fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    stream_grew(w->stream);
}

static void test_a_tail_skips_the_rest_of_its_file(void **state)
{
    struct world *w = *state;

    w->cursor.transient = true;
    segment(w, "1", "abc");
    segment(w, "2", "def");
    w->room = 1;
    expect(w, "aaa|");
    cursor_skip(&w->cursor);
    cursor_skip(&w->cursor); /* it does so already */
    expect(w, "logtrain: 88 bytes from 2026-11-20T10:15:01.123456789Z to "
              "2026-11-20T10:15:02.123456789Z" SKIPPED "ddd|eee|fff|");
    assert_int_equal(w->declarations, 1);
    assert_int_equal(w->reader.stats.lost[GAP_SKIPPED], 0);
    cursor_skip(&w->cursor);
    expect(w, "");
}

static void test_a_tail_skips_whole_lines_of_the_last_file(void **state)
{
    struct world *w = *state;

    w->cursor.transient = true;
    segment(w, "1", "abc");
    w->room = 1;
    expect(w, "aaa|");
    append(w, "1", "2026-11-20T10:15:09.123456789Z stdout P dd\n2026-11-20T10:15:10.12345678");
    cursor_skip(&w->cursor);
    expect(w, "logtrain: 88 bytes from 2026-11-20T10:15:01.123456789Z to "
              "2026-11-20T10:15:09.123456789Z" SKIPPED);
    append(w, "1", "9Z stdout F ee\n");
    expect(w, "ddee|");
    assert_int_equal(w->declarations, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_S14_evicted_is_told_in_its_place_until_it_is_confirmed),
        CASE(test_S14_what_is_in_flight_is_lost_only_when_it_comes_back),
        CASE(test_S14_nothing_is_closed_for_a_gz_that_is_gone),
        CASE(test_S14_and_not_when_it_is_confirmed_after_all),
        CASE(test_F02_several_files_one_record),
        CASE(test_S14_a_file_with_a_name_is_not_given_up),
        CASE(test_S14_a_file_that_was_compressed_is_read_on_there),
        CASE(test_F11_deleted_before_it_was_open),
        CASE(test_F12_what_was_held_is_known_after_a_crash),
        CASE(test_a_tail_skips_the_rest_of_its_file),
        CASE(test_a_tail_skips_whole_lines_of_the_last_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
