/* Several expressions together, and what a filter may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "match/filter.h"

#define MS 1000000ULL

struct world {
    struct filter *filter;
    struct pattern_run *searches;
    struct filter_run *run;
};

static int setup(void **state)
{
    static struct world w;

    w.filter = filter_create();
    w.searches = pattern_run_create();
    w.run = filter_run_create(w.filter, w.searches);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    clock_fake(0, 0);
    filter_run_free(w->run);
    pattern_run_free(w->searches);
    filter_free(w->filter);
    return 0;
}

static void add(struct world *w, enum filter_side side, const char *text)
{
    struct err e;

    if (filter_add(w->filter, side, str_of(text), &e) < 0)
        fail_msg("'%s': %s", text, e.text);
}

static enum filter_answer ask(struct world *w, const char *line)
{
    filter_run_turn(w->run);
    return filter_run_ask(w->run, str_of(line));
}

static void test_any_to_include(void **state)
{
    add(*state, FILTER_INCLUDE, "error");
    add(*state, FILTER_INCLUDE, "status=5\\d\\d");
    assert_int_equal(ask(*state, "an error"), FILTER_PASS);
    assert_int_equal(ask(*state, "status=503"), FILTER_PASS);
    assert_int_equal(ask(*state, "status=403"), FILTER_HIDE);
    assert_int_equal(ask(*state, ""), FILTER_HIDE);
}

static void test_any_to_exclude(void **state)
{
    add(*state, FILTER_EXCLUDE, "GET /healthz");
    add(*state, FILTER_EXCLUDE, "^#");
    assert_int_equal(ask(*state, "GET /healthz 200"), FILTER_HIDE);
    assert_int_equal(ask(*state, "# x"), FILTER_HIDE);
    assert_int_equal(ask(*state, "GET /"), FILTER_PASS);
    assert_int_equal(ask(*state, ""), FILTER_PASS);
}

static void test_exclude_is_the_stronger(void **state)
{
    add(*state, FILTER_INCLUDE, "error");
    add(*state, FILTER_EXCLUDE, "debug");
    assert_int_equal(ask(*state, "error"), FILTER_PASS);
    assert_int_equal(ask(*state, "debug error"), FILTER_HIDE);
    assert_int_equal(ask(*state, "x"), FILTER_HIDE);
}

static void test_limits(void **state)
{
    struct world *w = *state;
    struct err e = {0};
    int rc;

    for (unsigned i = 0; i < FILTER_PATTERNS_MAX; i++)
        add(w, i % 2 ? FILTER_INCLUDE : FILTER_EXCLUDE, "x");
    assert_int_equal(filter_add(w->filter, FILTER_INCLUDE, STR("x"), &e), -1);
    assert_non_null(strstr(e.text, "more than 16"));

    filter_run_free(w->run);
    filter_free(w->filter);
    w->filter = filter_create();
    w->run = filter_run_create(w->filter, w->searches);
    do
        rc = filter_add(w->filter, FILTER_INCLUDE, STR("((a{1,50}){1,50}){1,4}x"), &e);
    while (rc == 0);
    assert_non_null(strstr(e.text, "too large"));
}

/* What cannot be told in time passes, unless another expression tells it. */
static void test_in_doubt_it_passes(void **state)
{
    static const char slow[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";

    add(*state, FILTER_INCLUDE, "(a|aa)+$");
    assert_int_equal(ask(*state, slow), FILTER_PASS);
    assert_int_equal(ask(*state, "b!"), FILTER_HIDE);
    add(*state, FILTER_EXCLUDE, "(a|aaa)+$");
    assert_int_equal(ask(*state, slow), FILTER_PASS);
    assert_int_equal(ask(*state, "b!"), FILTER_HIDE);
    add(*state, FILTER_EXCLUDE, "!");
    assert_int_equal(ask(*state, "aaa!"), FILTER_HIDE);
}

/* Of a filter that is slow for each line, only so many a second are tried. */
static void test_slow_lines_are_rationed(void **state)
{
    char line[1000];
    uint64_t began = clock_cpu_ns();

    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = '!';
    add(*state, FILTER_INCLUDE, "(a|aa)+$");
    for (unsigned i = 0; i < 20000; i++) {
        filter_run_turn(((struct world *)*state)->run);
        assert_int_equal(
            filter_run_ask(((struct world *)*state)->run, str_make(line, sizeof(line))),
            FILTER_PASS);
    }
    /* All of them would take a second and more. */
    assert_true(clock_cpu_ns() - began < 500 * MS);
}

static void test_a_turn_ends(void **state)
{
    struct world *w = *state;

    add(w, FILTER_INCLUDE, "x");
    clock_fake(1000, 0);
    filter_run_turn(w->run);
    assert_int_equal(filter_run_ask(w->run, STR("x")), FILTER_PASS);
    clock_fake(1000 + FILTER_TURN_US / 1000, 0);
    assert_int_equal(filter_run_ask(w->run, STR("y")), FILTER_HIDE);
    clock_fake(1001 + FILTER_TURN_US / 1000, 0);
    assert_int_equal(filter_run_ask(w->run, STR("x")), FILTER_LATER);
    filter_run_turn(w->run);
    assert_int_equal(filter_run_ask(w->run, STR("x")), FILTER_PASS);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_any_to_include),
        WITH(test_any_to_exclude),
        WITH(test_exclude_is_the_stronger),
        WITH(test_limits),
        WITH(test_in_doubt_it_passes),
        WITH(test_slow_lines_are_rationed),
        WITH(test_a_turn_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
