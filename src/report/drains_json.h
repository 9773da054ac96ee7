/* /drains: the rows of a snapshot as a JSON array, one object for each drain. */
#ifndef REPORT_DRAINS_JSON_H
#define REPORT_DRAINS_JSON_H

#include "base/buf.h"
#include "report/snapshot.h"
#include "window/view.h"

/* -1: it does not fit into <out>. */
int drains_json_render(const struct snapshot *s, struct buf *out);
/* As lines: the drains that <v> shows, or those of them that workloads of <namespace> alone asked for
 * unless it is NULL. Data that shows how a peer answers is for operators. */
int drains_json_render_lines(const struct snapshot *s, const char *namespace, const struct view *v,
                             struct buf *out);
/* As drains_json_render(), for a client that may see <namespace>: only drains that its workloads
 * and nobody else asked for, and without data that shows how a peer answers. */
int drains_json_render_namespace(const struct snapshot *s, const char *namespace, struct buf *out);

#endif
