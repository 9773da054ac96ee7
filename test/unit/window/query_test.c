/* The parameters of /v1/tail: what each means, and how a wrong one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/members/tail.h"
#include "window/query.h"

#define NOW 1700000000

static struct window_query parse(const char *text)
{
    struct window_query q;
    struct err e;

    if (window_query_parse(&q, str_of(text), true, NOW, &e) < 0)
        fail_msg("'%s': %s", text, e.text);
    return q;
}

static void refused(const char *text, bool tail, const char *why)
{
    struct window_query q;
    struct err e;

    assert_int_equal(window_query_parse(&q, str_of(text), tail, NOW, &e), -1);
    if (strncmp(e.text, why, strlen(why)) != 0)
        fail_msg("'%s': '%s', not '%s'", text, e.text, why);
}

static void test_nothing_is_everything_from_now_on(void **state)
{
    struct window_query q = parse("");

    (void)state;
    assert_true(q.follow && !q.past && !q.last && !q.wait);
    assert_int_equal(q.fds, TAIL_STDOUT | TAIL_STDERR);
    assert_int_equal(q.format, FORMAT_JSON);
    assert_true(q.until_s == INT64_MAX);
    window_query_release(&q);
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t since_s;
    } cases[] = {
        {"since=start", 0},
        {"since=15m", NOW - 900},
        {"since=3d", NOW - 3 * 86400},
        {"since=90", NOW - 90},
        {"since=500ms", NOW},
        {"since=2023-11-14T22:13:20Z", NOW},
        {"since=2023-11-14T23:13:20%2B01:00", NOW},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct window_query q = parse(cases[i].text);

        assert_true(q.past && q.since_s == cases[i].since_s);
        window_query_release(&q);
    }
}

static void test_what_is_there_is_the_past(void **state)
{
    struct window_query q = parse("follow=false&stream=stderr&format=text&lines=20&wait=true");

    (void)state;
    assert_true(!q.follow && q.past && q.last && q.wait && q.since_s == 0);
    assert_int_equal(q.lines, 20);
    assert_int_equal(q.fds, TAIL_STDERR);
    assert_int_equal(q.format, FORMAT_RAW);
    window_query_release(&q);
}

static void test_what_ends_by_itself(void **state)
{
    static const char *const ending[] = {"until=1h", "until=1h&follow=true", "previous=true",
                                         "follow=false"};
    struct window_query q;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ending); i++) {
        q = parse(ending[i]);
        assert_true(!q.follow && q.past && q.since_s == 0);
        window_query_release(&q);
    }
    q = parse("until=2023-11-14T22:13:21Z"); /* a second to come */
    assert_true(q.follow && !q.past && q.until_s == NOW + 1);
    window_query_release(&q);
}

static void test_wrong_ones_are_named(void **state)
{
    (void)state;
    refused("pot=x", true, "unknown parameter 'pot'");
    refused("=x", true, "unknown parameter ''");
    refused("follow=false", false, "unknown parameter 'follow'");
    refused("follow=1", true, "parameter 'follow' must be true or false");
    refused("since=", true, "parameter 'since' must be a duration");
    refused("since=366d", true, "parameter 'since' must be a duration");
    refused("until=2023-02-30T00:00:00Z", true, "parameter 'until' must be a duration");
    refused("lines=-1", true, "parameter 'lines' must be a number up to");
    refused("lines=100001", true, "parameter 'lines' must be a number up to");
    refused("format=xml", true, "parameter 'format' must be");
    refused("pod=", true, "parameter 'pod' must have 1 to");
    refused("previous=true&wait=true", true, "parameters 'previous' and 'wait'");
    refused("include=x&include=(", true, "parameter 'include': missing closing");
    refused("exclude=", true, "parameter 'exclude': it must have 1 to");
    refused("include=x", false, "unknown parameter 'include'");
    refused("pod=%zz", true, "a parameter is not well encoded");
    refused("name=a&name=a&name=a&name=a&name=a&name=a&name=a&name=a&name=a&name=a&name=a&name=a&"
            "name=a&name=a&name=a&name=a&name=a",
            true, "parameter 'name' is there more than 16 times");
}

static void fits(const char *text, bool expected)
{
    const struct identity id = {.hostname = STR("front.example"),
                                .name = STR("web.shop"),
                                .namespace = STR("shop"),
                                .pod = STR("web-7d9c8b6f5d-bcdfg"),
                                .container = STR("main")};
    struct window_query q = parse(text);

    if (window_query_fits(&q, &id) != expected)
        fail_msg("'%s' %s", text, expected ? "does not fit" : "fits");
    window_query_release(&q);
}

static void test_what_fits(void **state)
{
    (void)state;
    fits("", true);
    fits("namespace=shop&workload=web&container=main", true);
    fits("namespace=bank", false);
    fits("workload=we", false);
    fits("workload=web.shop", false);
    fits("pod=web", false);
    fits("hostname=front.example", true);
    fits("name=web", true);
    fits("name=x&name=web-7d9c8b6f5d-bcdfg", true);
    fits("name=front.example&namespace=bank", false);
    fits("name=shop", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_everything_from_now_on),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_what_is_there_is_the_past),
        cmocka_unit_test(test_what_ends_by_itself),
        cmocka_unit_test(test_wrong_ones_are_named),
        cmocka_unit_test(test_what_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
