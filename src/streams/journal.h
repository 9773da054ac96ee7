/*
 * Journals: files for network streams. What a network input receives under one hostname is appended
 * to a journal, and is from then on a stream like a container's.
 *
 *   journal ─ segments: [1: sealed] [2: sealed] [3: live] ◀─ out (not written yet) ◀─ journal_append()
 *      │                     ▲ cursors of drains, on the workers
 *      └─ origin ──mails──▶ workers ──"all of mine are past segment 1"──▶ journal_passed(): freed
 *
 * A segment is a memfd, or a file under SPOOL_PATH. At JOURNAL_SEGMENT_BYTES it gets a successor.
 * It is freed when every worker that knows the stream has passed it. The control thread owns all of
 * it; workers only read.
 *
 * Invariants: whenever the control thread looks, a file ends at the end of a record; accounted
 * bytes are stored bytes, written or not; accepted records are never dropped to make room for
 * others; a segment contains records of one tenant (identity.tenant).
 *
 * Limits: `bytes_max` for all, `host_max` for one. Since accepted records are never dropped, no one
 * may take all of it. A party's limit depends on what is left for all (dynamic thresholds, as
 * switches share their buffers: Choudhury and Hahne, 1998):
 *
 *   may_hold(left, reserve, parts) = the larger of left - reserve and left / parts
 *
 *   a hostname                   host_max and half of all; once half of all is used,
 *                                may_hold(left, bytes_max / 4, 16)
 *   ... of a sender              then may_hold(3 * left - what the sender has, bytes_max / 2, 64)
 *   a sender in a hostname       7 times what that has left, or left / 64
 *   all senders over UDP         3 * left, for anybody can send in the name of any of them; what is
 *                                left of that is <left> for each of them
 *   senders of one IPv6 /64      the same; and in a hostname, as one sender
 *
 * So a single hostname gets half of all, a sender three quarters, and a newcomer still finds room
 * when others are stuck. What does not fit is refused; a refused sender may ask to be notified when
 * there is room.
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

/* What one sender has in all journals. Its owner keeps it while it is in use. */
struct journal_share {
    uint64_t bytes;
    uint32_t segments; /* that contain bytes of it */
    uint32_t names;    /* journals created by its records */
    /* All senders whose addresses may be forged (UDP), as one more sender; NULL = not one of these.
     */
    struct journal_share *group;
    /* All senders of its IPv6 network, as one more sender; NULL = it has its own. */
    struct journal_share *network;
};

/* What one sender, or some of one network, have in a segment. */
struct journal_part {
    struct journal_share *share;
    uint64_t bytes;
};

/* Senders that a segment accounts separately. Of the second half, those of one network are one; the
 * rest are one. */
#define JOURNAL_PARTS 16

struct journal_segment {
    struct list node; /* journal->segments */
    struct list sync; /* store->unsynced */
    struct journal *journal;
    uint32_t no;   /* in the origin */
    uint64_t seq;  /* in the file's name */
    int fd;        /* -1 = a sealed file, which is opened by name */
    char *path;    /* owned; NULL = a memfd */
    uint64_t size; /* written; a record's end */
    uint64_t cost; /* counted for it */
    struct journal_part parts[JOURNAL_PARTS];
    unsigned nparts;
    struct journal_share *group; /* of some of its bytes; NULL = none */
    uint64_t group_bytes;
};

/* Notified when there may be room. Its owner does list_init(&node) once. It is taken off its list
 * before it is called, in a turn of its own. */
struct journal_waiter {
    struct list node;
    void (*room)(struct journal_waiter *w);
};

/* Notified when what was appended so far is as safe as SPOOL_SYNC says. */
struct journal_safe {
    struct list node;
    uint64_t ticket;
    /* <ok> false: it could not be written or synced; that is retried. */
    void (*done)(struct journal_safe *s, bool ok);
};

struct journal_stats {
    uint64_t bytes;      /* stored, current */
    uint64_t segments;   /* current */
    uint64_t hostnames;  /* current */
    uint64_t full;       /* times that a record was refused for lack of room */
    uint64_t errors;     /* writes, creations and syncs that failed */
    uint64_t torn_bytes; /* truncated from the ends of files at start */
    uint64_t evicted;    /* journals ended because others needed their place */
};

struct journal_store {
    struct loop *loop;
    uint64_t bytes_max, host_max;
    size_t max_line;
    bool sync;        /* SPOOL_SYNC */
    const char *path; /* SPOOL_PATH, borrowed; "" = memory */
    /* Names of the inputs that INPUT_OWNERS trusts, at most JOURNAL_TRUST_MAX bytes; borrowed, set
     * by the owner. Stored in the heads of trusted streams' segments, so that the next start knows
     * who wrote them. */
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
    struct journal_share others; /* senders that a segment does not account separately */
    bool failing;
    bool quiet; /* the workers accept no mail any more */
    struct journal_stats stats;
};

struct journal {
    struct list node;  /* the owner's */
    struct list dirty; /* store->dirty */
    struct journal_store *store;
    struct origin *origin;       /* its <input> is this journal */
    struct journal_share *maker; /* journal_made_by(); NULL = no sender */
    struct identity
        *name;            /* a reference to its first one, whose hostname and trust do not change */
    struct list segments; /* the last one is live, unless <closed> */
    struct identity *head; /* a reference; of when the live segment was begun, or NULL */
    struct buf out;        /* for the live segment */
    uint64_t cost;
    bool closed;  /* nothing more is appended: its segments only wait to be passed */
    bool adopted; /* it has segments of an earlier run */
    bool asked;   /* the owner's: its identity was asked for (streams/identify.h) */
    uint32_t passed[WORKERS_MAX]; /* by worker: segments up to this one */
};

enum journal_result {
    JOURNAL_OK = 0,
    JOURNAL_FULL,     /* no room now: retry when notified (journals_wait), or drop and count */
    JOURNAL_UNROUTED, /* no route wants it: counted and dropped; not an error */
    JOURNAL_REFUSED,  /* this source may not use that hostname (INPUT_HOSTNAMES): counted */
};

/* <path>: SPOOL_PATH, "" = memory. NULL-safe to release after failure. -1 with <e> when the
 * directory cannot be used. */
int journal_store_init(struct journal_store *s, struct loop *l, const char *path, bool sync,
                       uint64_t bytes_max, uint64_t host_max, size_t max_line, struct err *e);
/* All journals must have been freed. */
void journal_store_release(struct journal_store *s);

/* For a stream that <o> introduces; it has no segment yet. */
struct journal *journal_create(struct journal_store *s, struct origin *o);
/* Counts its name for <maker>, the sender of its first record. NULL is fine. Call it once. */
void journal_made_by(struct journal *j, struct journal_share *maker);
/* JOURNAL_OK or JOURNAL_FULL. An accepted record is written at the end of this turn at the latest.
 * <share>: its sender's, or NULL. */
enum journal_result journal_append(struct journal *j, struct journal_share *share,
                                   const struct journal_entry *e);
/* True when <bytes> more (sizes of records) of that sender would be accepted now. */
bool journal_has_room(const struct journal *j, const struct journal_share *share, uint64_t bytes);
/* The same for <bytes> under a hostname that has no journal yet. */
bool journal_would_have_room(const struct journal_store *s, const struct journal_share *share,
                             uint64_t bytes);
/* Seals the live segment unless it is empty, so that it is freed once it is passed. */
void journal_roll(struct journal *j);
/* Writes what is buffered. -1 when that failed; it is retried. */
int journal_flush(struct journal *j);
/* Worker <w> has passed segment <no>: frees what all have passed. */
void journal_passed(struct journal *j, unsigned w, uint32_t no);
/* Nothing more is appended. */
void journal_close(struct journal *j);
/* Frees it, and with <erase> its files; otherwise they stay for the next start. The origin is not
 * touched. */
void journal_free(struct journal *j, bool erase);

/* ---- journal_shares.c ---- */

/* What is left for one of a group or network of senders that has <has> together, where <left> are left for all.
 */
uint64_t journal_group_left(uint64_t has, uint64_t left);
/* The network of a sender, or itself. */
const struct journal_share *journal_share_root(const struct journal_share *share);
/* The senders that <share> is counted together with; NULL = none, or <share> is NULL. */
const struct journal_share *journal_shared_with(const struct journal_share *share);
/* Accounts <n> bytes of <seg> to <share>, or to "others" when too many senders write to it. */
void journal_count_part(struct journal_segment *seg, struct journal_share *share, uint64_t n);
/* <seg> is freed. */
void journal_drop_parts(struct journal_segment *seg);
/* True when <n> more bytes of <share> are within all limits. <j> may be NULL: a hostname without a
 * journal. */
bool journal_within_shares(const struct journal_store *s, const struct journal *j,
                           const struct journal_share *share, uint64_t n);

/* ---- journal_spool.c ---- */

/* A segment of an earlier run. */
struct journal_found {
    struct str hostname; /* heap, as are the next two */
    struct str
        trusted; /* journal_store.trusted when it was begun; empty = its writer was not trusted */
    struct str tenant; /* owner of the name then; empty = unknown */
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
/* Adds a found segment to <j>, sealed. Takes the path over. */
void journal_adopt(struct journal *j, const struct journal_found *f);

/* ---- journal_sync.c ---- */
void journal_wait_room(struct journal_store *s, struct journal_waiter *w);
/* After JOURNAL_RETRY_MS, retries writes and calls waiters. */
void journal_retry(struct journal_store *s);
void journal_wait_cancel(struct journal_waiter *w);
/* <w>->done is called once, never from inside. */
void journal_when_safe(struct journal_store *s, struct journal_safe *w);
void journal_safe_cancel(struct journal_safe *w);
/* <seg> was written to. */
void journal_sync_note(struct journal_store *s, struct journal_segment *seg);
/* Something was flushed, or could not be. */
void journal_sync_kick(struct journal_store *s);
void journal_sync_forget(struct journal_segment *seg);
void journal_sync_stop(struct journal_store *s);

#endif
