/*
 * Heads and bodies as bytes. Each row is parsed at once and byte by byte, as the server does it,
 * with the same result: how many requests were accepted, and whether the rest was refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/http_request.h"

#define BYTES(text) text, sizeof(text) - 1
#define GET "GET /a HTTP/1.1\r\nHost: x\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: x\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SECOND "POST /b HTTP/1.1\r\nHost: x\r\n\r\n"

enum end { OPEN = 1, REFUSED };

struct reading {
    const char *in;
    size_t have, at, looked;
    struct http_chunks chunks;
    uint64_t left;
    bool chunked, body;
    unsigned taken;
};

/* False: more is needed. */
static bool read_head(struct reading *r, enum end *end)
{
    struct http_incoming q;
    const char *why = "";
    struct str in = str_make(r->in + r->at, r->have - r->at);
    ptrdiff_t len = http_request_head(in, r->looked);

    r->looked = len ? 0 : in.len;
    if (!len)
        return false;
    if (len < 0 || http_request_parse(&q, str_head(in, (size_t)len), &why)) {
        *end = REFUSED;
        return false;
    }
    r->at += (size_t)len;
    r->body = true;
    r->chunked = q.chunked;
    r->left = q.length;
    http_chunks_init(&r->chunks);
    return true;
}

static bool read_body(struct reading *r, enum end *end)
{
    struct str in = str_make(r->in + r->at, r->have - r->at), data;
    size_t used = r->left < in.len ? (size_t)r->left : in.len;
    enum http_chunk got = HTTP_CHUNK_MORE;

    if (r->chunked)
        got = http_chunks_next(&r->chunks, in, &data, &used);
    else if ((r->left -= used) == 0)
        got = HTTP_CHUNK_END;
    r->at += used;
    if (got == HTTP_CHUNK_BAD)
        *end = REFUSED;
    if (got == HTTP_CHUNK_END) {
        r->body = false;
        r->taken++;
    }
    return got == HTTP_CHUNK_END || got == HTTP_CHUNK_DATA;
}

static enum end read_all(const char *in, size_t n, size_t step, unsigned *taken)
{
    struct reading r = {.in = in};
    enum end end = OPEN;

    while (r.have < n && end == OPEN) {
        r.have = r.have + step < n ? r.have + step : n;
        while (end == OPEN && (r.body ? read_body(&r, &end) : read_head(&r, &end)))
            continue;
    }
    *taken = r.taken;
    return end;
}

struct row {
    const char *in;
    size_t n;
    unsigned taken;
    enum end end;
};

static void run(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t step = 1; step <= rows[i].n; step += step < 8 ? 1 : rows[i].n) {
            unsigned taken;
            enum end end = read_all(rows[i].in, rows[i].n, step, &taken);

            if (taken != rows[i].taken || end != rows[i].end)
                fail_msg("row %zu, %zu bytes at a time: %u requests, %s: %s", i, step, taken,
                         end == REFUSED ? "refused" : "open", rows[i].in);
        }
}

/* What one program may take for the end of a head and another not. */
static void T10_only_crlf_ends_a_line_of_a_head(void **state)
{
    static const struct row rows[] = {
        {BYTES(GET "\r\n"), 1, OPEN},
        {BYTES(GET "\r\n" SECOND), 2, OPEN},
        {BYTES(GET "\n" SECOND), 0, REFUSED}, /* \r\n\n */
        {BYTES(GET "A: b\n\r\n" SECOND), 0, REFUSED},
        {BYTES(GET "A: b\n\n" SECOND), 0, REFUSED},
        {BYTES(GET "A: b\nC: d\r\n\r\n"), 0, REFUSED},
        {BYTES("GET /a HTTP/1.1\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("GET /a HTTP/1.1\nHost: x\n\n" SECOND), 0, REFUSED},
        {BYTES("GET /a HTTP/1.0\n\n"), 0, REFUSED},
        {BYTES("GET /a HTTP/1.0\r\n\n"), 0, REFUSED},
        {BYTES("\nGET /a HTTP/1.0\r\n\r\n"), 0, REFUSED},
        {BYTES("\r\nGET /a HTTP/1.0\r\n\r\n"), 0, REFUSED}, /* the server passes over one itself */
        {BYTES("\r\n\r\nGET /a HTTP/1.0\r\n\r\n"), 0, REFUSED},
        {BYTES("\n"), 0, REFUSED},
        {BYTES(GET "\r\r\n" SECOND), 0, REFUSED}, /* CR CR LF */
        {BYTES(GET "A: b\r\r\n\r\n"), 0, REFUSED},
        {BYTES(GET "A: b\r\n\r" SECOND), 0, REFUSED},
        {BYTES(GET "A: b\r\rC: d\r\n\r\n"), 0, REFUSED}, /* bare CR */
        {BYTES(GET "A: b\rContent-Length: 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES("GET /a HTTP/1.1\rHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("GET /a\r HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("\rGET /a HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES(GET "A: b\r\n \r\n" SECOND), 0, REFUSED}, /* an empty line that is none */
        {BYTES(GET "\t\r\n" SECOND), 0, REFUSED},
        {BYTES(GET "A: b\v\r\n\r\n"), 0, REFUSED},
        {BYTES(GET "A: b\f\r\n\r\n"), 0, REFUSED},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
}

static void T10_a_header_is_a_name_a_colon_and_a_value(void **state)
{
    static const struct row rows[] = {
        {BYTES(POST "Content-Length: 3\r\n\r\nabc" SECOND), 2, OPEN},
        {BYTES(POST "content-LENGTH:\t 3 \t\r\n\r\nabc"), 1, OPEN},
        {BYTES(POST "Content-Length : 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length\t: 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST " Content-Length: 3\r\n\r\nabc"), 0, REFUSED}, /* folded */
        {BYTES(POST "A: b\r\n Content-Length: 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "A: b\r\n\tc\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Content-Length:\r\n 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3\r\n 0\r\n\r\nabc"), 0, REFUSED},
        {BYTES("POST /a HTTP/1.1\r\n Host: x\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "A\r\n\r\n"), 0, REFUSED},
        {BYTES(POST ":\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "A\0: b\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "A: b\0c\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3\0\r\n\r\nabc"), 0, REFUSED},
        {BYTES("POST /a\0b HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("PO\0ST /a HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("\0POST /a HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Content\xc2\xa0-Length: 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "\"Content-Length\": 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES("POST  /a HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("POST\t/a HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("POST /a HTTP/1.1 \r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("POST /a HTTP/1.1x\r\nHost: x\r\n\r\n"), 0, REFUSED},
        {BYTES("POST /a\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Host: y\r\n\r\n"), 0, REFUSED},
        {BYTES("POST /a HTTP/1.1\r\nA: b\r\n\r\n"), 0, REFUSED},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
}

/* RFC 9112 §3.2: a request with an invalid Host is answered 400. */
static void T10_the_host_is_valid(void **state)
{
#define HOST(value) BYTES("GET /a HTTP/1.1\r\nHost:" value "\r\n\r\n")
#define TARGET(value) BYTES("GET " value " HTTP/1.1\r\nHost: x\r\n\r\n")
    static const struct row rows[] = {
        {HOST(" a"), 1, OPEN},
        {HOST(" a.b-c_d~e:9000"), 1, OPEN},
        {HOST("A:"), 1, OPEN},
        {HOST(" a:65535 \t"), 1, OPEN},
        {HOST(" 10.1.2.3:80"), 1, OPEN},
        {HOST(" [fd00::1]"), 1, OPEN},
        {HOST(" [::ffff:1.2.3.4]:80"), 1, OPEN},
        {HOST(" %41!$&'()*+,;="), 1, OPEN},
        {HOST(""), 1, OPEN}, /* of a request whose target has no authority */
        {HOST(" "), 1, OPEN},
        {HOST(" a b"), 0, REFUSED},
        {HOST(" a\tb"), 0, REFUSED},
        {HOST(" a\x01"), 0, REFUSED},
        {HOST(" a\0"), 0, REFUSED},
        {HOST(" a\x7f"), 0, REFUSED},
        {HOST(" a\x80"), 0, REFUSED},
        {HOST(" :80"), 0, REFUSED},
        {HOST(" :"), 0, REFUSED},
        {HOST(" u@a"), 0, REFUSED},
        {HOST(" u:p@a:80"), 0, REFUSED},
        {HOST(" a:b"), 0, REFUSED},
        {HOST(" a:80:80"), 0, REFUSED},
        {HOST(" a:65536"), 0, REFUSED},
        {HOST(" a:99999999999999999999"), 0, REFUSED},
        {HOST(" a:+80"), 0, REFUSED},
        {HOST(" a: 80"), 0, REFUSED},
        {HOST(" a :80"), 0, REFUSED},
        {HOST(" a/b"), 0, REFUSED},
        {HOST(" http://a"), 0, REFUSED},
        {HOST(" a?b"), 0, REFUSED},
        {HOST(" a#b"), 0, REFUSED},
        {HOST(" a\\b"), 0, REFUSED},
        {HOST(" \"a\""), 0, REFUSED},
        {HOST(" <a>"), 0, REFUSED},
        {HOST(" a^`|b"), 0, REFUSED},
        {HOST(" {a}"), 0, REFUSED},
        {HOST(" a%"), 0, REFUSED},
        {HOST(" a%4"), 0, REFUSED},
        {HOST(" a%4x"), 0, REFUSED},
        {HOST(" ::1"), 0, REFUSED},
        {HOST(" [::1"), 0, REFUSED},
        {HOST(" ::1]"), 0, REFUSED},
        {HOST(" []"), 0, REFUSED},
        {HOST(" [a]"), 0, REFUSED},
        {HOST(" [1.2.3.4]"), 0, REFUSED},
        {HOST(" [::1]80"), 0, REFUSED},
        {HOST(" [::1]:x"), 0, REFUSED},
        {HOST(" [::1]]"), 0, REFUSED},
        {HOST(" [::1%25lo]"), 0, REFUSED},
        {HOST(" [::1\0]"), 0, REFUSED},
        {HOST(" [0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), 0, REFUSED},
        {HOST(" a\r\nHost: a"), 0, REFUSED}, /* two, alike or empty */
        {HOST("\r\nHost:"), 0, REFUSED},
        {HOST("\r\nhost: a"), 0, REFUSED},
        {BYTES("GET /a HTTP/1.0\r\nHost: a b\r\n\r\n"), 0, REFUSED},
        {TARGET("http://a/b"), 1, OPEN},
        {TARGET("HTTP://a:80"), 1, OPEN},
        {TARGET("http://[::1]?/b"), 1, OPEN},
        {TARGET("http://"), 0, REFUSED},
        {TARGET("http:///b"), 0, REFUSED},
        {TARGET("http://:80/b"), 0, REFUSED},
        {TARGET("http://u@a/b"), 0, REFUSED},
        {TARGET("http://a:b/"), 0, REFUSED},
        {TARGET("http://?a/b"), 0, REFUSED},
        {TARGET("?a"), 0, REFUSED},
        {TARGET("a"), 0, REFUSED},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
#undef HOST
#undef TARGET
}

static void T10_one_length_or_chunks(void **state)
{
    static const struct row rows[] = {
        {BYTES(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3, 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: +3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: -0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Content-Length: 0x3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3e0\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3;\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 1 1\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: \r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 18446744073709551619\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0,
         REFUSED},
        {BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 0,
         REFUSED},
        {BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0,
         REFUSED},
        {BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES("POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(POST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n" SECOND), 2, OPEN},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
}

static void T10_chunks_end_where_they_say(void **state)
{
    static const struct row rows[] = {
        {BYTES(CHUNKED "3\r\nabc\r\n0\r\n\r\n" SECOND), 2, OPEN},
        {BYTES(CHUNKED "0A;a=\"b\";c\r\n0123456789\r\n000\r\nA: b\r\nC:\r\n\r\n" SECOND), 2, OPEN},
        {BYTES(CHUNKED "3\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\r\nabc\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\r\nabc\r0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\r\nabc0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\r\nabcd\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\r\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\rabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3 \r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED " 3\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3;a\nb\r\nabc\r\n0\r\n\r\n"), 0, REFUSED}, /* LF in an extension */
        {BYTES(CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3;a\0\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "+3\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "-1\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "0x3\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "g\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "3\0\r\nabc\r\n0\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "100000003\r\nabc\r\n0\r\n\r\n"), 0, REFUSED}, /* 3 of 32 bits */
        {BYTES(CHUNKED "0\n\r\n" SECOND), 0, REFUSED},
        {BYTES(CHUNKED "0\r\n\n" SECOND), 0, REFUSED},
        {BYTES(CHUNKED "0\r\n\r\r\n" SECOND), 0, REFUSED},
        {BYTES(CHUNKED "0\r\nA: b\n\r\n" SECOND), 0, REFUSED}, /* LF in a trailer */
        {BYTES(CHUNKED "0\r\nA: b\n\n" SECOND), 0, REFUSED},
        {BYTES(CHUNKED "0\r\nA: b\rC: d\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "0\r\nA: b\r\n c\r\n\r\n"), 0, REFUSED}, /* folded */
        {BYTES(CHUNKED "0\r\nA : b\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "0\r\nA\r\n\r\n"), 0, REFUSED},
        {BYTES(CHUNKED "0\r\nPOST /b HTTP/1.1\r\nHost: x\r\n\r\n"), 0, REFUSED},
    };

    (void)state;
    run(rows, ARRAY_LEN(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T10_only_crlf_ends_a_line_of_a_head),
        cmocka_unit_test(T10_a_header_is_a_name_a_colon_and_a_value),
        cmocka_unit_test(T10_the_host_is_valid),
        cmocka_unit_test(T10_one_length_or_chunks),
        cmocka_unit_test(T10_chunks_end_where_they_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
