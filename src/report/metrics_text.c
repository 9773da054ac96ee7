/*
 * How samples are written in Prometheus' text format.
 */
#include <inttypes.h>

#include "report/metrics_internal.h"

int metrics_add_head(struct buf *out, const char *name, const char *help, const char *type)
{
    return buf_addf(out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

int metrics_add_label(struct buf *out, const char *key, const char *value)
{
    if (buf_addf(out, "%s=\"", key) < 0)
        return -1;
    for (; *value; value++) {
        int rc = *value == '\n'                    ? buf_addf(out, "\\n")
                 : *value == '"' || *value == '\\' ? buf_addf(out, "\\%c", *value)
                                                   : buf_add_ch(out, *value);
        if (rc < 0)
            return -1;
    }
    return buf_add_ch(out, '"');
}

int metrics_add_value(struct buf *out, uint64_t v, unsigned per)
{
    if (v == UINT64_MAX)
        return buf_addf(out, " +Inf\n");
    if (per == 1000)
        return buf_addf(out, " %" PRIu64 ".%03u\n", v / 1000, (unsigned)(v % 1000));
    return buf_addf(out, " %" PRIu64 "\n", v);
}

uint64_t metrics_field(const void *base, const struct family *f)
{
    return *(const uint64_t *)(const void *)((const char *)base + f->offset);
}
