/* What cluster.c (pods and streams) and resolve.c (who owns a pod) share. */
#ifndef KUBE_CLUSTER_INTERNAL_H
#define KUBE_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "kube/cluster.h"
#include "kube/store.h"

struct kube_pod {
    struct list node;    /* cluster->pods */
    struct list dirty;   /* cluster->dirty: to be looked at again */
    struct list streams; /* of struct kube_stream */
    char *uid, *name;
    char *mirror; /* of a static pod: the UID in its path; NULL = none */
    struct kube_namespace *namespace;
    struct kube_notes *notes; /* NULL = none */
    struct kube_uid owner;
    enum kube_kind owner_kind;
    bool owner_is_node; /* static */
    char *owner_name;
    bool akkeris, oneoff;
    uint16_t generation;
    bool gone; /* deleted, but its lines may not be read yet */
    uint64_t gone_at;
    /* What the last look said. */
    bool known; /* every owner was found, or cannot be */
    bool tell;  /* it has changed since it was told */
    bool foreign;
    struct kube_uid chain[KUBE_LEVELS]; /* its owners, whether found or not */
    unsigned nchain;
    struct buf hostname, tag;
    struct buf texts; /* what <drains> points into */
    struct kube_drains drains[KUBE_LEVELS + 1];
    unsigned ndrains;
};

/* A stream that asked what it is called. */
struct kube_stream {
    struct list node;    /* pod->streams, or cluster->strays */
    struct list waiting; /* cluster->waiting, in order of <until>, while it has no name */
    struct origin *origin;
    uint64_t id;          /* the origin's; its key in cluster->streams */
    struct kube_pod *pod; /* NULL = not known */
    uint64_t until;
    bool guessed; /* named by its path, for the time being */
    bool named;
};

struct kube_cluster {
    struct identify identify;
    struct kube_cluster_config cfg;
    struct kube_store store;
    struct kube_reflector *reflectors[KUBE_KINDS]; /* NULL: not watched */
    char *selector;
    struct list pods;
    struct list dirty;
    struct list strays;
    struct map streams; /* of struct kube_stream, by the origin's id */
    struct list waiting;
    struct loop_task work;
    struct loop_timer *wait; /* the first of <waiting> is due, or a pod that is gone */
    struct kube_routes *routes;
    uint16_t generation; /* of the pods' list */
    uint64_t foreign;
};

/* What is known of the owners of <kind>. */
enum kube_sync kube_cluster_sync(const struct kube_cluster *c, enum kube_kind kind);
/* Looks at <p>'s owners: fills in what the last look said; keeps it as it was when an owner has
 * still to be heard of. */
void kube_resolve(struct kube_cluster *c, struct kube_pod *p);
/* Views of <p>. */
struct kube_workload kube_pod_workload(const struct kube_pod *p);
/* Does it depend on this object? */
bool kube_pod_has_owner(const struct kube_pod *p, const struct kube_uid *uid);

#endif
