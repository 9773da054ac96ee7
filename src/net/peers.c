/* See peers.h. */
#include "net/peers.h"

#include <stdlib.h>

#include "base/mem.h"

void peers_init(struct peers *p, unsigned max)
{
    map_init(&p->hosts);
    p->max = max;
}

void peers_release(struct peers *p)
{
    map_release(&p->hosts);
}

struct peer_host *peers_enter(struct peers *p, int fd, char address[LISTENER_PEER_SIZE])
{
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);
    struct peer_host *h;

    (void)getpeername(fd, (struct sockaddr *)&sa, &len); /* gone already: "unknown" */
    listener_address((const struct sockaddr *)&sa, address);
    h = map_get(&p->hosts, str_of(address));
    if (h && h->n >= p->max)
        return NULL;
    if (!h) {
        h = xcalloc(1, sizeof(*h));
        memcpy(h->address, address, sizeof(h->address));
        (void)map_put(&p->hosts, str_of(h->address), h);
    }
    h->n++;
    return h;
}

void peers_leave(struct peers *p, struct peer_host *h)
{
    if (--h->n)
        return;
    (void)map_del(&p->hosts, str_of(h->address));
    free(h);
}
