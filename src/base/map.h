/*
 * Hash map from bytes to a pointer. It uses SipHash with a random seed per process, because keys
 * (hostnames, URLs) come from tenants. Keys are borrowed: they must live as long as the entry, so
 * keep them in the value.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct map_slot {
    struct str key;
    uint64_t hash;
    void *value; /* NULL = free slot */
};

struct map {
    struct map_slot *slots; /* power of two of them, open addressing, backward-shift deletion */
    size_t cap;
    size_t len;
};

void map_init(struct map *m);
void map_release(struct map *m);
void *map_get(const struct map *m, struct str key);
/* Adds or replaces; <value> is not NULL. Returns the value replaced, or NULL. On replacement the
 * new key is kept. */
void *map_put(struct map *m, struct str key, void *value);
/* Removes and returns the value, or NULL. */
void *map_del(struct map *m, struct str key);
/* for (size_t i = 0; (v = map_next(&m, &i));) … ; the map must not change meanwhile. */
void *map_next(const struct map *m, size_t *i);

/* SipHash-1-3 with this process's seed. Not stable across processes. */
uint64_t hash_seeded(const void *p, size_t n);
/* SipHash-1-3 with the caller's key. */
uint64_t hash_keyed(const uint64_t key[2], const void *p, size_t n);
/* FNV-1a: stable across processes; not for keys that a tenant chooses. */
uint64_t hash_stable(const void *p, size_t n);

#endif
