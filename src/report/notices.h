/*
 * From what the workers tell of the drains that workloads asked for to Events on these workloads: a
 * drain that fails for a while, that has recovered since, that lost bytes. Why it
 * fails is not told: whoever may write an annotation would learn which addresses of the cluster
 * answer, and how.
 */
#ifndef REPORT_NOTICES_H
#define REPORT_NOTICES_H

#include "drains/worker.h"
#include "kube/cluster.h"
#include "kube/events.h"

struct notices;

/* Both borrowed. <patience_ms>: how long a drain fails before it is reported. */
struct notices *notices_create(struct loop *l, const struct kube_cluster *cluster,
                               struct kube_events *events, uint64_t patience_ms);
void notices_take(struct notices *n, const struct drain_news *news);
/* A log of the pod <uid> (identity.owner) cannot be read. */
void notices_unreadable(const struct notices *n, struct str uid);
void notices_free(struct notices *n); /* NULL is fine */

#endif
