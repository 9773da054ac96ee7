/*
 * The opening handshake of a WebSocket (RFC 6455 §4), the client's side: what is asked, and whether
 * the answer is one. Text in, text out; ws.c has the connection.
 */
#ifndef NET_WS_HANDSHAKE_H
#define NET_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define WS_KEY_SIZE 25 /* base64 of 16 bytes, and NUL */

struct ws_request {
    struct str host; /* as in struct url: an IPv6 literal without its brackets */
    bool ipv6;
    uint16_t port; /* 0 = the scheme's, which is not written */
    struct str target;
    struct str authorization; /* the header's value; empty = none */
};

/* A new random key. */
void ws_key(char key[WS_KEY_SIZE]);
/* Appends the request. -1 when <out> may not hold it, or a field has a line end in it. */
int ws_request(struct buf *out, const struct ws_request *r, const char key[WS_KEY_SIZE]);

/* Appends the value of an Authorization header: "Basic …". -1 when <out> may not hold it. */
int ws_basic(struct buf *out, struct str user, struct str password);

struct ws_answer {
    int status;             /* 101, or what was answered instead; 0 = not HTTP at all */
    int64_t retry_after_ms; /* -1 = none */
};

/* Looks at <in>, which begins with the answer. 1 = the connection is a WebSocket now, and *used
 * bytes were the answer; 0 = it has not come whole; -1 = it will not be one, <e> says why and <a>
 * what is known. Never quotes the peer. */
int ws_answer(struct str in, const char key[WS_KEY_SIZE], struct ws_answer *a, size_t *used,
              struct err *e);

#endif
