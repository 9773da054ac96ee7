/*
 * A URL that went and one that came in the same commit are one change when they mean the same
 * destination: a password that was corrected, an option that was added. Found by comparing what a
 * stream was attached to with what it is to be attached to; which routes say so does not matter.
 */
#ifndef ROUTER_CHANGES_H
#define ROUTER_CHANGES_H

#include "router/router_internal.h"

/* For each of <came>, in order, which of <gone> it takes the place of: of[i] becomes its index, or
 * -1. None is taken twice. The same text goes first, then the same place with the same port, then
 * the same place. <texts_only>: nothing but the same text. */
void route_changes_find(struct route_url *const *gone, unsigned ngone,
                        struct route_url *const *came, unsigned ncame, bool texts_only, int *of);

#endif
