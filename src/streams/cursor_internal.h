/* Between cursor.c, join.c and mark.c only. */
#ifndef STREAMS_CURSOR_INTERNAL_H
#define STREAMS_CURSOR_INTERNAL_H

#include "streams/stream.h"

/* Puts the pieces of <fd>'s open partial line, from its start up to <until>, in reader->join and
 * describes them in <out>. What is gone for good is missing from it, and it is marked as cut. -1 =
 * some of them cannot be read just now: not before wake_at. */
int join_collect(struct cursor *c, enum record_fd fd, struct position until, struct record *out);

/* Do the bytes of <seg> (open) before <m>'s place say that it is still the same file? */
bool mark_fits(const struct mark *m, struct segment *seg);

/* <seg> could not be read: says so, once, and sets wake_at. */
void cursor_unreadable(struct cursor *c, struct segment *seg, int error);

#endif
