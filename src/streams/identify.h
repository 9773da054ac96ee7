/*
 * Who knows better than a file's name what a container's stream is called, and whom it belongs to:
 * the Kubernetes API. It also knows which workload is meant by a hostname that a network input has
 * received and is trusted with (identity.trusted). Embedded in what implements it. Inputs call it on
 * the control thread; it answers later through origin_set_identity() and
 * router_stream_identified(). Inputs are closed before it.
 */
#ifndef STREAMS_IDENTIFY_H
#define STREAMS_IDENTIFY_H

#include <stdbool.h>

#include "streams/origin.h"

enum identify_wants {
    IDENTIFY_NO = 0,  /* and so it is until <generation> changes */
    IDENTIFY_YES,     /* a workload of that name has drains */
    IDENTIFY_UNKNOWN, /* not said yet; a stream may wait for it */
};

struct identify {
    /* The stream of a pod's container was found; o->identity is what its path says, which need not
     * hold the pod's UID. True: what it is called is known (after origin_set_identity(), where that
     * differs), it is routed at once. False: it is attached to nothing until it is known. Called
     * once for each stream. Of trusted network streams there is one at a time under a hostname. */
    bool (*found)(struct identify *i, struct origin *o);
    /* It is over. <o> must not be touched any more. */
    void (*gone)(struct identify *i, struct origin *o);
    /* Whether owners' routes would want a trusted network stream of that hostname. Costs a look-up
     * and remembers nothing. */
    enum identify_wants (*wants)(struct identify *i, struct str hostname);
    uint64_t generation;
};

#endif
