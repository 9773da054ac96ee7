/* What the files of the cluster share. Each uses only those behind it: cluster.c (streams and
 * events), received.c (hostnames of network streams), resolve.c (who owns these), fetch.c, pods.c,
 * kept.c. */
#ifndef KUBE_CLUSTER_INTERNAL_H
#define KUBE_CLUSTER_INTERNAL_H

#include "base/list.h"
#include "kube/cluster.h"
#include "kube/store.h"

/* Annotations that count, as a look finds them: views. */
struct kube_found {
    struct kube_drains drains[KUBE_LEVELS + 1];
    struct kube_notes *notes[KUBE_LEVELS + 1]; /* what their lists are in */
    unsigned n;
    bool any, stop;                    /* an object had the annotation; it says `none` */
    struct kube_uid uids[KUBE_LEVELS]; /* of all that were looked at by name */
    unsigned nuids;
    bool away; /* some texts are still to be fetched */
};

/* The same, kept: the lists by reference. */
struct kube_kept {
    struct buf names; /* what <drains> points into */
    struct kube_notes *notes[KUBE_LEVELS + 1];
    struct kube_drains drains[KUBE_LEVELS + 1];
    unsigned n;
};

/* What trusted inputs hear under one hostname, as long as there is a stream of it. */
struct kube_received {
    struct list dirty; /* cluster->received_dirty: to be looked at again */
    struct origin *origin;
    char *owner; /* the identity's: a mark that no UID has, and the hostname */
    struct str hostname;
    struct kube_namespace *namespace; /* a reference; NULL: no workload is called so */
    struct kube_kept drains;
    struct kube_uid uids[KUBE_LEVELS]; /* of the objects that are called so: wanted */
    unsigned nuids;
    bool placed; /* whose it is is known: <namespace>'s, or nobody's */
    bool known;  /* a look has come to a result, */
    bool tell;   /* ... which is another one than was told, */
    bool named;  /* ... and the router knows the stream by it */
    bool guessed;
    bool ambiguous;
};

struct kube_pod {
    struct list node;    /* cluster->pods */
    struct list dirty;   /* cluster->dirty: to be looked at again */
    struct list streams; /* of struct kube_stream */
    char *uid, *name;
    char *mirror; /* of a static pod: the UID in its path; NULL = none */
    struct kube_namespace *namespace;
    struct kube_texts texts;
    struct kube_uid owner;
    enum kube_kind owner_kind;
    bool owner_is_node; /* static */
    char *owner_name;
    bool akkeris, oneoff;
    uint16_t generation;
    bool gone; /* deleted, but its lines may not be read yet */
    uint64_t gone_at;
    /* What the last look said. */
    bool known;     /* every owner was found, or cannot be */
    bool tell;      /* it has changed since it was told */
    bool undecided; /* see kube_workload */
    bool foreign;
    bool refused;                       /* texts that it depends on are over the budget */
    struct kube_uid chain[KUBE_LEVELS]; /* its owners, whether found or not: wanted */
    unsigned nchain;
    struct buf hostname, tag;
    struct buf true_name; /* <top owner>.<namespace>, whatever is said of it */
    struct kube_kept drains;
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

#define KUBE_SAID 256

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
    /* Takes an object that was fetched; an event, as of a watch. */
    void (*fetched)(void *cluster, enum kube_kind k, enum kube_change change,
                    const struct kube_object *o);
    struct list fetches; /* of struct kube_fetch */
    unsigned fetching;   /* of these: under way */
    struct log_limit fetch_limit;
    uint64_t freed;    /* store.freed when texts that are over the budget were tried last */
    uint64_t retry_at; /* they are tried again then, if some have gone */
    unsigned npods;
    uint64_t refused_pods;
    struct log_limit pods_limit;
    uint16_t generation; /* of the pods' list */
    uint64_t foreign, ambiguous;
    uint64_t looks; /* runs of <work>, for kube_pace_may() */
    uint64_t paced;
    uint64_t said[KUBE_SAID]; /* hashes of hostnames that were said to be ambiguous; 0 = free */
    struct map received;      /* of struct kube_received, by hostname */
    struct list received_dirty;
    uint64_t received_renamed; /* store.renamed when it was looked at last */
    uint64_t received_until;   /* by when those that the API has not named are guessed */
};

/* What is known of the owners of <kind>. */
static inline enum kube_sync kube_cluster_sync(const struct kube_cluster *c, enum kube_kind kind)
{
    return c->reflectors[kind] ? kube_reflector_sync(c->reflectors[kind]) : KUBE_DENIED;
}

/* Does the work at the end of the turn. */
static inline void kube_cluster_post(struct kube_cluster *c)
{
    loop_task_post(c->cfg.loop, &c->work);
}

/* ---- resolve.c ---- */

/* Looks at <p>'s owners: fills in what the last look said; keeps it as it was when an owner has
 * still to be received of. False: its namespace has changed too often, it has to wait (pace.h). */
bool kube_resolve(struct kube_cluster *c, struct kube_pod *p);
/* When the next pod that waits may be looked at; UINT64_MAX = never. */
uint64_t kube_resolve_due(const struct kube_cluster *c);
/* Whether what <ns> has changed may be acted on by this run of <work>. */
bool kube_may_change(struct kube_cluster *c, struct kube_namespace *ns);
/* The objects that are called <hostname> and what they have, in <f>. *<ns>: where they are, NULL
 * when there are none. False: they are in two namespaces, <ns> and *<other>. */
bool kube_resolve_name(const struct kube_cluster *c, struct str hostname, struct kube_found *f,
                       struct kube_namespace **ns, struct kube_namespace **other);
/* Asks for the texts of what <f> looked at in <ns> that are not here. */
void kube_resolve_fetch(struct kube_cluster *c, const struct kube_found *f,
                        const struct kube_namespace *ns);
/* Views of <p>. */
struct kube_workload kube_pod_workload(const struct kube_pod *p);
/* Does it depend on this object? */
bool kube_pod_has_owner(const struct kube_pod *p, const struct kube_uid *uid);

/* ---- pods.c ---- */

struct kube_pod *kube_pod_find(const struct kube_cluster *c, struct str uid); /* NULL = none */
/* It is there, and as <o> says, if there is room for it. */
void kube_pod_put(struct kube_cluster *c, const struct kube_object *o);
/* It was deleted; its lines may not be read yet. */
void kube_pod_gone(struct kube_cluster *c, struct kube_pod *p);
void kube_pod_free(struct kube_cluster *c, struct kube_pod *p);
/* To be looked at again at the end of the turn. */
void kube_pod_mark(struct kube_cluster *c, struct kube_pod *p);
/* Marks all pods of <namespace>. */
void kube_pods_mark_in(struct kube_cluster *c, struct str namespace);
/* By its path. */
bool kube_stream_is_of(const struct kube_stream *st, const struct kube_pod *p);

/* ---- kept.c ---- */

/* <uids> are wanted instead of <old>. */
void kube_want_instead(struct kube_cluster *c, struct kube_uid old[KUBE_LEVELS], unsigned *nold,
                       const struct kube_uid *uids, unsigned n);
bool kube_kept_same(const struct kube_kept *k, const struct kube_found *f);
void kube_kept_set(struct kube_kept *k, const struct kube_found *f);
void kube_kept_release(struct kube_kept *k);

/* ---- fetch.c ---- */

/* Asks for an object; once, while it is wanted. */
void kube_fetch_ask(struct kube_cluster *c, enum kube_kind k, struct str namespace, struct str name,
                    const struct kube_uid *uid);
/* A watch or a list tells of <o>: an answer that is under way may be older, and is not taken. */
void kube_fetch_told(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o);
void kube_fetch_work(struct kube_cluster *c);
uint64_t kube_fetch_due(const struct kube_cluster *c); /* UINT64_MAX = never */
void kube_fetch_cancel(struct kube_cluster *c);        /* all */

/* ---- received.c ---- */

/* struct identify's, for trusted network streams. */
bool kube_received_found(struct kube_cluster *c, struct origin *o);
void kube_received_gone(struct kube_cluster *c, struct origin *o);
enum identify_wants kube_received_wants(struct identify *i, struct str hostname);
/* An object, or (NULL) anything, has changed: hostnames that may mean it are looked at again. */
void kube_received_mark(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o);
/* Looks at those that are marked and tells what has changed; guesses those that waited too long. */
void kube_received_work(struct kube_cluster *c);
/* Texts have gone: marks those of which some were over the budget. */
void kube_received_retry(struct kube_cluster *c);
/* When the next is to be guessed; UINT64_MAX = never. */
uint64_t kube_received_due(const struct kube_cluster *c);
/* As kube_resolve_due(), of hostnames. */
uint64_t kube_received_paced_until(const struct kube_cluster *c);
/* Tells cluster->routes of all. */
void kube_received_tell_all(struct kube_cluster *c);

#endif
