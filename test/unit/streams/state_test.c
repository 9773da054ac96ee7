/* The state's slots: what is written is read; whatever is torn or flipped is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "streams/state.h"

static struct state_record record(uint64_t n)
{
    return (struct state_record){
        .stream = n * 3,
        .drain = UINT64_MAX - n,
        .id = {.dev = 2049, .ino = n, .btime_ns = -5, .prefix_len = 256, .prefix_hash = n << 40},
        .off = n * 1000,
        .size = n * 2000,
        .marker = 0x0123456789abcdef,
        .marker_len = 32,
        .restart = 7,
        .skip_line = n & 1,
        .part = {{.id = {.ino = n + 1}, .off = 12, .len = 34, .skipping = true}, {.off = 1}},
        .seen_ns = 1700000000000000000,
    };
}

static struct buf encoded(uint32_t n, uint64_t generation)
{
    struct buf out = BUF_INIT(1024 * 1024);
    struct state_slot s = {.generation = generation, .written_ns = 42, .len = n};

    s.records = xcalloc(n + 1, sizeof(*s.records));
    for (uint32_t i = 0; i < n; i++)
        s.records[i] = record(i + 1);
    assert_int_equal(state_encode(&out, &s), 0);
    free(s.records);
    return out;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 5; n++) {
        struct buf b = encoded(n, 9);
        struct state_slot s;
        struct err e;

        assert_int_equal(buf_add(&b, "rest of the allocated file", 26), 0);
        assert_int_equal(state_decode(buf_str(&b), &s, &e), 0);
        assert_int_equal(s.generation, 9);
        assert_int_equal(s.written_ns, 42);
        assert_int_equal(s.len, n);
        for (uint32_t i = 0; i < n; i++) {
            struct state_record want = record(i + 1);
            assert_memory_equal(&s.records[i].id, &want.id, sizeof(want.id));
            assert_int_equal(s.records[i].stream, want.stream);
            assert_int_equal(s.records[i].drain, want.drain);
            assert_int_equal(s.records[i].off, want.off);
            assert_int_equal(s.records[i].size, want.size);
            assert_int_equal(s.records[i].marker, want.marker);
            assert_int_equal(s.records[i].skip_line, want.skip_line);
            assert_int_equal(s.records[i].part[0].id.ino, want.part[0].id.ino);
            assert_int_equal(s.records[i].part[0].len, 34);
            assert_true(s.records[i].part[0].skipping);
            assert_int_equal(s.records[i].part[1].off, 1);
            assert_int_equal(s.records[i].seen_ns, want.seen_ns);
        }
        free(s.records);
        buf_release(&b);
    }
}

static void test_S03_cut_at_every_length(void **state)
{
    struct buf b = encoded(3, 1);

    (void)state;
    for (size_t n = 0; n < b.len; n++) {
        struct state_slot s;
        struct err e;
        char *copy = xmalloc(n + 1); /* exact, so that a read beyond it is seen */

        memcpy(copy, b.p, n);
        assert_int_equal(state_decode(str_make(copy, n), &s, &e), -1);
        assert_int_equal(e.code, EBADMSG);
        free(copy);
    }
    buf_release(&b);
}

static void test_S03_every_byte_flipped(void **state)
{
    struct buf b = encoded(2, 1);

    (void)state;
    for (size_t i = 0; i < b.len; i++) {
        struct state_slot s;
        struct err e;

        if (i >= 40 && i < STATE_HEADER_SIZE)
            continue; /* padding of the header */
        b.p[i] = (char)(b.p[i] ^ 0x20);
        assert_int_equal(state_decode(buf_str(&b), &s, &e), -1);
        b.p[i] = (char)(b.p[i] ^ 0x20);
    }
    buf_release(&b);
}

static void test_S04_newer_version_is_named(void **state)
{
    struct buf b = encoded(1, 1);
    struct state_slot s;
    struct err e;

    (void)state;
    b.p[8] = 2;
    assert_int_equal(state_decode(buf_str(&b), &s, &e), -1);
    assert_int_equal(e.code, EPROTONOSUPPORT);
    assert_non_null(strstr(e.text, "version 2"));
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(test_S03_cut_at_every_length),
        cmocka_unit_test(test_S03_every_byte_flipped),
        cmocka_unit_test(test_S04_newer_version_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
