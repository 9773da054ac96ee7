/*
 * Envoy's entries → text and JSON, their hostnames, and the memory for parsing them. protobuf-c
 * packs each message; the end-to-end tests use Envoy's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "envoy.pb-c.h"
#include "inputs/envoy_entry.h"

typedef Logtrain__Als__HTTPAccessLogEntry http_t;

#define BYTES(literal) ((ProtobufCBinaryData){sizeof(literal) - 1, (uint8_t *)(uintptr_t)(literal)})

/* Packs an identifier of <node_id> and <node_cluster>, and one entry for <cluster>. */
static struct str pack(struct buf *out, const char *node_id, const char *node_cluster,
                       const char *cluster, http_t *entry)
{
    Logtrain__Als__StreamAccessLogsMessage m = LOGTRAIN__ALS__STREAM_ACCESS_LOGS_MESSAGE__INIT;
    Logtrain__Als__Identifier id = LOGTRAIN__ALS__IDENTIFIER__INIT;
    Logtrain__Als__Node node = LOGTRAIN__ALS__NODE__INIT;
    Logtrain__Als__Entries entries = LOGTRAIN__ALS__ENTRIES__INIT;
    Logtrain__Als__AccessLogCommon common = LOGTRAIN__ALS__ACCESS_LOG_COMMON__INIT;
    ProtobufCBinaryData packed;

    node.id = (ProtobufCBinaryData){strlen(node_id), (uint8_t *)(uintptr_t)node_id};
    node.cluster = (ProtobufCBinaryData){strlen(node_cluster), (uint8_t *)(uintptr_t)node_cluster};
    common.upstream_cluster = (ProtobufCBinaryData){strlen(cluster), (uint8_t *)(uintptr_t)cluster};
    if (!entry->common_properties)
        entry->common_properties = &common;
    packed.len = logtrain__als__httpaccess_log_entry__get_packed_size(entry);
    packed.data = xmalloc(packed.len + 1);
    (void)logtrain__als__httpaccess_log_entry__pack(entry, packed.data);
    entries.n_log_entry = 1;
    entries.log_entry = &packed;
    id.node = &node;
    m.identifier = &id;
    m.http_logs = &entries;
    buf_init(out, 1 << 20);
    (void)buf_reserve(out, logtrain__als__stream_access_logs_message__get_packed_size(&m));
    out->len = logtrain__als__stream_access_logs_message__pack(&m, (uint8_t *)out->p);
    free(packed.data);
    if (entry->common_properties == &common)
        entry->common_properties = NULL;
    return buf_str(out);
}

static void hostname_is(bool akkeris, const char *node_id, const char *node_cluster,
                        const char *cluster, const char *expected)
{
    http_t entry = LOGTRAIN__ALS__HTTPACCESS_LOG_ENTRY__INIT;
    struct envoy_decoder d;
    struct envoy_proxy proxy;
    struct envoy_message m;
    struct journal_entry e;
    struct buf bytes;
    struct str in = pack(&bytes, node_id, node_cluster, cluster, &entry);
    char *got;

    envoy_decoder_init(&d, ENVOY_TEXT, akkeris, 4096);
    envoy_proxy_init(&proxy);
    assert_int_equal(envoy_open(&d, in, &proxy, &m), ENVOY_OPENED);
    assert_int_equal(m.n, 1);
    assert_int_equal(envoy_entry(&d, &m, 0, &proxy, &e), ENVOY_OPENED);
    got = str_dup(e.hostname);
    assert_string_equal(got, expected);
    free(got);
    assert_true(str_eq(e.syslog.tag, akkeris ? STR("akkeris/router") : STR("envoy")));
    envoy_proxy_release(&proxy);
    envoy_decoder_release(&d);
    buf_release(&bytes);
}

static void whose_it_is(void **state)
{
    static const struct {
        const char *id, *node, *cluster, *normal, *akkeris;
    } rows[] = {
        {"", "", "outbound|80||web.shop.svc.cluster.local", "web.shop", "web-shop"},
        {"", "", "outbound|80|v1|web.shop", "web.shop", "web-shop"},
        {"", "", "outbound|80||web.shop.svc|more", "web.shop", "web-shop"},
        {"", "", "inbound|80|http|web.shop.svc.cluster.local", "web.shop", "web-shop"},
        {"", "", "web", "web", "web"},
        {"", "n.s", "web", "web", "web"},
        {"", "n.s", "", "n.s", "n-s"},
        {"", "n.s.more", "inbound|80||", "", ""},
        {"", "n.s", "outbound|80||localhost", "localhost", "localhost"},
        {"", "n.s", "outbound|80||", "n.s", "n-s"},
        {"", "n.s", "outbound|80||web.shop.evil", "web.shop.evil", "web.shop.evil"},
        {"", "n.s", "outbound|80||web.shop.svcs", "web.shop.svcs", "web.shop.svcs"},
        {"", "n.s", "PassthroughCluster", "n.s", "n-s"},
        {"", "n.s", "BlackHoleCluster", "n.s", "n-s"},
        {"", "n.s", "a|b", "n.s", "n-s"},
        {"", "n.s", "with space", "n.s", "n-s"},
        {"sidecar~1.2.3.4~web-64cd4f4ff7-6bqb8.shop~x", "istio-proxy", "", "web.shop", "web-shop"},
        {"sidecar~1.2.3.4~db-0.shop~x", "", "", "db.shop", "db-shop"},
        {"sidecar~1.2.3.4~web.shop", "", "", "", ""},
        {"sidecar~1.2.3.4~web~x", "", "", "", ""},
        {"sidecar~1.2.3.4~.shop~x", "", "", "", ""},
        {"~~~", "", "", "", ""},
        {"", "", "", "", ""},
        {"", "n n.s", "", "", ""},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        hostname_is(false, rows[i].id, rows[i].node, rows[i].cluster, rows[i].normal);
        hostname_is(true, rows[i].id, rows[i].node, rows[i].cluster, rows[i].akkeris);
    }
}

/* The message of <entry>. */
static char *message_of(http_t *entry, enum envoy_format format, size_t max_line, bool *cut)
{
    struct envoy_decoder d;
    struct envoy_proxy proxy;
    struct envoy_message m;
    struct journal_entry e;
    struct buf bytes;
    struct str in = pack(&bytes, "", "", "web.shop", entry);
    char *got;

    envoy_decoder_init(&d, format, false, max_line);
    envoy_proxy_init(&proxy);
    assert_int_equal(envoy_open(&d, in, &proxy, &m), ENVOY_OPENED);
    assert_int_equal(envoy_entry(&d, &m, 0, &proxy, &e), ENVOY_OPENED);
    got = str_dup(e.msg);
    *cut = e.cut;
    envoy_proxy_release(&proxy);
    envoy_decoder_release(&d);
    buf_release(&bytes);
    return got;
}

/* Nothing in an entry ends the line, or forges one. */
static void control_characters_become_spaces(void **state)
{
    http_t entry = LOGTRAIN__ALS__HTTPACCESS_LOG_ENTRY__INIT;
    Logtrain__Als__HTTPRequestProperties q = LOGTRAIN__ALS__HTTPREQUEST_PROPERTIES__INIT;
    char *got;
    bool cut;

    (void)state;
    entry.request = &q;
    q.path = BYTES("/a\nb\r\0c\x7f\x1b\xc3\xa4");
    got = message_of(&entry, ENVOY_TEXT, 4096, &cut);
    assert_string_equal(got, "bytes=0 request_size=0 response_size=0 method=METHOD_UNSPECIFIED "
                             "request_id= fwd= authority= protocol=protocol_unspecified status=0 "
                             "connect=1.00ms service=1.00ms total=1.00ms path=/a b  c  \xc3\xa4");
    assert_false(cut);
    free(got);
}

static void a_message_above_the_limit_is_cut(void **state)
{
    static char path[5000];
    http_t entry = LOGTRAIN__ALS__HTTPACCESS_LOG_ENTRY__INIT;
    Logtrain__Als__HTTPRequestProperties q = LOGTRAIN__ALS__HTTPREQUEST_PROPERTIES__INIT;
    enum envoy_format formats[] = {ENVOY_TEXT, ENVOY_JSON};
    char *got;
    bool cut;

    (void)state;
    memset(path, 'x', sizeof(path));
    entry.request = &q;
    q.path = (ProtobufCBinaryData){sizeof(path), (uint8_t *)path};
    FOR_ROWS (i, formats) {
        got = message_of(&entry, formats[i], 4096, &cut);
        assert_true(cut && strlen(got) <= 4096);
        free(got);
    }
}

static void odd_times_are_now(void **state)
{
    static const Logtrain__Als__Timestamp rows[] = {
        {PROTOBUF_C_MESSAGE_INIT(&logtrain__als__timestamp__descriptor), -1, 0},
        {PROTOBUF_C_MESSAGE_INIT(&logtrain__als__timestamp__descriptor), INT64_MAX, 0},
        {PROTOBUF_C_MESSAGE_INIT(&logtrain__als__timestamp__descriptor), 10000000000, 0},
        {PROTOBUF_C_MESSAGE_INIT(&logtrain__als__timestamp__descriptor), 1, -1},
        {PROTOBUF_C_MESSAGE_INIT(&logtrain__als__timestamp__descriptor), 1, 1000000000},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        http_t entry = LOGTRAIN__ALS__HTTPACCESS_LOG_ENTRY__INIT;
        Logtrain__Als__AccessLogCommon common = LOGTRAIN__ALS__ACCESS_LOG_COMMON__INIT;
        Logtrain__Als__Timestamp t = rows[i];
        struct envoy_decoder d;
        struct envoy_proxy proxy;
        struct envoy_message m;
        struct journal_entry e;
        struct buf bytes;

        common.start_time = &t;
        entry.common_properties = &common;
        envoy_decoder_init(&d, ENVOY_JSON, false, 4096);
        envoy_proxy_init(&proxy);
        assert_int_equal(envoy_open(&d, pack(&bytes, "", "", "", &entry), &proxy, &m),
                         ENVOY_OPENED);
        assert_int_equal(envoy_entry(&d, &m, 0, &proxy, &e), ENVOY_OPENED);
        assert_int_equal(e.time.len, 0);
        envoy_proxy_release(&proxy);
        envoy_decoder_release(&d);
        buf_release(&bytes);
    }
}

/* protobuf's JSON mapping of a Duration has no exponent; and no digit is lost. */
static void durations_as_protobuf_has_them(void **state)
{
    static const struct {
        int64_t seconds;
        int32_t nanos;
        const char *expected;
    } rows[] = {
        {0, 42000, "\"0.000042s\""},
        {0, 1, "\"0.000000001s\""},
        {3600, 123456789, "\"3600.123456789s\""},
        {1000000000, 0, "\"1000000000s\""},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        http_t entry = LOGTRAIN__ALS__HTTPACCESS_LOG_ENTRY__INIT;
        Logtrain__Als__AccessLogCommon common = LOGTRAIN__ALS__ACCESS_LOG_COMMON__INIT;
        Logtrain__Als__Duration d = LOGTRAIN__ALS__DURATION__INIT;
        char *got;
        bool cut;

        d.seconds = rows[i].seconds;
        d.nanos = rows[i].nanos;
        common.duration = &d;
        entry.common_properties = &common;
        got = message_of(&entry, ENVOY_JSON, 4096, &cut);
        if (!strstr(got, rows[i].expected))
            fail_msg("%s, not %s", rows[i].expected, got);
        free(got);
    }
}

/* Istio's node.cluster is "<label app>.<namespace>", and a label may have dots: a tenant's label
 * must not name another's namespace. */
static void a_label_names_no_other_namespace(void **state)
{
    (void)state;
    hostname_is(false, "sidecar~1.2.3.4~x-64cd4f4ff7-6bqb8.evil~evil.svc.cluster.local",
                "web.shop.evil", "inbound|80||", "x.evil");
}

/* ---- the arena ---- */

static void arena_gives_up_to_its_limit(void **state)
{
    struct arena a;
    struct arena_mark start;
    size_t total = 0;

    (void)state;
    arena_init(&a, 256 * 1024);
    start = arena_mark(&a);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, 256 * 1024));
    assert_true(a.failed);
    while (arena_alloc(&a, 1000))
        total += 1000;
    assert_true(total > 128 * 1024 && total <= 256 * 1024 && a.held <= 256 * 1024);
    arena_rewind(&a, start);
    assert_false(a.failed);
    assert_true(a.held <= 64 * 1024);
    arena_release(&a);
    assert_int_equal(a.held, 0);
}

static void arena_goes_back_to_a_mark(void **state)
{
    struct arena a;
    struct arena_mark mark;
    char *kept, *first, *again;

    (void)state;
    arena_init(&a, 1 << 20);
    kept = arena_alloc(&a, 10);
    memset(kept, 'k', 10);
    mark = arena_mark(&a);
    first = arena_alloc(&a, 1);
    assert_int_equal((uintptr_t)first % _Alignof(max_align_t), 0);
    assert_non_null(arena_alloc(&a, 100 * 1024));
    arena_rewind(&a, mark);
    again = arena_alloc(&a, 0);
    assert_ptr_equal(first, again);
    assert_memory_equal(kept, "kkkkkkkkkk", 10);
    arena_release(&a);
}

/* Two bytes each in the message, and many times that when unpacked. */
static void empty_entries_do_not_take_all_memory(void **state)
{
    enum { N = 700000 };
    struct envoy_decoder d;
    struct envoy_proxy proxy;
    struct envoy_message m;
    struct buf bytes = BUF_INIT(1 << 22);

    (void)state;
    (void)buf_reserve(&bytes, 2 * N + 5);
    memcpy(bytes.p, "\x12\xc0\xb9\x55", 4); /* field 2, 1,400,000 bytes */
    for (size_t i = 0; i < N; i++)
        memcpy(bytes.p + 4 + 2 * i, "\x0a\x00", 2);
    bytes.len = 4 + 2 * N;
    envoy_decoder_init(&d, ENVOY_TEXT, false, 4096);
    envoy_proxy_init(&proxy);
    assert_int_equal(envoy_open(&d, buf_str(&bytes), &proxy, &m), ENVOY_TOO_LARGE);
    assert_true(d.arena.held <= ENVOY_UNPACK_MAX);
    assert_int_equal(envoy_open(&d, STR("\x12\x02\x0a\x00"), &proxy, &m), ENVOY_OPENED);
    assert_int_equal(m.n, 1);
    assert_int_equal(envoy_open(&d, STR("\x12\x05\x0a"), &proxy, &m), ENVOY_MALFORMED);
    envoy_proxy_release(&proxy);
    envoy_decoder_release(&d);
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_it_is),
        cmocka_unit_test(control_characters_become_spaces),
        cmocka_unit_test(a_message_above_the_limit_is_cut),
        cmocka_unit_test(odd_times_are_now),
        cmocka_unit_test(durations_as_protobuf_has_them),
        cmocka_unit_test(a_label_names_no_other_namespace),
        cmocka_unit_test(arena_gives_up_to_its_limit),
        cmocka_unit_test(arena_goes_back_to_a_mark),
        cmocka_unit_test(empty_entries_do_not_take_all_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
