/* http_head.c: the status line and Retry-After, line by line. docs/faults.md: D10, D16. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "net/http_internal.h"

static int line(struct http_head *h, const char *text)
{
    return http_head_line(h, str_of(text), NULL);
}

static void test_status_lines(void **state)
{
    static const struct {
        const char *line;
        int status; /* -1 = refused */
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n", 200}, {"HTTP/1.0 503\r\n", 503},
        {"HTTP/2 204 \r\n", 204},     {"HTTP/1.1 999 X\n", 999},
        {"HTTP/1.1 2000 X\r\n", -1},  {"HTTP/1.1 20 X\r\n", -1},
        {"HTTP/1.1 099 X\r\n", -1},   {"HTTP/1.1  200\r\n", -1},
        {"HTTP/1.1\r\n", -1},         {"HTTP/1.1 101 X\r\n", -1},
        {"ICY 200 OK\r\n", -1},       {"HTTP/1.1 2x0 OK\r\n", -1},
        {"HTTP/1.1 100 C\r\n", 0},    {"", -1},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct http_head h;
        int rc;

        http_head_init(&h);
        rc = line(&h, rows[i].line);
        if ((rc < 0 ? -1 : h.status) != rows[i].status)
            fail_msg("'%s' gave %d, status %d", rows[i].line, rc, h.status);
    }
}

static void test_interim_answers_are_skipped(void **state)
{
    struct http_head h;

    (void)state;
    http_head_init(&h);
    assert_int_equal(line(&h, "HTTP/1.1 103 Early Hints\r\n"), 0);
    assert_int_equal(line(&h, "Retry-After: 7\r\n"), 0);
    assert_int_equal(line(&h, "\r\n"), 0);
    assert_int_equal(h.status, 0);
    assert_int_equal(h.retry_after_ms, -1);
    assert_int_equal(line(&h, "HTTP/1.1 429 Slow\r\n"), 0);
    assert_int_equal(line(&h, "retry-AFTER:8\r\n"), 0);
    assert_int_equal(line(&h, "\r\n"), 0);
    assert_int_equal(line(&h, "Retry-After: 9\r\n"), 0); /* a trailer */
    assert_int_equal(line(&h, "HTTP/1.1 500 No\r\n"), 0);
    assert_int_equal(h.status, 429);
    assert_int_equal(h.retry_after_ms, 8000);
}

static void test_L09_the_type_of_the_body(void **state)
{
    static const struct {
        const char *line;
        bool html;
    } rows[] = {
        {"Content-Type: text/html\r\n", true},
        {"content-TYPE:Text/HTML; charset=utf-8\r\n", true},
        {"Content-Type: text/plain\r\n", false},
        {"Content-Type: application/json\r\n", false},
        {"Content-Type:\r\n", false},
        {"Content-Type\r\n", false},
        {"X-Content-Type: text/html\r\n", false},
        {"text/html\r\n", false},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct http_head h;

        http_head_init(&h);
        assert_int_equal(line(&h, "HTTP/1.1 200 OK\r\n"), 0);
        assert_int_equal(line(&h, rows[i].line), 0);
        if (h.html != rows[i].html)
            fail_msg("'%s'", rows[i].line);
    }
}

static void test_limit(void **state)
{
    static char big[HTTP_RESPONSE_HEADERS_MAX];
    struct http_head h;

    (void)state;
    memset(big, 'x', sizeof(big));
    for (int over = -1; over <= 1; over++) {
        http_head_init(&h);
        assert_int_equal(line(&h, "HTTP/1.1 200 OK\r\n"), 0);
        assert_int_equal(http_head_line(&h, str_make(big, sizeof(big) - 64 + (size_t)over), NULL),
                         over > 0 ? -1 : 0);
        assert_int_equal(h.status, 200);
    }
}

/* Each costs as much time as a long one. */
static void test_T03_many_short_lines(void **state)
{
    struct http_head h;
    int lines = 0;

    (void)state;
    http_head_init(&h);
    assert_int_equal(line(&h, "HTTP/1.1 200 OK\r\n"), 0);
    while (lines < HTTP_RESPONSE_HEADERS_MAX && http_head_line(&h, STR("a:\r\n"), NULL) == 0)
        lines++;
    assert_in_range(lines, 500, HTTP_RESPONSE_HEADERS_MAX / 64);
    assert_int_equal(h.status, 200);
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *value;
        int64_t ms;
    } rows[] = {
        {"0", 0},
        {" 120 ", 120000},
        {"315360000", 315360000000},
        {"99999999999999999999", 1000000000000000},
        {"-5", -1},
        {"1.5", -1},
        {"", -1},
        {"120 seconds", -1},
        {"tomorrow", -1},
        {"Fri, 20 Nov 2026 10:15:30 GMT", 30000},
        {"Friday, 20-Nov-26 10:15:30 GMT", 30000},
        {"Fri, 20 Nov 2026 10:00:00 GMT", 0},
        {"Fri, 20 Nov 2026 10:15:30", -1},
        {"Fri, 99 Nov 2026 99:15:30 GMT", -1},
        {"aaaaaaaaaaaaaaaaaaaaaaaaa GMT", -1},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        int64_t ms = http_retry_after(str_of(rows[i].value), 1795169700); /* 10:15:00 that day */

        if (ms != rows[i].ms)
            fail_msg("'%s' gave %lld", rows[i].value, (long long)ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_lines),
        cmocka_unit_test(test_interim_answers_are_skipped),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_T03_many_short_lines),
        cmocka_unit_test(test_L09_the_type_of_the_body),
        cmocka_unit_test(test_retry_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
