/* /drains: the rows of a snapshot as a JSON array, one object for each drain. */
#ifndef REPORT_DRAINS_JSON_H
#define REPORT_DRAINS_JSON_H

#include "base/buf.h"
#include "report/snapshot.h"

/* -1: it does not fit into <out>. */
int drains_json_render(const struct snapshot *s, struct buf *out);
/* The same for who may see <namespace>: the drains that its workloads, and nobody else's, asked
 * for, without what tells how a peer answers. */
int drains_json_render_namespace(const struct snapshot *s, const char *namespace, struct buf *out);

#endif
