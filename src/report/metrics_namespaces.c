/*
 * Bytes read of each namespace's logs, for who may see the names of namespaces.
 */
#include "report/metrics_internal.h"
#include "report/namespaces.h"

#define READ "logtrain_namespace_read_bytes_total"

static int add(struct buf *out, const char *namespace, uint64_t bytes)
{
    if (buf_addf(out, READ "{") < 0 || metrics_add_label(out, "namespace", namespace) < 0 ||
        buf_add_ch(out, '}') < 0)
        return -1;
    return metrics_add_value(out, bytes, 1);
}

int metrics_add_namespaces(struct buf *out, const struct snapshot *s)
{
    const struct namespace_bytes *b;
    size_t i = 0;

    if (!s->namespaces)
        return 0;
    if (metrics_add_head(out, READ,
                         "Bytes read from a namespace's logs, once for each drain; of those with "
                         "most, and of all others together",
                         COUNTER) < 0)
        return -1;
    while ((b = map_next(&s->namespaces->all, &i)))
        if (b->placed && add(out, b->name, b->bytes) < 0)
            return -1;
    return add(out, NAMESPACES_OTHERS, s->namespaces->others);
}
