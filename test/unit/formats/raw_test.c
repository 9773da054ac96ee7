/* raw: the message, its framing, its cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/format_fixture.h"
#include "base/mem.h"

static void expect(struct str got, struct str want)
{
    if (!str_eq(got, want))
        fail_msg("got '%.*s', expected '%.*s'", STR_ARG(got), STR_ARG(want));
}

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
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct format_options o = {.format = FORMAT_RAW, .framing = cases[i].framing};
        struct record r = fixture_record(cases[i].msg);

        r.flags = cases[i].flags;
        assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
        expect(buf_str(&out), cases[i].want);
    }
    buf_release(&out);
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
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f18_messages_as_they_are),
        cmocka_unit_test(max_cuts_between_characters),
        cmocka_unit_test(full_buffer_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
