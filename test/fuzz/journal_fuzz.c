/*
 * The reader of journals with arbitrary bytes: it reads nothing outside them, a length never leads
 * backwards or beyond the end, and valid records read back.
 */
#include "fuzz.h"
#include "streams/journal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    size_t records, good = journal_valid_len(in, 4096, &records), at = 0, len;
    struct record_syslog s;
    struct record r;

    FUZZ_CHECK(good <= size);
    for (size_t i = 0; i < records; i++) {
        enum journal_got got = journal_record_get(str_skip(in, at), 4096, true, &r, &s, &len);

        FUZZ_CHECK(got == JOURNAL_GOT || got == JOURNAL_GOT_HEAD);
        at += len;
    }
    FUZZ_CHECK(at == good);
    for (at = 0; at < size; at++) { /* without the checksum, at any place */
        enum journal_got got = journal_record_get(str_skip(in, at), 4096, false, &r, &s, &len);

        if (got != JOURNAL_GOT)
            continue;
        FUZZ_CHECK(len >= JOURNAL_HEADER && len <= size - at);
        FUZZ_CHECK(r.msg.len == 0 || (r.msg.p >= in.p && r.msg.p + r.msg.len == in.p + at + len));
    }
    return 0;
}
