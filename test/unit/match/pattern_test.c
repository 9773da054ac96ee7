/* One expression: what it finds, how a wrong one is refused, and what any of them may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "match/pattern.h"

static struct pattern *made(struct str text)
{
    struct err e;
    struct pattern *p = pattern_create(text, &e);

    if (!p)
        fail_msg("'%.*s': %s", STR_ARG(text), e.text);
    return p;
}

static enum pattern_result find(const struct pattern *p, struct str text)
{
    struct pattern_run *r = pattern_run_create();
    enum pattern_result rc = pattern_find(p, text, r);

    pattern_run_free(r);
    return rc;
}

static void test_what_is_found(void **state)
{
    static const struct {
        const char *pattern, *text;
        enum pattern_result rc;
    } cases[] = {
        {"error", "an error here", PATTERN_YES},
        {"error", "error", PATTERN_YES},
        {"error", "erro", PATTERN_NO},
        {"error", "Error", PATTERN_NO},
        {"(?i)error", "Error", PATTERN_YES},
        {"a}b]", "xa}b]x", PATTERN_YES},
        {"status=5\\d\\d", "x status=503 y", PATTERN_YES},
        {"status=5\\d\\d", "x status=50", PATTERN_NO},
        {"^GET|^POST", "POST /", PATTERN_YES},
        {"^GET|^POST", " POST /", PATTERN_NO},
        {"end$", "the end", PATTERN_YES},
        {"(\\w)\\1", "abccd", PATTERN_YES},
        {"(?<!not )found", "not found", PATTERN_NO},
        {"(?<!not )found", "is found", PATTERN_YES},
        {"^$", "", PATTERN_YES},
        {"x", "", PATTERN_NO},
        {"\xc3\xa4", "B\xc3\xa4r", PATTERN_YES},
        {"B..r", "B\xc3\xa4r", PATTERN_YES},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pattern *p = made(str_of(cases[i].pattern));

        if (find(p, str_of(cases[i].text)) != cases[i].rc)
            fail_msg("'%s' in '%s'", cases[i].pattern, cases[i].text);
        pattern_free(p);
    }
}

static void test_bytes_are_no_strings(void **state)
{
    static const char text[] = "a\0b\xff\xfe";
    struct pattern *plain = made(str_make("\0b", 2)), *code = made(str_of("b\\xff."));

    (void)state;
    assert_int_equal(find(plain, str_make(text, 5)), PATTERN_YES);
    assert_int_equal(find(code, str_make(text, 5)), PATTERN_YES);
    assert_int_equal(find(code, str_make(text, 4)), PATTERN_NO);
    pattern_free(plain);
    pattern_free(code);
}

static void refused(struct str text, const char *why)
{
    struct err e = {0};

    assert_null(pattern_create(text, &e));
    if (!strstr(e.text, why))
        fail_msg("'%.*s': '%s', not '%s'", STR_ARG(text), e.text, why);
}

static void test_the_place_of_a_mistake(void **state)
{
    char longest[PATTERN_LENGTH_MAX + 1];

    (void)state;
    refused(str_of(""), "1 to 512 bytes");
    refused(str_of("ab(c"), "at byte 4");
    refused(str_of("[a-"), "at byte 3");
    refused(str_of("*a"), "at byte 0");
    refused(str_of("a(?<=b*)"), "at byte");
    refused(str_of("(*UTF)a"), "UTF");
    refused(str_of("\\C"), "at byte");
    refused(str_of("(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)\\1"), "more than 9");
    pattern_free(made(str_of("(a)(a)(a)(a)(a)(a)(a)(a)(a)(a)")));
    memset(longest, 'a', sizeof(longest));
    refused(str_make(longest, sizeof(longest)), "1 to 512 bytes");
    pattern_free(made(str_make(longest, PATTERN_LENGTH_MAX)));
    memset(longest, '(', PATTERN_LENGTH_MAX / 2);
    memset(longest + PATTERN_LENGTH_MAX / 2, ')', PATTERN_LENGTH_MAX / 2);
    refused(str_make(longest, PATTERN_LENGTH_MAX), "at byte");
}

static uint64_t cpu_of(uint64_t began)
{
    return (clock_cpu_ns() - began) / 1000;
}

/* Small to write, large to compile: refused, or made within a bounded time and memory. */
static void test_what_compiling_costs(void **state)
{
    static const char *const patterns[] = {
        "((a{1,50}){1,50}){1,50}",     "(((a{1,99}){1,99}){1,99}){1,99}",
        "(?:[a-z]{1,1000}){1,60}",     "(\\w{1,100}\\d{1,100}){100}",
        "(?:(?:(?:x?){50}){50}){50}x", "(a|b|c|d|e|f|g|h){1,1000}",
        "(?:a{65535}){65535}",         "(?|(a)|(b)|(c)){500}",
        "((?=(a{1,30})){30}){30}",     "(?(DEFINE)(?<a>(?&b)(?&b))(?<b>a{50}))(?&a){500}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        uint64_t best = UINT64_MAX;

        for (unsigned k = 0; k < 5; k++) {
            uint64_t began = clock_cpu_ns(), took;
            struct err e = {0};
            struct pattern *p = pattern_create(str_of(patterns[i]), &e);

            took = cpu_of(began);
            best = took < best ? took : best;
            assert_true(p ? pattern_bytes(p) < 256 * 1024 : e.text[0]);
            pattern_free(p);
        }
        if (best > 20000)
            fail_msg("'%s': %llu us", patterns[i], (unsigned long long)best);
    }
}

/* ---- searches that would take seconds, or years ---- */

static const char mail_address[] =
    "^([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}"
    "[.]{1}[a-z]{2,3}))$";

static const char *const evil[] = {
    "(a+)+$",
    "(a|aa)+$",
    "(a|a?)+$",
    "(.*a){20}",
    "(.*a){20}b*$",
    "([a-z]*)*\\d",
    "([a-zA-Z]+)*!?\\d",
    "a*a*a*a*a*a*a*a*[bc]",
    "[a-z]*+\\d",
    "[a-z]{8000}\\d",
    "(?:[a-z]{500}){16}\\d",
    "(?=(a+))\\1[bc]",
    "(a*)\\1*[bc]",
    "(?:a?){30}a{30}[bc]",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(?:(?:a|b|c|d|e)*)*[yz]",
    "(?<=a{200})[bc]",
    "(?>a*)[bc]",
    "(?:(?=a*b)a)*[xy]",
    "(?R)?a*[bc]|a",
    "^(?:a(?1)?|(a+))+[bc]$",
    mail_address,
    "\\w+\\s*=\\s*\\d+$",
    "(*NO_JIT)(a|aa)+$",
    "(*NO_JIT)[a-z]*+\\d",
    "(*NO_JIT)[a-z]{8000}\\d",
    "(*NO_START_OPT)a*a*a*a*[bc]",
    "(*LIMIT_MATCH=4000000000)(a|aa)+$",
    "((a)|(aa)|(b)|(x)|(c)|(d))+\\1$",
    "(?:(a)|(aa)|(b)|(x)|(a)|(b)|(a)|(b)|(x))+\\9$",
    "(?<x>a|aa)+\\k<x>[^a-z]{3}",
};

static void fill(char *text, size_t len, unsigned kind)
{
    for (size_t i = 0; i < len; i++)
        text[i] = kind == 0   ? 'a'
                  : kind == 1 ? "ab"[i % 2]
                  : kind == 2 ? "xxxxxx="[i % 7]
                              : (char)('a' + i * i % 23);
    if (kind == 0)
        text[len - 1] = '!';
}

/* The CPU of a line, in us: the least of a few, for others may have the caches. */
static uint64_t cost(const struct pattern *p, struct str text)
{
    struct pattern_run *r = pattern_run_create();
    uint64_t best = UINT64_MAX;

    for (unsigned k = 0; k < 20; k++) {
        uint64_t began = clock_cpu_ns(), took;

        pattern_run_line(r);
        (void)pattern_find(p, text, r);
        took = cpu_of(began);
        best = took < best ? took : best;
    }
    pattern_run_free(r);
    return best;
}

static void test_no_search_takes_long(void **state)
{
    static const size_t lengths[] = {30, 1000, PATTERN_TEXT_MAX, 4 * PATTERN_TEXT_MAX};
    char *text = malloc(4 * PATTERN_TEXT_MAX);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_LEN(evil); i++) {
        struct pattern *p = made(str_of(evil[i]));

        for (unsigned kind = 0; kind < 4; kind++)
            for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
                uint64_t took;

                fill(text, lengths[k], kind);
                took = cost(p, str_make(text, lengths[k]));
                if (took > 2 * PATTERN_LINE_US) /* at load, too */
                    fail_msg("'%s' in %zu bytes of kind %u: %llu us", evil[i], lengths[k], kind,
                             (unsigned long long)took);
            }
        pattern_free(p);
    }
    free(text);
}

static void test_what_takes_long_is_given_up(void **state)
{
    struct pattern *p = made(str_of("(a|aa)+$"));
    char text[1000];

    (void)state;
    fill(text, sizeof(text), 0);
    assert_int_equal(find(p, str_make(text, sizeof(text))), PATTERN_GIVEN_UP);
    assert_int_equal(find(p, str_make(text, 20)), PATTERN_YES);
    assert_int_equal(find(p, str_of("aab")), PATTERN_NO);
    pattern_free(p);
}

/* A line's answer is the same each time, and with JIT and without it. */
static void test_the_answer_is_always_the_same(void **state)
{
    static const char *const others[] = {
        "status=5\\d\\d", "x=.*x=", "GET /h.*=", "a+b", "ab(?=a)", "[ab]+!", "(?i)AB.*!$", "e.*e|f",
    };
    static const size_t lengths[] = {1, 7, 30, 300, 1000, 3000, PATTERN_TEXT_MAX + 1};
    char *text = malloc(PATTERN_TEXT_MAX + 1);
    struct pattern_run *runs[2] = {pattern_run_create(), pattern_run_create()};
    unsigned answers[3] = {0};

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_LEN(evil) + ARRAY_LEN(others); i++) {
        const char *one = i < ARRAY_LEN(evil) ? evil[i] : others[i - ARRAY_LEN(evil)];
        char slowly[PATTERN_LENGTH_MAX];
        struct pattern *p[2] = {made(str_of(one)), NULL};

        (void)snprintf(slowly, sizeof(slowly), "(*NO_JIT)%s", one);
        p[1] = made(str_of(slowly));
        for (unsigned kind = 0; kind < 4; kind++)
            for (size_t k = 0; k < ARRAY_LEN(lengths); k++) {
                enum pattern_result rc[3];
                unsigned steps[3];

                fill(text, lengths[k], kind);
                for (unsigned way = 0; way < 3; way++) { /* the third time with JIT again */
                    pattern_run_line(runs[way % 2]);
                    rc[way] = pattern_find(p[way % 2], str_make(text, lengths[k]), runs[way % 2]);
                    steps[way] = pattern_run_steps(runs[way % 2]);
                }
                if (rc[0] != rc[1] || rc[0] != rc[2] || steps[0] != steps[2] ||
                    (rc[0] != PATTERN_GIVEN_UP && steps[0] != steps[1]))
                    fail_msg("'%s' in %zu bytes of kind %u: %d %d %d, %u %u %u steps", one,
                             lengths[k], kind, rc[0], rc[1], rc[2], steps[0], steps[1], steps[2]);
                answers[rc[0]]++;
            }
        pattern_free(p[0]);
        pattern_free(p[1]);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_true(answers[i] > 20);
    pattern_run_free(runs[0]);
    pattern_run_free(runs[1]);
    free(text);
}

/* The steps are those of all expressions of a line together. */
static void test_expressions_share_the_steps_of_a_line(void **state)
{
    struct pattern *one = made(str_of("[a-y]+z")), *plain = made(str_of("!"));
    struct pattern_run *r = pattern_run_create();
    unsigned tries = 0;
    char text[40];

    (void)state;
    fill(text, sizeof(text), 0);
    while (pattern_find(one, str_make(text, sizeof(text)), r) == PATTERN_NO)
        assert_true(++tries < PATTERN_STEPS_MAX);
    assert_true(tries > 0);
    assert_int_equal(pattern_find(one, STR("az"), r), PATTERN_GIVEN_UP);
    assert_int_equal(pattern_find(plain, str_make(text, sizeof(text)), r), PATTERN_YES);
    pattern_run_line(r);
    assert_int_equal(pattern_find(one, STR("az"), r), PATTERN_YES);
    pattern_run_free(r);
    pattern_free(plain);
    pattern_free(one);
}

/* An expression that begins with a text is not tried where that is not, so that long lines are decided. */
static void test_a_text_to_begin_with(void **state)
{
    static const struct {
        const char *pattern, *end;
        enum pattern_result rc;
    } cases[] = {
        {"status=5\\d\\d", "status=503", PATTERN_YES},
        {"status=5\\d\\d", "status=403", PATTERN_NO},
        {"status=5\\d\\d", "status=5s", PATTERN_NO},
        {"baa*c", "bac", PATTERN_YES},
        {"baa?c", "bac", PATTERN_YES},
        {"baa{0,3}c", "bac", PATTERN_YES},
        {"bab+c", "babbc", PATTERN_YES},
        {"ba|bc|\\d", "bc", PATTERN_YES},
        {"ba(?<=xba)c", "xbac", PATTERN_YES},
        {"ba(?<=yba)c", "xbac", PATTERN_NO},
        {"ba$", "ba", PATTERN_YES},
        {"ba\\b.c", "ba c", PATTERN_YES},
        {"bb\\Gc", "bbc", PATTERN_GIVEN_UP}, /* as each that is tried everywhere */
    };
    char text[PATTERN_TEXT_MAX];
    size_t len = sizeof(text);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pattern *p = made(str_of(cases[i].pattern));
        size_t n = strlen(cases[i].end);

        memset(text, 's', len);
        memcpy(text + len - n, cases[i].end, n);
        if (strchr(cases[i].pattern, '|'))
            assert_int_equal(find(p, str_make(text + len - 20, 20)), cases[i].rc);
        else if (find(p, str_make(text, len)) != cases[i].rc)
            fail_msg("'%s'", cases[i].pattern);
        pattern_free(p);
    }
}

/* A line that is longer than what is looked at does not end there. */
static void test_the_end_of_what_is_looked_at(void **state)
{
    struct pattern *p = made(str_of("[s]$"));
    char *text = malloc(PATTERN_TEXT_MAX + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'a', PATTERN_TEXT_MAX + 1);
    text[PATTERN_TEXT_MAX - 1] = 's';
    assert_int_equal(find(p, str_make(text + 1, PATTERN_TEXT_MAX - 1)), PATTERN_YES);
    assert_int_equal(find(p, str_make(text, PATTERN_TEXT_MAX + 1)), PATTERN_GIVEN_UP);
    pattern_free(p);
    free(text);
}

static void test_a_plain_text_is_itself(void **state)
{
    struct err e;
    struct pattern *p = pattern_create_plain(STR("a.*[b"), &e);

    (void)state;
    assert_non_null(p);
    assert_int_equal(find(p, STR("xa.*[bx")), PATTERN_YES);
    assert_int_equal(find(p, STR("axx[b")), PATTERN_NO);
    pattern_free(p);
}

/* The worst for memmem(): each place looks right up to the middle. */
static void test_plain_text(void **state)
{
    char needle[PATTERN_LENGTH_MAX], *text = malloc(2 * PATTERN_TEXT_MAX);
    struct pattern *p;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', 2 * PATTERN_TEXT_MAX);
    for (size_t len = 3; len <= sizeof(needle); len = len < 255 ? 255 : len + 257) {
        memset(needle, 'a', sizeof(needle));
        needle[len / 2] = 'b';
        p = made(str_make(needle, len));
        if (cost(p, str_make(text, PATTERN_TEXT_MAX)) > 2 * PATTERN_LINE_US)
            fail_msg("%zu bytes", len);
        pattern_free(p);
    }
    p = made(str_of("needle"));
    assert_int_equal(find(p, str_make(text, PATTERN_TEXT_MAX)), PATTERN_NO);
    for (size_t at = 0; at + 6 <= PATTERN_TEXT_MAX; at += 409) { /* also over the end of a piece */
        memcpy(text + at, "needle", 6);
        assert_int_equal(find(p, str_make(text, PATTERN_TEXT_MAX)), PATTERN_YES);
        memset(text + at, 'a', 6);
    }
    memcpy(text + 1021, "needle", 6);
    assert_int_equal(find(p, str_make(text, PATTERN_TEXT_MAX)), PATTERN_YES);
    pattern_free(p);
    free(text);
}

/* What an expression does not look at may have it. A plain text is looked for in all of it. */
static void test_of_a_long_line_the_head(void **state)
{
    char *text = malloc(PATTERN_TEXT_MAX + 1);
    struct pattern *plain = made(str_of("b")), *code = made(str_of("[b]"));

    (void)state;
    assert_non_null(text);
    memset(text, 'a', PATTERN_TEXT_MAX);
    text[PATTERN_TEXT_MAX] = 'c';
    assert_int_equal(find(code, str_make(text, PATTERN_TEXT_MAX)), PATTERN_NO);
    assert_int_equal(find(code, str_make(text, PATTERN_TEXT_MAX + 1)), PATTERN_GIVEN_UP);
    assert_int_equal(find(plain, str_make(text, PATTERN_TEXT_MAX + 1)), PATTERN_NO);
    text[PATTERN_TEXT_MAX] = 'b';
    assert_int_equal(find(plain, str_make(text, PATTERN_TEXT_MAX + 1)), PATTERN_YES);
    text[PATTERN_TEXT_MAX - 1] = 'b';
    assert_int_equal(find(code, str_make(text, PATTERN_TEXT_MAX + 1)), PATTERN_YES);
    pattern_free(plain);
    pattern_free(code);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_found),
        cmocka_unit_test(test_bytes_are_no_strings),
        cmocka_unit_test(test_the_place_of_a_mistake),
        cmocka_unit_test(test_what_compiling_costs),
        cmocka_unit_test(test_no_search_takes_long),
        cmocka_unit_test(test_what_takes_long_is_given_up),
        cmocka_unit_test(test_the_answer_is_always_the_same),
        cmocka_unit_test(test_expressions_share_the_steps_of_a_line),
        cmocka_unit_test(test_a_text_to_begin_with),
        cmocka_unit_test(test_the_end_of_what_is_looked_at),
        cmocka_unit_test(test_a_plain_text_is_itself),
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_of_a_long_line_the_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
