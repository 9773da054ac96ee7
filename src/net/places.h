/*
 * Places of a listener: a limit on connections in total, and one per address. When they are taken,
 * a new connection evicts one that has shown nothing yet: the oldest of the address that has most.
 * So an address with many connections evicts its own. The addresses of one IPv6 network
 * (base/address.h) count together first: the network that has most is evicted from, and of it the
 * address that has most.
 *
 *   IDLE   has no request: evicted for any address
 *   SPARE  new, a partial request, an unfinished handshake, an unread answer: evicted for an
 *          address that has no more than its own
 *   BUSY   is at work: evicted for an address that has fewer
 *
 * Beyond these there may be places for guests. The oldest guest is always evicted. So a new
 * connection is accepted whatever the others do, for as long as its owner allows.
 *
 * What connections have besides, bytes or calls, is counted by address, too. The owner takes it
 * back from the address that has most when there is too much.
 */
#ifndef NET_PLACES_H
#define NET_PLACES_H

#include <stdbool.h>

#include "base/address.h"
#include "base/list.h"
#include "base/map.h"
#include "net/listener.h"

enum place_use { PLACE_IDLE = 0, PLACE_SPARE, PLACE_BUSY };
enum place_good { PLACE_BYTES = 0, PLACE_CALLS, PLACE_GOODS };

/* An address, or a network of addresses. */
struct place_host {
    unsigned n;
    size_t has[PLACE_GOODS];
    struct place_host *network; /* itself, unless it is an address of a larger one */
    char name[ADDRESS_NETWORK_SIZE];
};

/* Embedded in a connection. */
struct place {
    struct list node; /* places->all: ordered by the last change of use */
    struct place_host *host;
    enum place_use use;
    size_t has[PLACE_GOODS];
    bool guest;
};

struct places {
    struct map hosts; /* of struct place_host, by name */
    struct list all;
    unsigned n, guests; /* <n> does not count guests */
    unsigned max, per_host, guests_max;
    size_t has[PLACE_GOODS]; /* of all places */
    /* Closes the connection. It must call places_leave() before it returns. */
    void (*evict)(struct place *p);
};

/* <max> is at most about 1,000: eviction searches all. */
void places_init(struct places *ps, unsigned max, unsigned per_host, unsigned guests_max,
                 void (*evict)(struct place *p));
/* All places must have been left. */
void places_release(struct places *ps);
/* Enters the connection <fd> as SPARE. False: no place, and p->host is NULL. Writes its peer's
 * address to <address> in any case. */
bool places_enter(struct places *ps, struct place *p, int fd, char address[LISTENER_PEER_SIZE]);
/* The same for a connection of <address>. */
bool places_enter_from(struct places *ps, struct place *p, struct str address);
/* Sets the use. A place whose use changes becomes the youngest of that use. */
void places_set(struct places *ps, struct place *p, enum place_use use);
/* The next place to evict among those that <eligible> accepts; NULL = none. */
struct place *places_victim(struct places *ps, bool (*eligible)(void *arg, const struct place *p),
                            void *arg);
/* Sets how much of <good> it has. */
void places_have(struct places *ps, struct place *p, enum place_good good, size_t amount);
/* The place that has most of <good>, of the network and address that have most; NULL: nobody has
 * any. */
struct place *places_richest(const struct places *ps, enum place_good good);
/* Call it once. A place that was never entered is fine. */
void places_leave(struct places *ps, struct place *p);

#endif
