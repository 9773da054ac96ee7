/*
 * LOGTRAIN_TRACE=drain: logs each batch handed to a member and each verdict, to find out where
 * lines are delayed. Metadata only, never the content of a line. Called by drain_send() and
 * drain_act_on(). When off, it costs one test of spec->trace.
 */
#ifndef DRAINS_TRACE_H
#define DRAINS_TRACE_H

#include "drains/core/drain.h"

void trace_send(const struct drain *d, const struct batch *b);
/* The verdict and error of <b> are set. */
void trace_settle(const struct drain *d, const struct batch *b);

/* "delivered", "sent", "retry", … */
const char *verdict_name(enum verdict v);

#endif
