/*
 * Shared by the files of the cluster. Each uses only files below its own:
 *
 *   cluster   streams and events
 *   received  hostnames of trusted network streams
 *   resolve   who owns a pod or a hostname
 *   fetch     objects that are asked for one by one
 *   pods      the pods of this node
 *   kept      what a look keeps: annotations, and which objects are wanted
 */
#ifndef KUBE_CLUSTER_INTERNAL_H
#define KUBE_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "kube/cluster.h"
#include "kube/store.h"

/* Annotations that a look has found: views. */
struct kube_found {
    struct kube_drains drains[KUBE_LEVELS + 1];
    struct kube_notes *notes[KUBE_LEVELS + 1]; /* hold the texts of <drains> */
    unsigned n;
    bool any, stop;                    /* an object had the annotation; it says `none` */
    struct kube_uid uids[KUBE_LEVELS]; /* of all that were looked at by name */
    unsigned nuids;
    bool away; /* some texts must be fetched first */
};

/* The same, kept: with references to the texts. */
struct kube_kept {
    struct buf names; /* what <drains> points into */
    struct kube_notes *notes[KUBE_LEVELS + 1];
    struct kube_drains drains[KUBE_LEVELS + 1];
    unsigned n;
    bool none; /* an annotation says `none` */
};

/* A hostname under which trusted inputs receive records, while it has a stream. */
struct kube_received {
    struct list dirty; /* cluster->received_dirty: a look is due */
    struct origin *origin;
    char *owner; /* the identity's: a mark that no UID has, and the hostname */
    struct str hostname;
    struct kube_namespace *namespace; /* a reference; NULL: no workload has that name */
    struct kube_kept drains;
    struct kube_uid uids[KUBE_LEVELS]; /* of the objects with that name: wanted */
    unsigned nuids;
    bool placed; /* its owner is known: <namespace>, or nobody */
    bool known;  /* a look had a result, */
    bool tell;   /* ... which the router has not got yet, */
    bool named;  /* ... and the router knows the stream by it */
    bool guessed;
    bool ambiguous;
};

struct kube_pod {
    struct list node;    /* cluster->pods */
    struct list dirty;   /* cluster->dirty: a look is due */
    struct list streams; /* of struct kube_stream */
    char *uid, *name;
    char *mirror;  /* of a static pod: the UID in its path; NULL = none */
    char *service; /* its label app.kubernetes.io/name; "" = none */
    struct kube_namespace *namespace;
    struct kube_texts texts;
    struct kube_uid owner;
    enum kube_kind owner_kind;
    bool owner_is_node; /* static */
    char *owner_name;
    bool akkeris, oneoff;
    uint16_t generation;
    bool gone; /* deleted, but some lines may be unread */
    uint64_t gone_at;
    /* Results of the last look. */
    bool known;     /* every owner was found, or cannot be found */
    bool tell;      /* the router has not got them yet */
    bool undecided; /* see kube_workload */
    bool foreign;
    bool refused;                       /* texts that it depends on are over the budget */
    struct kube_uid chain[KUBE_LEVELS]; /* its owners, whether found or not: wanted */
    unsigned nchain;
    struct buf hostname, tag;
    struct buf true_name; /* <top owner>.<namespace>, whatever its annotations say */
    struct kube_kept drains;
};

/* A stream that waits for its name, or has got it. */
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

#define KUBE_LOGGED 256

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
    /* Called with each object that was fetched; as for an event of a watch. */
    void (*fetched)(void *cluster, enum kube_kind k, enum kube_change change,
                    const struct kube_object *o);
    struct list fetches; /* of struct kube_fetch */
    unsigned fetching;   /* of these: under way */
    struct log_limit fetch_limit;
    uint64_t freed;        /* store.freed when texts that are over the budget were tried last */
    uint64_t retry_at;     /* they are tried again then, if some have gone */
    uint64_t routes_freed; /* the same of routes->freed */
    uint64_t routes_retry_at;
    unsigned npods;
    uint64_t refused_pods;
    struct log_limit pods_limit;
    uint16_t generation; /* of the pods' list */
    uint64_t foreign, ambiguous;
    uint64_t looks; /* runs of <work>, for kube_pace_may() */
    uint64_t paced;
    uint64_t logged[KUBE_LOGGED]; /* hashes of hostnames that were logged as ambiguous; 0 = free */
    struct map received;          /* of struct kube_received, by hostname */
    struct list received_dirty;
    uint64_t received_renamed; /* store.renamed at the last look */
    uint64_t received_until;   /* loop time at which hostnames without a result are guessed */
};

/* What is known of the owners of <kind>. */
static inline enum kube_sync kube_cluster_sync(const struct kube_cluster *c, enum kube_kind kind)
{
    return c->reflectors[kind] ? kube_reflector_sync(c->reflectors[kind]) : KUBE_DENIED;
}

/* Schedules <work> for the end of the turn. */
static inline void kube_cluster_post(struct kube_cluster *c)
{
    loop_task_post(c->cfg.loop, &c->work);
}

/* ---- resolve.c ---- */

/* Looks at the owners of <p>, and stores the results in <p>. Changes nothing while an owner is not
 * known yet. False: its namespace has changed too often, so <p> has to wait (pace.h). */
bool kube_resolve(struct kube_cluster *c, struct kube_pod *p);
/* Loop time at which the next waiting pod may be looked at; UINT64_MAX = none waits. */
uint64_t kube_resolve_due(const struct kube_cluster *c);
/* May this run of <work> act on changes in <ns>? */
bool kube_may_change(struct kube_cluster *c, struct kube_namespace *ns);
/* Finds the objects named <hostname> and their annotations. *<ns>: their namespace, NULL when there
 * are none. False: they are in two namespaces, *<ns> and *<other>. */
bool kube_resolve_name(const struct kube_cluster *c, struct str hostname, struct kube_found *f,
                       struct kube_namespace **ns, struct kube_namespace **other);
/* Fetches the texts of the objects of <f>, and of <ns>, that are not here. */
void kube_resolve_fetch(struct kube_cluster *c, const struct kube_found *f,
                        const struct kube_namespace *ns);
/* Views of <p>. */
struct kube_workload kube_pod_workload(const struct kube_pod *p);
/* Does it depend on this object? */
bool kube_pod_has_owner(const struct kube_pod *p, const struct kube_uid *uid);

/* ---- pods.c ---- */

struct kube_pod *kube_pod_find(const struct kube_cluster *c, struct str uid); /* NULL = none */
/* Adds or updates the pod, if there is room for it. */
void kube_pod_put(struct kube_cluster *c, const struct kube_object *o);
/* It was deleted; some of its lines may be unread. */
void kube_pod_gone(struct kube_cluster *c, struct kube_pod *p);
void kube_pod_free(struct kube_cluster *c, struct kube_pod *p);
/* Schedules a look at the end of the turn. */
void kube_pod_mark(struct kube_cluster *c, struct kube_pod *p);
/* Marks all pods of <namespace>. */
void kube_pods_mark_in(struct kube_cluster *c, struct str namespace);
/* Does the path of <st> name <p>? */
bool kube_stream_is_of(const struct kube_stream *st, const struct kube_pod *p);

/* ---- kept.c ---- */

/* Wants <uids> instead of <old>, and copies them there. */
void kube_want_instead(struct kube_cluster *c, struct kube_uid old[KUBE_LEVELS], unsigned *nold,
                       const struct kube_uid *uids, unsigned n);
bool kube_kept_same(const struct kube_kept *k, const struct kube_found *f);
void kube_kept_set(struct kube_kept *k, const struct kube_found *f);
void kube_kept_release(struct kube_kept *k);

/* ---- fetch.c ---- */

/* Fetches an object, once; drops the request when nobody wants it any more. */
void kube_fetch_ask(struct kube_cluster *c, enum kube_kind k, struct str namespace, struct str name,
                    const struct kube_uid *uid);
/* <o> came by a watch or a list: the answer to a request under way may be older, and is ignored. */
void kube_fetch_seen(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o);
void kube_fetch_work(struct kube_cluster *c);
uint64_t kube_fetch_due(const struct kube_cluster *c); /* UINT64_MAX = never */
void kube_fetch_cancel(struct kube_cluster *c);        /* all */

/* ---- received.c ---- */

/* The functions of struct identify for trusted network streams. */
bool kube_received_found(struct kube_cluster *c, struct origin *o);
void kube_received_gone(struct kube_cluster *c, struct origin *o);
enum identify_wants kube_received_wants(struct identify *i, struct str hostname);
/* An object, or (NULL) any of <k>, has changed: schedules looks at the hostnames that may mean it. */
void kube_received_mark(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o);
/* Looks at the marked hostnames, updates the router, and guesses those that waited too long. */
void kube_received_work(struct kube_cluster *c);
/* Texts were freed: marks the hostnames with texts that were over the budget. */
void kube_received_retry(struct kube_cluster *c);
/* Loop time at which the next one is guessed; UINT64_MAX = never. */
uint64_t kube_received_due(const struct kube_cluster *c);
/* As kube_resolve_due(), for hostnames. */
uint64_t kube_received_paced_until(const struct kube_cluster *c);
/* Gives all of them to cluster->routes. */
void kube_received_tell_all(struct kube_cluster *c);

#endif
