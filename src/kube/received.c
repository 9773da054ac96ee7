/*
 * The drains of hostnames received on inputs that are trusted to name workloads (INPUT_OWNERS):
 * those of the objects whose name the hostname is, `<name>.<namespace>`, or Akkeris' form of it.
 * Only the object's own name counts, which is immutable and unique in its namespace and kind;
 * annotations and labels claim nothing. Objects of several kinds with that name all count. Akkeris'
 * names may have several readings: a hostname that names objects in two namespaces has no owner, or
 * one of them could read the other's lines.
 *
 *   stream "web.shop" (network, trusted) ── identity.owner "name:web.shop" ──▶ router's owner route
 *                                                                                      ▲ changed()
 *   Deployment shop/web ── kube_store_named() ── kube_received "web.shop" ────────────────┘
 *
 * A route exists for a hostname while it has a stream, and not for every workload of the cluster.
 * kube_received_wants() looks up whether there should be a stream. Bare pods are not considered:
 * only those of this node are known.
 *
 * Invariant: a kube_received is in the map by its hostname from found to gone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "kube/cluster_internal.h"
#include "kube/names.h"

#define OWNER_MARK "name:" /* no Kubernetes UID contains a colon */

/* True when every object that a hostname can name is known. */
static bool is_synced(const struct kube_cluster *c)
{
    for (unsigned k = 0; k < KUBE_KINDS; k++)
        if (k != KUBE_POD && kube_cluster_sync(c, (enum kube_kind)k) == KUBE_UNSYNCED)
            return false;
    return true;
}

/* The slot that remembers that <hostname> was logged as ambiguous. Colliding ones may be logged
 * again. */
static uint64_t *logged_slot(struct kube_cluster *c, struct str hostname, uint64_t *hash)
{
    *hash = hash_seeded(hostname.p, hostname.len) | 1;
    return &c->logged[(*hash >> 1) % KUBE_LOGGED];
}

/* The ambiguity has ended: a new one is logged again. */
static void forget_logged(struct kube_cluster *c, struct str hostname)
{
    uint64_t hash, *slot = logged_slot(c, hostname, &hash);

    if (*slot == hash)
        *slot = 0;
}

/* Logs it once, with or without a stream. */
static void log_ambiguous(struct kube_cluster *c, struct str hostname,
                          const struct kube_namespace *one, const struct kube_namespace *other)
{
    uint64_t hash, *slot = logged_slot(c, hostname, &hash);

    if (*slot == hash)
        return;
    *slot = hash;
    c->ambiguous++;
    log_warn_for(
        LOG_BY_HOSTNAME(hostname), /* either namespace may cause it */
        "kubernetes: a hostname is the name of workloads in two namespaces, neither gets the "
        "lines received under it",
        KV_STR("hostname", hostname), KV_STR("namespace", one->name), KV_STR("other", other->name));
}

static void set_namespace(struct kube_cluster *c, struct kube_received *h,
                          struct kube_namespace *ns)
{
    if (ns) {
        (void)kube_namespace_take(&c->store, ns->name); /* already in the map: another reference */
        kube_namespace_want(ns);
    }
    if (h->namespace) {
        kube_namespace_unwant(h->namespace);
        kube_namespace_drop(&c->store, h->namespace);
    }
    h->namespace = ns;
}

/* The owner in the form of identity.tenant. The namespace's UID distinguishes it from an earlier or
 * later one of that name. */
static void add_tenant(const struct kube_namespace *ns, struct buf *out)
{
    int rc = buf_add_str(out, ns ? ns->name : STR(IDENTITY_NOBODY));

    if (ns && !kube_uid_is_none(&ns->uid)) {
        rc |= buf_add_ch(out, '/');
        for (size_t i = 0; i < sizeof(ns->uid.b); i++)
            rc |= buf_addf(out, "%02x", ns->uid.b[i]);
    }
    if (rc < 0)
        buf_clear(out); /* a namespace's name is never that long */
}

static void set_tenant(struct kube_cluster *c, struct kube_received *h, struct kube_namespace *ns)
{
    struct buf tenant = BUF_INIT(JOURNAL_TENANT_MAX);

    add_tenant(ns, &tenant);
    if (ns != h->namespace || !str_eq(buf_str(&tenant), h->origin->identity->tenant)) {
        set_namespace(c, h, ns);
        h->named = false;
    }
    buf_release(&tenant);
}

/* Stores the result of a look, if it has one. The owner is known before the texts of its objects
 * are: lines received meanwhile belong to its tenant. */
static void look(struct kube_cluster *c, struct kube_received *h)
{
    struct kube_namespace *ns, *other = NULL;
    struct kube_found f = {.n = 0};
    bool clear, away;

    if (!is_synced(c))
        return;
    clear = kube_resolve_name(c, h->hostname, &f, &ns, &other);
    if (clear) {
        forget_logged(c, h->hostname);
    } else {
        if (!h->ambiguous)
            log_ambiguous(c, h->hostname, ns, other);
        ns = NULL;
    }
    h->ambiguous = !clear;
    kube_want_instead(c, h->uids, &h->nuids, f.uids, clear ? f.nuids : 0);
    set_tenant(c, h, ns);
    h->placed = true;
    away = ns && f.away;
    if (away) {
        kube_resolve_fetch(c, &f, ns); /* looks again when they arrive */
        if (h->named)
            return;
        f.n = 0; /* its objects may be another tenant's */
    }
    if (!kube_kept_same(&h->drains, &f)) {
        kube_kept_set(&h->drains, &f);
        h->tell = true;
    }
    h->known = !away;
}

static void tell_routes(const struct kube_cluster *c, struct kube_received *h)
{
    const struct kube_workload w = {
        .uid = str_of(h->owner),
        .namespace = h->namespace ? h->namespace->name : STR(""),
        .name = h->hostname,
        .received = true,
        .drains = h->drains.drains,
        .ndrains = h->drains.n,
    };

    if (c->routes)
        c->routes->changed(c->routes, &w);
    h->tell = false;
}

/* Sets the stream's owner, tenant and namespace. */
static void set_identity(struct kube_received *h)
{
    struct buf tenant = BUF_INIT(JOURNAL_TENANT_MAX);
    struct identity id = *h->origin->identity;

    add_tenant(h->namespace, &tenant);
    id.owner = str_of(h->owner);
    id.namespace = h->namespace ? h->namespace->name : STR("");
    id.tenant = buf_str(&tenant);
    origin_set_identity(h->origin, identity_create(&id));
    buf_release(&tenant);
}

static void mark(struct kube_cluster *c, struct kube_received *h)
{
    list_del(&h->dirty);
    list_add_tail(&c->received_dirty, &h->dirty);
}

static void mark_all(struct kube_cluster *c)
{
    struct kube_received *h;

    for (size_t i = 0; (h = map_next(&c->received, &i));)
        mark(c, h);
}

void kube_received_retry(struct kube_cluster *c)
{
    struct kube_received *h;

    for (size_t i = 0; (h = map_next(&c->received, &i));)
        for (unsigned k = 0; k < h->drains.n; k++)
            if (h->drains.drains[k].refused)
                mark(c, h);
    loop_task_post(c->cfg.loop, &c->work);
}

void kube_received_mark(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o)
{
    struct buf hostname = BUF_INIT(KUBE_NAME_TEXT_MAX);
    struct kube_received *h = NULL;

    if (!c->cfg.names || k == KUBE_POD)
        return;
    if (o && k != KUBE_NAMESPACE && c->received_renamed == c->store.renamed)
        return; /* a watched object owns it: it has no name of its own */
    c->received_renamed = c->store.renamed;
    c->identify.generation++;
    if (o && k != KUBE_NAMESPACE) {
        kube_names_own(c->cfg.akkeris, o->name, o->namespace, &hostname);
        h = map_get(&c->received, buf_str(&hostname));
        buf_release(&hostname);
        if (h)
            mark(c, h);
    } else {
        mark_all(c);
    }
    loop_task_post(c->cfg.loop, &c->work);
}

static void guess_all(struct kube_cluster *c)
{
    struct kube_received *h;

    for (size_t i = 0; (h = map_next(&c->received, &i));)
        if (!h->known && !h->guessed) {
            h->guessed = true;
            router_stream_guessed(c->cfg.router, h->origin);
        }
}

/* False: its namespace changed too often, and it stays dirty. */
static bool look_in_turn(struct kube_cluster *c, struct kube_received *h)
{
    bool known = h->known;

    if (known && h->namespace && !kube_may_change(c, h->namespace)) {
        mark(c, h);
        return false;
    }
    look(c, h);
    if (known && h->namespace && (h->tell || !h->named))
        kube_pace_take(&h->namespace->pace, c->looks, loop_now(c->cfg.loop));
    return true;
}

/* Identities first, because the routes of a stream depend on them; then the routes; then the router
 * is notified. Routes that match a stream when it is named apply from its beginning. */
void kube_received_work(struct kube_cluster *c)
{
    struct list now;
    bool any = false;

    list_init(&now);
    list_move_all(&now, &c->received_dirty);
    list_for_each_safe (it, &now) {
        struct kube_received *h = list_entry(it, struct kube_received, dirty);

        if (!look_in_turn(c, h))
            continue;
        if (h->placed && !h->named)
            set_identity(h);
        if (h->tell) {
            tell_routes(c, h);
            any = true;
        }
    }
    if (any && c->routes)
        c->routes->commit(c->routes);
    while (!list_empty(&now)) {
        struct kube_received *h = list_entry(now.next, struct kube_received, dirty);

        list_del(&h->dirty);
        if (!h->known || h->named)
            continue;
        h->named = true;
        router_stream_identified(c->cfg.router, h->origin);
    }
    if (kube_received_due(c) <= loop_now(c->cfg.loop))
        guess_all(c);
}

uint64_t kube_received_due(const struct kube_cluster *c)
{
    const struct kube_received *h;

    for (size_t i = 0; (h = map_next(&c->received, &i));)
        if (!h->known && !h->guessed)
            return c->received_until;
    return UINT64_MAX;
}

uint64_t kube_received_paced_until(const struct kube_cluster *c)
{
    uint64_t at = UINT64_MAX;

    list_for_each (it, &c->received_dirty) {
        const struct kube_received *h = list_entry(it, struct kube_received, dirty);
        uint64_t due = h->namespace ? kube_pace_due(&h->namespace->pace) : 0;

        at = due < at ? due : at;
    }
    return at;
}

void kube_received_tell_all(struct kube_cluster *c)
{
    struct kube_received *h;

    for (size_t i = 0; (h = map_next(&c->received, &i));)
        tell_routes(c, h);
}

enum identify_wants kube_received_wants(struct identify *i, struct str hostname)
{
    struct kube_cluster *c = container_of(i, struct kube_cluster, identify);
    struct kube_namespace *ns, *other;
    struct kube_found f;

    if (!is_synced(c))
        return loop_now(c->cfg.loop) < c->received_until ? IDENTIFY_UNKNOWN : IDENTIFY_NO;
    if (!kube_resolve_name(c, hostname, &f, &ns, &other)) {
        log_ambiguous(c, hostname, ns, other);
        return IDENTIFY_NO;
    }
    forget_logged(c, hostname);
    return f.n ? IDENTIFY_YES : IDENTIFY_NO;
}

bool kube_received_found(struct kube_cluster *c, struct origin *o)
{
    struct kube_received *h = xcalloc(1, sizeof(*h));
    struct buf owner = BUF_INIT(KUBE_NAME_TEXT_MAX);

    (void)buf_addf(&owner, "%s%.*s", OWNER_MARK, STR_ARG(o->identity->hostname)); /* it fits */
    h->owner = str_dup(buf_str(&owner));
    buf_release(&owner);
    h->hostname = str_skip(str_of(h->owner), sizeof(OWNER_MARK) - 1);
    h->origin = o;
    list_init(&h->dirty);
    if (map_put(&c->received, h->hostname, h))
        BUG("kube: a second stream is received under one hostname");
    look(c, h);
    if (h->placed)
        set_identity(h); /* before the first record, because the owner is stored with it */
    if (!h->known) {
        loop_task_post(c->cfg.loop, &c->work); /* sets the time for a guess */
        return false;
    }
    if (h->tell) {
        tell_routes(c, h);
        if (c->routes)
            c->routes->commit(c->routes);
    }
    h->named = true;
    return true;
}

void kube_received_gone(struct kube_cluster *c, struct origin *o)
{
    struct kube_received *h = map_del(&c->received, o->identity->hostname);

    if (!h)
        BUG("kube: stream %llu was not found", (unsigned long long)o->id);
    if (c->routes && h->drains.n) {
        c->routes->gone(c->routes, str_of(h->owner));
        c->routes->commit(c->routes);
    }
    list_del(&h->dirty);
    kube_want_instead(c, h->uids, &h->nuids, NULL, 0);
    set_namespace(c, h, NULL);
    kube_kept_release(&h->drains);
    free(h->owner);
    free(h);
}
