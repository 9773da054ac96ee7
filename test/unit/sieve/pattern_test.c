/* Literals, against a search that is too simple to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../lib/unit.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/mem.h"
#include "sieve/pattern.h"

static struct sieve_pattern *compile(struct str text)
{
    struct err e;
    struct sieve_pattern *p = sieve_pattern_create("exclude", text, &e);

    assert_non_null(p);
    return p;
}

static void finds_a_literal(void **state)
{
    const struct {
        struct str text, line;
        bool found;
    } rows[] = {
        {STR("a"), STR("a"), true},
        {STR("a"), STR(""), false},
        {STR("GET /healthz"), STR("10.0.0.1 \"GET /healthz HTTP/1.1\" 200"), true},
        {STR("GET /healthz"), STR("10.0.0.1 \"GET /health HTTP/1.1\" 200"), false},
        {STR("end"), STR("at the end"), true},
        {STR("end"), STR("at the en"), false},
        {STR("start"), STR("start"), true},
        {STR("Start"), STR("start"), false},
        {STR("aab"), STR("aaaaaaaab"), true},
        {STR("ba"), STR("aaaaaaaab"), false},
        {STR("a\0b"), STR("xa\0by"), true},
        {STR("\xff\xfe"), STR("x\xff\xfey"), true},
        {STR("QQQQb"), STR("QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQb"), true},
        {STR("QQQQb"), STR("QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQc"), false},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        struct sieve_pattern *p = compile(rows[i].text);

        assert_int_equal(sieve_pattern_matches(p, rows[i].line), rows[i].found);
        sieve_pattern_free(p);
    }
}

/* All words of two letters against each other. */
static void agrees_with_a_simple_search(void **state)
{
    char line[12], text[4];

    (void)state;
    for (unsigned t = 0; t < 8 + 4 + 2; t++) {
        size_t n = t < 2 ? 1 : t < 6 ? 2 : 3;
        struct sieve_pattern *p;

        for (size_t i = 0; i < n; i++)
            text[i] = t >> i & 1 ? 'Z' : 'e';
        p = compile(str_make(text, n));
        for (unsigned l = 0; l < 1U << sizeof(line); l++) {
            bool found = false;

            for (size_t i = 0; i < sizeof(line); i++)
                line[i] = l >> i & 1 ? 'Z' : 'e';
            for (size_t i = 0; i + n <= sizeof(line); i++)
                found |= memcmp(line + i, text, n) == 0;
            assert_int_equal(sieve_pattern_matches(p, str_make(line, sizeof(line))), found);
        }
        sieve_pattern_free(p);
    }
}

static void has_bounds(void **state)
{
    char text[SIEVE_PATTERN_MAX + 1];
    struct err e = {0, ""};

    (void)state;
    memset(text, 'x', sizeof(text));
    sieve_pattern_free(compile(str_make(text, SIEVE_PATTERN_MAX)));
    assert_null(sieve_pattern_create("exclude", str_make(text, sizeof(text)), &e));
    assert_string_equal(e.text, "option 'exclude' must be a text of 1 to 256 bytes");
    assert_null(sieve_pattern_create("include", STR(""), &e));
    assert_string_equal(e.text, "option 'include' must be a text of 1 to 256 bytes");
    assert_null(sieve_pattern_create("include", STR("~^GET"), &e));
    ASSERT_HAS(e.text, "option 'include'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_literal),
        cmocka_unit_test(agrees_with_a_simple_search),
        cmocka_unit_test(has_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
