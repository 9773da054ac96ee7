/*
 * One tail: its streams, and the batches that wait for its client. tails.c has all of them, and uses
 * this; nobody else does. After a call that says so, the tail may be gone.
 */
#ifndef WINDOW_TAIL_H
#define WINDOW_TAIL_H

#include "base/list.h"
#include "drains/members/tail.h"
#include "window/last_queue.h"
#include "window/notes.h"
#include "window/query.h"
#include "window/sse.h"
#include "window/tails.h"

struct tails {
    struct tails_env env;
    struct list all; /* of struct tail */
    unsigned n;
    uint64_t number; /* of the last one */
    struct last_queue searches;
    struct loop_timer *ping;
    struct loop_timer *until; /* runs while a tail waits for its until= */
    bool stopping;
};

/* One of its streams. */
struct tail_stream {
    struct list node; /* tail->streams */
    uint64_t id;
    struct identity *identity; /* one reference */
    unsigned worker;
};

struct tail {
    struct list node; /* tails->all */
    struct tails *set;
    struct window_query query;
    struct http_reply *reply; /* NULL: the client has gone */
    struct sse *sse;          /* owned; NULL: the client gets the records as they are */
    bool resumed;             /* ... else it goes on where it was */
    bool aside;               /* an event's head or a comment is being written, not a batch */
    bool quiet;               /* nothing was written since the last ping */
    struct tail_port *port;   /* one reference */
    struct drain_spec *spec;  /* one reference */
    struct list streams;      /* of struct tail_stream: those that are read */
    bool done;                /* there is nothing more to come: it ends when all is written */
    struct notes notes;
    struct list batches;        /* of struct tail_batch: they wait for ... */
    struct tail_batch *writing; /* ... this one to be written; NULL = nothing is */
    uint64_t first_new;         /* streams from this id on were not there when it began */
    struct view *view;          /* one reference */
};

/* Takes <q> and <sse> over. */
struct tail *tail_create(struct tails *ts, const struct window_query *q, struct view *v,
                         struct sse *sse, bool resumed, struct http_reply *r);
/* Answers with its lines, or that there are none. It may be gone. */
void tail_begin(struct tail *t);
/* <whole>: the client has all that it asked for. It is gone. */
void tail_end(struct tail *t, bool whole);

/* <o> is not read yet, and is to be. */
bool tail_wants(const struct tail *t, const struct origin *o);
/* Reads <o> from its first byte, if it was not there when <t> began; else from where <t> wants to
 * begin. */
void tail_attach(struct tail *t, struct origin *o);
/* A stream of the search for last lines was searched: from the line that was found; if none was,
 * from now on. It may be gone. */
void tail_attach_at(void *tail, const struct last_stream *found);
struct tail_stream *tail_find(const struct tail *t, uint64_t id);
/* <s> has ended. It may be gone. */
void tail_leave(struct tail *t, struct tail_stream *s);
/* <s> is no longer read. It may be gone. */
void tail_detach(struct tail *t, struct tail_stream *s);
/* It may be gone. */
void tail_write_next(struct tail *t);
void tail_refuse(struct http_reply *r, int status, const char *text);

#endif
