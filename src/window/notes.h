/*
 * What a tail tells of its streams besides lines: that one begins or ends, an object for each. They
 * are written between two batches. A stream's first batch comes after its beginning was noted, and
 * its end is noted after its last batch was written, so no order has to be kept.
 */
#ifndef WINDOW_NOTES_H
#define WINDOW_NOTES_H

#include <stdbool.h>

#include "base/buf.h"
#include "streams/identity.h"

struct notes {
    struct buf waiting, out;
    unsigned missed; /* there was no room for so many */
    bool sse;        /* as server-sent events */
};

void notes_init(struct notes *n, bool sse);
void notes_release(struct notes *n);
/* <state>: "begins" or "ends". Those without room are told as a number, "missed". */
void notes_add(struct notes *n, const char *state, const struct identity *id);
/* Those that wait, valid until the next call; empty when there is none. */
struct str notes_take(struct notes *n);

#endif
