/*
 * The state on the control thread: what was loaded at start, what the workers have reported since,
 * and when it is written. A worker notifies once that something was confirmed. CHECKPOINT_MS later
 * (or more, where a write costs much CPU) all workers that did are asked for the positions of their
 * cursors, and one slot is written on the thread pool. While nothing is confirmed, no stream or
 * file comes or goes, and none gets its first unread line, nothing is written. STATE_PATH is
 * checked twice a second, and files that were removed or replaced are written again.
 *
 * A record without a cursor is kept for STREAM_GRACE_MS while its stream is not found or not all
 * routes were read, and then for ROUTE_GRACE (checkpoint_claim.c). Only time in which a daemon ran
 * counts, by the monotonic clock.
 */
#ifndef STATE_CHECKPOINT_H
#define STATE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "drains/core/worker.h"
#include "state/slot.h"
#include "streams/origin.h"
#include "streams/stream.h"

struct checkpoint;

struct checkpoint_stats {
    uint64_t records;
    uint64_t writes;
    uint64_t written_bytes;
    uint64_t errors;  /* writes that failed */
    uint64_t resets;  /* 1 = both slots were damaged at start */
    uint64_t pending; /* 1 = something was confirmed that is not written yet */
    /* 1 = the last write failed, or the directory cannot be used or was replaced. */
    uint64_t failing;
};

/* <path>: STATE_PATH; "" = keep no state. Fails when another daemon has locked the directory, or
 * when a newer version wrote it. */
struct checkpoint *checkpoint_open(struct loop *l, const char *path, struct worker **workers,
                                   struct err *e);
/* The number of workers is known only later. <route_grace_ms>: ROUTE_GRACE. */
void checkpoint_start(struct checkpoint *c, unsigned nworkers, uint64_t route_grace_ms);

/* The key with which workers hash URLs: two numbers. */
const uint64_t *checkpoint_key(const struct checkpoint *c);
/* Finds the saved record of the pair, or an unclaimed one of the same stream and place, because the
 * URL may have been changed while logtrain was down. False = there is none. */
bool checkpoint_find(struct checkpoint *c, struct origin *o, const struct drain_spec *spec,
                     struct state_record *out);
/* Finds the pair in the last report of any worker. */
bool checkpoint_last(const struct checkpoint *c, const struct origin *o,
                     const struct drain_spec *spec, struct state_record *out);
/* The records of <main>'s pair in files that it has left but that may have grown since
 * (streams/late.c): returns the next one; <at> is 0 at first. */
bool checkpoint_next_late(struct checkpoint *c, const struct state_record *main, unsigned *at,
                          struct state_record *out);
/* The route was removed by decision: the record of the pair is removed soon. */
void checkpoint_ended(struct checkpoint *c, const struct origin *o, const struct drain_spec *spec);
/* The state was damaged: every log is read from its start. */
bool checkpoint_was_reset(const struct checkpoint *c);
/* There was no state: this is the first start, and the existing logs are older than it. */
bool checkpoint_is_first(const struct checkpoint *c);

/* True when no earlier run that left its state here has asked for <what>, a text. Saved with the
 * streams that are found before the next write. <c> may be NULL: true. */
bool checkpoint_is_new(struct checkpoint *c, struct str what);
/* Whether <o>, which was just found, was known in the last run; see known_look_up(). */
bool checkpoint_stream(const struct checkpoint *c, const struct origin *o,
                       struct state_stream *out);
/* See known_found() and those after it. */
void checkpoint_stream_found(struct checkpoint *c, struct origin *o, const struct position *at);
void checkpoint_stream_routed(struct checkpoint *c, const struct origin *o);
void checkpoint_stream_gone(struct checkpoint *c, const struct origin *o);
/* The daemon stops: streams that are removed from now on still exist. <c> may be NULL. */
void checkpoint_stop(struct checkpoint *c);
/* The first scan is done. Writes both slots and waits until they are on the disk, unless both are
 * good. So a daemon that was ready is never started as for the first time again. */
void checkpoint_settle(struct checkpoint *c);

/* Streams of the last run that are gone. Both return true if the drains of the stream are being
 * notified; checkpoint_notified() follows. */
struct checkpoint_gone {
    /* It had unread bytes: at least <bytes>, of the drain with the fewest. */
    bool (*unread)(void *arg, struct identity *id, uint64_t bytes);
    /* It was not routed yet. */
    bool (*unrouted)(void *arg, struct identity *id);
    void *arg;
};
void checkpoint_missing(struct checkpoint *c, const struct checkpoint_gone *gone);
/* The drains of such a stream have been notified of their loss. */
void checkpoint_notified(struct checkpoint *c, const struct identity *id);

/* Mail of the workers (worker_config.dirty, .saved). Takes the records of <p>. */
void checkpoint_dirty(struct checkpoint *c, unsigned worker);
void checkpoint_saved(struct checkpoint *c, const struct worker_positions *p);

void checkpoint_stats(const struct checkpoint *c, struct checkpoint_stats *out);
/* Writes what is left to write, and frees. The loop has ended. */
void checkpoint_close(struct checkpoint *c);

#endif
