/*
 * The bodies of /events, and heads and chunks of requests: no crash, and the same result whole and
 * in pieces. The first byte selects which, the second gives the length of the pieces.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "fuzz.h"
#include "inputs/packets.h"
#include "inputs/syslog_parse.h"
#include "net/http_request.h"

static void packets(struct str in, size_t piece, struct buf *out)
{
    const struct syslog_peer peer = {STR("192.0.2.1"), STR("[input@32473 peer=\"192.0.2.1\"]"),
                                     false};
    struct received h;
    struct packets p;
    struct err e = {.code = 0};
    const struct journal_entry *entries;
    int rc = 0;

    received_init(&h, 65536, 50);
    packets_init(&p, &h, 64, &peer);
    for (size_t at = 0; at < in.len && rc == 0; at += piece)
        rc = packets_feed(&p, str_head(str_skip(in, at), piece), &e);
    if (rc == 0)
        packets_end(&p);
    (void)buf_addf(out, "%d %s %zu %s|", rc, e.text, p.bad, p.err.text);
    entries = received_entries(&h, STR("192.0.2.1"), STR("-"));
    for (size_t i = 0; i < h.n; i++) {
        (void)buf_add_str(out, entries[i].hostname);
        (void)buf_add_str(out, entries[i].syslog.sd);
        (void)buf_add_str(out, entries[i].msg);
    }
    packets_release(&p);
    received_release(&h);
}

static void chunks(struct str in, size_t piece, struct buf *out)
{
    struct http_chunks c;
    enum http_chunk rc = HTTP_CHUNK_MORE;

    http_chunks_init(&c);
    for (size_t at = 0; at < in.len && rc != HTTP_CHUNK_BAD && rc != HTTP_CHUNK_END; at += piece) {
        struct str part = str_head(str_skip(in, at), piece), data;
        size_t used;

        do {
            rc = http_chunks_next(&c, part, &data, &used);
            FUZZ_CHECK(used <= part.len);
            if (rc == HTTP_CHUNK_DATA)
                (void)buf_add_str(out, data);
            part = str_skip(part, used);
        } while (rc == HTTP_CHUNK_DATA);
    }
    (void)buf_addf(out, "|%d", (int)rc);
}

static void head(struct str in, size_t piece)
{
    struct http_incoming q;
    const char *why = "";
    ptrdiff_t whole = http_request_head(in, 0), len = 0;
    size_t before = 0;

    for (size_t at = piece; !len && before < in.len; at += piece) {
        len = http_request_head(str_head(in, at), before);
        before = at < in.len ? at : in.len;
    }
    FUZZ_CHECK(len == whole);
    if (whole > 0 && http_request_parse(&q, str_head(in, (size_t)whole), &why) == 0) {
        FUZZ_CHECK(memcmp(in.p + whole - 4, "\r\n\r\n", 4) == 0);
        FUZZ_CHECK(!(q.chunked && q.has_length));
        FUZZ_CHECK(q.path.len > 0 && q.headers <= HTTP_REQUEST_HEADERS_MAX);
        FUZZ_CHECK(str_find(q.path, '\r') < 0 && str_find(q.authorization, '\n') < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct buf a = BUF_INIT(1 << 22), b = BUF_INIT(1 << 22);
    size_t piece;

    if (size < 2)
        return 0;
    piece = 1 + data[1] % 32;
    in = str_skip(in, 2);
    switch (data[0] % 3) {
    case 0:
        packets(in, size, &a);
        packets(in, piece, &b);
        break;
    case 1:
        chunks(in, size, &a);
        chunks(in, piece, &b);
        break;
    default:
        head(in, piece);
    }
    FUZZ_CHECK(str_eq(buf_str(&a), buf_str(&b)));
    buf_release(&a);
    buf_release(&b);
    return 0;
}
