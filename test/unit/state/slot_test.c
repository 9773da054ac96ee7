/* The state's slots: what is written is read back; every torn or flipped slot is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/mem.h"
#include "state/slot.h"

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
        .away_ms = 1234567890123,
        .at_end = n & 1,
        .old = !(n & 1),
        .since_s = -7,
        .since_end = n << 50,
        .behind = n << 30,
    };
}

static struct state_stream stream(uint64_t n)
{
    return (struct state_stream){.stream = n * 5,
                                 .begin = n % 2 ? STATE_BEGIN_LATER : STATE_BEGIN_AT,
                                 .id = {.dev = 7, .ino = n << 33, .btime_ns = -9},
                                 .off = n * 11,
                                 .away_ms = n};
}

static struct state_file file(uint64_t n)
{
    return (struct state_file){
        .stream = n * 3,
        .list = (uint32_t)n * 7,
        .no = (uint32_t)n,
        .id = {.dev = 7, .ino = n << 33, .btime_ns = -9, .prefix_len = 256, .prefix_hash = ~n},
        .size = n << 35};
}

/* <n> records and as many streams and files, and names. */
static struct buf encoded(uint32_t n, uint64_t generation)
{
    struct buf out = BUF_INIT(1024 * 1024);
    struct state_stream streams[8];
    struct state_file files[8];
    struct state_slot s = {.generation = generation,
                           .written_ns = 42,
                           .key_check = 43,
                           .len = n,
                           .streams = streams,
                           .nstreams = n,
                           .files = files,
                           .nfiles = n,
                           .names = STR("some names")};

    assert_true(n <= ARRAY_LEN(streams));
    for (uint32_t i = 0; i < n; i++)
        streams[i] = stream(i + 1);
    for (uint32_t i = 0; i < n; i++)
        files[i] = file(i + 1);
    s.records = xcalloc(n + 1, sizeof(*s.records));
    for (uint32_t i = 0; i < n; i++)
        s.records[i] = record(i + 1);
    assert_int_equal(state_slot_encode(&out, &s), 0);
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
        assert_int_equal(state_slot_decode(buf_str(&b), &s, &e), 0);
        assert_int_equal(s.generation, 9);
        assert_int_equal(s.version, STATE_VERSION);
        assert_int_equal(s.written_ns, 42);
        assert_int_equal(s.key_check, 43);
        assert_int_equal(s.len, n);
        assert_int_equal(s.nstreams, n);
        assert_int_equal(s.nfiles, n);
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
            assert_int_equal(s.records[i].away_ms, want.away_ms);
            assert_int_equal(s.records[i].at_end, want.at_end);
            assert_int_equal(s.records[i].old, want.old);
            assert_int_equal(s.records[i].since_s, want.since_s);
            assert_int_equal(s.records[i].since_end, want.since_end);
            assert_int_equal(s.records[i].behind, want.behind);
        }
        for (uint32_t i = 0; i < n; i++) {
            struct state_stream want = stream(i + 1), have = s.streams[i];
            assert_int_equal(have.stream, want.stream);
            assert_int_equal(have.begin, want.begin);
            assert_memory_equal(&have.id, &want.id, sizeof(want.id));
            assert_int_equal(have.off, want.off);
            assert_int_equal(have.away_ms, want.away_ms);
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
        assert_int_equal(state_slot_decode(str_make(copy, n), &s, &e), -1);
        assert_int_equal(e.code, EBADMSG);
        free(copy);
    }
    buf_release(&b);
}

static void test_S03_every_bit_flipped(void **state)
{
    struct buf b = encoded(2, 1);

    (void)state;
    for (size_t i = 0; i < b.len * 8; i++) {
        struct state_slot s;
        struct err e = {0};

        b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
        assert_int_equal(state_slot_decode(buf_str(&b), &s, &e), -1);
        assert_int_equal(e.code, EBADMSG); /* not a newer version, whatever the bit is */
        b.p[i / 8] = (char)(b.p[i / 8] ^ 1 << i % 8);
    }
    buf_release(&b);
}

static void put_sum(struct buf *b, size_t at, uint32_t sum)
{
    for (unsigned i = 0; i < 4; i++)
        b->p[at + i] = (char)(sum >> (8 * i));
}

static uint32_t sum_of(const char *p, size_t n)
{
    return (uint32_t)crc32(0, (const Bytef *)p, (uInt)n);
}

static void test_S04_newer_version_is_named(void **state)
{
    struct buf b = encoded(1, 1);
    struct state_slot s;
    struct err e;

    (void)state;
    b.p[8] = STATE_VERSION + 1;
    put_sum(&b, STATE_HEADER_SIZE - 4, sum_of(b.p, STATE_HEADER_SIZE - 4));
    assert_int_equal(state_slot_decode(buf_str(&b), &s, &e), -1);
    assert_int_equal(e.code, EPROTONOSUPPORT);
    assert_non_null(strstr(e.text, "version 3"));
    buf_release(&b);
}

/* A slot as version 1 wrote it. */
static void version_1_is_read(void **state)
{
    struct buf b = encoded(2, 9), old = BUF_INIT(64 * 1024);
    struct state_slot s;
    struct err e;
    uint32_t sum;

    (void)state;
    assert_int_equal(buf_add(&old, b.p, STATE_HEADER_SIZE + 2 * STATE_RECORD_SIZE), 0);
    old.p[8] = 1;
    memset(old.p + 36, 0, STATE_HEADER_SIZE - 36);
    sum = (uint32_t)crc32(sum_of(old.p, 36), (const Bytef *)old.p + STATE_HEADER_SIZE,
                          2 * STATE_RECORD_SIZE);
    put_sum(&old, 36, sum);
    assert_int_equal(state_slot_decode(buf_str(&old), &s, &e), 0);
    assert_int_equal(s.version, 1);
    assert_int_equal(s.generation, 9);
    assert_int_equal(s.len, 2);
    assert_int_equal(s.nstreams, 0);
    assert_int_equal(s.records[1].off, record(2).off);
    assert_int_equal(s.records[1].away_ms, 0); /* it contained a wall time */
    free(s.records);
    old.p[36]++;
    assert_int_equal(state_slot_decode(buf_str(&old), &s, &e), -1);
    assert_int_equal(e.code, EBADMSG);
    buf_release(&old);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(test_S03_cut_at_every_length),
        cmocka_unit_test(test_S03_every_bit_flipped),
        cmocka_unit_test(test_S04_newer_version_is_named),
        cmocka_unit_test(version_1_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
