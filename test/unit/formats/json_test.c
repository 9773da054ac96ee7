/* json: the packet object; it is valid whatever the message contains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../lib/format_fixture.h"
#include "../../lib/json_reader.h"
#include "../../lib/unit.h"
#include "base/mem.h"
#include "formats/format_internal.h"

static const struct format_options plain = {.format = FORMAT_JSON, .framing = FRAMING_NONE};

static void one_object_each(void **state)
{
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));

    (void)state;
    expect_encoded(&plain, &id, &r,
                   STR("{\"severity\":6,\"facility\":1,\"hostname\":\"web.shop\",\"tag\":\"web-1\","
                       "\"time\":\"2026-11-20T10:15:00.123456789Z\",\"message\":\"hello\"}"));
    r.fd = RECORD_STDERR;
    r.time = STR("2016-12-31T23:59:60.5+01:00");
    r.flags = RECORD_CUT;
    expect_encoded(&plain, &id, &r,
                   STR("{\"severity\":3,\"facility\":1,\"hostname\":\"web.shop\",\"tag\":\"web-1\","
                       "\"time\":\"2016-12-31T23:59:59.5+01:00\","
                       "\"message\":\"hello [logtrain: line cut]\"}"));
    expect_encoded(&plain, &(struct identity){.refs = 1}, &(struct record){.msg = {NULL, 0}},
                   STR("{\"severity\":6,\"facility\":1,\"hostname\":\"\",\"tag\":\"\","
                       "\"time\":\"" FIXTURE_NOW "\",\"message\":\"\"}"));
}

static void more_keys_with_sd(void **state)
{
    struct format_options o = {.format = FORMAT_JSON, .framing = FRAMING_NONE, .sd = true};
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));

    (void)state;
    expect_encoded(&o, &id, &r,
                   STR("{\"severity\":6,\"facility\":1,\"hostname\":\"web.shop\",\"tag\":\"web-1\","
                       "\"time\":\"2026-11-20T10:15:00.123456789Z\",\"message\":\"hello\","
                       "\"namespace\":\"shop\",\"pod\":\"web-1\",\"container\":\"app\","
                       "\"node\":\"n1\",\"stream\":\"stdout\",\"id\":\"0000000000000abc-1f\"}"));
    r.fd = RECORD_STDERR;
    id = (struct identity){.hostname = STR("\""), .tag = STR("\n\xff"), .node = STR("\\")};
    expect_encoded(
        &o, &id, &r,
        STR("{\"severity\":3,\"facility\":1,\"hostname\":\"\\\"\",\"tag\":\"\\n\xef\xbf\xbd\","
            "\"time\":\"2026-11-20T10:15:00.123456789Z\",\"message\":\"hello\","
            "\"node\":\"\\\\\",\"stream\":\"stderr\",\"id\":\"0000000000000abc-1f\"}"));
}

struct escape_vector {
    struct str in, out;
};

static void add_escaped(struct buf *out, struct str s)
{
    size_t used, n = format_json_measure(s, SIZE_MAX, &used);

    assert_int_equal(used, s.len);
    assert_int_equal(buf_reserve(out, n), 0);
    assert_ptr_equal(format_json_put(out->p + out->len, s), out->p + out->len + n);
    out->len += n;
}

/* Each vector at each of 20 offsets, so that every lane of the wide copies meets it; with text
 * behind it or none. */
static void f18_escapes(void **state)
{
    const struct escape_vector escapes[] = {
        {STR(""), STR("")},
        {STR("plain <b>&amp;</b> / ~\x7f"), STR("plain <b>&amp;</b> / ~\x7f")},
        {STR("\"\\\b\f\n\r\t"), STR("\\\"\\\\\\b\\f\\n\\r\\t")},
        {{"\0\x01\x1b[0m\x1f", 7}, STR("\\u0000\\u0001\\u001b[0m\\u001f")},
        {STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
        {STR("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
         STR("\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa")},
        {STR("\xef\xbf\xbd\xef\xbf\xbf\xef\xbb\xbf"), STR("\xef\xbf\xbd\xef\xbf\xbf\xef\xbb\xbf")},
#define R "\xef\xbf\xbd"
        {STR("\xff"), STR(R)},
        {STR("\x80\xbf"), STR(R R)},
        {STR("\xc3(\xa9"), STR(R "(" R)},
        {STR("\xc0\x80\xc1\xbf"), STR(R R R R)},             /* overlong */
        {STR("\xe0\x80\x80\xe0\x9f\xbf"), STR(R R R R R R)}, /* overlong */
        {STR("\xf0\x80\x80\x80"), STR(R R R R)},             /* overlong */
        {STR("\xed\xa0\x80\xed\xbf\xbf"), STR(R R R R R R)}, /* surrogates */
        {STR("\xed\x9f\xbf\xee\x80\x80"), STR("\xed\x9f\xbf\xee\x80\x80")},
        {STR("\xf4\x8f\xbf\xbf\xf4\x90\x80\x80"), STR("\xf4\x8f\xbf\xbf" R R R R)},
        {STR("\xf5\x80\xf8"), STR(R R R)},
        {STR("\xe2\x82"), STR(R)}, /* cut off: one for the whole part */
        {STR("\xe2\x82x\xf0\x9f\x98y\xf0"), STR(R "x" R "y" R)},
        /* Unicode 15 §3.9, table 3-8 to 3-11 */
        {STR("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), STR(R R R R R R R R "A")},
        {STR("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), STR(R R R R R R R R "A")},
        {STR("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), STR(R R R R R "A" R R "B")},
        {STR("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), STR(R R R R "A")},
    };
    struct buf in = BUF_INIT(1024), out = BUF_INIT(4096), want = BUF_INIT(4096);

    (void)state;
    FOR_ROWS (i, escapes) {
        for (int k = 0; k < 40; k++) {
            int before = k / 2, after = k % 2 * 40;
            char *copy;

            buf_clear(&in);
            buf_clear(&want);
            buf_clear(&out);
            assert_int_equal(buf_addf(&in, "%*s", before, ""), 0);
            assert_int_equal(buf_add_str(&in, escapes[i].in), 0);
            assert_int_equal(buf_addf(&in, "%*s", after, ""), 0);
            assert_int_equal(buf_addf(&want, "%*s", before, ""), 0);
            assert_int_equal(buf_add_str(&want, escapes[i].out), 0);
            assert_int_equal(buf_addf(&want, "%*s", after, ""), 0);
            copy = xmalloc(in.len + 1);
            memcpy(copy, in.p, in.len);
            add_escaped(&out, str_make(copy, in.len));
            expect(buf_str(&out), buf_str(&want));
            free(copy);
        }
    }
    buf_release(&in);
    buf_release(&out);
    buf_release(&want);
}

/* A strict reader gets the original message, with U+FFFD for bytes that are not UTF-8. */
static void f18_round_trip(void **state)
{
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
    unsigned seed = 1;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        char bytes[1200];
        size_t n = (size_t)(i % (i % 10 ? 64 : 1200));
        struct record r = fixture_record(str_make(bytes, n));

        for (size_t k = 0; k < n; k++) {
            seed = seed * 1103515245 + 12345;
            /* mostly lead and continuation bytes, or mostly ASCII */
            bytes[k] = (char)(seed >> 16 & (i % 3 ? 0x7f : 0xff));
            if (i % 3 == 2 && k % 5 == 0)
                bytes[k] = (char)(bytes[k] | 0x80);
        }
        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(json_valid(buf_str(&out)));
        assert_true(json_get(buf_str(&out), "message", &got));
        buf_clear(&want);
        assert_int_equal(utf8_sanitize(r.msg, &want), 0);
        expect(buf_str(&got), buf_str(&want));
        assert_null(memchr(out.p, '\n', out.len));
    }
    buf_release(&out);
    buf_release(&want);
    buf_release(&got);
}

#define OBJECT(msg)                                                                                \
    "{\"severity\":6,\"facility\":1,\"hostname\":\"web.shop\",\"tag\":\"web-1\","                  \
    "\"time\":\"" FIXTURE_TIME "\",\"message\":\"" msg "\"}"

static void framings(void **state)
{
    const struct {
        enum framing framing;
        struct str want;
    } cases[] = {
        {FRAMING_NONE, STR(OBJECT("a\\nb") OBJECT(""))},
        {FRAMING_LF, STR(OBJECT("a\\nb") "\n" OBJECT("") "\n")},
        {FRAMING_OCTET, STR("120 " OBJECT("a\\nb") "116 " OBJECT(""))},
        {FRAMING_ARRAY, STR("[" OBJECT("a\\nb") "," OBJECT("") "]")},
    };
    struct identity id = fixture_identity();
    struct record a = fixture_record(STR("a\nb")), b = fixture_record(STR(""));

    (void)state;
    FOR_ROWS (i, cases) {
        struct format_options o = {.format = FORMAT_JSON, .framing = cases[i].framing};
        struct formatter *f = formatter_create(&o, &id);
        struct buf out = BUF_INIT(1024);

        assert_int_equal(formatter_add(f, &out, &a, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_add(f, &out, &b, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_end(f, &out), 0);
        expect(buf_str(&out), cases[i].want);
        buf_release(&out);
        formatter_free(f);
    }
}

static void empty_array_is_valid(void **state)
{
    struct format_options o = {.format = FORMAT_JSON, .framing = FRAMING_ARRAY};
    struct identity id = fixture_identity();
    struct formatter *f = formatter_create(&o, &id);
    struct buf out = BUF_INIT(8);

    (void)state;
    assert_int_equal(formatter_end(f, &out), 0);
    expect(buf_str(&out), STR("[]"));
    buf_release(&out);
    formatter_free(f);
}

/* The worst case (six bytes for one) need not fit, only what is really written. Small and large
 * messages. */
static void full_buffer_is_left_alone(void **state)
{
    struct identity id = fixture_identity();
    char large[2000];
    const struct str messages[] = {STR("four"), STR("\x01\n"), {large, sizeof(large)}};
    struct buf whole = BUF_INIT(1 << 20);

    (void)state;
    memset(large, '"', sizeof(large));
    FOR_ROWS (i, messages) {
        for (enum framing framing = FRAMING_NONE; framing <= FRAMING_ARRAY; framing++) {
            struct format_options o = {.format = FORMAT_JSON, .framing = framing};
            struct record r = fixture_record(messages[i]);

            assert_int_equal(fixture_encode(&o, &id, &r, &whole, NULL), 0);
            for (size_t cap = whole.len - 1; cap <= whole.len + 1; cap++) {
                struct buf out = BUF_INIT(cap);

                assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), cap < whole.len ? -1 : 0);
                expect(buf_str(&out), cap < whole.len ? STR("") : buf_str(&whole));
                buf_release(&out);
            }
        }
    }
    buf_release(&whole);
}

static void max_cuts_the_message(void **state)
{
    const struct {
        struct str msg;
        unsigned flags;
        size_t max; /* for the message as escaped */
        struct str want;
        bool cut;
    } cases[] = {
        {STR("hello"), 0, 6, STR("hello"), false},
        {STR("hello"), 0, 5, STR("hello"), false},
        {STR("hello"), 0, 4, STR("hell"), true},
        {STR("hello"), 0, 0, STR(""), true},
        {STR("a\n"), 0, 3, STR("a\\n"), false},
        {STR("a\n"), 0, 2, STR("a"), true},
        {STR("a\x01"), 0, 7, STR("a\\u0001"), false},
        {STR("a\x01"), 0, 6, STR("a"), true},
        {STR("\xe2\x82\xac\xe2\x82\xac"), 0, 5, STR("\xe2\x82\xac"), true},
        {STR("\xff\xff"), 0, 5, STR("\xef\xbf\xbd"), true},
        {STR("0123456789abcdef"), 0, 9, STR("012345678"), true},
        {STR("hello"), RECORD_CUT, 26, STR("hello [logtrain: line cut]"), false},
        {STR("hello"), RECORD_CUT, 25, STR("hello"), true},
    };
    struct identity id = fixture_identity();
    size_t fixed = sizeof(OBJECT("")) - 1;
    struct buf out = BUF_INIT(1024), want = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, cases) {
        struct format_options o = {
            .format = FORMAT_JSON, .framing = FRAMING_NONE, .max = fixed + cases[i].max};
        struct record r = fixture_record(cases[i].msg);
        bool cut;

        r.flags = cases[i].flags;
        assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
        buf_clear(&want);
        assert_int_equal(buf_addf(&want, OBJECT("%.*s"), STR_ARG(cases[i].want)), 0);
        expect(buf_str(&out), buf_str(&want));
        assert_int_equal(cut, cases[i].cut);
    }
    buf_release(&out);
    buf_release(&want);
}

/* An object that cannot fit keeps its keys, with an empty message. */
static void max_never_breaks_the_object(void **state)
{
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("a\"\n\xe2\x80\xa8\xff"));
    struct buf out = BUF_INIT(1024);

    (void)state;
    for (size_t max = 1; max < 300; max++) {
        struct format_options o = {
            .format = FORMAT_JSON, .framing = FRAMING_NONE, .sd = true, .max = max};
        bool cut;

        assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
        assert_true(json_valid(buf_str(&out)));
        assert_true(out.len <= max || cut);
        if (max >= 250)
            assert_true(out.len <= max);
    }
    buf_release(&out);
}

/* The reader that the tests use refuses invalid JSON. */
static void reader_refuses_what_is_not_json(void **state)
{
    const struct str wrong[] = {
        STR(""),
        STR("{"),
        STR("{\"a\":1"),
        STR("{\"a\" :1}"),
        STR("{\"a\":01}"),
        STR("\"\n\""),
        STR("\"\\q\""),
        STR("\"\\u12\""),
        STR("\"\xff\""),
        STR("\"\xed\xa0\x80\""),
        STR("\"\xc0\x80\""),
        STR("[1,]"),
        STR("{\"a\":1}x"),
        STR("\"\\ud800\""),
        STR("\"a"),
    };

    (void)state;
    FOR_ROWS (i, wrong) {
        if (json_valid(wrong[i]))
            fail_msg("taken: %s", wrong[i].p);
    }
    assert_true(json_valid(STR("{\"a\":[1,-2.5e3,\"\\ud83d\\ude00\"],\"b\":null}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_object_each),
        cmocka_unit_test(more_keys_with_sd),
        cmocka_unit_test(f18_escapes),
        cmocka_unit_test(f18_round_trip),
        cmocka_unit_test(framings),
        cmocka_unit_test(empty_array_is_valid),
        cmocka_unit_test(full_buffer_is_left_alone),
        cmocka_unit_test(max_cuts_the_message),
        cmocka_unit_test(max_never_breaks_the_object),
        cmocka_unit_test(reader_refuses_what_is_not_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
