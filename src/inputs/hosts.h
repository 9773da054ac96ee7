/*
 * Which hostname has which journal, or none that anybody wants. Asked for each record, so what was
 * found lately is found again by a look at a few of its bytes, and what nobody wants costs one
 * hash. Control thread only.
 *
 * Invariant: a journal is here from hosts_add() to hosts_del(), under the hostname and the trust of
 * its first identity, which stay true.
 */
#ifndef INPUTS_HOSTS_H
#define INPUTS_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "inputs/input.h"
#include "streams/journal.h"

#define HOSTS_KNOWN_BITS 8 /* of the table of journals found lately */

/* A hostname that no route wanted when the routes were of that generation. */
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
/* The journals are the caller's. */
void hosts_release(struct hosts *hs);
/* There is none of that hostname and trust yet. */
void hosts_add(struct hosts *hs, struct journal *j);
void hosts_del(struct hosts *hs, struct journal *j);
/* NULL when there is none. */
struct journal *hosts_find(struct hosts *hs, struct str hostname, bool trusted);
/* Whether no route wants it; with <trusted>, no owner's may, either. */
bool hosts_unrouted(struct hosts *hs, const struct input_env *env, struct str hostname,
                    bool trusted);

#endif
