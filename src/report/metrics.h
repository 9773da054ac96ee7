/* /metrics: a snapshot in Prometheus' text format 0.0.4. */
#ifndef REPORT_METRICS_H
#define REPORT_METRICS_H

#include "base/buf.h"
#include "report/snapshot.h"

/* -1: it does not fit into <out>. */
int metrics_render(const struct snapshot *s, struct buf *out);
/* The same for anybody: the drains of owners are one, "owners", without what tells how a peer
 * answers. An owner could else have logtrain try addresses for him, and read here what came of it.
 */
int metrics_render_public(const struct snapshot *s, struct buf *out);

#endif
