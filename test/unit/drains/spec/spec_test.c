/* A drain's URL: every option at its bounds, and which schemes have it. */
#include <stdlib.h>

#include "../../../lib/unit.h"
#include "drains/members/redis_internal.h"
#include "drains/members/ws_internal.h"
#include "spec_fixture.h"

/* Any certificate; the text before it makes its base64 contain a '+'. */
#define PEM_TEXT                                                                                   \
    "~~>\n-----BEGIN CERTIFICATE-----\n"                                                           \
    "MIIBezCCASGgAwIBAgIUUuIR1Au1zgodY3hvj9PyjM7o6gwwCgYIKoZIzj0EAwIw\n"                           \
    "EjEQMA4GA1UEAwwHdGVzdC1jYTAgFw0yNjExMjEwMTQ3NDlaGA8yMTI2MTAyODAx\n"                           \
    "NDc0OVowEjEQMA4GA1UEAwwHdGVzdC1jYTBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"                           \
    "A0IABMG3KXCSp0fd7rmvD835BaQ6TaSJX3HaLBHnh2uLPDkqgqhrQXXdRriZSZS0\n"                           \
    "MCBJTszbWbRC/MrQcqEFrlZVecajUzBRMB0GA1UdDgQWBBTUl61kswJkZm03KKHf\n"                           \
    "DHuObku6VDAfBgNVHSMEGDAWgBTUl61kswJkZm03KKHfDHuObku6VDAPBgNVHRMB\n"                           \
    "Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIAirs1lzf1C1vjqJSugT6oZj0Vjj\n"                           \
    "zzQT1GNzglG2iyeOAiEA53WsUz9Kke6QHk8W5jULdEic3qB/mHHgPQvZkumUq7U=\n"                           \
    "-----END CERTIFICATE-----\n"

/* ---- which schemes have an option ---- */

static void a_workload_may_use_less(void **state)
{
    char text[OWNER_URL_MAX + 2];
    struct err e = {0, ""};
    struct drain_spec *s;

    (void)state;
    assert_null(drain_spec_create_owner(STR("stdout://"), &e));
    assert_string_equal(e.text, "scheme 'stdout' is for operators only");
    assert_null(drain_spec_create_owner(STR("file:///var/log/archive"), &e));
    assert_string_equal(e.text, "scheme 'file' is for operators only");
    memset(text, 'x', sizeof(text));
    memcpy(text, "http://h/", 9);
    assert_null(drain_spec_create_owner(str_make(text, OWNER_URL_MAX + 1), &e));
    assert_string_equal(e.text, "url: longer than 8192 bytes");
    s = drain_spec_create_owner(str_make(text, OWNER_URL_MAX), &e);
    assert_non_null(s);
    drain_spec_unref(s);
    s = drain_spec_create(str_make(text, OWNER_URL_MAX + 1), &e);
    assert_non_null(s);
    drain_spec_unref(s);
}

/* Two drains to a worker, so that one's trust is not the other's. */
static void the_same_url_by_another_is_another(void **state)
{
    struct drain_spec *ours = spec("es://h"), *theirs;
    struct buf out = BUF_INIT(4096);
    struct err e;

    (void)state;
    theirs = drain_spec_create_owner(STR("es://h"), &e);
    assert_non_null(theirs);
    assert_true(theirs->owner && !ours->owner);
    assert_string_equal(theirs->text, ours->text);
    assert_string_not_equal(theirs->id, ours->id);
    assert_true(theirs->format.index_namespace && !ours->format.index_namespace);
    assert_int_equal(drain_spec_describe(theirs, &out), 0);
    assert_non_null(strstr(out.p, "logtrain-<namespace>"));
    buf_release(&out);
    drain_spec_unref(ours);
    drain_spec_unref(theirs);
}

/* ---- values from the URL ---- */

static void defaults(void **state)
{
    static const struct {
        const char *url;
        uint16_t port;
        enum format format;
        enum framing framing;
        size_t max;
        enum drain_batch batch;
        unsigned connections;
    } rows[] = {
        {"syslog+tcp://h", 601, FORMAT_RFC5424, FRAMING_LF, 0, BATCH_STREAM, WORKERS_MAX},
        {"syslog+tls://h", 6514, FORMAT_RFC5424, FRAMING_OCTET, 0, BATCH_STREAM, WORKERS_MAX},
        {"syslog+udp://h", 514, FORMAT_RFC5424, FRAMING_NONE, 1024, BATCH_STREAM, WORKERS_MAX},
        {"SYSLOG://h", 514, FORMAT_RFC5424, FRAMING_NONE, 1024, BATCH_STREAM, WORKERS_MAX},
        {"http://h", 80, FORMAT_JSON, FRAMING_NONE, 0, BATCH_RECORD, 40},
        {"https://h", 443, FORMAT_JSON, FRAMING_NONE, 0, BATCH_RECORD, 40},
        {"redis://h", 6379, FORMAT_GELF, FRAMING_NONE, 0, BATCH_STREAM, WORKERS_MAX},
        {"rediss://h", 6379, FORMAT_GELF, FRAMING_NONE, 0, BATCH_STREAM, WORKERS_MAX},
        {"stdout://", 0, FORMAT_RAW, FRAMING_LF, 0, BATCH_STREAM, 1},
        {"null://", 0, FORMAT_RAW, FRAMING_LF, 0, BATCH_STREAM, WORKERS_MAX},
        {"gelf+tcp://h", 12201, FORMAT_GELF, FRAMING_NUL, 0, BATCH_STREAM, WORKERS_MAX},
        {"gelf+udp://h", 12201, FORMAT_GELF, FRAMING_NONE, 8192, BATCH_STREAM, WORKERS_MAX},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct drain_spec *s = spec(rows[i].url);

        assert_string_equal(s->text, rows[i].url);
        assert_int_equal(s->port, rows[i].port);
        assert_int_equal(s->format.format, rows[i].format);
        assert_int_equal(s->format.framing, rows[i].framing);
        assert_int_equal(s->format.max, rows[i].max);
        assert_int_equal(s->batch, rows[i].batch);
        assert_int_equal(s->connections, rows[i].connections);
        assert_int_equal(s->linger_ms, 0); /* http's waits only where there is a batch */
        assert_int_equal(s->timeout_ms, 30000);
        assert_false(s->gzip || s->insecure || s->format.sd || s->trace || s->ca);
        assert_string_equal(s->target, "/");
        drain_spec_unref(s);
    }
}

static void all_of_http(void **state)
{
    struct drain_spec *s = spec("https://u:p@h:8443/in?batch=array&connections=7&linger=2s&sd=true"
                                "&compression=gzip&timeout=5s&insecure=true&max=64k&format=json");
    struct tls_options tls;

    (void)state;
    assert_int_equal(s->port, 8443);
    assert_int_equal(s->batch, BATCH_ARRAY);
    assert_int_equal(s->format.framing, FRAMING_ARRAY);
    assert_int_equal(s->connections, 7);
    assert_int_equal(s->linger_ms, 2000);
    assert_int_equal(s->timeout_ms, 5000);
    assert_int_equal(s->format.max, 65536);
    assert_true(s->gzip && s->insecure && s->format.sd);
    assert_string_equal(s->target, "/in");
    drain_spec_tls(s, &tls);
    assert_true(tls.insecure);
    assert_int_equal(tls.ca.len, 0);
    drain_spec_unref(s);

    s = spec("http://h?batch=ndjson");
    assert_int_equal(s->format.framing, FRAMING_LF);
    assert_int_equal(s->linger_ms, LINGER_HTTP_MS);
    drain_spec_unref(s);
}

/* <want> NULL: valid. */
static void option_values(void **state)
{
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"syslog+tcp://h?format=rfc5424", NULL},
        {"syslog+tcp://h?format=json", NULL},
        {"syslog+tcp://h?format=raw", NULL},
        {"syslog+tcp://h?format=xml",
         "syslog+tcp: option 'format' must be rfc5424, json, gelf or raw"},
        {"syslog+tcp://h?format=",
         "syslog+tcp: option 'format' must be rfc5424, json, gelf or raw"},
        {"syslog+tcp://h?format=gelf", NULL},
        {"syslog+tcp://h?format=elastic",
         "syslog+tcp: option 'format' must be rfc5424, json, gelf or raw"},
        {"es://h?format=json", "es: option 'format' is not for this scheme"},
        {"gelf+tcp://h?format=gelf", NULL},
        {"gelf+http://h?format=json", "gelf+http: option 'format' must be gelf for this scheme"},
        {"gelf+tcp://h?framing=lf", "gelf+tcp: option 'framing' is not for this scheme, but for "
                                    "syslog+tcp, syslog+tls, syslog+http, redis"},
        {"syslog+http://h?framing=octet", NULL},
        {"syslog+https://h?batch=ndjson",
         "syslog+https: option 'batch' is not for this scheme, but for http; to pass it on to the "
         "server write '%62atch'"},
        {"es://h?index=logs-%25Y.%25m.%25d", NULL},
        {"es://h?index=Logs",
         "es: option 'index' must be a legal index name (lower case), in which %Y, %m and %d may "
         "stand"},
        {"es://h?filter_path=took",
         "es: logtrain sets parameter 'filter_path' itself for this scheme"},
        {"es://h?idnex=a", "es: unknown option 'idnex', did you mean 'index'"},
        {"loki+http://h?labels=pod,namespace&tenant=team-a|b", NULL},
        {"loki+http://h?labels=tag",
         "loki+http: option 'labels' must be some of namespace, workload, pod, container and node"},
        {"loki+http://h?tenant=a%0d%0aX:%20b",
         "loki+http: option 'tenant' must be a name that Loki takes"},
        {"loki+http://h?tenant=", "loki+http: option 'tenant' must be a name that Loki takes"},
        {"loki+http://h?tenant=a%00b", "loki+http: option 'tenant' must be a name that Loki takes"},
        {"loki+https://h?format=json", "loki+https: option 'format' is not for this scheme"},
        {"victorialogs+http://h?stream_fields=pod,namespace&x=y", NULL},
        {"victorialogs+http://h?stream_fields=id",
         "victorialogs+http: option 'stream_fields' must be some of hostname, namespace, pod, "
         "container, "
         "node, tag and stream"},
        {"victorialogs+http://h?format=raw",
         "victorialogs+http: option 'format' must be json for this scheme"},
        {"victorialogs+https://h?_msg_field=x",
         "victorialogs+https: logtrain sets parameter '_msg_field' itself for this scheme"},
        {"victorialogs+https://h?_stream_fields=x",
         "victorialogs+https: logtrain sets parameter '_stream_fields' itself for this scheme"},
        {"clickhouse+http://h?table=logs", NULL},
        {"clickhouse+https://u:p@h?table=db_1.Logs&database=x", NULL},
        {"clickhouse+http://h", "clickhouse+http: option 'table' must be given"},
#define NO_TABLE                                                                                   \
    "clickhouse+http: option 'table' must be a table, or database.table, in letters, digits and "  \
    "'_'"
        {"clickhouse+http://h?table=", NO_TABLE},
        {"clickhouse+http://h?table=.a", NO_TABLE},
        {"clickhouse+http://h?table=a.", NO_TABLE},
        {"clickhouse+http://h?table=a.b.c", NO_TABLE},
        {"clickhouse+http://h?table=1a", NO_TABLE},
        {"clickhouse+http://h?table=a.1", NO_TABLE},
        {"clickhouse+http://h?table=a%20b", NO_TABLE},
        {"clickhouse+http://h?table=a%3bDROP", NO_TABLE},
        {"clickhouse+http://h?table=a%60", NO_TABLE},
        {"clickhouse+http://h?table=%c3%a4", NO_TABLE},
        {"clickhouse+http://h?table=a&query=DROP",
         "clickhouse+http: logtrain sets parameter 'query' itself for this scheme"},
        {"splunk+http://:token@h?index=main&source=a&sourcetype=b", NULL},
        {"splunk+http://h", "splunk+http: option 'auth': splunk needs a password in the URL"},
        {"splunk+https://h?auth=none", NULL},
        {"splunk+https://:t@h?index=",
         "splunk+https: option 'index' must be a name of 1 to 200 bytes"},
        {"datadog+https://:key@h?tags=a:b,c:d&service=x&source=y", NULL},
        {"datadog+https://h", "datadog+https: the key is missing, as the URL's password"},
        {"datadog+https://:a%20b@h", "datadog+https: option 'auth': the password is no API key"},
        {"datadog+https://:key@h?header=DD-API-KEY:x",
         "datadog+https: option 'header': logtrain sets this header itself for this scheme"},
        {"newrelic+https://:key@h?service=x", NULL},
        {"newrelic+https://key@h", "newrelic+https: the key is missing, as the URL's password"},
        {"syslog+tcp://h?tenant=a",
         "syslog+tcp: option 'tenant' is not for this scheme, but for loki+http"},
        {"elasticsearch://h?linger=1s&connections=2&compression=gzip&max=64k", NULL},
        {"syslog+tcp://h?index=a", "syslog+tcp: option 'index' is not for this scheme, but for es, "
                                   "elasticsearch, splunk+http"},
        {"syslog+tcp://h?servername=a",
         "syslog+tcp: option 'servername' is for schemes with TLS only"},
        {"syslog+tls://h?servername=a", NULL},
        {"syslog+tls://h?servername=192.0.2.1", NULL},
        {"syslog+tls://h?servername=a%20b", "syslog+tls: option 'servername' must be a host name"},
        {"syslog+tls://h?servername=", "syslog+tls: option 'servername' must be a host name"},
        {"syslog+tcp://h?framing=lf", NULL},
        {"syslog+tls://h?framing=octet", NULL},
        {"syslog+tls://h?framing=crlf", "syslog+tls: option 'framing' must be lf or octet"},
        {"syslog+udp://h?framing=lf", "syslog+udp: option 'framing' is not for this scheme, but "
                                      "for syslog+tcp, syslog+tls, syslog+http, redis"},
        {"http://h?framing=lf",
         "http: option 'framing' is not for this scheme, but for syslog+tcp, syslog+tls, "
         "syslog+http, redis; to pass it on to the server write '%66raming'"},
        {"http://h?batch=record", NULL},
        {"http://h?batch=stream", "http: option 'batch' must be record, ndjson or array"},
        {"syslog+tcp://h?batch=ndjson",
         "syslog+tcp: option 'batch' is not for this scheme, but for http"},
        {"http://h?batch=ndjson&format=raw", NULL},
        {"http://h?batch=array&format=raw", "http: option 'batch': array needs format=json"},
        {"http://h?format=rfc5424&batch=array", "http: option 'batch': array needs format=json"},
        {"http://h?connections=0", "http: option 'connections' must be a number from 1 to 256"},
        {"http://h?connections=1", NULL},
        {"http://h?connections=256", NULL},
        {"http://h?connections=257", "http: option 'connections' must be a number from 1 to 256"},
        {"http://h?connections=-1", "http: option 'connections' must be a number from 1 to 256"},
        {"syslog+tcp://h?connections=2", NULL},
        {"syslog+udp://h?connections=2",
         "syslog+udp: option 'connections' is not for this scheme, but for syslog+tcp, syslog+tls, "
         "gelf+tcp, gelf+tls, http, syslog+http, gelf+http, es, elasticsearch, …"},
        {"http://h?linger=0", NULL},
        {"http://h?linger=60s", NULL},
        {"http://h?linger=60001ms", "http: option 'linger' must be a duration from 0 to 60s"},
        {"http://h?linger=soon", "http: option 'linger' must be a duration from 0 to 60s"},
        {"null://?linger=1s", "null: option 'linger' is not for this scheme, but for http, "
                              "syslog+http, ws, es, elasticsearch, loki+http, victorialogs+http, "
                              "clickhouse+http, splunk+http, …"},
        {"http://h?compression=gzip", NULL},
        {"http://h?compression=none", NULL},
        {"http://h?compression=br", "http: option 'compression' must be none or gzip"},
        {"syslog+tcp://h?compression=none", NULL},
        {"syslog+tcp://h?compression=gzip",
         "syslog+tcp: option 'compression': gzip is not for this scheme"},
        {"stdout://?compression=gzip", "stdout: option 'compression': gzip is not for this scheme"},
        {"http://h?timeout=1s", NULL},
        {"http://h?timeout=999ms", "http: option 'timeout' must be a duration from 1s to 300s"},
        {"http://h?timeout=5m", NULL},
        {"http://h?timeout=301", "http: option 'timeout' must be a duration from 1s to 300s"},
        {"syslog+tls://h?insecure=true", NULL},
        {"syslog+tls://h?insecure=false", NULL},
        {"syslog+tls://h?insecure=1", "syslog+tls: option 'insecure' must be true or false"},
        {"syslog+tls://h?insecure", "syslog+tls: option 'insecure' must be true or false"},
        {"null://?sd=true", NULL},
        {"null://?sd=yes", "null: option 'sd' must be true or false"},
        {"syslog+udp://h?max=479", "syslog+udp: option 'max' must be a size from 480 to 65507"},
        {"syslog+udp://h?max=480", NULL},
        {"syslog+udp://h?max=65507", NULL},
        {"syslog+udp://h?max=65508", "syslog+udp: option 'max' must be a size from 480 to 65507"},
        {"syslog+tcp://h?max=479", "syslog+tcp: option 'max' must be a size from 480 to 16m"},
        {"syslog+tcp://h?max=480", NULL},
        {"syslog+tcp://h?max=16m", NULL},
        {"syslog+tcp://h?max=16777217", "syslog+tcp: option 'max' must be a size from 480 to 16m"},
        {"syslog+tls://h?ca=", NULL}, /* as the original */
        {"es://i:k@h?auth=APIKEY", NULL},
        {"https://h?batch=NDJSON&insecure=TRUE", NULL},
        {"syslog+tls://h?ca=%25%25",
         "syslog+tls: option 'ca' must be the base64 of a certificate in PEM"},
        {"syslog+tls://h?ca=QUJDR", /* one letter too many */
         "syslog+tls: option 'ca' must be the base64 of a certificate in PEM"},
        {"syslog+tls://h?ca=aGVsbG8=",
         "syslog+tls: option 'ca' must be the base64 of a certificate in PEM"},
        {"syslog+tls://h?ca=LS0tLS1CRUdJTiA=", /* "-----BEGIN " and no more */
         "syslog+tls: option 'ca': ca: no certificate found"},
        {"syslog+tcp://h?foo=1", "syslog+tcp: unknown option 'foo'"},
        {"syslog+tcp://h?format=raw&&sd=true&", NULL},
        {"syslog+tcp://h?fromat=raw", "syslog+tcp: unknown option 'fromat', did you mean 'format'"},
        {"syslog+tcp://h?sd=true&sd=true", "syslog+tcp: option 'sd' is given twice"},
        {"null://?" SECRET, "null: unknown option '***'"},
        {"null://?" SECRET "=", "null: unknown option '***'"},
        {"null://?a%0ab=1", "null: unknown option '***'"},
        {"http://h?conections=4", "http: unknown option 'conections', did you mean 'connections'"},
        {"http://h?batches=4", NULL},
        {"http://h?Batch=array", "http: unknown option 'Batch', did you mean 'batch'"},
        {"http://h?LINGER=4s", "http: unknown option 'LINGER', did you mean 'linger'"},
        {"http://h?lingre=4s", "http: unknown option 'lingre', did you mean 'linger'"},
        {"http://h?lunger=4s", "http: unknown option 'lunger', did you mean 'linger'"},
        {"http://h?iinsecure=1", "http: unknown option 'iinsecure', did you mean 'insecure'"},
        {"http://h?Conections=4", "http: unknown option 'Conections', did you mean 'connections'"},
        {"http://h?bat", NULL},
        {"http://h?mix=1&cat=2&id=3", NULL}, /* short names are near to everything */
    };

    (void)state;
    FOR_ROWS (i, rows) {
        if (rows[i].want)
            refused(rows[i].url, rows[i].want);
        else
            drain_spec_unref(spec(rows[i].url));
    }
}

/* A private key never goes to a server in the clear, as a parameter. */
static void a_key_in_pem_is_no_parameter(void **state)
{
    static const char *const urls[] = {
        "http://h?key=LS0tLS1CRUdJTg", "es+http://h?key=LS0tLS1CRUdJTg",
        "http://h?key=/etc/key.pem", "ws://h?key=LS0tLS1CRUdJTg", "loki+http://h?key=a"};

    (void)state;
    FOR_ROWS (i, urls) {
        struct err e = {0, ""};

        assert_null(drain_spec_create(str_of(urls[i]), &e));
        assert_non_null(
            strstr(e.text, ": option 'key' is not for this scheme, but for syslog+tls, "));
    }
}

/* Every option is known, and known when it is given twice, also when members have more than 64. */
static void given_twice(void **state)
{
    static const struct {
        const char *url, *want;
    } rows[] = {
        {"loki+http://h?tenant=a&labels=pod&tenant=b", "loki+http: option 'tenant' is given twice"},
        {"redis://h?mode=list&key=a&key=b", "redis: option 'key' is given twice"},
        {"es://h?index=a&index=b", "es: option 'index' is given twice"},
        {"wss://h?token=a&token=b", "wss: option 'token' is given twice"},
        {"http://h?a=1&a=2&sd=true&a=3&sd=true", "http: option 'sd' is given twice"},
        {"http://h?a=1&a=2&key=a&key=b&token=1&token=2", NULL},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        if (rows[i].want)
            refused(rows[i].url, rows[i].want);
        else
            drain_spec_unref(spec(rows[i].url));
    }
}

static void base64(struct buf *out, struct str in)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < in.len; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        unsigned v = 0;

        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < n ? (unsigned char)in.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(buf_add_ch(out, k <= n ? digits[v >> (18 - 6 * k) & 63] : '='), 0);
    }
}

static void certificates(void **state)
{
    static const char *const pems[] = {PEM_TEXT, "~" PEM_TEXT, "~~" PEM_TEXT}; /* all paddings */

    (void)state;
    FOR_ROWS (i, pems) {
        struct buf url = BUF_INIT(URL_MAX);
        struct tls_options tls;
        struct drain_spec *s;

        assert_int_equal(buf_add_str(&url, STR("syslog+tls://h?ca=")), 0);
        base64(&url, str_of(pems[i]));
        if (i == 0)
            assert_non_null(strchr(url.p, '+'));
        s = spec(buf_cstr(&url));
        assert_string_equal(s->ca, pems[i]);
        drain_spec_tls(s, &tls);
        assert_true(str_eq(tls.ca, str_of(pems[i])));
        drain_spec_unref(s);
        while (url.p[url.len - 1] == '=')
            url.p[--url.len] = '\0';
        drain_spec_unref(spec(buf_cstr(&url)));
        url.p[60] = 'A'; /* inside the encoded "BEGIN" line or the certificate */
        url.p[120] = '*';
        refused(buf_cstr(&url),
                "syslog+tls: option 'ca' must be the base64 of a certificate in PEM");
        buf_release(&url);
    }
}

static void requests_of_many_records(void **state)
{
    static const struct {
        const char *url;
        enum format format;
        enum framing framing;
    } rows[] = {
        {"syslog+http://h", FORMAT_RFC5424, FRAMING_LF},
        {"syslog+https://h?framing=octet", FORMAT_RFC5424, FRAMING_OCTET},
        {"es://h", FORMAT_ELASTIC, FRAMING_LF},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct drain_spec *s = spec(rows[i].url);

        assert_int_equal(s->batch, BATCH_MANY);
        assert_int_equal(s->format.format, rows[i].format);
        assert_int_equal(s->format.framing, rows[i].framing);
        assert_int_equal(s->connections, CONNECTIONS_MANY);
        assert_int_equal(s->linger_ms, LINGER_HTTP_MS);
        drain_spec_unref(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_workload_may_use_less),
        cmocka_unit_test(the_same_url_by_another_is_another),
        cmocka_unit_test(defaults),
        cmocka_unit_test(all_of_http),
        cmocka_unit_test(option_values),
        cmocka_unit_test(a_key_in_pem_is_no_parameter),
        cmocka_unit_test(given_twice),
        cmocka_unit_test(certificates),
        cmocka_unit_test(requests_of_many_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
