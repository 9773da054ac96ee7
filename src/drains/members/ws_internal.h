/* The parts of the ws member that need no network, apart for their tests. */
#ifndef DRAINS_WS_INTERNAL_H
#define DRAINS_WS_INTERNAL_H

#include "drains/core/drain.h"
#include "net/ws.h"

struct ws_options {
    char *token; /* NULL = none */
};

/* What the peer's Close says, by its code. */
struct ws_verdict_row {
    unsigned from, to;
    enum verdict first; /* on the message that it is about; OFFLINE = about none */
    bool hold;          /* the drain's configuration is wrong */
    bool clean;         /* an end in order, when nothing was under way */
    bool blames;        /* it may have failed at something that it was sent */
    const char *reason; /* for people */
};
/* Ended by a NULL reason; covers every code. Rows are looked through in order. */
const struct ws_verdict_row *ws_verdict_rows(void);
const struct ws_verdict_row *ws_verdict_of(unsigned code);
/* On an http answer other than 101: HOLD or OFFLINE. Fills <why>. */
enum verdict ws_refusal(int status, struct err *why);

/* "Basic …" or "Bearer …", as the URL asks; nothing when it does not. -1 without memory. */
int ws_authorization(struct buf *out, const struct drain_spec *s);
/* The number that our Ping carried; 0 = it is not one of ours. */
uint64_t ws_pong_number(struct str payload);

#endif
