/* Options that some members have, and the parameters of a URL that are its server's. */
#include "../../../lib/unit.h"
#include "drains/members/redis_internal.h"
#include "drains/members/ws_internal.h"
#include "spec_fixture.h"

#define FILTER "filter_path=items.*._id,items.*.status,items.*.error.type"
#define FIELDS "_time_field=time&_msg_field=message&_stream_fields="
#define SETTINGS                                                                                   \
    "&input_format_skip_unknown_fields=1&date_time_input_format=best_effort&"                      \
    "wait_for_async_insert=1"

static void redis_options(void **state)
{
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"redis://h?mode=publish", NULL},
        {"redis://h?mode=queue", "redis: option 'mode' must be publish, list or stream"},
        {"redis://h?mode=list&key=lines&maxlen=1", NULL},
        {"redis://h?mode=stream&key=a%20b", NULL},
        {"redis://h?mode=list&key=", "redis: option 'key' must be a name of 1 to 1024 bytes, in "
                                     "which %h, %t, %n, %p, %c and %% may stand"},
        {"redis://h?mode=list&key=a%0ab", "redis: option 'key' must be a name of 1 to 1024 bytes, "
                                          "in which %h, %t, %n, %p, %c and %% may stand"},
        {"redis://h/a%00b", "url: bad percent-encoding in the path"},
        {"redis://h?key=lines",
         "redis: option 'key' needs mode=list or stream; with publish, the path is the channel"},
        {"redis://h/lines?mode=list&key=lines",
         "redis: option 'key' and a path cannot both be given"},
        {"redis://h?maxlen=10", "redis: option 'maxlen' needs mode=list or stream"},
        {"redis://h?mode=list&maxlen=0",
         "redis: option 'maxlen' must be a number from 1 to 1000000000000"},
        {"redis://h?db=65535", NULL},
        {"redis://h?db=65536", "redis: option 'db' must be a number from 0 to 65535"},
        {"redis://u:" SECRET "@h", NULL},
        {"redis://:" SECRET "@h", NULL},
        {"redis://" SECRET "@h", "redis: a user without a password"},
        {"redis://u:@h", "redis: a user without a password"},
        {"redis://h?group=ops", NULL},
        {"redis://h?group=", "redis: option 'group' must be a name of 1 to 64 bytes"},
        {"redis://h?group=ops&format=json", "redis: option 'group' needs format=gelf"},
        {"redis://h?framing=lf", NULL},
        {"redis://h?framing=octet",
         "redis: option 'framing' must be lf, which puts lines together"},
        {"redis://h?compression=gzip&format=raw", NULL},
        {"redis://h?chanel=x", "redis: unknown option 'chanel'"},
        {"syslog+tcp://h?mode=list",
         "syslog+tcp: option 'mode' is not for this scheme, but for redis"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        if (rows[i].want)
            refused(rows[i].url, rows[i].want);
        else
            drain_spec_unref(spec(rows[i].url));
    }
}

static void redis_values(void **state)
{
    struct drain_spec *s = spec("redis://u:p@h/a/b%2Fc%20d");

    (void)state;
    assert_string_equal(redis_options_of(s)->key, "a/b/c d");
    assert_int_equal(redis_options_of(s)->mode, REDIS_PUBLISH);
    assert_true(str_eq(s->format.group, STR("lr")));
    drain_spec_unref(s);
    s = spec("rediss://h?mode=stream&maxlen=1000&db=3&group=ops");
    assert_null(redis_options_of(s)->key);
    assert_int_equal(redis_options_of(s)->mode, REDIS_STREAM);
    assert_int_equal(redis_options_of(s)->maxlen, 1000);
    assert_int_equal(redis_options_of(s)->db, 3);
    assert_true(str_eq(s->format.group, STR("ops")));
    drain_spec_unref(s);
    s = spec("redis://h/?format=json");
    assert_null(redis_options_of(s)->key);
    assert_int_equal(s->format.group.len, 0);
    drain_spec_unref(s);
}

static void ws_options(void **state)
{
    struct drain_spec *s = spec("ws://h");

    (void)state;
    assert_true(s->gzip);
    assert_int_equal(s->linger_ms, 0);
    assert_int_equal(s->format.framing, FRAMING_LF);
    drain_spec_unref(s);
    s = spec("wss://h/in?x=1&token=" SECRET "&compression=none&key=k&linger=1s");
    assert_false(s->gzip);
    assert_string_equal(((const struct ws_options *)s->own)->token, SECRET);
    assert_string_equal(s->target, "/in?x=1&key=k");
    assert_int_equal(s->linger_ms, 1000);
    drain_spec_unref(s);
    refused("ws://h?token=a%0d%0aX:1", "ws: option 'token' must be visible ascii");
    refused("ws://h?token=", "ws: option 'token' must be visible ascii");
    refused("ws://u:p@h?token=" SECRET, "ws: option 'token' and a user cannot both be given");
    refused("ws://h?tokem=" SECRET, "ws: unknown option 'tokem', did you mean 'token'");
    refused("ws://h?framing=octet",
            "ws: option 'framing' is not for this scheme, but for syslog+tcp, syslog+tls, "
            "syslog+http, redis; to pass it on to the server write '%66raming'");
}

/* An option of another scheme is never passed on silently; only names that servers have, too, and only
 * where the server may be anybody's. */
static void other_schemes_options(void **state)
{
    static const struct {
        const char *url, *want, *target;
    } rows[] = {
        {"https://h/in?key=a&token=b&mode=c&db=d&maxlen=e", NULL,
         "/in?key=a&token=b&mode=c&db=d&maxlen=e"},
        {"gelf+http://h/in?token=b&index=c", NULL, "/in?token=b&index=c"},
        {"syslog+https://h/in?token=b&%61uth=c", NULL, "/in?token=b&%61uth=c"},
        {"wss://h/in?key=a&index=b", NULL, "/in?key=a&index=b"},
        {"https://h/in?%74enant=a&lab%65ls=b", NULL, "/in?%74enant=a&lab%65ls=b"},
        {"es://h?%74enant=a", NULL, "/_bulk?" FILTER "&%74enant=a"},
        {"https://h?tenant=a",
         "https: option 'tenant' is not for this scheme, but for loki+http; to pass it on to the "
         "server write '%74enant'",
         NULL},
        {"http://h?labels=a",
         "http: option 'labels' is not for this scheme, but for loki+http; to pass it on to the "
         "server write '%6cabels'",
         NULL},
        {"gelf+https://h?batch=ndjson",
         "gelf+https: option 'batch' is not for this scheme, but for http; to pass it on to the "
         "server write '%62atch'",
         NULL},
        {"wss://h?tenant=a",
         "wss: option 'tenant' is not for this scheme, but for loki+http; to pass it on to the "
         "server write '%74enant'",
         NULL},
        {"es://h?tenant=" SECRET,
         "es: option 'tenant' is not for this scheme, but for loki+http; to pass it on to the "
         "server write '%74enant'",
         NULL},
        {"es+http://h?token=" SECRET,
         "es+http: option 'token' is not for this scheme, but for ws; to pass it on to the server "
         "write '%74oken'",
         NULL},
        {"es://h?key=" SECRET, "es: option 'key' must be the base64 of a private key in PEM", NULL},
        {"loki+https://h?index=a",
         "loki+https: option 'index' is not for this scheme, but for es, elasticsearch, "
         "splunk+http; to pass it on to the server write '%69ndex'",
         NULL},
        {"loki+http://h?maxlen=1",
         "loki+http: option 'maxlen' is not for this scheme, but for redis; to pass it on to the "
         "server write '%6daxlen'",
         NULL},
        {"redis://h?index=a",
         "redis: option 'index' is not for this scheme, but for es, elasticsearch, splunk+http",
         NULL},
        {"rediss://h?token=" SECRET, "rediss: option 'token' is not for this scheme, but for ws",
         NULL},
        {"syslog+tls://h?mode=list",
         "syslog+tls: option 'mode' is not for this scheme, but for redis", NULL},
        {"gelf+udp://h?labels=pod",
         "gelf+udp: option 'labels' is not for this scheme, but for loki+http", NULL},
        {"stdout://?db=1", "stdout: option 'db' is not for this scheme, but for redis", NULL},
        {"null://?token=a", "null: option 'token' is not for this scheme, but for ws", NULL},
        {"wss://h?auth=bearer",
         "wss: option 'auth' is not for this scheme, but for http, syslog+http, gelf+http, es, "
         "elasticsearch, loki+http, victorialogs+http, clickhouse+http, …; to pass it on "
         "to the server write '%61uth'",
         NULL},
        {"redis://h?header=a:b",
         "redis: option 'header' is not for this scheme, but for http, syslog+http, gelf+http, es, "
         "elasticsearch, loki+http, victorialogs+http, clickhouse+http, …",
         NULL},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct drain_spec *s;

        if (rows[i].want) {
            refused(rows[i].url, rows[i].want);
            continue;
        }
        s = spec(rows[i].url);
        assert_string_equal(s->target, rows[i].target);
        drain_spec_unref(s);
    }
}

static void the_rest_of_the_query_is_the_servers(void **state)
{
    static const struct {
        const char *url, *target;
    } rows[] = {
        {"es://h", "/_bulk?" FILTER},
        {"es://h/", "/_bulk?" FILTER},
        {"es://h/a", "/a/_bulk?" FILTER},
        {"es://h/a/?pipeline=p&index=x", "/a/_bulk?" FILTER "&pipeline=p"},
        {"es://h/_bulk", "/_bulk?" FILTER},
        {"es://h/_bulk/x", "/_bulk/x?" FILTER},
        {"victorialogs+http://h", "/insert/jsonline?" FIELDS "hostname,namespace,pod,container"},
        {"victorialogs+http://h/vl?stream_fields=stream,pod&a=b", "/vl?" FIELDS "pod,stream&a=b"},
        {"clickhouse+http://h?table=db.logs",
         "/?query=INSERT%20INTO%20db.logs%20FORMAT%20JSONEachRow" SETTINGS},
        {"clickhouse+http://h/p?table=logs&database=x",
         "/p?query=INSERT%20INTO%20logs%20FORMAT%20JSONEachRow" SETTINGS "&database=x"},
        {"splunk+https://:t@h", "/services/collector/event"},
        {"splunk+https://:t@h/services/collector", "/services/collector"},
        {"datadog+https://:k@h", "/api/v2/logs"},
        {"newrelic+https://:k@h", "/log/v1"},
        {"loki+http://h", "/loki/api/v1/push"},
        {"loki+http://h/?a=b", "/loki/api/v1/push?a=b"},
        {"loki+http://h/behind/push", "/behind/push"},
        {"gelf+http://h", "/gelf"},
        {"gelf+http://h/", "/gelf"},
        {"gelf+http://h/in", "/in"},
        {"syslog+http://h", "/"},
        /* a webhook's, not those of other schemes */
        {"https://h/?key=abc&%61uth=x&index=7&token=t", "/?key=abc&%61uth=x&index=7&token=t"},
        {"http://h", "/"},
        {"http://h?insecure=true", "/"},
        {"http://h/a%20b/", "/a%20b/"},
        {"http://h?x=1", "/?x=1"},
        {"http://h/p?api_key=a%2Bb+c&insecure=true&z", "/p?api_key=a%2Bb+c&z"},
        {"http://h/p?&a=1&&batch=array&a=1&", "/p?a=1&a=1"},
        {"http://h/p?%62atch=array", "/p?%62atch=array"},
        {"http://h/p?q#f", "/p?q"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct drain_spec *s = spec(rows[i].url);

        assert_string_equal(s->target, rows[i].target);
        drain_spec_unref(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redis_options),
        cmocka_unit_test(redis_values),
        cmocka_unit_test(ws_options),
        cmocka_unit_test(other_schemes_options),
        cmocka_unit_test(the_rest_of_the_query_is_the_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
