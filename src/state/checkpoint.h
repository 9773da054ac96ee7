/*
 * The state on the control thread: what was loaded at start, what the workers report since, and
 * when it is written. A worker says once that something was confirmed; CHECKPOINT_MS later (or
 * more, where there are more than CHECKPOINT_RECORDS_PER_SECOND) all that did are asked where their
 * cursors stand, and one slot is written off the loop. While nothing is confirmed, and no stream
 * comes or goes, nothing is written; but twice a second STATE_PATH is looked at, and what was
 * removed or replaced is made anew.
 *
 * A record whose cursor is not there is kept for STREAM_GRACE_MS while its stream is not found or
 * not all routes were read, and for ROUTE_GRACE after that (checkpoint_claim.c): of the time that a
 * daemon ran, by the monotonic clock.
 */
#ifndef STATE_CHECKPOINT_H
#define STATE_CHECKPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "drains/worker.h"
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
    uint64_t failing; /* 1 = the last write failed, or the directory cannot be used, or it is not
                         the one any more that was written to */
};

/* <path>: STATE_PATH; "" = keep nothing. Refuses when another daemon has the directory, or for a
 * newer version. */
struct checkpoint *checkpoint_open(struct loop *l, const char *path, struct worker **workers,
                                   struct err *e);
/* The number of workers is known only later. <route_grace_ms>: ROUTE_GRACE. */
void checkpoint_start(struct checkpoint *c, unsigned nworkers, uint64_t route_grace_ms);

/* With which workers hash URLs: two numbers. */
const uint64_t *checkpoint_key(const struct checkpoint *c);
/* Where the pair was, or another one of the same stream and place that nobody has claimed: its URL
 * was changed while we were away. False = the state knows nothing of it. */
bool checkpoint_find(struct checkpoint *c, struct origin *o, const struct drain_spec *spec,
                     struct state_record *out);
/* Where the pair was last said to be, by whatever worker. */
bool checkpoint_last(const struct checkpoint *c, const struct origin *o,
                     const struct drain_spec *spec, struct state_record *out);
/* The places of <main>'s pair in files that it has left, where something may have been written
 * since (streams/late.c): the next one; <at> is 0 at first. */
bool checkpoint_next_late(struct checkpoint *c, const struct state_record *main, unsigned *at,
                          struct state_record *out);
/* Somebody decided that the route ends: the state forgets the pair, soon. */
void checkpoint_ended(struct checkpoint *c, const struct origin *o, const struct drain_spec *spec);
/* Nothing about where to begin can be believed: begin at the start of everything. */
bool checkpoint_was_reset(const struct checkpoint *c);
/* There never was a state: what is there was there before us. */
bool checkpoint_is_first(const struct checkpoint *c);

/* Whether <o>, which was just found, was known in the last run, see known_look_up(). */
bool checkpoint_stream(const struct checkpoint *c, const struct origin *o,
                       struct state_stream *out);
/* What known.h says of them. */
void checkpoint_stream_found(struct checkpoint *c, struct origin *o, const struct position *at);
void checkpoint_stream_routed(struct checkpoint *c, const struct origin *o);
void checkpoint_stream_gone(struct checkpoint *c, const struct origin *o);
/* The daemon stops: streams that go now are not gone, they are only not looked at any more. <c> may
 * be NULL. */
void checkpoint_stop(struct checkpoint *c);
/* All that was there at start was found: writes, and waits for it, unless both slots are whole. So
 * a daemon that is ready was not here for the first time at its next start. */
void checkpoint_settle(struct checkpoint *c);

/* Calls <gone> for each stream, known from the last run, of which something was unread and of which
 * nothing was attached yet; <bytes>: unread, at least, of the drain that had least. True: it is
 * being told to its drains, see checkpoint_told(). */
void checkpoint_missing(struct checkpoint *c,
                        bool (*gone)(void *arg, struct identity *id, uint64_t bytes), void *arg);
/* The drains of such a stream know what they have missed. */
void checkpoint_told(struct checkpoint *c, const struct identity *id);

/* Mails of the workers (worker_config.dirty, .saved). Records are taken over. */
void checkpoint_dirty(struct checkpoint *c, unsigned worker);
void checkpoint_saved(struct checkpoint *c, unsigned worker, struct state_record *records,
                      uint32_t n);

void checkpoint_stats(const struct checkpoint *c, struct checkpoint_stats *out);
/* Writes what there is to write and frees. The loop has ended. */
void checkpoint_close(struct checkpoint *c);

#endif
