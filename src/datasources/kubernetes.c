/*
 * KUBERNETES_DATASOURCE=true: the drains annotation of workloads as owner routes. kube/cluster.h
 * selects the annotations for a pod. Here each list is split into URLs, each URL is checked, and
 * the pod gets one route, keyed and matched by its UID. A hostname received by trusted inputs gets
 * one in the same way, by the owner that the cluster assigns to its stream.
 *
 * A bad URL is logged once, with its workload; the good ones of the same list work. Only workloads
 * with a pod on this node, or with records received here, are checked, so that a mistake is logged
 * where it matters.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "base/url.h"
#include "datasources/datasource.h"
#include "datasources/drain_shares.h"

#define URLS_MAX ((KUBE_LEVELS + 1) * OWNER_DRAINS_MAX)
#define LOGGED_MAX 256 /* refusals remembered, so that each is logged once */

struct kubernetes {
    struct datasource base;
    struct kube_routes routes;
    struct kube_cluster *cluster; /* borrowed */
    struct kube_events *events;   /* borrowed; may be NULL */
    struct route_source *source;
    bool begun; /* route_begin_changes() was called */
    struct drain_shares shares;
    uint64_t logged[LOGGED_MAX];
    unsigned nlogged;
    struct datasource_stats stats;
};

/* The URLs of one pod. */
struct wanted {
    const struct kube_workload *workload;
    struct share_holder *holder;
    struct str urls[URLS_MAX];
    unsigned n;
    bool refused; /* another URL was refused */
};

/* ---- refusals ---- */

/* True the first time. */
static bool first_time(struct kubernetes *k, const struct kube_drains *d,
                       const struct kube_workload *w, struct str url)
{
    uint64_t parts[3] = {hash_seeded(w->namespace.p, w->namespace.len) ^ w->received,
                         hash_seeded(d->name.p, d->name.len) ^ (uintptr_t)d->kind,
                         hash_seeded(url.p, url.len)};
    uint64_t h = hash_seeded(parts, sizeof(parts));
    unsigned most = k->nlogged < LOGGED_MAX ? k->nlogged : LOGGED_MAX;

    for (unsigned i = 0; i < most; i++)
        if (k->logged[i] == h)
            return false;
    k->logged[k->nlogged++ % LOGGED_MAX] = h;
    return true;
}

static unsigned length_of(struct str list)
{
    struct str url;
    unsigned n = 0;

    while (n <= OWNER_DRAINS_MAX && drain_list_next(&list, &url))
        n++;
    return n;
}

/* <url> is the <nth> of the list, from 1. */
static void refuse(struct kubernetes *k, const struct wanted *w, const struct kube_drains *d,
                   struct str url, unsigned nth, const struct err *e)
{
    unsigned n = length_of(d->list);
    struct buf shown = BUF_INIT(URL_MAX), text = BUF_INIT(4096);

    if (!first_time(k, d, w->workload, url))
        return;
    k->stats.refused++;
    (void)url_mask_text(&shown, str_head(url, OWNER_URL_MAX)); /* the part that fits */
    log_warn_for(LOG_BY_NAMESPACE(w->workload->namespace), "drain refused",
                 KV_CSTR("kind", d->kind), KV_STR("namespace", w->workload->namespace),
                 KV_STR("name", d->name), KV_STR("drain", str_head(buf_str(&shown), 200)),
                 KV_ERR(e));
    if (w->workload->received) { /* the node of its pods creates the Event */
        buf_release(&shown);
        return;
    }
    (void)buf_addf(&text, "drain %.*s", STR_ARG(str_head(buf_str(&shown), 200))); /* it fits */
    if (n > 1)
        (void)buf_addf(&text,
                       n > OWNER_DRAINS_MAX ? " (URL %u of more than %u)" : " (URL %u of %u)", nth,
                       n > OWNER_DRAINS_MAX ? OWNER_DRAINS_MAX : n);
    (void)buf_addf(&text, " is refused: %s", e->text);
    kube_events_post(k->events, w->workload, d, true, "DrainRefused", buf_str(&text));
    buf_release(&text);
    buf_release(&shown);
}

/* ---- one pod ---- */

static bool has(const struct wanted *w, struct str url)
{
    for (unsigned i = 0; i < w->n; i++)
        if (str_eq(w->urls[i], url))
            return true;
    return false;
}

/* <url> parses. */
static int check_scheme(const struct datasource_env *env, struct str url, struct err *e)
{
    struct str schemes = str_of(env->owner_schemes ? env->owner_schemes : "*"), word;
    ptrdiff_t colon = str_find(url, ':');
    char lower[32];
    size_t n = 0;

    for (; n < sizeof(lower) && colon > 0 && n < (size_t)colon; n++)
        lower[n] = url.p[n] >= 'A' && url.p[n] <= 'Z' ? (char)(url.p[n] + 32) : url.p[n];
    while (str_word(&schemes, &word))
        if (str_glob(word, str_make(lower, n)))
            return 0;
    return err_set(e, EACCES, "%.*s: workloads may not have such drains (OWNER_SCHEMES)", (int)n,
                   lower);
}

int datasource_kubernetes_check(const struct datasource_env *env, struct str url, unsigned nth,
                                struct err *e)
{
    if (nth >= OWNER_DRAINS_MAX)
        return err_set(e, E2BIG, "a workload may have %d drains", OWNER_DRAINS_MAX);
    if (url.len > OWNER_URL_MAX)
        return err_set(e, E2BIG, "url: is over %d bytes", OWNER_URL_MAX);
    return env->check_owner_url(url, e) < 0 ? -1 : check_scheme(env, url, e);
}

/* Reports a list that was too long to be stored. */
static void report_too_long(struct kubernetes *k, const struct wanted *w,
                            const struct kube_drains *d)
{
    struct buf text = BUF_INIT(512);

    if (!first_time(k, d, w->workload, STR("")))
        return;
    k->stats.refused++;
    (void)buf_addf(
        &text,
        "its drains have no effect: an annotation is over %d bytes, or those of the namespace's "
        "workloads on this node are over %d",
        KUBE_ANNOTATION_MAX, KUBE_NOTES_NAMESPACE_MAX); /* it fits */
    log_warn_for(LOG_BY_NAMESPACE(w->workload->namespace), "annotation refused",
                 KV_CSTR("kind", d->kind), KV_STR("namespace", w->workload->namespace),
                 KV_STR("name", d->name), KV_STR("error", buf_str(&text)));
    if (!w->workload->received)
        kube_events_post(k->events, w->workload, d, true, "DrainRefused", buf_str(&text));
    buf_release(&text);
}

/* <url> is valid. */
static int take_place(struct kubernetes *k, struct wanted *w, struct str url, struct err *e)
{
    if (!drain_shares_take(&k->shares, w->holder, url))
        return err_set(e, ENOSPC,
                       "the workloads of its namespace have too many different drains on this node "
                       "(%u, and %u of all)",
                       OWNERS_DRAINS_NAMESPACE_MAX, OWNERS_DRAINS_MAX);
    w->urls[w->n++] = url;
    return 0;
}

static void take_list(struct kubernetes *k, struct wanted *w, const struct kube_drains *d)
{
    struct str rest = d->list, url;
    unsigned nth = 0;
    struct err e;

    if (d->refused)
        report_too_long(k, w, d);
    while (nth <= OWNER_DRAINS_MAX && drain_list_next(&rest, &url)) {
        int rc = datasource_kubernetes_check(k->base.env, url, nth++, &e);

        if (rc == 0 && has(w, url))
            continue;
        if (rc < 0 || take_place(k, w, url, &e) < 0) {
            w->refused = true;
            refuse(k, w, d, url, nth, &e);
        }
    }
}

static void begin(struct kubernetes *k)
{
    if (!k->begun)
        route_begin_changes(k->source);
    k->begun = true;
}

static void on_changed(struct kube_routes *r, const struct kube_workload *workload)
{
    struct kubernetes *k = container_of(r, struct kubernetes, routes);
    struct wanted w = {.workload = workload};

    begin(k);
    k->stats.changes++;
    w.holder = drain_shares_begin(&k->shares, workload->uid, workload->namespace, URLS_MAX);
    for (unsigned i = 0; i < workload->ndrains; i++)
        take_list(k, &w, &workload->drains[i]);
    route_source_unsure(k->source,
                        w.refused || workload->undecided); /* a mistake must not end a route */
    if (w.n)
        route_put(k->source, workload->uid, workload->uid, w.urls, w.n);
    else
        route_drop(k->source, workload->uid);
    if (!w.n)
        drain_shares_drop(&k->shares, workload->uid);
    route_source_unsure(k->source, false);
    r->freed = k->shares.freed;
}

static void on_gone(struct kube_routes *r, struct str uid)
{
    struct kubernetes *k = container_of(r, struct kubernetes, routes);

    begin(k);
    route_drop(k->source, uid);
    drain_shares_drop(&k->shares, uid);
    r->freed = k->shares.freed;
}

static void on_commit(struct kube_routes *r)
{
    struct kubernetes *k = container_of(r, struct kubernetes, routes);

    begin(k);
    route_commit(k->source);
    k->begun = false;
}

/* ---- the member ---- */

static struct kubernetes *kubernetes_of(struct datasource *d);

static void kubernetes_stats(struct datasource *d, struct datasource_stats *out)
{
    *out = kubernetes_of(d)->stats;
}

static void kubernetes_close(struct datasource *d)
{
    struct kubernetes *k = kubernetes_of(d);

    kube_cluster_set_routes(k->cluster, NULL);
    drain_shares_release(&k->shares);
    free(k);
}

static const struct datasource_ops kubernetes_ops = {
    .name = "kubernetes", .stats = kubernetes_stats, .close = kubernetes_close};

static struct kubernetes *kubernetes_of(struct datasource *d)
{
    if (d->ops != &kubernetes_ops)
        BUG("datasource: '%s' taken for 'kubernetes'", d->ops->name);
    return container_of(d, struct kubernetes, base);
}

struct datasource *datasource_kubernetes_open(const struct datasource_env *env,
                                              struct kube_cluster *cluster,
                                              struct kube_events *events)
{
    struct kubernetes *k = xcalloc(1, sizeof(*k));

    k->base.ops = &kubernetes_ops;
    k->base.env = env;
    k->routes = (struct kube_routes){on_changed, on_gone, on_commit, 0};
    drain_shares_init(&k->shares);
    k->cluster = cluster;
    k->events = events;
    k->source = router_source_create_owner(env->router, "annotations");
    kube_cluster_set_routes(cluster, &k->routes);
    return &k->base;
}
