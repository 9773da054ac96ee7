/*
 * Which log files and directories cannot be read now. Workers report files that they cannot open,
 * the input reports directories that it cannot list. Used by /readyz, /metrics, and for one Event
 * per workload whose logs stay unreadable.
 */
#ifndef REPORT_UNREADABLE_H
#define REPORT_UNREADABLE_H

#include "loop/loop.h"
#include "streams/origin.h"

struct unreadable;

/* <tell> is called once for a workload when its logs were unreadable for UNREADABLE_REPORT_MS, and
 * again if that happens after they became readable. <origins> is borrowed. */
struct unreadable *unreadable_create(struct loop *l, struct origins *origins,
                                     void (*tell)(void *arg, const struct identity *id), void *arg);
void unreadable_free(struct unreadable *u); /* NULL is fine */
/* Worker <worker> cannot read segment <no> of a stream, or can again, or no longer needs it. <no>
 * 0: the input reports the stream's directory. */
void unreadable_take(struct unreadable *u, unsigned worker, uint64_t stream, uint32_t no, bool now);
/* The current number. */
uint64_t unreadable_count(const struct unreadable *u);

#endif
