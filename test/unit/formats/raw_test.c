/* raw: the message, its framing, its cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/format_fixture.h"
#include "../../lib/unit.h"
#include "base/mem.h"

static void f18_messages_as_they_are(void **state)
{
    const struct {
        enum framing framing;
        struct str msg;
        unsigned flags;
        struct str want;
    } cases[] = {
        {FRAMING_NONE, STR("a\n\xff\x1b\r"), 0, STR("a\n\xff\x1b\r")},
        {FRAMING_NONE, {"a\0b", 3}, 0, {"a\0b", 3}},
        {FRAMING_NONE, {NULL, 0}, 0, STR("")},
        {FRAMING_NONE, STR("x"), RECORD_CUT, STR("x [logtrain: line cut]")},
        {FRAMING_LF, {"a\n\0b\r", 5}, 0, STR("a  b\r\n")},
        {FRAMING_LF, STR("0123456789abcde\n0"), 0, STR("0123456789abcde 0\n")},
        {FRAMING_LF, {NULL, 0}, 0, STR("\n")},
        {FRAMING_OCTET, {"a\n\0b", 4}, 0, {"4 a\n\0b", 6}},
        {FRAMING_OCTET, {NULL, 0}, 0, STR("0 ")},
        {FRAMING_OCTET, STR("0123456789"), 0, STR("10 0123456789")},
        {FRAMING_ARRAY, STR("1"), 0, STR("[1")},
    };
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, cases) {
        struct format_options o = {.format = FORMAT_RAW, .framing = cases[i].framing};
        struct record r = fixture_record(cases[i].msg);

        r.flags = cases[i].flags;
        assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
        expect(buf_str(&out), cases[i].want);
    }
    buf_release(&out);
}

/* The bytes of <msg>, valid as Python's decode(errors="replace") makes them. */
static void expect_valid(const struct format_options *o, struct str msg, struct str want)
{
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(4096);
    struct record r = fixture_record(msg);

    assert_int_equal(fixture_encode(o, &id, &r, &out, NULL), 0);
    assert_true(format_is_utf8(buf_str(&out)));
    if (want.p)
        expect(buf_str(&out), want);
    buf_release(&out);
}

#define R "\xef\xbf\xbd"

static void test_L11_what_is_no_utf8_is_replaced(void **state)
{
    const struct {
        struct str msg, want;
    } rows[] = {
        {STR("ok \xc3\xa9 \xf0\x9f\x98\x80"), STR("ok \xc3\xa9 \xf0\x9f\x98\x80\n")},
        {STR("\xff"), STR(R "\n")},
        {STR("a\x80z"), STR("a" R "z\n")},
        {STR("a\xc3"), STR("a" R "\n")},         /* cut off */
        {STR("a\xe2\x82 b"), STR("a" R " b\n")}, /* the same, in the middle */
        {STR("\xf0\x9f\x98"), STR(R "\n")},
        {STR("\xc0\xaf"), STR(R R "\n")}, /* overlong */
        {STR("\xe0\x80\xaf"), STR(R R R "\n")},
        {STR("\xf0\x80\x80\xaf"), STR(R R R R "\n")},
        {STR("\xed\xa0\x80"), STR(R R R "\n")}, /* a surrogate */
        {STR("\xed\xbf\xbf\xed\xb0\x80"), STR(R R R R R R "\n")},
        {STR("\xf4\x90\x80\x80"), STR(R R R R "\n")}, /* above U+10FFFF */
        {STR("\xfe\n\xff"), STR(R " " R "\n")},
    };
    static const char text[] = "0123456789 \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 end";
    struct buf valid = BUF_INIT(1 << 20);
    struct format_options o = {.format = FORMAT_RAW, .framing = FRAMING_LF, .valid = &valid};

    (void)state;
    FOR_ROWS (i, rows)
        expect_valid(&o, rows[i].msg, rows[i].want);
    for (size_t at = 0; at < sizeof(text) - 1; at++) { /* at every position, every byte */
        char copy[sizeof(text)];

        for (int byte = 0x80; byte <= 0xff; byte++) {
            memcpy(copy, text, sizeof(text));
            copy[at] = (char)byte;
            o.format = FORMAT_RAW;
            expect_valid(&o, str_make(copy, sizeof(text) - 1), (struct str){NULL, 0});
            o.format = FORMAT_RFC5424;
            expect_valid(&o, str_make(copy, sizeof(text) - 1), (struct str){NULL, 0});
        }
        o.format = FORMAT_RAW;
        o.max = at; /* a cut splits no character */
        expect_valid(&o, str_make(text, sizeof(text) - 1), (struct str){NULL, 0});
        o.max = 0;
    }
    o.framing = FRAMING_OCTET; /* the length is that of the valid text */
    expect_valid(&o, STR("a\xff"), STR("4 a" R));
    buf_release(&valid);
}

static void max_cuts_between_characters(void **state)
{
    const struct {
        size_t max;
        struct str want;
    } cases[] = {
        {1, STR("a")},
        {2, STR("a")},
        {3, STR("a")},
        {4, STR("a\xe2\x82\xac")},
        {5, STR("a\xe2\x82\xac"
                "b")},
        {6, STR("a\xe2\x82\xac"
                "b")},
    };
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("a\xe2\x82\xac"
                                         "b"));
    struct buf out = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, cases) {
        struct format_options o = {
            .format = FORMAT_RAW, .framing = FRAMING_NONE, .max = cases[i].max};
        bool cut;

        assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
        expect(buf_str(&out), cases[i].want);
        assert_int_equal(cut, cases[i].max < 5);
    }
    buf_release(&out);
}

static void full_buffer_is_left_alone(void **state)
{
    struct format_options o = {.format = FORMAT_RAW, .framing = FRAMING_LF};
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));

    (void)state;
    for (size_t cap = 5; cap <= 7; cap++) {
        struct buf out = BUF_INIT(cap);

        assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), cap < 6 ? -1 : 0);
        assert_int_equal(out.len, cap < 6 ? 0 : 6);
        buf_release(&out);
    }
}

static void prefixes_for_members(void **state)
{
    struct format_options o = {
        .format = FORMAT_RAW, .framing = FRAMING_OCTET, .prefix = PREFIX_PLACE};
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));
    struct buf out = BUF_INIT(1024), tight = BUF_INIT(38);

    (void)state;
    r.segment = 0xabc;
    r.offset = 0x1f;
    r.time = STR("2026-11-20T11:15:00.5+01:00");
    assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
    expect(buf_str(&out), STR("o0000000000000abc-1f 1795169700 5 hello"));
    assert_int_equal(fixture_encode(&o, &id, &r, &tight, NULL), -1); /* a byte too few */
    assert_int_equal(tight.len, 0);
    r.fd = RECORD_STDERR;
    assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
    expect(buf_str(&out), STR("e0000000000000abc-1f 1795169700 5 hello"));
    r.flags = RECORD_GAP;
    assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
    expect(buf_str(&out), STR("g0000000000000abc-1f 1795169700 5 hello"));
    o.prefix = PREFIX_ID;
    assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
    expect(buf_str(&out), STR("0000000000000abc-1f 5 hello"));
    buf_release(&tight);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f18_messages_as_they_are),
        cmocka_unit_test(test_L11_what_is_no_utf8_is_replaced),
        cmocka_unit_test(max_cuts_between_characters),
        cmocka_unit_test(full_buffer_is_left_alone),
        cmocka_unit_test(prefixes_for_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
