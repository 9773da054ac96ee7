/* struct buf: the cap is never passed, a failed call changes nothing, and there is always a NUL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void empty_is_a_c_string(void **state)
{
    struct buf b = BUF_INIT(10);

    (void)state;
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(buf_str(&b).len, 0);
    assert_int_equal(buf_add(&b, NULL, 0), 0);
    assert_string_equal(buf_cstr(&b), "");
    buf_release(&b);
}

static void cap_is_exact(void **state)
{
    (void)state;
    for (size_t max = 0; max < 200; max++) {
        struct buf b = BUF_INIT(max);

        for (size_t i = 0; i < max; i++)
            assert_int_equal(buf_add_ch(&b, (char)('a' + i % 26)), 0);
        assert_int_equal(b.len, max);
        assert_int_equal(buf_add_ch(&b, 'x'), -1);
        assert_int_equal(buf_addf(&b, "%d", 1), -1);
        assert_int_equal(b.len, max);
        assert_int_equal(buf_add_str(&b, STR("")), 0);
        assert_int_equal(b.p[b.len], 0);
        buf_release(&b);
        assert_null(b.p);
    }
}

static void huge_request_does_not_wrap(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_add(&b, "ab", 2), 0);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 2), -1);
    assert_string_equal(buf_cstr(&b), "ab");
    buf_release(&b);
}

static void failed_format_leaves_the_text(void **state)
{
    struct buf b = BUF_INIT(8);

    (void)state;
    assert_int_equal(buf_addf(&b, "%s-%d", "ab", 12), 0);
    assert_int_equal(buf_addf(&b, "%s", "0123456789"), -1);
    assert_string_equal(buf_cstr(&b), "ab-12");
    assert_int_equal(buf_addf(&b, "%s", "678"), 0);
    assert_string_equal(buf_cstr(&b), "ab-12678");
    buf_release(&b);
}

static void format_grows(void **state)
{
    struct buf b = BUF_INIT(100000);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_addf(&b, "%04d", i), 0);
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.p + 3996, "0999", 5);
    buf_release(&b);
}

static void bytes_may_be_nul(void **state)
{
    struct buf b = BUF_INIT(10);

    (void)state;
    assert_int_equal(buf_add(&b, "a\0b", 3), 0);
    assert_true(str_eq(buf_str(&b), STR("a\0b")));
    buf_release(&b);
}

static void consume_and_clear(void **state)
{
    struct buf b = BUF_INIT(10);

    (void)state;
    buf_consume(&b, 0);
    assert_int_equal(buf_add(&b, "0123456789", 10), 0);
    buf_consume(&b, 4);
    assert_string_equal(buf_cstr(&b), "456789");
    assert_int_equal(buf_add(&b, "abcd", 4), 0);
    buf_consume(&b, 10);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(buf_add_ch(&b, 'x'), 0);
    buf_clear(&b);
    assert_string_equal(buf_cstr(&b), "");
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_a_c_string),
        cmocka_unit_test(cap_is_exact),
        cmocka_unit_test(huge_request_does_not_wrap),
        cmocka_unit_test(failed_format_leaves_the_text),
        cmocka_unit_test(format_grows),
        cmocka_unit_test(bytes_may_be_nul),
        cmocka_unit_test(consume_and_clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
