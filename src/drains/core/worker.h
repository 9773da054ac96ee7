/*
 * A worker: one thread, one loop, a shard of the (stream, drain) pairs, and everything that serves
 * them. Everybody else talks to it by mail. Each turn it lets every drain that has work fill and
 * send at most one batch, so that no drain and no stream can hold the others up.
 */
#ifndef DRAINS_WORKER_H
#define DRAINS_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "drains/core/drain.h"
#include "drains/spec/spec.h"
#include "loop/mailbox.h"
#include "net/conn.h"
#include "streams/feed.h"

struct worker;
struct http_client;
struct gzip;
struct dns;

/* A deleted file that a worker keeps open for a drain: one for each drain that has not passed it.
 */
struct pinned_segment {
    uint64_t stream;
    uint64_t drain; /* hash of its URL; 0 = nobody's */
    uint64_t bytes; /* on the disk, of the whole file */
    uint32_t no;
    bool packed; /* it can be read on in a .gz */
};
struct pinned_report {
    unsigned worker;
    uint64_t evictions;          /* as of that worker_evict() */
    struct pinned_segment *list; /* heap; NULL it to keep it */
    unsigned n, cap;
};

/* What became of a drain that a workload asked for. */
enum drain_news_kind { DRAIN_FAILS = 1, DRAIN_HELD, DRAIN_RECOVERED, DRAIN_LOSES, DRAIN_REFUSES };
struct drain_news {
    unsigned worker;
    struct drain_spec *spec; /* borrowed */
    enum drain_news_kind what;
    uint64_t amount; /* bytes lost, records refused */
};

struct worker_config {
    unsigned index; /* of this worker */
    size_t max_line;
    uint64_t partial_timeout_ms;
    uint64_t route_grace_ms;     /* a cursor whose route went by nobody's decision waits so long */
    uint64_t open_segments;      /* at most so many; the other descriptors are for connections */
    const char *dns_servers;     /* NULL = the system's */
    const struct egress *egress; /* for owner routes; borrowed, may be NULL */
    uint64_t state_key[2];       /* for hashing URLs into the state's records */
    struct mailbox *control;     /* where answers go */
    /* Something was confirmed since the last worker_save(): told once. */
    void (*dirty)(void *control, unsigned worker);
    /* The last positions of all, when the worker stops. <records> is the receiver's to free. */
    void (*saved)(void *control, unsigned worker, struct state_record *records, uint32_t n);
    /* What it holds of deleted files, when that has changed. */
    void (*pinned)(void *control, struct pinned_report *r);
    void (*forgotten)(void *control, unsigned worker, uint64_t stream); /* on the control thread */
    /* Segment <no> of a stream cannot be read by the worker, or can again. May be NULL. */
    void (*unreadable)(void *control, unsigned worker, uint64_t stream, uint32_t no, bool now);
    /* May be NULL. */
    void (*news)(void *control, const struct drain_news *n);
    /* All cursors of this worker are past segment <no> of a journal. May be NULL. */
    void (*passed)(void *control, unsigned worker, uint64_t stream, uint32_t no);
};

/* Starts the thread. NULL with <e> set when it cannot. */
struct worker *worker_start(const struct worker_config *cfg, struct err *e);
/* All but the thread: whoever made it turns worker_loop() himself. */
struct worker *worker_create(const struct worker_config *cfg, struct err *e);
struct mailbox *worker_mailbox(struct worker *wk);
/* The handle function for struct feed_port. */
void worker_feed(void *receiver, struct mail *m);

/* ---- from the control thread ---- */
/* <end>: only what is written behind it; NULL = from the first byte. <resume>: on from there
 * instead; NULL = the state knows nothing of the pair. <since_s>: all
 * that there is, of its segments that were recalled, too, from that second since the epoch on (0 =
 * all); NULL = no such wish. All are copied. Takes a reference of <spec> itself. */
void worker_attach(struct worker *wk, uint64_t stream, struct drain_spec *spec,
                   const struct position *end, const struct state_record *resume,
                   const int64_t *since_s);
/* Somebody decided that it ends: it begins anew, should it ever come back. */
void worker_detach(struct worker *wk, uint64_t stream, struct drain_spec *spec);
/* Nobody did: it is parked (parked.h). */
void worker_park_route(struct worker *wk, uint64_t stream, struct drain_spec *spec);
/* One drain instead of another, whose place it takes over if this worker serves that; else it
 * begins as with worker_attach(). References are taken, the rest is copied. */
struct worker_change {
    struct drain_spec *before, *now;
    uint32_t least; /* the place is not taken over from before this segment */
    const struct position *end;
    const struct state_record *resume;
};
void worker_change(struct worker *wk, uint64_t stream, const struct worker_change *c);
/* Flushes what is healthy for at most <grace_ms>, closes all, and ends the thread. <done> runs on
 * the control thread. */
void worker_stop(struct worker *wk, uint64_t grace_ms, void (*done)(void *arg), void *arg);
/* After <done>, or when it has no thread: joins and frees. */
void worker_free(struct worker *wk);

/* The process is out of descriptors: the worker closes some of its files, soon. */
void worker_make_room(struct worker *wk);

/* Asks where all cursors stand; <done> gets it on the control thread and owns <records>. */
void worker_save(struct worker *wk,
                 void (*done)(void *arg, unsigned worker, struct state_record *records, uint32_t n),
                 void *arg);

/* Gives a deleted file up, if it is held: see stream_evict(). <evictions> comes back with the next
 * pinned_report. */
void worker_evict(struct worker *wk, const struct pinned_segment *file, uint64_t evictions);

/* A copy of what a worker has, for /metrics and /drains. */
struct drain_report {
    char *name;      /* of the spec */
    bool owner;      /* a workload asked for it */
    char *namespace; /* of all its streams; NULL = of several, or there are none */
    const char *promise;
    const char *state;
    char *error; /* last one, or NULL; never a credential */
    unsigned streams;
    uint64_t lag_bytes; /* not yet confirmed */
    uint64_t lag_ms;    /* since all was sent */
    uint64_t retry_in_ms;
    uint64_t growth; /* of the lag, bytes a second */
    uint64_t
        pinned_most; /* bytes of deleted files of one stream, at most, that it has not passed */
    struct drain_counters counters;
};
struct worker_report {
    unsigned worker;
    struct drain_report *drains;
    unsigned ndrains;
    struct reader_stats reader;
    uint64_t streams, cursors, parked;
    uint64_t parked_dropped;    /* for others, before their time */
    struct drain_counters past; /* of owners' drains that are no more */
    uint64_t segments;          /* known */
    uint64_t pinned_bytes;      /* of deleted files */
    uint64_t inflight_bytes;
    uint64_t dead;        /* drains that wait and were never reached: nothing but a name */
    uint64_t turn_ms_max; /* longest turn of the loop since the last report */
};
/* Asks; <done> gets it on the control thread and owns it (worker_report_free). */
void worker_ask(struct worker *wk, void (*done)(void *arg, struct worker_report *r), void *arg);
void worker_report_free(struct worker_report *r);

/* One cursor and its drain, for `logtrain explain`. */
struct cursor_report {
    uint64_t stream;
    struct drain_spec *spec; /* a reference; NULL = it is parked */
    const char *state;
    char *error; /* last one of the drain, or NULL; never a credential */
    uint64_t retry_in_ms;
    struct position acked;
    uint64_t lag_bytes;  /* not yet confirmed */
    uint64_t lost_bytes; /* of the drain, on this worker */
};
struct where_report {
    struct cursor_report *cursors;
    unsigned n;
};
/* Asks for the cursors of <n> streams; <done> gets the answer on the control thread and owns it
 * (where_report_free). <streams> is copied. */
void worker_where(struct worker *wk, const uint64_t *streams, unsigned n,
                  void (*done)(void *arg, struct where_report *r), void *arg);
void where_report_free(struct where_report *r); /* NULL is fine */

/* ---- for members, on the worker ---- */
struct loop *worker_loop(struct worker *wk);
struct dns *worker_dns(struct worker *wk);
struct http_client *worker_http(
    struct worker *wk);                      /* made when first asked for; NULL if it cannot be */
struct gzip *worker_gzip(struct worker *wk); /* one for all drains: its state takes 268 KB */
/* The TLS configuration that <s> asks for; one is shared by all that ask for nothing special. Given
 * back with worker_tls_free(). */
struct tls_config *worker_tls(struct worker *wk, const struct drain_spec *s, struct err *e);
void worker_tls_free(struct worker *wk, struct tls_config *tls); /* NULL is fine */
/* A buffer for as long as a call of a member lasts, empty, with leave to hold <max>; what it has
 * grown to is kept up to SCRATCH_KEPT for the next one. */
struct buf *worker_scratch(struct worker *wk, size_t max);

#endif
