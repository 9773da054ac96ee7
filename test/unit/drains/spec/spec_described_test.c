/* The name of a drain in logs and metrics, and the output of --check: no secret in either. */
#include "../../../lib/unit.h"
#include "spec_fixture.h"

/* ---- names ---- */

static bool same_name(const char *a, const char *b)
{
    struct drain_spec *x = spec(a), *y = spec(b);
    bool same = strcmp(x->name, y->name) == 0;

    drain_spec_unref(x);
    drain_spec_unref(y);
    return same;
}

static void names(void **state)
{
    struct drain_spec *s = spec("HTTP://u:" SECRET "@Logs.example.com/in");

    (void)state;
    assert_int_equal(strlen(s->name), strlen("http://logs.example.com:80#1a2b3c"));
    assert_memory_equal(s->name, "http://logs.example.com:80#", 27);
    drain_spec_unref(s);
    s = spec("syslog+tls://[2001:DB8::1]");
    assert_memory_equal(s->name, "syslog+tls://[2001:db8::1]:6514#", 32);
    drain_spec_unref(s);
    s = spec("stdout://");
    assert_memory_equal(s->name, "stdout://#", 10);
    drain_spec_unref(s);

    assert_true(same_name("http://u:one@h", "http://u:two@h"));
    assert_true(same_name("http://h?api_key=one", "http://h?api_key=two"));
    assert_false(same_name("http://h/a", "http://h/b"));
    assert_false(same_name("http://h?sd=true", "http://h?sd=false"));
}

static void references(void **state)
{
    struct drain_spec *s = spec("null://");

    (void)state;
    assert_ptr_equal(drain_spec_ref(s), s);
    drain_spec_unref(s);
    assert_string_equal(s->text, "null://");
    drain_spec_unref(s);
    drain_spec_unref(NULL);
}

/* ---- --check ---- */

static void assert_described(const char *url, const char *want)
{
    struct drain_spec *s = spec(url);
    struct buf out = BUF_INIT(10000);

    assert_int_equal(drain_spec_describe(s, &out), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
    drain_spec_unref(s);
}

static void described(void **state)
{
    (void)state;
    assert_described("syslog+tls://logs.example.com?insecure=true&sd=true",
                     "scheme       syslog+tls\n"
                     "host         logs.example.com\n"
                     "port         6514 (default)\n"
                     "tls          yes, certificate NOT verified (insecure=true)\n"
                     "format       rfc5424, with sd=true\n"
                     "framing      octet, the length before each record\n"
                     "batch        stream\n"
                     "connections  one for each worker\n"
                     "timeout      30000 ms\n"
                     "promise      transport-confirmed: the peer's kernel has the bytes and the "
                     "connection stayed healthy; sent again after an abnormal end\n"
                     "url          syslog+tls://logs.example.com?insecure=true&sd=true\n");
    assert_described(
        "https://u:" SECRET "@h:8443/in?api_key=" SECRET "&batch=ndjson&" SECRET
        "&compression=gzip",
        "scheme       https\n"
        "host         h\n"
        "port         8443\n"
        "tls          yes, verified against the system's roots\n"
        "user         given, sent as basic authentication\n"
        "format       json\n"
        "framing      lf, a line for each record\n"
        "batch        ndjson\n"
        "linger       100 ms\n"
        "compression  gzip\n"
        "connections  40 for each worker\n"
        "timeout      30000 ms\n"
        "promise      confirmed: nothing lost, duplicates only after a crash or a lost "
        "answer\n"
        "passed on    api_key, *** (to the server)\n"
        "url          https://***@h:8443/in?api_key=***&batch=ndjson&***&"
        "compression=gzip\n");
    assert_described(
        "loki+http://h?tenant=" SECRET "&labels=pod,namespace",
        "scheme       loki+http\n"
        "host         h\n"
        "port         3100 (default)\n"
        "tls          no\n"
        "tenant       given\n"
        "format       loki\n"
        "framing      streams, the records of each stream together\n"
        "labels       namespace, pod\n"
        "batch        many\n"
        "linger       100 ms\n"
        "compression  none\n"
        "connections  4 for each worker\n"
        "timeout      30000 ms\n"
        "promise      confirmed: nothing lost, duplicates only after a crash or a lost "
        "answer\n"
        "url          loki+http://h?tenant=***&labels=***\n");
    assert_described(
        "clickhouse+http://u:" SECRET "@h?table=db.logs&database=x",
        "scheme       clickhouse+http\n"
        "host         h\n"
        "port         8123 (default)\n"
        "tls          no\n"
        "user         given, sent as basic authentication\n"
        "format       json, with sd=true\n"
        "framing      lf, a line for each record\n"
        "table        db.logs\n"
        "batch        many\n"
        "linger       100 ms\n"
        "compression  none\n"
        "connections  4 for each worker\n"
        "timeout      30000 ms\n"
        "promise      confirmed: nothing lost, duplicates only after a crash or a lost "
        "answer\n"
        "passed on    database (to the server)\n"
        "url          clickhouse+http://***@h?table=***&database=***\n");
    assert_described("es+http://id:" SECRET "@h?index=logs-%25Y&auth=apikey&pipeline=p",
                     "scheme       es+http\n"
                     "host         h\n"
                     "port         80 (default)\n"
                     "tls          no\n"
                     "user         given, sent as API key\n"
                     "format       elastic\n"
                     "framing      lf, a line for each record\n"
                     "index        logs-%Y\n"
                     "batch        many\n"
                     "linger       100 ms\n"
                     "compression  none\n"
                     "connections  4 for each worker\n"
                     "timeout      30000 ms\n"
                     "promise      effectively once: nothing lost, and what is sent again is known "
                     "by its id\n"
                     "passed on    pipeline (to the server)\n"
                     "url          es+http://***@h?index=logs-%25Y&auth=***&pipeline=***\n");
    assert_described("syslog://h",
                     "scheme       syslog\n"
                     "host         h\n"
                     "port         514 (default)\n"
                     "format       rfc5424\n"
                     "framing      none, one record is one message\n"
                     "max          1024 bytes a record\n"
                     "batch        stream\n"
                     "connections  one for each worker\n"
                     "timeout      30000 ms\n"
                     "promise      best effort: handed to the kernel, counted when known lost\n"
                     "url          syslog://h\n");
}

/* A row that does not say that its value is public is masked, and so is what no row is about. */
static void only_public_values_are_shown(void **state)
{
    static const struct {
        const char *url, *shown;
    } rows[] = {
        {"http://h?batch=array&streams=stderr", "http://h?batch=array&streams=stderr"},
        {"http://h?header=X-A:b&utf8=keep", "http://h?header=***&utf8=***"},
        {"http://h?index=main", "http://h?index=***"}, /* the server's */
        {"splunk+http://:t@h?index=main", "splunk+http://***@h?index=main"},
        {"redis://h?mode=list&key=k&maxlen=5", "redis://h?mode=list&key=***&maxlen=5"},
        {"file:///d?compression=gzip&keep=3", "file:///d?compression=gzip&keep=***"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct drain_spec *s = spec(rows[i].url);
        struct buf out = BUF_INIT(10000);
        const char *url;

        assert_int_equal(drain_spec_describe(s, &out), 0);
        url = strstr(buf_cstr(&out), "\nurl          ");
        assert_non_null(url);
        url += strlen("\nurl          ");
        assert_int_equal(strncmp(url, rows[i].shown, strlen(rows[i].shown)), 0);
        assert_string_equal(url + strlen(rows[i].shown), "\n");
        buf_release(&out);
        drain_spec_unref(s);
    }
}

static void describe_respects_the_cap(void **state)
{
    struct drain_spec *s = spec("http://h?x=1");

    (void)state;
    for (size_t max = 0; max < 300; max++) {
        struct buf out = BUF_INIT(max);

        assert_int_equal(drain_spec_describe(s, &out), -1);
        buf_release(&out);
    }
    drain_spec_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(references),
        cmocka_unit_test(described),
        cmocka_unit_test(only_public_values_are_shown),
        cmocka_unit_test(describe_respects_the_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
