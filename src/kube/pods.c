/*
 * The pods of this node, as the API reports them. What tenants may write into a pod is bounded: the
 * number of pods, with a share for each namespace, and the length of their claims.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/share.h"
#include "kube/cluster_internal.h"

#define MIRROR_MAX 64 /* kubelet's have 32 digits */

/* A pod's creator writes its annotations. So the mirror annotation is used only for a pod that this
 * node owns, and only when no API pod can have that UID: kubelet's are hashes. */
static char *mirror_of(const struct kube_cluster *c, const struct kube_object *o)
{
    struct str mirror = o->notes[KUBE_NOTE_MIRROR];
    bool ours = str_eq(o->owner.kind, STR("Node")) && str_eq(o->owner.api_version, STR("v1")) &&
                str_eq(o->owner.name, str_of(c->cfg.node));

    return ours && mirror.len && mirror.len <= MIRROR_MAX && !kube_uid_is_api(mirror)
               ? str_dup(mirror)
               : NULL;
}

struct kube_pod *kube_pod_find(const struct kube_cluster *c, struct str uid)
{
    list_for_each (it, &c->pods) {
        struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (str_eq(str_of(p->uid), uid))
            return p;
    }
    return NULL;
}

void kube_pod_mark(struct kube_cluster *c, struct kube_pod *p)
{
    list_del(&p->dirty);
    list_add_tail(&c->dirty, &p->dirty);
    kube_cluster_post(c);
}

void kube_pods_mark_in(struct kube_cluster *c, struct str namespace)
{
    list_for_each (it, &c->pods) {
        struct kube_pod *p = list_entry(it, struct kube_pod, node);

        if (str_eq(p->namespace->name, namespace))
            kube_pod_mark(c, p);
    }
}

bool kube_stream_is_of(const struct kube_stream *st, const struct kube_pod *p)
{
    const struct identity *id = st->origin->identity;

    if (!str_eq(id->pod, str_of(p->name)) || !str_eq(id->namespace, p->namespace->name))
        return false;
    return id->uid.len == 0 || str_eq(id->uid, str_of(p->uid)) ||
           (p->mirror && str_eq(id->uid, str_of(p->mirror)));
}

/* Takes its streams that were found before it. */
static void take_strays(struct kube_cluster *c, struct kube_pod *p)
{
    list_for_each_safe (it, &c->strays) {
        struct kube_stream *st = list_entry(it, struct kube_stream, node);

        if (!kube_stream_is_of(st, p))
            continue;
        st->pod = p;
        list_del(&st->node);
        list_add_tail(&p->streams, &st->node);
    }
}

void kube_pod_free(struct kube_cluster *c, struct kube_pod *p)
{
    list_for_each_safe (it, &p->streams) {
        struct kube_stream *st = list_entry(it, struct kube_stream, node);

        st->pod = NULL;
        list_del(&st->node);
        list_add_tail(&c->strays, &st->node);
    }
    list_del(&p->node);
    list_del(&p->dirty);
    kube_want_instead(c, p->chain, &p->nchain, NULL, 0);
    kube_kept_release(&p->drains);
    kube_texts_drop(&p->texts);
    kube_namespace_unwant(p->namespace);
    p->namespace->pods--;
    c->npods--;
    kube_namespace_drop(&c->store, p->namespace);
    buf_release(&p->hostname);
    buf_release(&p->tag);
    buf_release(&p->true_name);
    free(p->uid);
    free(p->name);
    free(p->mirror);
    free(p->owner_name);
    free(p->service);
    free(p);
}

static struct kube_pod *pod_create(struct kube_cluster *c, const struct kube_object *o)
{
    struct kube_pod *p = xcalloc(1, sizeof(*p));

    p->uid = str_dup(o->uid);
    p->name = str_dup(o->name);
    p->owner_name = str_dup(STR(""));
    p->service = str_dup(STR(""));
    p->namespace = kube_namespace_take(&c->store, o->namespace);
    kube_namespace_want(p->namespace);
    p->namespace->pods++;
    c->npods++;
    p->owner_kind = KUBE_KINDS;
    list_init(&p->dirty);
    list_init(&p->streams);
    list_add_tail(&c->pods, &p->node);
    return p;
}

static void pod_update(struct kube_cluster *c, struct kube_pod *p, const struct kube_object *o)
{
    free(p->mirror);
    p->mirror = mirror_of(c, o);
    free(p->owner_name);
    p->owner_name = str_dup(o->owner.name);
    p->tell |= !str_eq(str_of(p->service), o->service);
    free(p->service);
    p->service = str_dup(o->service);
    p->owner = kube_uid_of(o->owner.uid);
    p->owner_kind = kube_kind_of(o->owner.kind, o->owner.api_version);
    p->owner_is_node = str_eq(o->owner.kind, STR("Node"));
    p->akkeris = o->akkeris;
    p->oneoff = o->oneoff;
    (void)kube_texts_set(&c->store, p->namespace, &p->texts, o, true);
}

/* kubelet's limit is lower, but pods that it does not run may name this node, too. */
static bool pod_fits(struct kube_cluster *c, const struct kube_object *o)
{
    static const struct share_limits limits = {KUBE_PODS_MAX, KUBE_PODS_NAMESPACE_MAX,
                                               KUBE_PODS_GUARANTEED, KUBE_PODS_RESERVE};
    const struct kube_namespace *ns = map_get(&c->store.namespaces, o->namespace);
    unsigned pods = ns ? ns->pods : 0;

    if (share_fits(&limits, pods + 1, c->npods + 1))
        return true;
    c->refused_pods++;
    if (log_limit_pass(&c->pods_limit))
        log_warn("kubernetes: too many pods on this node, some are named by their paths",
                 KV_STR("namespace", o->namespace), KV_STR("name", o->name),
                 KV_INT("pods_of_the_namespace", pods), KV_INT("pods", c->npods),
                 KV_INT("suppressed", c->pods_limit.suppressed_before));
    return false;
}

void kube_pod_put(struct kube_cluster *c, const struct kube_object *o)
{
    struct kube_pod *p = kube_pod_find(c, o->uid);

    if (!p && ((o->fault && !o->name.len) || !pod_fits(c, o)))
        return;
    if (!p)
        p = pod_create(c, o);
    if (!o->fault)
        pod_update(c, p, o);
    p->generation = c->generation;
    p->gone = false;
    take_strays(c, p);
    kube_pod_mark(c, p);
}

void kube_pod_gone(struct kube_cluster *c, struct kube_pod *p)
{
    if (p->gone)
        return;
    p->gone = true;
    p->gone_at = loop_now(c->cfg.loop);
    kube_cluster_post(c);
}
