/*
 * The Kubernetes API as the daemon uses it: made from the configuration, used by the input (who is
 * this pod) and by the datasource of annotations.
 */
#ifndef DAEMON_KUBE_H
#define DAEMON_KUBE_H

#include "config/config.h"
#include "datasources/datasource.h"
#include "drains/worker.h"
#include "kube/cluster.h"
#include "net/egress.h"

struct kube;

/* Returns 0 and leaves *<out> NULL when the API is not used: no --kube-config, not in a pod, and no
 * KUBERNETES_DATASOURCE. -1 when it is needed and cannot be used. Opens no connection before the
 * loop runs. <egress>, the policy of workloads' drains, learns where the API server is; borrowed.
 */
int kube_open(struct kube **out, const struct config *c, const struct datasource_env *env,
              struct egress *egress, struct err *e);
/* NULL when <k> is. */
struct identify *kube_identify(struct kube *k);
/* NULL when <k> is. */
const struct kube_cluster *kube_cluster_of(const struct kube *k);
/* For other requests to the API. NULL when <k> is. */
struct kube_client *kube_client_of(const struct kube *k);
/* Closes the datasource: no routes are reported after that. <k> may be NULL. */
void kube_close_routes(struct kube *k);
/* After the inputs. NULL is fine. */
void kube_free(struct kube *k);
/* A worker's report of an owner's drain. <k> may be NULL. */
void kube_news(struct kube *k, const struct drain_news *n);
/* A log of <id>'s workload cannot be read. <k> may be NULL. */
void kube_unreadable(struct kube *k, const struct identity *id);
/* For the memory bound: watches, objects known, bytes of their annotations. */
void kube_load(const struct kube *k, uint64_t *watches, uint64_t *objects, uint64_t *note_bytes);
/* *<refused>: drains in annotations that cannot be used. */
void kube_stats(const struct kube *k, struct kube_cluster_stats *out, uint64_t *refused);

#endif
