/* L11: what is no UTF-8, of each class, in every format that promises text, and in every field that a sender can fill. The result
 * is UTF-8, and everything else is there byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../../lib/format_fixture.h"
#include "../../lib/unit.h"
#include "base/mem.h"
#include "formats/format_internal.h"

static const struct {
    enum format format;
    enum framing framing;
} formats[] = {
    {FORMAT_RFC5424, FRAMING_OCTET},    {FORMAT_RFC5424, FRAMING_LF},
    {FORMAT_RAW, FRAMING_LF},           {FORMAT_JSON, FRAMING_LF},
    {FORMAT_JSON, FRAMING_NONE},        {FORMAT_GELF, FRAMING_NONE},
    {FORMAT_ELASTIC, FRAMING_LF},       {FORMAT_LOKI, FRAMING_STREAMS},
    {FORMAT_DATADOG, FRAMING_ARRAY},    {FORMAT_SPLUNK, FRAMING_LF},
    {FORMAT_NEWRELIC, FRAMING_STREAMS}, {FORMAT_OTLP_JSON, FRAMING_STREAMS},
};

/* Each is invalid as a whole; <n> U+FFFD take its place (one for each maximal part, as Unicode recommends). */
static const struct {
    const char *bytes;
    unsigned n;
} classes[] = {
    {"\x80", 1}, /* a continuation alone */
    {"\xbf\xbf", 2},
    {"\xc0\xaf", 2}, /* overlong: 2, 3, 4 bytes */
    {"\xc1\xbf", 2},
    {"\xe0\x80\xaf", 3},
    {"\xe0\x9f\xbf", 3},
    {"\xf0\x80\x80\xaf", 4},
    {"\xf0\x8f\xbf\xbf", 4},
    {"\xed\xa0\x80", 3}, /* surrogates, alone and as a pair */
    {"\xed\xbf\xbf", 3},
    {"\xed\xa0\xbd\xed\xb8\x80", 6},
    {"\xf4\x90\x80\x80", 4}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", 4},
    {"\xf8\x88\x80\x80\x80", 5}, /* five and six bytes */
    {"\xfc\x84\x80\x80\x80\x80", 6},
    {"\xfe", 1},
    {"\xff", 1},
    {"\xc3", 1}, /* breaks off */
    {"\xe2\x82", 1},
    {"\xf0\x9f\x98", 1},
    {"\xf0\x9f", 1},
};

#define ANY UINT32_MAX

static unsigned count(struct str s, const char *what)
{
    unsigned n = 0;

    for (size_t i = 0; i + strlen(what) <= s.len; i++)
        n += memcmp(s.p + i, what, strlen(what)) == 0;
    return n;
}

static void check(size_t format, const struct record *r, unsigned replaced, const char *what)
{
    struct buf out = BUF_INIT(1 << 20), valid = BUF_INIT(1 << 20);
    struct format_options o = {
        .format = formats[format].format, .framing = formats[format].framing, .valid = &valid};
    struct identity id = fixture_identity();

    id.network = r->syslog;
    assert_int_equal(fixture_encode(&o, &id, r, &out, NULL), 0);
    if (!format_is_utf8(buf_str(&out)))
        fail_msg("format %zu, %s: no UTF-8: '%s'", format, what, buf_cstr(&out));
    if (replaced != ANY && (count(buf_str(&out), "\xef\xbf\xbd") != replaced ||
                            count(buf_str(&out), "<\xef\xbf\xbd") != 1))
        fail_msg("format %zu, %s: '%s'", format, what, buf_cstr(&out));
    if (count(buf_str(&out), "\xe2\x82\xac<") < 1 || count(buf_str(&out), ">\xf0\x9f\x98\x80") < 1)
        fail_msg("format %zu, %s: what is around it: '%s'", format, what, buf_cstr(&out));
    buf_release(&out);
    buf_release(&valid);
}

static void test_L11_of_each_class(void **state)
{
    char text[64];

    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(formats); f++)
        FOR_ROWS (i, classes) {
            struct record r;
            int n =
                snprintf(text, sizeof(text), "\xe2\x82\xac<%s>\xf0\x9f\x98\x80", classes[i].bytes);

            r = fixture_record(str_make(text, (size_t)n));
            check(f, &r, classes[i].n, "message");
        }
}

/* A sender's own fields: of /events, or the values of structured data. */
static void test_L11_in_each_field_of_a_sender(void **state)
{
    const struct record_syslog sent = {.tag = STR("t\xff"),
                                       .procid = STR("p\xed\xa0\x80"),
                                       .msgid = STR("i\xc0\xaf"),
                                       .sd = STR("[x a=\"v\xf5w\"]"),
                                       .pri = 13};
    struct record r = fixture_record(STR("\xe2\x82\xac<>\xf0\x9f\x98\x80"));

    (void)state;
    r.syslog = &sent;
    for (size_t f = 0; f < ARRAY_LEN(formats); f++)
        check(f, &r, ANY, "a sender's fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_L11_of_each_class),
                                       cmocka_unit_test(test_L11_in_each_field_of_a_sender)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
