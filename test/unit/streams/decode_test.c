/*
 * Lines of log files: CRI, docker's JSON, and others. Runs each vector in memory of exactly its
 * size, so that a sanitizer sees a read outside the line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "streams/decode.h"

#define TIME "2026-11-20T10:15:00.123456789Z"

static void expect_str(struct str got, struct str want, const char *of)
{
    if (!str_eq(got, want))
        fail_msg("got '%.*s', expected '%.*s', of %s", STR_ARG(got), STR_ARG(want), of);
}

static char *exact_copy(struct str s)
{
    char *p = xmalloc(s.len ? s.len : 1);

    memcpy(p, s.p, s.len);
    return p;
}

/* ---- times ---- */

static void times_in_range_are_valid(void **state)
{
    static const char *const valid[] = {
        "2026-11-20T10:15:00Z",
        "2026-11-20T10:15:00.1Z",
        "2026-11-20T10:15:00.12345678Z",
        "2026-11-20T10:15:00.123456789Z",
        "2026-11-20T10:15:00.123456789+00:00",
        "2026-11-20T10:15:00+05:30",
        "2026-11-20T10:15:00.5-23:59",
        "1970-01-01T00:00:00Z",
        "2262-04-11T23:47:16.854775807Z",
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.999999999Z",
        "0000-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
    };

    (void)state;
    FOR_ROWS (i, valid) {
        char *copy = exact_copy(str_of(valid[i]));

        if (!decode_time_valid(str_make(copy, strlen(valid[i]))))
            fail_msg("refused: %s", valid[i]);
        free(copy);
    }
}

static void f19_wrong_times_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "Z",
        "2026-11-20T10:15:0Z",
        "2026-11-20T10:15:00",
        "2026-11-20 10:15:00Z",
        "2026-11-20t10:15:00Z",
        "2026-11-20T10:15:00z",
        "2026-00-20T10:15:00Z",
        "2026-13-20T10:15:00Z",
        "2026-99-20T10:15:00Z",
        "2026-11-00T10:15:00Z",
        "2026-11-32T10:15:00Z",
        "2026-11-20T24:15:00Z",
        "2026-11-20T10:60:00Z",
        "2026-11-20T10:15:61Z",
        "2026-11-20T10:15:00.Z",
        "2026-11-20T10:15:00.1234567890Z",
        "2026-11-20T10:15:00.12a456789Z",
        "2026-11-20T10:15:00,123Z",
        "2026-11-20T10:15:00.123ZZ",
        "2026-11-20T10:15:00.123+0000",
        "2026-11-20T10:15:00.123+24:00",
        "2026-11-20T10:15:00.123+00:60",
        "2026-11-20T10:15:00.123+0x:00",
        "2026-11-20T10:15:00.123+00:00:00",
        "+026-11-20T10:15:00Z",
        " 026-11-20T10:15:00Z",
        "20260-11-20T10:15:00Z",
    };

    (void)state;
    FOR_ROWS (i, wrong) {
        char *copy = exact_copy(str_of(wrong[i]));

        if (decode_time_valid(str_make(copy, strlen(wrong[i]))))
            fail_msg("taken: %s", wrong[i]);
        free(copy);
    }
    assert_false(decode_time_valid(str_make("2026-11-20T10:15:00\0", 20)));
}

/* Every position accepts the right bytes and no other: tries all 256. */
static void every_byte_of_a_time_is_checked(void **state)
{
    static const char *const text = "2026-11-20T10:15:00.123456789Z";
    /* number of bytes that each position accepts, with the others as above */
    static const int taken[] = {10, 10, 10, 10, 1, 2,  3,  1,  3,  10, 1,  3,  10, 1,  6,
                                10, 1,  7,  10, 1, 10, 10, 10, 10, 10, 10, 10, 10, 10, 1};
    char copy[40];

    (void)state;
    for (size_t i = 0; i < strlen(text); i++) {
        int count = 0;

        memcpy(copy, text, strlen(text));
        for (int c = 0; c < 256; c++) {
            copy[i] = (char)c;
            count += decode_time_valid(str_make(copy, strlen(text)));
        }
        if (count != taken[i])
            fail_msg("position %zu takes %d bytes", i, count);
    }
}

/* ---- CRI ---- */

struct cri_vector {
    const char *time;
    const char *rest; /* after the time */
    const char *msg;  /* NULL = not CRI */
    enum record_fd fd;
    unsigned flags;
};

static void check_cri(const struct cri_vector *v)
{
    struct buf line = BUF_INIT(1024);
    struct record r;
    char *copy;
    bool ok;

    assert_int_equal(buf_addf(&line, "%s%s", v->time, v->rest), 0);
    copy = exact_copy(buf_str(&line));
    ok = decode_cri(str_make(copy, line.len), &r);
    if (ok != (v->msg != NULL))
        fail_msg("%s: %s", ok ? "taken" : "refused", line.p);
    if (ok) {
        expect_str(r.time, str_of(v->time), line.p);
        expect_str(r.msg, str_of(v->msg), line.p);
        assert_ptr_equal(r.time.p, copy);
        assert_ptr_equal(r.msg.p + r.msg.len, copy + line.len);
        assert_int_equal(r.fd, v->fd);
        assert_int_equal(r.flags, v->flags);
    }
    free(copy);
    buf_release(&line);
}

static void cri_lines(void **state)
{
    static const struct cri_vector vectors[] = {
        {TIME, " stdout F hello", "hello", RECORD_STDOUT, 0},
        {TIME, " stderr F hello", "hello", RECORD_STDERR, 0},
        {TIME, " stdout P hel", "hel", RECORD_STDOUT, RECORD_PARTIAL},
        {TIME, " stdout F ", "", RECORD_STDOUT, 0},
        {TIME, " stderr P ", "", RECORD_STDERR, RECORD_PARTIAL},
        {TIME, " stdout F", "", RECORD_STDOUT, 0}, /* a tool has stripped its blank */
        {TIME, " stderr P", "", RECORD_STDERR, RECORD_PARTIAL},
        {TIME, " stdout F:x", "", RECORD_STDOUT, 0},
        {"2026-11-20T10:15:00Z", " stdout F", "", RECORD_STDOUT, 0},
        {TIME, " stdout F   two  spaces \r", "  two  spaces \r", RECORD_STDOUT, 0},
        {TIME, " stdout F:x hello", "hello", RECORD_STDOUT, 0},
        {TIME, " stdout P:x:y hello", "hello", RECORD_STDOUT, RECORD_PARTIAL},
        {TIME, " stdout P: ", "", RECORD_STDOUT, RECORD_PARTIAL},
        {"2026-11-20T10:15:00Z", " stdout F x", "x", RECORD_STDOUT, 0},
        {"2026-11-20T10:15:00Z", " stdout F ", "", RECORD_STDOUT, 0},
        {"2026-11-20T10:15:00.1Z", " stdout F x", "x", RECORD_STDOUT, 0},
        {"2026-11-20T10:15:00.12345678Z", " stdout F x", "x", RECORD_STDOUT, 0},
        /* conmon */
        {"2026-11-20T10:15:00.000000000+00:00", " stdout F x", "x", RECORD_STDOUT, 0},
        {"2026-11-20T10:15:00.123456789-07:00", " stderr P x", "x", RECORD_STDERR, RECORD_PARTIAL},
        {"2026-11-20T10:15:00+14:00", " stdout F ", "", RECORD_STDOUT, 0},
        {"1970-01-01T00:00:00Z", " stdout F x", "x", RECORD_STDOUT, 0},
        {"2262-04-11T23:47:16.854775807Z", " stdout F x", "x", RECORD_STDOUT, 0},
        {"2016-12-31T23:59:60.5Z", " stdout F x", "x", RECORD_STDOUT, 0},
    };

    (void)state;
    FOR_ROWS (i, vectors)
        check_cri(&vectors[i]);
}

static void f19_malformed_cri_is_refused(void **state)
{
    static const struct cri_vector vectors[] = {
        {.time = "", .rest = ""},
        {.time = "", .rest = "hello, this is a line of some other kind, long enough"},
        {.time = TIME, .rest = ""},
        {.time = TIME, .rest = " "},
        {.time = TIME, .rest = " stdout"},
        {.time = TIME, .rest = " stdout "},
        {.time = TIME, .rest = " stdout X hello"},
        {.time = TIME, .rest = " stdout FP hello"},
        {.time = TIME, .rest = " stdout  hello"},
        {.time = TIME, .rest = " stdoux F hello"},
        {.time = TIME, .rest = " STDOUT F hello"},
        {.time = TIME, .rest = "  stdout F hello"},
        {.time = TIME, .rest = "\tstdout\tF\thello"},
        {.time = "2026-11-20T10:15:00Z", .rest = " stdout "},
        {.time = "2026-11-20T10:15:00.123456789", .rest = ""},
        {.time = "2026-11-20T10:15:00.Z", .rest = " stdout F x"},
        {.time = "2026-11-20T25:15:00.1Z", .rest = " stdout F x"},
        {.time = "2026-11-20T10:15:00.1234567890Z", .rest = " stdout F x"},
        {.time = "2026-11-20T10:15:00.123456789", .rest = " stdout F x"},
        {.time = "2026-11-20T10:15:00.123456789+", .rest = " stdout F x"},
        {.time = "x" TIME, .rest = " stdout F x"},
    };

    (void)state;
    FOR_ROWS (i, vectors)
        check_cri(&vectors[i]);
}

static void f19_every_prefix_of_a_line_is_read_within_it(void **state)
{
    const struct str lines[] = {
        STR(TIME " stdout F"),
        STR("2026-11-20T10:15:00.123456789+00:00 stderr P"),
        STR("{\"log\":\"a\\u00e9\\n\",\"stream\":\"stdout\",\"time\":\"" TIME "\"}"),
    };
    struct buf scratch = BUF_INIT(256);

    (void)state;
    FOR_ROWS (i, lines) {
        for (size_t n = 0; n <= lines[i].len; n++) {
            char *copy = exact_copy(str_head(lines[i], n));
            enum codec codec;
            struct record r;

            codec = decode_line(CODEC_UNKNOWN, str_make(copy, n), &r, &scratch);
            if (n == lines[i].len)
                assert_int_equal(codec, i == 2 ? CODEC_DOCKER : CODEC_CRI);
            else if (codec != CODEC_UNKNOWN || r.flags != RECORD_RAW || r.msg.len != n)
                fail_msg("taken at %zu of: %s", n, lines[i].p);
            free(copy);
        }
    }
    buf_release(&scratch);
}

static void f18_cri_content_is_kept_byte_for_byte(void **state)
{
    char line[sizeof(TIME " stdout F ") - 1 + 256];
    size_t prefix = sizeof(TIME " stdout F ") - 1;
    struct record r;

    (void)state;
    memcpy(line, TIME " stdout F ", prefix);
    for (int i = 0; i < 256; i++)
        line[prefix + (size_t)i] = (char)i;
    assert_true(decode_cri(str_make(line, sizeof(line)), &r));
    assert_ptr_equal(r.msg.p, line + prefix);
    assert_int_equal(r.msg.len, 256);
}

/* ---- docker ---- */

struct docker_vector {
    const char *line;
    const char *msg; /* NULL = not docker's */
    size_t msg_len;  /* 0 = strlen */
    const char *time;
    enum record_fd fd;
    unsigned flags;
};

#define T ",\"time\":\"" TIME "\"}"

static void check_docker(const struct docker_vector *v)
{
    struct buf scratch = BUF_INIT(4096);
    char *copy = exact_copy(str_of(v->line));
    struct str line = str_make(copy, strlen(v->line));
    struct record r;
    bool ok = decode_docker(line, &r, &scratch);

    if (ok != (v->msg != NULL))
        fail_msg("%s: %s", ok ? "taken" : "refused", v->line);
    if (ok) {
        size_t n = v->msg_len ? v->msg_len : strlen(v->msg);

        expect_str(r.msg, str_make(v->msg, n), v->line);
        expect_str(r.time, str_of(v->time ? v->time : TIME), v->line);
        if (r.fd != v->fd || r.flags != v->flags)
            fail_msg("fd %d, flags %u: %s", r.fd, r.flags, v->line);
    }
    free(copy);
    buf_release(&scratch);
}

static void docker_lines(void **state)
{
    static const struct docker_vector vectors[] = {
        {.line = "{\"log\":\"hello\\n\",\"stream\":\"stdout\"" T, .msg = "hello"},
        {.line = "{\"log\":\"hello\\n\",\"stream\":\"stderr\"" T,
         .msg = "hello",
         .fd = RECORD_STDERR},
        {.line = "{\"log\":\"hel\",\"stream\":\"stdout\"" T, .msg = "hel", .flags = RECORD_PARTIAL},
        {.line = "{\"log\":\"\\n\",\"stream\":\"stdout\"" T, .msg = ""},
        {.line = "{\"log\":\"\",\"stream\":\"stdout\"" T, .msg = "", .flags = RECORD_PARTIAL},
        {.line = "{\"stream\":\"stdout\"" T, .msg = "", .flags = RECORD_PARTIAL},
        {.line = "{\"log\":\"x\\n\"" T, .msg = "x"},
        {.line = "{\"log\":\"x\\n\",\"stream\":\"\"" T, .msg = "x"},
        {.line = "{\"log\":\"x\\n\",\"attrs\":{\"a\":\"b\",\"c\":[1,{}]},\"stream\":\"stdout\"" T,
         .msg = "x"},
        {.line = "{\"time\":\"" TIME "\",\"stream\":\"stderr\",\"log\":\"x\\n\"}",
         .msg = "x",
         .fd = RECORD_STDERR},
        {.line = "{ \"log\" : \"x\\n\" , \"stream\" : \"stdout\" , \"time\" : \"" TIME "\" } ",
         .msg = "x"},
        {.line = "{\"log\":\"x\\n\",\"a\":-1.5e+3,\"b\":true,\"c\":null,\"d\":false,\"e\":[],\"f\":"
                 "[{},[0]]" T,
         .msg = "x"},
        {.line = "{\"log\":\"x\\n\",\"stream\":\"stdout\"}", .msg = "x", .time = ""},
        {.line = "{\"log\":\"x\\n\",\"time\":\"2026-11-20T10:15:00Z\"}",
         .msg = "x",
         .time = "2026-11-20T10:15:00Z"},
        /* escapes */
        {.line = "{\"log\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\n\"" T, .msg = "\"\\/\b\f\n\r\t"},
        {.line = "{\"log\":\"\\u003ca\\u003E \\u0026\\n\"" T, .msg = "<a> &"},
        {.line = "{\"log\":\"a\\u0000b\\n\"" T, .msg = "a\0b", .msg_len = 3},
        {.line = "{\"log\":\"\\u001b[31m\\n\"" T, .msg = "\x1b[31m"},
        {.line = "{\"log\":\"\\u00e9\\u20ac\\u2028\\ufffd\\n\"" T,
         .msg = "\xc3\xa9\xe2\x82\xac\xe2\x80\xa8\xef\xbf\xbd"},
        {.line = "{\"log\":\"\\ud83d\\ude00\\n\"" T, .msg = "\xf0\x9f\x98\x80"},
        {.line = "{\"log\":\"\\uDBFF\\uDFFF\"" T,
         .msg = "\xf4\x8f\xbf\xbf",
         .flags = RECORD_PARTIAL},
        {.line = "{\"log\":\"x\\\\n\"" T, .msg = "x\\n", .flags = RECORD_PARTIAL},
        {.line = "{\"log\":\"x\\\\\\n\"" T, .msg = "x\\"},
        {.line = "{\"log\":\"x\\r\\n\"" T, .msg = "x\r"},
        {.line = "{\"log\":\"x\\u000a\"" T, .msg = "x"},
        {.line = "{\"log\":\"a\\nb\\n\"" T, .msg = "a\nb"},
        /* bytes that are not UTF-8 pass */
        {.line = "{\"log\":\"\xff\xc3\x28\\n\"" T, .msg = "\xff\xc3\x28"},
    };

    (void)state;
    FOR_ROWS (i, vectors)
        check_docker(&vectors[i]);
}

static void f18_lone_surrogates_become_replacement_characters(void **state)
{
    static const struct docker_vector vectors[] = {
        {.line = "{\"log\":\"\\ud800\\n\"" T, .msg = "\xef\xbf\xbd"},
        {.line = "{\"log\":\"\\udc00\\n\"" T, .msg = "\xef\xbf\xbd"},
        {.line = "{\"log\":\"\\ud800x\\n\"" T, .msg = "\xef\xbf\xbdx"},
        {.line = "{\"log\":\"\\ud800\\ud83d\\ude00\\n\"" T, .msg = "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {.line = "{\"log\":\"\\ud800\\u0041\\n\"" T,
         .msg = "\xef\xbf\xbd"
                "A"},
        {.line = "{\"log\":\"\\ud800\\\\u0041\\n\"" T, .msg = "\xef\xbf\xbd\\u0041"},
    };

    (void)state;
    FOR_ROWS (i, vectors)
        check_docker(&vectors[i]);
}

static void f19_what_is_not_dockers_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "{\"log\"}",
        "{\"log\":}",
        "{\"log\":\"x\\n\"",
        "{\"log\":\"x\\n\",}",
        "{\"log\":\"x\\n\"}x",
        "{\"log\":\"x\\n\"}{}",
        "{\"log\":\"x\\n\" \"time\":\"" TIME "\"}",
        "{\"log\":\"x\\n" T,
        "{\"log\":\"x\\q\"" T,
        "{\"log\":\"x\\u12\"" T,
        "{\"log\":\"x\\u12g4\"" T,
        "{\"log\":\"x\ty\\n\"" T,
        "{\"log\":5" T,
        "{\"log\":null" T,
        "{\"log\":{\"level\":\"info\"}" T,
        "{\"log\":\"x\\n\",\"stream\":\"other\"" T,
        "{\"log\":\"x\\n\",\"stream\":1" T,
        "{\"log\":\"x\\n\",\"time\":\"yesterday\"}",
        "{\"log\":\"x\\n\",\"time\":\"2026-13-20T10:15:00Z\"}",
        "{\"log\":\"x\\n\",\"time\":1763633700}",
        "{\"log\":\"x\\n\",\"a\":01" T,
        "{\"log\":\"x\\n\",\"a\":1." T,
        "{\"log\":\"x\\n\",\"a\":-" T,
        "{\"log\":\"x\\n\",\"a\":1e" T,
        "{\"log\":\"x\\n\",\"a\":tru" T,
        "{\"log\":\"x\\n\",\"a\":[1}" T,
        "{\"log\":\"x\\n\",\"a\":{\"b\":1]" T,
        "{\"log\":\"x\\n\",\"a\":[1,]" T,
        "{\"log\":\"x\\n\",\"a\":{1:2}" T,
        "{\"level\":\"info\",\"msg\":\"x\"}",
        /* an application's own: nothing of it may be lost */
        "{\"level\":\"info\",\"msg\":\"x\"" T,
        "{\"level\":\"info\",\"log\":\"x\"}",
        " {\"log\":\"x\\n\"" T,
    };

    (void)state;
    FOR_ROWS (i, lines)
        check_docker(&(struct docker_vector){.line = lines[i]});
}

static void docker_view_points_into_the_line(void **state)
{
    struct str line = STR("{\"log\":\"hello\\n\",\"stream\":\"stdout\"" T);
    struct buf scratch = BUF_INIT(64);
    struct record r;

    (void)state;
    assert_true(decode_docker(line, &r, &scratch));
    assert_ptr_equal(r.msg.p, line.p + 8);
    assert_null(scratch.p);
}

static void docker_nesting_is_capped(void **state)
{
    struct buf scratch = BUF_INIT(64), line = BUF_INIT(1024);
    struct record r;

    (void)state;
    for (unsigned depth = 31; depth <= 33; depth++) {
        buf_clear(&line);
        assert_int_equal(buf_add_str(&line, STR("{\"log\":\"x\\n\",\"a\":")), 0);
        for (unsigned i = 0; i < depth; i++)
            assert_int_equal(buf_add_str(&line, i % 2 ? STR("{\"k\":") : STR("[")), 0);
        assert_int_equal(buf_add_str(&line, STR("0")), 0);
        for (unsigned i = depth; i-- > 0;)
            assert_int_equal(buf_add_ch(&line, i % 2 ? '}' : ']'), 0);
        assert_int_equal(buf_add_str(&line, STR(T)), 0);
        assert_int_equal(decode_docker(buf_str(&line), &r, &scratch), depth <= 32);
    }
    buf_release(&line);
    buf_release(&scratch);
}

/* The cap of the scratch is for the string as written: at the cap it fits, one below it does not.
 */
static void docker_scratch_cap(void **state)
{
    struct str line = STR("{\"log\":\"\\u0041bcd\\n\"" T); /* 11 bytes between the quotes */
    struct record r;

    (void)state;
    for (size_t cap = 10; cap <= 12; cap++) {
        struct buf scratch = BUF_INIT(cap);

        assert_int_equal(decode_docker(line, &r, &scratch), cap >= 11);
        buf_release(&scratch);
    }
}

/* ---- both ---- */

static void hint_changes_nothing_but_the_order(void **state)
{
    const struct {
        struct str line;
        enum codec codec;
    } cases[] = {
        {STR(TIME " stdout F x"), CODEC_CRI},
        {STR("{\"log\":\"x\\n\"" T), CODEC_DOCKER},
        {STR("x"), CODEC_UNKNOWN},
        {STR(""), CODEC_UNKNOWN},
    };
    struct buf scratch = BUF_INIT(64);

    (void)state;
    FOR_ROWS (i, cases) {
        for (enum codec hint = CODEC_UNKNOWN; hint <= CODEC_DOCKER; hint++) {
            struct record r;

            assert_int_equal(decode_line(hint, cases[i].line, &r, &scratch), cases[i].codec);
            if (cases[i].codec)
                expect_str(r.msg, STR("x"), cases[i].line.p);
        }
    }
    buf_release(&scratch);
}

static void f19_other_lines_are_passed_on_raw(void **state)
{
    static const struct str lines[] = {
        {"", 0},
        {"plain text", 10},
        {"a\0b\xff\x1b[0m\r", 9},
        {"2026-13-20T10:15:00Z stdout F x", 31},
        {"{\"level\":\"info\",\"time\":\"" TIME "\"}", 55},
    };
    struct buf scratch = BUF_INIT(64);

    (void)state;
    FOR_ROWS (i, lines) {
        struct record r;

        assert_int_equal(decode_line(CODEC_CRI, lines[i], &r, &scratch), CODEC_UNKNOWN);
        assert_ptr_equal(r.msg.p, lines[i].p);
        assert_int_equal(r.msg.len, lines[i].len);
        assert_int_equal(r.flags, RECORD_RAW);
        assert_int_equal(r.fd, RECORD_STDOUT);
        assert_int_equal(r.time.len, 0);
    }
    buf_release(&scratch);
}

/* No line of a plain file is in a runtime's format. */
static void test_plain_lines(void **state)
{
    static const char *const lines[] = {"{\"log\":\"a\\n\",\"time\":\"2026-11-20T10:15:00Z\"}",
                                        "2026-11-20T10:15:00.1Z stdout P part", "", "x"};
    struct buf scratch = BUF_INIT(4096);

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct record r;

        assert_int_equal(decode_line(CODEC_PLAIN, str_of(lines[i]), &r, &scratch), CODEC_UNKNOWN);
        assert_true(str_eq(r.msg, str_of(lines[i])));
        assert_int_equal(r.flags, RECORD_RAW);
        assert_int_equal(r.time.len, 0);
    }
    buf_release(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_lines),
        cmocka_unit_test(times_in_range_are_valid),
        cmocka_unit_test(f19_wrong_times_are_refused),
        cmocka_unit_test(every_byte_of_a_time_is_checked),
        cmocka_unit_test(cri_lines),
        cmocka_unit_test(f19_malformed_cri_is_refused),
        cmocka_unit_test(f19_every_prefix_of_a_line_is_read_within_it),
        cmocka_unit_test(f18_cri_content_is_kept_byte_for_byte),
        cmocka_unit_test(docker_lines),
        cmocka_unit_test(f18_lone_surrogates_become_replacement_characters),
        cmocka_unit_test(f19_what_is_not_dockers_is_refused),
        cmocka_unit_test(docker_view_points_into_the_line),
        cmocka_unit_test(docker_nesting_is_capped),
        cmocka_unit_test(docker_scratch_cap),
        cmocka_unit_test(hint_changes_nothing_but_the_order),
        cmocka_unit_test(f19_other_lines_are_passed_on_raw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
