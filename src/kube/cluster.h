/*
 * The pods of this node and what the API says of them: who owns them in the end, what they are
 * called, which drains they are given. Watches the pods of this node, and of the whole cluster the
 * metadata of what may own them.
 *
 *   Pod ──▶ ReplicaSet ──▶ Deployment        drains: all annotations on the way up, until one says
 *   Pod ──▶ Job ──▶ CronJob                  `none`; without any on the way, the namespace's.
 *   Pod ──▶ StatefulSet | DaemonSet          A ReplicaSet of a Deployment does not count: it
 *   Pod ──▶ anything else: its name          carries a copy, which outlives its original.
 *
 * Of objects whose annotations are not kept (store.h), what is needed is fetched when a pod needs
 * it; the pod waits for that as it does for an owner that is not known yet.
 *
 * And, with <names>, whose drains get what a trusted network input hears under a hostname: those of
 * the objects of which it is the name (received.c).
 *
 * Owners are followed by UID, and only within the pod's namespace: an owner reference is written by
 * whoever makes the pod. What a pod was last found to be stays while an owner of it is away: owners
 * are deleted before their pods, and the pods' last lines are wanted.
 */
#ifndef KUBE_CLUSTER_H
#define KUBE_CLUSTER_H

#include "kube/reflector.h"
#include "router/router.h"
#include "streams/identify.h"

struct kube_cluster;

/* A drains annotation that counts for a pod. */
struct kube_drains {
    const char *kind; /* "Deployment" */
    struct str name;  /* of the object */
    struct str list;  /* the annotation's value */
    struct kube_uid uid;
    bool refused; /* <list> is not kept: its namespace has used up its share */
};
#define KUBE_LEVELS 8 /* of owners that are followed */

/* What a datasource is told of a pod. Views are valid until the next call about it. */
struct kube_workload {
    struct str uid; /* as its streams' identity.owner has it */
    struct str namespace, name;
    bool received; /* it is no pod, but what is received under the hostname <name> */
    const struct kube_drains *drains;
    unsigned ndrains;
    bool undecided; /* what it has not any more went with an object, which may be made again */
};

/* Told before the streams of the pod are identified, in one go for all that changed: changed and
 * gone any number of times, then commit. */
struct kube_routes {
    void (*changed)(struct kube_routes *r, const struct kube_workload *w);
    void (*gone)(struct kube_routes *r, struct str uid);
    void (*commit)(struct kube_routes *r);
};

struct kube_cluster_config {
    struct loop *loop;
    struct kube_client *client; /* borrowed; KUBE_CALLS requests at once */
    struct router *router;      /* borrowed: is told when streams get their names */
    const char *node;
    bool akkeris;              /* Akkeris' names */
    bool only_akkeris;         /* only pods with a label akkeris.io… */
    bool namespaces;           /* their drains are a default: watch them, too */
    bool names;                /* some network inputs are trusted to name workloads */
    uint64_t identity_wait_ms; /* then a stream is called what its path says, for the time being */
    uint64_t watch_ms;
    /* As struct kube_store has it. */
    int (*cut)(struct str list, struct buf *out);
};
#define KUBE_FETCHES 4                             /* objects that are asked for by name at once */
#define KUBE_CALLS (KUBE_KINDS + KUBE_FETCHES + 2) /* the last are for Events and endpoints.h */

/* Nothing is sent before the start. Input and datasource are closed before it is freed. */
struct kube_cluster *kube_cluster_create(const struct kube_cluster_config *cfg);
void kube_cluster_start(struct kube_cluster *c);
void kube_cluster_free(struct kube_cluster *c); /* NULL is fine */
/* For the input. */
struct identify *kube_cluster_identify(struct kube_cluster *c);
/* NULL takes it back. Told of all pods that are known. */
void kube_cluster_set_routes(struct kube_cluster *c, struct kube_routes *r);

/* Calls <fn> for the pods of that name: usually one or none; the last one, too, while it is on its
 * way out. <known>: what owns it was found; else it has no drains yet. */
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
    uint64_t record_bytes;                   /* objects that are, without these */
    uint64_t refused_notes, refused_records; /* times that some were over their budget */
    uint64_t refused_pods;
    uint64_t foreign;   /* pods that claimed an owner in another namespace */
    uint64_t ambiguous; /* hostnames received that are names in two namespaces: nobody's */
    uint64_t paced;     /* times that a namespace changed too often, and had to wait */
    bool degraded;      /* a watch is not open, or was never */
    bool needed;        /* routes, or which pods count, come from the API and nowhere else */
};
void kube_cluster_stats(const struct kube_cluster *c, struct kube_cluster_stats *out);

#endif
