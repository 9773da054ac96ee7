/* datadog, newrelic, splunk: every byte of a record, of a stream's names, of a network record. */
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

static const struct record_syslog received = {
    .tag = {"fw", 2}, .procid = {"7", 1}, .pri = 4 << 3 | 2};

static struct identity container(void)
{
    struct identity id = fixture_identity();

    id.name = STR("web.shop");
    return id;
}

static void expect_record(const struct format_options *o, const struct identity *id,
                          const struct record *r, const char *want)
{
    expect_encoded(o, id, r, str_of(want));
    assert_true(json_valid(str_of(want)));
}

static void records_of_datadog(void **state)
{
    struct format_options o = {.format = FORMAT_DATADOG, .framing = FRAMING_NONE};
    struct identity id = container(), network = {.hostname = STR("fw\"1"), .network = true};
    struct record r = fixture_record(STR("hello \"you\"\n\xff"));

    (void)state;
    network.name = network.hostname;
    expect_record(&o, &id, &r,
                  "{\"ddsource\":\"logtrain\",\"ddtags\":\"kube_namespace:shop,pod_name:web-1,"
                  "kube_container_name:app\",\"hostname\":\"n1\",\"service\":\"web\","
                  "\"timestamp\":1795169700123,\"message\":\"hello \\\"you\\\"\\n\xef\xbf\xbd\","
                  "\"status\":\"info\",\"stream\":\"stdout\"}");
    o.sd = true;
    o.source = STR("nginx");
    o.service = STR("shop");
    o.tags = STR("env:\"p\"");
    r = fixture_record(STR(""));
    r.fd = RECORD_STDERR;
    r.flags = RECORD_CUT;
    r.time = STR("2026-11-20T10:15:00Z");
    expect_record(
        &o, &id, &r,
        "{\"ddsource\":\"nginx\",\"ddtags\":\"kube_namespace:shop,pod_name:web-1,"
        "kube_container_name:app,env:\\\"p\\\"\",\"hostname\":\"n1\",\"service\":\"shop\","
        "\"timestamp\":1795169700000,\"message\":\" [logtrain: line cut]\","
        "\"status\":\"error\",\"stream\":\"stderr\",\"id\":\"0000000000000abc-1f\"}");
    o = (struct format_options){.format = FORMAT_DATADOG, .framing = FRAMING_NONE};
    r = fixture_record(STR("x"));
    r.syslog = &received;
    expect_record(&o, &network, &r,
                  "{\"ddsource\":\"logtrain\",\"ddtags\":\"\",\"hostname\":\"fw\\\"1\","
                  "\"service\":\"fw\\\"1\",\"timestamp\":1795169700123,\"message\":\"x\","
                  "\"status\":\"critical\",\"tag\":\"fw\",\"procid\":\"7\"}");
}

static void records_of_splunk(void **state)
{
    struct format_options o = {.format = FORMAT_SPLUNK, .framing = FRAMING_NONE};
    struct identity id = container(), network = {.hostname = STR("fw"), .network = true};
    struct record r = fixture_record(STR("a\"b"));

    (void)state;
    network.name = network.hostname;
    expect_record(&o, &id, &r,
                  "{\"host\":\"n1\",\"source\":\"web.shop\",\"sourcetype\":\"kube:container:app\","
                  "\"time\":1795169700.123456,\"event\":\"a\\\"b\",\"fields\":{"
                  "\"namespace\":\"shop\",\"workload\":\"web\",\"pod\":\"web-1\","
                  "\"container\":\"app\",\"severity\":\"info\",\"stream\":\"stdout\"}}");
    o.source = STR("s");
    o.sourcetype = STR("t");
    o.index = STR("main");
    o.sd = true;
    r = fixture_record(STR(" \t"));
    r.time = STR("2026-11-20T10:15:00Z");
    expect_record(&o, &id, &r,
                  "{\"host\":\"n1\",\"source\":\"s\",\"sourcetype\":\"t\",\"index\":\"main\","
                  "\"time\":1795169700,\"event\":\"-\",\"fields\":{"
                  "\"namespace\":\"shop\",\"workload\":\"web\",\"pod\":\"web-1\","
                  "\"container\":\"app\",\"severity\":\"info\",\"stream\":\"stdout\","
                  "\"id\":\"0000000000000abc-1f\"}}");
    o = (struct format_options){.format = FORMAT_SPLUNK, .framing = FRAMING_NONE, .max = 1};
    r = fixture_record(STR("long"));
    r.syslog = &received;
    expect_record(&o, &network, &r,
                  "{\"host\":\"fw\",\"source\":\"fw\",\"sourcetype\":\"syslog\","
                  "\"time\":1795169700.123456,\"event\":\"-\",\"fields\":{\"workload\":\"fw\","
                  "\"severity\":\"critical\",\"tag\":\"fw\",\"procid\":\"7\"}}");
}

/* Nothing is known of the second stream but its hostname. */
static void streams_of_newrelic(void **state)
{
    struct format_options o = {.format = FORMAT_NEWRELIC, .framing = FRAMING_STREAMS};
    struct identity ids[2] = {container(), {.hostname = STR("fw"), .network = true}};
    struct record r = fixture_record(STR("["));
    struct buf out = BUF_INIT(1 << 20);

    (void)state;
    ids[1].name = ids[1].hostname;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct formatter *f = formatter_create(&o, &ids[i]);

        r.syslog = i ? &received : NULL;
        assert_int_equal(formatter_begin_range(f, &out), 0);
        assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL), 0);
        if (i == 0)
            assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_end_range(f, &out), 0);
        if (i == 1)
            assert_int_equal(formatter_end(f, &out), 0);
        formatter_free(f);
    }
    assert_true(json_valid(buf_str(&out)));
#define ONE                                                                                        \
    "{\"timestamp\":1795169700123,\"message\":\"[\",\"attributes\":{\"level\":\"info\","           \
    "\"stream\":\"stdout\"}}"
    expect(buf_str(&out),
           STR("[{\"common\":{\"attributes\":{\"hostname\":\"n1\",\"service.name\":\"web\","
               "\"namespace_name\":\"shop\",\"pod_name\":\"web-1\",\"container_name\":\"app\"}},"
               "\"logs\":[" ONE "," ONE "]},{\"common\":{\"attributes\":{\"hostname\":\"fw\","
               "\"service.name\":\"fw\"}},\"logs\":[{\"timestamp\":1795169700123,"
               "\"message\":\"[\",\"attributes\":{\"level\":\"critical\",\"tag\":\"fw\","
               "\"procid\":\"7\"}}]}]"));
    buf_release(&out);
}

/* The longest texts that there may be, all of which must be escaped, fit in what is laid out. */
static void long_names(void **state)
{
    static const enum format formats[] = {FORMAT_DATADOG, FORMAT_NEWRELIC, FORMAT_SPLUNK};
    char text[1024];
    struct str s = str_make(text, sizeof(text));
    struct identity id = {
        .hostname = s, .tag = s, .name = s, .namespace = s, .pod = s, .container = s, .node = s};
    struct record r = fixture_record(STR("m"));

    (void)state;
    memset(text, 1, sizeof(text));
    for (size_t i = 0; i < 2 * ARRAY_LEN(formats); i++) {
        struct format_options o = {.format = formats[i / 2],
                                   .framing = FRAMING_NONE,
                                   .source = s,
                                   .sourcetype = s,
                                   .service = s,
                                   .tags = s,
                                   .index = s};
        struct buf out = BUF_INIT(1 << 20);

        if (i % 2) { /* what stands in for an option is another text twice */
            o.source = o.sourcetype = o.service = STR("");
            id.node = STR("");
        }
        assert_int_equal(fixture_encode(&o, &id, &r, &out, NULL), 0);
        assert_true(json_valid(buf_str(&out)));
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_datadog),
        cmocka_unit_test(records_of_splunk),
        cmocka_unit_test(streams_of_newrelic),
        cmocka_unit_test(long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
