/*
 * Between the files of core/ only. All of it belongs to the worker's thread. The files stand in an
 * order, and each calls only those before it (scripts/layers fails on a circle):
 *
 *   what all others use       trace, worker_news, worker_shared, agenda
 *   what there is             batch, ledger, budget, host, drain_cursor, parked, health
 *   how a batch comes to be   shelf, rewind, seek, fill
 *   what becomes of it        refusal, mixed, verdict
 *   the drain                 drain
 *   the worker                worker_save, worker_pinned, worker_report, worker_where,
 *                             worker_mail, worker
 *
 * To have something done by a file that comes later, a file puts it on a list (agenda.c), and the
 * worker looks at the lists on its turn.
 */
#ifndef DRAINS_WORKER_INTERNAL_H
#define DRAINS_WORKER_INTERNAL_H

#include <pthread.h>

#include "base/clock.h"
#include "base/map.h"
#include "drains/core/drain.h"
#include "drains/core/parked.h"
#include "drains/core/worker.h"

#define SPARE_BODIES 16
#define SMALL_BODY 4096               /* bytes of a body for one record */
#define SPARE_BYTES (3 * 1024 * 1024) /* of bodies that are kept for use again */

struct worker {
    struct worker_config cfg;
    pthread_t thread;
    bool threaded;
    struct loop loop;
    struct mailbox mailbox;
    struct reader reader;
    struct dns *dns;
    struct http_client *http;
    struct gzip *gzip;
    struct tls_config *tls[2]; /* what drains without TLS options share: [insecure] */
    struct buf scratch;
    struct buf valid;       /* scratch of the formatters */
    struct map streams;     /* of struct stream, by id */
    struct map drains;      /* of struct drain, by the spec's text */
    struct list all;        /* drains */
    struct list work;       /* drains with something to do this turn */
    struct list connecting; /* drains that wait for a token to connect */
    struct list retrying;   /* ... though they were never reached: after the others, and slowly */
    struct map hosts;       /* of struct host, by namespace and name */
    struct map ports;       /* of struct port, by these and the port */
    uint64_t retry_at;      /* loop time before which none of <retrying> has its turn */
    struct list waiting;    /* cursors to look at again at wake_at */
    struct list settled;    /* batches with a verdict, not acted on yet */
    struct list closed;     /* unused drains, closed, to be freed */
    struct list spare;      /* batches to use again, without bodies */
    unsigned nspare;
    struct buf spare_bodies[SPARE_BODIES];
    unsigned nspare_bodies;
    struct list unmade;         /* struct attach_mail: the drain could not be made */
    struct list parked;         /* see parked.h */
    uint64_t parked_dropped;    /* ... to make room for others */
    struct drain_counters past; /* of owners' drains that were freed */
    size_t spare_bytes;         /* of <spare_bodies> */
    size_t inflight_bytes;      /* charged: see budget.c */
    size_t answer_bytes;        /* likewise, of ANSWERS_MAX */
    struct map parties;         /* of struct party, by namespace */
    struct list cramped;        /* drains that wait for room */
    bool room_made;             /* ... and may look again */
    struct list sending;        /* batches whose bodies may be shelved, by when they last moved */
    struct loop_timer *shelf_timer; /* runs while there is one */
    struct loop_task turn;
    struct loop_timer *wait_timer;
    uint64_t wait_until; /* when wait_timer fires */
    struct loop_timer *connect_timer;
    struct loop_timer *tidy_timer; /* runs while there is a parked cursor or an unused drain */
    struct loop_timer *stop_timer;
    struct loop_timer *make_timer; /* runs while there is one on <unmade> */
    unsigned connect_tokens;
    uint64_t connect_refilled;
    uint64_t random;     /* state of the jitter's generator */
    uint64_t saved_acks; /* reader.stats.acks when positions were last told */
    bool dirty_told;
    uint64_t pinned_told; /* reader.pinned when what is held was last told */
    uint64_t evictions;   /* the last one asked for */
    uint64_t turn_ms_max;
    bool stopping;
    bool closing;     /* the second half of stopping: drains are being closed */
    uint64_t stop_at; /* deadline of the first half */
    uint64_t stop_grace_ms;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- worker_news.c ---- */
/* <s>, which is finished, has no cursor any more: it is freed, and the control thread is told. */
void worker_stream_forget(struct worker *wk, struct stream *s);
/* reader->passed */
void worker_passed(struct reader *r, const struct stream *s, uint32_t no);
/* reader->unreadable */
void worker_unreadable(struct reader *r, const struct segment *seg, bool now);
/* Tells the control thread, when <spec> is a workload's. */
void worker_news(struct worker *wk, struct drain_spec *spec, enum drain_news_kind what,
                 uint64_t amount);

/* ---- worker_shared.c ---- */
int worker_shared_open(struct worker *wk, struct err *e);
void worker_shared_close(struct worker *wk);

/* ---- agenda.c ---- */
void agenda_open(struct worker *wk);
void agenda_close(struct worker *wk);
/* <d> has something to do. */
void worker_want(struct worker *wk, struct drain *d);
/* Queues <d> for a connection token (drain_go); drains that were healthy come first. */
void worker_connect(struct worker *wk, struct drain *d);
/* Takes the next one that may connect from its list: NULL = nobody, or nobody yet. */
struct drain *worker_next_to_connect(struct worker *wk);
/* The turn comes again for those that are left. */
void worker_connect_later(struct worker *wk);
/* <c> is to be woken at c->cursor.wake_at. */
void worker_wait(struct worker *wk, struct drain_cursor *c);
/* Looks for parked cursors and unused drains whose time is over in <ms>, or before. */
void worker_tidy_in(struct worker *wk, uint64_t ms);
/* A pause before the next try, of which <attempts> went before. */
uint64_t worker_backoff(struct worker *wk, unsigned attempts, uint64_t cap_ms);
/* Nothing is sent for so long. */
void drain_wait(struct drain *d, uint64_t ms);
/* <d> has work in <ms>, or before: its d->lingered is set then. */
void drain_linger(struct drain *d, uint64_t ms);
/* Frees its timer, unless that runs. */
void drain_timer_rest(struct drain *d);

/* ---- batch.c ---- */
/* With a body for <want> bytes. */
struct batch *batch_take(struct drain *d, size_t want);
/* Its body is not needed any more, or will be made again. */
void batch_body_release(struct batch *b);
/* A body that is mostly empty does not keep what others could use. */
void batch_body_trim(struct batch *b);
/* Its cursors have one thing less in flight. */
void batch_let_go(struct batch *b);
void batch_free(struct batch *b);
void batch_forget_cursor(struct batch *b, const struct drain_cursor *c);

/* ---- budget.c ---- */
/* Who causes lines of our log about <d> itself: the namespace that asked for it, or nobody. */
struct log_cause drain_cause(const struct drain *d);
/* Who pays for <d>: told by its first stream. */
void budget_join(struct drain *d, const struct identity *id);
void budget_leave(struct drain *d);
/* Whether <d> has streams: those of a party that have none are counted. */
void budget_used(struct drain *d, bool used);
/* <d> is one of more than DRAIN_UNUSED_MAX of its namespace that have none. */
bool budget_crowded(const struct drain *d);
/* <b> has so many bytes in memory now. */
void budget_charge(struct batch *b, size_t bytes);
/* Bytes that <d>'s next batch may have; 0 = it has to wait. */
size_t budget_room(const struct drain *d);
/* <d> waits until there is room. */
void budget_wait(struct drain *d);
void budget_wake(struct worker *wk);

/* ---- host.c ---- */
/* Which host <d> waits with. <id>: of its first stream. */
void host_join(struct drain *d, const struct identity *id);
void host_leave(struct drain *d);
/* <d>, which has failed for <e>, waits for its host's turn. False when it was reached before: it
 * has its own backoff. */
bool host_wait(struct drain *d, const struct err *e);
/* <d> is about to try what others know to be in vain: it waits like them. <why> is what they met. */
bool host_wait_known(struct drain *d, struct err *why);
/* A connection of <d> was made; <first>: for the first time. */
void host_reached(struct drain *d, bool first);
/* Until the next try of <d>, which is WAITING. */
uint64_t host_retry_in(const struct drain *d);

/* ---- drain_cursor.c ---- */
struct formatter *drain_cursor_formatter(struct drain_cursor *c);
/* cursor->wake: something was written, or its pause is over. */
void drain_wake_cursor(struct cursor *c);
/* Of a stream's cursors, those that are drains' have this; NULL = it is parked. */
struct drain_cursor *drain_cursor_of(struct cursor *k);
/* Frees it if it has been read to its end and all is confirmed. */
void drain_cursor_done(struct drain_cursor *c);
/* Puts the cursor into its drain's turn if there is something to read and nothing stands against
 * it. */
void drain_cursor_ready(struct drain_cursor *c, bool first);
/* Back to what is confirmed. */
void drain_cursor_rewind(struct drain_cursor *c);
/* The peer refuses some of its records for now: it is left alone for <ms>. <again>: it is the same
 * try as the last time. */
void drain_cursor_stick(struct drain_cursor *c, uint64_t ms, bool again);
void drain_cursor_unstick(struct drain_cursor *c);
/* The cursor has nothing in flight: where it has read to is where it is. */
void drain_cursor_settle_idle(struct drain_cursor *c);

/* ---- health.c ---- */
/* Its last answer was good. */
void drain_recovered(struct drain *d);
/* Marks the drain, or some of its streams, as failing; reported when that is new. */
void drain_ails(struct drain *d, bool hold, uint64_t retry_ms, const struct err *e);
/* One failure: says it when it is the first, and sets the time of the next try. <retry_after_ms>:
 * -1 = the peer gave none. */
void drain_failed(struct drain *d, enum verdict v, int64_t retry_after_ms, const struct err *e);
/* <d> is about to try what others know to be in vain: it fails, and waits like them. */
bool drain_fails_like_others(struct drain *d);

/* ---- shelf.c ---- */
/* Reads the first <records> records of <r> once more, into <sink>. Returns how many there were:
 * less when the file is not what it was, or <sink> did not take one. <end> (may be NULL) becomes
 * the place behind them. */
uint32_t batch_range_read(const struct batch_range *r, uint32_t records, struct record_sink *sink,
                          struct mark *end);

/* For loop_timer_create(): lets the bodies go that have not moved for long. <arg> is the worker. */
void shelf_timer_fired(void *arg);

/* ---- rewind.c ---- */
/* The connection of an pipelined drain ended in doubt. */
void drain_rewind(struct drain *d);

/* ---- seek.c ---- */
/* Does the next batch go alone? */
bool drain_seeks(const struct drain *d);
/* ... and may nothing else be unconfirmed beside it? */
bool drain_seek_is_sure(const struct drain *d);
/* How many of <n> records, one of which the peer fails at, are tried next. */
uint32_t drain_seek_limit(uint64_t n);
/* So many records are handed over. */
void drain_seek_sent(struct drain *d, uint32_t records);
/* The connection is gone, and the search goes on with the next one. */
void drain_seek_on(struct drain *d, const struct err *e);
/* Its next record was refused alone, or stands behind such a one. */
bool drain_cursor_doubted(const struct drain_cursor *c);

/* ---- fill.c ---- */
/* Fills a batch from the ready cursors. NULL when they had nothing. */
struct batch *batch_fill(struct drain *d);
size_t batch_max(const struct drain *d);
/* The drain takes batches as large as the last one: the next ones may be larger. */
void drain_grow(struct drain *d, const struct batch *b);
/* The cursors of a batch that was not taken: back to what is confirmed, and first in turn, in the
 * same order. */
void drain_give_back(struct drain *d, struct batch *b);

/* ---- refusal.c ---- */
/* The batch was refused as a whole. */
void drain_rejected(struct drain *d, struct batch *b);
/* The peer has taken a line. */
void drain_accepted(struct drain *d);
/* ... of this stream. If it stood behind suspects, all of them come again. */
void drain_cursor_accepted(struct drain_cursor *c);
/* Is the peer's word enough to pass over so many more records? */
bool drain_may_pass(const struct drain_cursor *c, uint32_t records);
/* <r> is passed over: counts it, and says where it lies, never what it says. */
void drain_refused(struct drain_cursor *c, const struct record *r, const struct err *why);
/* Why everything is held, when it is for what the peer said of a record. */
void drain_explain_refusal(const struct drain *d, const struct err *refusal, struct err *out);

/* ---- mixed.c ---- */
/* VERDICT_MIXED: what the peer said of each record. */
void drain_mixed(struct drain *d, struct batch *b);

/* ---- verdict.c ---- */
/* The verdicts of <d> that wait are acted on now. */
void drain_settle_now(struct drain *d);

/* ---- drain.c ---- */
/* A token to connect. */
void drain_go(struct drain *d);

/* ---- worker_save.c ---- */
/* Tells the control thread, once, that there are positions to save. */
void worker_check_dirty(struct worker *wk);
/* The worker stops: its positions go to the control thread. */
void worker_save_last(struct worker *wk);

/* ---- worker_pinned.c ---- */
/* Tells what is held, when it has changed. */
void worker_check_pinned(struct worker *wk);

/* ---- worker_mail.c ---- */
struct attach_mail;
/* Tries those on <unmade> again. */
void worker_make_again(void *worker);
/* Forgets the attachment of the same stream and drain as <like>'s; NULL = all. */
void worker_drop_unmade(struct worker *wk, const struct attach_mail *like);
/* If the worker is to stop: closes all when they have sent what they had, ends when all are closed. */
void worker_check_stop(struct worker *wk);

#endif
