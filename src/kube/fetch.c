/*
 * Fetches wanted objects that are not fully known: the owner of a pod that is new on this node is
 * requested by name, KUBE_FETCHES at a time. An answer is handled like an event of a watch.
 * Requested without a version, so that it is at least as new as the watch's state.
 *
 * Invariant: an item is on cluster->fetches from its request until its answer; there is one for
 * each object. It is dropped when the object is no longer wanted.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/cluster_internal.h"

struct kube_fetch {
    struct list node; /* cluster->fetches */
    struct kube_cluster *cluster;
    enum kube_kind kind;
    struct kube_uid uid; /* none: a namespace, or any of that name */
    char *namespace, *name;
    struct kube_call *call; /* NULL: it waits */
    struct kube_reader reader;
    bool has_status;
    bool stale; /* a watch or a list has delivered it since the request */
    unsigned failed;
    uint64_t due;
};

static void item_free(struct kube_fetch *f)
{
    if (f->call) {
        kube_cancel(f->call);
        f->cluster->fetching--;
    }
    list_del(&f->node);
    kube_reader_release(&f->reader);
    free(f->namespace);
    free(f->name);
    free(f);
}

static bool is_wanted(const struct kube_fetch *f)
{
    const struct kube_namespace *ns;

    if (f->kind == KUBE_POD)
        return true; /* once: it is not retried */
    if (f->kind != KUBE_NAMESPACE)
        return kube_store_wants(&f->cluster->store, &f->uid);
    ns = map_get(&f->cluster->store.namespaces, str_of(f->name));
    return ns && ns->wanted;
}

static bool is_it(const struct kube_fetch *f, const struct kube_object *o)
{
    struct kube_uid uid = kube_uid_of(o->uid);

    if (f->kind == KUBE_NAMESPACE)
        return str_eq(o->name, str_of(f->name));
    return kube_uid_eq(&uid, &f->uid) && str_eq(o->namespace, str_of(f->namespace));
}

/* ---- answers ---- */

static void on_object(void *arg, enum kube_change c, const struct kube_object *o)
{
    struct kube_fetch *f = arg;

    if (is_it(f, o) && !f->stale)
        f->cluster->fetched(f->cluster, f->kind, c, o);
}

static void on_status(void *arg, const struct kube_status *s)
{
    struct kube_fetch *f = arg;

    (void)s;
    f->has_status = true;
}

static void on_list(void *arg, struct str version, struct str next)
{
    (void)arg;
    (void)version;
    (void)next; /* it is one object */
}

static const struct kube_reader_ops reader_ops = {on_object, on_status, on_list};

static bool on_body(void *arg, struct str piece)
{
    struct kube_fetch *f = arg;
    struct err e;

    return !f->has_status && kube_reader_feed(&f->reader, piece, &e) == 0;
}

static void sought(struct kube_fetch *f)
{
    struct kube_namespace *ns;

    if (f->kind != KUBE_NAMESPACE)
        return;
    ns = map_get(&f->cluster->store.namespaces, str_of(f->name));
    if (ns && !ns->object)
        ns->sought = true;
    kube_pods_mark_in(f->cluster, str_of(f->name));
}

static void try_later(struct kube_fetch *f, const struct http_answer *a, const struct err *e)
{
    struct kube_cluster *c = f->cluster;
    struct err why;

    if (a->status)
        (void)err_set(&why, EPROTO, "status %d", a->status);
    if (log_limit_pass(&c->fetch_limit))
        log_warn("kubernetes: cannot get an object, will retry",
                 KV_CSTR("resource", kube_kind_row(f->kind)->resource),
                 KV_CSTR("namespace", f->namespace), KV_CSTR("name", f->name),
                 KV_ERR(a->status ? &why : e));
    f->due = loop_now(c->cfg.loop) + kube_backoff_ms(f->failed++, 0);
    if (a->retry_after_ms > 0 && a->retry_after_ms <= KUBE_RETRY_AFTER_MAX_MS)
        f->due += (uint64_t)a->retry_after_ms;
}

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct kube_fetch *f = arg;
    struct kube_cluster *c = f->cluster;
    bool good = a->status == 200 && f->reader.ended && !f->has_status;

    f->call = NULL;
    c->fetching--;
    if (good)
        sought(f);
    else
        try_later(f, a, e);
    if (good || f->kind == KUBE_POD)
        item_free(f);
    kube_cluster_post(c);
}

/* ---- requests ---- */

static int target(const struct kube_fetch *f, struct buf *out)
{
    const struct kube_kind_row *row = kube_kind_row(f->kind);
    size_t stem = strlen(row->path) - strlen(row->resource);

    if (buf_addf(out, "%.*s", (int)stem, row->path) < 0)
        return -1;
    if (f->kind != KUBE_NAMESPACE &&
        (buf_addf(out, "namespaces/") < 0 || kube_add_encoded(out, str_of(f->namespace)) < 0 ||
         buf_add_ch(out, '/') < 0))
        return -1;
    return buf_addf(out, "%s?fieldSelector=metadata.name%%3D", row->resource) < 0
               ? -1
               : kube_add_encoded(out, str_of(f->name));
}

static void ask(struct kube_fetch *f)
{
    struct buf text = BUF_INIT(URL_MAX);
    struct kube_request req = {
        .list = true, .timeout_ms = KUBE_REQUEST_MS, .on_body = on_body, .done = on_done, .arg = f};

    if (target(f, &text) < 0)
        BUG("kube: a target of over %d bytes", URL_MAX);
    req.target = buf_cstr(&text);
    kube_reader_release(&f->reader);
    kube_reader_init(&f->reader, KUBE_LIST, &reader_ops, f);
    f->has_status = f->stale = false;
    f->cluster->fetching++;
    f->call = kube_send(f->cluster->cfg.client, &req);
    buf_release(&text);
}

void kube_fetch_work(struct kube_cluster *c)
{
    uint64_t now = loop_now(c->cfg.loop);

    list_for_each_safe (it, &c->fetches) {
        struct kube_fetch *f = list_entry(it, struct kube_fetch, node);

        if (f->call)
            continue;
        if (!is_wanted(f))
            item_free(f);
        else if (f->due <= now && c->fetching < KUBE_FETCHES)
            ask(f);
    }
}

uint64_t kube_fetch_due(const struct kube_cluster *c)
{
    uint64_t at = UINT64_MAX;

    if (c->fetching == KUBE_FETCHES)
        return at; /* an answer comes first */
    list_for_each (it, &c->fetches) {
        const struct kube_fetch *f = list_entry(it, struct kube_fetch, node);

        if (!f->call && f->due < at)
            at = f->due;
    }
    return at;
}

void kube_fetch_ask(struct kube_cluster *c, enum kube_kind k, struct str namespace, struct str name,
                    const struct kube_uid *uid)
{
    struct kube_fetch *f;

    list_for_each (it, &c->fetches) {
        f = list_entry(it, struct kube_fetch, node);
        if (f->kind == k && kube_uid_eq(&f->uid, uid) && str_eq(str_of(f->name), name))
            return;
    }
    f = xcalloc(1, sizeof(*f));
    f->cluster = c;
    f->kind = k;
    f->uid = *uid;
    f->namespace = str_dup(namespace);
    f->name = str_dup(name);
    list_add_tail(&c->fetches, &f->node);
    kube_cluster_post(c);
}

void kube_fetch_seen(struct kube_cluster *c, enum kube_kind k, const struct kube_object *o)
{
    if (!c->fetching)
        return;
    list_for_each (it, &c->fetches) {
        struct kube_fetch *f = list_entry(it, struct kube_fetch, node);

        if (f->call && f->kind == k && is_it(f, o))
            f->stale = true;
    }
}

void kube_fetch_cancel(struct kube_cluster *c)
{
    while (!list_empty(&c->fetches))
        item_free(list_entry(c->fetches.next, struct kube_fetch, node));
}
