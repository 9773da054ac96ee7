/*
 * A hash table of nodes that are embedded in their entries, chained per bucket: 4 to 8 bytes per
 * entry beyond the node, where base/map.h takes 43 to 85. For tables of up to a hundred thousand
 * routes. Several entries may have the same key.
 */
#ifndef ROUTER_CHAINS_H
#define ROUTER_CHAINS_H

#include <stddef.h>

#include "base/str.h"

struct chain {
    struct chain *next;
};

struct chains {
    struct chain **heads; /* owned; a power of two of them, NULL until the first entry */
    size_t cap;
    size_t len;
    struct str (*key)(const struct chain *c);
};

void chains_init(struct chains *t, struct str (*key)(const struct chain *c));
/* Frees the table; the owner frees the entries. */
void chains_release(struct chains *t);
void chains_add(struct chains *t, struct chain *c);
void chains_del(struct chains *t, struct chain *c);
/* The first entry with <key> (then chains_next for the others), or NULL. */
struct chain *chains_find(const struct chains *t, struct str key);
struct chain *chains_next(const struct chains *t, const struct chain *c, struct str key);

#endif
