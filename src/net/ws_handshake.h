/*
 * The opening handshake of a WebSocket (RFC 6455 §4), client side: the request, and the check of
 * the answer. Text in, text out; ws.c has the connection.
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
    uint16_t port; /* 0 = the scheme's default, which is omitted */
    struct str target;
    struct str authorization; /* the header's value; empty = none */
};

/* A new random key. */
void ws_key(char key[WS_KEY_SIZE]);
/* Appends the request. -1 when it exceeds <out>'s cap, or a field contains a line end. */
int ws_request(struct buf *out, const struct ws_request *r, const char key[WS_KEY_SIZE]);

/* Appends the value of an Authorization header: "Basic …". -1 when it exceeds <out>'s cap. */
int ws_basic(struct buf *out, struct str user, struct str password);

struct ws_answer {
    int status;             /* 101, or what was answered instead; 0 = not HTTP */
    int64_t retry_after_ms; /* -1 = none */
};

/* Parses <in>, which starts with the answer. 1 = the handshake succeeded, and *used bytes were
 * the answer; 0 = incomplete; -1 = failed: <e> says why and <a> what is known. Never quotes the
 * peer. */
int ws_answer(struct str in, const char key[WS_KEY_SIZE], struct ws_answer *a, size_t *used,
              struct err *e);

#endif
