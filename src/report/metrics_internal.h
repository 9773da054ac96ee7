/* Between the files of /metrics. */
#ifndef REPORT_METRICS_INTERNAL_H
#define REPORT_METRICS_INTERNAL_H

#include <stddef.h>

#include "base/buf.h"
#include "report/snapshot.h"

struct family {
    const char *name;
    const char *labels; /* labels besides the drain; "" = none */
    const char *type;
    const char *help; /* "" = another row of the family before */
    size_t offset;    /* offset of a uint64_t in struct drain_row, struct snapshot, ... */
    unsigned per;     /* divisor: 1000 = the field is in thousandths */
};

#define GAUGE "gauge"
#define COUNTER "counter"

/* The last values of a drain's `drain` label that are no name of one. */
#define DRAIN_OWNERS "owners" /* workloads' drains, all together */
#define DRAIN_OTHERS "others" /* those over METRICS_DRAINS_MAX */

/* ---- metrics_text.c: each returns -1 when it does not fit ---- */
int metrics_add_head(struct buf *out, const char *name, const char *help, const char *type);
/* key="value", escaped. */
int metrics_add_label(struct buf *out, const char *key, const char *value);
/* " <v>" and the end of the line; UINT64_MAX is +Inf. */
int metrics_add_value(struct buf *out, uint64_t v, unsigned per);
uint64_t metrics_field(const void *base, const struct family *f);

/* ---- metrics_schemes.c ---- */
/* What all drains of a scheme do. */
int metrics_add_schemes(struct buf *out, const struct snapshot *s);

/* ---- metrics_namespaces.c ---- */
int metrics_add_namespaces(struct buf *out, const struct snapshot *s);

/* ---- metrics_drains.c ---- */
/* A copy of <s> in which workloads' drains are one row. <shown>->rows is the caller's to free. */
void metrics_fold_owners(const struct snapshot *s, struct snapshot *shown);
/* All families with the label `drain`. */
int metrics_add_drains(struct buf *out, const struct snapshot *s);

#endif
