/*
 * Lines written to a file after a cursor left it: a second cursor reads it, behind the first. Real
 * files, a faked clock.
 */
#include "cursor_world.h"

static struct cursor late; /* the one that leaves() created; .stream NULL = none */

static void woken_late(struct cursor *c)
{
    (void)c;
}

static void leaves(struct cursor *c, struct segment *seg, uint64_t end)
{
    assert_null(late.stream);
    cursor_init_late(&late, c, seg, end, woken_late);
}

static void move(const struct world *w, const char *from, const char *to)
{
    char a[128], b[128];

    path_of(w, from, a);
    path_of(w, to, b);
    assert_int_equal(rename(a, b), 0);
}

static int open_log(const struct world *w, const char *name)
{
    char path[128];
    int fd;

    path_of(w, name, path);
    fd = open(path, O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, const char *line)
{
    assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
}

static void expect_late(struct world *w, enum read_result rc, const char *records)
{
    enum read_result got;

    while ((got = cursor_read(&late, READ_CHUNK, &w->sink)) == READ_MORE)
        continue;
    assert_int_equal(got, rc);
    assert_string_equal(buf_cstr(&w->got), records);
    buf_clear(&w->got);
}

/* One log, read and renamed, whose writer still exists; the new one is empty. */
static int begin(struct world *w)
{
    char path[128];
    int fd;

    late = (struct cursor){.stream = NULL};
    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", 0);
    attach(w, false);
    w->cursor.leaves = leaves;
    expect(w, READ_DRY, "o:one|");
    fd = open_log(w, "0.log");
    move(w, "0.log", "0.log.1");
    path_of(w, "0.log.1", path);
    renamed(w, 1, path);
    append(w, "0.log", "");
    segment(w, "0.log", 0);
    pass_ms(w, ROTATE_GRACE_MS);
    return fd;
}

/* ... and left for the new one, which has a line. */
static int begin_and_leave(struct world *w)
{
    int fd = begin(w);

    append(w, "0.log", T "stdout F new\n");
    expect(w, READ_DRY, "o:new|");
    return fd;
}

static void end(struct world *w, int fd)
{
    if (late.stream)
        cursor_release(&late);
    stream_trim(w->stream);
    assert_int_equal(close(fd), 0);
}

static void test_L16_stays_while_there_is_nothing_to_leave_for(void **state)
{
    struct world *w = *state;
    int fd = begin(w);

    expect(w, READ_DRY, "");
    pass_ms(w, 3600 * 1000);
    put(fd, T "stdout F two\n");
    expect(w, READ_DRY, "o:two|");
    assert_null(late.stream);
    append(w, "0.log", T "stdout F new\n");
    expect(w, READ_DRY, "o:new|");
    assert_non_null(late.stream);
    end(w, fd);
}

static void test_L16_reads_on_behind_what_is_confirmed(void **state)
{
    struct world *w = *state;
    int fd = begin_and_leave(w);

    put(fd, T "stdout F late\n");
    expect_late(w, READ_DRY, "");
    cursor_rewind(&w->cursor); /* and the same data is read again */
    assert_int_equal(cursor_lag(&w->cursor, &w->cursor.sent), 2 * (strlen(T) + 13));
    expect(w, READ_DRY, "o:one|o:new|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    expect_late(w, READ_WAIT, "o:late|");
    cursor_rewind(&late);
    expect_late(w, READ_WAIT, "o:late|");
    cursor_ack(&late, &late.sent);
    assert_non_null(stream_segment(w->stream, 1));
    assert_int_equal(w->reader.stats.late_bytes, 0);
    end(w, fd);
    assert_null(stream_segment(w->stream, 1));
}

static void test_L16_ends_when_it_was_quiet_for_long(void **state)
{
    struct world *w = *state;
    int fd = begin_and_leave(w);

    cursor_ack(&w->cursor, &w->cursor.sent);
    expect_late(w, READ_WAIT, "");
    for (int i = 0; i < 3; i++) { /* never, while a process can write to it */
        pass_ms(w, 100 * LATE_QUIET_MS);
        expect_late(w, READ_WAIT, "");
    }
    put(fd, T "stdout F late, without an end");
    assert_int_equal(close(fd), 0);
    fd = open_log(w, "0.log");
    expect_late(w, READ_WAIT, "");
    pass_ms(w, LATE_QUIET_MS - 1);
    expect_late(w, READ_WAIT, "");
    pass_ms(w, 1);
    expect_late(w, READ_END, "o:late, without an end|");
    end(w, fd);
}

static void test_L16_ends_when_it_is_deleted(void **state)
{
    struct world *w = *state;
    int fd = begin(w);
    char path[128];

    append(w, "0.log", T "stdout F new\n");
    expect(w, READ_DRY, "o:new|");
    cursor_ack(&w->cursor, &w->cursor.sent);
    path_of(w, "0.log.1", path);
    assert_int_equal(unlink(path), 0);
    stream_segment_path(w->stream, 1, NULL, NULL);
    put(fd, T "stdout F late\n");
    expect_late(w, READ_WAIT, "o:late|");
    put(fd, T "stdout F last, without an end");
    assert_int_equal(close(fd), 0);
    fd = open_log(w, "0.log");
    expect_late(w, READ_END, "o:last, without an end|");
    end(w, fd);
}

static void test_L16_lost_bytes_are_counted_once(void **state)
{
    struct world *w = *state;
    int fd = begin_and_leave(w);

    cursor_ack(&w->cursor, &w->cursor.sent);
    put(fd, T "stdout F late\n");
    expect_late(w, READ_WAIT, "o:late|");
    cursor_rewind(&late);
    move(w, "0.log.1", "elsewhere"); /* as if it had been deleted while it was closed */
    segment_close(stream_segment(w->stream, 1));
    stream_segment_path(w->stream, 1, NULL, NULL);
    assert_int_equal(w->reader.stats.lost[GAP_DELETED], strlen(T) + 14);
    expect_late(w, READ_END,
                "e:logtrain: 45 bytes were lost: their file was deleted before it could be read|");
    expect(w, READ_DRY, "");
    end(w, fd);
}

static void test_L16_goes_on_after_a_restart(void **state)
{
    struct world *w = *state;
    struct state_record main_at = {0}, late_at = {0};
    struct cursor again, again_late;
    int fd = begin_and_leave(w);

    cursor_ack(&w->cursor, &w->cursor.sent);
    put(fd, T "stdout F late\n");
    expect_late(w, READ_WAIT, "o:late|");
    cursor_ack(&late, &late.sent);
    assert_true(cursor_save(&w->cursor, &main_at));
    assert_true(cursor_save(&late, &late_at));
    assert_false(main_at.late);
    assert_true(late_at.late);
    put(fd, T "stdout F later\n");
    cursor_init(&again, w->stream, woken, NULL);
    cursor_init_nowhere(&again_late, &again, woken_late);
    assert_int_equal(cursor_resume(&again, &main_at), RESUME_OK);
    assert_int_equal(cursor_resume(&again_late, &late_at), RESUME_OK);
    assert_int_equal(cursor_read(&again, READ_CHUNK, &w->sink), READ_DRY);
    assert_int_equal(cursor_read(&again_late, READ_CHUNK, &w->sink), READ_WAIT);
    assert_string_equal(buf_cstr(&w->got), "o:later|");
    cursor_release(&again_late);
    cursor_release(&again);
    /* Killed before the state knew that the file was left: there is nothing to catch up. */
    cursor_init(&again, w->stream, woken, NULL);
    cursor_init_nowhere(&again_late, &again, woken_late);
    main_at = late_at;
    assert_int_equal(cursor_resume(&again, &main_at), RESUME_OK);
    assert_int_equal(cursor_resume(&again_late, &late_at), RESUME_OK);
    assert_int_equal(cursor_read(&again_late, READ_CHUNK, &w->sink), READ_END);
    cursor_release(&again_late);
    cursor_release(&again);
    end(w, fd);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_L16_stays_while_there_is_nothing_to_leave_for),
        CASE(test_L16_reads_on_behind_what_is_confirmed),
        CASE(test_L16_ends_when_it_was_quiet_for_long),
        CASE(test_L16_ends_when_it_is_deleted),
        CASE(test_L16_lost_bytes_are_counted_once),
        CASE(test_L16_goes_on_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
