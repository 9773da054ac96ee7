/*
 * The Kubernetes API as the daemon uses it: created from the configuration; used by the input
 * (which pod is this) and by the datasource of annotations.
 */
#ifndef DAEMON_KUBERNETES_H
#define DAEMON_KUBERNETES_H

#include "config/config.h"
#include "datasources/datasource.h"
#include "drains/core/worker.h"
#include "kube/cluster.h"
#include "net/egress.h"

struct kubernetes;

/* Returns 0 and leaves *<out> NULL when the API is not used: no --kube-config, not in a pod, and
 * no KUBERNETES_DATASOURCE. -1 when it is required and cannot be used. Opens no connection
 * before the loop runs. <egress>, the policy for workloads' drains, learns the API server's
 * address; borrowed. */
int kubernetes_open(struct kubernetes **out, const struct config *c,
                    const struct datasource_env *env, struct egress *egress, struct err *e);
/* NULL if <k> is. */
struct identify *kubernetes_identify(struct kubernetes *k);
/* NULL if <k> is. */
const struct kube_cluster *kubernetes_cluster_of(const struct kubernetes *k);
/* For other requests to the API. NULL if <k> is. */
struct kube_client *kubernetes_client_of(const struct kubernetes *k);
/* Closes the datasource: it reports no routes after that. <k> may be NULL. */
void kubernetes_close_routes(struct kubernetes *k);
/* Call after the inputs are closed. NULL is fine. */
void kubernetes_free(struct kubernetes *k);
/* A worker's report of an owner's drain. <k> may be NULL. */
void kubernetes_news(struct kubernetes *k, const struct drain_news *n);
/* A log of <id>'s workload cannot be read. <k> may be NULL. */
void kubernetes_unreadable(struct kubernetes *k, const struct identity *id);
/* A log of <id>'s workload is not sent to a drain: its namespace has too many logs, or pairs of
 * these. <k> may be NULL. */
void kubernetes_log_refused(struct kubernetes *k, const struct identity *id);
/* For the memory bound: watches, known objects, bytes of their annotations. */
void kubernetes_load(const struct kubernetes *k, uint64_t *watches, uint64_t *objects,
                     uint64_t *note_bytes);
/* *<refused>: unusable drains in annotations. */
void kubernetes_stats(const struct kubernetes *k, struct kube_cluster_stats *out,
                      uint64_t *refused);

#endif
