/* gelf: a valid GELF 1.1 object whatever the record contains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/format_fixture.h"
#include "../../lib/json_reader.h"
#include "../../lib/unit.h"
#include "base/mem.h"
#include "formats/format_internal.h"

static const struct format_options plain = {
    .format = FORMAT_GELF, .framing = FRAMING_NONE, .group = {"lr", 2}};

#define HEAD "{\"version\":\"1.1\",\"host\":\"web.shop\",\"short_message\":\""
#define NAMES                                                                                      \
    ",\"_app_name\":\"web.shop\",\"_tag\":\"web-1\",\"_namespace\":\"shop\",\"_pod\":\"web-1\","   \
    "\"_container\":\"app\",\"_node\":\"n1\",\"_group\":\"lr\",\"_stream\":"

static void one_object_each(void **state)
{
    struct format_options o = plain;
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("hello \"you\"\n"));

    (void)state;
    expect_encoded(&o, &id, &r,
                   STR(HEAD
                       "hello \\\"you\\\"\\n\",\"timestamp\":1795169700.123456,\"level\":6" NAMES
                       "\"stdout\"}"));
    r.fd = RECORD_STDERR;
    r.flags = RECORD_CUT;
    r.time = STR("2016-12-31T23:59:60.5+01:00"); /* a leap second: it has no Unix time */
    o.sd = true;
    expect_encoded(&o, &id, &r,
                   STR(HEAD "hello \\\"you\\\"\\n [logtrain: line cut]\",\"timestamp\":"
                            "1483225199.5,\"level\":3" NAMES
                            "\"stderr\",\"_record_id\":\"0000000000000abc-1f\"}"));
    o = (struct format_options){.format = FORMAT_GELF, .framing = FRAMING_NONE};
    expect_encoded(&o, &(struct identity){.refs = 1}, &(struct record){.msg = {NULL, 0}},
                   STR("{\"version\":\"1.1\",\"host\":\"unknown\",\"short_message\":\"-\","
                       "\"timestamp\":1795169759.123456,\"level\":6,\"_stream\":\"stdout\"}"));
}

/* Graylog refuses a message without a short_message, or with a blank one. */
static void a_blank_message_is_a_dash(void **state)
{
    const struct str blank[] = {
        STR(""),
        STR(" "),
        STR("\t \r\n"),
        {"\0 ", 2},
        STR("\x7f"),
        STR("\xc2\x85"),
        STR("\xc2\xa0 \xc2\xa0"),
        STR("\xe1\x9a\x80"),
        STR("\xe1\xa0\x8e"),
        STR("\xe2\x80\x80\xe2\x80\x8b"),
        STR("\xe2\x80\xa8\xe2\x80\xa9\t\xe2\x80\xaf"),
        STR("\xe2\x81\x9f\xe2\x81\xa0"),
        STR("\xe3\x80\x80\xe3\x80\x80"),
        STR("\xef\xbb\xbf"),
    };
    const struct str text[] = {
        STR("\xe3\x80\x80x"), STR("\xe3\x80\x81"),  STR("\xc2\xa1"), STR("\xe2\x80\x90"),
        STR("\xe2\x80\xb0"),  STR("\xe2\x81\x9e"),  STR("\xc2"),     STR("\xe2\x80"),
        STR(" \xc3\xa9"),     STR("\xef\xbb\xbf-"), STR("\xa0"),     STR("\xef\xbf\xbd"),
    };
    struct identity id = fixture_identity();
    struct buf out = BUF_INIT(4096), got = BUF_INIT(4096);

    (void)state;
    FOR_ROWS (i, blank) {
        struct record r = fixture_record(blank[i]);

        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(json_get(buf_str(&out), "short_message", &got));
        expect(buf_str(&got), STR("-"));
    }
    FOR_ROWS (i, text) {
        struct record r = fixture_record(text[i]);

        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(json_get(buf_str(&out), "short_message", &got));
        assert_false(str_eq(buf_str(&got), STR("-")));
    }
    buf_release(&out);
    buf_release(&got);
}

/* Unix times, and the date in UTC: `date -u -d … +%s` */
static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t epoch;
        const char *date;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, "19700101"},
        {"1969-12-31T23:59:59Z", -1, "19691231"},
        {"2000-02-29T12:00:00.1Z", 951825600, "20000229"},
        {"2000-03-01T00:30:00+01:00", 951867000, "20000229"},
        {"2026-12-31T23:30:00.123456789-00:45", 1798762500, "20270101"},
        {"2026-01-01T00:29:59+00:30", 1767225599, "20251231"},
        {"2024-02-29T23:59:59-14:00", 1709301599, "20240301"},
        {"2100-02-28T23:59:59-00:01", 4107542459, "21000301"},
        {"2016-12-31T23:59:60Z", 1483228799, "20161231"},
        {"0000-01-01T00:00:00Z", -62167219200, "00000101"},
        {"0000-01-01T00:00:00+01:00", -62167222800, "19700101"}, /* before all dates we have */
        {"9999-12-31T23:59:59-23:59", 253402387139, "99991231"},
        {"2026-02-30T00:00:00Z", 1772409600, "20260230"},
    };
    char date[9] = "";

    (void)state;
    FOR_ROWS (i, cases) {
        struct str t = str_of(cases[i].text);

        if (format_epoch(t) != cases[i].epoch)
            fail_msg("%s is %lld", cases[i].text, (long long)format_epoch(t));
        format_utc_date(date, t);
        assert_string_equal(date, cases[i].date);
    }
}

/* NUL ends each and is inside none. */
static void framed_by_nul(void **state)
{
    struct format_options o = plain;
    struct identity id = fixture_identity();
    struct record r = fixture_record(str_make("a\0b", 3));
    struct formatter *f;
    struct buf out = BUF_INIT(4096);
    struct str rest, part;
    size_t n = 0;

    (void)state;
    o.framing = FRAMING_NUL;
    f = formatter_create(&o, &id);
    for (int i = 0; i < 3; i++)
        assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL), 0);
    rest = buf_str(&out);
    while (str_cut(&rest, '\0', &part)) {
        assert_true(json_valid(part));
        n++;
    }
    assert_int_equal(n, 3);
    assert_int_equal(out.p[out.len - 1], '\0');
    formatter_free(f);
    buf_release(&out);
}

static void max_and_full_buffers(void **state)
{
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("a\"\n\xe2\x80\xa8\xff and so on and so forth"));
    struct buf whole = BUF_INIT(4096), got = BUF_INIT(4096);

    (void)state;
    for (size_t max = 1; max < 400; max++) {
        struct format_options o = plain;
        bool cut;

        o.max = max;
        assert_int_equal(fixture_encode(&o, &id, &r, &whole, &cut), 0);
        assert_true(json_valid(buf_str(&whole)));
        assert_true(json_get(buf_str(&whole), "short_message", &got) && got.len);
        assert_true(whole.len <= max || (cut && str_eq(buf_str(&got), STR("-"))));
    }
    for (size_t cap = whole.len - 1; cap <= whole.len + 1; cap++) {
        struct buf out = BUF_INIT(cap);

        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), cap < whole.len ? -1 : 0);
        expect(buf_str(&out), cap < whole.len ? STR("") : buf_str(&whole));
        buf_release(&out);
    }
    buf_release(&whole);
    buf_release(&got);
}

/* A received record has its own tag and facility, and no stream; so has a gap record. */
static void received(void **state)
{
    const struct record_syslog syslog = {.tag = STR("router"), .pri = 86};
    const struct identity id = {.hostname = STR("web.shop"), .network = true};
    struct record r = fixture_record(STR("hello"));
    struct str got[2];

    (void)state;
    for (int gap = 0; gap < 2; gap++) {
        struct buf out = BUF_INIT(4096);

        r.syslog = gap ? NULL : &syslog;
        r.flags = gap ? RECORD_GAP : 0;
        assert_int_equal(fixture_encode(&plain, &id, &r, &out, NULL), 0);
        assert_true(json_valid(buf_str(&out)));
        got[0] = gap ? STR("\"level\":3,\"_app_name\":\"web.shop\",\"_group\":\"lr\","
                           "\"_facility\":\"1\"}")
                     : STR("\"level\":6,\"_app_name\":\"web.shop\",\"_group\":\"lr\","
                           "\"_tag\":\"router\",\"_facility\":\"10\"}");
        got[1] = buf_str(&out);
        expect(str_skip(got[1], got[1].len - got[0].len), got[0]);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_object_each),
        cmocka_unit_test(a_blank_message_is_a_dash),
        cmocka_unit_test(times),
        cmocka_unit_test(framed_by_nul),
        cmocka_unit_test(max_and_full_buffers),
        cmocka_unit_test(received),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
