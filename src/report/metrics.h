/* /metrics: a snapshot in Prometheus' text format 0.0.4. */
#ifndef REPORT_METRICS_H
#define REPORT_METRICS_H

#include "base/buf.h"
#include "report/snapshot.h"

/* -1: it does not fit into <out>. */
int metrics_render(const struct snapshot *s, struct buf *out);
/* As metrics_render(), for anybody: the drains of owners are one, "owners", without data that shows
 * how peers answer. If not, an owner could probe addresses through logtrain and read the result
 * here. */
int metrics_render_public(const struct snapshot *s, struct buf *out);

#endif
