/*
 * How many different drains the workloads on this node may have. Each costs memory in the workers,
 * whether it connects or not, and pods that are gone keep theirs until their logs are delivered.
 * So all drains of owners have a budget (OWNERS_DRAINS_MAX), of which each namespace has a share, and
 * what is guaranteed to it comes from a reserve.
 *
 * Pods that ask for the same URL in the same namespace share its place.
 */
#ifndef DATASOURCES_DRAIN_SHARES_H
#define DATASOURCES_DRAIN_SHARES_H

#include "base/map.h"
#include "base/str.h"

struct drain_shares {
    struct map urls;    /* of struct place, by namespace and URL */
    struct map spaces;  /* of struct space, by name */
    struct map holders; /* of struct share_holder, by UID */
    bool refused;       /* somebody got none, since one was freed last */
    uint64_t freed;     /* times that one was freed after that */
};

void drain_shares_init(struct drain_shares *p);
void drain_shares_release(struct drain_shares *p);

struct share_holder;
/* Gives back what <uid> has, to take the places of its new list. It may ask for <most>. */
struct share_holder *drain_shares_begin(struct drain_shares *p, struct str uid,
                                        struct str namespace, unsigned most);
/* A place for <url>; false: the namespace has no more. */
bool drain_shares_take(struct drain_shares *p, struct share_holder *h, struct str url);
/* <uid> wants none. */
void drain_shares_drop(struct drain_shares *p, struct str uid);

#endif
