/* The content of a state directory as text: `logtrain state ls` and `logtrain state verify`. */
#ifndef STATE_PRINT_H
#define STATE_PRINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Both slots, and one line for each cursor of the newer good one. Does not disturb a running
 * daemon. -1 when <dir> cannot be read or has no good slot. */
int state_print_list(const char *dir, struct buf *out, struct err *e);
/* One line for each slot. <whole>: neither is bad; a slot that was just being written is read
 * again. */
int state_print_verify(const char *dir, struct buf *out, bool *whole, struct err *e);

#endif
