/* auth= and header=: valid values, and values that are refused without being quoted. */
#include "../../../lib/unit.h"
#include "spec_fixture.h"

#define AUTH "option 'auth': "
#define HEADER "option 'header': "
#define NOT_TO_BE_SET HEADER "this header cannot be set"
#define NO_NAME HEADER "invalid header name"
#define NO_VALUE HEADER "its value must be printable ASCII"

static void refused_for(const char *url, const char *why)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(str_of(url), &e);
    struct str said = str_of(e.text);

    if (s || !str_ends(said, str_of(why)))
        fail_msg("'%s': '%s' in place of '%s'", url, e.text, why);
}

static void taken_and_refused(void **state)
{
    static const struct {
        const char *url, *why; /* NULL = valid */
    } rows[] = {
        {"es+http://u:p@h?auth=basic", NULL},
        {"es+http://h?auth=basic", NULL},
        {"es+http://id:key@h?auth=apikey", NULL},
        {"http://:key@h?auth=apikey", NULL},
        {"syslog+http://:token@h?auth=bearer", NULL},
        {"gelf+http://:token@h?auth=splunk", NULL},
        {"loki+http://h?auth=none", NULL},
        {"ws://h?auth=bearer",
         "option 'auth' is not for this scheme, but for http, syslog+http, gelf+http, es, "
         "elasticsearch, loki+http, victorialogs+http, clickhouse+http, …; to pass it on "
         "to the server write '%61uth'"},
        {"redis://h?auth=bearer",
         "option 'auth' is not for this scheme, but for http, syslog+http, gelf+http, es, "
         "elasticsearch, loki+http, victorialogs+http, clickhouse+http, …"},
        {"http://h?auth=token", "option 'auth' must be basic, bearer, apikey, splunk or none"},
        {"http://h?auth=bearer", AUTH "bearer needs a password in the URL"},
        {"http://u@h?auth=apikey", AUTH "apikey needs a password in the URL"},
        {"http://u:a%20b@h?auth=bearer", AUTH "the password is no token"},
        {"http://u:a%c3%a4b@h?auth=splunk", AUTH "the password is no token"},
        {"http://:a%20b@h?auth=apikey", AUTH "the password is no API key"},
        {"http://u:p@h?auth=none", "option 'auth' is none, but the URL has a user or password"},

        {"http://h?header=X-A:b&header=x-b:%20c%20d", NULL},
        {"es://h?header=authorization:Bearer%20x", NULL},
        {"es://u:p@h?header=Authorization:Bearer%20x",
         HEADER "user and password set the authorization header already"},
        {"syslog+tcp://h?header=a:b",
         "option 'header' is not for this scheme, but for http, syslog+http, gelf+http, es, "
         "elasticsearch, loki+http, victorialogs+http, clickhouse+http, …"},
        {"http://h?header=" SECRET, "option 'header' must be NAME:VALUE"},
        {"http://h?header=:" SECRET, NO_NAME},
        {"http://h?header=a%20b:" SECRET, NO_NAME},
        {"http://h?header=a%0d%0ab:" SECRET, NO_NAME},
        {"http://h?header=%20a:" SECRET, NO_NAME},
        {"http://h?header=a%c3%a4:" SECRET, NO_NAME},
        {"http://h?header=a:", NO_VALUE},
        {"http://h?header=a:%20%09", NO_VALUE},
        {"http://h?header=a:b%0d%0aX:c", NO_VALUE},
        {"http://h?header=a:b%0ac", NO_VALUE},
        {"http://h?header=a:b%00c", NO_VALUE},
        {"http://h?header=a:b%7f", NO_VALUE},
        {"http://h?header=a:%c3%a4", NO_VALUE},
        {"http://h?header=A:b&header=a:c", HEADER "the same header is given twice"},
        {"http://h?header=Host:b", NOT_TO_BE_SET},
        {"http://h?header=content-Length:0", NOT_TO_BE_SET},
        {"http://h?header=Content-Type:a", NOT_TO_BE_SET},
        {"http://h?header=content-encoding:br", NOT_TO_BE_SET},
        {"http://h?header=Transfer-Encoding:chunked", NOT_TO_BE_SET},
        {"http://h?header=Connection:X-A", NOT_TO_BE_SET},
        {"http://h?header=Proxy-Authorization:x", NOT_TO_BE_SET},
        {"http://h?header=upgrade:h2c", NOT_TO_BE_SET},
        {"http://h?header=TE:trailers", NOT_TO_BE_SET},
        {"http://h?header=Expect:100-continue", NOT_TO_BE_SET},
        {"http://h?header=X-Forwarded-For:10.0.0.1", NOT_TO_BE_SET},
        {"loki+http://h?header=X-Scope-OrgID:a",
         HEADER "logtrain sets this header itself for this scheme"},
        {"http://h?header=X-Scope-OrgID:a", NULL},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        if (rows[i].why)
            refused_for(rows[i].url, rows[i].why);
        else
            drain_spec_unref(spec(rows[i].url));
    }
}

/* Number and bytes, at the limit and one over. */
static void bounds(void **state)
{
    struct buf url = BUF_INIT(URL_MAX);

    (void)state;
    assert_int_equal(buf_addf(&url, "http://h?a=b"), 0);
    for (int i = 0; i < DRAIN_HEADERS_MAX; i++)
        assert_int_equal(buf_addf(&url, "&header=n%d:v", i), 0);
    drain_spec_unref(spec(buf_cstr(&url)));
    assert_int_equal(buf_addf(&url, "&header=more:v"), 0);
    refused_for(buf_cstr(&url), "option 'header' is given more than 16 times");

    for (size_t over = 0; over < 2; over++) { /* "n: …\n" */
        buf_clear(&url);
        assert_int_equal(buf_addf(&url, "http://h?header=n:"), 0);
        for (size_t i = 0; i < DRAIN_HEADERS_BYTES_MAX - 4 + over; i++)
            assert_int_equal(buf_add_ch(&url, 'v'), 0);
        if (over)
            refused_for(buf_cstr(&url), HEADER "all headers together are over 8192 bytes");
        else
            drain_spec_unref(spec(buf_cstr(&url)));
    }
    buf_release(&url);
}

static void described(void **state)
{
    struct drain_spec *s =
        spec("https://:" SECRET "@h?auth=bearer&header=X-A:" SECRET "&header=" SECRET ":" SECRET);
    struct buf out = BUF_INIT(10000);

    (void)state;
    assert_int_equal(drain_spec_describe(s, &out), 0);
    assert_non_null(strstr(buf_cstr(&out), "\nuser         given, sent as bearer token\n"));
    assert_non_null(strstr(buf_cstr(&out), "\nheader       2 given\n"));
    assert_non_null(strstr(buf_cstr(&out), "?auth=***&header=***&header=***\n"));
    assert_null(strstr(buf_cstr(&out), SECRET));
    assert_null(strstr(s->name, SECRET));
    buf_release(&out);
    drain_spec_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_and_refused),
        cmocka_unit_test(bounds),
        cmocka_unit_test(described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
