/* Between cursor.c, join.c, mark.c and journal_read.c only. */
#ifndef STREAMS_CURSOR_INTERNAL_H
#define STREAMS_CURSOR_INTERNAL_H

#include "streams/stream.h"

/* What a step of cursor_read() came to; the read_result values end it. */
enum { STEP_AGAIN = 0, STEP_UNREADABLE = -2 };

/* Puts the pieces of <fd>'s open partial line, from its start up to <until>, in reader->join and
 * describes them in <out>. What is gone for good is missing from it, and it is marked as cut. -1 =
 * some of them cannot be read just now: not before wake_at. */
int join_collect(struct cursor *c, enum record_fd fd, struct position until, struct record *out);

/* Do the bytes of <seg> (open) before <m>'s place say that it is still the same file? */
bool mark_fits(const struct mark *m, struct segment *seg);

/* <seg> could not be read: says so, once, and sets wake_at. */
void cursor_unreadable(struct cursor *c, struct segment *seg, int error);
/* Cuts <r> at MAX_LINE, hands it over and counts it. -1 = the sink is full. */
int cursor_emit(struct cursor *c, struct record *r, struct record_sink *sink);
/* `sent` goes to the first byte of <seg>. */
void cursor_move_to(struct cursor *c, const struct segment *seg);
/* NULL when <seg> is the last. */
struct segment *cursor_next_segment(const struct segment *seg);

/* ---- journal_read.c ---- */
/* A step of cursor_read() in a segment of a journal. */
int journal_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink);

#endif
