/* otlp, otlp-json: each byte of a record, a request as protobuf-c reads it, and what is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/format_fixture.h"
#include "../../lib/json_reader.h"
#include "../../lib/unit.h"
#include "base/mem.h"
#include "formats/format_internal.h"
#include "otlp.pb-c.h"

#define TIME_NS 1795169700123456789
#define NOW_NS 1795169759123456000

static const struct record_syslog received = {.tag = {"fw", 2},
                                              .procid = {"7", 1},
                                              .msgid = {"ID", 2},
                                              .sd = {"[a@1 b=\"\"]", 10},
                                              .pri = 4 << 3 | 2};

static struct format_options options(enum format format)
{
    return (struct format_options){.format = format, .framing = FRAMING_STREAMS};
}

static struct identity container(void)
{
    struct identity id = fixture_identity();

    id.name = STR("web.shop");
    id.uid = STR("u-1");
    return id;
}

static void expect_bytes(ProtobufCBinaryData got, struct str want)
{
    expect(str_make((const char *)got.data, got.len), want);
}

static void expect_attribute(const Otlp__KeyValue *got, const char *key, const char *value)
{
    expect_bytes(got->key, str_of(key));
    expect_bytes(got->value->string_value, str_of(value));
}

/* One record: its bytes, by hand. */
static void bytes_of_a_record(void **state)
{
    static const char want[] = "\x12\x3d"                             /* a LogRecord of 61 bytes */
                               "\x09\x15\x87\x0d\xdd\xed\xbc\xe9\x18" /* time */
                               "\x10\x09\x1a\x04info"                 /* severity */
                               "\x2a\x07\x0a\x05hello"                /* body */
                               "\x32\x18\x0a\x0clog.iostream\x12\x08\x0a\x06stdout"
                               "\x59\x00\x7e\xaa\x99\xfb\xbc\xe9\x18"; /* observed */
    struct format_options o = options(FORMAT_OTLP);
    struct identity id = container();
    struct record r = fixture_record(STR("hello"));
    uint64_t ns = TIME_NS;
    struct buf all = BUF_INIT(1000);

    (void)state;
    assert_int_equal(buf_add(&all, want, sizeof(want) - 1), 0);
    memcpy(all.p + 3, &ns, sizeof(ns)); /* all machines here are little-endian */
    ns = NOW_NS;
    memcpy(all.p + all.len - sizeof(ns), &ns, sizeof(ns));
    expect_encoded(&o, &id, &r, buf_str(&all));
    buf_release(&all);
}

/* Two streams, of two records and of one, into <out>. */
static void encode_two(enum format format, bool sd, struct buf *out)
{
    struct format_options o = options(format);
    struct identity ids[2] = {container(), {.hostname = STR("fw\xff"), .network = true}};
    struct record r = fixture_record(STR("hello \"you\"\n"));

    ids[1].name = ids[1].hostname;
    o.sd = sd;
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct formatter *f = formatter_create(&o, &ids[i]);

        r.syslog = i ? &received : NULL;
        assert_int_equal(formatter_begin_range(f, out), 0);
        assert_int_equal(formatter_add(f, out, &r, STR(FIXTURE_NOW), NULL), 0);
        r.flags = RECORD_CUT;
        r.fd = RECORD_STDERR;
        r.time = STR("");
        if (i == 0)
            assert_int_equal(formatter_add(f, out, &r, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_end_range(f, out), 0);
        if (i == 1)
            assert_int_equal(formatter_end(f, out), 0);
        r = fixture_record(STR(""));
        formatter_free(f);
    }
}

static void a_request_as_protobuf(void **state)
{
    struct buf out = BUF_INIT(1 << 20);
    const Otlp__ResourceLogs *web, *fw;
    const Otlp__LogRecord *r;
    Otlp__Request *m;

    (void)state;
    encode_two(FORMAT_OTLP, true, &out);
    m = otlp__request__unpack(NULL, out.len, (const uint8_t *)out.p);
    assert_non_null(m);
    assert_int_equal(m->n_resource_logs, 2);
    web = m->resource_logs[0];
    fw = m->resource_logs[1];
    assert_int_equal(web->resource->n_attributes, 6);
    expect_attribute(web->resource->attributes[0], "service.name", "web");
    expect_attribute(web->resource->attributes[1], "k8s.namespace.name", "shop");
    expect_attribute(web->resource->attributes[2], "k8s.pod.name", "web-1");
    expect_attribute(web->resource->attributes[3], "k8s.pod.uid", "u-1");
    expect_attribute(web->resource->attributes[4], "k8s.container.name", "app");
    expect_attribute(web->resource->attributes[5], "k8s.node.name", "n1");
    assert_int_equal(fw->resource->n_attributes, 2);
    expect_attribute(fw->resource->attributes[0], "service.name", "fw\xef\xbf\xbd");
    expect_attribute(fw->resource->attributes[1], "host.name", "fw\xef\xbf\xbd");
    expect_bytes(web->scope_logs[0]->scope->name, STR("logtrain"));
    assert_int_equal(web->scope_logs[0]->n_log_records, 2);
    r = web->scope_logs[0]->log_records[0];
    assert_int_equal(r->time_unix_nano, TIME_NS);
    assert_int_equal(r->observed_time_unix_nano, NOW_NS);
    expect_attribute(r->attributes[1], "log.record.uid", "0000000000000abc-1f");
    r = web->scope_logs[0]->log_records[1];
    assert_int_equal(r->time_unix_nano, 0); /* it has none */
    assert_int_equal(r->severity_number, 17);
    expect_bytes(r->severity_text, STR("error"));
    expect_bytes(r->body->string_value, STR("hello \"you\"\n [logtrain: line cut]"));
    expect_attribute(r->attributes[0], "log.iostream", "stderr");
    assert_int_equal(fw->scope_logs[0]->n_log_records, 1);
    r = fw->scope_logs[0]->log_records[0];
    assert_int_equal(r->severity_number, 18);
    assert_int_equal(r->body->string_value.len, 0);
    expect_attribute(r->attributes[0], "tag", "fw");
    expect_attribute(r->attributes[1], "procid", "7");
    expect_attribute(r->attributes[2], "msgid", "ID");
    expect_attribute(r->attributes[3], "structured_data", "[a@1 b=\"\"]");
    otlp__request__free_unpacked(m, NULL);
    buf_release(&out);
}

static const char json[] =
    "{\"resourceLogs\":[{\"resource\":{\"attributes\":["
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"web\"}},"
    "{\"key\":\"k8s.namespace.name\",\"value\":{\"stringValue\":\"shop\"}},"
    "{\"key\":\"k8s.pod.name\",\"value\":{\"stringValue\":\"web-1\"}},"
    "{\"key\":\"k8s.pod.uid\",\"value\":{\"stringValue\":\"u-1\"}},"
    "{\"key\":\"k8s.container.name\",\"value\":{\"stringValue\":\"app\"}},"
    "{\"key\":\"k8s.node.name\",\"value\":{\"stringValue\":\"n1\"}}"
    "]},\"scopeLogs\":[{\"scope\":{\"name\":\"logtrain\"},\"logRecords\":["
    "{\"timeUnixNano\":\"1795169700123456789\","
    "\"observedTimeUnixNano\":\"1795169759123456000\","
    "\"severityNumber\":9,\"severityText\":\"info\",\"attributes\":["
    "{\"key\":\"log.iostream\",\"value\":{\"stringValue\":\"stdout\"}}"
    "],\"body\":{\"stringValue\":\"hello \\\"you\\\"\\n\"}}"
    ",{\"timeUnixNano\":\"0\","
    "\"observedTimeUnixNano\":\"1795169759123456000\","
    "\"severityNumber\":17,\"severityText\":\"error\",\"attributes\":["
    "{\"key\":\"log.iostream\",\"value\":{\"stringValue\":\"stderr\"}}"
    "],\"body\":{\"stringValue\":\"hello \\\"you\\\"\\n [logtrain: line cut]\"}}"
    "]}]},{\"resource\":{\"attributes\":["
    "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"fw\xef\xbf\xbd\"}},"
    "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"fw\xef\xbf\xbd\"}}"
    "]},\"scopeLogs\":[{\"scope\":{\"name\":\"logtrain\"},\"logRecords\":["
    "{\"timeUnixNano\":\"1795169700123456789\","
    "\"observedTimeUnixNano\":\"1795169759123456000\","
    "\"severityNumber\":18,\"severityText\":\"critical\",\"attributes\":["
    "{\"key\":\"tag\",\"value\":{\"stringValue\":\"fw\"}},"
    "{\"key\":\"procid\",\"value\":{\"stringValue\":\"7\"}},"
    "{\"key\":\"msgid\",\"value\":{\"stringValue\":\"ID\"}},"
    "{\"key\":\"structured_data\",\"value\":{\"stringValue\":\"[a@1 b=\\\"\\\"]\"}}"
    "],\"body\":{\"stringValue\":\"\"}}"
    "]}]}]}";

static void a_request_as_json(void **state)
{
    struct buf out = BUF_INIT(1 << 20);

    (void)state;
    encode_two(FORMAT_OTLP_JSON, false, &out);
    assert_true(json_valid(buf_str(&out)));
    expect(buf_str(&out), str_of(json));
    buf_release(&out);
}

/* A record is not longer than `max`, and not much shorter. */
static void max_cuts_a_record(void **state)
{
    static const enum format formats[] = {FORMAT_OTLP, FORMAT_OTLP_JSON};
    struct identity id = container();
    struct record r = fixture_record(STR("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"));
    struct buf line = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    bool cut;

    (void)state;
    while (line.len < 3000)
        assert_int_equal(buf_add_str(&line, r.msg), 0);
    r.msg = buf_str(&line);
    FOR_ROWS (i, formats) {
        struct format_options o = options(formats[i]);

        for (o.max = 480; o.max < 700; o.max++) {
            cut = false;
            assert_int_equal(fixture_encode(&o, &id, &r, &out, &cut), 0);
            assert_true(cut && out.len <= o.max && out.len + 30 > o.max);
        }
    }
    buf_release(&line);
    buf_release(&out);
}

/* The lengths that are patched have more than one byte, and earlier ranges stay as they are. */
static void many_ranges(void **state)
{
    struct format_options o = options(FORMAT_OTLP);
    struct identity id = container();
    struct formatter *f = formatter_create(&o, &id);
    struct buf out = BUF_INIT(64 << 20), line = BUF_INIT(1 << 20);
    struct record r;
    Otlp__Request *m;
    size_t before;

    (void)state;
    assert_int_equal(buf_reserve(&line, 300000), 0);
    memset(line.p, 'x', 300000);
    r = fixture_record(str_make(line.p, 300000));
    for (size_t range = 0; range < 20; range++) {
        before = out.len;
        assert_int_equal(formatter_begin_range(f, &out), 0);
        if (range % 3 == 0)
            buf_truncate(&out, before); /* there was nothing to read */
        assert_int_equal(range % 3 ? 0 : formatter_begin_range(f, &out), 0);
        for (size_t i = 0; i <= range; i++)
            assert_int_equal(formatter_add(f, &out, &r, STR(FIXTURE_NOW), NULL), 0);
        assert_int_equal(formatter_end_range(f, &out), 0);
    }
    m = otlp__request__unpack(NULL, out.len, (const uint8_t *)out.p);
    assert_non_null(m);
    assert_int_equal(m->n_resource_logs, 20);
    for (size_t range = 0; range < 20; range++)
        assert_int_equal(m->resource_logs[range]->scope_logs[0]->n_log_records, range + 1);
    otlp__request__free_unpacked(m, NULL);
    formatter_free(f);
    buf_release(&line);
    buf_release(&out);
}

static void times(void **state)
{
    static const struct {
        const char *time;
        uint64_t want;
    } rows[] = {
        {"2026-11-20T10:15:00Z", 1795169700000000000},
        {"2026-11-20T11:15:00.5+01:00", 1795169700500000000},
        {"2026-11-20T10:15:00.000000001Z", 1795169700000000001},
        {"2016-12-31T23:59:60.25Z", 1483228799250000000},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.9Z", 0},
        {"2554-07-21T23:34:32.999999999Z", 18446744072999999999U},
        {"2554-07-21T23:34:33Z", UINT64_MAX},
        {"9999-12-31T23:59:59.123456789Z", UINT64_MAX},
    };

    (void)state;
    FOR_ROWS (i, rows)
        assert_int_equal(format_ns(str_of(rows[i].time)), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_a_record), cmocka_unit_test(a_request_as_protobuf),
        cmocka_unit_test(a_request_as_json), cmocka_unit_test(max_cuts_a_record),
        cmocka_unit_test(many_ranges),       cmocka_unit_test(times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
