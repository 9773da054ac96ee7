/* Which files are closed when descriptors are short, and that none is lost because of it. */
#include "cursor_world.h"

#include <sys/resource.h>

static struct segment *opened(struct world *w, uint32_t no)
{
    struct segment *seg = stream_segment(w->stream, no);

    assert_non_null(seg);
    return seg->fd >= 0 ? seg : NULL;
}

static void rotated(struct world *w, unsigned files)
{
    char name[16];

    for (unsigned i = 1; i <= files; i++) {
        assert_true(snprintf(name, sizeof(name), "%u.log", i) > 0);
        append(w, name, T "stdout F line\n");
        segment(w, name, 0);
    }
}

static void unlinked(const struct world *w, const char *name)
{
    char path[128];

    path_of(w, name, path);
    assert_int_equal(unlink(path), 0);
}

/* The worker hears of a deletion a little later than it happens. */
static void test_F03_a_file_that_lost_its_name_unseen_is_kept(void **state)
{
    struct world *w = *state;

    rotated(w, 1);
    attach(w, false);
    unlinked(w, "1.log");
    assert_false(reader_close_one(&w->reader));
    assert_false(reader_make_room(&w->reader));
    expect(w, READ_DRY, "o:line|");
}

static void test_F03_a_file_whose_name_is_another_file_is_kept(void **state)
{
    struct world *w = *state;

    rotated(w, 1);
    attach(w, false);
    unlinked(w, "1.log");
    append(w, "1.log", T "stdout F of another file\n");
    assert_false(reader_close_one(&w->reader));
    expect(w, READ_DRY, "o:line|");
}

static void test_S08_what_is_at_stake_decides(void **state)
{
    struct world *w = *state;

    rotated(w, 3);
    attach(w, false);
    w->room = 1;
    pass_ms(w, ROTATE_GRACE_MS);
    (void)read_all(w);
    assert_int_equal(w->cursor.sent.pos.seg, 2); /* the first is read, though not confirmed */
    assert_true(reader_close_one(&w->reader));
    assert_null(opened(w, 1));
    assert_true(reader_close_one(&w->reader)); /* then the live one: it will be there longest */
    assert_null(opened(w, 3));
    assert_true(reader_close_one(&w->reader));
    assert_null(opened(w, 2));
    assert_false(reader_close_one(&w->reader));
    cursor_rewind(&w->cursor);
    w->room = 10;
    buf_clear(&w->got);
    expect(w, READ_DRY, "o:line|o:line|o:line|");
}

static void test_S08_no_more_files_than_the_share(void **state)
{
    struct world *w = *state;

    reader_set_open_share(&w->reader, 4);
    attach(w, false);
    rotated(w, 10);
    assert_int_equal(w->reader.stats.open_segments, 4);
    pass_ms(w, ROTATE_GRACE_MS);
    expect(w, READ_DRY, "o:line|o:line|o:line|o:line|o:line|o:line|o:line|o:line|o:line|o:line|");
    assert_int_equal(w->reader.stats.open_segments, 4);
}

/* Without a name they cannot be closed: they may pass the share, but not take all there is. */
static void test_S08_files_that_must_be_kept_pass_the_share_by_half(void **state)
{
    struct world *w = *state;
    char name[16];

    reader_set_open_share(&w->reader, 4);
    attach(w, false);
    for (unsigned i = 1; i <= 8; i++) {
        assert_true(snprintf(name, sizeof(name), "%u.log", i) > 0);
        append(w, name, T "stdout F line\n");
        segment(w, name, 0);
        if (i <= 6) {
            unlinked(w, name);
            stream_segment_path(w->stream, i, NULL, NULL);
        }
    }
    assert_int_equal(w->reader.stats.open_segments, 6);
    assert_null(opened(w, 7));
    pass_ms(w, ROTATE_GRACE_MS);
    assert_int_equal(read_all(w), READ_STUCK);
    cursor_ack(&w->cursor, &w->cursor.sent); /* the first ones are released */
    stream_trim(w->stream);
    pass_ms(w, w->cursor.wake_at - w->now);
    expect(w, READ_DRY, "o:line|o:line|o:line|o:line|o:line|o:line|o:line|o:line|");
}

static void test_S08_room_for_others_is_kept_for_a_while(void **state)
{
    struct world *w = *state;

    reader_set_open_share(&w->reader, 12);
    attach(w, false);
    rotated(w, 12);
    assert_true(reader_make_room(&w->reader));
    assert_int_equal(w->reader.stats.open_segments, 8);
    pass_ms(w, ROTATE_GRACE_MS);
    (void)read_all(w);
    assert_int_equal(w->reader.stats.open_segments, 8);
    pass_ms(w, 60000);
    cursor_rewind(&w->cursor);
    (void)read_all(w);
    assert_int_equal(w->reader.stats.open_segments, 12);
    assert_true(reader_make_room(&w->reader));
    assert_true(reader_make_room(&w->reader));
    assert_false(reader_make_room(&w->reader)); /* a few stay, or nothing would be read */
    assert_int_equal(w->reader.stats.open_segments, OPEN_SEGMENTS_MIN);
}

/* The whole process has none left: a file is closed for the one that is read. */
static void test_S08_without_any_descriptor_left(void **state)
{
    struct world *w = *state;
    struct rlimit was, none;

    rotated(w, 2);
    attach(w, false);
    assert_true(reader_close_one(&w->reader));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = (rlim_t)(opened(w, 1) ? opened(w, 1)->fd : opened(w, 2)->fd) + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    pass_ms(w, ROTATE_GRACE_MS);
    expect(w, READ_DRY, "o:line|o:line|");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(w->reader.stats.open_segments, 1);
}

/* Its new name may come later, or never: it is not searched for every time. */
static void test_a_file_that_is_not_there_is_tried_less_and_less_often(void **state)
{
    struct world *w = *state;
    uint64_t pause = 0, last = 0;

    rotated(w, 1);
    unlinked(w, "1.log");
    attach(w, false);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(read_all(w), READ_STUCK);
        pause = w->cursor.wake_at - w->now;
        assert_true(pause >= last);
        last = pause;
        pass_ms(w, pause);
    }
    assert_in_range(pause, 1000, 10000);
    append(w, "1.log", T "stdout F other\n");
    segment(w, "1.log", 0);
    stream_segment_path(w->stream, 1, NULL, NULL);
    pass_ms(w, ROTATE_GRACE_MS);
    expect(
        w, READ_DRY,
        "e:logtrain: an unknown number of bytes, perhaps none, were lost: their file was deleted "
        "before it could be read|o:other|");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_F03_a_file_that_lost_its_name_unseen_is_kept),
        CASE(test_F03_a_file_whose_name_is_another_file_is_kept),
        CASE(test_S08_what_is_at_stake_decides),
        CASE(test_S08_no_more_files_than_the_share),
        CASE(test_S08_files_that_must_be_kept_pass_the_share_by_half),
        CASE(test_S08_room_for_others_is_kept_for_a_while),
        CASE(test_S08_without_any_descriptor_left),
        CASE(test_a_file_that_is_not_there_is_tried_less_and_less_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
