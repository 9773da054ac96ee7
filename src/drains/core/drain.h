/*
 * A drain: one destination of one worker. The framework (drain.c, batch.c, worker.c) owns pulling,
 * batching, order, retry, backoff, counting and logging; a member (syslog.c, http.c, …) only knows
 * how to hand a batch over and what the answers mean.
 *
 *            open()                opened                 send(batch)
 *   CLOSED ─────────▶ OPENING ──────────────▶ OPEN ────────────────────▶ member
 *     ▲                  │ lost                 │ lost, RETRY, HOLD         │
 *     └──── WAITING ◀────┴──────────────────────┘        drain_settle(batch, verdict)
 *          (backoff)
 *
 * Rules for members: send() is answered exactly once by drain_settle(), also from inside send();
 * settle only queues. A member never sleeps, retries, counts, logs, or chooses what to send, and
 * reads every reply its peer makes.
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
#include "streams/stream.h"

struct worker;
struct drain;

enum verdict {
    VERDICT_DELIVERED =
        1, /* the peer confirmed it, or the protocol has no answer (UDP) and the kernel took it */
    VERDICT_SENT, /* handed over; drain_confirm() with batch->end or later says when it is confirmed
                   */
    VERDICT_RETRY,     /* the same again later, after backoff (or batch->retry_after_ms) */
    VERDICT_REJECTED,  /* the peer will not take it as it is: halve, and pass over the one that
                          stands alone, unless it takes nothing else either */
    VERDICT_TOO_LARGE, /* the same because of its size: the lower limit is kept */
    VERDICT_HOLD, /* the drain's configuration is wrong (401, 403, 404): hold everything, try seldom
                   */
    VERDICT_OFFLINE, /* not connected (any more): keep it, reopen first */
    VERDICT_MIXED,   /* the peer answered for each record: batch_outcomes() has them */
};

/* A cursor's turn in a batch; a cursor may have several. */
struct batch_range {
    struct drain_cursor *cursor; /* NULL when it was removed meanwhile */
    struct mark from, to;
    uint32_t records;
    uint32_t gaps;   /* of these: not lines, but what says that some were lost */
    uint64_t bytes;  /* of message, lines only */
    uint64_t dry_at; /* loop time at which <to> was the end of the stream; 0 = it was not */
    /* VERDICT_MIXED */
    bool stuck;  /* something of its cursor comes again */
    bool passed; /* some of it does not */
};

struct batch {
    struct list node; /* drain->inflight, or the worker's settled list */
    struct drain *drain;
    struct buf body; /* formatted, framed: what goes on the wire */
    struct batch_range *ranges;
    unsigned nranges, ranges_cap;
    uint32_t records;
    uint32_t gaps;  /* of these: gap records */
    uint64_t bytes; /* of message, lines only */
    struct str now; /* the time that records without one were given; points into <now_text> */
    char now_text[CLOCK_TEXT_SIZE];
    size_t len;            /* of the body, also while that is not in memory */
    size_t extra;          /* the member's: bytes that it has in memory for it beside the body */
    size_t fixed;          /* the member's: bytes that it takes until it is settled */
    size_t charged;        /* of all, as the budget has it ... */
    size_t charged_fixed;  /* ... and of <fixed> alone */
    struct list body_node; /* worker->sending */
    uint64_t moved_at;     /* loop time at which the peer last took some of it */
    size_t answer;         /* bytes of the peer's answer that are in memory */
    bool sent;             /* all of the body is with the kernel */
    bool alone;            /* as drain->alone */
    bool guessed;          /* REJECTED because the connection ended; the peer did not say so */
    bool shelved;          /* it was let go, and may be made again */
    uint64_t shelved_hash; /* what it must be then; 0 = of the same length will do */
    struct str hostname;   /* of the first record's stream, for members that address by it; valid
                              while in flight */

    /* The member's, for its answer. */
    uint64_t end;           /* VERDICT_SENT: place in the member's own count, only growing */
    int64_t retry_after_ms; /* -1 = none */
    struct err err;         /* why not; empty when delivered */
    struct err refusal; /* VERDICT_MIXED: why a record was REJECTED, as <err> is why others wait */
    unsigned char *outcomes; /* VERDICT_MIXED: owned; NULL until batch_outcomes() is called */
    enum verdict verdict;
    void *member; /* free for the member while it has the batch */
};

struct drain_ops {
    const char *name;
    /* Allocates a member for <spec> (referenced by the base). No I/O. NULL with <e> set on failure.
     */
    struct drain *(*create)(struct worker *wk, struct drain_spec *spec, struct err *e);
    /* Starts to connect; answered by drain_opened() or drain_disconnected(). NULL = always open. */
    void (*open)(struct drain *d);
    /* Takes <batch>. Answers exactly once with drain_settle(), even from inside send(). Called only
     * while OPEN and while fewer than d->slots batches are unsettled. */
    void (*send)(struct drain *d, struct batch *batch);
    /* The peer has taken nothing of an unsettled batch for a while: calls drain_shelve(), and lets
     * go of what it has itself for it. NULL = drain_shelve() will do. */
    void (*shelve)(struct drain *d, struct batch *batch);
    /* It has failed, nothing is in flight, and it will be a while: lets go of what it can make
     * again. NULL = nothing. */
    void (*rest)(struct drain *d);
    /* Says goodbye and settles what is in flight as OFFLINE, then drain_closed(). Idempotent. With
     * <flush>, lets what was written reach the peer first (bounded by the worker's deadline). */
    void (*close)(struct drain *d, bool flush);
    /* After drain_closed(); never from a callback of the member's own. */
    void (*free)(struct drain *d);
};

enum drain_state { DRAIN_CLOSED = 0, DRAIN_OPENING, DRAIN_OPEN, DRAIN_WAITING, DRAIN_CLOSING };

/* Counters of one drain on one worker; the control thread gets copies. Records are lines: gap
 * records are counted apart, so that lines written = confirmed + lost + pending. */
struct drain_counters {
    uint64_t records_in;  /* read for it, retries counted again */
    uint64_t bytes_in;    /* message bytes */
    uint64_t records_out; /* confirmed (best effort: handed to the kernel) */
    uint64_t bytes_out;   /* message bytes of them */
    uint64_t wire_bytes;  /* formatted bytes handed to the member */
    uint64_t batches;
    uint64_t retries;     /* batches that were answered RETRY, HOLD or OFFLINE */
    uint64_t rewinds;     /* connections after whose end lines are sent again */
    uint64_t rejected;    /* records passed over because the peer refuses them */
    uint64_t too_large;   /* of these: because of their size */
    uint64_t truncated;   /* records cut by max= */
    uint64_t unconfirmed; /* file bytes committed without confirmation
                             (docs/design.md#acknowledgement) */
    uint64_t connects;
    uint64_t connect_errors;
    uint64_t disconnects;  /* connections that ended abnormally */
    uint64_t lost_known;   /* best effort: datagrams known lost */
    uint64_t unsubscribed; /* redis: records published to nobody */
    uint64_t gaps;         /* gap records confirmed */
    uint64_t
        lost[GAP_REASONS]; /* bytes of files that it will never get, counted when that is known */
    uint64_t cut; /* bytes of lines above MAX_LINE that were passed over, counted when confirmed */
};

/* Adds all of <more>. */
void drain_counters_add(struct drain_counters *to, const struct drain_counters *more);

/* One drain's place in one stream. */
struct drain_cursor {
    struct cursor cursor;
    struct drain *drain;
    struct list ready_node; /* drain->ready while it has something to read and nothing in flight */
    struct list drain_node; /* drain->cursors */
    struct list wait_node;  /* worker->waiting, while READ_WAIT or READ_STUCK */
    struct formatter *formatter; /* NULL until it is needed: drain_cursor_formatter() */
    unsigned inflight;           /* batches and ledger entries that hold a range of it */
    bool pending;                /* something may be there to read */
    bool busy; /* in flight on a drain that is not pipelined: its next batch waits for the answer */
    bool probing; /* stuck because records are refused: what is written meanwhile is tried */
    bool ended;   /* READ_END */
    unsigned stuck_tries;  /* so many times in a row the peer refused some of its records for now,
                              but not those of others */
    uint64_t stuck_until;  /* loop time until which it is left alone for that; 0 = it is not */
    uint64_t caught_up_at; /* loop time as of which all was sent (confirmed, where there is
                              confirmation) */
    uint32_t ledger_slot;  /* hint */
    struct position reject_pos; /* of the record that was refused alone ... */
    unsigned reject_tries;      /* ... so many times */
    /* See refusal.c. */
    uint32_t suspects; /* records refused behind acked and not passed over: sent is behind them */
    uint32_t allowed;  /* to be passed over, because the peer took one behind them */
    uint64_t suspected_at;      /* drain->accepted when the first of them was found */
    uint32_t refused_run;       /* passed over since the peer has taken one of this stream */
    struct position rewind_pos; /* of the last rewind ... */
    unsigned rewinds;           /* ... so many times in a row ... */
    struct mark rewind_to;      /* ... and what the peer's kernel had each time */
    struct mark reached;        /* what it had at the end of the last connection; see rewind.c */
    uint64_t cut;               /* acked.cut that was counted */
};

struct drain {
    const struct drain_ops *ops;
    struct worker *worker;
    struct drain_spec *spec;  /* one reference */
    struct list node;         /* worker->drains */
    struct list work_node;    /* worker->work, when there is something to do this turn */
    struct list connect_node; /* worker->connecting, while it waits for a token to connect */
    struct list cursors;      /* of struct drain_cursor */
    struct list ready;        /* cursors with something to read, in turn */
    struct list inflight;     /* batches at the member */
    struct party *party;      /* who pays for its memory; NULL before its first stream */
    struct port *port;        /* whom it waits with while it was never reached; NULL = nobody */
    struct list host_node;    /* port->waiting */
    struct list cramped_node; /* worker->cramped, while it waits for room */
    struct ledger *ledger;    /* VERDICT_SENT: what waits for drain_confirm(); NULL until needed */
    enum drain_state state;
    unsigned ninflight;
    unsigned slots; /* the member's: how many batches it takes at once */
    bool
        pipelined; /* the member's: one pipe in order, so a stream may have several batches in it */
    bool lags;     /* the member's: not pipelined, but it settles as SENT; see seek.c */
    bool alone;    /* if it lags: a record is sought, and one batch is in flight. The member settles
                     it as drain_seek_step() or drain_blame() says */
    bool sure; /* ... and only it is unconfirmed, and nothing follows it before it is confirmed */
    bool searched; /* a record was sought once ... */
    bool hasty;    /* ... and nothing was found yet that tells of one */
    bool blamed;   /* a connection ended as drain_blame() means it; nothing was confirmed since */
    uint64_t sought_at; /* drain->accepted when the search began */
    bool soon; /* ... and what it ended at is being sought: connect again without a backoff */
    uint64_t reached;  /* the member's, if pipelined: how much of what it was given (batch->end) the
                            peer's kernel has; true when it calls drain_disconnected() */
    bool healthy;      /* its last answer was good; else batches are probes */
    bool failing;      /* said so in the log */
    bool suspended;    /* WAITING because its configuration is wrong */
    bool lingered;     /* linger= has passed for what is ready */
    bool closed;       /* drain_closed() came */
    bool unused;       /* it has no stream any more, and is not being closed */
    unsigned attempts; /* failures in a row */
    unsigned nstuck;   /* cursors with stuck_tries: the drain fails, though it takes data */
    size_t batch_target;   /* bytes a batch is filled to now */
    size_t batch_limit;    /* learned from TOO_LARGE; 0 = none */
    uint32_t record_limit; /* halved by REJECTED, doubled by DELIVERED; 0 = none */
    uint64_t suspect;      /* records until the record limit is lifted ... */
    uint64_t before;       /* ... and in front of them, if it lags, that are sent again first */
    uint64_t accepted;     /* answers by which the peer took something, since it was made */
    uint32_t refused_run;  /* records passed over since then ... */
    uint32_t suspects;     /* ... and refused, but not passed over, since then or the last pause */
    struct loop_timer *timer; /* backoff, linger; NULL until it is needed */
    uint64_t failing_since;
    uint64_t opened_at;
    uint64_t looked_at;    /* see drain_seen_until() */
    uint64_t unused_since; /* loop time at which its last cursor went */
    struct err last_error;
    uint64_t sampled_at; /* loop time at which its lag was noted for growth ... */
    uint64_t sampled_lag;
    uint64_t growth; /* ... which it then was */
    struct drain_counters counters;
};

/* ---- for members ---- */

/* In create(): fills the base in. */
void drain_init(struct drain *d, const struct drain_ops *ops, struct worker *wk,
                struct drain_spec *spec);
/* In free(). */
void drain_release(struct drain *d);
/* The policy for whatever address it connects to; NULL = any will do. */
const struct egress *drain_egress(const struct drain *d);
void drain_opened(struct drain *d);
/* The connection could not be made, or ended. <clean>: the peer said goodbye in order and nothing
 * handed over is in doubt; else what is not confirmed is sent again. Settle what the member still
 * has as OFFLINE first. */
void drain_disconnected(struct drain *d, bool clean, const struct err *e);
/* As drain_disconnected() without <clean>, when the peer has said more: VERDICT_HOLD (it refuses our
 * credentials) or VERDICT_OFFLINE, and when to come back (-1 = it has not said). */
void drain_disconnected_for(struct drain *d, enum verdict v, int64_t retry_after_ms,
                            const struct err *e);
void drain_settle(struct drain *d, struct batch *b, enum verdict v);
/* For VERDICT_MIXED: an outcome for each record, in the order of the body; all DELIVERED at first.
 * The others may be RETRY or HOLD, which come again with everything of their stream after them,
 * also what was delivered of that (so the peer must know a record that it has), while other streams
 * go on; and REJECTED, which is passed over at once, counted and named. Not for pipelined drains. */
unsigned char *batch_outcomes(struct batch *b);
/* For a member without open(): connections that it made, and tries that failed. */
void drain_count_connects(struct drain *d, unsigned made, unsigned failed);
/* The member keeps the body of <b> to send it bit by bit, and the peer has taken some of it, or is
 * about to. From now on the framework may shelve it whenever it stands still: before each use
 * drain_unshelve(). */
void drain_moved(struct drain *d, struct batch *b);
/* All of the body is with the kernel: it is let go, unless the answer needs it (<keep>). Should it
 * be needed once more, from its start, drain_unshelve(). */
void drain_body_sent(struct drain *d, struct batch *b, bool keep);
/* b->extra is a copy of the body, which goes out from there bit by bit: the body is let go, and the
 * framework may ask for the copy, too, when it stands still (ops->shelve). Before it is copied
 * again drain_unshelve(). */
void drain_body_copied(struct drain *d, struct batch *b);
/* Lets the body of an unsettled batch go, because the log file still has it. */
void drain_shelve(struct drain *d, struct batch *b);
/* Makes the very same body again, if it is not there. -1 = it cannot be made (the file was
 * truncated, ...): the connection must end. */
int drain_unshelve(struct drain *d, struct batch *b);
/* b->extra has changed. */
void drain_charge(struct batch *b);
/* The answer to <b> takes so many bytes of memory now; 0 = none (any more). False: that is more
 * than there is for it, it should be let go. */
bool drain_charge_answer(struct batch *b, size_t bytes);
/* Everything up to <end> (see VERDICT_SENT) is confirmed. */
void drain_confirm(struct drain *d, uint64_t end);
/* For a member that confirms by time, once each time that its timer fires: the loop time as of
 * which all that became of the connection was seen. It is that of the last time, for after a pause
 * of the whole process timers come before the news that the connection has ended. */
uint64_t drain_seen_until(struct drain *d);
/* The same as drain_confirm() for what was settled as SENT COMMIT_LAG_MS before <seen_until>. True
 * when there is more to wait for. */
bool drain_confirm_old(struct drain *d, uint64_t seen_until);
/* For a member that lags, before it settles what is unsettled and calls drain_disconnected_for(): the
 * connection ended as if the peer had failed at something unconfirmed. <said>: REJECTED or
 * TOO_LARGE if it said that of a message, else OFFLINE. True when that is the oldest batch: settle
 * it as REJECTED or TOO_LARGE, the others as OFFLINE. False: all as OFFLINE. */
bool drain_blame(struct drain *d, enum verdict said);
/* For a batch that goes alone and had its answer <for_ms> ago: settle it as SENT, so that the next
 * one follows, or as DELIVERED? 0 = not yet. */
enum verdict drain_seek_step(const struct drain *d, uint64_t for_ms);
/* The peer ends the connection in order: what was settled as SENT is confirmed. */
void drain_closed_by_peer(struct drain *d);
/* Something is unconfirmed. */
bool drain_unconfirmed(const struct drain *d);
void drain_closed(struct drain *d);

/* ---- for the worker ---- */

struct drain *drain_create(struct worker *wk, struct drain_spec *spec, struct err *e);
void drain_send(struct drain *d, struct batch *b);
/* One turn's work: settle, open, fill and send at most a batch. True when there is more to do right
 * now. */
bool drain_work(struct drain *d);
void drain_act_on(struct batch *b);
void drain_close(struct drain *d, bool flush);
void drain_free(struct drain *d);

/* A cursor of <d> in <s>. */
struct drain_cursor *drain_attach(struct drain *d, struct stream *s, const struct position *end);
/* What was written to a file that <main> had left is read on where <r> says. */
void drain_attach_late(struct drain_cursor *main, const struct state_record *r);
/* ... where <from>, which was parked, stood. */
void drain_attach_late_like(struct drain_cursor *main, struct cursor *from);
/* Frees it and its late ones; what is still in flight of them is nobody's any more. */
void drain_cursor_drop(struct drain_cursor *c);
/* The stream's identity changed. */
void drain_cursor_rename(struct drain_cursor *c);

const char *drain_state_name(const struct drain *d);

#endif
