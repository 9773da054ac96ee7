/* Parsing of HTTP bodies: packets in JSON, gzip within limits, and the bearer token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "inputs/bearer.h"
#include "inputs/inflate.h"
#include "inputs/packets.h"
#include "inputs/syslog_parse.h"

#define ELEMENT STR("[input@32473 peer=\"192.0.2.1\"]")
#define LINE_MAX_HERE 16

/* The records of <in>, fed in pieces of <piece>, one "pri host tag time procid msgid sd msg|" each,
 * then the error of the first bad one, and how many are bad. */
static void read_in_pieces(struct str in, size_t piece, struct buf *out)
{
    const struct syslog_peer peer = {STR("192.0.2.1"), ELEMENT, false};
    struct received h;
    struct packets p;
    struct err e = {.code = 0};
    const struct journal_entry *entries;
    int rc = 0;

    received_init(&h, 4096, 3);
    packets_init(&p, &h, LINE_MAX_HERE, &peer);
    for (size_t at = 0; at < in.len && rc == 0; at += piece)
        rc = packets_feed(&p, str_head(str_skip(in, at), piece), &e);
    if (rc == 0)
        packets_end(&p);
    entries = received_entries(&h, STR("192.0.2.1"), STR("-"));
    for (size_t i = 0; i < h.n && rc == 0; i++) {
        const struct journal_entry *x = &entries[i];

        (void)buf_addf(out, "%u %.*s %.*s %.*s %.*s %.*s %.*s ", x->syslog.pri,
                       STR_ARG(x->hostname), STR_ARG(x->syslog.tag), STR_ARG(x->time),
                       STR_ARG(x->syslog.procid), STR_ARG(x->syslog.msgid), STR_ARG(x->syslog.sd));
        (void)buf_add_str(out, x->msg);
        (void)buf_addf(out, "%s|", x->cut ? "!" : "");
    }
    if (rc < 0)
        (void)buf_addf(out, "%s (413)", e.text);
    else if (p.err.code)
        (void)buf_addf(out, "%s (%zu)", p.err.text, p.bad);
    packets_release(&p);
    received_release(&h);
}

static const struct {
    const char *in;
    const char *out;
} bodies[] = {
    {"{\"severity\":6,\"facility\":1,\"hostname\":\"h\",\"tag\":\"t\",\"time\":"
     "\"2026-11-20T10:15:00Z\",\"message\":\"m\"}",
     "14 h t 2026-11-20T10:15:00Z   - m|"},
    {"{\"hostname\":\"a\"}{\"hostname\":\"b\"}\n{\"hostname\":\"c\"}\n\n",
     "13 a     - |13 b     - |13 c     - |"},
    {"[]", ""},
    {" [ {\"hostname\":\"a\"} , {\"Message\":\"x\",\"HOSTNAME\":\"b\"} ] ",
     "13 a     - |13 b     - x|"},
    {"{\"hostname\":\"h\",\"extra\":{\"hostname\":[\"z\",{}]},\"message\":null}", "13 h     - |"},
    {"{\"hostname\":\"h\",\"procid\":\"7\",\"msgid\":\"M\",\"structured_data\":\"[a "
     "b=\\\"c\\\"]\"}",
     "13 h   7 M [a b=\"c\"][input@32473 peer=\"192.0.2.1\"] |"},
    {"{\"hostname\":\"h\",\"structured_data\":\"[input@32473 peer=\\\"9.9.9.9\\\"]\"}",
     "13 h     [input@32473 peer=\"192.0.2.1\"] |"},
    {"{\"hostname\":\"h\",\"message\":\"0123456789abcdefXYZ\"}", "13 h     - 0123456789abcdef!|"},
    {"{\"hostname\":\"h\",\"message\":\"\\u0000\\n\\ud83d\\ude00\"}", NULL},
    {"{\"hostname\":\"h\",\"severity\":0}", "8 h     - |"},
    {"{\"hostname\":\"h\",\"facility\":0}", "5 h     - |"},
    {"{\"hostname\":\"h\",\"severity\":0,\"facility\":0}", "0 h     - |"},
    /* the faults */
    {"", "there is no record (0)"},
    {" \n", "there is no record (0)"},
    {"{}", "record 0: hostname: is missing, longer than 255 bytes, or not visible ASCII (1)"},
    {"{\"hostname\":\"a b\"}",
     "record 0: hostname: is missing, longer than 255 bytes, or not visible ASCII (1)"},
    {"{\"hostname\":\"a\"}x", "13 a     - |record 1: not an object (1)"},
    {"{\"hostname\":\"a\"}x\n\ny\n{\"hostname\":\"b\"}",
     "13 a     - |13 b     - |record 1: not an object (2)"},
    {"[{\"hostname\":\"a\"}{\"hostname\":\"b\"},{\"hostname\":\"c\"}]",
     "13 a     - |13 c     - |record 1: not an object (1)"},
    {"[{\"hostname\":\"a\"},]", "13 a     - |record 1: not an object (1)"},
    {"[,]", "record 0: not an object (2)"},
    {"[{\"hostname\":\"a\"},,{\"hostname\":\"b\"}]",
     "13 a     - |13 b     - |record 1: not an object (1)"},
    {"[1,\"],\\\"\",[[{}],{}],null,{\"hostname\":\"a\"}]",
     "13 a     - |record 0: not an object (4)"},
    {"[{\"hostname\":\"a\"}", "13 a     - |record 1: the body ends inside of it (1)"},
    {"[{\"hostname\":\"a\"}]]", "13 a     - |record 1: not an object (1)"},
    {"{\"hostname\":\"a\"}{\"host", "13 a     - |record 1: the body ends inside of it (1)"},
    {"{\"hostname\":\"a\"},{\"hostname\":\"b\"}", "13 a     - |record 1: not an object (1)"},
    {"[\"a\"]", "record 0: not an object (1)"},
    {"17", "record 0: not an object (1)"},
    {"{\"hostname\":\"a\",}", "record 0: not JSON (1)"},
    /* a line that is not JSON costs no other line */
    {"{\"hostname\":\"a\"\n{\"hostname\":\"b\"}\n", "13 b     - |record 0: not JSON (1)"},
    {"{\"hostname\":\"a\",\n {\"hostname\":\"b\"}\n", "13 b     - |record 0: not JSON (1)"},
    {"{\"hostname\":\"a\n{\"hostname\":\"b\"}\n", "13 b     - |record 0: not JSON (1)"},
    {"{\"hostname\":\"a\"} {oops} {\"hostname\":\"x\"}\n{\"hostname\":\"b\"}",
     "13 a     - |13 b     - |record 1: not JSON (1)"},
    {"[{\"hostname\":\"a\"},{\"x\" 1},{\"hostname\":\"b\"}]", "13 a     - |record 1: not JSON (1)"},
    {"{\"hostname\":7}", "record 0: hostname: is not text (1)"},
    {"{\"hostname\":[\"a\"]}", "record 0: hostname: is neither text nor a number (1)"},
    {"{\"hostname\":{\"a\":1}}", "record 0: hostname: is neither text nor a number (1)"},
    {"{\"hostname\":true}", "record 0: hostname: is neither text nor a number (1)"},
    {"{\"hostname\":\"a\",\"severity\":8}", "record 0: severity: is not one of 0 to 7 (1)"},
    {"{\"hostname\":\"a\",\"severity\":1.5}", "record 0: severity: is not one of 0 to 7 (1)"},
    {"{\"hostname\":\"a\",\"facility\":-1}", "record 0: facility: is not one of 0 to 23 (1)"},
    {"{\"hostname\":\"a\",\"severity\":\"6\"}", "record 0: severity: is not a number (1)"},
    {"{\"hostname\":\"a\"}{\"hostname\":\"b\",\"time\":\"now\"}{\"hostname\":\"c\"}",
     "13 a     - |13 c     - |record 1: time: not a time of RFC 3339 (1)"},
    {"{\"hostname\":\"a\",\"time\":\"2026-02-29T00:00:00Z\"}",
     "record 0: time: not a time of RFC 3339 (1)"},
    {"{\"hostname\":\"a\",\"structured_data\":\"[a\"}",
     "record 0: structured_data: not as in RFC 5424 (1)"},
    {"{\"hostname\":\"a\"}{\"hostname\":\"a\"}{\"hostname\":\"a\"}{\"hostname\":\"a\"}",
     "record 3: too many records in one request (413)"},
};

static void test_bodies_whatever_the_pieces(void **state)
{
    (void)state;
    FOR_ROWS (i, bodies) {
        struct buf whole = BUF_INIT(65536);

        read_in_pieces(str_of(bodies[i].in), 1000, &whole);
        if (bodies[i].out && strcmp(buf_cstr(&whole), bodies[i].out) != 0)
            fail_msg("%s: '%s', not '%s'", bodies[i].in, buf_cstr(&whole), bodies[i].out);
        for (size_t piece = 1; piece < 9; piece++) {
            struct buf out = BUF_INIT(65536);

            read_in_pieces(str_of(bodies[i].in), piece, &out);
            assert_true(str_eq(buf_str(&out), buf_str(&whole)));
            buf_release(&out);
        }
        buf_release(&whole);
    }
}

static void test_a_message_keeps_its_bytes(void **state)
{
    struct buf out = BUF_INIT(65536);

    (void)state;
    read_in_pieces(STR("{\"hostname\":\"h\",\"message\":\"\\u0000\\n\\ud83d\\ude00\"}"), 3, &out);
    assert_true(str_eq(buf_str(&out), STR("13 h     - \0\n\xf0\x9f\x98\x80|")));
    buf_release(&out);
}

static void test_deep_nesting_is_refused(void **state)
{
    struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(65536);

    (void)state;
    (void)buf_addf(&in, "{\"extra\":");
    for (int i = 0; i < 10000; i++)
        (void)buf_add_ch(&in, '[');
    read_in_pieces(buf_str(&in), 4096, &out);
    assert_string_equal(buf_cstr(&out), "record 0: nested too deeply (1)");
    buf_release(&in);
    buf_release(&out);
}

static void test_more_bytes_than_a_request_may_hold(void **state)
{
    struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(65536);

    (void)state;
    (void)buf_addf(&in, "{\"hostname\":\"h\"");
    for (int i = 0; i < 1000; i++)
        (void)buf_addf(&in, ",\"tag\":\"0123456789\"");
    read_in_pieces(buf_str(&in), 4096, &out);
    assert_string_equal(buf_cstr(&out), "record 0: too many records in one request (413)");
    buf_release(&in);
    buf_release(&out);
}

/* ---- gzip ---- */

static void add_gzip(struct buf *out, struct str in)
{
    z_stream z = {.zalloc = NULL};
    int rc;

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.len;
    do {
        unsigned char piece[4096];

        z.next_out = piece;
        z.avail_out = sizeof(piece);
        rc = deflate(&z, Z_FINISH);
        assert_int_equal(buf_add(out, piece, sizeof(piece) - z.avail_out), 0);
    } while (rc != Z_STREAM_END);
    (void)deflateEnd(&z);
}

static bool keep(void *arg, struct str piece)
{
    return buf_add_str(arg, piece) == 0;
}

static enum inflated inflate_all(struct str in, size_t piece, struct buf *out, bool *ended)
{
    struct inflater f;
    enum inflated rc = INFLATE_OK;

    assert_int_equal(inflater_open(&f), 0);
    for (size_t at = 0; at < in.len && rc == INFLATE_OK; at += piece)
        rc = inflater_feed(&f, str_head(str_skip(in, at), piece), keep, out);
    *ended = inflater_ended(&f);
    inflater_close(&f);
    return rc;
}

static void test_gzip_in_members_and_pieces(void **state)
{
    struct buf in = BUF_INIT(65536);
    bool ended;

    (void)state;
    add_gzip(&in, STR("hello "));
    add_gzip(&in, STR("world"));
    for (size_t piece = 1; piece <= in.len; piece++) {
        struct buf out = BUF_INIT(65536);

        assert_int_equal(inflate_all(buf_str(&in), piece, &out, &ended), INFLATE_OK);
        assert_string_equal(buf_cstr(&out), "hello world");
        assert_true(ended);
        buf_clear(&out);
        assert_int_equal(inflate_all(str_head(buf_str(&in), in.len - 3), piece, &out, &ended),
                         INFLATE_OK);
        assert_false(ended);
        buf_release(&out);
    }
    (void)buf_addf(&in, "junk");
    struct buf out = BUF_INIT(65536);
    assert_int_equal(inflate_all(buf_str(&in), 5, &out, &ended), INFLATE_BAD);
    buf_release(&out);
    buf_release(&in);
}

static void test_N07_a_gzip_bomb_stops_early(void **state)
{
    struct buf in = BUF_INIT(1 << 20), out = BUF_INIT(64 << 20);
    char *zeros = xcalloc(1, 32 << 20);
    bool ended;

    (void)state;
    add_gzip(&in, str_make(zeros, 32 << 20));
    assert_int_equal(inflate_all(buf_str(&in), 4096, &out, &ended), INFLATE_LARGE);
    assert_true(out.len <= HTTP_BODY_MAX);
    buf_clear(&out);
    assert_int_equal(inflate_all(STR("this is not gzip at all"), 4096, &out, &ended), INFLATE_BAD);
    free(zeros);
    buf_release(&in);
    buf_release(&out);
}

/* ---- the token ---- */

static void write_token(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void test_bearer(void **state)
{
    char path[] = "/tmp/logtrain-token-XXXXXX";
    int fd = mkstemp(path);
    struct bearer b;
    struct err e = {.code = 0};

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(bearer_open(&b, path, 0, &e), -1);
    assert_non_null(strstr(e.text, "holds no token"));
    write_token(path, " abc\n");
    assert_int_equal(bearer_open(&b, path, 0, &e), 0);
    assert_true(bearer_good(&b, STR("Bearer abc"), 0));
    assert_true(bearer_good(&b, STR("bearer abc"), 0));
    assert_false(bearer_good(&b, STR(""), 0));
    assert_false(bearer_good(&b, STR("Bearer"), 0));
    assert_false(bearer_good(&b, STR("Bearer "), 0));
    assert_false(bearer_good(&b, STR("Bearer ab"), 0));
    assert_false(bearer_good(&b, STR("Bearer abcabc"), 0));
    assert_false(bearer_good(&b, STR("Bearer abd"), 0));
    assert_false(bearer_good(&b, STR("Basic abc"), 0));
    write_token(path, "new");
    assert_true(bearer_good(&b, STR("Bearer abc"), HTTP_TOKEN_MS - 1));
    assert_true(bearer_good(&b, STR("Bearer new"), HTTP_TOKEN_MS));
    unlink(path);
    assert_true(bearer_good(&b, STR("Bearer new"), 3 * HTTP_TOKEN_MS));
    assert_false(bearer_good(&b, STR("Bearer abc"), 3 * HTTP_TOKEN_MS));
    bearer_close(&b);
    assert_int_equal(bearer_open(&b, path, 0, &e), -1);
    assert_non_null(strstr(e.text, "cannot read /tmp/logtrain-token-"));
    assert_int_equal(bearer_open(&b, "", 0, &e), 0);
    assert_true(bearer_good(&b, STR(""), 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_whatever_the_pieces),
        cmocka_unit_test(test_a_message_keeps_its_bytes),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_more_bytes_than_a_request_may_hold),
        cmocka_unit_test(test_gzip_in_members_and_pieces),
        cmocka_unit_test(test_N07_a_gzip_bomb_stops_early),
        cmocka_unit_test(test_bearer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
