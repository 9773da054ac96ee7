/* Lists of drains: commas inside of URLs stay (docs/formats.md#drain-lists). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datasources/datasource.h"

static void lists_are_split(void **state)
{
    static const struct {
        const char *list;
        const char *want[4]; /* up to NULL */
    } vectors[] = {
        {"", {NULL}},
        {" \n;; \t;", {NULL}},
        {"http://a", {"http://a"}},
        {" http://a ; http://b\nhttp://c ", {"http://a", "http://b", "http://c"}},
        {"http://a,http://b", {"http://a", "http://b"}},
        {"http://a, \tsyslog+tls://b:6514", {"http://a", "syslog+tls://b:6514"}},
        {"http://a/?tags=x,y,z", {"http://a/?tags=x,y,z"}},
        {"http://a/?tags=x,y,es+https://b", {"http://a/?tags=x,y", "es+https://b"}},
        {"http://u:p,w@a,http://b", {"http://u:p,w@a", "http://b"}},
        {"http://a,", {"http://a"}},
        {"http://a?x=1,2,\nhttp://b,,", {"http://a?x=1,2", "http://b"}},
        {"\"http://a\"", {"http://a"}},
        {"'http://a', \"http://b\";", {"http://a", "http://b"}},
        {"- http://a\n- \"http://b\"\n  - 'http://c'\n", {"http://a", "http://b", "http://c"}},
        {"[\"http://a\", \"http://b\"]", {"http://a", "http://b"}},
        {"http://[::1]", {"http://[::1]"}},
        {"\"http://[::1]\", http://b", {"http://[::1]", "http://b"}},
        {"\"http://a", {"\"http://a"}}, /* half a quotation is a mistake */
        {"\"\"", {NULL}},
        {",http://a", {"http://a"}},
        {"http://a,b://", {"http://a", "b://"}},
        {"http://a,b:/", {"http://a,b:/"}},
        {"http://a,1b://c", {"http://a,1b://c"}}, /* a scheme begins with a letter */
        {"http://a,://c", {"http://a,://c"}},
        {"http://a,b c://d", {"http://a,b c://d"}},
        {"http://a;;http://b", {"http://a", "http://b"}},
        {"http://a\r\nhttp://b\r\n", {"http://a", "http://b"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct str rest = str_of(vectors[i].list), url;
        size_t n = 0;

        for (; drain_list_next(&rest, &url); n++) {
            if (!vectors[i].want[n] || !str_eq(url, str_of(vectors[i].want[n])))
                print_error("'%s': part %zu is '%.*s'\n", vectors[i].list, n, STR_ARG(url));
            assert_true(vectors[i].want[n] && str_eq(url, str_of(vectors[i].want[n])));
            assert_true(drain_list_has(str_of(vectors[i].list), url));
            assert_false(drain_list_has(str_of(vectors[i].list), str_head(url, url.len - 1)));
        }
        assert_null(vectors[i].want[n]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lists_are_split)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
