/* Streams of the last run that had unread bytes and were deleted since then: reports their loss. */
#ifndef CONTROL_MISSING_H
#define CONTROL_MISSING_H

#include "router/router.h"
#include "state/checkpoint.h"
#include "streams/origin.h"

void missing_declare(struct checkpoint *c, struct origins *origins, struct router *router);

#endif
