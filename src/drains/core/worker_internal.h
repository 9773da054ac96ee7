/*
 * Shared by the files of core/ only. All of it belongs to the worker's thread. The files are in
 * layers, and each calls only those above it in this list (scripts/layers fails on a circle):
 *
 *   used by all others        trace, read_tally, worker_news, worker_shared, scheme_stats,
 *                             agenda
 *   data                      batch, ledger, budget, host, drain_cursor, parked, health
 *   filling a batch           surplus, pick, shelf, rewind, seek, repeat, fill
 *   results of a batch        refusal, mixed, verdict
 *   the drain                 drain
 *   the worker                worker_save, worker_pinned, worker_report, worker_where,
 *                             worker_mail, worker
 *
 * To have work done by a file further down, a file puts it on a list (agenda.c). The worker reads
 * the lists on its turn.
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
#define SPARE_BYTES (3 * 1024 * 1024) /* most bytes of bodies kept for reuse */

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
    struct pattern_run *searches; /* for expressions */
    uint64_t searched_until;      /* loop time in ns: see pick.c */
    struct tls_config *tls[2];    /* shared by drains without TLS options: [insecure] */
    struct buf scratch;
    struct buf valid;        /* scratch memory of the formatters */
    struct map streams;      /* of struct stream, by id */
    struct map drains;       /* of struct drain, by the text of its spec */
    struct list all;         /* all drains */
    struct map read_by;      /* of struct tally, by namespace: see read_tally.c */
    uint64_t read_by_others; /* ... over READ_TALLIES_MAX */
    struct list schemes;     /* of struct scheme_stats: those that a drain had */
    struct list work;        /* drains with work this turn */
    struct list connecting;  /* drains that wait for a connection token */
    struct list retrying;    /* ... and have never connected: served last and slowly */
    struct map hosts;        /* of struct host, by namespace and name */
    struct map ports;        /* of struct port, by namespace, name and port */
    uint64_t retry_at;       /* loop time before which <retrying> is not served */
    struct list waiting;     /* cursors to wake at their wake_at */
    struct list settled;     /* batches with a verdict that was not acted on yet */
    struct list closed;      /* unused drains, closed, to be freed */
    struct list spare;       /* batches for reuse, without bodies */
    unsigned nspare;
    struct buf spare_bodies[SPARE_BODIES];
    unsigned nspare_bodies;
    struct list uncreated;      /* of struct attach_mail whose drain could not be created */
    struct list parked;         /* see parked.h */
    uint64_t parked_dropped;    /* ... dropped to stay within the limits */
    struct drain_counters past; /* of owners' drains that were freed */
    size_t spare_bytes;         /* bytes of <spare_bodies> */
    size_t inflight_bytes;      /* charged: see budget.c */
    size_t request_bytes;       /* of these: requests beside their bodies */
    size_t answer_bytes;        /* likewise, of ANSWERS_MAX */
    struct map parties;         /* of struct party, by namespace */
    struct list starved;        /* drains that wait for memory */
    bool memory_freed;          /* ... and may check again */
    struct list sending;        /* batches whose bodies may be shelved, by time of last progress */
    struct loop_timer *shelf_timer; /* runs while <sending> is not empty */
    struct loop_task turn;
    struct loop_timer *wait_timer;
    uint64_t wait_until; /* when wait_timer fires */
    struct loop_timer *connect_timer;
    struct loop_timer *tidy_timer; /* runs while there is a parked cursor or an unused drain */
    struct loop_timer *stop_timer;
    struct loop_timer *create_timer; /* runs while <uncreated> is not empty */
    unsigned tries; /* drains that connect for the first time: see budget_count_tries() */
    unsigned connect_tokens;
    uint64_t connect_refilled;
    uint64_t random;        /* state of the random generator for jitter */
    uint64_t saved_acks;    /* reader.stats.acks when positions were last reported */
    uint32_t saved_records; /* how many these were */
    bool dirty_told;
    uint64_t pinned_reported; /* reader.pinned when it was last reported */
    uint64_t pinned_at;       /* ... and when */
    struct loop_timer *pinned_timer;
    uint64_t evictions; /* number of the last eviction request */
    uint64_t turn_ms_max;
    bool stopping;
    bool closing;     /* second phase of stopping: drains are being closed */
    uint64_t stop_at; /* deadline of the first phase */
    uint64_t stop_grace_ms;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- worker_news.c ---- */
/* <s> is finished and has no cursor left: frees it and notifies the control thread. */
void worker_stream_forget(struct worker *wk, struct stream *s);
/* A drain has confirmed all of <s>, which is finished: notifies the control thread. */
void worker_left(struct worker *wk, const struct stream *s);
/* for reader->passed */
void worker_passed(struct reader *r, const struct stream *s, uint32_t no);
/* for reader->unreadable */
void worker_unreadable(struct reader *r, const struct segment *seg, bool now);
/* Notifies the control thread if a workload asked for <spec>. */
void worker_news(struct worker *wk, struct drain_spec *spec, enum drain_news_kind what,
                 uint64_t amount);

/* ---- worker_shared.c ---- */
int worker_shared_open(struct worker *wk, struct err *e);
void worker_shared_close(struct worker *wk);

/* ---- scheme_stats.c ---- */
/* Those that <spec>'s drain counts in. */
struct scheme_stats *scheme_stats_of(struct worker *wk, const struct drain_spec *spec);
void scheme_stats_release(struct worker *wk);
/* The peer has taken a batch, after so long. */
void scheme_took(struct drain *d, uint64_t ms);
/* ... or has not, for <e>. */
void scheme_failed(struct drain *d, enum verdict v, const struct err *e);

/* ---- read_tally.c ---- */
/* What was read of <s> so far counts for the namespace that it is of now. */
void read_tally_add(struct worker *wk, struct stream *s);
/* All that was read since the last time, into a report. */
void read_tally_take(struct worker *wk, struct worker_report *r);
void read_tally_release(struct worker *wk);

/* ---- agenda.c ---- */
void agenda_open(struct worker *wk);
void agenda_close(struct worker *wk);
/* Puts <d> on the list of drains with work. */
void worker_want(struct worker *wk, struct drain *d);
/* Queues <d> for a connection token (drain_connect); drains that were healthy come first. */
void worker_connect(struct worker *wk, struct drain *d);
/* Takes the next drain that may connect off its list; NULL = none, or none yet. */
struct drain *worker_next_to_connect(struct worker *wk);
/* <d>, which was taken off its list and never connected, must wait: it goes back to the end. */
void worker_connect_again(struct worker *wk, struct drain *d);
/* Schedules a turn for the drains that still wait for a token. */
void worker_connect_later(struct worker *wk);
/* Wakes <c> at c->cursor.wake_at. */
void worker_wait(struct worker *wk, struct drain_cursor *c);
/* Schedules a check of parked cursors and unused drains within <ms>. */
void worker_tidy_in(struct worker *wk, uint64_t ms);
/* The pause before the next attempt, after <attempts> failures. */
uint64_t worker_backoff(struct worker *wk, unsigned attempts, uint64_t cap_ms);
/* Sends nothing for <ms>. */
void drain_wait(struct drain *d, uint64_t ms);
/* <d> has work within <ms>; then its d->lingered is set. */
void drain_linger(struct drain *d, uint64_t ms);
/* Frees its timer if that is not running. */
void drain_timer_rest(struct drain *d);

/* ---- batch.c ---- */
/* A batch with a body for <want> bytes. */
struct batch *batch_take(struct drain *d, size_t want);
/* Releases a body that is not needed any more or can be read again. */
void batch_body_release(struct batch *b);
/* Shrinks a body that is mostly empty, so that others can use the memory. */
void batch_body_trim(struct batch *b);
/* Its cursors have one item less in flight. */
void batch_release_cursors(struct batch *b);
void batch_free(struct batch *b);
void batch_forget_cursor(struct batch *b, const struct drain_cursor *c);

/* ---- budget.c ---- */
/* For rate limits: who causes log lines about <d>, a namespace or (for an operator's drain)
 * nobody. */
struct log_cause drain_cause(const struct drain *d);
/* Sets the party that pays for <d>, from its first stream. */
void budget_join(struct drain *d, const struct identity *id);
void budget_leave(struct drain *d);
/* Whether <d> has streams: the unused drains of a party are counted. */
void budget_used(struct drain *d, bool used);
/* Whether <d> is one of more than DRAIN_UNUSED_MAX unused drains of its namespace. */
bool budget_crowded(const struct drain *d);
/* <b> now has <bytes> in memory. */
void budget_charge(struct batch *b, size_t bytes);
/* Bytes that the next batch of <d> may have; 0 = it must wait. */
size_t budget_room(const struct drain *d);
/* Counts the drains that connect for the first time, for the next two. */
void budget_count_tries(struct worker *wk);
/* Whether <d> may connect now. */
bool budget_may_try(const struct drain *d);
/* It does. */
void budget_tries(const struct drain *d);
/* <d> waits until memory is free. */
void budget_wait(struct drain *d);
void budget_wake(struct worker *wk);

/* ---- host.c ---- */
/* Sets the port that <d> waits with. <id>: of its first stream. */
void host_join(struct drain *d, const struct identity *id);
void host_leave(struct drain *d);
/* <d> has failed with <e> and waits for its host's turn. False when it has connected before: it has
 * its own backoff. */
bool host_wait(struct drain *d, const struct err *e);
/* If others have just shown that an attempt of <d> would fail, it waits with them. <why>: their
 * error. */
bool host_wait_known(struct drain *d, struct err *why);
/* A connection of <d> was made; <first>: for the first time. */
void host_reached(struct drain *d, bool first);
/* Time until the next attempt of <d>, which is WAITING. */
uint64_t host_retry_in(const struct drain *d);

/* ---- drain_cursor.c ---- */
struct formatter *drain_cursor_formatter(struct drain_cursor *c);
/* cursor->wake: data was written, or its pause is over. */
void drain_wake_cursor(struct cursor *c);
/* The drain's cursor that contains <k>; NULL = <k> is parked. */
struct drain_cursor *drain_cursor_of(struct cursor *k);
/* Frees it if it has been read to its end and everything is confirmed. */
void drain_cursor_done(struct drain_cursor *c);
/* Marks the cursor as ready for its drain if there is data to read and nothing forbids it. */
void drain_cursor_ready(struct drain_cursor *c, bool first);
/* <c> was read to its end, and all of that is delivered: tells the member that asks for it. */
void drain_cursor_tell_dry(struct drain_cursor *c);
/* Moves it back to what is confirmed. */
void drain_cursor_rewind(struct drain_cursor *c);
/* The peer refuses some of its records for now: it pauses for <ms>. <again>: the same attempt as
 * before. */
void drain_cursor_stick(struct drain_cursor *c, uint64_t ms, bool again);
void drain_cursor_unstick(struct drain_cursor *c);
/* If the cursor has nothing in flight, what was read counts as acknowledged. */
void drain_cursor_settle_idle(struct drain_cursor *c);

/* ---- surplus.c ---- */
/* rate= has left <r> out. */
void surplus_add(struct drain_cursor *c, const struct record *r);
/* <c> is about to be read: if it is time, its next record tells how many lines were left out. */
void surplus_check(struct drain_cursor *c);
/* <c> was read: it is woken when it is time, or told at its end. */
void surplus_after(struct drain_cursor *c);
void surplus_free(struct drain_cursor *c);

/* ---- pick.c ---- */
/* Whether some records are not wanted: if not, do not ask. */
static inline bool drain_picks(const struct drain *d)
{
    return d->ops->tap || d->spec->sieve;
}
/* What the sieve finds out of a record. */
struct pick {
    struct record changed;
    struct sieve_view view;
    enum { PICK_UNDECIDED = 1 << 0, PICK_REDACTED = 1 << 1, PICK_CUT = 1 << 2 } found;
};
/* Whether <*r>, which <k> has read for <c> (it is c's own, or reads again), is sent. It may be
 * replaced by p->changed. */
enum drain_tap_answer drain_cursor_picks(struct drain_cursor *c, struct cursor *k,
                                         const struct record **r, struct pick *p);
/* The record was taken: counts what was found of it, if it is the first time. */
void drain_cursor_found(struct drain_cursor *c, unsigned found);
/* Its expressions have used up their share of the worker's time: it has no turn now, and gets one
 * later. */
bool drain_is_slowed(struct drain *d);
/* <c> is about to be read: the member may skip some, and lines over rate= are told. */
void drain_cursor_before(struct drain_cursor *c, uint64_t now);
/* All up to <sent> was counted. */
void drain_cursor_picked(struct drain_cursor *c);

/* ---- health.c ---- */
/* The last answer was good. */
void drain_recovered(struct drain *d);
/* Marks the drain, or some of its streams, as failing; logs it if that is new. */
void drain_mark_failing(struct drain *d, bool hold, uint64_t retry_ms, const struct err *e);
/* Counts one failure, logs it if it is the first, and schedules the next attempt. <retry_after_ms>:
 * -1 = the peer gave none. */
void drain_failed(struct drain *d, enum verdict v, int64_t retry_after_ms, const struct err *e);
/* If others have just shown that an attempt of <d> would fail, it fails without one and waits. */
bool drain_fails_like_others(struct drain *d);

/* ---- shelf.c ---- */
/* Reads the first <records> records of <r> once more into <sink>. Returns how many there were:
 * fewer if the file has changed or <sink> refused one. <end> (may be NULL) becomes the position
 * behind them. */
uint32_t batch_range_read(const struct batch_range *r, uint32_t records, struct record_sink *sink,
                          struct mark *end);

/* For loop_timer_create(): releases bodies without recent progress. <arg> is the worker. */
void shelf_timer_fired(void *arg);

/* ---- rewind.c ---- */
/* The connection of a pipelined drain ended in doubt. */
void drain_rewind(struct drain *d);

/* ---- seek.c ---- */
/* Whether the next batch must be sent alone. */
bool drain_seeks(const struct drain *d);
/* ... and nothing else may be unconfirmed at the same time. */
bool drain_seek_is_sure(const struct drain *d);
/* How many of <n> records, of which the peer fails on one, are tried next. */
uint32_t drain_seek_limit(uint64_t n);
/* <records> records were handed over. */
void drain_seek_sent(struct drain *d, uint32_t records);
/* The connection has ended, and the search continues with the next one. */
void drain_seek_on(struct drain *d, const struct err *e);
/* Its next record was refused alone, or is behind such a record. */
bool drain_cursor_doubted(const struct drain_cursor *c);

/* ---- repeat.c ---- */
/* <b> was not taken, and the peer may have it all the same: keeps how it was cut. False: it does
 * not, and <b> is still the caller's. */
bool repeat_keep(struct drain *d, struct batch *b);
/* The oldest of those that can be cut again, for its ranges; NULL = none. The caller frees it. */
struct batch *repeat_take(struct drain *d);
void repeat_free(struct batch *b);
void repeat_free_all(struct drain *d);

/* ---- fill.c ---- */
/* Fills a batch from the ready cursors. NULL when they had no data. */
struct batch *batch_fill(struct drain *d);
size_t batch_max(const struct drain *d);
/* The drain took a batch of this size: the next ones may be larger. */
void drain_grow(struct drain *d, const struct batch *b);
/* Returns the cursors of a batch that was not taken: each goes back to what is confirmed, and they
 * come first in turn, in the same order. */
void drain_give_back(struct drain *d, struct batch *b);

/* ---- refusal.c ---- */
/* The batch was refused as a whole. */
void drain_rejected(struct drain *d, struct batch *b);
/* The peer has taken a line. */
void drain_accepted(struct drain *d);
/* ... of this stream. If it was behind suspects, all of these are sent again. */
void drain_cursor_accepted(struct drain_cursor *c);
/* Whether the peer may be trusted to have <records> more records skipped. */
bool drain_may_pass(const struct drain_cursor *c, uint32_t records);
/* <r> is skipped: counts it and logs its place, never its content. */
void drain_refused(struct drain_cursor *c, const struct record *r, const struct err *why);
/* Counts and logs what the peer refused of <b>, which it took (b->dropped); returns the number of
 * lines. *bytes is an estimate. */
uint32_t drain_dropped(struct drain *d, const struct batch *b, uint64_t *bytes);
/* The reason for suspending everything, when it is a refused record. */
void drain_explain_refusal(const struct drain *d, const struct err *refusal, struct err *out);

/* ---- mixed.c ---- */
/* VERDICT_MIXED: acts on the outcome of each record. */
void drain_mixed(struct drain *d, struct batch *b);

/* ---- verdict.c ---- */
/* Acts on the verdicts of <d> that are waiting. */
void drain_settle_now(struct drain *d);

/* ---- drain.c ---- */
/* The drain has got a connection token. */
void drain_connect(struct drain *d);

/* ---- worker_save.c ---- */
/* Notifies the control thread once that there are positions to save. */
void worker_check_dirty(struct worker *wk);
/* The worker stops: posts its positions to the control thread. */
void worker_save_last(struct worker *wk);

/* ---- worker_pinned.c ---- */
/* Reports the pinned files if they have changed, at once or soon. */
void worker_check_pinned(struct worker *wk);
void pinned_timer_fired(void *arg);

/* ---- worker_mail.c ---- */
struct attach_mail;
/* Tries again to create the drains of <uncreated>. */
void worker_retry_create(void *worker);
/* Removes the attachment for the stream and drain of <like>; NULL = all. */
void worker_drop_uncreated(struct worker *wk, const struct attach_mail *like);
/* If the worker is to stop: closes each drain when it has sent its data, ends when all are
 * closed. */
void worker_check_stop(struct worker *wk);

#endif
