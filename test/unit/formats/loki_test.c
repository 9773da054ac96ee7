/* loki: the body of a push, by stream, and the labels of a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "../../lib/format_fixture.h"
#include "../../lib/json_reader.h"
#include "../../lib/unit.h"
#include "base/mem.h"
#include "formats/format_internal.h"

#define NODE (1U << 4)

static struct format_options options(uint32_t labels)
{
    return (struct format_options){
        .format = FORMAT_LOKI, .framing = FRAMING_STREAMS, .labels = labels};
}

/* The body of two ranges, of two records and of one. */
static void records_are_grouped_by_stream(void **state)
{
    struct format_options o = options(0);
    struct identity ids[2] = {fixture_identity(), {.hostname = STR("fw\"1"), .network = true}};
    struct record r = fixture_record(STR("hello \"you\"\n\xff"));
    struct buf out = BUF_INIT(1 << 20);

    (void)state;
    ids[0].name = STR("web.shop");
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct formatter *f = formatter_create(&o, &ids[i]);

        assert_int_equal(formatter_begin_range(f, &out), 0);
        assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL), 0);
        r.flags = RECORD_CUT;
        if (i == 0)
            assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_end_range(f, &out), 0);
        if (i == 1)
            assert_int_equal(formatter_end(f, &out), 0);
        r.flags = 0;
        formatter_free(f);
    }
    assert_true(json_valid(buf_str(&out)));
    expect(buf_str(&out),
           STR("{\"streams\":[{\"stream\":{\"namespace\":\"shop\",\"workload\":\"web\","
               "\"container\":\"app\",\"node\":\"n1\"},\"values\":["
               "[\"1795169700123456789\",\"hello \\\"you\\\"\\n\xef\xbf\xbd\"],"
               "[\"1795169700123456789\",\"hello \\\"you\\\"\\n\xef\xbf\xbd [logtrain: line "
               "cut]\"]]},"
               "{\"stream\":{\"hostname\":\"fw\\\"1\"},\"values\":["
               "[\"1795169700123456789\",\"hello \\\"you\\\"\\n\xef\xbf\xbd\"]]}]}"));
    buf_release(&out);
}

static void times(void **state)
{
    static const struct {
        const char *time, *want;
    } rows[] = {
        {"2026-11-20T10:15:00Z", "[\"1795169700000000000\",\"\"]"},
        {"2026-11-20T11:15:00.5+01:00", "[\"1795169700500000000\",\"\"]"},
        {"2016-12-31T23:59:60.25Z", "[\"1483228799250000000\",\"\"]"},
        {"1969-12-31T23:59:59.9Z", "[\"0000000000\",\"\"]"},
        {"9999-12-31T23:59:59.123456789Z", "[\"253402300799123456789\",\"\"]"},
    };
    struct format_options o = options(NODE);
    struct identity id = fixture_identity();

    (void)state;
    FOR_ROWS (i, rows) {
        struct record r = fixture_record(STR(""));

        r.time = str_of(rows[i].time);
        expect_encoded(&o, &id, &r, str_of(rows[i].want));
    }
}

static void max_cuts_the_line(void **state)
{
    struct format_options o = options(NODE);
    struct identity id = fixture_identity();
    struct record r = fixture_record(STR("0123456789"));
    struct buf out = BUF_INIT(1000);
    bool cut = false;

    (void)state;
    o.max = 30;
    assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
    assert_true(cut);
    expect(buf_str(&out), STR("[\"1795169700123456789\",\"0123\"]"));
    buf_release(&out);
}

/* Each bit is the label that FORMAT_LABELS has there. */
static void labels(void **state)
{
    static const struct {
        const char *value, *label;
    } rows[] = {
        {"shop", "namespace"}, {"web", "workload"}, {"web-1", "pod"},
        {"app", "container"},  {"n1", "node"},
    };
    struct identity id = fixture_identity();
    struct str rest = STR(FORMAT_LABELS), name;

    (void)state;
    id.name = STR("web.shop");
    FOR_ROWS (i, rows) {
        struct format_options o = options(1U << i);
        struct formatter *f = formatter_create(&o, &id);
        struct buf out = BUF_INIT(1000);
        char want[100];

        assert_true(str_cut(&rest, '|', &name));
        assert_true(str_eq(name, str_of(rows[i].label)));
        assert_int_equal(formatter_begin_range(f, &out), 0);
        (void)snprintf(want, sizeof(want), "{\"streams\":[{\"stream\":{\"%s\":\"%s\"},\"values\":[",
                       rows[i].label, rows[i].value);
        assert_string_equal(buf_cstr(&out), want);
        formatter_free(f);
        buf_release(&out);
    }
    assert_false(str_cut(&rest, '|', &name));
}

/* What stands before the namespace in the name; a name that only ends alike is whole. */
static void workloads(void **state)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        {"web.shop", "web"}, {"web.b.shop", "web.b"}, {"webshop", "webshop"},
        {".shop", ".shop"},  {"shop", "shop"},        {"web.shop2", "web.shop2"},
    };
    struct format_options o = options(2);
    struct identity id = fixture_identity();

    (void)state;
    FOR_ROWS (i, rows) {
        struct formatter *f;
        char want[100];

        id.name = str_of(rows[i].name);
        f = formatter_create(&o, &id);
        (void)snprintf(want, sizeof(want), "{\"stream\":{\"workload\":\"%s\"},\"values\":[",
                       rows[i].want);
        expect(f->head, str_of(want));
        formatter_free(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_grouped_by_stream),
        cmocka_unit_test(times),
        cmocka_unit_test(max_cuts_the_line),
        cmocka_unit_test(labels),
        cmocka_unit_test(workloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
