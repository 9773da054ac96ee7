/*
 * The framer, fed in random pieces: what comes out does not depend on the pieces, no more is ever
 * kept than a frame may be long, and it always gets on. Each frame then goes through the parser.
 *
 * Input: a byte for the greatest length, one for the sizes of pieces, then the bytes.
 */
#include "fuzz.h"
#include "inputs/syslog_frame.h"
#include "inputs/syslog_parse.h"

#define TEXT_MAX (1 << 22)

static void check_view(struct str part, struct str whole)
{
    FUZZ_CHECK(part.len == 0 || (part.p >= whole.p && part.p + part.len <= whole.p + whole.len));
}

/* What comes out, as text; <sizes> seeds the lengths of the pieces, 0 = all at once. */
static void run(struct str in, size_t max, unsigned sizes, struct buf *out)
{
    struct buf rest = BUF_INIT(TEXT_MAX);
    struct syslog_framer f;
    struct str msg;
    bool cut, torn, bad = false;
    size_t used, piece;

    syslog_framer_init(&f, max);
    for (size_t at = 0; at < in.len && !bad; at += piece) {
        enum syslog_frame got;

        if (sizes)
            sizes = (sizes * 1103515245 + 12345) | 1;
        piece = sizes ? 1 + (sizes >> 16) % 37 : in.len;
        (void)buf_add_str(&rest, str_head(str_skip(in, at), piece));
        do {
            got = syslog_frame_next(&f, buf_str(&rest), &msg, &cut, &used);
            FUZZ_CHECK(used <= rest.len);
            bad = got == SYSLOG_FRAME_BAD;
            if (got == SYSLOG_FRAME) {
                check_view(msg, buf_str(&rest));
                FUZZ_CHECK(msg.len <= max && used > 0);
                (void)buf_add_str(out, msg);
                (void)buf_add(out, cut ? "\1" : "\2", 1);
            }
            buf_consume(&rest, used);
        } while (got == SYSLOG_FRAME);
        FUZZ_CHECK(bad || rest.len <= max + SYSLOG_COUNT_DIGITS + 1 || rest.len <= 64);
    }
    if (bad)
        (void)buf_add(out, "\3", 1);
    else if (syslog_frame_last(&f, buf_str(&rest), &msg, &torn))
        (void)buf_add_str(out, msg);
    buf_release(&rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole = BUF_INIT(TEXT_MAX), pieces = BUF_INIT(TEXT_MAX);
    struct str in;
    size_t max;

    if (size < 2 || size > 65536)
        return 0;
    max = 1 + data[0] % 64;
    in = str_make((const char *)data + 2, size - 2);
    run(in, max, 0, &whole);
    run(in, max, 1 + data[1], &pieces);
    FUZZ_CHECK(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
