/* Streams that were known when the last run ended, of which something was unread, and that are gone
 * since: declares what was lost of them. */
#ifndef CONTROL_MISSING_H
#define CONTROL_MISSING_H

#include "router/router.h"
#include "state/checkpoint.h"
#include "streams/origin.h"

void missing_declare(struct checkpoint *c, struct origins *origins, struct router *router);

#endif
