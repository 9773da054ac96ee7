/*
 * Pods and streams. Events of the reflectors only change tables and mark pods dirty. The work task
 * processes dirty pods at the end of the turn, so a thousand changes in one turn cost one look per
 * pod, and no callback runs inside the HTTP client.
 *
 * Invariants: a stream is on its pod's list, or on <strays> while no pod of its name is known. It
 * is on <waiting> until it is named or guessed, or is unwanted. A deleted pod is freed when no
 * stream is left and KUBE_GONE_MS have passed.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "kube/cluster_internal.h"
#include "kube/names.h"

static void mark_all(struct kube_cluster *c)
{
    list_for_each (it, &c->pods)
        kube_pod_mark(c, list_entry(it, struct kube_pod, node));
}

/* ---- streams and their names ---- */

static bool wanted(const struct kube_cluster *c, const struct kube_pod *p)
{
    return !c->cfg.only_akkeris || p->akkeris;
}

/* False when it has that identity already. */
static bool set_identity(struct kube_stream *st, struct str hostname, struct str tag,
                         struct str name, struct str owner, struct str service)
{
    const struct identity *old = st->origin->identity;
    struct identity id = *old;

    id.hostname = hostname;
    id.tag = tag;
    id.name = name;
    id.owner = owner;
    id.service = service;
    if (str_eq(old->hostname, hostname) && str_eq(old->tag, tag) && str_eq(old->name, name) &&
        str_eq(old->owner, owner) && str_eq(old->service, service))
        return false;
    origin_set_identity(st->origin, identity_create(&id));
    return true;
}

/* Names it by its pod, if known. */
static bool stream_name(struct kube_stream *st)
{
    const struct kube_pod *p = st->pod;
    bool first = !st->named;

    list_del(&st->waiting);
    st->named = true;
    st->guessed = false;
    return set_identity(st, buf_str(&p->hostname), buf_str(&p->tag), buf_str(&p->true_name),
                        str_of(p->uid), str_of(p->service)) ||
           first;
}

static void stream_guess(struct kube_cluster *c, struct kube_stream *st)
{
    struct buf hostname = BUF_INIT(KUBE_NAME_TEXT_MAX), tag = BUF_INIT(KUBE_NAME_TEXT_MAX);
    const struct identity *id = st->origin->identity;

    list_del(&st->waiting);
    if (c->cfg.only_akkeris)
        return; /* it is unknown whether it is wanted */
    st->guessed = true;
    if (c->cfg.akkeris) {
        kube_names_derive(id->pod, id->namespace, &hostname, &tag);
        (void)set_identity(st, buf_str(&hostname), buf_str(&tag), id->name, STR(""), id->service);
        buf_release(&hostname);
        buf_release(&tag);
    }
    log_info_for(LOG_BY_NAMESPACE(st->origin->identity->namespace),
                 "kubernetes: pod not known yet, naming its logs by their path",
                 KV_STR("namespace", st->origin->identity->namespace),
                 KV_STR("pod", st->origin->identity->pod));
    router_stream_guessed(c->cfg.router, st->origin);
}

static struct str stream_key(const struct kube_stream *st)
{
    return str_make((const char *)&st->id, sizeof(st->id));
}

static void arm(struct kube_cluster *c);

static bool on_found(struct identify *i, struct origin *o)
{
    struct kube_cluster *c = container_of(i, struct kube_cluster, identify);
    struct kube_stream *st;

    if (o->identity->trusted)
        return kube_received_found(c, o);
    st = xcalloc(1, sizeof(*st));
    st->origin = o;
    st->id = o->id;
    st->until = loop_now(c->cfg.loop);
    if (kube_cluster_sync(c, KUBE_POD) != KUBE_DENIED)
        st->until += c->cfg.identity_wait_ms;
    list_init(&st->waiting);
    list_add_tail(&c->strays, &st->node);
    (void)map_put(&c->streams, stream_key(st), st); /* found is called once for each */
    list_for_each (it, &c->pods) {
        struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (!kube_stream_is_of(st, p))
            continue;
        st->pod = p;
        list_del(&st->node);
        list_add_tail(&p->streams, &st->node);
        if (!p->known || p->tell)
            break;
        if (!wanted(c, p))
            return false;
        (void)stream_name(st); /* it is added to the router now, under any name */
        return true;
    }
    list_add_tail(&c->waiting, &st->waiting);
    arm(c);
    return false;
}

static void on_gone(struct identify *i, struct origin *o)
{
    struct kube_cluster *c = container_of(i, struct kube_cluster, identify);
    struct kube_stream *st;

    if (o->identity->trusted) {
        kube_received_gone(c, o);
        return;
    }
    st = map_del(&c->streams, str_make((const char *)&o->id, sizeof(o->id)));
    if (!st)
        BUG("kube: stream %llu was not found", (unsigned long long)o->id);
    list_del(&st->node);
    list_del(&st->waiting);
    if (st->pod && st->pod->gone)
        kube_cluster_post(c);
    free(st);
}

/* ---- reflector events ---- */

static void on_begin(void *arg, enum kube_kind k)
{
    struct kube_cluster *c = arg;

    if (k == KUBE_POD)
        c->generation++;
    else
        kube_store_begin(&c->store, k);
}

static void mark_concerned(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o)
{
    struct kube_uid uid = kube_uid_of(o->uid);

    if (k == KUBE_NAMESPACE) {
        kube_pods_mark_in(c, o->name);
        return;
    }
    list_for_each (it, &c->pods) {
        struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (kube_pod_has_owner(p, &uid))
            kube_pod_mark(c, p);
    }
}

/* An event of a watch, or equivalent. */
static void take_object(void *arg, enum kube_kind k, enum kube_change change,
                        const struct kube_object *o)
{
    struct kube_cluster *c = arg;
    struct kube_pod *p;
    bool changed;

    if (k == KUBE_POD) {
        p = change == KUBE_DELETED ? kube_pod_find(c, o->uid) : NULL;
        if (p)
            kube_pod_gone(c, p);
        else if (change == KUBE_PUT)
            kube_pod_put(c, o);
        return;
    }
    changed =
        change == KUBE_DELETED ? kube_store_del(&c->store, k, o) : kube_store_put(&c->store, k, o);
    if (!changed)
        return;
    kube_received_mark(c, k, o);
    if (kube_cluster_sync(c, k) == KUBE_SYNCED)
        mark_concerned(c, k, o);
}

/* Texts that exceeded the budget are retried when others were freed, but not continuously. */
static void retry_refused(struct kube_cluster *c)
{
    uint64_t now = loop_now(c->cfg.loop);

    if (c->freed == c->store.freed || now < c->retry_at)
        return;
    c->freed = c->store.freed;
    c->retry_at = now + KUBE_NOTES_RETRY_MS;
    list_for_each (it, &c->pods) {
        struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (p->refused)
            kube_pod_mark(c, p);
    }
    kube_received_retry(c);
}

static void tell_all_routes(struct kube_cluster *c);

/* The same for drains. */
static void retry_routes(struct kube_cluster *c)
{
    uint64_t now = loop_now(c->cfg.loop);

    if (!c->routes || c->routes_freed == c->routes->freed || now < c->routes_retry_at)
        return;
    c->routes_freed = c->routes->freed;
    c->routes_retry_at = now + KUBE_NOTES_RETRY_MS;
    tell_all_routes(c);
}

static void on_end(void *arg, enum kube_kind k)
{
    struct kube_cluster *c = arg;

    if (k != KUBE_POD)
        kube_store_end(&c->store, k);
    else
        list_for_each (it, &c->pods) {
            struct kube_pod *p = list_entry(it, struct kube_pod, node);

            if (p->generation != c->generation)
                kube_pod_gone(c, p);
        }
    mark_all(c);
    kube_received_mark(c, k, NULL);
}

static void on_denied(void *arg, enum kube_kind k)
{
    struct kube_cluster *c = arg;

    if (k == KUBE_POD) /* waiting is of no use */
        list_for_each (it, &c->waiting)
            list_entry(it, struct kube_stream, waiting)->until = loop_now(c->cfg.loop);
    mark_all(c);
    kube_received_mark(c, k, NULL);
    kube_cluster_post(c);
}

static void on_object(void *arg, enum kube_kind k, enum kube_change change,
                      const struct kube_object *o)
{
    kube_fetch_seen(arg, k, o);
    take_object(arg, k, change, o);
}

static const struct kube_reflector_ops reflector_ops = {on_begin, on_object, on_end, on_denied};

/* ---- the work ---- */

static void tell_routes(struct kube_cluster *c, const struct kube_pod *p)
{
    const struct kube_workload w = kube_pod_workload(p);

    if (c->routes && p->known)
        c->routes->changed(c->routes, &w);
}

static void tell_all_routes(struct kube_cluster *c)
{
    list_for_each (it, &c->pods)
        tell_routes(c, list_entry(it, struct kube_pod, node));
    kube_received_tell_all(c);
    c->routes->commit(c->routes);
}

static void tell_streams(struct kube_cluster *c, struct kube_pod *p)
{
    list_for_each (it, &p->streams) {
        struct kube_stream *st = list_entry(it, struct kube_stream, node);

        if (!wanted(c, p))
            list_del(&st->waiting);
        else if (stream_name(st))
            router_stream_identified(c->cfg.router, st->origin);
    }
}

/* Routes first: routes that match a stream when it is named apply from its beginning. */
static void report(struct kube_cluster *c, struct list *looked)
{
    bool any = false;

    list_for_each (it, looked) {
        const struct kube_pod *p = list_entry(it, struct kube_pod, dirty);

        if (p->tell) {
            tell_routes(c, p);
            any = true;
        }
    }
    if (any && c->routes)
        c->routes->commit(c->routes);
    while (!list_empty(looked)) {
        struct kube_pod *p = list_entry(looked->next, struct kube_pod, dirty);

        list_del(&p->dirty);
        if (p->known)
            tell_streams(c, p);
        p->tell = p->undecided = false;
    }
}

static bool pod_is_over(const struct kube_cluster *c, const struct kube_pod *p)
{
    return p->gone && list_empty(&p->streams) && loop_now(c->cfg.loop) - p->gone_at >= KUBE_GONE_MS;
}

static void expire(struct kube_cluster *c)
{
    uint64_t now = loop_now(c->cfg.loop);
    bool any = false;

    while (!list_empty(&c->waiting)) {
        struct kube_stream *st = list_entry(c->waiting.next, struct kube_stream, waiting);

        if (st->until > now)
            break;
        stream_guess(c, st);
    }
    list_for_each_safe (it, &c->pods) {
        struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (!pod_is_over(c, p))
            continue;
        if (c->routes && p->known) {
            c->routes->gone(c->routes, str_of(p->uid));
            any = true;
        }
        kube_pod_free(c, p);
    }
    if (any)
        c->routes->commit(c->routes);
}

static void arm(struct kube_cluster *c)
{
    uint64_t now = loop_now(c->cfg.loop), at = UINT64_MAX;
    const uint64_t due[] = {kube_received_due(c), kube_received_paced_until(c), kube_resolve_due(c),
                            kube_fetch_due(c)};

    if (!list_empty(&c->waiting))
        at = list_entry(c->waiting.next, struct kube_stream, waiting)->until;
    for (size_t i = 0; i < ARRAY_LEN(due); i++)
        at = due[i] < at ? due[i] : at;
    if (c->freed != c->store.freed && c->retry_at < at)
        at = c->retry_at;
    if (c->routes && c->routes_freed != c->routes->freed && c->routes_retry_at < at)
        at = c->routes_retry_at;
    list_for_each (it, &c->pods) {
        const struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (p->gone && list_empty(&p->streams) && p->gone_at + KUBE_GONE_MS < at)
            at = p->gone_at + KUBE_GONE_MS;
    }
    if (at == UINT64_MAX)
        loop_timer_stop(c->wait);
    else
        loop_timer_start(c->wait, at > now ? at - now : 0);
}

static void work(struct loop_task *t)
{
    struct kube_cluster *c = container_of(t, struct kube_cluster, work);
    struct list now;

    c->looks++;
    list_init(&now);
    list_move_all(&now, &c->dirty);
    list_for_each_safe (it, &now) {
        struct kube_pod *p = list_entry(it, struct kube_pod, dirty);

        if (kube_resolve(c, p))
            continue;
        list_del(&p->dirty); /* it waits */
        list_add_tail(&c->dirty, &p->dirty);
    }
    report(c, &now);
    kube_received_work(c);
    expire(c);
    retry_refused(c);
    retry_routes(c);
    kube_fetch_work(c);
    arm(c);
}

static void on_wait(void *arg)
{
    kube_cluster_post(arg);
}

/* ---- life cycle ---- */

void kube_cluster_set_routes(struct kube_cluster *c, struct kube_routes *r)
{
    c->routes = r;
    if (r)
        tell_all_routes(c);
}

struct identify *kube_cluster_identify(struct kube_cluster *c)
{
    return &c->identify;
}

static char *node_selector(const char *node)
{
    struct buf text = BUF_INIT(4096);
    char *selector;

    (void)buf_addf(&text, "spec.nodeName%%3D"); /* it fits */
    (void)kube_add_encoded(&text, str_of(node));
    selector = str_dup(buf_str(&text));
    buf_release(&text);
    return selector;
}

struct kube_cluster *kube_cluster_create(const struct kube_cluster_config *cfg)
{
    struct kube_cluster *c = xcalloc(1, sizeof(*c));

    c->cfg = *cfg;
    c->identify = (struct identify){on_found, on_gone, kube_received_wants, 0};
    c->selector = node_selector(cfg->node);
    kube_store_init(&c->store);
    c->store.by_name = cfg->names;
    c->store.cut = cfg->cut;
    c->fetched = take_object;
    list_init(&c->fetches);
    c->fetch_limit.period_ms = c->pods_limit.period_ms = 10000;
    map_init(&c->received);
    list_init(&c->received_dirty);
    map_init(&c->streams);
    list_init(&c->pods);
    list_init(&c->dirty);
    list_init(&c->strays);
    list_init(&c->waiting);
    loop_task_init(&c->work, work);
    c->wait = loop_timer_create(cfg->loop, on_wait, c);
    for (unsigned k = 0; k < KUBE_KINDS; k++) {
        const struct kube_reflector_config rc = {
            .loop = cfg->loop,
            .client = cfg->client,
            .selector = k == KUBE_POD ? c->selector : NULL,
            .watch_ms = cfg->watch_ms,
        };

        if (k != KUBE_NAMESPACE || cfg->namespaces)
            c->reflectors[k] = kube_reflector_create(&rc, (enum kube_kind)k, &reflector_ops, c);
    }
    return c;
}

void kube_cluster_start(struct kube_cluster *c)
{
    c->received_until = loop_now(c->cfg.loop) + c->cfg.identity_wait_ms;
    for (unsigned k = 0; k < KUBE_KINDS; k++)
        if (c->reflectors[k])
            kube_reflector_start(c->reflectors[k]);
}

void kube_cluster_free(struct kube_cluster *c)
{
    if (!c)
        return;
    if (c->streams.len + c->received.len)
        BUG("kube: cluster freed before its %zu streams", c->streams.len + c->received.len);
    for (unsigned k = 0; k < KUBE_KINDS; k++)
        kube_reflector_free(c->reflectors[k]);
    kube_fetch_cancel(c);
    while (!list_empty(&c->pods))
        kube_pod_free(c, list_entry(c->pods.next, struct kube_pod, node));
    kube_store_release(&c->store);
    map_release(&c->streams);
    map_release(&c->received);
    loop_task_cancel(&c->work);
    loop_timer_free(c->wait);
    free(c->selector);
    free(c);
}
