/* The handshake: the request as it is sent, and every invalid answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../lib/unit.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/ws_handshake.h"

/* The pair that RFC 6455 §1.3 gives. */
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define GOOD                                                                                       \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, "           \
    "Upgrade\r\n"                                                                                  \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void the_request(void **state)
{
    const struct ws_request r = {.host = STR("logs.example"),
                                 .port = 8080,
                                 .target = STR("/in?x=1"),
                                 .authorization = STR("Bearer abc")};
    const struct ws_request six = {.host = STR("::1"), .ipv6 = true, .target = STR("/")};
    const struct ws_request bad = {
        .host = STR("h"), .target = STR("/"), .authorization = STR("Bearer a\r\nX: y")};
    struct buf out = BUF_INIT(4096);

    (void)state;
    assert_int_equal(ws_request(&out, &r, KEY), 0);
    assert_non_null(strstr(out.p, "GET /in?x=1 HTTP/1.1\r\nHost: logs.example:8080\r\n"));
    assert_non_null(strstr(out.p, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"));
    assert_non_null(
        strstr(out.p, "\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"));
    assert_non_null(strstr(out.p, "\r\nAuthorization: Bearer abc\r\n"));
    assert_string_equal(out.p + out.len - 4, "\r\n\r\n");
    buf_clear(&out);
    assert_int_equal(ws_request(&out, &six, KEY), 0);
    assert_non_null(strstr(out.p, "\r\nHost: [::1]\r\n"));
    assert_null(strstr(out.p, "Authorization"));
    assert_int_equal(ws_request(&out, &bad, KEY), -1);
    buf_release(&out);
}

static void keys_are_new(void **state)
{
    char a[WS_KEY_SIZE], b[WS_KEY_SIZE];

    (void)state;
    ws_key(a);
    ws_key(b);
    assert_int_equal(strlen(a), 24);
    assert_string_not_equal(a, b);
}

static void a_good_answer(void **state)
{
    static const char text[] = GOOD "Server: x\r\n\r\n\x81\x01z";
    struct ws_answer a;
    struct err e = {0, ""};
    size_t used = 0;

    (void)state;
    for (size_t n = 0; n < sizeof(text) - 4; n++)
        assert_int_equal(ws_answer(str_make(text, n), KEY, &a, &used, &e), 0);
    assert_int_equal(ws_answer(str_make(text, sizeof(text) - 1), KEY, &a, &used, &e), 1);
    assert_int_equal(used, sizeof(text) - 4);
    assert_int_equal(a.status, 101);
    assert_int_equal(e.code, 0);
}

/* RFC 9110 §15.2: any number of 1xx answers may precede the final one, with any content. */
static void test_L15_interim_answers_are_passed_over(void **state)
{
    static const char *const interim[] = {
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nRetry-After: 9\r\n\r\n",
        "HTTP/1.1 102 Processing\n\n",
        "HTTP/1.1 100\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 199 x\r\n\r\nHTTP/1.1 100 y\r\n\r\nHTTP/1.1 103 z\r\n\r\n",
    };
    struct buf text = BUF_INIT(1 << 20);
    struct ws_answer a;
    struct err e = {0, ""};
    size_t used = 0;

    (void)state;
    FOR_ROWS (i, interim) {
        buf_clear(&text);
        assert_int_equal(buf_addf(&text, "%s" GOOD "\r\nz", interim[i]), 0);
        for (size_t n = 0; n < text.len - 1; n++)
            assert_int_equal(ws_answer(str_make(text.p, n), KEY, &a, &used, &e), 0);
        assert_int_equal(ws_answer(buf_str(&text), KEY, &a, &used, &e), 1);
        assert_int_equal(used, text.len - 1);
        assert_int_equal(a.status, 101);
    }
    buf_clear(&text);
    while (text.len <= HTTP_RESPONSE_HEADERS_MAX)
        assert_int_equal(buf_add_str(&text, str_of(interim[0])), 0);
    assert_int_equal(ws_answer(buf_str(&text), KEY, &a, &used, &e), -1); /* without end */
    buf_release(&text);
}

static void refused(const char *text, int status, int64_t retry_after_ms, const char *want)
{
    struct ws_answer a;
    struct err e = {0, ""};
    size_t used;

    assert_int_equal(ws_answer(str_of(text), KEY, &a, &used, &e), -1);
    assert_string_equal(e.text, want);
    assert_int_equal(a.status, status);
    assert_int_equal(a.retry_after_ms, retry_after_ms);
}

static void test_D22_bad_answers(void **state)
{
    (void)state;
    refused("HTTP/1.1 200 OK\r\n\r\n", 200, -1, "websocket: http status 200 instead of 101");
    refused("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n", 401, -1,
            "websocket: http status 401 instead of 101");
    refused("HTTP/1.1 503 No\r\nretry-after: 7\r\n\r\n", 503, 7000,
            "websocket: http status 503 instead of 101");
    refused("HTTP/1.1 103 Hints\r\nRetry-After: 9\r\n\r\nHTTP/1.1 503 No\r\n\r\n", 503, -1,
            "websocket: http status 503 instead of 101");
    refused("HTTP/1.1 100 Continue\r\n\r\nSSH-2.0\r\n", 0, -1, "websocket: not an http answer");
    refused("HTTP/1.1 302 Found\nLocation: http://169.254.169.254/\n\n", 302, -1,
            "websocket: http status 302 instead of 101");
    refused("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            101, -1, "websocket: answer 101 with a wrong Sec-WebSocket-Accept");
    refused("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 101, -1,
            "websocket: answer 101 with a wrong Sec-WebSocket-Accept");
    refused(GOOD "Sec-WebSocket-Accept: x\r\n\r\n", 101, -1,
            "websocket: answer 101 with a wrong Sec-WebSocket-Accept");
    refused("HTTP/1.1 101 Yes\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
            101, -1, "websocket: answer 101 without upgrade");
    refused("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: close\r\n"
            "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
            101, -1, "websocket: answer 101 without upgrade");
    refused(GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101, -1,
            "websocket: answer 101 with an extension or protocol unasked");
    refused(GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n", 101, -1,
            "websocket: answer 101 with an extension or protocol unasked");
    refused("SSH-2.0-OpenSSH_9.2\r\n", 0, -1, "websocket: not an http answer");
    refused("HTTP/2 101\r\n", 0, -1, "websocket: not an http answer");
    refused("HTTP/1.1 99 x\r\n", 0, -1, "websocket: not an http answer");
    refused("HTTP/1.1 1010 x\r\n", 0, -1, "websocket: not an http answer");
    refused("\n", 0, -1, "websocket: not an http answer");
}

static void long_answers(void **state)
{
    struct buf text = BUF_INIT(HTTP_RESPONSE_HEADERS_MAX + 100);
    struct ws_answer a;
    struct err e = {0, ""};
    size_t used;

    (void)state;
    while (text.len < HTTP_RESPONSE_HEADERS_MAX)
        assert_int_equal(buf_add_ch(&text, 'x'), 0);
    assert_int_equal(ws_answer(buf_str(&text), KEY, &a, &used, &e), 0);
    assert_int_equal(buf_add_ch(&text, 'x'), 0);
    assert_int_equal(ws_answer(buf_str(&text), KEY, &a, &used, &e), -1);
    memcpy(text.p, "HTTP/1.1 101 Yes\r\nX: ", 21);
    assert_int_equal(ws_answer(buf_str(&text), KEY, &a, &used, &e), -1);
    assert_string_equal(e.text, "websocket: answer's headers are over 65536 bytes");
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request),
        cmocka_unit_test(keys_are_new),
        cmocka_unit_test(a_good_answer),
        cmocka_unit_test(test_L15_interim_answers_are_passed_over),
        cmocka_unit_test(test_D22_bad_answers),
        cmocka_unit_test(long_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
