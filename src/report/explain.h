/*
 * /explain?pod=NAMESPACE/POD: where the lines of a pod go, which route sends them there, and how
 * far each drain is, as text for a person. The control thread knows streams, routes and
 * annotations; the workers are asked for the cursors of just these streams.
 */
#ifndef REPORT_EXPLAIN_H
#define REPORT_EXPLAIN_H

#include "control/assign.h"
#include "datasources/datasource.h"
#include "kube/cluster.h"
#include "net/http_server.h"

struct explain;

/* All borrowed. */
struct explain_env {
    const struct datasource_env *source_env;
    struct origins *origins;
    struct assign *assign;
    struct worker **workers;
    unsigned nworkers;
    const struct kube_cluster *cluster; /* NULL: the API is not used */
};

struct explain *explain_create(const struct explain_env *env);
/* Answers <r>: 200 with the text, 404 when the pod is not known here, 400 when <query> names none,
 * 503 when too many wait already. <plain>: for who may see that namespace only: without the
 * operator's drains, and without what tells how a peer answers. */
void explain_ask(struct explain *x, struct str query, bool plain, struct http_reply *r);
/* The namespace that <query> is about; empty when it names no pod. */
struct str explain_namespace(struct str query);
/* All requests that wait get 503; reports that come later are dropped. NULL is fine, as below. */
void explain_stop(struct explain *x);
/* No worker may report after this. */
void explain_free(struct explain *x);

#endif
