/* Names that rotation gives: which are taken for whose, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "streams/sibling.h"

/* From the oldest to the live one, of logs that were rotated in several ways. */
static void test_L07_order_of_siblings(void **state)
{
    static const char *const rows[][8] = {
        {".12.gz", ".3", ".2.gz", ".1", ".0", ""},
        {"-20251231.gz", "-20260101", "-20261128.xz", "-20261129", ""},
        {"-20261128-23.gz", "-20261129-00", "-20261129-15", ""},
        {"-2026112823", "-2026112900.gz", ""},
        {".20261128-235959.gz", ".20261129-000000", ".20261129-000001", ""},
        {"-1795999999.gz", "-1796000000", ""},
        {"-2026-11-28.gz", "-2026-11-29", "-2026-12-01", ""},
        {"-20261129-1796000000.gz", "-20261129-1796000001", ""},
        {"-20240229", "-20240301", "-20250228", "-20250301", ""},
        {"-1700000000", "-20261129", ".3.zst", ""},
    };

    (void)state;
    FOR_ROWS (r, rows) {
        uint64_t before = 0;

        for (size_t i = 0; i < ARRAY_LEN(rows[r]) && rows[r][i]; i++) {
            struct sibling s;

            if (!sibling_parse(str_of(rows[r][i]), &s) || s.order <= before)
                fail_msg("'%s' of row %zu", rows[r][i], r);
            before = s.order;
            assert_int_equal(s.kind == SIBLING_LIVE, !*rows[r][i]);
        }
    }
}

static void test_L07_same_file_however_compressed(void **state)
{
    struct sibling plain, packed;

    (void)state;
    assert_true(sibling_parse(STR("-20261129"), &plain));
    assert_true(sibling_parse(STR("-20261129.gz"), &packed));
    assert_int_equal(plain.order, packed.order);
    assert_false(plain.packed);
    assert_true(packed.packed);
    assert_true(sibling_readable(STR("a.log-20261129.gz")));
    assert_true(sibling_readable(STR("a.log")));
    assert_false(sibling_readable(STR("a.log.1.zst")));
    assert_false(sibling_readable(STR("a.log.1.xz")));
    assert_false(sibling_readable(STR("a.log.1.bz2")));
}

static void test_L07_no_siblings(void **state)
{
    static const char *const names[] = {
        ".tmp",
        ".1.tmp",
        ".20261129-101500.tmp",
        "1",
        "-1",
        "-12",
        ".old",
        ".gz",
        "-",
        ".",
        ".-1",
        ".1.",
        ".1-",
        "-2026--11",
        "-20261329",
        "-20261100",
        "-123456789012345678901234567890",
        ".12345678",
        "-20261129-1",
        "-99999999",
        "-20261129-2561",
        "~",
        ".swp",
        ".1.gz.gz",
        ".1.gz.tmp",
        "-20261129x",
        "_20261129",
    };
    struct sibling s;

    (void)state;
    FOR_ROWS (i, names)
        if (sibling_parse(str_of(names[i]), &s))
            fail_msg("'%s' is none", names[i]);
}

/* A log's name may be continued, or have it before its extension. */
static void test_whose_sibling(void **state)
{
    static const struct {
        const char *base, *name;
        bool is;
        enum sibling_kind kind;
        bool packed;
    } rows[] = {
        {"app.log", "app.log", true, SIBLING_LIVE, false},
        {"app.log", "app.log.1", true, SIBLING_NUMBERED, false},
        {"app.log", "app.log-20261130.gz", true, SIBLING_DATED, true},
        {"app.log", "app.1.log", true, SIBLING_NUMBERED, false},
        {"app.log", "app.1.log.gz", true, SIBLING_NUMBERED, true},
        {"app.log", "app-20261130.log", true, SIBLING_DATED, false},
        {"app.log", "app-20261130-1795999999.log.gz", true, SIBLING_DATED, true},
        {"app", "app.1", true, SIBLING_NUMBERED, false},
        {"app.log", "app-1.log", false, 0, false},
        {"app.log", "app2.log", false, 0, false},
        {"app.log", "app.log.gz", false, 0, false},
        {"app.log", "app..log", false, 0, false},
        {"app.log", "app", false, 0, false},
        {"app.log", "app.gz", false, 0, false},
        {"app.log", "app-web.log", false, 0, false},
        {"app.log", "app.1.gz.log", false, 0, false},
        {".log", "x.log", false, 0, false},
        {"app.log", "app-20261130.txt", false, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sibling as = {.kind = 0};
        bool is = sibling_of(str_of(rows[i].base), str_of(rows[i].name), &as);

        if (is != rows[i].is || (is && (as.kind != rows[i].kind || as.packed != rows[i].packed)))
            fail_msg("'%s' of '%s': %d, kind %u, packed %d", rows[i].name, rows[i].base, is,
                     as.kind, as.packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_sibling),
        cmocka_unit_test(test_L07_order_of_siblings),
        cmocka_unit_test(test_L07_same_file_however_compressed),
        cmocka_unit_test(test_L07_no_siblings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
