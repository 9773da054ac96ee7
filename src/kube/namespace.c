/*
 * References to namespaces, held by their objects and pods, and by the texts of their share. See
 * store.h.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "kube/store.h"

size_t kube_namespace_size(struct str name)
{
    return sizeof(struct kube_namespace) + name.len + KUBE_HEAP_BYTES + 2 * sizeof(struct map_slot);
}

struct kube_namespace *kube_namespace_take(struct kube_store *s, struct str name)
{
    struct kube_namespace *ns = map_get(&s->namespaces, name);

    if (!ns) {
        ns = xcalloc(1, sizeof(*ns) + name.len + 1);
        if (name.len)
            memcpy(ns->text, name.p, name.len);
        ns->name = str_make(ns->text, name.len);
        (void)map_put(&s->namespaces, ns->name, ns); /* no previous entry */
        s->record_bytes += kube_namespace_size(name);
    }
    ns->refs++;
    return ns;
}

void kube_namespace_drop(struct kube_store *s, struct kube_namespace *ns)
{
    if (--ns->refs > 0)
        return;
    (void)map_del(&s->namespaces, ns->name);
    s->record_bytes -= kube_namespace_size(ns->name);
    free(ns); /* its texts hold a reference: there are none */
}
