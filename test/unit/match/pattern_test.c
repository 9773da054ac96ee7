/* One expression: what it finds, how a wrong one is refused, and what any of them may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

/* A busy machine may take a search's time. */
static enum pattern_result find(const struct pattern *p, struct str text)
{
    struct pattern_scratch *s = pattern_scratch_create();
    enum pattern_result rc = PATTERN_GIVEN_UP;

    for (unsigned tries = 0; tries < 50 && rc == PATTERN_GIVEN_UP; tries++) {
        struct pattern_clock c;

        pattern_clock_start(&c, clock_mono_ns());
        rc = pattern_find(p, text, s, &c);
    }
    pattern_scratch_free(s);
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

static uint64_t search_twice(const struct pattern *p, struct str text, struct pattern_scratch *s)
{
    uint64_t began = clock_cpu_ns();
    struct pattern_clock c;

    pattern_clock_start(&c, clock_mono_ns());
    if (pattern_find(p, text, s, &c) == PATTERN_GIVEN_UP && c.cpu_end) {
        pattern_clock_again(&c);
        (void)pattern_find(p, text, s, &c);
    }
    return cpu_of(began);
}

/* The CPU of a line, in us: the least of a few, for others may have the caches. */
static uint64_t cost(const struct pattern *p, struct str text)
{
    struct pattern_scratch *s = pattern_scratch_create();
    uint64_t best = UINT64_MAX;

    for (unsigned k = 0; k < 20; k++) {
        uint64_t took = search_twice(p, text, s);

        best = took < best ? took : best;
    }
    pattern_scratch_free(s);
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
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_of_a_long_line_the_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
