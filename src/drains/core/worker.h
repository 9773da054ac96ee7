/*
 * A worker: one thread with one loop that serves a shard of the (stream, drain) pairs and owns
 * everything for them. Other threads reach it by mail. In each turn every drain with work fills and
 * sends at most one batch, so that no drain and no stream can delay the others.
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

/* A deleted file that a worker keeps open; one entry per drain that has not read past it. */
struct pinned_segment {
    uint64_t stream;
    uint64_t drain; /* hash of its URL; 0 = none */
    uint64_t party; /* an owner's drain: hash of the namespace; an operator's: as <drain> */
    uint64_t bytes; /* disk space of the whole file */
    uint32_t no;
    bool packed; /* the data continues in a .gz */
};
struct pinned_report {
    unsigned worker;
    uint64_t evictions;          /* number of the last worker_evict() that this includes */
    struct pinned_segment *list; /* heap; set it to NULL to keep it */
    unsigned n, cap;
};

/* What happened to a drain that a workload asked for. */
enum drain_news_kind {
    DRAIN_FAILS = 1,
    DRAIN_HELD,
    DRAIN_RECOVERED,
    DRAIN_LOSES,
    DRAIN_REFUSES,
    DRAIN_DELIVERS, /* its first line was confirmed; not if it delivered before a restart */
};
struct drain_news {
    unsigned worker;
    struct drain_spec *spec; /* borrowed */
    enum drain_news_kind what;
    uint64_t amount; /* bytes lost, records refused */
};

/* The positions of a worker's cursors. */
struct worker_positions {
    unsigned worker;
    struct state_record *records; /* the receiver's to free */
    uint32_t n;
    struct state_files files; /* the receiver's to free, too */
    uint64_t cpu_ns;          /* what the worker used to collect them */
};

struct worker_config {
    unsigned index; /* number of this worker */
    size_t max_line;
    uint64_t partial_timeout_ms;
    uint64_t route_grace_ms;     /* how long a cursor stays parked after its route went away */
    uint64_t open_segments;      /* most files kept open; other descriptors are for connections */
    const char *dns_servers;     /* NULL = the system's */
    const struct egress *egress; /* for owner routes; borrowed, may be NULL */
    uint64_t state_key[2];       /* key for hashing URLs into state records */
    struct mailbox *control;     /* where answers are posted */
    /* Something was confirmed since the last worker_save(): called once. */
    void (*dirty)(void *control, unsigned worker);
    /* All final positions, when the worker stops. */
    void (*saved)(void *control, const struct worker_positions *p);
    /* The deleted files that it keeps open, when the list has changed. */
    void (*pinned)(void *control, struct pinned_report *r);
    void (*forgotten)(void *control, unsigned worker, uint64_t stream); /* on the control thread */
    /* The worker cannot read segment <no> of a stream, or can again. May be NULL. */
    void (*unreadable)(void *control, unsigned worker, uint64_t stream, uint32_t no, bool now);
    /* May be NULL. */
    void (*news)(void *control, const struct drain_news *n);
    /* A drain has confirmed all of <stream>, which has ended. May be NULL. */
    void (*left)(void *control, uint64_t stream);
    /* All cursors of this worker have passed segment <no> of a journal. May be NULL. */
    void (*passed)(void *control, unsigned worker, uint64_t stream, uint32_t no);
};

/* Starts the thread. NULL with <e> set on failure. */
struct worker *worker_start(const struct worker_config *cfg, struct err *e);
/* As worker_start(), without a thread: the caller runs worker_loop() himself. */
struct worker *worker_create(const struct worker_config *cfg, struct err *e);
struct mailbox *worker_mailbox(struct worker *wk);
/* Mail handler for struct feed_port. */
void worker_feed(void *receiver, struct mail *m);

/* ---- from the control thread ---- */
/* Adds a cursor for <stream> and <spec>. <end>: start behind this position; NULL = at the first
 * byte. <resume>: continue there instead; NULL = the state has no record of the pair. <since_s>:
 * also read the recalled segments, from that time on (seconds since the epoch, 0 = all); NULL = not
 * asked for. All are copied. Takes its own reference of <spec>. */
void worker_attach(struct worker *wk, uint64_t stream, struct drain_spec *spec,
                   const struct position *end, const struct state_record *resume,
                   const int64_t *since_s);
/* The route was removed by decision: if it comes back, it starts anew. */
void worker_detach(struct worker *wk, uint64_t stream, struct drain_spec *spec);
/* The route disappeared without a decision: the cursor is parked (parked.h). */
void worker_park_route(struct worker *wk, uint64_t stream, struct drain_spec *spec);
/* Replaces one drain by another, which takes over its position if this worker serves it; if not, it
 * starts as with worker_attach(). References are taken, the rest is copied. */
struct worker_change {
    struct drain_spec *before, *now;
    uint32_t least; /* the position is not taken over from before this segment */
    const struct position *end;
    const struct state_record *resume;
};
void worker_change(struct worker *wk, uint64_t stream, const struct worker_change *c);
/* Lets healthy drains flush for at most <grace_ms>, closes all, and ends the thread. <done> runs on
 * the control thread. */
void worker_stop(struct worker *wk, uint64_t grace_ms, void (*done)(void *arg), void *arg);
/* After <done>, or if the worker has no thread: joins and frees. */
void worker_free(struct worker *wk);

/* The process has run out of descriptors: the worker soon closes some of its files. */
void worker_make_room(struct worker *wk);

/* Asks for the positions of all cursors. <done> runs on the control thread. */
void worker_save(struct worker *wk, void (*done)(void *arg, const struct worker_positions *p),
                 void *arg);

/* Gives up deleted files that are still pinned: see stream_evict(). The next pinned_report repeats
 * <evictions>. */
void worker_evict(struct worker *wk, const struct pinned_segment *files, size_t n,
                  uint64_t evictions);

/* Gives up a log that has ended: its drains lose what they have not confirmed of it, which is counted
 * and logged, and are not told of it. */
void worker_give_up(struct worker *wk, uint64_t stream);

/* A copy of the worker's figures, for /metrics and /drains. */
struct drain_report {
    char *name;      /* of the spec */
    bool owner;      /* a workload asked for it */
    char *namespace; /* namespace of all its streams; NULL = several, or no stream */
    const char *promise;
    const char *state;
    char *lines;              /* the options that say which lines go to it; NULL = all */
    char *error;              /* last error or NULL; never contains a credential */
    uint64_t succeeded_at_ms; /* since the epoch; 0 = never */
    unsigned streams;
    uint64_t lag_bytes; /* not yet confirmed */
    uint64_t lag_ms;    /* since everything had been sent */
    uint64_t retry_in_ms;
    uint64_t growth;      /* growth of the lag, bytes a second */
    uint64_t pinned_most; /* the most that it pins of one stream, in bytes of deleted files */
    struct drain_counters counters;
};
struct scheme_report {
    const char *scheme;
    bool owner;
    struct scheme_counters counters;
};
/* Bytes read of a namespace's files since the last report. */
struct read_report {
    char *namespace; /* "" = of streams that have none */
    uint64_t bytes;
};
struct worker_report {
    unsigned worker;
    struct read_report *read;
    unsigned nread;
    uint64_t read_others; /* of namespaces over READ_TALLIES_MAX */
    struct scheme_report *schemes;
    unsigned nschemes;
    struct drain_report *drains;
    unsigned ndrains;
    struct reader_stats reader;
    uint64_t streams, cursors, parked;
    uint64_t parked_dropped;    /* dropped early, to stay within the limits */
    struct drain_counters past; /* of owners' drains that were freed */
    uint64_t segments;          /* known */
    uint64_t pinned_bytes;      /* of deleted files */
    uint64_t inflight_bytes;
    uint64_t dead;        /* drains that never connected, and wait to try that (again) */
    uint64_t turn_ms_max; /* longest turn of the loop since the last report */
};
/* Asks for a report. <done> runs on the control thread and owns it (worker_report_free). */
void worker_ask(struct worker *wk, void (*done)(void *arg, struct worker_report *r), void *arg);
void worker_report_free(struct worker_report *r);

/* A cursor and its drain, for `logtrain explain`. */
struct cursor_report {
    uint64_t stream;
    struct drain_spec *spec; /* a reference; NULL = parked */
    const char *state;
    char *error; /* last error of the drain or NULL; never contains a credential */
    uint64_t retry_in_ms;
    struct position acked;
    uint64_t lag_bytes;  /* not yet confirmed */
    uint64_t lost_bytes; /* of the drain on this worker */
};
struct where_report {
    struct cursor_report *cursors;
    unsigned n;
};
/* Asks for the cursors of <n> streams. <done> runs on the control thread and owns the answer
 * (where_report_free). <streams> is copied. */
void worker_where(struct worker *wk, const uint64_t *streams, unsigned n,
                  void (*done)(void *arg, struct where_report *r), void *arg);
void where_report_free(struct where_report *r); /* NULL is fine */

/* ---- for members, on the worker ---- */
struct loop *worker_loop(struct worker *wk);
struct dns *worker_dns(struct worker *wk);
struct http_client *worker_http(struct worker *wk); /* created at the first call; NULL on failure */
struct gzip *worker_gzip(struct worker *wk);        /* one for all drains: its state takes 268 KB */
/* What expressions need to be searched for on its thread. */
struct pattern_run *worker_searches(struct worker *wk);
/* The TLS configuration for <s>; drains without TLS options of their own share one. Return it with
 * worker_tls_free(). */
struct tls_config *worker_tls(struct worker *wk, const struct drain_spec *s, struct err *e);
void worker_tls_free(struct worker *wk, struct tls_config *tls); /* NULL is fine */
/* An empty buffer with the cap <max>, for the duration of one call of a member. Up to SCRATCH_KEPT
 * of its memory is kept for the next call. */
struct buf *worker_scratch(struct worker *wk, size_t max);

#endif
