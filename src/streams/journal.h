/*
 * Journals: the files of those who have none. What a network input hears under one hostname is
 * appended to a journal, and is from there on a stream like a container's.
 *
 *   journal ─ segments: [1: sealed] [2: sealed] [3: live] ◀─ out (not written yet) ◀─ journal_append()
 *      │                     ▲ cursors of drains, on the workers
 *      └─ origin ──mails──▶ workers ──"all of mine are past segment 1"──▶ journal_passed(): freed
 *
 * A segment is a memfd, or a file under SPOOL_PATH; it gets a successor when it has
 * JOURNAL_SEGMENT_BYTES. It is freed when every worker that knows the stream has passed it. All of
 * it belongs to the control thread; workers only read.
 *
 * Invariants: a file ends at the end of a record whenever the control thread looks; bytes that are
 * counted are bytes that are held, written or not; what was taken is never dropped to make room for
 * something else; a segment holds what was received for one tenant (identity.tenant).
 *
 * Limits: `bytes_max` for all, `host_max` for one. Since nothing that was taken is dropped, nobody
 * may take all. What one may hold depends on what is left for all (dynamic thresholds, as switches
 * share their buffers: Choudhury and Hahne, 1998):
 *
 *   may_hold(left, reserve, parts) = the larger of left - reserve and left / parts
 *
 *   a hostname                   host_max and half of all; once half of all is used,
 *                                may_hold(left, bytes_max / 4, 16)
 *   ... of a sender              then may_hold(3 * left - what the sender has, bytes_max / 2, 64)
 *   a sender in a hostname       7 times what that has left, or left / 64
 *
 * So a hostname alone gets half of all, a sender three quarters, and whoever comes when others are
 * stuck still finds some. What does not fit is refused, and whoever was refused may ask to be
 * told when there is room.
 */
#ifndef STREAMS_JOURNAL_H
#define STREAMS_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "loop/loop.h"
#include "streams/journal_record.h"
#include "streams/origin.h"

/* What one sender has in all journals. Its owner lets it live while there is any of it. */
struct journal_share {
    uint64_t bytes;
    uint32_t segments; /* with bytes of it */
    uint32_t names;    /* journals that its records have made */
};

/* What one sender has in a segment. */
struct journal_part {
    struct journal_share *share;
    uint64_t bytes;
};

#define JOURNAL_PARTS 16 /* senders that a segment tells apart; the rest are one to it */

struct journal_segment {
    struct list node; /* journal->segments */
    struct list sync; /* store->unsynced */
    struct journal *journal;
    uint32_t no;   /* in the origin */
    uint64_t seq;  /* in the file's name */
    int fd;        /* -1 = a sealed file, which is found by its name */
    char *path;    /* owned; NULL = a memfd */
    uint64_t size; /* written; a record's end */
    uint64_t cost; /* counted for it */
    struct journal_part parts[JOURNAL_PARTS];
    unsigned nparts;
};

/* Wants to hear when there may be room. Its owner does list_init(&node) once. Taken off its list
 * before it is called, in a turn of its own. */
struct journal_waiter {
    struct list node;
    void (*room)(struct journal_waiter *w);
};

/* Wants to hear when what was appended so far is as safe as SPOOL_SYNC says. */
struct journal_safe {
    struct list node;
    uint64_t ticket;
    /* <ok> false: it could not be written or synced; it is still tried. */
    void (*done)(struct journal_safe *s, bool ok);
};

struct journal_stats {
    uint64_t bytes;      /* held now */
    uint64_t segments;   /* now */
    uint64_t hostnames;  /* now */
    uint64_t full;       /* times that a record was refused for want of room */
    uint64_t errors;     /* writes, creations and syncs that failed */
    uint64_t torn_bytes; /* cut off the ends of files at start */
    uint64_t evicted;    /* journals ended because others needed the place */
};

struct journal_store {
    struct loop *loop;
    uint64_t bytes_max, host_max;
    size_t max_line;
    bool sync;        /* SPOOL_SYNC */
    const char *path; /* SPOOL_PATH, borrowed; "" = memory */
    /* Names of the inputs that INPUT_OWNERS trusts, at most JOURNAL_TRUST_MAX bytes; borrowed, set
     * by the owner. In the heads of trusted streams' segments, so that it is known at the next
     * start who wrote them. */
    struct str trusted;
    int dir, lock; /* of it; -1 */
    uint64_t next_seq;
    struct list dirty;    /* journals with something to write */
    struct list unsynced; /* segments with something to sync */
    struct list waiters;
    struct list safe; /* by ticket */
    struct loop_task flush;
    struct loop_task room;
    struct loop_timer *retry;
    uint64_t ticket; /* of what was appended last */
    struct journal_sync *syncing;
    struct log_limit complaint;
    struct journal_share others; /* senders that a segment does not tell apart */
    bool failing;
    bool quiet; /* the workers take no mail any more */
    struct journal_stats stats;
};

struct journal {
    struct list node;  /* the owner's */
    struct list dirty; /* store->dirty */
    struct journal_store *store;
    struct origin *origin;       /* whose <input> is this journal */
    struct journal_share *maker; /* set by the owner; NULL = nobody's */
    struct identity *name; /* a reference to its first, of which hostname and trust stay true */
    struct list segments;  /* the last one is live, unless <closed> */
    struct identity *head; /* a reference; of the time when the live segment was begun, or NULL */
    struct buf out;        /* for the live segment */
    uint64_t cost;
    bool closed;  /* nothing more is appended: its segments are only waiting to be passed */
    bool adopted; /* it has what an earlier run left */
    bool asked;   /* the owner's: somebody was asked whose it is (streams/identify.h) */
    uint32_t passed[WORKERS_MAX]; /* by worker: segments up to this one */
};

enum journal_result {
    JOURNAL_OK = 0,
    JOURNAL_FULL,     /* no room now: offer it again when told (journals_wait), or drop and count */
    JOURNAL_UNROUTED, /* nobody wants it: counted, gone, and not an error */
    JOURNAL_REFUSED,  /* this source may not write under that hostname (INPUT_HOSTNAMES): counted */
};

/* <path>: SPOOL_PATH, "" = memory. NULL-safe to release after failure. -1 with <e> when the
 * directory cannot be used. */
int journal_store_init(struct journal_store *s, struct loop *l, const char *path, bool sync,
                       uint64_t bytes_max, uint64_t host_max, size_t max_line, struct err *e);
/* Journals were freed. */
void journal_store_release(struct journal_store *s);

/* For a stream that <o> introduces; it has no segment yet. */
struct journal *journal_create(struct journal_store *s, struct origin *o);
/* JOURNAL_OK or JOURNAL_FULL. What is OK is written at the end of this turn at the latest. <share>:
 * its sender's, or NULL. */
enum journal_result journal_append(struct journal *j, struct journal_share *share,
                                   const struct journal_entry *e);
/* Whether <bytes> more (sizes of records) of that sender would be taken now. */
bool journal_has_room(const struct journal *j, const struct journal_share *share, uint64_t bytes);
/* The same for <bytes> under a hostname that has no journal yet. */
bool journal_would_have_room(const struct journal_store *s, const struct journal_share *share,
                             uint64_t bytes);
/* Seals the live segment, if there is anything in it, so that it can go once it is passed. */
void journal_roll(struct journal *j);
/* Writes what waits. -1 when that failed; it is tried again. */
int journal_flush(struct journal *j);
/* Worker <w> is past segment <no>: what all are past is freed. */
void journal_passed(struct journal *j, unsigned w, uint32_t no);
/* Nothing more is appended. */
void journal_close(struct journal *j);
/* Frees it, and with <erase> its files; without, they stay for the next start. The origin is not
 * touched. */
void journal_free(struct journal *j, bool erase);

/* ---- journal_spool.c ---- */

/* A segment of an earlier run. */
struct journal_found {
    struct str hostname; /* heap, as are the next two */
    struct str trusted;  /* journal_store.trusted when it was begun; empty = its writer was not */
    struct str tenant;   /* whose the name was then; empty = that was not known */
    char *path;
    uint64_t seq, size;
};

/* Calls <found> for each segment left by an earlier run, by hostname and then age, torn tails cut.
 * <found> takes the path over. */
int journal_spool_scan(struct journal_store *s,
                       void (*found)(void *arg, const struct journal_found *f), void *arg,
                       struct err *e);
/* Opens and locks the directory. */
int journal_spool_open(struct journal_store *s, struct err *e);
/* A file (or, without a path, a memfd) for a new segment. -1 with <e>. */
int journal_segment_open(struct journal_store *s, struct journal_segment *seg, struct err *e);
/* Gives <j> a segment that was found: it is sealed. Takes the path over. */
void journal_adopt(struct journal *j, const struct journal_found *f);

/* ---- journal_sync.c ---- */
void journal_wait_room(struct journal_store *s, struct journal_waiter *w);
/* Writes are tried again, and waiters called, after JOURNAL_RETRY_MS. */
void journal_retry(struct journal_store *s);
void journal_wait_cancel(struct journal_waiter *w);
/* <w>->done is called once, never from inside. */
void journal_when_safe(struct journal_store *s, struct journal_safe *w);
void journal_safe_cancel(struct journal_safe *w);
/* <seg> was written to. */
void journal_sync_note(struct journal_store *s, struct journal_segment *seg);
/* Something was flushed, or failed to be. */
void journal_sync_kick(struct journal_store *s);
void journal_sync_forget(struct journal_segment *seg);
void journal_sync_stop(struct journal_store *s);

#endif
