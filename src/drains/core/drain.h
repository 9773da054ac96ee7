/*
 * A drain: one destination, served by one worker. The framework (drain.c, batch.c, worker.c) does
 * pulling, batching, ordering, retry, backoff, counting and logging. A member (syslog.c, http.c, …)
 * sends a batch in its protocol and translates the answers into verdicts.
 *
 *            open()                opened                 send(batch)
 *   CLOSED ─────────▶ OPENING ──────────────▶ OPEN ────────────────────▶ member
 *     ▲                  │ disconnected         │ disconnected, RETRY, HOLD │
 *     └──── WAITING ◀────┴──────────────────────┘        drain_settle(batch, verdict)
 *          (backoff)
 *
 * Rules for members: every send() is answered by exactly one drain_settle(), which may be called
 * from inside send(), because it only queues the verdict. A member never sleeps, retries, counts,
 * logs or chooses what to send. It reads every reply of its peer.
 */
#ifndef DRAINS_DRAIN_H
#define DRAINS_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "drains/spec/spec.h"
#include "sieve/sieve.h"
#include "streams/stream.h"

struct worker;
struct drain;

enum verdict {
    VERDICT_DELIVERED = 1, /* confirmed by the peer; UDP has no answers: taken by the kernel */
    VERDICT_SENT,          /* handed over; drain_confirm() with batch->end or later confirms it */
    VERDICT_RETRY,         /* send the same batch again, after a backoff or batch->retry_after_ms */
    /* The peer refuses the batch: halve it. A single record is skipped, unless the peer refuses
     * everything else too. */
    VERDICT_REJECTED,
    VERDICT_TOO_LARGE, /* as REJECTED, because of the size: the lower limit is remembered */
    /* The drain's configuration is wrong (401, 403, 404): suspend it, skip nothing, try seldom. */
    VERDICT_HOLD,
    VERDICT_OFFLINE, /* not connected (any more): keep the batch, reconnect first */
    VERDICT_MIXED,   /* the peer answered for each record: see batch_outcomes() */
};

/* One piece of a batch, read from one cursor. A cursor may have several in a batch. */
struct batch_range {
    struct drain_cursor *cursor; /* NULL if the cursor was removed meanwhile */
    struct mark from, to;
    uint32_t records;
    uint32_t gaps;   /* records that are not lines but gap records */
    uint64_t bytes;  /* message bytes, lines only */
    uint64_t dry_at; /* loop time at which <to> was the end of the stream; 0 = it was not */
    /* VERDICT_MIXED */
    bool stuck;  /* some records of its cursor are sent again */
    bool passed; /* some are not */
};

struct batch {
    struct list node; /* drain->inflight, or the worker's settled list */
    struct drain *drain;
    struct buf body; /* formatted and framed: the bytes on the wire */
    struct batch_range *ranges;
    unsigned nranges, ranges_cap;
    uint32_t records;
    uint32_t gaps;  /* records that are gap records */
    uint64_t bytes; /* message bytes, lines only */
    struct str now; /* time for records that have none; points into <now_text> */
    char now_text[CLOCK_TEXT_SIZE];
    size_t len;     /* length of the body, also while the body is not in memory */
    size_t extra;   /* set by the member: bytes of memory it holds for the batch beside the body */
    size_t fixed;   /* set by the member: bytes it holds until the batch is settled */
    size_t charged; /* total charged to the budget ... */
    size_t charged_fixed;  /* ... of which for <fixed> */
    struct list body_node; /* worker->sending */
    uint64_t handed_at;    /* loop time at which the member got it */
    uint64_t moved_at;     /* loop time at which the peer last took bytes of it */
    size_t answer;         /* bytes of the peer's answer in memory */
    bool sent;             /* the kernel has taken all of the body */
    bool alone;            /* drain->alone when it was filled */
    bool guessed;          /* REJECTED because the connection ended, not because the peer said so */
    bool shelved;          /* the body was released and can be read again */
    unsigned tries;        /* times that the peer had all of such a batch: see repeat.c */
    /* Hash that the body must have when read again; 0 = only the length is checked. */
    uint64_t shelved_hash;
    /* Of the first record's stream, for members that address by it; valid while in flight. */
    struct str hostname;

    /* Set by the member, with its answer. <end> is for VERDICT_SENT: position in the member's own byte or record count, which only grows. */
    uint64_t end;
    int64_t retry_after_ms; /* -1 = none */
    struct err err;         /* why it was not delivered; empty when it was */
    /* VERDICT_DELIVERED: but so many of its records were refused, and the peer does not say which. */
    uint32_t dropped;
    /* VERDICT_MIXED: why a record was REJECTED; <err> is why others must wait. For <dropped>, too. */
    struct err refusal;
    unsigned char *outcomes; /* VERDICT_MIXED: owned; NULL until batch_outcomes() is called */
    enum verdict verdict;
    void *member; /* for the member's use while it has the batch */
};

enum drain_tap_answer {
    TAP_PASS = 0, /* passed over, as if it had been delivered */
    TAP_TAKE,
    TAP_LATER, /* not taken, and asked for again: others go on first */
};

/* Of a member that has a say in what is read for it. */
struct drain_tap {
    /* A batch begins. */
    void (*turn)(struct drain *d);
    enum drain_tap_answer (*wants)(struct drain *d, const struct drain_cursor *c,
                                   const struct record *r);
    /* <c>, which has been dry once: true = it skips what it has not read of its file. */
    bool (*skips)(struct drain *d, const struct drain_cursor *c);
    /* All that there was for <c> when it was last read has been delivered. May come again. */
    void (*dry)(struct drain *d, const struct drain_cursor *c);
};

struct drain_ops {
    const char *name;
    const struct drain_tap *tap; /* NULL = the member takes every record */
    /* Allocates a member for <spec>, which the base references. No I/O. NULL with <e> set on
     * failure. */
    struct drain *(*create)(struct worker *wk, struct drain_spec *spec, struct err *e);
    /* Starts to connect. Answered by drain_opened() or drain_disconnected(). NULL = always open. */
    void (*open)(struct drain *d);
    /* Sends <batch>. Answered by exactly one drain_settle(), which may be called from inside
     * send(). Called only in state OPEN, and only while fewer than d->slots batches are
     * unsettled. */
    void (*send)(struct drain *d, struct batch *batch);
    /* The peer has taken nothing of an unsettled batch for some time. Calls drain_shelve() and
     * frees the member's own memory for the batch. NULL = drain_shelve() is enough. */
    void (*shelve)(struct drain *d, struct batch *batch);
    /* The drain has failed several times, and nothing is in flight. Frees what can be created
     * again. NULL = nothing to free. */
    void (*rest)(struct drain *d);
    /* Closes the connection, settles batches in flight as OFFLINE, then calls drain_closed().
     * Idempotent. With <flush>, first lets written data reach the peer, within the worker's
     * deadline. */
    void (*close)(struct drain *d, bool flush);
    /* Called after drain_closed(), never from inside a callback of the member. */
    void (*free)(struct drain *d);
};

enum drain_state { DRAIN_CLOSED = 0, DRAIN_OPENING, DRAIN_OPEN, DRAIN_WAITING, DRAIN_CLOSING };

/* Why sending failed, as far as the error tells. */
enum drain_error {
    DRAIN_ERROR_DNS = 0,
    DRAIN_ERROR_UNREACHABLE,  /* nobody listens, no way there, no answer to a connect */
    DRAIN_ERROR_NOT_ALLOWED,  /* by the egress policy, or the kernel */
    DRAIN_ERROR_TIMEOUT,      /* an answer, a handshake, or a write */
    DRAIN_ERROR_DISCONNECTED, /* the connection ended */
    DRAIN_ERROR_PROTOCOL,     /* TLS, a certificate, an answer that makes no sense */
    DRAIN_ERROR_HELD,         /* 401, 403, 404, ...: the drain's configuration is refused */
    DRAIN_ERROR_BUSY,         /* 429, 5xx: to be sent again */
    DRAIN_ERROR_REJECTED,     /* records: the peer will not take them */
    DRAIN_ERROR_OTHER,
    DRAIN_ERRORS
};

#define SEND_BUCKETS 8
/* What all drains of one scheme and asker did on one worker, those that are no more included. */
struct scheme_counters {
    uint64_t sends[SEND_BUCKETS]; /* batches that were taken, by how long that took */
    uint64_t send_ms;             /* ... added up */
    uint64_t errors[DRAIN_ERRORS];
};
/* Upper bounds of the buckets in ms; the last one has none. */
extern const uint64_t scheme_bucket_ms[SEND_BUCKETS - 1];
const char *drain_error_name(enum drain_error error);
struct scheme_stats {
    struct list node;
    const struct drain_scheme *scheme;
    bool owner; /* of workloads' drains */
    struct scheme_counters counters;
};

/* Counters of one drain on one worker; the control thread gets copies. "Records" are lines. Gap
 * records are counted apart, so that lines written = confirmed + lost + pending. */
struct drain_counters {
    uint64_t records_in;  /* read for the drain; a retry counts again */
    uint64_t bytes_in;    /* message bytes */
    uint64_t records_out; /* confirmed; best effort: handed to the kernel */
    uint64_t bytes_out;   /* message bytes of records_out */
    uint64_t wire_bytes;  /* formatted bytes handed to the member */
    uint64_t batches;
    uint64_t retries;   /* batches answered with RETRY, HOLD or OFFLINE */
    uint64_t rewinds;   /* connections whose end made lines be sent again */
    uint64_t rejected;  /* records skipped because the peer refuses them */
    uint64_t too_large; /* of <rejected>: because of their size */
    uint64_t truncated; /* records cut at max= */
    /* File bytes committed without confirmation (docs/design.md#acknowledgement). */
    uint64_t unconfirmed;
    uint64_t connects;
    uint64_t connect_errors;
    uint64_t disconnects;  /* connections that ended abnormally */
    uint64_t lost_known;   /* best effort: datagrams known to be lost */
    uint64_t unsubscribed; /* redis: records published without a subscriber */
    uint64_t gaps;         /* gap records confirmed */
    /* File bytes that it will never receive, counted when this is known. */
    uint64_t lost[GAP_REASONS];
    uint64_t cut; /* bytes beyond MAX_LINE of lines, counted when confirmed */
    /* Lines that its sieve left out; those that are read again count once. */
    uint64_t filtered[SIEVE_REASONS];
    /* ... and lines that it kept because an expression takes too many steps to decide. */
    uint64_t undecided;
    uint64_t redacted; /* ... and lines in which redact= has masked something */
};

/* Adds <more> to <to>. */
void drain_counters_add(struct drain_counters *to, const struct drain_counters *more);

/* What a pipelined drain knows of a cursor when its connection ends with records in doubt; see
 * rewind.c. */
struct rewound {
    struct mark reached; /* what the peer's kernel had received when the last connection ended */
    struct position at;  /* position of the last rewind ... */
    unsigned times;      /* ... number of consecutive rewinds there ... */
    struct mark to;      /* ... and what the peer's kernel had received each time */
};

/* The position of one drain in one stream. */
struct drain_cursor {
    struct cursor cursor;
    struct drain *drain;
    struct list ready_node;      /* drain->ready, while it has data to read and nothing in flight */
    struct list drain_node;      /* drain->cursors */
    struct list wait_node;       /* worker->waiting, while READ_WAIT or READ_STUCK */
    struct formatter *formatter; /* NULL until needed: see drain_cursor_formatter() */
    unsigned inflight;           /* batches and ledger entries that hold a range of it */
    bool pending;                /* there may be data to read */
    bool busy; /* in flight, and the drain is not pipelined: its next batch waits for the answer */
    bool probing; /* stuck on refused records: newly written lines are tried meanwhile */
    bool ended;   /* READ_END */
    /* Consecutive times that the peer refused some of its records for now, while it took others. */
    unsigned stuck_tries;
    uint64_t stuck_until; /* loop time until which it pauses because of that; 0 = no pause */
    /* Loop time as of which all was sent (confirmed, if the drain has confirmation). */
    uint64_t caught_up_at;
    bool live;            /* drain_tap.dry was called for it once ... */
    uint64_t behind_at;   /* ... and when it was first read after the last time; 0 = it was not */
    uint32_t ledger_slot; /* index hint for the ledger */
    struct position reject_pos; /* the record that was refused alone ... */
    unsigned reject_tries;      /* ... and how often */
    /* See refusal.c. */
    uint32_t suspects; /* records refused behind <acked> and not skipped; <sent> is behind them */
    uint32_t allowed; /* suspects that may be skipped, because the peer took a record behind them */
    uint64_t suspected_at;   /* drain->accepted when the first suspect was found */
    uint32_t refused_run;    /* records skipped since the peer last took one of this stream */
    struct rewound *rewound; /* NULL unless the last connection ended with records in doubt */
    uint64_t cut;            /* the part of acked.cut that was counted */
    struct surplus *surplus; /* lines over rate= that it was not told of yet; NULL = none */
    struct position judged;  /* lines before it that the sieve left out were counted */
};

struct drain {
    const struct drain_ops *ops;
    struct worker *worker;
    struct drain_spec *spec;    /* one reference */
    struct drain_place place;   /* of <spec>, hashed once: each write of the state needs it */
    struct scheme_stats *stats; /* the worker's, shared with others of its scheme */
    struct list node;           /* worker->drains */
    struct list work_node;      /* worker->work, while there is work this turn */
    struct list connect_node;   /* worker->connecting, while it waits for a connection token */
    struct list cursors;        /* of struct drain_cursor */
    struct list ready;          /* cursors with data to read, served round-robin */
    struct list inflight;       /* batches that the member has */
    struct list repeats;        /* batches without a body: how to cut the next ones (repeat.c) */
    struct party *party;        /* account for its memory; NULL before its first stream */
    struct port *port;          /* the port it waits with while it never connected; NULL = none */
    struct list host_node;      /* port->waiting */
    struct list starved_node;   /* worker->starved, while it waits for memory */
    /* VERDICT_SENT: ranges that wait for drain_confirm(); NULL until needed. */
    struct ledger *ledger;
    enum drain_state state;
    unsigned ninflight;
    unsigned slots; /* set by the member: batches it takes at the same time */
    /* Set by the member: one connection in order, so a stream may have several batches in
     * flight. */
    bool pipelined;
    bool exclusive; /* set by the member: no other drain can use what it has open */
    bool lags;      /* set by the member: not pipelined, but settles as SENT; see seek.c */
    /* Only if <lags>: searching for a bad record with one batch in flight. The member settles it
     * as drain_seek_step() or drain_blame() returns. */
    bool alone;
    bool sure;     /* ... nothing else is unconfirmed, and nothing follows before it is confirmed */
    bool searched; /* a search has been made ... */
    bool unproven; /* ... and nothing has shown yet that one record is the cause */
    bool blamed;   /* a connection ended as drain_blame() describes; nothing was confirmed since */
    uint64_t sought_at; /* drain->accepted when the search began */
    bool soon;          /* ... the search goes on: reconnect without a backoff */
    /* Set by the member if pipelined: the position (as batch->end) up to which the peer's kernel
     * has its data; valid when it calls drain_disconnected(). */
    uint64_t reached;
    bool fresh;        /* the state had no record of it when it was created */
    bool healthy;      /* the last answer was good; if not, batches are small probes */
    bool failing;      /* the failure was logged */
    bool suspended;    /* WAITING because its configuration is wrong */
    bool lingered;     /* linger= has passed for the ready cursors */
    bool closed;       /* drain_closed() was called */
    bool unused;       /* it has no stream and is not closing */
    unsigned attempts; /* consecutive failures */
    /* Cursors with stuck_tries: the drain counts as failing although it takes data. */
    unsigned nstuck;
    size_t batch_target;   /* current fill target, in bytes */
    size_t batch_limit;    /* learned from TOO_LARGE; 0 = none */
    uint32_t record_limit; /* halved by REJECTED, doubled by DELIVERED; 0 = none */
    uint64_t suspect;      /* records until the record limit is lifted ... */
    uint64_t before;       /* ... and if <lags>, records before these that are sent again first */
    uint64_t accepted; /* answers by which the peer took something, since the drain was created */
    uint32_t refused_run; /* records skipped since the last of these ... */
    /* ... and records refused but not skipped, since then or since the last pause. */
    uint32_t suspects;
    struct loop_timer *timer; /* backoff, linger; NULL until needed */
    uint64_t failing_since;
    int64_t succeeded_at; /* wall time in ms at which the peer last took something; 0 = never */
    uint64_t opened_at;
    uint64_t looked_at;    /* see drain_seen_until() */
    unsigned search_steps; /* of its expressions in this turn; see pick.c */
    uint64_t slowed_until; /* loop time before which it has no turn, because they were too many */
    uint64_t unused_since; /* loop time at which its last cursor was removed */
    struct err last_error;
    uint64_t sampled_at;  /* loop time of the last lag sample ... */
    uint64_t sampled_lag; /* ... the lag in it ... */
    uint64_t growth;      /* ... and its growth since the sample before, bytes a second */
    struct drain_counters counters;
};

/* ---- called by members ---- */

/* In create(): initialises the base. */
void drain_init(struct drain *d, const struct drain_ops *ops, struct worker *wk,
                struct drain_spec *spec);
/* In free(): releases the base. */
void drain_release(struct drain *d);
/* The egress policy that applies to its connections; NULL = none. */
const struct egress *drain_egress(const struct drain *d);
/* Changes d->slots. */
void drain_set_slots(struct drain *d, unsigned slots);
void drain_opened(struct drain *d);
/* The connection failed or ended. <clean>: the peer closed it in order, and nothing that was handed
 * over is in doubt; if not, everything unconfirmed is sent again. The member first settles what it
 * still has as OFFLINE. */
void drain_disconnected(struct drain *d, bool clean, const struct err *e);
/* As drain_disconnected() without <clean>, when the peer gave a reason: VERDICT_HOLD (it refuses
 * our credentials) or VERDICT_OFFLINE, and when to reconnect (-1 = not given). */
void drain_disconnected_for(struct drain *d, enum verdict v, int64_t retry_after_ms,
                            const struct err *e);
void drain_settle(struct drain *d, struct batch *b, enum verdict v);
/* For VERDICT_MIXED: one outcome per record, in the order of the body; initially all DELIVERED. An
 * outcome may be RETRY or HOLD: this record and all that follow in its stream are sent again, also
 * the delivered ones, so the peer must recognise duplicates; other streams go on. Or REJECTED: the
 * record is skipped at once, counted and logged. Not for pipelined drains. */
unsigned char *batch_outcomes(struct batch *b);
/* For a member without open(): counts connections made and attempts failed. */
void drain_count_connects(struct drain *d, unsigned made, unsigned failed);
/* The member keeps the body of <b> and sends it in pieces; the peer has taken some of it or is
 * about to. From now on the framework may shelve the body whenever it makes no progress, so the
 * member calls drain_unshelve() before each use. */
void drain_moved(struct drain *d, struct batch *b);
/* The kernel has taken all of the body: it is released, unless the answer needs it (<keep>). To
 * send it again from the start, call drain_unshelve(). */
void drain_body_sent(struct drain *d, struct batch *b, bool keep);
/* b->extra is a copy of the body, sent in pieces from there. The body is released, and the
 * framework may ask for the copy too when it makes no progress (ops->shelve). Before the body is
 * copied again, call drain_unshelve(). */
void drain_body_copied(struct drain *d, struct batch *b);
/* Releases the body of an unsettled batch; the log file still has the data. */
void drain_shelve(struct drain *d, struct batch *b);
/* Reads an identical body again if it was released. -1 = not possible (the file was truncated,
 * ...): the member must close the connection. */
int drain_unshelve(struct drain *d, struct batch *b);
/* Call after b->extra has changed. */
void drain_charge(struct batch *b);
/* The answer to <b> now takes <bytes> of memory; 0 = none (any more). False: the budget does not
 * allow it, and the answer should be dropped. */
bool drain_charge_answer(struct batch *b, size_t bytes);
/* Everything up to <end> (see VERDICT_SENT) is confirmed. */
void drain_confirm(struct drain *d, uint64_t end);
/* For a member that confirms by time, called once each time its timer fires. Returns the loop time
 * up to which all events of the connection have been seen. This is the time of the previous call,
 * because after a pause of the whole process timers fire before the loop reports that a connection
 * has ended. */
uint64_t drain_seen_until(struct drain *d);
/* As drain_confirm(), for what was settled as SENT at least COMMIT_LAG_MS before <seen_until>. True
 * when more remains to be confirmed. */
bool drain_confirm_old(struct drain *d, uint64_t seen_until);
/* For a member that lags, called before it settles its batches and calls drain_disconnected_for():
 * the connection ended as if the peer had failed on an unconfirmed record. <said>: REJECTED or
 * TOO_LARGE if the peer said so of a message, else OFFLINE. True: the oldest batch is meant; settle
 * it as REJECTED or TOO_LARGE and the others as OFFLINE. False: settle all as OFFLINE. */
bool drain_blame(struct drain *d, enum verdict said);
/* For a batch that is sent alone and was answered <for_ms> ago: SENT if the next one may follow,
 * DELIVERED if it is confirmed, 0 = wait. */
enum verdict drain_seek_step(const struct drain *d, uint64_t for_ms);
/* The peer closes the connection in order: everything settled as SENT is confirmed. */
void drain_closed_by_peer(struct drain *d);
/* Whether something is unconfirmed. */
bool drain_unconfirmed(const struct drain *d);
void drain_closed(struct drain *d);

/* ---- called by the worker ---- */

struct drain *drain_create(struct worker *wk, struct drain_spec *spec, struct err *e);
void drain_send(struct drain *d, struct batch *b);
/* The work of one turn: settle, connect, then fill and send at most one batch. True when there is
 * more to do right now. */
bool drain_work(struct drain *d);
void drain_act_on(struct batch *b);
void drain_close(struct drain *d, bool flush);
void drain_free(struct drain *d);

/* Adds a cursor of <d> in <s>. */
struct drain_cursor *drain_attach(struct drain *d, struct stream *s, const struct position *end);
/* Adds a cursor for data that was appended to a file after <main> had left it; it starts where <r>
 * says. */
void drain_attach_late(struct drain_cursor *main, const struct state_record *r);
/* ... or where <from>, which was parked, stood. */
void drain_attach_late_like(struct drain_cursor *main, struct cursor *from);
/* Frees it and its late cursors. What they still have in flight belongs to no cursor from then
 * on. */
void drain_cursor_drop(struct drain_cursor *c);
/* The stream's identity has changed. */
void drain_cursor_rename(struct drain_cursor *c);

/* Nothing of it is saved, reported or logged: DRAIN_TRANSIENT. */
static inline bool drain_is_transient(const struct drain *d)
{
    return d->spec->scheme->flags & DRAIN_TRANSIENT;
}

const char *drain_state_name(const struct drain *d);

#endif
