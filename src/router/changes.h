/*
 * A URL that was removed and one that was added in the same commit are one change when they have
 * the same destination: a corrected password, an added option. Found by comparing a stream's old
 * attachments with the new ones, independent of the routes behind them.
 */
#ifndef ROUTER_CHANGES_H
#define ROUTER_CHANGES_H

#include "router/router_internal.h"

/* For each of <came>, in order: of[i] is the index of the URL in <gone> that it replaces, or -1.
 * Each is replaced at most once. The same text is matched first, then the same place with the same
 * port, then the same place. <texts_only>: only the same text. */
void route_changes_find(struct route_url *const *gone, unsigned ngone,
                        struct route_url *const *came, unsigned ncame, bool texts_only, int *of);

#endif
