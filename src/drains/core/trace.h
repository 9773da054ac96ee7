/*
 * LOGTRAIN_TRACE=drain: a line for each batch handed to a member and for each verdict that comes
 * back, for whoever wonders where the lines stay. Facts only, never what the lines say. Called by
 * drain_send() and drain_act_on(); costs one test of spec->trace otherwise.
 */
#ifndef DRAINS_TRACE_H
#define DRAINS_TRACE_H

#include "drains/core/drain.h"

void trace_send(const struct drain *d, const struct batch *b);
/* <b>'s verdict and error are set. */
void trace_settle(const struct drain *d, const struct batch *b);

/* "delivered", "sent", "retry", … */
const char *verdict_name(enum verdict v);

#endif
