/*
 * Provides the names and the owner of a container's stream from the Kubernetes API, which knows
 * them better than the file's name. It also knows which workload a trusted hostname of a network
 * input names (identity.trusted). Embedded in its implementation. Inputs call it on the control
 * thread; it answers later through origin_set_identity() and router_stream_identified(). Inputs are
 * closed before it.
 */
#ifndef STREAMS_IDENTIFY_H
#define STREAMS_IDENTIFY_H

#include <stdbool.h>

#include "streams/origin.h"

enum identify_wants {
    IDENTIFY_NO = 0,  /* valid until <generation> changes */
    IDENTIFY_YES,     /* a workload with that name has drains */
    IDENTIFY_UNKNOWN, /* unknown yet; a stream may wait for it */
};

struct identify {
    /* The stream of a pod's container was found; o->identity is derived from its path, which need
     * not contain the pod's UID. True: its identity is known (after origin_set_identity(), where it
     * differs), and it is routed at once. False: it is attached to nothing until it is known.
     * Called once for each stream. There is one trusted network stream at a time per hostname. */
    bool (*found)(struct identify *i, struct origin *o);
    /* The stream was removed. <o> must not be used any more. */
    void (*gone)(struct identify *i, struct origin *o);
    /* Whether owners' routes would want a trusted network stream of that hostname. Costs a lookup
     * and stores nothing. */
    enum identify_wants (*wants)(struct identify *i, struct str hostname);
    uint64_t generation;
};

#endif
