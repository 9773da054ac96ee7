/* rfc5424: the encoded record; a strict reader gets the original values back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../lib/format_fixture.h"
#include "../../lib/rfc5424_reader.h"
#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"

static const struct format_options plain = {.format = FORMAT_RFC5424, .framing = FRAMING_NONE};

static void one_line_each(void **state)
{
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));

    (void)state;
    expect_encoded(&plain, &id, &r,
                   STR("<14>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - - hello"));
    r.fd = RECORD_STDERR;
    expect_encoded(&plain, &id, &r,
                   STR("<11>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - - hello"));
    r.msg = str_make(NULL, 0);
    expect_encoded(&plain, &id, &r, STR("<11>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - - "));
    r.flags = RECORD_CUT;
    expect_encoded(
        &plain, &id, &r,
        STR("<11>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - -  [logtrain: line cut]"));
    expect_encoded(&plain, &(struct identity){.refs = 1}, &(struct record){.msg = STR("x")},
                   STR("<14>1 " FIXTURE_NOW " - - - - - x"));
}

static void times(void **state)
{
    const struct {
        struct str in, out;
    } cases[] = {
        {STR(""), STR(FIXTURE_NOW)},
        {STR("2026-11-20T10:15:00Z"), STR("2026-11-20T10:15:00Z")},
        {STR("2026-11-20T10:15:00.1Z"), STR("2026-11-20T10:15:00.1Z")},
        {STR("2026-11-20T10:15:00.12345Z"), STR("2026-11-20T10:15:00.12345Z")},
        {STR("2026-11-20T10:15:00.123456Z"), STR("2026-11-20T10:15:00.123456Z")},
        {STR("2026-11-20T10:15:00.1234567Z"), STR("2026-11-20T10:15:00.123456Z")},
        {STR("2026-11-20T10:15:00.999999999Z"), STR("2026-11-20T10:15:00.999999Z")},
        {STR("2026-11-20T10:15:00.123456789+00:00"), STR("2026-11-20T10:15:00.123456+00:00")},
        {STR("2026-11-20T10:15:00-07:30"), STR("2026-11-20T10:15:00-07:30")},
        {STR("2026-11-20T10:15:00.5+07:30"), STR("2026-11-20T10:15:00.5+07:30")},
        {STR("2016-12-31T23:59:60Z"), STR("2016-12-31T23:59:59Z")},
        {STR("2016-12-31T23:59:60.123456789Z"), STR("2016-12-31T23:59:59.123456Z")},
        {STR("1970-01-01T00:00:00Z"), STR("1970-01-01T00:00:00Z")},
        {STR("2262-04-11T23:47:16.854775807Z"), STR("2262-04-11T23:47:16.854775Z")},
    };
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, cases) {
        struct record r = fixture_record(STR("x"));
        struct rfc5424 m;

        r.time = cases[i].in;
        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(rfc5424_read(buf_str(&out), &m));
        expect(m.time, cases[i].out);
        expect(m.msg, STR("x"));
    }
    buf_release(&out);
}

static void header_fields_are_always_valid(void **state)
{
    const struct {
        struct str host, tag, host_out, tag_out;
    } cases[] = {
        {STR(""), STR(""), STR("-"), STR("-")},
        {STR("a b"), STR("c\nd"), STR("a_b"), STR("c_d")},
        {STR("h\xc3\xa9"), STR("\x7f~!\x01"), STR("h__"), STR("_~!_")},
        {{"\0x", 2}, STR("] \""), STR("_x"), STR("]_\"")},
    };
    struct record r = fixture_record(STR("x"));
    struct buf out = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, cases) {
        struct identity id = {.hostname = cases[i].host, .tag = cases[i].tag};
        struct rfc5424 m;

        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(rfc5424_read(buf_str(&out), &m));
        expect(m.host, cases[i].host_out);
        expect(m.app, cases[i].tag_out);
        expect(m.sd, STR("-"));
    }
    buf_release(&out);
}

static void hostname_is_cut_at_255(void **state)
{
    char name[HOSTNAME_MAX + 1];
    struct record r = fixture_record(STR("x"));
    struct buf out = BUF_INIT(1024);

    (void)state;
    memset(name, 'h', sizeof(name));
    for (size_t n = HOSTNAME_MAX - 1; n <= HOSTNAME_MAX + 1; n++) {
        struct identity id = {.hostname = {name, n}};
        struct rfc5424 m;

        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(rfc5424_read(buf_str(&out), &m));
        assert_int_equal(m.host.len, n < HOSTNAME_MAX ? n : HOSTNAME_MAX);
    }
    buf_release(&out);
}

static void long_tag_goes_whole_into_structured_data(void **state)
{
    char tag[APPNAME_MAX + 2];
    struct record r = fixture_record(STR("x"));
    struct buf out = BUF_INIT(1024), value = BUF_INIT(1024);

    (void)state;
    memset(tag, 't', sizeof(tag));
    tag[1] = '"';
    for (size_t n = APPNAME_MAX - 1; n <= APPNAME_MAX + 1; n++) {
        struct identity id = {.hostname = STR("h"), .tag = {tag, n}};
        struct rfc5424 m;
        bool found;

        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(rfc5424_read(buf_str(&out), &m));
        assert_int_equal(m.app.len, n < APPNAME_MAX ? n : APPNAME_MAX);
        buf_clear(&value);
        rfc5424_sd(m.sd, "tag", &value, &found);
        assert_int_equal(found, n > APPNAME_MAX);
        if (found)
            expect(buf_str(&value), id.tag);
        else
            expect(m.sd, STR("-"));
    }
    buf_release(&out);
    buf_release(&value);
}

static void structured_data(void **state)
{
    struct format_options o = {.format = FORMAT_RFC5424, .framing = FRAMING_NONE, .sd = true};
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));

    (void)state;
    expect_encoded(&o, &id, &r,
                   STR("<14>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - [logtrain@32473 "
                       "namespace=\"shop\" pod=\"web-1\" container=\"app\" node=\"n1\" "
                       "id=\"0000000000000abc-1f\"] hello"));
    r.segment = UINT64_MAX;
    r.offset = 0;
    id = (struct identity){.hostname = STR("h"), .tag = STR("t")};
    expect_encoded(&o, &id, &r,
                   STR("<14>1 2026-11-20T10:15:00.123456Z h t - - [logtrain@32473 "
                       "id=\"ffffffffffffffff-0\"] hello"));
    r.offset = UINT64_MAX;
    id.tag = STR("0123456789012345678901234567890123456789012345678");
    expect_encoded(&o, &id, &r,
                   STR("<14>1 2026-11-20T10:15:00.123456Z h "
                       "012345678901234567890123456789012345678901234567 - - [logtrain@32473 "
                       "tag=\"0123456789012345678901234567890123456789012345678\" "
                       "id=\"ffffffffffffffff-ffffffffffffffff\"] hello"));
}

static void parameter_values_are_escaped(void **state)
{
    struct format_options o = {.format = FORMAT_RFC5424, .framing = FRAMING_NONE, .sd = true};
    struct identity id = {.pod = STR("a\"b]c\\d"),
                          .node = STR("x\ny\x7fz\xff\xe2\x82\xac\xe2\x82"),
                          .container = {"\0", 1}};
    struct record r = fixture_record(STR("x"));

    (void)state;
    expect_encoded(
        &o, &id, &r,
        STR("<14>1 2026-11-20T10:15:00.123456Z - - - - [logtrain@32473 "
            "pod=\"a\\\"b\\]c\\\\d\" container=\" \" node=\"x y z\xef\xbf\xbd\xe2\x82\xac"
            "\xef\xbf\xbd\" id=\"0000000000000abc-1f\"] x"));
}

/* All bytes, at every alignment of the 16 that are copied at once. */
static void f18_bytes_survive(void **state)
{
    static const enum framing framings[] = {FRAMING_NONE, FRAMING_OCTET, FRAMING_LF};
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(4096);
    char bytes[256 + 40];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    FOR_ROWS (i, framings) {
        for (size_t n = 0; n <= sizeof(bytes); n++) {
            struct format_options o = {.format = FORMAT_RFC5424, .framing = framings[i]};
            struct record r = fixture_record(str_make(bytes, n));
            struct str text, frame_len;
            struct rfc5424 m;

            assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
            text = buf_str(&out);
            if (framings[i] == FRAMING_OCTET) {
                uint64_t len;

                assert_true(str_cut(&text, ' ', &frame_len));
                assert_true(str_to_u64(frame_len, 100000, &len));
                assert_int_equal(len, text.len);
            } else if (framings[i] == FRAMING_LF) {
                assert_int_equal(text.p[--text.len], '\n');
                assert_null(memchr(text.p, '\n', text.len));
                assert_null(memchr(text.p, '\0', text.len));
            }
            assert_true(rfc5424_read(text, &m));
            assert_int_equal(m.msg.len, n);
            for (size_t k = 0; k < n; k++) {
                char want = bytes[k];

                if (framings[i] == FRAMING_LF && (want == '\n' || want == '\0'))
                    want = ' ';
                assert_int_equal(m.msg.p[k], want);
            }
        }
    }
    buf_release(&out);
}

static void framings(void **state)
{
    static const struct {
        enum framing framing;
        const char *first, *second, *end;
    } cases[] = {
        {FRAMING_NONE, "", "", ""},
        {FRAMING_LF, "", "\n", "\n"},
        {FRAMING_OCTET, "60 ", "59 ", ""},
        {FRAMING_ARRAY, "[", ",", "]"},
    };
    struct identity id = fixture_identity();
    struct record a = fixture_record(STR("hello")), b = fixture_record(STR("four"));

    (void)state;
    FOR_ROWS (i, cases) {
        struct format_options o = {.format = FORMAT_RFC5424, .framing = cases[i].framing};
        struct formatter *f = formatter_create(&o, &id);
        struct buf out = BUF_INIT(1024), want = BUF_INIT(1024);

        assert_int_equal(formatter_add(f, &out, &a, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_add(f, &out, &b, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_end(f, &out), 0);
        assert_int_equal(buf_addf(&want, "%s%s%s%s%s", cases[i].first,
                                  "<14>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - - hello",
                                  cases[i].second,
                                  "<14>1 2026-11-20T10:15:00.123456Z web.shop web-1 - - - four",
                                  cases[i].end),
                         0);
        expect(buf_str(&out), buf_str(&want));
        buf_release(&out);
        buf_release(&want);
        formatter_free(f);
    }
}

/* The buffer's cap: exactly enough is enough, one less leaves it as it was. */
static void full_buffer_is_left_alone(void **state)
{
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello"));

    (void)state;
    for (enum framing framing = FRAMING_NONE; framing <= FRAMING_ARRAY; framing++) {
        struct format_options o = {.format = FORMAT_RFC5424, .framing = framing};
        size_t len = 60 + (framing == FRAMING_OCTET ? 3 : framing != FRAMING_NONE);
        struct formatter *f = formatter_create(&o, &id);

        for (size_t cap = len + 3; cap <= len + 5; cap++) {
            struct buf out = BUF_INIT(cap);

            assert_int_equal(buf_add_str(&out, STR("four")), 0);
            assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL),
                             cap < len + 4 ? -1 : 0);
            assert_int_equal(out.len, cap < len + 4 ? 4 : len + 4);
            assert_int_equal(out.p[out.len], '\0');
            buf_release(&out);
        }
        formatter_free(f);
    }
}

static void max_cuts_the_record(void **state)
{
    const struct {
        struct str msg;
        unsigned flags;
        size_t max; /* beyond the 55 bytes of the header */
        struct str want;
        bool cut;
    } cases[] = {
        {STR("hello"), 0, 6, STR("hello"), false},
        {STR("hello"), 0, 5, STR("hello"), false},
        {STR("hello"), 0, 4, STR("hell"), true},
        {STR("hello"), 0, 0, STR(""), true},
        {STR("a\xe2\x82\xac"
             "b"),
         0, 4, STR("a\xe2\x82\xac"), true},
        {STR("a\xe2\x82\xac"
             "b"),
         0, 3, STR("a"), true},
        {STR("a\xe2\x82\xac"
             "b"),
         0, 2, STR("a"), true},
        {STR("a\xe2\x82\xac"
             "b"),
         0, 1, STR("a"), true},
        {STR("\xf0\x9f\x98\x80"), 0, 3, STR(""), true},
        /* not UTF-8: cut at the byte */
        {STR("\xf0\x9f\x98x"), 0, 3, STR("\xf0\x9f\x98"), true},
        {STR("\x80\x80\x80\x80\x80"), 0, 4, STR("\x80\x80\x80\x80"), true},
        {STR("\xff\xff\xff"), 0, 2, STR("\xff\xff"), true},
        {STR("hello"), RECORD_CUT, 26, STR("hello [logtrain: line cut]"), false},
        {STR("hello"), RECORD_CUT, 25, STR("hello [logtrain: line cut"), true},
        {STR("hello"), RECORD_CUT, 5, STR("hello"), true},
        {STR("hello"), RECORD_CUT, 4, STR("hell"), true},
    };
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(1024);

    (void)state;
    FOR_ROWS (i, cases) {
        struct format_options o = {
            .format = FORMAT_RFC5424, .framing = FRAMING_NONE, .max = 55 + cases[i].max};
        struct record r = fixture_record(cases[i].msg);
        struct rfc5424 m;
        bool cut;

        r.flags = cases[i].flags;
        assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
        assert_true(rfc5424_read(buf_str(&out), &m));
        expect(m.msg, cases[i].want);
        assert_int_equal(cut, cases[i].cut);
    }
    buf_release(&out);
}

/* Any limit: never exceeded, and a frame has the right length. */
static void max_holds_for_every_size(void **state)
{
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("h\xc3\xa9llo w\xe2\x82\xacrld"));
    struct buf out = BUF_INIT(1024);
    const size_t whole = 185; /* bytes, when nothing limits it */

    (void)state;
    r.flags = RECORD_CUT;
    for (size_t max = 1; max < 250; max++) {
        struct format_options o = {
            .format = FORMAT_RFC5424, .framing = FRAMING_OCTET, .sd = true, .max = max};
        struct str text, frame_len;
        struct rfc5424 m;
        uint64_t len;
        bool cut;

        assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
        text = buf_str(&out);
        assert_true(str_cut(&text, ' ', &frame_len));
        assert_true(str_to_u64(frame_len, 1000, &len));
        assert_int_equal(len, text.len);
        assert_true(text.len <= max);
        /* Structured data is dropped before the header is cut. */
        if (max >= 55)
            assert_true(rfc5424_read(text, &m));
        assert_int_equal(cut, max < whole);
    }
    buf_release(&out);
}

/* A record of a network input: the same in each framing, with any number of digits in its length,
 * with its priority, its fields made valid, and a time of any form. */
static void received_in_each_framing(void **state)
{
    static const struct {
        enum framing framing;
        const char *before, *after;
    } framings[] = {{FRAMING_OCTET, "", ""}, {FRAMING_LF, "", "\n"}, {FRAMING_ARRAY, "[", ""}};
    static const char *const times[] = {"2026-11-20T10:15:00Z", "2026-11-20T10:15:00.5+01:00",
                                        "2026-11-20T10:15:00.123456789-01:30"};
    static const unsigned char pris[] = {0, 9, 10, 99, 100, 191};
    static char text[2000];
    struct identity id = fixture_identity();
    struct buf bare = BUF_INIT(1 << 16), got = BUF_INIT(1 << 16), want = BUF_INIT(1 << 16);

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t n = 0; n < sizeof(text); n++) {
        const struct record_syslog s = {.tag = STR("app\x7f.12345678"),
                                        .procid = n % 2 ? STR("1") : STR(""),
                                        .pri = pris[n % ARRAY_LEN(pris)]};
        struct record r = fixture_record(str_make(text, n));

        r.time = str_of(times[n % ARRAY_LEN(times)]);
        r.syslog = &s;
        assert_int_equal(fixture_encode(&plain, &id, &r, &bare, NULL), 0);
        buf_clear(&want);
        (void)buf_addf(&want, "<%u>1 %.*s%s web.shop app_.12345678 %s - - ", s.pri,
                       n % 3 == 2   ? 26
                       : n % 3 == 1 ? 21
                                    : 19,
                       r.time.p,
                       n % 3 == 2   ? "-01:30"
                       : n % 3 == 1 ? "+01:00"
                                    : "Z",
                       n % 2 ? "1" : "-");
        (void)buf_add(&want, text, n);
        expect(buf_str(&bare), buf_str(&want));
        FOR_ROWS (i, framings) {
            struct format_options o = {.format = FORMAT_RFC5424, .framing = framings[i].framing};

            assert_int_equal(fixture_encode(&o, &id, &r, &got, NULL), 0);
            buf_clear(&want);
            if (o.framing == FRAMING_OCTET)
                (void)buf_addf(&want, "%zu ", bare.len);
            else
                (void)buf_add_str(&want, str_of(framings[i].before));
            (void)buf_add_str(&want, buf_str(&bare));
            (void)buf_add_str(&want, str_of(framings[i].after));
            expect(str_head(buf_str(&got), want.len), buf_str(&want));
        }
    }
    buf_release(&bare);
    buf_release(&got);
    buf_release(&want);
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(format_parse(STR("rfc5424")), FORMAT_RFC5424);
    assert_int_equal(format_parse(STR("json")), FORMAT_JSON);
    assert_int_equal(format_parse(STR("raw")), FORMAT_RAW);
    assert_int_equal(format_parse(STR("JSON")), FORMAT_NONE);
    assert_int_equal(format_parse(STR("")), FORMAT_NONE);
    assert_int_equal(format_parse(STR("none")), FORMAT_NONE);
    assert_string_equal(format_name(FORMAT_RFC5424), "rfc5424");
    assert_string_equal(format_name(FORMAT_NONE), "none");
    assert_string_equal(format_content_type(FORMAT_RFC5424, FRAMING_LF), "application/syslog");
    assert_string_equal(format_content_type(FORMAT_JSON, FRAMING_NONE), "application/json");
    assert_string_equal(format_content_type(FORMAT_JSON, FRAMING_ARRAY), "application/json");
    assert_string_equal(format_content_type(FORMAT_JSON, FRAMING_LF), "application/x-ndjson");
    assert_string_equal(format_content_type(FORMAT_RAW, FRAMING_LF), "text/plain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_each),
        cmocka_unit_test(times),
        cmocka_unit_test(header_fields_are_always_valid),
        cmocka_unit_test(hostname_is_cut_at_255),
        cmocka_unit_test(long_tag_goes_whole_into_structured_data),
        cmocka_unit_test(structured_data),
        cmocka_unit_test(parameter_values_are_escaped),
        cmocka_unit_test(f18_bytes_survive),
        cmocka_unit_test(framings),
        cmocka_unit_test(full_buffer_is_left_alone),
        cmocka_unit_test(max_cuts_the_record),
        cmocka_unit_test(max_holds_for_every_size),
        cmocka_unit_test(received_in_each_framing),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
