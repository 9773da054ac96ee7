/*
 * See ws_frame.h. Strict where RFC 6455 makes a client fail the connection: reserved bits, masked
 * frames, unknown opcodes, control frames that are long or fragmented, lengths not in the shortest
 * form, a continuation without a message, reserved close codes.
 *
 * Text from a server is not checked for UTF-8: it is discarded.
 */
#include "net/ws_frame.h"

#include <errno.h>
#include <string.h>

#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define MASKED 0x80
#define LENGTH 0x7f
#define LENGTH_16 126
#define LENGTH_64 127

/* ---- building frames ---- */

static char *put_masked(char *d, struct str s, const uint8_t mask[4])
{
    uint64_t wide;
    size_t i = 0;

    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    for (; i + 8 <= s.len; i += 8) {
        uint64_t w;

        memcpy(&w, s.p + i, 8);
        w ^= wide;
        memcpy(d + i, &w, 8);
    }
    for (; i < s.len; i++)
        d[i] = (char)((uint8_t)s.p[i] ^ mask[i % 4]);
    return d + s.len;
}

int ws_frame_add(struct buf *out, enum ws_opcode op, struct str payload, const uint8_t mask[4])
{
    uint64_t n = payload.len;
    unsigned wide = n < LENGTH_16 ? 0 : n <= 0xffff ? 2 : 8;
    char *d;

    if (buf_reserve(out, WS_HEADER_MAX + payload.len) < 0)
        return -1;
    d = out->p + out->len;
    *d++ = (char)(FIN | op);
    *d++ = (char)(MASKED | (wide == 0 ? n : wide == 2 ? LENGTH_16 : LENGTH_64));
    for (unsigned i = wide; i-- > 0;)
        *d++ = (char)(n >> (8 * i) & 0xff);
    memcpy(d, mask, 4);
    d = put_masked(d + 4, payload, mask);
    *d = '\0';
    out->len = (size_t)(d - out->p);
    return 0;
}

/* ---- parsing frames ---- */

static int fail(struct ws_parser *p, struct err *e, const char *what)
{
    p->failed = WS_CLOSE_PROTOCOL;
    return err_set(e, EPROTO, "websocket: peer sent %s", what);
}

static bool is_control(enum ws_opcode op)
{
    return op >= WS_CLOSE;
}

/* Length of the head, as far as the first two bytes tell. */
static unsigned head_size(const struct ws_parser *p)
{
    unsigned n = p->head_len < 2 ? 0 : p->head[1] & LENGTH;

    return n == LENGTH_64 ? 10 : n == LENGTH_16 ? 4 : 2;
}

static int check_opcode(struct ws_parser *p, bool fin, struct err *e)
{
    switch (p->op) {
    case WS_CONTINUATION:
        if (!p->in_message)
            return fail(p, e, "a continuation frame without a message");
        break;
    case WS_TEXT:
    case WS_BINARY:
        if (p->in_message)
            return fail(p, e, "a new message inside a fragmented one");
        p->message = 0;
        break;
    case WS_CLOSE:
    case WS_PING:
    case WS_PONG:
        return fin ? 0 : fail(p, e, "a fragmented control frame");
    default:
        return fail(p, e, "an unknown opcode");
    }
    p->in_message = !fin;
    return 0;
}

static int take_length(struct ws_parser *p, struct err *e)
{
    unsigned n = p->head[1] & LENGTH, size = head_size(p);

    p->left = size == 2 ? n : 0;
    for (unsigned i = 2; i < size; i++)
        p->left = p->left << 8 | p->head[i];
    if (p->left >> 63)
        return fail(p, e, "a length above 2^63");
    if ((size == 4 && p->left < LENGTH_16) || (size == 10 && p->left <= 0xffff))
        return fail(p, e, "a length that is not the shortest form");
    if (is_control(p->op))
        return p->left <= WS_CONTROL_MAX ? 0 : fail(p, e, "a control frame that is too long");
    if (p->left > WS_INCOMING_MAX || p->message + p->left > WS_INCOMING_MAX) {
        p->failed = WS_CLOSE_TOO_BIG;
        return err_set(e, EMSGSIZE, "websocket: peer sent a message of more than %d bytes",
                       WS_INCOMING_MAX);
    }
    p->message += p->left;
    return 0;
}

/* The head is complete. */
static int take_head(struct ws_parser *p, struct err *e)
{
    bool fin = p->head[0] & FIN;

    if (p->head[0] & RESERVED)
        return fail(p, e, "a frame with reserved bits");
    if (p->head[1] & MASKED)
        return fail(p, e, "a masked frame");
    p->op = (enum ws_opcode)(p->head[0] & OPCODE);
    if (check_opcode(p, fin, e) < 0 || take_length(p, e) < 0)
        return -1;
    p->in_payload = true;
    p->control_len = 0;
    return 0;
}

static bool may_be_sent(unsigned code)
{
    if (code >= 3000)
        return code <= 4999;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/* The frame is complete. 1 = an event. */
static int take_frame(struct ws_parser *p, struct ws_event *out, struct err *e)
{
    p->in_payload = false;
    p->head_len = 0;
    p->frames++;
    if (!is_control(p->op))
        return 0;
    *out = (struct ws_event){p->op, str_make((const char *)p->control, p->control_len), 0};
    if (p->op != WS_CLOSE)
        return 1;
    out->code = WS_CLOSE_NONE;
    if (out->payload.len == 0)
        return 1;
    if (out->payload.len == 1)
        return fail(p, e, "a truncated close code");
    out->code = (uint16_t)(p->control[0] << 8 | p->control[1]);
    out->payload = str_skip(out->payload, 2);
    return may_be_sent(out->code) ? 1 : fail(p, e, "a close code that may not be sent");
}

static void take_payload(struct ws_parser *p, struct str *in)
{
    size_t n = in->len < p->left ? in->len : (size_t)p->left;

    if (is_control(p->op) && n) {
        memcpy(p->control + p->control_len, in->p, n);
        p->control_len += (unsigned)n;
    }
    p->left -= n;
    *in = str_skip(*in, n);
}

int ws_parse(struct ws_parser *p, struct str *in, struct ws_event *out, struct err *e)
{
    while (p->in_payload || in->len) {
        int rc;

        if (!p->in_payload) {
            p->head[p->head_len++] = (uint8_t)in->p[0];
            *in = str_skip(*in, 1);
            if (p->head_len < 2 || p->head_len < head_size(p))
                continue;
            if (take_head(p, e) < 0)
                return -1;
        }
        take_payload(p, in);
        if (p->left)
            return 0;
        rc = take_frame(p, out, e);
        if (rc)
            return rc;
    }
    return 0;
}
