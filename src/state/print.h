/*
 * What is in a state directory, as text for a person: `logtrain state ls` and `logtrain state
 * verify`.
 */
#ifndef STATE_PRINT_H
#define STATE_PRINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Both slots, and the cursors of the newer good one, a line each. A running daemon is not
 * disturbed. -1 when <dir> cannot be read or holds no good slot. */
int state_print_list(const char *dir, struct buf *out, struct err *e);
/* A line for each slot. <whole>: neither of them is bad; a slot that was being written just then is
 * read again. */
int state_print_verify(const char *dir, struct buf *out, bool *whole, struct err *e);

#endif
