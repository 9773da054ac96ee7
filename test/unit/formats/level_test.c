/* A level that was found in the line is the record's severity, in each format that has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../../lib/format_fixture.h"
#include "../../lib/unit.h"

static void is_in_each_format(void **state)
{
    static const char *const names[] = {"emergency", "alert",  "critical", "error",
                                        "warning",   "notice", "info",     "debug"};
    const struct {
        enum format format;
        const char *before, *after;
        enum { WORD, NUMBER, PRI } kind;
    } rows[] = {
        {FORMAT_RFC5424, "<", ">1 2026-11-20T10:15:00.123456Z web.shop web-1 - - - text", PRI},
        {FORMAT_JSON, "{\"severity\":", ",\"facility\":1,", NUMBER},
        {FORMAT_GELF, "\"level\":", ",", NUMBER},
        {FORMAT_ELASTIC, "\"severity\":", ",", NUMBER},
        {FORMAT_DATADOG, "\"status\":\"", "\"", WORD},
        {FORMAT_NEWRELIC, "\"level\":\"", "\"", WORD},
        {FORMAT_SPLUNK, "\"severity\":\"", "\"", WORD},
    };
    const struct identity id = fixture_identity();

    (void)state;
    FOR_ROWS (i, rows)
        for (unsigned severity = 0; severity < 8; severity++)
            for (unsigned fd = 0; fd < 2; fd++) {
                const struct format_options o = {.format = rows[i].format,
                                                 .framing = FRAMING_OCTET};
                struct record r = fixture_record(STR("text"));
                struct buf out = BUF_INIT(4096);
                char want[128];

                r.fd = fd ? RECORD_STDERR : RECORD_STDOUT;
                r.flags = RECORD_LEVEL(severity);
                if (rows[i].kind == WORD)
                    (void)snprintf(want, sizeof(want), "%s%s%s", rows[i].before, names[severity],
                                   rows[i].after);
                else
                    (void)snprintf(want, sizeof(want), "%s%u%s", rows[i].before,
                                   severity + (rows[i].kind == PRI ? 8 : 0), rows[i].after);
                assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
                ASSERT_HAS(buf_cstr(&out), want);
                buf_release(&out);
            }
}

/* The header has its length, whatever the severity: max= cuts there. */
static void is_cut_exactly(void **state)
{
    const struct identity id = fixture_identity();

    (void)state;
    for (unsigned severity = 0; severity < 8; severity++)
        for (size_t max = 480; max < 520; max++) {
            const struct format_options o = {
                .format = FORMAT_RFC5424, .framing = FRAMING_NONE, .max = max};
            char text[600];
            struct record r;
            struct buf out = BUF_INIT(4096);
            bool cut;

            memset(text, 'x', sizeof(text));
            r = fixture_record(str_make(text, sizeof(text)));
            r.flags = RECORD_LEVEL(severity);
            assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
            assert_true(cut);
            assert_int_equal(out.len, max);
            buf_release(&out);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_in_each_format),
        cmocka_unit_test(is_cut_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
