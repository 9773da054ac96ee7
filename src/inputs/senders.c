/* See senders.h. */
#include "inputs/senders.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/mem.h"

#define SWEEP_FIRST 64

struct sender_entry {
    struct list node; /* senders->all */
    struct journal_share share;
    struct sender_entry *network; /* NULL = the address is its own */
    struct map *in;               /* which has it by its address */
    unsigned members;             /* of a network */
    size_t len;
    char address[];
};

static struct str address_of(const struct sender_entry *e)
{
    return str_make(e->address, e->len);
}

static size_t known(const struct senders *s)
{
    return s->by_address[0].len + s->by_address[1].len + s->networks.len;
}

static void forget(struct senders *s, struct sender_entry *e)
{
    if (s->last == e)
        s->last = NULL;
    if (e->network)
        e->network->members--;
    (void)map_del(e->in, address_of(e));
    list_del(&e->node);
    free(e);
}

/* A network is before its members in the list. If these are removed, it is at the next sweep. Twice
 * the remaining number may be added before that one, so that each costs O(1). */
static void sweep(struct senders *s)
{
    list_for_each_safe (it, &s->all) {
        struct sender_entry *e = list_entry(it, struct sender_entry, node);

        if (!e->share.segments && !e->share.names && !e->members)
            forget(s, e);
    }
    s->sweep_at = known(s) < SWEEP_FIRST / 2 ? SWEEP_FIRST : 2 * known(s);
}

static struct sender_entry *add_to(struct senders *s, struct map *in, struct str address)
{
    struct sender_entry *e = xcalloc(1, sizeof(*e) + address.len);

    e->in = in;
    e->len = address.len;
    memcpy(e->address, address.p, address.len);
    (void)map_put(in, address_of(e), e); /* no previous entry */
    list_add_tail(&s->all, &e->node);
    return e;
}

/* NULL: <address> is its own. */
static struct sender_entry *network_of(struct senders *s, struct str address)
{
    char text[ADDRESS_NETWORK_SIZE];
    struct str network = address_network(address, text);
    struct sender_entry *e;

    if (str_eq(network, address))
        return NULL;
    e = map_get(&s->networks, network);
    return e ? e : add_to(s, &s->networks, network);
}

static struct sender_entry *add(struct senders *s, struct str address, bool forgeable)
{
    struct sender_entry *network = forgeable ? NULL : network_of(s, address);
    struct sender_entry *e = add_to(s, &s->by_address[forgeable], address);

    e->share.group = forgeable ? &s->forgeable : NULL;
    e->network = network;
    if (network) {
        e->share.network = &network->share;
        network->members++;
    }
    return e;
}

struct journal_share *senders_get(struct senders *s, struct str address, bool forgeable)
{
    struct sender_entry *e = s->last;

    if (!address.len)
        return NULL;
    if (!e || (e->share.group != NULL) != forgeable || !str_eq(address_of(e), address)) {
        e = map_get(&s->by_address[forgeable], address);
        if (!e && known(s) >= s->sweep_at)
            sweep(s);
        if (!e)
            e = add(s, address, forgeable);
        s->last = e;
    }
    return &e->share;
}

void senders_init(struct senders *s)
{
    *s = (struct senders){.sweep_at = SWEEP_FIRST};
    map_init(&s->by_address[0]);
    map_init(&s->by_address[1]);
    map_init(&s->networks);
    list_init(&s->all);
}

void senders_release(struct senders *s)
{
    while (!list_empty(&s->all)) /* members first */
        forget(s, list_entry(s->all.prev, struct sender_entry, node));
    map_release(&s->by_address[0]);
    map_release(&s->by_address[1]);
    map_release(&s->networks);
}
