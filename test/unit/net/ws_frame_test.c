/* WebSocket frames: those that we send, and all that a server may not send (docs/faults.md D22). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "../../lib/unit.h"
#include "base/mem.h"
#include "net/ws_frame.h"

static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};

/* ---- making ---- */

static void check_made(size_t n, unsigned head)
{
    struct buf out = BUF_INIT(200000), in = BUF_INIT(200000);
    const uint8_t *p;
    uint64_t len = 0;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_add_ch(&in, (char)(i * 7)), 0);
    assert_int_equal(ws_frame_add(&out, WS_BINARY, buf_str(&in), mask), 0);
    p = (const uint8_t *)out.p;
    assert_int_equal(out.len, head + 4 + n);
    assert_int_equal(p[0], 0x82);
    assert_true(p[1] & 0x80);
    if (head == 2)
        len = p[1] & 0x7f;
    for (unsigned i = 2; i < head; i++)
        len = len << 8 | p[i];
    assert_int_equal(len, n);
    assert_memory_equal(p + head, mask, 4);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[head + 4 + i] ^ mask[i % 4], (uint8_t)in.p[i]);
    buf_release(&out);
    buf_release(&in);
}

static void frames_are_masked_and_short(void **state)
{
    (void)state;
    check_made(0, 2);
    check_made(1, 2);
    check_made(7, 2);
    check_made(125, 2);
    check_made(126, 4);
    check_made(65535, 4);
    check_made(65536, 10);
    check_made(65539, 10);
}

static void a_full_buffer_refuses(void **state)
{
    struct buf out = BUF_INIT(WS_HEADER_MAX + 10);

    (void)state;
    assert_int_equal(ws_frame_add(&out, WS_TEXT, STR("0123456789"), mask), 0);
    assert_int_equal(ws_frame_add(&out, WS_TEXT, STR("0123456789"), mask), -1);
    buf_release(&out);
}

/* ---- understanding ---- */

#define FRAME(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* Feeds <n> bytes, <step> at a time, until there is an event or an end. */
static int parse(struct ws_parser *p, const uint8_t *bytes, size_t n, size_t step,
                 struct ws_event *ev, struct err *e)
{
    for (size_t at = 0; at < n;) {
        struct str in = str_make((const char *)bytes + at, n - at < step ? n - at : step);
        size_t given = in.len;
        int rc = ws_parse(p, &in, ev, e);

        at += given - in.len;
        if (rc)
            return rc;
        assert_int_equal(in.len, 0);
    }
    return 0;
}

static void refused(const char *want, const uint8_t *bytes, size_t n)
{
    for (size_t step = 1; step < 30; step += 7) {
        struct ws_parser p = {0};
        struct ws_event ev;
        struct err e = {0, ""};

        assert_int_equal(parse(&p, bytes, n, step, &ev, &e), -1);
        assert_string_equal(e.text, want);
        assert_int_equal(p.failed, e.code == EMSGSIZE ? WS_CLOSE_TOO_BIG : WS_CLOSE_PROTOCOL);
    }
}

static void test_D22_what_a_server_may_not_send(void **state)
{
    (void)state;
    refused("websocket: peer sent a frame with reserved bits", FRAME(0xc1, 0));
    refused("websocket: peer sent a frame with reserved bits", FRAME(0xa9, 0));
    refused("websocket: peer sent a masked frame", FRAME(0x89, 0x80));
    refused("websocket: peer sent an unknown opcode", FRAME(0x83, 0));
    refused("websocket: peer sent an unknown opcode", FRAME(0x8b, 0));
    refused("websocket: peer sent a fragmented control frame", FRAME(0x09, 0));
    refused("websocket: peer sent a fragmented control frame", FRAME(0x08, 0));
    refused("websocket: peer sent a control frame that is too long", FRAME(0x89, 126, 0, 126));
    refused("websocket: peer sent a continuation frame without a message", FRAME(0x80, 0));
    refused("websocket: peer sent a new message inside a fragmented one",
            FRAME(0x01, 1, 'a', 0x81, 1, 'b'));
    refused("websocket: peer sent a length above 2^63",
            FRAME(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0));
    refused("websocket: peer sent a length above 2^63",
            FRAME(0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
    refused("websocket: peer sent a message of more than 1048576 bytes",
            FRAME(0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
    refused("websocket: peer sent a message of more than 1048576 bytes",
            FRAME(0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1));
    refused("websocket: peer sent a length that is not the shortest form",
            FRAME(0x82, 126, 0, 125));
    refused("websocket: peer sent a length that is not the shortest form",
            FRAME(0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff));
    refused("websocket: peer sent a truncated close code", FRAME(0x88, 1, 3));
    refused("websocket: peer sent a close code that may not be sent", FRAME(0x88, 2, 0x03, 0xed));
    refused("websocket: peer sent a close code that may not be sent", FRAME(0x88, 2, 0, 0));
    refused("websocket: peer sent a close code that may not be sent", FRAME(0x88, 2, 0x13, 0x88));
}

static void pieces_count_as_one_message(void **state)
{
    struct ws_parser p = {0};
    struct ws_event ev;
    struct err e = {0, ""};
    static uint8_t half[10 + 600000];
    struct str in;

    (void)state;
    memcpy(half, FRAME(0x02, 127, 0, 0, 0, 0, 0, 0x09, 0x27, 0xc0));
    in = str_make((const char *)half, sizeof(half));
    assert_int_equal(ws_parse(&p, &in, &ev, &e), 0);
    half[0] = 0x80;
    in = str_make((const char *)half, sizeof(half));
    assert_int_equal(ws_parse(&p, &in, &ev, &e), -1);
    assert_int_equal(p.failed, WS_CLOSE_TOO_BIG);
}

/* A Ping between the fragments of a message, a Pong, and a Close, cut at every position. */
static void control_frames_are_told(void **state)
{
    static const uint8_t bytes[] = {0x01, 2,    'a', 'b',  0x89, 3,    'x', 'y',  'z',  0x80, 1,
                                    'c',  0x8a, 0,   0x81, 0,    0x88, 4,   0x03, 0xf1, 'n',  'o'};

    (void)state;
    for (size_t step = 1; step <= sizeof(bytes); step++) {
        struct ws_parser p = {0};
        struct ws_event ev;
        struct err e;
        unsigned n = 0;

        for (size_t at = 0; at < sizeof(bytes); at += step) {
            struct str in = str_make((const char *)bytes + at,
                                     sizeof(bytes) - at < step ? sizeof(bytes) - at : step);

            while (ws_parse(&p, &in, &ev, &e) == 1) {
                assert_int_equal(ev.op, n == 0 ? WS_PING : n == 1 ? WS_PONG : WS_CLOSE);
                assert_true(str_eq(ev.payload, n == 0 ? STR("xyz") : n == 1 ? STR("") : STR("no")));
                assert_int_equal(ev.code, n == 2 ? 1009 : 0);
                n++;
            }
        }
        assert_int_equal(n, 3);
    }
}

static void close_codes(void **state)
{
    static const uint16_t good[] = {1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999};

    (void)state;
    FOR_ROWS (i, good) {
        const uint8_t frame[] = {0x88, 2, (uint8_t)(good[i] >> 8), (uint8_t)good[i]};
        struct ws_parser p = {0};
        struct ws_event ev;
        struct err e;

        assert_int_equal(parse(&p, frame, sizeof(frame), 4, &ev, &e), 1);
        assert_int_equal(ev.code, good[i]);
    }
    {
        struct ws_parser p = {0};
        struct ws_event ev;
        struct err e;

        assert_int_equal(parse(&p, FRAME(0x88, 0), 2, &ev, &e), 1);
        assert_int_equal(ev.code, WS_CLOSE_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_masked_and_short),
        cmocka_unit_test(a_full_buffer_refuses),
        cmocka_unit_test(test_D22_what_a_server_may_not_send),
        cmocka_unit_test(pieces_count_as_one_message),
        cmocka_unit_test(control_frames_are_told),
        cmocka_unit_test(close_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
