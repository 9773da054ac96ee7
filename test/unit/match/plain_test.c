/* Literals, against a search that is too simple to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../lib/unit.h"
#include "match/plain.h"

static bool finds(struct str text, struct str line)
{
    struct plain p = plain_of(text);
    size_t slow = 0;
    const char *at = plain_find(&p, line, &slow);

    assert_true(slow <= line.len);
    if (at) { /* the first place */
        assert_memory_equal(at, text.p, text.len);
        assert_ptr_equal(at, memmem(line.p, line.len, text.p, text.len));
    }
    return at != NULL;
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
    FOR_ROWS (i, rows)
        assert_int_equal(finds(rows[i].text, rows[i].line), rows[i].found);
}

/* All words of two letters against each other. */
static void agrees_with_a_simple_search(void **state)
{
    char line[12], text[4];

    (void)state;
    for (unsigned t = 0; t < 8 + 4 + 2; t++) {
        size_t n = t < 2 ? 1 : t < 6 ? 2 : 3;

        for (size_t i = 0; i < n; i++)
            text[i] = t >> i & 1 ? 'Z' : 'e';
        for (unsigned l = 0; l < 1U << sizeof(line); l++) {
            bool found = false;

            for (size_t i = 0; i < sizeof(line); i++)
                line[i] = l >> i & 1 ? 'Z' : 'e';
            for (size_t i = 0; i + n <= sizeof(line); i++)
                found |= memcmp(line + i, text, n) == 0;
            assert_int_equal(finds(str_make(text, n), str_make(line, sizeof(line))), found);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_literal),
        cmocka_unit_test(agrees_with_a_simple_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
