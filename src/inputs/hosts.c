/* See hosts.h. */
#include "inputs/hosts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define UNROUTED_SLOTS 4096

/* The cache slot of <hostname>. Hostnames that collide are only looked up in the map. */
static struct journal **known_slot(struct hosts *hs, struct str hostname, bool trusted)
{
    size_t n = hostname.len < 8 ? hostname.len : 8;
    uint64_t head = 0, tail = 0, mixed;

    if (n == 8) {
        memcpy(&head, hostname.p, 8);
        memcpy(&tail, hostname.p + hostname.len - 8, 8);
    } else if (n) {
        memcpy(&head, hostname.p, n);
    }
    mixed = (head ^ (tail << 29 | tail >> 35) ^ hostname.len ^ (uint64_t)trusted << 8) *
            0x9fb21c651e98df25;
    return &hs->known[mixed >> (64 - HOSTS_KNOWN_BITS)];
}

static inline bool same(struct str a, struct str b)
{
    uint64_t differ = 0, x, y;

    if (a.len != b.len)
        return false;
    if (a.len < 8)
        return str_eq(a, b);
    for (size_t at = 0; at < a.len; at += 8) {
        size_t from = a.len - at < 8 ? a.len - 8 : at;

        memcpy(&x, a.p + from, 8);
        memcpy(&y, b.p + from, 8);
        differ |= x ^ y;
    }
    return differ == 0;
}

struct journal *hosts_find(struct hosts *hs, struct str hostname, bool trusted)
{
    struct journal **known = known_slot(hs, hostname, trusted), *j = *known;

    if (j && j->name->trusted == trusted && same(j->name->hostname, hostname))
        return j;
    j = map_get(&hs->by_name[trusted], hostname);
    if (j)
        *known = j;
    return j;
}

void hosts_add(struct hosts *hs, struct journal *j)
{
    (void)map_put(&hs->by_name[j->name->trusted], j->name->hostname, j); /* no previous entry */
    hs->n++;
}

void hosts_del(struct hosts *hs, struct journal *j)
{
    struct journal **known = known_slot(hs, j->name->hostname, j->name->trusted);

    if (*known == j)
        *known = NULL;
    (void)map_del(&hs->by_name[j->name->trusted], j->name->hostname);
    hs->n--;
}

/* ---- unrouted hostnames ---- */

static bool owners_may_want(const struct input_env *env, struct str hostname)
{
    struct identify *i = env->identify;

    return i && i->wants(i, hostname) != IDENTIFY_NO;
}

bool hosts_unrouted(struct hosts *hs, const struct input_env *env, struct str hostname,
                    bool trusted)
{
    const struct identify *i = trusted ? env->identify : NULL;
    uint64_t hash = hash_seeded(hostname.p, hostname.len) ^ trusted;
    /* 0 = an unused slot */
    uint64_t generation = router_generation(env->router) + (i ? i->generation : 0) + 1;
    struct host_unrouted *u = &hs->unrouted[hash % UNROUTED_SLOTS];

    if (u->hash == hash && u->generation == generation)
        return true;
    if (router_wants(env->router, hostname) || (trusted && owners_may_want(env, hostname)))
        return false;
    *u = (struct host_unrouted){hash, generation};
    return true;
}

/* ---- life cycle ---- */

void hosts_init(struct hosts *hs)
{
    *hs = (struct hosts){.n = 0};
    map_init(&hs->by_name[0]);
    map_init(&hs->by_name[1]);
    hs->unrouted = xcalloc(UNROUTED_SLOTS, sizeof(*hs->unrouted));
}

void hosts_release(struct hosts *hs)
{
    map_release(&hs->by_name[0]);
    map_release(&hs->by_name[1]);
    free(hs->unrouted);
}
