/* The cluster's part of /metrics and /readyz. */
#include "kube/cluster_internal.h"

static void count_streams(const struct kube_cluster *c, struct kube_cluster_stats *out)
{
    const struct kube_stream *st;

    for (size_t i = 0; (st = map_next(&c->streams, &i));) {
        out->guessed += st->guessed;
        out->waiting += !st->named;
    }
}

void kube_cluster_stats(const struct kube_cluster *c, struct kube_cluster_stats *out)
{
    *out = (struct kube_cluster_stats){.foreign = c->foreign,
                                       .ambiguous = c->ambiguous,
                                       .paced = c->paced,
                                       .note_bytes = c->store.note_bytes,
                                       .record_bytes = c->store.record_bytes,
                                       .refused_notes = c->store.refused_notes,
                                       .refused_records = c->store.refused_records,
                                       .refused_pods = c->refused_pods};
    list_for_each (it, &c->pods)
        out->pods += !list_entry(it, struct kube_pod, node)->gone;
    count_streams(c, out);
    for (unsigned k = 0; k < KUBE_KINDS; k++) {
        struct kube_kind_stats *s = &out->kinds[k];

        if (!c->reflectors[k])
            continue;
        s->resource = kube_kind_row((enum kube_kind)k)->resource;
        s->objects = k == KUBE_POD ? out->pods : c->store.counts[k];
        kube_reflector_stats(c->reflectors[k], &s->watch);
        out->degraded |= !s->watch.watching;
    }
}
