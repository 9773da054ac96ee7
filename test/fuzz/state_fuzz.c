/*
 * Any bytes as a slot of the state. Invariants:
 *
 *   - refused with a reason, or accepted; never read beyond its end;
 *   - an accepted slot that is written again is the same set of records.
 *
 * Damage never passes the checksum, so most inputs would end there: a second run adds the right
 * checksums to the same bytes, as somebody who forges a slot would.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz.h"
#include "state/slot.h"

#define TEXT_MAX (16 * 1024 * 1024)

static void check_same(const struct state_slot *a, const struct state_slot *b)
{
    FUZZ_CHECK(a->generation == b->generation && a->written_ns == b->written_ns &&
               a->len == b->len && a->nstreams == b->nstreams && a->nfiles == b->nfiles);
    for (uint32_t i = 0; i < a->len; i++) {
        const struct state_record *x = &a->records[i], *y = &b->records[i];

        FUZZ_CHECK(x->stream == y->stream && x->drain == y->drain && x->off == y->off);
        FUZZ_CHECK(x->id.ino == y->id.ino && x->id.prefix_hash == y->id.prefix_hash);
        FUZZ_CHECK(x->skip_line == y->skip_line && x->away_ms == y->away_ms);
        FUZZ_CHECK(x->at_end == y->at_end && x->old == y->old && x->since_s == y->since_s &&
                   x->since_end == y->since_end);
        FUZZ_CHECK(x->part[1].off == y->part[1].off && x->part[1].skipping == y->part[1].skipping);
    }
    for (uint32_t i = 0; i < a->nstreams; i++) {
        const struct state_stream *x = &a->streams[i], *y = &b->streams[i];

        FUZZ_CHECK(x->stream == y->stream && x->begin == y->begin && x->off == y->off);
        FUZZ_CHECK(x->id.ino == y->id.ino && x->away_ms == y->away_ms);
    }
    for (uint32_t i = 0; i < a->nfiles; i++) {
        const struct state_file *x = &a->files[i], *y = &b->files[i];

        FUZZ_CHECK(x->stream == y->stream && x->list == y->list && x->no == y->no);
        FUZZ_CHECK(x->id.prefix_hash == y->id.prefix_hash && x->size == y->size);
    }
}

static void decode(struct str data)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    struct state_slot s, again;
    struct err e = {0};

    if (state_slot_decode(data, &s, &e) < 0) {
        FUZZ_CHECK(e.code == EBADMSG || e.code == EPROTONOSUPPORT);
        return;
    }
    FUZZ_CHECK((uint64_t)s.len * STATE_RECORD_SIZE +
                   ((uint64_t)s.nstreams + s.nfiles) * STATE_STREAM_SIZE + STATE_HEADER_SIZE <=
               data.len);
    FUZZ_CHECK(state_slot_encode(&out, &s) == 0);
    FUZZ_CHECK(state_slot_decode(buf_str(&out), &again, &e) == 0);
    check_same(&s, &again);
    free(again.records);
    free(s.records);
    buf_release(&out);
}

static void put32(char *p, uint64_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (char)(v >> (8 * i) & 0xff);
}

static uLong sum_of(uLong from, const char *p, size_t n)
{
    return crc32(from, (const Bytef *)p, (uInt)n);
}

/* The number of records is limited to the available ones, then the checksums are corrected, as each
 * version has them. */
static void decode_forged(const uint8_t *data, size_t size, int version)
{
    char *copy = xmalloc(size), *body = copy + STATE_HEADER_SIZE;
    uint64_t room = size - STATE_HEADER_SIZE, len = room / STATE_RECORD_SIZE;
    uint64_t nstreams = version == 1 ? 0 : room % STATE_RECORD_SIZE / STATE_STREAM_SIZE;
    size_t bytes = (size_t)(len * STATE_RECORD_SIZE + nstreams * STATE_STREAM_SIZE);

    memcpy(copy, data, size);
    put32(copy + 8, (uint64_t)version);
    put32(copy + 32, len);
    if (version == 1) {
        put32(copy + 36, sum_of(sum_of(0, copy, 36), body, bytes));
    } else {
        put32(copy + 36, nstreams);
        put32(copy + 48, room - bytes);
        put32(copy + 52, sum_of(0, body, bytes));
        put32(copy + 56, sum_of(0, body + bytes, (size_t)room - bytes));
        put32(copy + 60, sum_of(0, copy, 60));
    }
    decode(str_make(copy, size));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(str_make((const char *)data, size));
    if (size >= STATE_HEADER_SIZE && size < TEXT_MAX)
        for (int version = 1; version <= STATE_VERSION + 1; version++)
            decode_forged(data, size, version);
    return 0;
}
