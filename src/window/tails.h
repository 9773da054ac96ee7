/*
 * /v1/tail: the lines of some streams, as they come, to a client. Each tail is a drain of its own
 * (drains/members/tail.h) with a cursor in each of its streams. What is here runs on the control
 * thread: it picks the streams, attaches the cursors, and writes the batches to the client.
 *
 * A tail keeps nothing: a batch that waits for the client is the worker's, at most one for each of
 * them. When it ends, for whatever reason, its cursors are detached, and nothing is left of it.
 */
#ifndef WINDOW_TAILS_H
#define WINDOW_TAILS_H

#include "drains/core/worker.h"
#include "net/http_server.h"
#include "streams/origin.h"
#include "window/view.h"

struct tails;

/* All borrowed. */
struct tails_env {
    struct loop *loop;
    struct mailbox *mailbox; /* of the control thread */
    struct origins *origins;
    struct worker **workers;
    unsigned nworkers;
    /* Where <o> ends now; false: it has no file yet. */
    bool (*end_of)(const struct origin *o, struct position *end);
};

struct tails *tails_create(const struct tails_env *env);
/* Answers <r> with what <v> shows: lines until one of both has enough; 400 when the question is wrong,
 * 404 when there is no such stream (403 when <v> shows a part only), 429 when there are too many tails, 503 when the daemon stops. */
void tails_ask(struct tails *ts, struct view *v, const struct http_incoming *q,
               struct http_reply *r);
/* Cuts off the tails of <v>: who gave it has taken it back. */
void tails_end_view(struct tails *ts, const struct view *v);
/* <o> is there, or has its name. */
void tails_seen(struct tails *ts, struct origin *o);
/* Worker <worker> has forgotten <stream>. */
void tails_forgotten(struct tails *ts, unsigned worker, uint64_t stream);
/* All end; no more are answered. Before the workers stop. NULL is fine, as below. */
void tails_stop(struct tails *ts);
void tails_free(struct tails *ts);

#endif
