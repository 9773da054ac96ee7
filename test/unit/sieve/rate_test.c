/* A leaky bucket on the times of the lines themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sieve/rate.h"

#define SECOND INT64_C(1000000000)
#define START (INT64_C(1700000000) * SECOND)

static struct rate rate_of(const char *text)
{
    struct rate r = {0, 0};
    struct err e = {0, ""};

    if (rate_parse(&r, str_of(text), &e) < 0)
        fail_msg("%s: %s", text, e.text);
    return r;
}

/* Of <n> lines, <step> ns apart, how many are within it. */
static unsigned taken(const struct rate *r, int64_t *at, int64_t from, unsigned n, int64_t step)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < n; i++)
        taken += rate_take(r, from + i * step, at);
    return taken;
}

static void lets_so_many_through(void **state)
{
    const struct {
        const char *rate;
        unsigned lines;
        int64_t step; /* ns */
        unsigned taken;
    } rows[] = {
        {"10/s", 1000, 0, 10},             /* a burst */
        {"10/s", 1000, SECOND / 10, 1000}, /* just the rate */
        {"10/s", 1000, SECOND / 20, 509},  /* twice the rate for 50 s: 10 + 499.5 */
        {"10/s,1", 1000, SECOND / 10, 1000},
        {"10/s,1", 1000, SECOND / 100, 100},
        {"10/s,100", 1000, 0, 100},
        {"60/m", 1000, SECOND, 1000},
        {"1/h", 1000, SECOND, 1},
        {"1/h,5", 1000, 0, 5},
        {"1000000/s", 1000, 0, 1000},
        {"1/h,1000000", 1000, 0, 1000},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct rate r = rate_of(rows[i].rate);
        int64_t at = 0;

        assert_int_equal(taken(&r, &at, START, rows[i].lines, rows[i].step), rows[i].taken);
    }
}

static void fills_again(void **state)
{
    struct rate r = rate_of("10/s,20");
    int64_t at = 0;

    (void)state;
    assert_int_equal(taken(&r, &at, START, 100, 0), 20);
    assert_int_equal(taken(&r, &at, START + SECOND, 100, 0), 10);
    assert_int_equal(taken(&r, &at, START + 100 * SECOND, 100, 0), 20);
}

/* The same number and the same lines: the same decisions, which is what a retry has. */
static void decides_the_same_again(void **state)
{
    struct rate r = rate_of("7/s");
    int64_t at = 0, before;
    unsigned first;

    (void)state;
    (void)taken(&r, &at, START, 1000, SECOND / 33);
    before = at;
    first = taken(&r, &at, START + 40 * SECOND, 1000, SECOND / 33);
    assert_in_range(first, 210, 225);
    for (unsigned i = 0; i < 3; i++) {
        at = before;
        assert_int_equal(taken(&r, &at, START + 40 * SECOND, 1000, SECOND / 33), first);
    }
}

static void a_clock_that_is_set_back(void **state)
{
    struct rate r = rate_of("10/s");
    int64_t at = 0;

    (void)state;
    assert_int_equal(taken(&r, &at, START, 100, 0), 10);
    assert_int_equal(taken(&r, &at, START - SECOND, 100, 0), 0); /* out of order */
    assert_int_equal(taken(&r, &at, START - 3600 * SECOND, 100, 0), 10);
}

static void reads_times(void **state)
{
    const struct {
        const char *time;
        int64_t ns;
    } rows[] = {
        {"1970-01-01T00:00:01Z", SECOND},
        {"1970-01-01T00:00:01.5Z", SECOND + SECOND / 2},
        {"1970-01-01T00:00:01.000000001Z", SECOND + 1},
        {"1970-01-01T01:00:01.25+01:00", SECOND + SECOND / 4},
        {"1970-01-01T01:00:01+01:00", SECOND},
        {"0001-01-01T00:00:00Z", 0},
        {"9999-12-31T23:59:59Z", 5000000000 * SECOND},
    };

    (void)state;
    FOR_ROWS (i, rows)
        assert_int_equal(rate_time(str_of(rows[i].time)), rows[i].ns);
}

/* Whatever a sender's clock says, nothing overflows (the sanitizer looks). */
static void has_room_for_any_time(void **state)
{
    struct rate r = rate_of("1/h,1000000");
    int64_t at = 0;

    (void)state;
    assert_int_equal(taken(&r, &at, rate_time(STR("9999-12-31T23:59:59Z")), 1000001, 0), 1000000);
    assert_true(rate_take(&r, 0, &at));
    assert_true(rate_take(&r, rate_time(STR("9999-12-31T23:59:59Z")), &at));
}

static void refuses(void **state)
{
    const char *const rows[] = {"",      "10",      "10/",      "/s",          "0/s",   "-1/s",
                                "10/d",  "10/s,",   "10/s,0",   "10/s,x",      "x/s",   "10/s/s",
                                "10 /s", "10/s,1,", "1.5/s",    "1000001/s",   ",10/s", "10,5/s",
                                "10/S",  "10/ms",   "10/s,1/s", "10/s,1000001"};

    (void)state;
    FOR_ROWS (i, rows) {
        struct rate r = {0, 0};
        struct err e = {0, ""};

        assert_int_equal(rate_parse(&r, str_of(rows[i]), &e), -1);
        ASSERT_HAS(e.text, "option 'rate' must be N/s, N/m or N/h");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_so_many_through),
        cmocka_unit_test(fills_again),
        cmocka_unit_test(decides_the_same_again),
        cmocka_unit_test(a_clock_that_is_set_back),
        cmocka_unit_test(reads_times),
        cmocka_unit_test(has_room_for_any_time),
        cmocka_unit_test(refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
