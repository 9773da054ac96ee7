/*
 * SIGTERM, SIGINT and SIGHUP as events of a loop.
 */
#ifndef LOOP_SIGNALS_H
#define LOOP_SIGNALS_H

#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct signals;

/* Blocks them in this thread. Call it before other threads start, because they inherit this. */
struct signals *signals_open(struct loop *l, void (*fn)(void *arg, int signo), void *arg,
                             struct err *e);
void signals_close(struct signals *s); /* NULL is fine */

#endif
