/* See places.h. */
#include "net/places.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void places_init(struct places *ps, unsigned max, unsigned per_host, unsigned guests_max,
                 void (*evict)(struct place *p))
{
    *ps =
        (struct places){.max = max, .per_host = per_host, .guests_max = guests_max, .evict = evict};
    map_init(&ps->hosts);
    list_init(&ps->all);
}

void places_release(struct places *ps)
{
    map_release(&ps->hosts);
}

static struct place_host *host_count(struct places *ps, struct str name)
{
    struct place_host *h = map_get(&ps->hosts, name);

    if (!h) {
        h = xcalloc(1, sizeof(*h));
        memcpy(h->name, name.p, name.len);
        (void)map_put(&ps->hosts, str_of(h->name), h);
        h->network = h;
    }
    h->n++;
    return h;
}

static struct place_host *host_enter(struct places *ps, struct str address)
{
    char text[ADDRESS_NETWORK_SIZE];
    struct str network = address_network(address, text);
    struct place_host *h;

    if (!memchr(network.p, '/', network.len))
        return host_count(ps, network);
    h = host_count(ps, address);
    h->network = host_count(ps, network);
    return h;
}

static void host_uncount(struct places *ps, struct place_host *h)
{
    if (--h->n)
        return;
    (void)map_del(&ps->hosts, str_of(h->name));
    free(h);
}

static void host_leave(struct places *ps, struct place_host *h)
{
    if (h->network != h)
        host_uncount(ps, h->network);
    host_uncount(ps, h);
}

/* Above 0 when <a> is more. */
static int compare(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

/* Networks are compared first, then the addresses of one. */
static int compare_places(const struct place_host *a, const struct place_host *b)
{
    return a->network == b->network ? compare(a->n, b->n) : compare(a->network->n, b->network->n);
}

static int compare_goods(const struct place *a, const struct place *b, enum place_good good)
{
    if (a->host->network != b->host->network)
        return compare(a->host->network->has[good], b->host->network->has[good]);
    if (a->host != b->host)
        return compare(a->host->has[good], b->host->has[good]);
    return compare(a->has[good], b->has[good]);
}

struct place *places_victim(struct places *ps, bool (*eligible)(void *arg, const struct place *p),
                            void *arg)
{
    struct place *best = NULL;

    list_for_each (it, &ps->all) {
        struct place *p = list_entry(it, struct place, node);
        int more = best ? compare_places(p->host, best->host) : 1;
        bool better = more > 0 || (more == 0 && p->use < best->use);

        if (better && eligible(arg, p))
            best = p;
    }
    return best;
}

/* The new connection is already counted for its host. */
static bool makes_room(void *arg, const struct place *p)
{
    const struct place_host *newcomer = arg;

    if (p->guest)
        return false;
    return p->use == PLACE_IDLE ||
           compare_places(p->host, newcomer) >= (p->use == PLACE_SPARE ? 0 : 1);
}

static bool makes_room_at_home(void *arg, const struct place *p)
{
    return !p->guest && p->host == arg && p->use <= PLACE_SPARE;
}

static bool is_guest(void *arg, const struct place *p)
{
    (void)arg;
    return p->guest;
}

static bool evict(struct places *ps, bool (*eligible)(void *arg, const struct place *p), void *arg)
{
    struct place *victim = places_victim(ps, eligible, arg);

    if (victim)
        ps->evict(victim);
    return victim != NULL;
}

bool places_enter(struct places *ps, struct place *p, int fd, char address[LISTENER_PEER_SIZE])
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);

    (void)getpeername(fd, (struct sockaddr *)&sa, &len); /* already disconnected: "unknown" */
    listener_address((const struct sockaddr *)&sa, address);
    return places_enter_from(ps, p, str_of(address));
}

bool places_enter_from(struct places *ps, struct place *p, struct str address)
{
    struct place_host *h;
    bool room;

    *p = (struct place){.use = PLACE_SPARE};
    list_init(&p->node);
    h = host_enter(ps, address);
    room = h->n > ps->per_host ? evict(ps, makes_room_at_home, h)
                               : ps->n < ps->max || evict(ps, makes_room, h);
    p->guest = !room && ps->guests_max;
    if (p->guest && ps->guests == ps->guests_max)
        room = evict(ps, is_guest, NULL);
    if (!room && !p->guest) {
        host_leave(ps, h);
        return false;
    }
    p->host = h;
    *(p->guest ? &ps->guests : &ps->n) += 1;
    list_add_tail(&ps->all, &p->node);
    return true;
}

void places_set(struct places *ps, struct place *p, enum place_use use)
{
    if (p->use == use)
        return;
    p->use = use;
    list_del(&p->node);
    list_add_tail(&ps->all, &p->node);
}

void places_have(struct places *ps, struct place *p, enum place_good good, size_t amount)
{
    ps->has[good] = ps->has[good] - p->has[good] + amount;
    p->host->has[good] = p->host->has[good] - p->has[good] + amount;
    if (p->host->network != p->host)
        p->host->network->has[good] = p->host->network->has[good] - p->has[good] + amount;
    p->has[good] = amount;
}

struct place *places_richest(const struct places *ps, enum place_good good)
{
    struct place *best = NULL;

    list_for_each (it, &ps->all) {
        struct place *p = list_entry(it, struct place, node);

        if (p->has[good] && (!best || compare_goods(p, best, good) > 0))
            best = p;
    }
    return best;
}

void places_leave(struct places *ps, struct place *p)
{
    if (!p->host)
        return;
    for (unsigned good = 0; good < PLACE_GOODS; good++)
        places_have(ps, p, good, 0);
    *(p->guest ? &ps->guests : &ps->n) -= 1;
    list_del(&p->node);
    host_leave(ps, p->host);
    p->host = NULL;
}
