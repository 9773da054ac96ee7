/*
 * Which log files and directories cannot be read now. Workers report it of the files that they
 * open, the input of the directories that it lists. For /readyz, /metrics, and one Event for each
 * workload whose logs stay unreadable.
 */
#ifndef REPORT_UNREADABLE_H
#define REPORT_UNREADABLE_H

#include "loop/loop.h"
#include "streams/origin.h"

struct unreadable;

/* <tell> is called once for a workload, when its logs could not be read for UNREADABLE_TELL_MS, and
 * again after they could be. <origins> is borrowed. */
struct unreadable *unreadable_create(struct loop *l, struct origins *origins,
                                     void (*tell)(void *arg, const struct identity *id), void *arg);
void unreadable_free(struct unreadable *u); /* NULL is fine */
/* Worker <worker> cannot read segment <no> of a stream, or can again, or does not need it any more.
 * <no> 0: of the input, its directory. */
void unreadable_take(struct unreadable *u, unsigned worker, uint64_t stream, uint32_t no, bool now);
/* How many there are now. */
uint64_t unreadable_count(const struct unreadable *u);

#endif
