/* See notices.h. One entry for each drain in trouble; one timer for the first that is due. */
#include "report/notices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "datasources/datasource.h"

#define NOTICES_MAX 1024       /* drains in trouble */
#define DELIVERING_MAX 4096    /* drains of objects that are remembered to deliver */
#define NOTICE_LOSSES_MS 10000 /* losses of this time are reported together */

struct trouble {
    struct list node;
    struct drain_spec *spec; /* a reference */
    uint64_t workers;        /* bit w: it fails on worker w */
    uint64_t since;
    bool held;     /* on some worker the receiver refuses everything */
    bool notified; /* an Event has reported that it fails */
    uint64_t lost, refused, lost_since;
};

struct notices {
    struct loop *loop;
    const struct kube_cluster *cluster;
    struct kube_events *events;
    uint64_t patience_ms; /* how long a drain fails before it is reported */
    struct list all;
    unsigned n;
    struct loop_timer *due;
    uint64_t delivering[DELIVERING_MAX]; /* hashes of object and URL that were reported, in turn */
    unsigned ndelivering;
};

/* Posts an Event for each object that lists the drain. */
struct telling {
    struct notices *n;
    const struct drain_spec *spec;
    bool warning;
    bool once; /* not when it was said before */
    const char *reason;
    struct str text;
    uint64_t notified[16]; /* objects already reported to, since many pods share one */
    unsigned nnotified;
};

/* A namespace has no UID here, so its name identifies it. */
static uint64_t object_hash(const struct kube_workload *w, const struct kube_drains *d)
{
    return hash_seeded(d->uid.b, sizeof(d->uid.b)) ^ hash_seeded(w->namespace.p, w->namespace.len);
}

static bool was_notified(struct telling *t, const struct kube_workload *w,
                         const struct kube_drains *d)
{
    uint64_t h = object_hash(w, d);

    for (unsigned i = 0; i < t->nnotified; i++)
        if (t->notified[i] == h)
            return true;
    if (t->nnotified < ARRAY_LEN(t->notified))
        t->notified[t->nnotified++] = h;
    return false;
}

/* Pods come and go, and with them drains: their object is notified once in this run. */
static bool was_delivering(struct notices *n, const struct drain_spec *spec,
                           const struct kube_workload *w, const struct kube_drains *d)
{
    uint64_t h = object_hash(w, d) ^ hash_seeded(spec->text, strlen(spec->text));

    for (unsigned i = 0; i < ARRAY_LEN(n->delivering); i++)
        if (n->delivering[i] == h)
            return true;
    n->delivering[n->ndelivering++ % ARRAY_LEN(n->delivering)] = h;
    return false;
}

static void tell_workload(void *arg, const struct kube_workload *w, bool known)
{
    struct telling *t = arg;

    (void)known;
    for (unsigned i = 0; i < w->ndrains && t->nnotified < ARRAY_LEN(t->notified); i++)
        if (drain_list_has(w->drains[i].list, str_of(t->spec->text)) &&
            !was_notified(t, w, &w->drains[i]) &&
            !(t->once && was_delivering(t->n, t->spec, w, &w->drains[i])))
            kube_events_post(t->n->events, w, &w->drains[i], t->warning, t->reason, t->text);
}

/* Fills the rest of <t> in. */
static void tell_all(struct telling *t, const char *what)
{
    struct buf text = BUF_INIT(4096);

    (void)buf_addf(&text, "drain %.300s: %s", t->spec->name, what); /* it fits */
    t->text = buf_str(&text);
    kube_cluster_each(t->n->cluster, tell_workload, t);
    buf_release(&text);
}

/* False when no object lists the drain any more. */
static bool tell(struct notices *n, const struct trouble *tr, bool warning, const char *reason,
                 const char *what)
{
    struct telling t = {.n = n, .spec = tr->spec, .warning = warning, .reason = reason};

    tell_all(&t, what);
    return t.nnotified;
}

static void tell_delivers(struct notices *n, const struct drain_spec *spec)
{
    struct telling t = {.n = n, .spec = spec, .once = true, .reason = "DrainDelivering"};

    tell_all(&t, "takes lines: the first one has arrived");
}

static void tell_lost(struct notices *n, struct trouble *t)
{
    char what[160];

    if (t->lost) {
        (void)snprintf(what, sizeof(what),
                       "%" PRIu64 " bytes of the log were lost before they were delivered",
                       t->lost);
        (void)tell(n, t, true, "LinesLost", what);
    }
    if (t->refused) {
        (void)snprintf(what, sizeof(what), "refuses %" PRIu64 " lines, which were skipped",
                       t->refused);
        (void)tell(n, t, true, "LinesRefused", what);
    }
    t->lost = t->refused = 0;
}

static void tell_fails(struct notices *n, struct trouble *t)
{
    t->notified = true;
    if (!tell(n, t, true, "DrainFailing",
              t->held
                  ? "is suspended: its receiver refuses everything, check its URL; its lines are "
                    "kept as long as their log files are"
                  : "fails; its lines are kept as long as their log files are"))
        t->workers = 0; /* its route is gone, so no worker will report that it has recovered */
}

static bool has_losses(const struct trouble *t)
{
    return t->lost || t->refused;
}

static uint64_t due_at(const struct notices *n, const struct trouble *t)
{
    uint64_t at = t->workers && !t->notified ? t->since + n->patience_ms : UINT64_MAX;

    return has_losses(t) && t->lost_since + NOTICE_LOSSES_MS < at ? t->lost_since + NOTICE_LOSSES_MS
                                                                  : at;
}

static void drop(struct notices *n, struct trouble *t)
{
    list_del(&t->node);
    drain_spec_unref(t->spec);
    free(t);
    n->n--;
}

static void arm(struct notices *n)
{
    uint64_t now = loop_now(n->loop), at = UINT64_MAX;

    list_for_each (it, &n->all) {
        uint64_t due = due_at(n, list_entry(it, struct trouble, node));

        at = due < at ? due : at;
    }
    if (at == UINT64_MAX)
        loop_timer_stop(n->due);
    else
        loop_timer_start(n->due, at > now ? at - now : 0);
}

static void on_due(void *arg)
{
    struct notices *n = arg;
    uint64_t now = loop_now(n->loop);

    list_for_each_safe (it, &n->all) {
        struct trouble *t = list_entry(it, struct trouble, node);

        if (has_losses(t) && t->lost_since + NOTICE_LOSSES_MS <= now)
            tell_lost(n, t);
        if (t->workers && !t->notified && t->since + n->patience_ms <= now)
            tell_fails(n, t);
        if (!t->workers && !has_losses(t))
            drop(n, t);
    }
    arm(n);
}

static struct trouble *find(struct notices *n, struct drain_spec *spec)
{
    struct trouble *t;

    list_for_each (it, &n->all)
        if (list_entry(it, struct trouble, node)->spec == spec)
            return list_entry(it, struct trouble, node);
    if (n->n == NOTICES_MAX) /* the oldest was reported, or no longer exists */
        drop(n, list_entry(n->all.next, struct trouble, node));
    t = xcalloc(1, sizeof(*t));
    t->spec = drain_spec_ref(spec);
    list_add_tail(&n->all, &t->node);
    n->n++;
    return t;
}

/* On one worker. */
static void recovered(struct notices *n, struct trouble *t, uint64_t bit)
{
    t->workers &= ~bit;
    if (t->workers)
        return;
    if (t->notified)
        (void)tell(n, t, false, "DrainRecovered", "accepts lines again");
    t->notified = t->held = false;
    if (!has_losses(t))
        drop(n, t);
}

void notices_take(struct notices *n, const struct drain_news *news)
{
    uint64_t bit = UINT64_C(1) << news->worker;
    struct trouble *t;

    if (news->what == DRAIN_DELIVERS) {
        tell_delivers(n, news->spec);
        return;
    }
    t = find(n, news->spec);
    switch (news->what) {
    case DRAIN_FAILS:
        if (!t->workers)
            t->since = loop_now(n->loop);
        t->workers |= bit;
        break;
    case DRAIN_HELD:
        t->held = true;
        if (!t->workers && !has_losses(t))
            drop(n, t); /* no object lists it any more */
        break;
    case DRAIN_LOSES:
    case DRAIN_REFUSES:
        if (!has_losses(t))
            t->lost_since = loop_now(n->loop);
        *(news->what == DRAIN_LOSES ? &t->lost : &t->refused) += news->amount;
        break;
    case DRAIN_RECOVERED:
        recovered(n, t, bit);
        break;
    case DRAIN_DELIVERS:
        break;
    }
    arm(n);
}

/* ---- logs that are not read, or not sent ---- */

struct of_pod {
    const struct notices *n;
    struct str uid;             /* ... or "" */
    struct str namespace, name; /* ... then these */
    const char *reason;
    struct str text;
};

static void tell_of_pod(void *arg, const struct kube_workload *w, bool known)
{
    const struct of_pod *p = arg;

    (void)known;
    if (!w->ndrains || (p->uid.len && !str_eq(w->uid, p->uid)))
        return;
    if (p->uid.len ||
        (!w->received && str_eq(w->name, p->name) && str_eq(w->namespace, p->namespace)))
        kube_events_post(p->n->events, w, &w->drains[0], true, p->reason, p->text);
}

void notices_unreadable(const struct notices *n, struct str uid)
{
    struct of_pod p = {.n = n,
                       .uid = uid,
                       .reason = "LogUnreadable",
                       .text = STR("a log file of it cannot be read on the node; its lines are "
                                   "delivered when it can be")};

    if (uid.len)
        kube_cluster_each(n->cluster, tell_of_pod, &p);
}

void notices_refused(const struct notices *n, const struct identity *id)
{
    struct of_pod p = {.n = n,
                       .uid = id->owner,
                       .namespace = id->namespace,
                       .name = id->pod,
                       .reason = "LogRefused",
                       .text = STR("a log of it is not sent to a drain: the pods of its namespace "
                                   "have too many containers and drains on the node")};

    if (id->owner.len || id->pod.len)
        kube_cluster_each(n->cluster, tell_of_pod, &p);
}

struct notices *notices_create(struct loop *l, const struct kube_cluster *cluster,
                               struct kube_events *events, uint64_t patience_ms)
{
    struct notices *n = xcalloc(1, sizeof(*n));

    n->loop = l;
    n->cluster = cluster;
    n->events = events;
    n->patience_ms = patience_ms;
    list_init(&n->all);
    n->due = loop_timer_create(l, on_due, n);
    return n;
}

void notices_free(struct notices *n)
{
    if (!n)
        return;
    while (!list_empty(&n->all))
        drop(n, list_entry(n->all.next, struct trouble, node));
    loop_timer_free(n->due);
    free(n);
}
