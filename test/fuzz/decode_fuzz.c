/*
 * The line decoders. The first byte is the hint, the rest the line. Invariants: views are inside
 * the line or the scratch buffer, a time is valid, a CRI message is the end of the line, and the
 * hint only decides which decoder is tried first.
 */
#include "fuzz.h"
#include "streams/decode.h"

static bool inside(struct str view, struct str all)
{
    return view.p >= all.p && view.p + view.len <= all.p + all.len;
}

static void check_record(enum codec codec, struct str line, const struct record *r,
                         const struct buf *scratch)
{
    FUZZ_CHECK(r->fd == RECORD_STDOUT || r->fd == RECORD_STDERR);
    FUZZ_CHECK(inside(r->time, line));
    FUZZ_CHECK(r->time.len == 0 || decode_time_valid(r->time));
    FUZZ_CHECK(inside(r->msg, line) || inside(r->msg, buf_str(scratch)));
    FUZZ_CHECK(r->msg.len <= line.len);
    if (codec == CODEC_UNKNOWN) {
        FUZZ_CHECK(r->flags == RECORD_RAW && r->time.len == 0);
        FUZZ_CHECK(r->msg.p == line.p && r->msg.len == line.len);
    } else {
        FUZZ_CHECK(r->flags == 0 || r->flags == RECORD_PARTIAL);
    }
    if (codec == CODEC_CRI) {
        FUZZ_CHECK(r->time.p == line.p && r->time.len >= 20);
        FUZZ_CHECK(r->msg.p + r->msg.len == line.p + line.len);
        FUZZ_CHECK(r->msg.p >= r->time.p + r->time.len + 9 &&
                   (r->msg.p[-1] == ' ' || r->msg.len == 0));
    }
}

static bool same(const struct record *a, const struct record *b)
{
    return str_eq(a->time, b->time) && str_eq(a->msg, b->msg) && a->fd == b->fd &&
           a->flags == b->flags;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf scratch = BUF_INIT(1 << 20), other_scratch = BUF_INIT(1 << 20);
    enum codec hint, codec, other;
    struct record r = {0}, s = {0};
    struct str line;

    if (size == 0)
        return 0;
    hint = data[0] % 3;
    line = str_make((const char *)data + 1, size - 1);
    codec = decode_line(hint, line, &r, &scratch);
    check_record(codec, line, &r, &scratch);

    other = decode_line((hint + 1) % 3, line, &s, &other_scratch);
    check_record(other, line, &s, &other_scratch);
    FUZZ_CHECK(codec == other && same(&r, &s));

    FUZZ_CHECK(decode_cri(line, &s) == (codec == CODEC_CRI));
    FUZZ_CHECK(decode_docker(line, &s, &other_scratch) == (codec == CODEC_DOCKER));
    (void)decode_time_valid(line); /* for its reads */
    buf_release(&scratch);
    buf_release(&other_scratch);
    return 0;
}
