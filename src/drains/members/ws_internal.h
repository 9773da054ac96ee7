/* The parts of the ws member that need no network, apart for their tests. */
#ifndef DRAINS_WS_INTERNAL_H
#define DRAINS_WS_INTERNAL_H

#include "drains/core/answer.h"
#include "drains/core/drain.h"
#include "net/ws.h"

struct ws_options {
    char *token; /* NULL = none */
};

/* What a Close of the peer means, by its code. The verdict is REJECTED or TOO_LARGE on the message
 * that the Close is about. If it is about none, it is HOLD or OFFLINE on the drain. */
extern const struct answer_table ws_closes;
enum ws_close_flags {
    WS_CLEAN = 1 << 0,  /* a normal end, when nothing was in flight */
    WS_BLAMES = 1 << 1, /* the peer may have failed at something that it was sent */
};

/* The verdict on an HTTP answer other than 101: HOLD or OFFLINE. Sets <why>. */
enum verdict ws_refusal(int status, struct err *why);

/* Appends "Basic …" or "Bearer …", as the URL asks; nothing when it does not. -1 = no memory. */
int ws_authorization(struct buf *out, const struct drain_spec *s);
/* The number in one of our Pings; 0 = the Pong is not for one of ours. */
uint64_t ws_pong_number(struct str payload);

#endif
