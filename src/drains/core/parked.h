/*
 * Cursors without a drain. They are parked when a route disappears without anybody's decision (its
 * owner was deleted and is being created again, or its URL is invalid now), or when its URL
 * changes. The position in the stream is kept. A new route to the same URL, or to the same place
 * under another URL, continues there. A parked cursor costs one struct, however long the URL, and
 * keeps the stream's files like any other cursor.
 *
 * Invariant: a stream has at most one parked cursor per URL. The list is in order of parking. The
 * oldest are dropped first: after worker_config.route_grace_ms, above PARKED_STREAM_MAX per stream,
 * and above PARKED_NAMESPACE_MAX per namespace whose workloads asked for them.
 */
#ifndef DRAINS_PARKED_H
#define DRAINS_PARKED_H

#include "drains/core/drain.h"

struct drain_place worker_place(const struct worker *wk, const struct drain_spec *spec);

/* Parks the position of <c>; what it had in flight is sent again later. Frees <c>. */
void worker_park(struct worker *wk, struct drain_cursor *c);
/* Starts <c>, which is new, at a parked position that fits: that of <before> (hash of a URL; 0 =
 * none), of its own URL, or of the same place; not before segment <least>. False: there was
 * none. */
bool worker_unpark(struct worker *wk, struct drain_cursor *c, uint64_t before, uint32_t least);
/* Whether worker_unpark() would find one. */
bool worker_has_parked(struct worker *wk, const struct stream *s, const struct drain_spec *spec,
                       uint64_t before, uint32_t least);
/* Drops those whose grace period has passed. True while others remain. */
bool worker_parked_expire(struct worker *wk);
/* At the end of the worker: drops all. */
void worker_parked_release(struct worker *wk);
/* Number of parked cursors, without the late ones. */
unsigned worker_parked_count(const struct worker *wk);
/* Calls <fn> for each of them. */
void worker_parked_each(struct worker *wk,
                        void (*fn)(void *arg, struct cursor *k, const struct drain_place *p,
                                   uint64_t away_ms),
                        void *arg);

#endif
