/* What can be trusted of a compressed file: damage of each kind, at each place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "streams/packed.h"

#define LINES 120

struct world {
    struct buf text; /* whole lines */
    struct buf gz;
    int fd;
};

static void compress_into(struct buf *out, const char *p, size_t n)
{
    z_stream z = {.next_in = (unsigned char *)p, .avail_in = (unsigned)n};
    size_t most = n + n / 10 + 100;

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(buf_reserve(out, most), 0);
    z.next_out = (unsigned char *)out->p + out->len;
    z.avail_out = (unsigned)most;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += z.total_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
}

static int setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));
    char path[] = "/tmp/packed_test.XXXXXX";
    uint32_t x = 7;

    buf_init(&w->text, 1 << 22);
    buf_init(&w->gz, 1 << 22);
    for (unsigned i = 0; i < LINES; i++) {
        assert_int_equal(buf_addf(&w->text, "2026-11-20T10:15:%02u.%09uZ stdout F line %u", i % 60,
                                  x % 1000000000, i),
                         0);
        for (unsigned k = 0; k < i % 5; k++, x = x * 1664525 + 1013904223)
            assert_int_equal(buf_addf(&w->text, " %x", x), 0);
        assert_int_equal(buf_add_ch(&w->text, '\n'), 0);
    }
    compress_into(&w->gz, w->text.p, w->text.len);
    w->fd = mkstemp(path);
    assert_true(w->fd >= 0 && unlink(path) == 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    (void)close(w->fd);
    buf_release(&w->text);
    buf_release(&w->gz);
    free(w);
    return 0;
}

static void write_file(const struct world *w, const char *p, size_t n)
{
    assert_int_equal(ftruncate(w->fd, 0), 0);
    assert_int_equal(pwrite(w->fd, p, n, 0), (ssize_t)n);
}

/* Checks the file in steps of <most>, and that what can be trusted is how the text begins. */
static enum packed_state look(struct world *w, size_t most, struct packed_facts *facts)
{
    struct packed *p = packed_open(w->fd);
    enum packed_state state;
    char *got = xmalloc(w->text.len * 3 + 1);
    unsigned steps = 0;

    while ((state = packed_check(p, most, facts)) == PACKED_UNKNOWN) {
        assert_int_equal(errno, 0);
        assert_true(steps++ < 100000);
    }
    assert_true(facts->readable <= facts->size);
    assert_int_equal(packed_read(p, got, facts->readable, 0), facts->readable);
    assert_true(facts->readable <= w->text.len);
    assert_memory_equal(got, w->text.p, facts->readable);
    if (state != PACKED_WHOLE)
        assert_true(!facts->readable || got[facts->readable - 1] == '\n');
    free(got);
    packed_close(p);
    return state;
}

static void test_L06_whole(void **state)
{
    struct world *w = *state;
    struct packed_facts f;

    write_file(w, w->gz.p, w->gz.len);
    for (size_t most = 1; most < 200000; most *= 7) {
        assert_int_equal(look(w, most, &f), PACKED_WHOLE);
        assert_int_equal(f.readable, w->text.len);
        assert_int_equal(f.size, w->text.len);
        assert_false(f.trailing);
    }
    assert_int_equal(packed_guess_size(w->fd, w->gz.len), w->text.len);
}

static void test_L06_read_anywhere(void **state)
{
    struct world *w = *state;
    struct packed *p;
    char got[700];

    write_file(w, w->gz.p, w->gz.len);
    p = packed_open(w->fd);
    for (size_t off = 0; off < w->text.len + 900; off = (off * 7919 + 13) % (w->text.len + 1000)) {
        size_t left = off < w->text.len ? w->text.len - off : 0;
        size_t n = left < sizeof(got) ? left : sizeof(got);

        assert_int_equal(packed_read(p, got, sizeof(got), off), n);
        if (n)
            assert_memory_equal(got, w->text.p + off, n);
    }
    packed_close(p);
}

/* The good lines before it come; those that were written are not more than is said to be lost. */
static void test_L06_cut_off_anywhere(void **state)
{
    struct world *w = *state;
    struct packed_facts f;
    unsigned damaged = 0;
    size_t readable = 0;

    for (size_t n = 0; n < w->gz.len; n++) {
        write_file(w, w->gz.p, n);
        if (look(w, 4096, &f) == PACKED_DAMAGED) { /* bytes that happen to be like a length */
            assert_true(damaged++ < 3);
            continue;
        }
        assert_true(f.readable >= readable && f.size <= w->text.len);
        readable = f.readable;
    }
    assert_int_equal(readable, w->text.len);
}

static void test_L06_nuls_from_anywhere(void **state)
{
    struct world *w = *state;
    char *copy = xmalloc(w->gz.len + 20000);
    struct packed_facts f;
    size_t most = 0;

    for (size_t n = 0; n < w->gz.len - 8; n++) {
        memcpy(copy, w->gz.p, w->gz.len);
        memset(copy + n, 0, w->gz.len + 20000 - n);
        write_file(w, copy, n % 2 ? w->gz.len : w->gz.len + 20000);
        assert_int_equal(look(w, 4096, &f), PACKED_TORN);
        most = f.readable > most ? f.readable : most;
    }
    assert_true(most > w->text.len - 200);
    free(copy);
}

static void test_L06_a_bit_anywhere(void **state)
{
    struct world *w = *state;
    struct packed_facts f;

    for (size_t n = 0; n < w->gz.len; n++) {
        w->gz.p[n] ^= (char)(1 << n % 8);
        write_file(w, w->gz.p, w->gz.len);
        switch (look(w, 4096, &f)) {
        case PACKED_WHOLE:
            assert_int_equal(f.readable, w->text.len); /* nobody looks at that bit */
            break;
        case PACKED_DAMAGED:
            assert_true(f.readable == 0 && f.size > 0);
            break;
        default:
            fail();
        }
        w->gz.p[n] ^= (char)(1 << n % 8);
    }
}

static void test_L06_several_members(void **state)
{
    struct world *w = *state;
    size_t half = w->text.len / 2, first;
    struct packed_facts f;

    buf_clear(&w->gz);
    compress_into(&w->gz, w->text.p, half); /* ends within a line */
    compress_into(&w->gz, "", 0);
    first = w->gz.len;
    compress_into(&w->gz, w->text.p + half, w->text.len - half);
    write_file(w, w->gz.p, w->gz.len);
    assert_int_equal(look(w, 1000, &f), PACKED_WHOLE);
    assert_int_equal(f.readable, w->text.len);
    for (size_t n = first + 1; n < w->gz.len; n += 3) {
        if (n >= first + 3 && n < first + 10)
            continue;
        w->gz.p[n] ^= 0x10;
        write_file(w, w->gz.p, w->gz.len);
        if (look(w, 4096, &f) == PACKED_DAMAGED)
            assert_true(f.readable > half - 200 && f.readable <= half);
        else
            fail();
        w->gz.p[n] ^= 0x10;
        write_file(w, w->gz.p, n);
        (void)look(w, 4096, &f);
        assert_true(f.readable > half - 200);
    }
}

static void test_L06_something_behind_it(void **state)
{
    struct world *w = *state;
    struct packed_facts f;
    char nuls[3000] = {0};

    assert_int_equal(buf_add(&w->gz, nuls, sizeof(nuls)), 0);
    write_file(w, w->gz.p, w->gz.len);
    assert_int_equal(look(w, 1000, &f), PACKED_WHOLE);
    assert_int_equal(f.readable, w->text.len);
    assert_false(f.trailing);
    w->gz.len -= sizeof(nuls);
    assert_int_equal(buf_addf(&w->gz, "what is that"), 0);
    write_file(w, w->gz.p, w->gz.len);
    assert_int_equal(look(w, 1000, &f), PACKED_WHOLE);
    assert_int_equal(f.readable, w->text.len);
    assert_true(f.trailing);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_L06_whole),
        CASE(test_L06_read_anywhere),
        CASE(test_L06_cut_off_anywhere),
        CASE(test_L06_nuls_from_anywhere),
        CASE(test_L06_a_bit_anywhere),
        CASE(test_L06_several_members),
        CASE(test_L06_something_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
