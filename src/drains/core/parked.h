/*
 * Cursors without a drain. A route went and nobody decided that it should (its owner was deleted
 * and is made again, its URL has a mistake now), or its URL was changed: the place in the stream is
 * kept, and whoever comes for the same URL, or for the same place under another one, goes on
 * there. Costs a struct, however long the URL, and keeps the stream's files as any cursor does.
 *
 * Invariant: a stream has one for each URL at most. The longest parked come first in the list, and
 * go first: after worker_config.route_grace_ms, above PARKED_STREAM_MAX of a stream, and above
 * PARKED_NAMESPACE_MAX of those that a namespace's workloads asked for.
 */
#ifndef DRAINS_PARKED_H
#define DRAINS_PARKED_H

#include "drains/core/drain.h"

struct drain_place worker_place(const struct worker *wk, const struct drain_spec *spec);

/* Takes over where <c> stands; what was in flight of it comes again. Frees <c>. */
void worker_park(struct worker *wk, struct drain_cursor *c);
/* <c>, which is new, begins where one was parked that is fit for it: <before>'s (hash of a URL; 0 =
 * none in particular), its own, or one of the same place; not before segment <least>. False: there
 * was none. */
bool worker_unpark(struct worker *wk, struct drain_cursor *c, uint64_t before, uint32_t least);
/* Whether worker_unpark() would find one. */
bool worker_has_parked(struct worker *wk, const struct stream *s, const struct drain_spec *spec,
                       uint64_t before, uint32_t least);
/* Lets go of those whose time has come. True while there are others. */
bool worker_parked_expire(struct worker *wk);
/* The worker ends: of all. */
void worker_parked_release(struct worker *wk);
/* Without the late ones. */
unsigned worker_parked_count(const struct worker *wk);
/* Calls <fn> for each. */
void worker_parked_each(struct worker *wk,
                        void (*fn)(void *arg, struct cursor *k, const struct drain_place *p,
                                   uint64_t away_ms),
                        void *arg);

#endif
