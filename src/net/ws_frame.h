/*
 * WebSocket frames (RFC 6455 §5), client side: building masked frames, and parsing those of a
 * server. Bytes in, events out; it knows neither connections nor drains.
 *
 * A server's messages are counted and discarded, so nothing is allocated for a peer. A control
 * frame has 125 bytes at most; those are kept in the parser.
 */
#ifndef NET_WS_FRAME_H
#define NET_WS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define WS_CONTROL_MAX 125            /* payload of a control frame */
#define WS_HEADER_MAX 14              /* of a frame, with mask */
#define WS_INCOMING_MAX (1024 * 1024) /* one message of the peer */

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

/* Status codes of a Close frame (RFC 6455 §7.4.1). */
enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_UNSUPPORTED = 1003,
    WS_CLOSE_NONE = 1005, /* a Close frame without a code; never on the wire */
    WS_CLOSE_BAD_DATA = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
    WS_CLOSE_EXTENSION = 1010,
    WS_CLOSE_ERROR = 1011,
    WS_CLOSE_RESTART = 1012,
    WS_CLOSE_TRY_LATER = 1013,
    WS_CLOSE_GATEWAY = 1014,
};

/* Appends one whole frame, masked with <mask>, which must be new and unpredictable for each frame.
 * -1 when it exceeds <out>'s cap. */
int ws_frame_add(struct buf *out, enum ws_opcode op, struct str payload, const uint8_t mask[4]);

struct ws_parser {
    uint8_t head[WS_HEADER_MAX];
    unsigned head_len;
    bool in_payload;
    bool in_message; /* a fragmented message has begun */
    enum ws_opcode op;
    uint64_t left;    /* payload bytes of this frame to come */
    uint64_t message; /* bytes of the message so far */
    uint8_t control[WS_CONTROL_MAX];
    unsigned control_len;
    enum ws_close_code failed; /* close code to send; set with -1 */
    unsigned frames;           /* complete ones; the caller may set it to 0 */
};

/* A control frame. */
struct ws_event {
    enum ws_opcode op; /* WS_PING, WS_PONG, WS_CLOSE */
    struct str
        payload;   /* points into the parser, valid until the next call. Of a Close: the reason */
    uint16_t code; /* of a Close */
};

/* Consumes bytes of <*in>. 1 = <out> is a control frame, and more may follow; 0 = <*in> is used up;
 * -1 = protocol error: <e> says which, p->failed is the close code. */
int ws_parse(struct ws_parser *p, struct str *in, struct ws_event *out, struct err *e);

#endif
