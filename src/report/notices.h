/*
 * Posts Events on workloads from the workers' reports about their drains: a drain that fails for
 * some time, that has recovered, that has lost bytes. An Event does not say why a drain fails: an
 * owner could use this to probe addresses of the cluster.
 */
#ifndef REPORT_NOTICES_H
#define REPORT_NOTICES_H

#include "drains/core/worker.h"
#include "kube/cluster.h"
#include "kube/events.h"

struct notices;

/* Both borrowed. <patience_ms>: how long a drain fails before it is reported. */
struct notices *notices_create(struct loop *l, const struct kube_cluster *cluster,
                               struct kube_events *events, uint64_t patience_ms);
void notices_take(struct notices *n, const struct drain_news *news);
/* A log of the pod <uid> (identity.owner) cannot be read. */
void notices_unreadable(const struct notices *n, struct str uid);
/* A log of <id> is not sent to a drain: its namespace has too many logs, or pairs of these. */
void notices_refused(const struct notices *n, const struct identity *id);
void notices_free(struct notices *n); /* NULL is fine */

#endif
