/*
 * /explain?pod=NAMESPACE/POD and ?hostname=NAME: where the lines of a pod, or of all that has a
 * hostname, go, which route sends them there, and how far each drain is, as text. The control thread knows streams, routes and annotations. The workers
 * are asked for the cursors of these streams only.
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
    const struct kube_cluster *cluster; /* NULL: the API is not in use */
};

struct explain *explain_create(const struct explain_env *env);
/* Answers <r>: 200 with the text, 404 when the pod or hostname is not known here, 400 when <query>
 * names none, 503 when too many requests wait. <plain>: for a client that may see only this
 * namespace: pods only, without the operator's drains and without data that shows how a peer
 * answers. */
void explain_ask(struct explain *x, struct str query, bool plain, struct http_reply *r);
/* The namespace that <query> names; empty when it names no pod. */
struct str explain_namespace(struct str query);
/* All waiting requests get 503; later reports are dropped. NULL is fine, as below. */
void explain_stop(struct explain *x);
/* After this, no worker may report. */
void explain_free(struct explain *x);

#endif
