/*
 * The results of a look: the annotations that were found, kept by reference, and the objects whose
 * texts are wanted for them.
 */
#include "base/mem.h"
#include "kube/cluster_internal.h"

bool kube_kept_same(const struct kube_kept *k, const struct kube_found *f)
{
    if (k->n != f->n || k->none != f->stop)
        return false;
    for (unsigned i = 0; i < f->n; i++)
        if (k->drains[i].kind != f->drains[i].kind || k->notes[i] != f->notes[i] ||
            k->drains[i].refused != f->drains[i].refused ||
            !kube_uid_eq(&k->drains[i].uid, &f->drains[i].uid) ||
            !str_eq(k->drains[i].name, f->drains[i].name))
            return false;
    return true;
}

void kube_kept_release(struct kube_kept *k)
{
    for (unsigned i = 0; i < k->n; i++)
        kube_notes_unref(k->notes[i]);
    buf_release(&k->names);
    k->n = 0;
}

/* Copies of names: the records may change. */
void kube_kept_set(struct kube_kept *k, const struct kube_found *f)
{
    struct kube_kept old = *k;
    size_t size = 0;

    for (unsigned i = 0; i < f->n; i++)
        size += f->drains[i].name.len;
    buf_init(&k->names, (KUBE_LEVELS + 1) * 1024);
    k->n = 0;
    k->none = f->stop;
    for (unsigned i = 0; i < f->n && (!size || buf_reserve(&k->names, size) == 0); i++) {
        struct kube_drains *d = &k->drains[k->n];

        k->notes[k->n++] = kube_notes_ref(f->notes[i]);
        *d = f->drains[i];
        d->name.p = k->names.p + k->names.len;
        (void)buf_add_str(&k->names, f->drains[i].name); /* there is room */
    }
    kube_kept_release(&old);
}

void kube_want_instead(struct kube_cluster *c, struct kube_uid old[KUBE_LEVELS], unsigned *nold,
                       const struct kube_uid *uids, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        kube_store_want(&c->store, &uids[i]);
    for (unsigned i = 0; i < *nold; i++)
        kube_store_unwant(&c->store, &old[i]);
    if (n)
        memcpy(old, uids, n * sizeof(*uids));
    *nold = n;
}
