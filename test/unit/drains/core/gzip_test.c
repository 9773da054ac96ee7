/*
 * Compressed bodies: every buffer becomes a separate gzip member, however often the state is
 * reused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <zlib.h>

#include "drains/core/gzip.h"

#define OUT_MAX (1 << 20)

/* As a receiver would. */
static void assert_unpacks(struct str packed, struct str want)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)packed.p, .avail_in = (uInt)packed.len};
    Bytef *out = malloc(want.len + 1);

    assert_non_null(out);
    z.next_out = out;
    z.avail_out = (uInt)want.len + 1;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, want.len);
    assert_int_equal(z.avail_in, 0);
    assert_memory_equal(out, want.p, want.len);
    assert_int_equal(inflateEnd(&z), Z_OK);
    free(out);
}

static struct str noise(size_t n)
{
    char *p = malloc(n);
    uint32_t x = 1;

    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)(x >> 24);
    }
    return str_make(p, n);
}

static void one_after_another(void **state)
{
    struct gzip *g = gzip_create();
    struct buf out = BUF_INIT(OUT_MAX);
    struct str big = noise(300000);
    const struct str in[] = {STR("{\"message\":\"hello\"}"), STR(""), big, STR("a\0b"), STR("z")};
    struct err e = {0, ""};

    (void)state;
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        assert_int_equal(gzip_pack(g, in[i], &out, &e), 0);
        assert_unpacks(buf_str(&out), in[i]);
    }
    free((char *)(uintptr_t)big.p);
    buf_release(&out);
    gzip_free(g);
}

static void lines_shrink(void **state)
{
    struct gzip *g = gzip_create();
    struct buf in = BUF_INIT(OUT_MAX), out = BUF_INIT(OUT_MAX);
    struct err e = {0, ""};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_addf(&in, "{\"message\":\"line %d of many\"}\n", i), 0);
    assert_int_equal(gzip_pack(g, buf_str(&in), &out, &e), 0);
    assert_true(out.len * 5 < in.len);
    assert_unpacks(buf_str(&out), buf_str(&in));
    buf_release(&in);
    buf_release(&out);
    gzip_free(g);
}

static void no_room(void **state)
{
    struct gzip *g = gzip_create();
    struct buf out = BUF_INIT(64);
    struct str in = noise(200);
    struct err e = {0, ""};

    (void)state;
    assert_int_equal(gzip_pack(g, in, &out, &e), -1);
    assert_string_equal(e.text, "gzip: the compressed bytes exceed the limit");
    assert_int_equal(out.len, 0);
    assert_int_equal(gzip_pack(g, STR("short"), &out, &e), 0); /* as good as new */
    assert_unpacks(buf_str(&out), STR("short"));
    free((char *)(uintptr_t)in.p);
    buf_release(&out);
    gzip_free(g);
}

static void never_used(void **state)
{
    (void)state;
    gzip_free(gzip_create());
    gzip_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_another),
        cmocka_unit_test(lines_shrink),
        cmocka_unit_test(no_room),
        cmocka_unit_test(never_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
