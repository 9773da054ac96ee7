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
#include "match/filter.h"

enum tail_fds { TAIL_STDOUT = 1 << RECORD_STDOUT, TAIL_STDERR = 1 << RECORD_STDERR };

/* Where a client is in a stream: it has had the record at <off> of a file, and all before it. */
struct tail_place {
    uint64_t key;     /* identity_key() of the stream */
    uint64_t segment; /* record.segment */
    uint64_t off;
    int64_t second; /* of the record's time */
};

/* Records of one stream, one after another in a batch. */
struct tail_range {
    uint64_t key;
    uint32_t records;
};

/* A batch on its way to the client. It belongs to the control thread until tail_batch_done(). */
struct tail_batch {
    struct mail mail;
    struct list node; /* the receiver's */
    struct tail_port *port;
    struct str body; /* whole records; the worker's, which does not touch it meanwhile */
    uint32_t records;
    const struct tail_range *ranges; /* of its records, if <framed>; the worker's, too */
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
    bool framed; /* "<id> <length> " stands before each record, and ranges say whose it is */
    _Atomic bool follow;       /* nobody asks for dry() */
    bool previous;             /* only lines before the last restart of a container are wanted */
    bool lossless;             /* a slow client skips nothing */
    unsigned fds;              /* of enum tail_fds: lines of others are not wanted */
    int64_t since;             /* nor lines of an earlier second since the epoch; 0 = all ... */
    int64_t until;             /* ... or of a later one; INT64_MAX = all */
    struct filter *filter;     /* owned; NULL = all lines are wanted */
    struct tail_place *places; /* owned: what a client has had, and does not want again */
    unsigned nplaces;
};

struct tail_port *tail_port_ref(struct tail_port *p);
void tail_port_unref(struct tail_port *p);
/* A drain for <port>, of which it takes a reference over. <number>: no other tail has it. */
struct drain_spec *tail_spec_create(struct tail_port *port, uint64_t number, enum format format,
                                    struct err *e);
/* The client has it, or nobody wants it any more. */
void tail_batch_done(struct tail_batch *b);

#endif
