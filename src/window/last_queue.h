/*
 * Searches for the last lines of streams, on a thread of libuv's pool. One at a time: these threads
 * write the state, too.
 */
#ifndef WINDOW_LAST_QUEUE_H
#define WINDOW_LAST_QUEUE_H

#include "base/list.h"
#include "drains/members/tail.h"
#include "streams/origin.h"
#include "window/last_lines.h"

struct last_queue {
    struct loop *loop;
    struct list searches; /* the first is under way */
    /* Called for each stream of a search, unless its tail has ended. */
    void (*found)(void *tail, const struct last_stream *s);
};

/* The files of <o> that have a name. <previous>: of before its container's last restart. */
void last_stream_init(struct last_stream *s, const struct origin *o, bool previous);
void last_queue_init(struct last_queue *q, struct loop *loop,
                     void (*found)(void *tail, const struct last_stream *s));
/* Looks for the last <lines> of each of the <n> <streams>, which it takes over, for port->tail. */
void last_queue_add(struct last_queue *q, struct tail_port *port, unsigned lines,
                    struct last_stream *streams, unsigned n);
/* Nothing is found any more. */
void last_queue_stop(struct last_queue *q);

#endif
