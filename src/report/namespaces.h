/*
 * Who floods: bytes read of each namespace's logs, added up over all reports. The
 * METRICS_NAMESPACES_MAX that had most of late have a counter of their own, and what is read of the
 * others meanwhile counts in one. A byte counts once, where its namespace stood when it was
 * reported, so no counter goes down when another namespace takes a place.
 */
#ifndef REPORT_NAMESPACES_H
#define REPORT_NAMESPACES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"

struct worker_report;

#define NAMESPACES_NONE "(none)"     /* streams that are of no namespace */
#define NAMESPACES_OTHERS "(others)" /* ... of those without a counter */

struct namespace_bytes {
    uint64_t bytes;  /* while it had a place */
    uint64_t recent; /* of late, whether or not */
    bool placed;
    char name[];
};
struct namespaces {
    struct map all; /* of struct namespace_bytes, by name */
    unsigned nplaced;
    uint64_t others;
};

void namespaces_init(struct namespaces *ns);
void namespaces_release(struct namespaces *ns);
void namespaces_add(struct namespaces *ns, const struct worker_report *r);

#endif
