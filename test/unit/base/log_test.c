/*
 * Our own log: the form of a line, and that no value can forge a line, exceed the limit or show a
 * password.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define STAMP "2026-11-20T10:15:00.123456Z "

static int fd = -1;
static char text[8192];

/* What was logged since the last call. */
static const char *logged(void)
{
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return text;
}

static int setup(void **state)
{
    (void)state;
    fd = memfd_create("log", MFD_CLOEXEC);
    log_set_fd(fd);
    log_set_level(LOG_INFO);
    clock_fake(1000, 1795169700123456789);
    return fd < 0;
}

static int teardown(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    clock_fake(0, 0);
    return close(fd);
}

static void line_as_documented(void **state)
{
    (void)state;
    log_warn("drain paused", KV_CSTR("drain", "http://logs:8080#3fa2"),
             KV_CSTR("error", "connection refused"), KV_INT("retry_ms", 2000));
    assert_string_equal(logged(), STAMP "warn drain paused drain=http://logs:8080#3fa2 "
                                        "error=\"connection refused\" retry_ms=2000\n");
    log_error("stopped");
    assert_string_equal(logged(), STAMP "error stopped\n");
    log_info("n", KV_INT("min", INT64_MIN), KV_CSTR("empty", ""), KV_CSTR("null", NULL));
    assert_string_equal(logged(), STAMP "info n min=-9223372036854775808 empty=\"\" null=\"\"\n");
}

static int evaluated;

static int64_t count_evaluation(void)
{
    return ++evaluated;
}

static void level_is_tested_first(void **state)
{
    (void)state;
    log_debug("quiet", KV_INT("n", count_evaluation()));
    assert_string_equal(logged(), "");
    assert_int_equal(evaluated, 0);
    log_set_level(LOG_DEBUG);
    log_debug("loud", KV_INT("n", count_evaluation()));
    assert_string_equal(logged(), STAMP "debug loud n=1\n");
    log_set_level(LOG_ERROR);
    log_warn("quiet");
    assert_string_equal(logged(), "");
}

static void value_cannot_forge_a_line(void **state)
{
    (void)state;
    log_info("x", KV_CSTR("v", "a\n2026 error \"b\" c=d\\"));
    assert_string_equal(logged(), STAMP "info x v=\"a\\x0a2026 error \\\"b\\\" c=d\\\\\"\n");
    log_info("x", KV_STR("v", STR("\0\x1b[31m\x7f\xc3\xa9\xff")));
    assert_string_equal(logged(), STAMP "info x v=\"\\x00\\x1b[31m\\x7f\\xc3\\xa9\\xff\"\n");
    log_info("x", KV_CSTR("v", "a=b"));
    assert_string_equal(logged(), STAMP "info x v=\"a=b\"\n");
}

static void password_is_masked_at_the_sink(void **state)
{
    (void)state;
    log_info("x", KV_CSTR("v", "to http://u:s3cret@h/ and redis://:p@q@r twice"));
    assert_string_equal(logged(), STAMP "info x v=\"to http://***@h/ and redis://***@r twice\"\n");
    log_info("x", KV_CSTR("v", "see http://h/ or ask a@b"));
    assert_string_equal(logged(), STAMP "info x v=\"see http://h/ or ask a@b\"\n");
}

static size_t count(const char *line, char c)
{
    size_t n = 0;

    for (; *line; line++)
        n += *line == c;
    return n;
}

/* For a value of every length around the limit, plain and all escapes: one line, whole escapes,
 * quotes closed. */
static void line_is_capped(void **state)
{
    static char value[3000];

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        memset(value, "a \n"[kind], sizeof(value));
        for (size_t n = kind == 2 ? 480 : 1980; n < 2100; n++) {
            const char *line;
            size_t len;

            log_info("x", KV_STR("v", str_make(value, n)), KV_CSTR("w", "xyz"));
            line = logged();
            len = strlen(line);
            assert_true(len <= 2048);
            assert_ptr_equal(strchr(line, '\n'), line + len - 1);
            if (strstr(line, " w=xyz\n"))
                continue;
            assert_true(str_ends(str_make(line, len), STR("...\n")) ||
                        str_ends(str_make(line, len), STR("...\"\n")));
            assert_int_equal(count(line, '"') % 2, 0);
            if (kind == 2) /* every \ has its x0a: none is cut */
                assert_int_equal(count(line, '\\'), count(line, 'a'));
        }
    }
}

static void limit_counts_what_it_swallows(void **state)
{
    struct log_limit l = {.period_ms = 100};

    (void)state;
    assert_true(log_limit_pass(&l));
    assert_int_equal(l.suppressed_before, 0);
    assert_false(log_limit_pass(&l));
    clock_fake(1099, 1);
    assert_false(log_limit_pass(&l));
    clock_fake(1100, 1);
    assert_true(log_limit_pass(&l));
    assert_int_equal(l.suppressed_before, 2);
    clock_fake(1300, 1);
    assert_true(log_limit_pass(&l));
    assert_int_equal(l.suppressed_before, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_as_documented, setup, teardown),
        cmocka_unit_test_setup_teardown(level_is_tested_first, setup, teardown),
        cmocka_unit_test_setup_teardown(value_cannot_forge_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(password_is_masked_at_the_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(line_is_capped, setup, teardown),
        cmocka_unit_test_setup_teardown(limit_counts_what_it_swallows, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
