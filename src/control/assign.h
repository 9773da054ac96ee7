/*
 * Connects the router to the workers. Decides which worker serves a (stream, drain URL) pair, and
 * keeps the one struct drain_spec per URL and trust that all workers share. It is the router's
 * sink. Control thread only.
 */
#ifndef CONTROL_ASSIGN_H
#define CONTROL_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "control/pairs.h"
#include "drains/core/worker.h"
#include "drains/spec/spec.h"
#include "router/router.h"
#include "state/checkpoint.h"

struct assign {
    struct map specs;        /* drain_spec.id -> struct drain_spec, one reference each */
    size_t sweep_at;         /* when the map reaches this size, free the unused ones */
    struct buf id;           /* scratch memory: a key for <specs> */
    struct worker **workers; /* borrowed */
    unsigned nworkers;
    struct pairs pairs;             /* pairs that there may be */
    uint64_t unsent;                /* logs that ended while some of their drains were refused */
    struct checkpoint *checkpoint;  /* borrowed; NULL = no state */
    enum attach_from existing_from; /* READ_FROM: ATTACH_START, or the end */
    bool trace_drains;              /* LOGTRAIN_TRACE=drain */
    bool trace_routes;              /* LOGTRAIN_TRACE=route */
    /* A stream was found, or has got its name; may be NULL. */
    void (*seen)(void *arg, struct origin *o);
    void *seen_arg;
    /* A drain of <o> is refused: its namespace has too many pairs. May be NULL. */
    void (*refused)(void *arg, const struct identity *id);
    void *refused_arg;
};

extern const struct router_sink assign_sink; /* its <arg> is a struct assign */

void assign_init(struct assign *a, struct worker **workers, unsigned nworkers);
void assign_release(struct assign *a);
/* Number of distinct URLs in use, and of requests that drains which are not pipelined may have
 * open. */
void assign_load(struct assign *a, uint64_t *drains, uint64_t *requests);
/* The spec of an attached URL; NULL = it is not attached. Borrowed. */
const struct drain_spec *assign_find(struct assign *a, struct str url, enum route_trust trust);
/* The worker for a stream. All workers share a drain's streams, except that a pipelined drain has
 * as many workers as connections. Always gives the same answer. */
unsigned assign_worker(unsigned nworkers, const struct drain_spec *spec, uint64_t stream);
/* Where the stream ends now, before the worker has opened it: what is written from here on is
 * delivered. False: it has no file yet. */
bool assign_end_of(const struct origin *o, struct position *end);

#endif
