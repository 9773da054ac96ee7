/*
 * Any bytes as a slot of the state. What must hold:
 *
 *  - refused with a reason, or taken; never read beyond its end;
 *  - what was taken and is written again is the same set of records.
 *
 * Damage never passes the checksum, so most inputs would end there: a second run gives the same
 * bytes their right checksum, as somebody who makes a slot up would.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "fuzz.h"
#include "streams/state.h"

#define CHECKSUM_AT 36
#define TEXT_MAX (16 * 1024 * 1024)

static void check_same(const struct state_slot *a, const struct state_slot *b)
{
    FUZZ_CHECK(a->generation == b->generation && a->written_ns == b->written_ns &&
               a->len == b->len);
    for (uint32_t i = 0; i < a->len; i++) {
        const struct state_record *x = &a->records[i], *y = &b->records[i];

        FUZZ_CHECK(x->stream == y->stream && x->drain == y->drain && x->off == y->off);
        FUZZ_CHECK(x->id.ino == y->id.ino && x->id.prefix_hash == y->id.prefix_hash);
        FUZZ_CHECK(x->skip_line == y->skip_line && x->seen_ns == y->seen_ns);
        FUZZ_CHECK(x->part[1].off == y->part[1].off && x->part[1].skipping == y->part[1].skipping);
    }
}

static void decode(struct str data)
{
    struct buf out = BUF_INIT(TEXT_MAX);
    struct state_slot s, again;
    struct err e = {0};

    if (state_decode(data, &s, &e) < 0) {
        FUZZ_CHECK(e.code == EBADMSG || e.code == EPROTONOSUPPORT);
        return;
    }
    FUZZ_CHECK((uint64_t)s.len * STATE_RECORD_SIZE + STATE_HEADER_SIZE <= data.len);
    FUZZ_CHECK(state_encode(&out, &s) == 0);
    FUZZ_CHECK(state_decode(buf_str(&out), &again, &e) == 0);
    check_same(&s, &again);
    free(again.records);
    free(s.records);
    buf_release(&out);
}

/* The number of records is cut to what is there, then the checksum made to fit. */
static void decode_forged(const uint8_t *data, size_t size)
{
    char *copy = xmalloc(size);
    uint64_t len = (size - STATE_HEADER_SIZE) / STATE_RECORD_SIZE;
    uLong sum;

    memcpy(copy, data, size);
    for (unsigned i = 0; i < 4; i++)
        copy[32 + i] = (char)(len >> (8 * i) & 0xff);
    sum = crc32(0, (const Bytef *)copy, CHECKSUM_AT);
    sum = crc32(sum, (const Bytef *)copy + STATE_HEADER_SIZE, (uInt)(len * STATE_RECORD_SIZE));
    for (unsigned i = 0; i < 4; i++)
        copy[CHECKSUM_AT + i] = (char)(sum >> (8 * i) & 0xff);
    decode(str_make(copy, size));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(str_make((const char *)data, size));
    if (size >= STATE_HEADER_SIZE && size < TEXT_MAX)
        decode_forged(data, size);
    return 0;
}
