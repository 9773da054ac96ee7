/*
 * A tail: somebody looks at lines. Its peer is on the control thread, which writes each batch to
 * the client; when that is done the batch is delivered. So a tail pulls as every drain does, has one
 * batch in flight for each worker, no queue, and a client that does not read holds up nobody else.
 *
 *   worker                           control thread
 *   send() ── struct tail_batch ──▶  port->take()
 *   settle ◀────────────────────────  tail_batch_done(), always
 *   tap.dry ───────────────────────▶  port->dry()
 *
 * It is no member of the list in members.h: there is no URL for it.
 */
#ifndef DRAINS_TAIL_H
#define DRAINS_TAIL_H

#include "base/list.h"
#include "drains/core/worker.h"
#include "drains/spec/spec.h"

enum tail_fds { TAIL_STDOUT = 1 << RECORD_STDOUT, TAIL_STDERR = 1 << RECORD_STDERR };

/* A batch on its way to the client. It belongs to the control thread until tail_batch_done(). */
struct tail_batch {
    struct mail mail;
    struct list node; /* the receiver's */
    struct tail_port *port;
    struct str body; /* whole records; the worker's, which does not touch it meanwhile */
    uint32_t records;
    struct mailbox *back;
    struct batch *batch;
};

/* What a tail's drains need to know of it. Counted; immutable, but for <tail>. */
struct tail_port {
    _Atomic unsigned refs;
    struct mailbox *control;
    void *tail; /* of the control thread alone; NULL: it has ended, nobody is told any more */
    void (*take)(void *tail, struct tail_batch *b);
    /* All that there was of <stream> has been delivered. */
    void (*dry)(void *tail, uint64_t stream);
    bool follow;   /* nobody asks for dry() */
    unsigned fds;  /* of enum tail_fds: lines of others are not wanted */
    int64_t since; /* nor lines of an earlier second since the epoch; 0 = all ... */
    int64_t until; /* ... or of a later one; INT64_MAX = all */
};

struct tail_port *tail_port_ref(struct tail_port *p);
void tail_port_unref(struct tail_port *p);
/* A drain for <port>, of which it takes a reference over. <number>: no other tail has it. */
struct drain_spec *tail_spec_create(struct tail_port *port, uint64_t number, enum format format,
                                    struct err *e);
/* The client has it, or nobody wants it any more. */
void tail_batch_done(struct tail_batch *b);

#endif
