/* URLs that are invalid for any scheme (docs/faults.md D30). */
#include "../../../lib/unit.h"
#include "spec_fixture.h"

#include <stdio.h>

static void test_D30_bad_urls(void **state)
{
    const struct {
        struct str url;
        const char *want;
    } rows[] = {
        {STR("syslog+tcp://"), "syslog+tcp: no host"},
        {STR("http:///path"), "http: no host"},
        {STR("http://:80"), "url: no host"},
        {STR("http://u:" SECRET "@"), "url: no host"},
        {STR("syslog+tcp://h:0"), "url: port must be a number from 1 to 65535"},
        {STR("syslog+tcp://h:70000"), "url: port must be a number from 1 to 65535"},
        {STR("syslog+tcp://h:"), "url: port must be a number from 1 to 65535"},
        {STR("gopher://h"), "unknown scheme 'gopher'"},
        {STR("thisisnoschemeanybodyeverregistered://h"), "unknown scheme"},
        {STR("h:514"), "url: does not start with scheme://"},
        {STR(""), "url: does not start with scheme://"},
        {STR("http://h/\r\nX: y"), "url: holds a space, backslash, control or non-ascii byte"},
        {STR("http://h/\n"), "url: holds a space, backslash, control or non-ascii byte"},
        {STR("http://h\0.example.com/"),
         "url: holds a space, backslash, control or non-ascii byte"},
        {STR("http://h/a b"), "url: holds a space, backslash, control or non-ascii byte"},
        {STR("http://h\\@" SECRET), "url: holds a space, backslash, control or non-ascii byte"},
        {STR("http://h/%0d%0aX"), "url: bad percent-encoding in the path"},
        {STR("http://[fe80::1%25eth0]/"), "url: an ipv6 zone is not allowed"},
        {STR("http://[fe80::1%eth0]/"), "url: an ipv6 zone is not allowed"},
        {STR("http://a@b#@c"), "url: '@' after '#': in a user or password, '/' is written %2F, '?' "
                               "is %3F, '#' is %23 and "
                               "'@' is %40"},
        {STR("https://u:pa#ss@h/"),
         "url: in a user or password, '/' is written %2F, '?' is %3F, '#' is %23 and '@' is %40"},
        {STR("http://a:" SECRET "@b@c/"), "url: '@' inside user or password must be written %40"},
        {STR("syslog+tcp://u:" SECRET "@h"), "syslog+tcp: takes no user and password"},
        {STR("syslog://u@h"), "syslog: takes no user and password"},
        {STR("null://u:" SECRET "@h"), "null: takes no user and password"},
        {STR("syslog+tcp://h/" SECRET), "syslog+tcp: takes no path"},
        {STR("stdout:///dev/null"), "stdout: takes no path"},
        {STR("file://"), "file: must name a folder: file:///DIR"},
        {STR("file:///"), "file: must name a folder: file:///DIR"},
        {STR("file://host/dir"), "file: must name a folder: file:///DIR"},
        {STR("file:///a/%2e%2e/b"), "file: must name a folder: file:///DIR"},
        {STR("file:///a%00b"), "url: bad percent-encoding in the path"},
        {STR("file:///a?rotate=1k"), "file: option 'rotate' must be a size of 64k at least"},
        {STR("file:///a?keep=0"), "file: option 'keep' must be a number of files, or of days: 14d"},
        {STR("file:///a?keep="), "file: option 'keep' must be a number of files, or of days: 14d"},
        {STR("file:///a?every=1s"), "file: option 'every' must be a duration from 60s to 86400s"},
        {STR("file:///a?compression=zstd"), "file: option 'compression' must be none or gzip"},
        {STR("file:///a?maxlen=2"), "file: option 'maxlen' is not for this scheme, but for redis"},
        {STR("stdout://x:1"), "stdout: takes no port"},
        {STR("syslog+tcp://h?sd=%zz"),
         "url: bad percent-encoding in the query (a '%' itself is '%25')"},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct err e = {0, ""};

        if (drain_spec_create(rows[i].url, &e))
            fail_msg("row %zu was taken", i);
        assert_string_equal(e.text, rows[i].want);
    }
    drain_spec_unref(spec("syslog+tcp://h:601/"));
    drain_spec_unref(spec("syslog+tcp://[2001:db8::1]:601"));
}

/* What people type has an answer. */
static void test_D30_near_schemes(void **state)
{
    static const struct {
        const char *scheme, *want;
    } rows[] = {
        {"tcp", ", did you mean 'syslog+tcp://' or 'gelf+tcp://'"},
        {"udp", ", did you mean 'syslog+udp://' or 'gelf+udp://'"},
        {"tls", ", did you mean 'syslog+tls://' or 'gelf+tls://'"},
        {"ssl", ", did you mean 'syslog+tls://' or 'gelf+tls://'"},
        {"syslog+ssl", ", did you mean 'syslog+tls://'"},
        {"syslogs", ", did you mean 'syslog+tls://'"},
        {"syslog-tcp", ", did you mean 'syslog+tcp://'"},
        {"tcp+syslog", ", did you mean 'syslog+tcp://'"},
        {"sylog+tcp", ", did you mean 'syslog+tcp://'"},
        {"elastic", ", did you mean 'es://', 'es+https://' or 'es+http://'"},
        {"opensearch+https", ", did you mean 'es+https://'"},
        {"https+es", ", did you mean 'es+https://'"},
        {"elasticsaerch", ", did you mean 'elasticsearch://'"},
        {"logstash", ", did you mean 'http://' or 'https://'"},
        {"webhook", ", did you mean 'http://' or 'https://'"},
        {"htpps", ", did you mean 'https://'"},
        {"loki", ", did you mean 'loki+http://' or 'loki+https://'"},
        {"grafana", ", did you mean 'loki+http://' or 'loki+https://'"},
        {"graylog+udp", ", did you mean 'gelf+udp://'"},
        {"gelf", ", did you mean 'gelf+tcp://', 'gelf+tls://', 'gelf+udp://', 'gelf+http://' or "
                 "'gelf+https://'"},
        {"valkey", ", did you mean 'redis://'"},
        {"redis+tls", ", did you mean 'rediss://'"},
        {"redisss", ", did you mean 'rediss://'"},
        {"websocket", ", did you mean 'ws://' or 'wss://'"},
        {"ws+tls", ", did you mean 'wss://'"},
        {"wws", ", did you mean 'ws://' or 'wss://'"},
        {"console", ", did you mean 'stdout://'"},
        {"gopher", ""},
        {"e", ""},
        {"ex", ""},
        {"tcp+tls", ""},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct err e = {0, ""};
        char url[64], want[256];

        (void)snprintf(url, sizeof(url), "%s://h", rows[i].scheme);
        (void)snprintf(want, sizeof(want), "unknown scheme '%s'%s", rows[i].scheme, rows[i].want);
        assert_null(drain_spec_create(str_of(url), &e));
        assert_string_equal(e.text, want);
        assert_null(drain_spec_create_owner(str_of(url), &e));
        assert_string_equal(e.text, want);
    }
}

static void test_D30_lengths(void **state)
{
    struct buf url = BUF_INIT(70000);
    struct err e = {0, ""};
    struct drain_spec *s;

    (void)state;
    assert_int_equal(buf_add_str(&url, STR("http://h/?x=")), 0);
    while (url.len < URL_MAX)
        assert_int_equal(buf_add_ch(&url, 'y'), 0);
    s = spec(buf_cstr(&url));
    assert_int_equal(strlen(s->target), URL_MAX - strlen("http://h"));
    drain_spec_unref(s);
    while (url.len < 65536)
        assert_int_equal(buf_add_ch(&url, 'y'), 0);
    assert_null(drain_spec_create(buf_str(&url), &e));
    assert_string_equal(e.text, "url: longer than 16384 bytes");
    buf_release(&url);

    /* masking makes it longer; the name must not fail because of that */
    assert_int_equal(buf_add_str(&url, STR("http://h/?")), 0);
    while (url.len + 4 <= URL_MAX)
        assert_int_equal(buf_add_str(&url, STR("a=b&")), 0);
    drain_spec_unref(spec(buf_cstr(&url)));
    buf_release(&url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_D30_bad_urls),
        cmocka_unit_test(test_D30_near_schemes),
        cmocka_unit_test(test_D30_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
