/*
 * Who has the places of a listener: so many connections at all, and so many of one address. When
 * they are taken, a connection that has shown nothing yet makes room for a new one, and it is the
 * oldest of the address that has most: who comes with many connections crowds out his own.
 *
 *   IDLE   asks for nothing: makes room for anybody
 *   SPARE  new, half a request, an unfinished handshake, an answer that is not read: makes room for
 *          an address that has no more than its own
 *   BUSY   is at work: makes room for an address that has fewer
 *   KEPT   makes no room
 *
 * Beyond these there may be places for guests, of which the oldest always makes room: so a new
 * connection is let in whatever the others do, for as long as its owner allows.
 */
#ifndef NET_PLACES_H
#define NET_PLACES_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "net/listener.h"

enum place_use { PLACE_IDLE = 0, PLACE_SPARE, PLACE_BUSY, PLACE_KEPT };

struct place_host {
    unsigned n;
    char address[LISTENER_PEER_SIZE];
};

/* Embedded in a connection. */
struct place {
    struct list node; /* places->all: by when it got its use, oldest first */
    struct place_host *host;
    enum place_use use;
    bool guest;
};

struct places {
    struct map hosts; /* of struct place_host, by address */
    struct list all;
    unsigned n, guests; /* <n> without guests */
    unsigned max, per_host, guests_max;
    /* Closes the connection: places_leave() before it returns. */
    void (*evict)(struct place *p);
};

/* At most 1,000 or so: who makes room is looked for among all. */
void places_init(struct places *ps, unsigned max, unsigned per_host, unsigned guests_max,
                 void (*evict)(struct place *p));
/* All have left. */
void places_release(struct places *ps);
/* A place for the connection <fd>, SPARE. False: there is none; p->host is NULL. Its peer's address
 * into <address> in any case. */
bool places_enter(struct places *ps, struct place *p, int fd, char address[LISTENER_PEER_SIZE]);
/* Sets the use; a place that gets another one is the youngest of it. */
void places_set(struct places *ps, struct place *p, enum place_use use);
/* Who makes room next among those that <eligible> agrees to; NULL = nobody. KEPT never. */
struct place *places_victim(struct places *ps, bool (*eligible)(void *arg, const struct place *p),
                            void *arg);
/* Once; a place that was never entered is fine. */
void places_leave(struct places *ps, struct place *p);

#endif
