/* Reading a stream: lines, joining, long lines. */
#include "cursor_world.h"

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
    assert_null(stream_segment(w->stream, 1)); /* released only now */
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
        CASE(test_F17_long_lines_at_the_limit),
        CASE(test_F16_endless_partial_is_cut_and_skipped),
        CASE(test_F16_partial_over_too_much_of_the_file_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
