/*
 * Reading a stream whose files are truncated, have holes, are renamed, deleted, or closed to save
 * descriptors.
 */
#include "cursor_world.h"

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
    expect(w, READ_DRY,
           "e:logtrain: at least 44 bytes were lost: their file was truncated before it was read|"
           "o:ONE, LONGER|o:TWO|");
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

static void test_F06_line_begun_before_the_truncation_has_no_end(void **state)
{
    struct world *w = *state;
    char to[128], from[128];

    append(w, "0.log", T "stdout P head-\n");
    segment(w, "0.log", 0);
    attach(w, false);
    path_of(w, "0.log", from);
    path_of(w, "0.log.20261120-101500", to);
    assert_int_equal(rename(from, to), 0);
    append(w, "0.log", T "stderr F one\n");
    renamed(w, 1, to);
    segment(w, "0.log", 0);
    pass_ms(w, ROTATE_GRACE_MS);
    expect(w, READ_WAIT, "e:one|");
    write_at(w, "0.log", T "stdout F another\n", strlen(T) + 17, O_TRUNC);
    expect(w, READ_DRY, "oC:head-|o:another|");
}

static void test_F06_who_has_read_of_the_new_file_reads_it_once(void **state)
{
    struct world *w = *state;
    struct cursor late;

    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    append(w, "0.log", T "stdout F one\n");
    cursor_init(&late, w->stream, woken, NULL);
    expect(w, READ_DRY, "o:one|");
    write_at(w, "0.log", T "stdout F ONE, LONGER\n", strlen(T) + 21, O_TRUNC);
    assert_int_equal(cursor_read(&late, READ_CHUNK, &w->sink), READ_DRY);
    expect(w, READ_DRY, "o:ONE, LONGER|o:ONE, LONGER|"); /* the truncation is noticed here */
    assert_int_equal(cursor_read(&late, READ_CHUNK, &w->sink), READ_DRY);
    expect(w, READ_DRY, "");
    cursor_release(&late);
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
    stream_measure(w->stream);
    assert_int_equal(cursor_lag(&w->cursor, &w->cursor.sent), unread);
    write_at(w, "0.log", "", 0, O_TRUNC);
    expect(w, READ_DRY,
           "e:logtrain: at least 44 bytes were lost: their file was truncated before it was read|");
    assert_int_equal(unread, 44);
    assert_int_equal(w->reader.stats.lost[GAP_TRUNCATED], unread);
}

/* 44 bytes that one check has seen and nothing has read. */
static void seen_one(struct world *w)
{
    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    append(w, "0.log", T "stdout F one\n");
    stream_grew(w->stream);
}

/* Nothing is read during a linger: bytes seen by a check are known. */
static void test_L20_seen_once_and_truncated(void **state)
{
    struct world *w = *state;

    seen_one(w);
    write_at(w, "0.log", "", 0, O_TRUNC);
    stream_grew(w->stream);
    assert_int_equal(w->reader.stats.lost[GAP_TRUNCATED], 44);
    expect(w, READ_DRY,
           "e:logtrain: at least 44 bytes were lost: their file was truncated before it was read|");
    append(w, "0.log", T "stdout F two\n");
    expect(w, READ_DRY, "o:two|");
    assert_int_equal(w->reader.stats.truncated, 1);
}

/* The next check finds it larger than before, with other lines in it. */
static void test_L20_truncated_and_grown_past_what_was_seen(void **state)
{
    struct world *w = *state;

    seen_one(w);
    write_at(w, "0.log", T "stdout F TWO\n" T "stdout F three\n", 2 * strlen(T) + 28, O_TRUNC);
    stream_grew(w->stream);
    expect(w, READ_DRY,
           "e:logtrain: at least 44 bytes were lost: their file was truncated before it was read|"
           "o:TWO|o:three|");
    assert_int_equal(w->reader.stats.lost[GAP_TRUNCATED], 44);
}

/* The next check finds it as large as before, with another line in it. */
static void test_L20_truncated_and_grown_to_what_was_seen(void **state)
{
    struct world *w = *state;

    seen_one(w);
    write_at(w, "0.log", T "stdout F TWO\n", strlen(T) + 13, O_TRUNC);
    stream_grew(w->stream);
    assert_int_equal(w->reader.stats.lost[GAP_TRUNCATED], 44);
    write_at(w, "0.log", T "stdout F 3rd\n", strlen(T) + 13, O_TRUNC);
    stream_grew(w->stream);
    expect(w, READ_DRY,
           "e:logtrain: at least 88 bytes were lost: their file was truncated before it was read|"
           "o:3rd|");
    assert_int_equal(w->reader.stats.lost[GAP_TRUNCATED], 88);
}

/* Its end is cut off, behind what was read or before it; what comes before the cut is still there. */
static void test_L20_cut_off_at_any_place(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX], want[200];

    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    for (unsigned i = 0; i < 40; i++)
        append(w, "0.log", T "stdout F old\n");
    assert_int_equal(read_all(w), READ_DRY);
    buf_clear(&w->got);
    (void)snprintf(path, sizeof(path), "%s/0.log", w->dir);
    for (unsigned keep = 3; keep--;) {
        for (unsigned i = 0; i < 3; i++)
            append(w, "0.log", T "stdout F new\n");
        stream_grew(w->stream);
        assert_int_equal(truncate(path, (off_t)(40 + keep) * 44), 0);
        stream_grew(w->stream);
        (void)snprintf(
            want, sizeof(want),
            "e:logtrain: at least %u bytes were lost: their file was truncated before it "
            "was read|%s",
            (3 - keep) * 44,
            keep == 2 ? "o:new|o:new|"
            : keep    ? "o:new|"
                      : "");
        expect(w, READ_DRY, want);
        assert_int_equal(truncate(path, (off_t)40 * 44), 0);
        stream_grew(w->stream);
        (void)read_all(w);
        buf_clear(&w->got);
        w->reader.stats.lost[GAP_TRUNCATED] = 0;
    }
}

/* It existed when it was found, and was deleted with its pod before it was opened. */
static void test_L05_gone_before_it_was_opened(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX];

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    (void)snprintf(path, sizeof(path), "%s/0.log", w->dir);
    assert_int_equal(unlink(path), 0);
    attach(w, false);
    expect(w, READ_STUCK, "");
    stream_finish(w->stream);
    expect(
        w, READ_END,
        "e:logtrain: an unknown number of bytes, perhaps none, were lost: their file was deleted "
        "before it could be read|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    expect(w, READ_END, "");
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

static void unlinked(struct world *w, const char *name, uint32_t no)
{
    char path[128];

    path_of(w, name, path);
    assert_int_equal(unlink(path), 0);
    stream_segment_path(w->stream, no, NULL, NULL);
}

static void test_L19_closed_when_it_is_confirmed(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    unlinked(w, "0.log", 1);
    assert_int_equal(w->reader.stats.open_segments, 1);
    cursor_rewind(&w->cursor); /* it may be wanted again until then */
    expect(w, READ_DRY, "o:one|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_int_equal(w->reader.stats.open_segments, 0);
    expect(w, READ_DRY, "");
    append(w, "1.log", T "stdout F new\n");
    segment(w, "1.log", 1);
    expect(w, READ_DRY, "o:new|");
    assert_int_equal(w->reader.stats.lost[GAP_DELETED], 0);
}

static void test_L19_confirmed_before_it_is_deleted(void **state)
{
    struct world *w = *state;
    struct cursor late;
    const struct position end = {.seg = 1, .off = UINT64_MAX};

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_int_equal(w->reader.stats.open_segments, 1);
    unlinked(w, "0.log", 1);
    assert_int_equal(w->reader.stats.open_segments, 0);
    cursor_init(&late, w->stream, woken, &end); /* a route that comes now wants none of it */
    assert_int_equal(cursor_read(&late, READ_CHUNK, &w->sink), READ_DRY);
    cursor_release(&late);
    assert_int_equal(w->reader.stats.lost[GAP_DELETED], 0);
}

/* Somebody removed the log of a container that runs. */
static void test_L19_read_on_while_somebody_writes(void **state)
{
    struct world *w = *state;
    char path[128];
    int fd;

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    path_of(w, "0.log", path);
    fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    unlinked(w, "0.log", 1);
    assert_int_equal(w->reader.stats.open_segments, 1);
    assert_int_equal(dprintf(fd, T "stdout F two\n"), 44);
    stream_grew(w->stream);
    expect(w, READ_DRY, "o:two|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    assert_int_equal(w->reader.stats.open_segments, 1);
    assert_int_equal(close(fd), 0);
    stream_grew(w->stream); /* inotify reports the close */
    assert_int_equal(w->reader.stats.open_segments, 0);
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
    expect(w, READ_STUCK, ""); /* unreadable now is not deleted */
    renamed(w, 1, aside);
    expect(w, READ_DRY, "o:right|");
}

/* The drain is down, so nothing is read; by the time of the next read it may be deleted. */
static void test_F03_opened_as_soon_as_its_name_is_known(void **state)
{
    struct world *w = *state;
    char path[128], aside[128];

    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    path_of(w, "aside.log", aside);
    assert_int_equal(rename(path, aside), 0);
    attach(w, false);
    assert_int_equal(w->reader.stats.open_segments, 0);
    renamed(w, 1, aside);
    assert_int_equal(unlink(aside), 0);
    stream_segment_path(w->stream, 1, NULL, NULL);
    expect(w, READ_DRY, "o:one|");
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

/* The file could not be opened when the cursor was created, and then it was deleted: the next file
 * is new. */
static void test_at_end_of_a_file_that_is_gone(void **state)
{
    struct world *w = *state;
    char path[128];

    append(w, "0.log", T "stdout F old\n");
    segment(w, "0.log", 0);
    path_of(w, "0.log", path);
    assert_int_equal(unlink(path), 0);
    attach(w, true);
    expect(w, READ_STUCK, "");
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
        CASE(test_F06_F07_truncated_and_grown_past_the_cursor),
        CASE(test_F07_grown_past_a_cursor_that_went_back),
        CASE(test_F07_grown_past_a_cursor_that_began_at_the_end),
        CASE(test_F06_line_begun_before_the_truncation_has_no_end),
        CASE(test_F06_who_has_read_of_the_new_file_reads_it_once),
        CASE(test_F06_what_was_not_read_is_counted),
        CASE(test_L20_seen_once_and_truncated),
        CASE(test_L20_truncated_and_grown_past_what_was_seen),
        CASE(test_L20_truncated_and_grown_to_what_was_seen),
        CASE(test_L20_cut_off_at_any_place),
        CASE(test_L05_gone_before_it_was_opened),
        CASE(test_F06_truncated_to_nothing),
        CASE(test_F08_hole_left_by_truncation),
        CASE(test_F11_deleted_while_held),
        CASE(test_L19_closed_when_it_is_confirmed),
        CASE(test_L19_confirmed_before_it_is_deleted),
        CASE(test_L19_read_on_while_somebody_writes),
        CASE(test_F23_other_file_under_the_name_is_not_read),
        CASE(test_F03_opened_as_soon_as_its_name_is_known),
        CASE(test_S08_file_closed_for_another_is_opened_again),
        CASE(test_at_end_of_a_file_that_is_gone),
        CASE(test_hole_is_passed_over_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
