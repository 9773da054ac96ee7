/* The URL parser (docs/faults.md D30), and which parts of a URL may be shown (X05). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/url.h"

static struct url parsed(const char *text)
{
    struct url u;
    struct err e = {0, ""};

    if (url_parse(&u, str_of(text), &e) < 0)
        fail_msg("'%s': %s", text, e.text);
    return u;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(got), want);
    assert_int_equal(got.p[got.len], 0); /* C functions may have it */
}

static void all_parts(void **state)
{
    struct url u = parsed("Syslog+TLS://us%65r:p%40ss%3a@Logs.Example.com:6514/a%2Fb?x=1&y#frag");

    (void)state;
    assert_str(u.scheme, "syslog+tls");
    assert_true(u.has_user && u.has_password && !u.ipv6);
    assert_str(u.user, "user");
    assert_str(u.password, "p@ss:");
    assert_str(u.host, "logs.example.com");
    assert_int_equal(u.port, 6514);
    assert_str(u.path, "/a%2Fb");
    assert_str(u.query, "x=1&y");
    url_release(&u);
    assert_null(u.store);
    url_release(&u);
}

static void absent_parts(void **state)
{
    struct url u = parsed("http://h");

    (void)state;
    assert_false(u.has_user || u.has_password);
    assert_str(u.user, "");
    assert_str(u.path, "");
    assert_str(u.query, "");
    assert_int_equal(u.port, 0);
    url_release(&u);
    u = parsed("stdout://");
    assert_str(u.host, "");
    url_release(&u);
    u = parsed("null://?format=raw");
    assert_str(u.host, "");
    assert_str(u.query, "format=raw");
    url_release(&u);
    u = parsed("redis://:secret@h");
    assert_true(u.has_user && u.has_password);
    assert_str(u.user, "");
    assert_str(u.password, "secret");
    url_release(&u);
    u = parsed("http://u@h?q");
    assert_true(u.has_user && !u.has_password);
    assert_str(u.host, "h");
    url_release(&u);
}

static void addresses(void **state)
{
    struct url u = parsed("http://[2001:DB8::1]:80/");

    (void)state;
    assert_true(u.ipv6);
    assert_str(u.host, "2001:db8::1");
    assert_int_equal(u.port, 80);
    url_release(&u);
    u = parsed("http://[::ffff:192.0.2.1]");
    assert_str(u.host, "::ffff:192.0.2.1");
    url_release(&u);
    u = parsed("http://192.0.2.1:65535");
    assert_false(u.ipv6);
    assert_str(u.host, "192.0.2.1");
    assert_int_equal(u.port, 65535);
    url_release(&u);
    u = parsed("http://2130706433/"); /* text: the resolved address is checked at connect time */
    assert_str(u.host, "2130706433");
    url_release(&u);
}

static void test_D30_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "http",
        "http:",
        "http:/h",
        "http//h",
        "://h",
        "1http://h",
        "+a://h",
        "ht tp://h",
        "ht_tp://h",
        "http:h",
        "http://h:0",
        "http://h:70000",
        "http://h:65536",
        "http://h:",
        "http://h:-1",
        "http://h:8a",
        "http://h:80:80",
        "http://:80",
        "http://u@",
        "http://u:p@/x",
        "http://u:p@:80",
        "http://a@b@c",
        "http://a@b#@c",
        "http://u:p@x@h/",
        "http://u:12#s@h/",
        "http://h\\@x",
        "http://h /",
        "http://h/\r\n",
        "http://h/\x01",
        "http://h/\x7f",
        "http://h\xc3\xa9/",
        "http://h/#\xff",
        "http://h%41/",
        "http://h!x/",
        "http://.h/",
        "http://a..b/",
        "http://../",
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://::1/",
        "http://[]/",
        "http://[::1]x/",
        "http://[1.2.3.4]/",
        "http://[v1.x]/",
        "http://[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]/",
        "http://u%:p@h",
        "http://u:%4@h",
        "http://u:%zz@h",
        "http://u:%0d@h",
        "http://u%00:p@h",
        "http://h/%",
        "http://h/%0a",
        "http://h/%g1",
        "http://h/?a=%1",
    };

    (void)state;
    FOR_ROWS (i, bad) {
        struct url u;
        struct err e = {0, ""};

        if (url_parse(&u, str_of(bad[i]), &e) == 0)
            fail_msg("'%s' was taken, host '%s'", bad[i], u.host.p);
        assert_int_not_equal(e.code, 0);
    }
    assert_int_equal(url_parse(&(struct url){0}, STR("http://h\0x/"), NULL), -1);
}

static void lengths(void **state)
{
    static char text[URL_MAX + 2];
    struct url u;
    int n;

    (void)state;
    for (size_t len = HOST_MAX - 1; len <= HOST_MAX + 1; len++) {
        n = snprintf(text, sizeof(text), "http://");
        memset(text + n, 'h', len);
        assert_int_equal(url_parse(&u, str_make(text, (size_t)n + len), NULL),
                         len > HOST_MAX ? -1 : 0);
        if (len <= HOST_MAX)
            url_release(&u);
    }
    n = snprintf(text, sizeof(text), "http://h/?");
    memset(text + n, 'q', sizeof(text) - (size_t)n);
    for (size_t len = URL_MAX - 1; len <= URL_MAX + 1; len++) {
        assert_int_equal(url_parse(&u, str_make(text, len), NULL), len > URL_MAX ? -1 : 0);
        if (len <= URL_MAX)
            url_release(&u);
    }
}

static void error_quotes_no_secret(void **state)
{
    static const char *const bad[] = {
        "http://user:hunter2@h:99999/?token=hunter2",
        "http://user:hunter2@/?token=hunter2",
        "http://hunter2:hunter2@a@b",
        "http://h/?token=hunter2%",
        "http://hunter2:%zz@h",
        "http://user:hunter2/@h",
        "http://hun#ter2 hunter2@h",
        "hunter2",
        "user:hunter2@h",
        "http://h/?hunter2\n",
    };

    (void)state;
    FOR_ROWS (i, bad) {
        struct url u;
        struct err e = {0, ""};
        struct buf shown = BUF_INIT(1000);

        assert_int_equal(url_parse(&u, str_of(bad[i]), &e), -1);
        assert_null(strstr(e.text, "hunter2"));
        assert_int_equal(url_mask_text(&shown, str_of(bad[i])), 0);
        if (strstr(buf_cstr(&shown), "hunter2"))
            fail_msg("'%s' is shown as '%s'", bad[i], buf_cstr(&shown));
        buf_release(&shown);
    }
}

static void query_walk(void **state)
{
    struct str rest = STR("a=1&&b=x%20y+z%3D&c&d==&=e&f=%00"), key;
    static const char *const want[][2] = {
        {"a", "1"}, {"b", "x y z="}, {"c", ""}, {"d", "="}, {"", "e"}};
    struct buf value = BUF_INIT(6);

    (void)state;
    FOR_ROWS (i, want) {
        assert_int_equal(url_query_next(&rest, &key, &value), 1);
        assert_true(str_eq(key, str_of(want[i][0])));
        assert_string_equal(buf_cstr(&value), want[i][1]);
    }
    assert_int_equal(url_query_next(&rest, &key, &value), 1);
    assert_true(str_eq(key, STR("f")) && str_eq(buf_str(&value), STR("\0")));
    assert_int_equal(url_query_next(&rest, &key, &value), 0);
    assert_int_equal(url_query_next(&rest, &key, &value), 0);
    rest = STR("a=1234567&b=%4");
    assert_int_equal(url_query_next(&rest, &key, &value), -1);
    assert_int_equal(url_query_next(&rest, &key, &value), -1);
    assert_int_equal(url_query_next(&rest, &key, &value), 0);
    buf_release(&value);
}

static void decoded(void **state)
{
    static const struct {
        const char *raw, *want; /* NULL = bad */
    } rows[] = {
        {"", ""},      {"a+b%2fc%2F", "a+b/c/"}, {"%", NULL}, {"a%4", NULL},
        {"%4g", NULL}, {"aaaaaaaaa", NULL},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct buf out = BUF_INIT(8);

        assert_int_equal(url_decode(str_of(rows[i].raw), &out), rows[i].want ? 0 : -1);
        if (rows[i].want)
            assert_str(buf_str(&out), rows[i].want);
        buf_release(&out);
    }
}

static bool is_public(const void *names, struct str name)
{
    struct str rest = str_of(names), one;

    while (str_cut(&rest, ' ', &one))
        if (str_eq(one, name))
            return true;
    return false;
}

static void assert_mask(const char *text, const char *want)
{
    struct url u = parsed(text);
    struct buf out = BUF_INIT(1000);

    assert_int_equal(url_mask(&out, &u, is_public, "format connections insecure"), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
    url_release(&u);
}

static void masked(void **state)
{
    (void)state;
    assert_mask("HTTP://User:pw@H:80/p?format=json&token=s&ca=s&key=s&connections=2#f",
                "http://***@h:80/p?format=json&token=***&ca=***&key=***&connections=2");
    assert_mask("http://user@[::1]:9/", "http://***@[::1]:9/");
    assert_mask("http://@h", "http://***@h");
    assert_mask("stdout://", "stdout://");
    assert_mask("http://h?c2VjcmV0&c2VjcmV0==&%66ormat=s&&insecure",
                "http://h?***&***&%66ormat=***&&insecure");
    assert_mask("http://h//a/web-2026.11/0123456789abcdef0123/x", "http://h//a/web-2026.11/***/x");
}

static void mask_respects_the_cap(void **state)
{
    struct url u = parsed("http://u:p@[::1]:514/path?format=json&token=x");
    size_t whole = strlen("http://***@[::1]:514/path?format=json&token=***");

    (void)state;
    for (size_t max = 0; max <= whole; max++) {
        struct buf out = BUF_INIT(max);

        assert_int_equal(url_mask(&out, &u, is_public, "format connections insecure"),
                         max < whole ? -1 : 0);
        buf_release(&out);
    }
    url_release(&u);
}

static void assert_mask_text(struct str text, const char *want)
{
    struct buf out = BUF_INIT(1000);

    assert_int_equal(url_mask_text(&out, text), 0);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
}

static void masked_text(void **state)
{
    (void)state;
    assert_mask_text(STR("http://logs.example.com:99999/x?y"), "http://logs.example.com");
    assert_mask_text(STR("http://u:p@h:99999"), "http://***");
    assert_mask_text(STR("http://h/x@y z"), "http://***");
    assert_mask_text(STR("http://h h/"), "http://***");
    assert_mask_text(STR("no url"), "***");
    assert_mask_text(STR(""), "***");
    assert_mask_text(STR("a\0b://h"), "***");
    assert_mask_text(STR("thisisnoschemeanybodyeverregistered://h"), "***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts),   cmocka_unit_test(absent_parts),
        cmocka_unit_test(addresses),   cmocka_unit_test(test_D30_refused),
        cmocka_unit_test(lengths),     cmocka_unit_test(error_quotes_no_secret),
        cmocka_unit_test(query_walk),  cmocka_unit_test(decoded),
        cmocka_unit_test(masked),      cmocka_unit_test(mask_respects_the_cap),
        cmocka_unit_test(masked_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
