/*
 * Open addressing with linear probing. Deleting shifts the following entries back instead of
 * leaving tombstones, so that a long-lived map with churn stays fast. Full hashes are stored:
 * growing never touches keys, and most mismatches need no memcmp.
 *
 * Invariant: between an entry's home slot (hash & mask) and the slot it is in, no slot is free.
 */
#include "base/map.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"

#define FIRST_CAP 16

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_make(void)
{
    ssize_t n;

    do
        n = getrandom(seed, sizeof(seed), 0);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(seed))
        BUG("map: no random seed: errno %d", errno);
}

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

/* Native byte order: the result never leaves the machine. */
uint64_t hash_keyed(const uint64_t key[2], const void *p, size_t n)
{
    const unsigned char *in = p;
    uint64_t v[4], word;
    size_t left;

    v[0] = key[0] ^ 0x736f6d6570736575;
    v[1] = key[1] ^ 0x646f72616e646f6d;
    v[2] = key[0] ^ 0x6c7967656e657261;
    v[3] = key[1] ^ 0x7465646279746573;
    for (left = n; left >= 8; left -= 8, in += 8) {
        memcpy(&word, in, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)n << 56;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)in[i] << (8 * i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_seeded(const void *p, size_t n)
{
    (void)pthread_once(&seed_once, seed_make); /* fails only on a bad control block */
    return hash_keyed(seed, p, n);
}

uint64_t hash_stable(const void *p, size_t n)
{
    const unsigned char *in = p;
    uint64_t h = 0xcbf29ce484222325;

    for (size_t i = 0; i < n; i++)
        h = (h ^ in[i]) * 0x100000001b3;
    return h;
}

void map_init(struct map *m)
{
    *m = (struct map){NULL, 0, 0};
}

void map_release(struct map *m)
{
    free(m->slots);
    map_init(m);
}

/* The slot that holds <key>, or the free one where it belongs. The map is never full. */
static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    size_t mask = m->cap - 1;

    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];

        if (!s->value || (s->hash == hash && str_eq(s->key, key)))
            return s;
    }
}

static void grow(struct map *m)
{
    struct map old = *m;

    m->cap = old.cap ? old.cap * 2 : FIRST_CAP;
    m->slots = xcalloc(m->cap, sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++) {
        const struct map_slot *s = &old.slots[i];

        if (s->value)
            *find(m, s->key, s->hash) = *s;
    }
    free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    return m->len ? find(m, key, hash_seeded(key.p, key.len))->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
    uint64_t hash = hash_seeded(key.p, key.len);
    struct map_slot *s;
    void *before;

    if (!value)
        BUG("map: put without a value");
    if (m->len >= m->cap / 4 * 3)
        grow(m);
    s = find(m, key, hash);
    before = s->value;
    if (!before)
        m->len++;
    *s = (struct map_slot){key, hash, value};
    return before;
}

void *map_del(struct map *m, struct str key)
{
    size_t mask = m->cap - 1, hole;
    struct map_slot *s;
    void *value;

    if (m->len == 0)
        return NULL;
    s = find(m, key, hash_seeded(key.p, key.len));
    value = s->value;
    if (!value)
        return NULL;
    hole = (size_t)(s - m->slots);
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;

        /* May move back only when the hole is not before its home. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){{NULL, 0}, 0, NULL};
    m->len--;
    return value;
}

void *map_next(const struct map *m, size_t *i)
{
    while (*i < m->cap) {
        void *value = m->slots[(*i)++].value;

        if (value)
            return value;
    }
    return NULL;
}
