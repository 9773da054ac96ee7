/* The parts of the ws member that need no network, apart for their tests. */
#ifndef DRAINS_WS_INTERNAL_H
#define DRAINS_WS_INTERNAL_H

#include "drains/core/answer.h"
#include "drains/core/drain.h"
#include "net/ws.h"

struct ws_options {
    char *token; /* NULL = none */
};

/* What the peer's Close says, by its code. The verdict is REJECTED or TOO_LARGE on the message that it
 * is about; HOLD or OFFLINE on the drain, when it is about none. */
extern const struct answer_table ws_closes;
enum ws_close_flags {
    WS_CLEAN = 1 << 0,  /* an end in order, when nothing was under way */
    WS_BLAMES = 1 << 1, /* it may have failed at something that it was sent */
};

/* On an http answer other than 101: HOLD or OFFLINE. Fills <why>. */
enum verdict ws_refusal(int status, struct err *why);

/* "Basic …" or "Bearer …", as the URL asks; nothing when it does not. -1 without memory. */
int ws_authorization(struct buf *out, const struct drain_spec *s);
/* The number that our Ping carried; 0 = it is not one of ours. */
uint64_t ws_pong_number(struct str payload);

#endif
