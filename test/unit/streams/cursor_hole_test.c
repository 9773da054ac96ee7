/*
 * NULs in a log, and lines that are no pieces of a line: the result of a power loss or a
 * truncation.
 */
#include "../../lib/unit.h"
#include "cursor_world.h"

#define D(text, nl)                                                                                \
    "{\"log\":\"" text nl "\",\"stream\":\"stdout\",\"time\":\"2026-11-20T10:15:00.1Z\"}"

static void append_nuls(const struct world *w, const char *name, size_t n)
{
    char *nuls = xcalloc(1, n);

    write_at(w, name, nuls, n, O_APPEND);
    free(nuls);
}

static const size_t lengths[] = {1,
                                 2,
                                 511,
                                 4095,
                                 4096,
                                 5000,
                                 READ_CHUNK - 3,
                                 READ_CHUNK,
                                 READ_CHUNK + 1,
                                 4096 + READ_CHUNK,
                                 3 * 1024 * 1024 + 7};

/* Each hole between two records, and once more with the file written between two checks. */
static void test_L08_nuls_before_a_record(void **state)
{
    struct world *w = *state;

    append_nuls(w, "0.log", 3);
    segment(w, "0.log", 0);
    attach(w, false);
    for (size_t i = 0; i < 2 * ARRAY_LEN(lengths); i++) {
        append(w, "0.log", T "stdout F before\n");
        append_nuls(w, "0.log", lengths[i / 2]);
        if (i % 2)
            (void)read_all(w);
        append(w, "0.log", T "stdout F after\n");
        expect(w, READ_DRY, "o:before|o:after|");
    }
    assert_int_equal(w->reader.stats.raw, 0);
    assert_int_equal(w->reader.stats.cut, 0);
    assert_int_equal(w->cursor.sent.cut, 0);
    assert_true(w->reader.stats.hole_bytes > 6 * 1024 * 1024);
}

static void test_L08_nuls_end_the_line_that_was_begun(void **state)
{
    struct world *w = *state;

    append(w, "0.log", "");
    segment(w, "0.log", 0);
    attach(w, false);
    for (size_t i = 0; i < 2 * ARRAY_LEN(lengths); i++) {
        append(w, "0.log", T "stdout P one\n" T "stderr P two\n");
        if (i % 2)
            (void)read_all(w);
        append_nuls(w, "0.log", lengths[i / 2]);
        append(w, "0.log", T "stdout F x\n" T "stdout F four\n" T "stderr F five\n");
        expect(w, READ_DRY, "oC:one|eC:two|o:x|o:four|e:five|");
    }
}

static void test_L08_nuls_with_their_own_lf(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n");
    append_nuls(w, "0.log", 100);
    append(w, "0.log", "\n" T "stdout F two\n");
    append_nuls(w, "0.log", 2 * READ_CHUNK);
    append(w, "0.log", "\n" T "stdout F three\n\n" T "stdout F four\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:one|o:two|o:three|oR:|o:four|");
}

static void test_L08_the_head_of_a_line_before_them(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F whole\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:whole|");
    FOR_ROWS (i, lengths) {
        append(w, "0.log", T "stdout F tor");
        append_nuls(w, "0.log", lengths[i]);
        append(w, "0.log", T "stdout F after\n");
        expect(w, READ_DRY, "oC:tor|o:after|");
        append(w, "0.log", T "stdout P be\n" T "stdout F gun");
        append_nuls(w, "0.log", lengths[i]);
        append(w, "0.log", T "stdout F after\n");
        expect(w, READ_DRY, "oC:begun|o:after|");
        append(w, "0.log", "2026-11-20T10:15:0"); /* not even a header */
        append_nuls(w, "0.log", lengths[i]);
        append(w, "0.log", T "stdout F after\n");
        expect(w, READ_DRY, "o:after|");
    }
}

static void test_L08_dockers_lines(void **state)
{
    struct world *w = *state;

    append(w, "j.log", D("whole", "\\n") "\n");
    segment(w, "j.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "o:whole|");
    FOR_ROWS (i, lengths) {
        append_nuls(w, "j.log", lengths[i]);
        append(w, "j.log", D("after", "\\n") "\n" D("begun", "") "\n");
        append_nuls(w, "j.log", lengths[i]);
        append(w, "j.log", D("x", "\\n") "\n{\"log\":\"tor");
        append_nuls(w, "j.log", lengths[i]);
        append(w, "j.log", D("last", "\\n") "\n");
        expect(w, READ_DRY, "o:after|oC:begun|o:x|o:last|");
    }
}

/* It may be the container's own, written past the runtime; it is no piece of the line. */
static void test_L08_a_line_of_another_kind_ends_what_was_begun(void **state)
{
    struct world *w = *state;

    append(w, "0.log",
           T "stdout P one\nwhat is that\n" T "stdout F two\n" T "stderr P three\n\n" T
             "stderr F four\n" T "stdout P five\n" T "stderr F six\n" T "stdout F seven\n");
    segment(w, "0.log", 0);
    attach(w, false);
    expect(w, READ_DRY, "oC:one|oR:what is that|o:two|eC:three|oR:|e:four|e:six|o:fiveseven|");
}

static void test_L08_the_same_for_a_sink_that_is_full_again_and_again(void **state)
{
    struct world *w = *state;
    unsigned rounds = 0;

    append(w, "0.log", T "stdout P one\n" T "stderr P two\n");
    append_nuls(w, "0.log", 5000);
    append(w, "0.log", T "stdout P x\nraw\n" T "stdout F tor");
    append_nuls(w, "0.log", 7);
    append(w, "0.log", T "stdout F four\n");
    segment(w, "0.log", 0);
    attach(w, false);
    do {
        w->room = 1;
        (void)read_all(w);
    } while (rounds++ < 10);
    expect(w, READ_DRY, "oC:one|eC:two|oC:x|oR:raw|oC:tor|o:four|");
}

static void test_F18_nuls_of_the_message(void **state)
{
    static const char text[] = T "stdout F a\0b\n" T "stdout F \0\0\n" T "stdout F c\0\n"
                                 "plain \0 text\n";
    struct world *w = *state;

    write_at(w, "0.log", text, sizeof(text) - 1, O_APPEND);
    segment(w, "0.log", 0);
    attach(w, false);
    assert_int_equal(read_all(w), READ_DRY);
    assert_memory_equal(w->got.p, "o:a\0b|o:\0\0|o:c\0|oR:plain \0 text|", 32);
    assert_int_equal(w->got.len, 32);
}

/* The file ends with a hole: the container's last line has no end. */
static void test_L08_nuls_at_the_end(void **state)
{
    struct world *w = *state;

    append(w, "0.log", T "stdout F one\n" T "stdout F tor");
    append_nuls(w, "0.log", 3000);
    segment(w, "0.log", 0);
    attach(w, false);
    append(w, "1.log", T "stdout F next\n");
    segment(w, "1.log", 1);
    pass_ms(w, ROTATE_GRACE_MS);
    expect(w, READ_DRY, "o:one|o:tor|o:next|");
    append_nuls(w, "1.log", 3 * READ_CHUNK);
    expect(w, READ_DRY, "");
}

static void of_a_container(const struct world *w)
{
    const struct identity id = {.hostname = STR("web.default"), .pod = STR("web-1")};

    stream_rename(w->stream, identity_create(&id));
}

/* What a file ends with that is only the head of a line. */
static void test_L06_a_last_line_without_its_message(void **state)
{
    static const char cri[] = T "stdout ", docker[] = "{\"log\":\"";
    struct world *w = *state;
    char name[16];
    uint32_t no = 0;

    of_a_container(w);
    append(w, "0.log", T "stdout F one\n");
    segment(w, "0.log", no);
    attach(w, false);
    expect(w, READ_DRY, "o:one|");
    for (size_t n = 1; n < sizeof(cri) + sizeof(docker) - 1; n++) {
        bool json = n >= sizeof(cri);
        struct str head = json ? str_make(docker, n - sizeof(cri) + 1) : str_make(cri, n);

        assert_true(snprintf(name, sizeof(name), "%u.log", no) > 0);
        append(w, name, json ? D("begun", "") "\n" : T "stdout P begun\n");
        write_at(w, name, head.p, head.len, O_APPEND);
        assert_true(snprintf(name, sizeof(name), "%u.log", ++no) > 0);
        append(w, name, json ? D("next", "\\n") "\n" : T "stdout F next\n");
        segment(w, name, 0);
        pass_ms(w, ROTATE_GRACE_MS);
        expect(w, READ_DRY, "oC:begun|o:next|");
    }
    assert_int_equal(w->reader.stats.raw, 0);
    assert_true(w->reader.stats.hole_bytes > 0);
}

/* ... and what is something else: all in a file that is no container's. */
static void test_L06_other_last_lines_are_lines(void **state)
{
    static const struct {
        const char *tail, *want;
        bool container;
    } rows[] = {
        {"2", "oR:2|", false},
        {"{", "oR:{|", false},
        {"2026-11-20T10:15:00Z", "oR:2026-11-20T10:15:00Z|", false},
        {T "stdout F", "o:|", true},
        {T "stdout F t", "o:t|", true},
        {"2026-11-20T10:15:00Z bad", "oR:2026-11-20T10:15:00Z bad|", true},
        {"2026-11-20 10:15", "oR:2026-11-20 10:15|", true},
        {"panic", "oR:panic|", true},
        {"{\"log\":\"t", "oR:{\"log\":\"t|", true},
    };
    struct world *w = *state;
    char name[16];

    FOR_ROWS (i, rows) {
        if (rows[i].container)
            of_a_container(w);
        assert_true(snprintf(name, sizeof(name), "%zu.log", i) > 0);
        append(w, name, rows[i].tail);
        segment(w, name, (uint32_t)i);
        if (!i)
            attach(w, false);
        pass_ms(w, PARTIAL_TIMEOUT_MS);
        (void)read_all(w);
        pass_ms(w, PARTIAL_TIMEOUT_MS);
        expect(w, READ_DRY, rows[i].want);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_L08_nuls_before_a_record),
        CASE(test_L08_nuls_end_the_line_that_was_begun),
        CASE(test_L08_nuls_with_their_own_lf),
        CASE(test_L08_the_head_of_a_line_before_them),
        CASE(test_L08_dockers_lines),
        CASE(test_L08_a_line_of_another_kind_ends_what_was_begun),
        CASE(test_L08_the_same_for_a_sink_that_is_full_again_and_again),
        CASE(test_F18_nuls_of_the_message),
        CASE(test_L08_nuls_at_the_end),
        CASE(test_L06_a_last_line_without_its_message),
        CASE(test_L06_other_last_lines_are_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
