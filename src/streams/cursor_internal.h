/* Between the files that cursors are made of, and stream.c. */
#ifndef STREAMS_CURSOR_INTERNAL_H
#define STREAMS_CURSOR_INTERNAL_H

#include "streams/stream.h"

/* What a step of cursor_read() came to; the read_result values end it. STEP_ON = a part of it is
 * done, and it goes on. */
enum { STEP_AGAIN = 0, STEP_ON = -1, STEP_UNREADABLE = -2 };

/* ---- segment.c ---- */

/* The same file by its inode, whatever it holds by now. */
struct segment *stream_segment_by_inode(struct stream *s, const struct segment_id *id);
/* NULL when <seg> is the last. */
struct segment *segment_next(const struct segment *seg);
/* <seg> cannot be opened or read because of <e>: counts it, and logs it once. */
void segment_complain(struct segment *seg, const struct err *e);

/* ---- position.c ---- */

/* Are they the same in all that the state keeps? */
bool mark_same(const struct mark *a, const struct mark *b);
/* <m>, which stands in <seg> (open), is to know the bytes before it again. */
void mark_place(struct mark *m, struct segment *seg);
/* Do the bytes of <seg> (open) before <m>'s place say that it is still the same file? */
bool mark_fits(const struct mark *m, struct segment *seg);
/* Does a line begin at <off> of <seg> (open)? */
bool segment_line_at(struct segment *seg, uint64_t off);

/* ---- lag.c ---- */

/* Bytes that <c>, which is not being resumed, or would be at <m>, has to read behind <m>. */
uint64_t mark_lag(const struct cursor *c, const struct mark *m);

/* ---- resume.c ---- */

/* What is known of a cursor's place before it is found. */
struct resume {
    struct state_record record;
    uint64_t until; /* loop time up to which it is looked for; 0 = it was not missed yet */
};

/* Looks once more for the place where a cursor stood. With RESUME_LATER wake_at is set. */
enum resume_result cursor_resume_again(struct cursor *c);

/* ---- step.c ---- */

/* <seg> could not be read: says so, once, and sets wake_at. */
void cursor_unreadable(struct cursor *c, struct segment *seg, int error);
/* Cuts <r> at MAX_LINE, hands it over and counts it. -1 = the sink is full. */
int cursor_emit(struct cursor *c, struct record *r, struct record_sink *sink);
/* `sent` goes to the first byte of <seg>. */
void cursor_move_to(struct cursor *c, const struct segment *seg);
/* What it means that a record could not be taken: the sink is full, or a piece of it cannot be read
 * just now. */
int cursor_not_taken(const struct cursor *c);
/* What it means that there is no segment left for <c>. */
int cursor_end_of_all(const struct cursor *c);
/* ---- join.c. What returns an int: -1 = the sink is full, or not before wake_at ---- */

/* A record that begins, continues or ends a joined line; the line in the file ends before <next>.
 */
int join_take(struct cursor *c, struct record *r, uint64_t next, struct record_sink *sink);
/* File bytes between the start of <part> and `sent`. */
uint64_t join_span(const struct cursor *c, const struct partial *part);
/* The end of <fd>'s partial line will not come: sends what there is of it. */
int join_flush(struct cursor *c, enum record_fd fd, unsigned flags, struct record_sink *sink);
int join_flush_both(struct cursor *c, struct record_sink *sink);
/* The ends of the lines that were begun will not come, or could not be told from others: sends what
 * there is of them, as cut. */
int join_end(struct cursor *c, struct record_sink *sink);

/* ---- hole.c ---- */

/* How many NULs <bytes> begin with. */
size_t hole_length(struct str bytes);
/* Where the NULs end that stand at <off> of <seg>, where a line should begin; <bytes> are what was
 * read there. It may be behind these, and there may be more NULs. */
uint64_t hole_end(const struct segment *seg, uint64_t off, struct str bytes);
/* Where in <line> the NULs begin behind which there is another line; its length when there are
 * none. */
size_t hole_within(enum codec hint, struct str line, struct buf *scratch);
/* May <head>, which is no line, be how one began that a runtime wrote? */
bool hole_cut_head(struct str head);
/* The length of <bytes>, which have no LF, without the NULs at their end. <certain>: nothing will
 * follow them; else so few that they may be part of a line are left. */
size_t hole_before_end(struct str bytes, bool certain);

/* ---- text_read.c and journal_read.c: a step of cursor_read() ---- */

int text_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink);
int journal_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink);

/* ---- late.c ---- */

/* <c> has read <seg>, which is not the last, up to <end>. STEP_ON: it goes on to the next one; else
 * what its step came to. */
int late_leave(struct cursor *c, struct segment *seg, uint64_t end);
/* <c>, a late one, has read up to <end>. STEP_ON: nothing more will come; else what its step came
 * to. */
int late_over(struct cursor *c, struct segment *seg, uint64_t end);
/* Up to where <c> reads in <seg>: the rest is a late cursor's. UINT64_MAX = to its end. */
uint64_t late_limit(const struct cursor *c, const struct segment *seg);
/* How much of <seg>, of what is known of it, is <c>'s to read. */
uint64_t late_end(const struct cursor *c, const struct segment *seg);
/* <main> was resumed, or its confirmed place has moved to another segment. */
void late_wake(const struct cursor *main);
/* Is there a late cursor of <main>'s? */
bool late_left(const struct cursor *main);
/* It is known after a restart where <c>, a late one, stands. */
void late_begin(struct cursor *c);
/* <c> goes. */
void late_release(struct cursor *c);
/* Does <c> read in <seg> at all, now or later? */
bool cursor_reads(const struct cursor *c, const struct segment *seg);

/* ---- begin.c ---- */

/* <c> begins at the end of what was in <seg> (open) when its route came. */
void cursor_resolve_end(struct cursor *c, struct segment *seg);
/* ---- truncated.c ---- */

/* The file is not what it was: everybody who stood in what it was starts again at its first byte.
 */
void segment_truncated(struct segment *seg);

/* ---- gap_text.c ---- */

#define GAP_TEXT_SIZE 512

/* What the sink is told. The views point into <g> and <text>. */
void gap_record(const struct gap *g, char text[GAP_TEXT_SIZE], struct record *r);

/* ---- gap.c ---- */

/* <c> has lost <g> (copied), which begins at its `sent` or later: counts it, tells its owner, and
 * keeps it until its record is confirmed. */
void gap_declare(struct cursor *c, struct gap *g);
/* Nobody knows what was in <seg>, which is gone, and <c>, which has come to it, was not told that
 * it is lost. */
bool gap_is_news(const struct cursor *c, const struct segment *seg);
/* The rest of <seg>, which cannot be read any more. <times>: of its first and last lines, or NULL.
 */
void gap_declare_rest(struct cursor *c, const struct segment *seg, const struct gap *times);
/* What <seg> has from `sent` on cannot be read: it is damaged. */
void gap_declare_damaged(struct cursor *c, const struct segment *seg, bool at_least);
/* <seg> is shorter, or other, than it was (its gen and size are still the old ones). */
void gap_declare_truncated(struct cursor *c, struct segment *seg);
/* Nothing of <seg> can be read any more: whoever has not read it to its end has lost the rest. */
void segment_lost(struct segment *seg, const struct gap *times);
/* The next one that `sent` has not passed; NULL = there is none. */
struct gap *gap_next(const struct cursor *c);
/* Those that `acked` has passed are forgotten. */
void gaps_confirm(struct cursor *c);
void gaps_release(struct cursor *c);
/* Bytes of those that are not confirmed. */
uint64_t gaps_bytes(const struct cursor *c);

#endif
