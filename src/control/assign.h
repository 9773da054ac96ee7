/*
 * Between the router and the workers: which worker serves a (stream, drain URL) pair, and the one
 * struct drain_spec per URL and trust that all workers share. The router's sink. Control thread
 * only.
 */
#ifndef CONTROL_ASSIGN_H
#define CONTROL_ASSIGN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "drains/core/worker.h"
#include "drains/spec/spec.h"
#include "router/router.h"
#include "state/checkpoint.h"

struct assign {
    struct map specs;        /* drain_spec.id -> struct drain_spec, one reference each */
    size_t sweep_at;         /* when the map has so many, free the unused ones */
    struct buf id;           /* scratch: a key for <specs> */
    struct worker **workers; /* borrowed */
    unsigned nworkers;
    struct checkpoint *checkpoint;  /* borrowed; NULL = no state */
    enum attach_from existing_from; /* READ_FROM: ATTACH_START, or at the end */
    bool trace_drains;              /* LOGTRAIN_TRACE=drain */
    bool trace_routes;              /* LOGTRAIN_TRACE=route */
};

extern const struct router_sink assign_sink; /* its <arg> is a struct assign */

void assign_init(struct assign *a, struct worker **workers, unsigned nworkers);
void assign_release(struct assign *a);
/* Distinct URLs in use, and how many requests those that are not one pipe may have open. */
void assign_load(struct assign *a, uint64_t *drains, uint64_t *requests);
/* The spec by which the workers know a URL that is attached; NULL when it is not. Borrowed. */
const struct drain_spec *assign_find(struct assign *a, struct str url, enum route_trust trust);
/* The worker for a stream. All workers share a drain's streams; a drain that is one pipe in order
 * has as many workers as connections. The same answer each time. */
unsigned assign_worker(unsigned nworkers, const struct drain_spec *spec, uint64_t stream);

#endif
