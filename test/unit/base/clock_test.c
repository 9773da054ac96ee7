/* Clocks: text against the C library's calendar, and the fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"

#define NS 1000000000LL

static void assert_text(int64_t wall_ns, const char *want)
{
    char out[CLOCK_TEXT_SIZE];

    assert_int_equal(clock_format(out, wall_ns), 27);
    assert_string_equal(out, want);
}

static void known_times(void **state)
{
    (void)state;
    assert_text(0, "1970-01-01T00:00:00.000000Z");
    assert_text(1, "1970-01-01T00:00:00.000000Z");
    assert_text(999999999, "1970-01-01T00:00:00.999999Z");
    assert_text(-1, "1969-12-31T23:59:59.999999Z");
    assert_text(951782400 * NS, "2000-02-29T00:00:00.000000Z");
    assert_text(1795169700 * NS + 123456789, "2026-11-20T10:15:00.123456Z");
    assert_text(INT64_MAX, "2262-04-11T23:47:16.854775Z");
    assert_text(INT64_MIN, "1677-09-21T00:12:43.145224Z");
}

/* Every 11 hours and some over the whole range: each day of each year comes up, leap years and
 * centuries too. */
static void agrees_with_libc(void **state)
{
    (void)state;
    for (int64_t s = -9223372036; s < 9223372036; s += 39601) {
        time_t t = (time_t)s;
        struct tm tm;
        char want[64], got[CLOCK_TEXT_SIZE];

        assert_non_null(gmtime_r(&t, &tm));
        assert_true(strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000Z", &tm) == 27);
        clock_format(got, s * NS);
        if (memcmp(got, want, 28) != 0)
            assert_string_equal(got, want);
    }
}

static void real_clocks_go_on(void **state)
{
    uint64_t a = clock_mono_ns(), b = clock_mono_ns();

    (void)state;
    assert_true(b >= a);
    assert_true(clock_mono_ms() >= a / 1000000);
    assert_true(clock_wall_ns() > 1700000000 * NS);
    assert_false(clock_is_fake());
}

static void fake_stands_still(void **state)
{
    (void)state;
    clock_fake(5000, 42);
    assert_true(clock_is_fake());
    assert_int_equal(clock_mono_ms(), 5000);
    assert_int_equal(clock_mono_ns(), 5000000000);
    assert_int_equal(clock_wall_ns(), 42);
    clock_fake(0, 0);
    assert_false(clock_is_fake());
    assert_true(clock_wall_ns() > 1700000000 * NS);
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2023-11-14T22:13:20Z", 1700000000},
        {"2023-11-14T22:13:20.999999999Z", 1700000000},
        {"2023-11-15T03:43:20.5+05:30", 1700000000},
        {"2023-11-14T14:13:20-08:00", 1700000000},
        {"2024-02-29T00:00:00Z", 1709164800},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(clock_parse(cases[i].text, strlen(cases[i].text)), cases[i].s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times),       cmocka_unit_test(agrees_with_libc),
        cmocka_unit_test(real_clocks_go_on), cmocka_unit_test(fake_stands_still),
        cmocka_unit_test(times_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
