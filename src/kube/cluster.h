/*
 * The pods of this node and what the API knows of them: their top owners, names and drains. Watches
 * the pods of this node, and in the whole cluster the metadata of possible owners.
 *
 *   Pod ──▶ ReplicaSet ──▶ Deployment        drains: all annotations on the way up, until one says
 *   Pod ──▶ Job ──▶ CronJob                  `none`; without any on the way, the namespace's.
 *   Pod ──▶ StatefulSet | DaemonSet          A ReplicaSet of a Deployment does not count: it
 *   Pod ──▶ anything else: its name          carries a copy, which outlives its original.
 *
 * Annotations that are not kept (store.h) are fetched when a pod needs them. The pod waits for them
 * as for an unknown owner.
 *
 * With <names>, a hostname received on a trusted network input has the drains of the objects with
 * that name (received.c).
 *
 * Owners are followed by UID, and only within the pod's namespace, because the pod's creator writes
 * its owner references. While an owner is missing, a pod keeps its last result: owners are deleted
 * before their pods, and the pods' last lines still matter.
 */
#ifndef KUBE_CLUSTER_H
#define KUBE_CLUSTER_H

#include "kube/reflector.h"
#include "router/router.h"
#include "streams/identify.h"

struct kube_cluster;

/* A drains annotation that applies to a pod. */
struct kube_drains {
    const char *kind; /* "Deployment" */
    struct str name;  /* of the object */
    struct str list;  /* the annotation's value */
    struct kube_uid uid;
    bool refused; /* <list> was not kept: its namespace has used up its share */
};
#define KUBE_LEVELS 8 /* most owners that are followed */

/* A pod as passed to a datasource. Views are valid until the next call about it. */
struct kube_workload {
    struct str uid; /* the identity.owner of its streams */
    struct str namespace, name;
    bool received; /* not a pod, but the received hostname <name> */
    const struct kube_drains *drains;
    unsigned ndrains;
    bool none;      /* an annotation says that it has no (further) drains */
    bool undecided; /* the missing part was removed with an object, which may be recreated */
};

/* Called before the streams of the pod are identified, once for all changes: changed and gone any
 * number of times, then commit. */
struct kube_routes {
    void (*changed)(struct kube_routes *r, const struct kube_workload *w);
    void (*gone)(struct kube_routes *r, struct str uid);
    void (*commit)(struct kube_routes *r);
    uint64_t freed; /* times that room was made for what was refused before: all is told again */
};

struct kube_cluster_config {
    struct loop *loop;
    struct kube_client *client; /* borrowed; KUBE_CALLS concurrent requests */
    struct router *router;      /* borrowed: notified when streams get their names */
    const char *node;
    bool akkeris;              /* Akkeris' names */
    bool only_akkeris;         /* only pods with a label akkeris.io… */
    bool namespaces;           /* watch namespaces, too: their drains are a default */
    bool names;                /* some network inputs are trusted to name workloads */
    uint64_t identity_wait_ms; /* after this, a stream is named by its path for the time being */
    uint64_t watch_ms;
    /* As in struct kube_store. */
    int (*cut)(struct str list, struct buf *out);
};
#define KUBE_FETCHES 4                             /* objects fetched by name at once */
#define KUBE_CALLS (KUBE_KINDS + KUBE_FETCHES + 2) /* the last are for Events and endpoints.h */

/* Nothing is sent before the start. Input and datasource are closed before it is freed. */
struct kube_cluster *kube_cluster_create(const struct kube_cluster_config *cfg);
void kube_cluster_start(struct kube_cluster *c);
void kube_cluster_free(struct kube_cluster *c); /* NULL is fine */
/* For the input. */
struct identify *kube_cluster_identify(struct kube_cluster *c);
/* NULL removes it. Called for all known pods. */
void kube_cluster_set_routes(struct kube_cluster *c, struct kube_routes *r);

/* Calls <fn> for the pods with that name: usually one or none; also for a terminating one. <known>:
 * its owner was found; otherwise it has no drains yet. */
void kube_cluster_find(const struct kube_cluster *c, struct str namespace, struct str name,
                       void (*fn)(void *arg, const struct kube_workload *w, bool known), void *arg);

/* The same for all pods. */
void kube_cluster_each(const struct kube_cluster *c,
                       void (*fn)(void *arg, const struct kube_workload *w, bool known), void *arg);

struct kube_kind_stats {
    const char *resource; /* NULL: it is not watched */
    uint64_t objects;
    struct kube_reflector_stats watch;
};
struct kube_cluster_stats {
    struct kube_kind_stats kinds[KUBE_KINDS];
    uint64_t pods;                           /* of this node */
    uint64_t waiting;                        /* streams that the API has not named yet */
    uint64_t guessed;                        /* of these: named by their path for the time being */
    uint64_t note_bytes;                     /* annotations and labels that are kept */
    uint64_t record_bytes;                   /* objects without these */
    uint64_t refused_notes, refused_records; /* times that some exceeded their budget */
    uint64_t refused_pods;
    uint64_t foreign; /* pods that claimed an owner in another namespace */
    uint64_t
        ambiguous;  /* received hostnames that are names in two namespaces and so have no owner */
    uint64_t paced; /* times that a namespace changed too often, and had to wait */
    bool degraded;  /* a watch is not open */
    bool needed;    /* routes, or the selection of pods, depend on the API */
};
void kube_cluster_stats(const struct kube_cluster *c, struct kube_cluster_stats *out);

#endif
