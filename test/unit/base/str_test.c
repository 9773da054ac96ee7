/* struct str: cutting, numbers with their limits, wildcards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "base/str.h"

static void compare(void **state)
{
    struct str none = str_make(NULL, 0);

    (void)state;
    assert_true(str_eq(none, STR("")));
    assert_true(str_starts(none, none) && str_ends(none, none));
    assert_false(str_eq(STR("a"), STR("b")));
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("c"), STR("bc")));
    assert_true(str_ieq(STR("TRUE-[1"), STR("true-[1")));
    assert_false(str_ieq(STR("["), STR("{"))); /* differ in the case bit only */
    assert_int_equal(str_skip(none, 3).len, 0);
    assert_true(str_eq(str_skip(STR("abc"), 2), STR("c")));
    assert_true(str_eq(str_skip(STR("abc"), 9), STR("")));
    assert_true(str_eq(str_head(STR("abc"), 2), STR("ab")));
    assert_true(str_eq(str_head(STR("abc"), 9), STR("abc")));
}

static void find(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_rfind(STR("a/b/c"), '/'), 3);
    assert_int_equal(str_find(STR("abc"), '/'), -1);
    assert_int_equal(str_rfind(str_make(NULL, 0), '/'), -1);
    assert_int_equal(str_find(str_make(NULL, 0), '/'), -1);
}

static void trim(void **state)
{
    (void)state;
    assert_true(str_eq(str_trim(STR(" \t\r\n a b \v\f")), STR("a b")));
    assert_true(str_eq(str_trim(STR(" \n ")), STR("")));
    assert_true(str_eq(str_trim(str_make(NULL, 0)), STR("")));
}

static void cut(void **state)
{
    struct str rest = STR("a,,b"), part;

    (void)state;
    assert_true(str_cut(&rest, ',', &part) && str_eq(part, STR("a")));
    assert_true(str_cut(&rest, ',', &part) && str_eq(part, STR("")));
    assert_true(str_cut(&rest, ',', &part) && str_eq(part, STR("b")));
    assert_false(str_cut(&rest, ',', &part));
    rest = STR("a,");
    assert_true(str_cut(&rest, ',', &part) && str_eq(part, STR("a")));
    assert_false(str_cut(&rest, ',', &part));
}

/* <want> UINT64_MAX - 1 means: refused. */
#define REFUSED (UINT64_MAX - 1)
struct number_row {
    const char *text;
    uint64_t max, want;
};

static void check_numbers(bool (*fn)(struct str s, uint64_t max, uint64_t *out),
                          const struct number_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t v = REFUSED;
        bool ok = fn(str_of(rows[i].text), rows[i].max, &v);

        if (ok != (rows[i].want != REFUSED) || v != rows[i].want)
            fail_msg("'%s' gave %d, %llu", rows[i].text, ok, (unsigned long long)v);
    }
}

static void numbers(void **state)
{
    static const struct number_row rows[] = {
        {"0", 9, 0},
        {"007", 9, 7},
        {"9", 10, 9},
        {"10", 10, 10},
        {"11", 10, REFUSED},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, REFUSED},
        {"99999999999999999999999", UINT64_MAX, REFUSED},
        {"", 9, REFUSED},
        {"-1", 9, REFUSED},
        {"+1", 9, REFUSED},
        {" 1", 9, REFUSED},
        {"1 ", 9, REFUSED},
        {"0x1", 99, REFUSED},
    };

    (void)state;
    check_numbers(str_to_u64, rows, ARRAY_LEN(rows));
}

static void sizes(void **state)
{
    static const struct number_row rows[] = {
        {"1", 9, 1},
        {"64k", UINT64_MAX, 65536},
        {"10M", UINT64_MAX, 10485760},
        {"1g", UINT64_MAX, 1073741824},
        {"16Mi", UINT64_MAX, 16777216},
        {"16MiB", UINT64_MAX, 16777216},
        {"16mb", UINT64_MAX, 16777216},
        {"1k", 1024, 1024},
        {"1k", 1023, REFUSED},
        {"17179869183g", UINT64_MAX, 17179869183ull << 30},
        {"17179869184g", UINT64_MAX, REFUSED},
        {"k", 9999, REFUSED},
        {"", 9999, REFUSED},
        {"1b", 9999, REFUSED},
        {"1t", UINT64_MAX, REFUSED},
        {"1kk", 9999, REFUSED},
        {"1 k", 9999, REFUSED},
        {"-1k", 9999, REFUSED},
    };

    (void)state;
    check_numbers(str_to_size, rows, ARRAY_LEN(rows));
}

static void times(void **state)
{
    static const struct number_row rows[] = {
        {"250ms", 1000, 250},
        {"10s", 10000, 10000},
        {"10s", 9999, REFUSED},
        {"5m", UINT64_MAX, 300000},
        {"1h", UINT64_MAX, 3600000},
        {"30", UINT64_MAX, 30000},
        {"0", 9, 0},
        {"18446744073709552s", UINT64_MAX, REFUSED},
        {"", 9, REFUSED},
        {"ms", 9, REFUSED},
        {"1d", UINT64_MAX, REFUSED},
        {"1.5s", UINT64_MAX, REFUSED},
    };

    (void)state;
    check_numbers(str_to_ms, rows, ARRAY_LEN(rows));
}

static bool glob(const char *pattern, const char *text)
{
    return str_glob(str_of(pattern), str_of(text));
}

static void wildcards(void **state)
{
    static char text[20001];

    (void)state;
    assert_true(glob("", ""));
    assert_true(glob("*", ""));
    assert_true(glob("***", "abc"));
    assert_true(glob("a*c", "abbc"));
    assert_true(glob("a*c", "ac"));
    assert_true(glob("*.prod", "web.prod"));
    assert_true(glob("*a*b*", "xxaxxbxx"));
    assert_true(glob("*ab", "aab"));
    assert_false(glob("", "a"));
    assert_false(glob("a", ""));
    assert_false(glob("a*c", "abd"));
    assert_false(glob("a", "A"));
    assert_false(glob("a?c", "abc")); /* '?' is only itself */
    assert_false(glob("web*", "xweb"));
    assert_true(str_glob(STR("a\0*"), STR("a\0b")));
    /* Exponential in the naive version. */
    memset(text, 'a', sizeof(text) - 1);
    assert_false(glob("*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void near(void **state)
{
    static const struct {
        const char *a, *b;
        bool want;
    } rows[] = {
        {"batch", "batch", true},    {"batch", "BATCH", true},
        {"bach", "batch", true},     {"batch", "bach", true},
        {"bbatch", "batch", true},   {"batchs", "batch", true},
        {"botch", "batch", true},    {"abtch", "batch", true},
        {"bacth", "batch", true},    {"batcX", "batch", true},
        {"batches", "batch", false}, {"botcx", "batch", false},
        {"abthc", "batch", false},   {"", "a", true},
        {"", "ab", false},           {"", "", true},
        {"ab", "ba", true},          {"abc", "bca", false},
    };

    (void)state;
    FOR_ROWS (i, rows) {
        assert_int_equal(str_is_near(str_of(rows[i].a), str_of(rows[i].b), 1), rows[i].want);
        assert_int_equal(str_is_near(str_of(rows[i].b), str_of(rows[i].a), 1), rows[i].want);
    }
}

static void dup(void **state)
{
    char *z = str_dup(str_head(STR("abc"), 2)), *empty = str_dup(str_make(NULL, 0));

    (void)state;
    assert_string_equal(z, "ab");
    assert_string_equal(empty, "");
    free(z);
    free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare), cmocka_unit_test(find),      cmocka_unit_test(trim),
        cmocka_unit_test(cut),     cmocka_unit_test(numbers),   cmocka_unit_test(sizes),
        cmocka_unit_test(times),   cmocka_unit_test(wildcards), cmocka_unit_test(dup),
        cmocka_unit_test(near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
