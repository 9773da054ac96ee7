/* The headers of a request: of the body, of auth=, of the member, of header=. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../lib/unit.h"
#include "base/mem.h"
#include "drains/base/http_post.h"
#include "drains/members/members.h"

static void of_the_body(void **state)
{
    static const struct {
        enum format format;
        enum framing framing;
        const char *want;
    } rows[] = {
        {FORMAT_JSON, FRAMING_NONE, "content-type: application/json"},
        {FORMAT_JSON, FRAMING_LF, "content-type: application/x-ndjson"},
        {FORMAT_JSON, FRAMING_ARRAY, "content-type: application/json"},
        {FORMAT_RFC5424, FRAMING_NONE, "content-type: application/syslog"},
        {FORMAT_RFC5424, FRAMING_LF, "content-type: application/syslog"},
        {FORMAT_RAW, FRAMING_NONE, "content-type: text/plain"},
        {FORMAT_RAW, FRAMING_LF, "content-type: text/plain"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ARRAY_LEN(rows); i++) {
        struct drain_spec s = {
            .format = {.format = rows[i / 2].format, .framing = rows[i / 2].framing},
            .gzip = i % 2};
        struct http_headers h;

        http_headers_init(&h, &s, NULL);
        assert_string_equal(h.list[0], rows[i / 2].want);
        if (s.gzip)
            assert_string_equal(h.list[1], "content-encoding: gzip");
        assert_null(h.list[1 + s.gzip]);
        http_headers_release(&h);
    }
}

static int two(const struct drain_spec *s, struct buf *out)
{
    (void)s;
    return buf_addf(out, "a: 1\nb: 2\n");
}

static void assert_headers(const char *url, int (*add)(const struct drain_spec *, struct buf *),
                           const char *want)
{
    struct err e = {0, ""};
    struct drain_spec *s = drain_spec_create(str_of(url), &e);
    struct http_headers h;
    struct buf all = BUF_INIT(URL_MAX);

    if (!s)
        fail_msg("'%s': %s", url, e.text);
    http_headers_init(&h, s, add);
    for (size_t i = 1; h.list[i]; i++)
        assert_int_equal(buf_addf(&all, "%s\n", h.list[i]), 0);
    assert_string_equal(buf_cstr(&all), want);
    buf_release(&all);
    http_headers_release(&h);
    drain_spec_unref(s);
}

static void in_their_order(void **state)
{
    (void)state;
    assert_headers("http://u:p@h", NULL, ""); /* the client's own */
    assert_headers("http://h?auth=none", NULL, "");
    assert_headers("http://u:p@h?auth=bearer", NULL, "authorization: Bearer p\n");
    assert_headers("http://:p@h?auth=splunk", NULL, "authorization: Splunk p\n");
    assert_headers("http://id:key@h?auth=apikey", NULL, "authorization: ApiKey aWQ6a2V5\n");
    assert_headers("http://:aWQ6a2V5@h?auth=apikey", NULL, "authorization: ApiKey aWQ6a2V5\n");
    assert_headers("http://:p@h?auth=bearer&header=X-A:b:c&compression=gzip&header=d:%20e%20f", two,
                   "content-encoding: gzip\nauthorization: Bearer p\na: 1\nb: 2\nX-A: b:c\n"
                   "d: e f\n");
}

/* As many as there may be. */
static void the_most(void **state)
{
    struct buf url = BUF_INIT(URL_MAX), want = BUF_INIT(URL_MAX);

    (void)state;
    assert_int_equal(buf_addf(&url, "http://:p@h?auth=bearer&compression=gzip"), 0);
    assert_int_equal(
        buf_addf(&want, "content-encoding: gzip\nauthorization: Bearer p\na: 1\nb: 2\n"), 0);
    for (int i = 0; i < DRAIN_HEADERS_MAX; i++) {
        assert_int_equal(buf_addf(&url, "&header=n%d:v", i), 0);
        assert_int_equal(buf_addf(&want, "n%d: v\n", i), 0);
    }
    assert_headers(buf_cstr(&url), two, buf_cstr(&want));
    buf_release(&url);
    buf_release(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_the_body),
        cmocka_unit_test(in_their_order),
        cmocka_unit_test(the_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
