/*
 * Which hostname has which journal, or is known to be unrouted. Asked for each record, so a cache
 * finds recent ones by a few of their bytes, and an unrouted hostname costs one hash. Control
 * thread only.
 *
 * Invariant: a journal is here from hosts_add() to hosts_del(), under the hostname and the trust of
 * its first identity, which do not change.
 */
#ifndef INPUTS_HOSTS_H
#define INPUTS_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "inputs/input.h"
#include "streams/journal.h"

#define HOSTS_KNOWN_BITS 8 /* size of the cache of recent journals */

/* A hostname that no route matched in that generation of routes. */
struct host_unrouted {
    uint64_t hash;
    uint64_t generation;
};

struct hosts {
    struct map by_name[2]; /* of struct journal, by hostname. [1]: trusted */
    size_t n;              /* in both */
    struct journal *known[1 << HOSTS_KNOWN_BITS];
    struct host_unrouted *unrouted;
};

void hosts_init(struct hosts *hs);
/* The caller owns the journals. */
void hosts_release(struct hosts *hs);
/* None with that hostname and trust may exist. */
void hosts_add(struct hosts *hs, struct journal *j);
void hosts_del(struct hosts *hs, struct journal *j);
/* NULL when there is none. */
struct journal *hosts_find(struct hosts *hs, struct str hostname, bool trusted);
/* True when no route wants it; with <trusted>, when no owner's may either. */
bool hosts_unrouted(struct hosts *hs, const struct input_env *env, struct str hostname,
                    bool trusted);

#endif
