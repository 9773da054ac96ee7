/*
 * How many connections each address has: of those who listen for many, so that one peer cannot take
 * all of them.
 */
#ifndef NET_PEERS_H
#define NET_PEERS_H

#include "base/map.h"
#include "net/listener.h"

struct peers {
    struct map hosts; /* of struct peer_host, by address */
    unsigned max;     /* of one address */
};

struct peer_host {
    unsigned n;
    char address[LISTENER_PEER_SIZE];
};

void peers_init(struct peers *p, unsigned max);
/* All have left. */
void peers_release(struct peers *p);
/* Counts the connection <fd>; its peer's address into <address> in any case. NULL: that one has its
 * share. */
struct peer_host *peers_enter(struct peers *p, int fd, char address[LISTENER_PEER_SIZE]);
void peers_leave(struct peers *p, struct peer_host *h);

#endif
