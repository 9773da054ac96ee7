/*
 * Shared by the files that read streams. Each uses only files of the lines below its own:
 *
 *   cursor                         the steps of cursor_read()
 *   resume                         finding a place after a restart
 *   missing                        ... and what is gone behind it
 *   begin                          new cursors
 *   ack                            what is confirmed
 *   skip                           moving a tail forward
 *   stream, text_read              the list of segments; a step in a log file
 *   journal_read, join, truncated  a step in a journal; lines in pieces; truncated files
 *   lag, step, gap                 bytes left to read; handing over records; lost bytes
 *   late                           what is written to a file after its cursors left it
 *   segment_open                   opening files
 *   descriptors, position          the budget of open files; places as values
 *   segment, gap_text, hole        bytes of an open file; gaps in words; NULs
 */
#ifndef STREAMS_CURSOR_INTERNAL_H
#define STREAMS_CURSOR_INTERNAL_H

#include "streams/stream.h"

/* The result of a step of cursor_read(), besides the values of enum read_result, which end the
 * reading. STEP_AGAIN: do another step. STEP_ON: this part of the step is done, continue with the
 * next part. STEP_UNREADABLE: READ_STUCK. */
enum { STEP_AGAIN = 0, STEP_ON = -1, STEP_UNREADABLE = -2 };

/* ---- segment.c ---- */

/* The segment with that inode, whatever is in the file now. NULL = there is none. */
struct segment *stream_segment_by_inode(struct stream *s, const struct segment_id *id);
/* NULL when <seg> is the last. */
struct segment *segment_next(const struct segment *seg);
/* <seg> cannot be opened or read, because of <e>. Counts it, and logs it once. */
void segment_log_error(struct segment *seg, const struct err *e);

/* ---- position.c ---- */

/* Do <a> and <b> agree in everything that the state keeps? */
bool mark_same(const struct mark *a, const struct mark *b);
/* Sets the marker of <m>, whose position is in <seg> (open), from the bytes before it. */
void mark_place(struct mark *m, struct segment *seg);
/* Does the marker of <m> match the bytes of <seg> (open)? Then it is still the same file. */
bool mark_fits(const struct mark *m, struct segment *seg);
/* Does a line begin at <off> of <seg> (open)? */
bool segment_line_at(struct segment *seg, uint64_t off);

/* ---- lag.c ---- */

/* Bytes that <c> has left to read if it is at <m>. It is not being resumed. */
uint64_t mark_lag(const struct cursor *c, const struct mark *m);

/* ---- missing.c ---- */

/* What a cursor's saved list of files has and the node has not. */
struct missing {
    uint64_t bytes; /* at least */
    bool any;       /* ... and maybe some file that was empty */
    bool later;     /* it is not known yet: some file cannot be read now */
};

/* Looks for the files behind that of <r>. */
struct missing missing_behind(struct stream *s, const struct state_record *r);

/* ---- resume.c ---- */

/* A cursor whose place after a restart is not found yet. */
struct resume {
    struct state_record record;
    uint64_t until; /* loop time at which the search ends; 0 = nothing is missing so far */
    struct missing missing;
};

/* Searches once more for the place of <c>. RESUME_LATER: wake_at is set. */
enum resume_result cursor_resume_again(struct cursor *c);

/* ---- step.c ---- */

/* <seg> could not be read: logs it once, and sets wake_at. */
void cursor_unreadable(struct cursor *c, struct segment *seg, int error);
/* Cuts <r> at MAX_LINE, hands it to the sink and counts it. -1 = the sink is full. */
int cursor_emit(struct cursor *c, struct record *r, struct record_sink *sink);
/* Moves `sent` to the first byte of <seg>. */
void cursor_move_to(struct cursor *c, const struct segment *seg);
/* The step's result when a record was not taken: the sink is full, or a piece of the line cannot be
 * read now. */
int cursor_not_taken(const struct cursor *c);
/* The step's result when no segment is left for <c>. */
int cursor_end_of_all(const struct cursor *c);

/* ---- join.c. int: -1 = the sink is full, or try again at wake_at ---- */

/* A record that begins, continues or ends a joined line; the line in the file ends before <next>.
 */
int join_take(struct cursor *c, struct record *r, uint64_t next, struct record_sink *sink);
/* File bytes between the start of <part> and `sent`. */
uint64_t join_span(const struct cursor *c, const struct partial *part);
/* The end of <fd>'s partial line will not come: hands over the part that there is. */
int join_flush(struct cursor *c, enum record_fd fd, unsigned flags, struct record_sink *sink);
int join_flush_both(struct cursor *c, struct record_sink *sink);
/* The ends of partial lines will not come, or could not be told from other lines: hands the parts
 * over, marked as cut. */
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
/* ... and it ends before the message begins. */
bool hole_bare_head(struct str head);
/* The length of <bytes>, which have no LF, without the NULs at their end. <certain>: nothing will
 * follow them; else so few that they may be part of a line are left. */
size_t hole_before_end(struct str bytes, bool certain);

/* ---- text_read.c and journal_read.c: a step of cursor_read() ---- */

int text_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink);
int journal_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink);

/* ---- late.c ---- */

/* <c> has read <seg>, which is not the last, up to <end>. STEP_ON: go on to the next segment; else
 * the result of the step. */
int late_leave(struct cursor *c, struct segment *seg, uint64_t end);
/* <c>, a late one, has read up to <end>. STEP_ON: nothing more will come; else the result of the
 * step. */
int late_over(struct cursor *c, struct segment *seg, uint64_t end);
/* Where <c> stops reading in <seg>; a late cursor reads the rest. UINT64_MAX = at its end. */
uint64_t late_limit(const struct cursor *c, const struct segment *seg);
/* The same, but no more than the known size of <seg>. */
uint64_t late_end(const struct cursor *c, const struct segment *seg);
/* Wakes the late cursors of <main>: it was resumed, or `acked` has moved to another segment. */
void late_wake(const struct cursor *main);
/* Does <main> have a late cursor? */
bool late_left(const struct cursor *main);
/* The place of <c>, a late one, was found after a restart. */
void late_begin(struct cursor *c);
/* <c> is about to be released. */
void late_release(struct cursor *c);
/* Does <c> read in <seg> at all, now or later? */
bool cursor_reads(const struct cursor *c, const struct segment *seg);

/* ---- begin.c ---- */

/* Puts <c> at the end that <seg> (open) had when the route of <c> came. */
void cursor_resolve_end(struct cursor *c, struct segment *seg);

/* ---- truncated.c ---- */

/* <seg> was truncated or written anew: its cursors start again at its first byte. */
void segment_truncated(struct segment *seg);

/* ---- gap_text.c ---- */

#define GAP_TEXT_SIZE 512

/* The record of <g> for the sink. Its views point into <g> and <text>. */
void gap_record(const struct gap *g, char text[GAP_TEXT_SIZE], struct record *r);

/* ---- gap.c ---- */

/* <c> has lost <g> (copied), which begins at `sent` or later. Counts it, notifies the owner of <c>,
 * and keeps it until its record is confirmed. */
void gap_declare(struct cursor *c, struct gap *g);
/* <seg> is gone, its size was never known, and <c>, which has come to it, has no gap for it. */
bool gap_is_news(const struct cursor *c, const struct segment *seg);
/* Declares the rest of <seg>, which cannot be read any more. <times>: of its first and last lines, or
 * NULL. */
void gap_declare_rest(struct cursor *c, const struct segment *seg, const struct gap *times);
/* Declares the bytes of <seg> from `sent` on: they are damaged. */
void gap_declare_damaged(struct cursor *c, const struct segment *seg, bool at_least);
/* Declares what <c> has lost by the truncation of <seg>, whose gen and size are still the old ones.
 * The first <kept> bytes are still there. */
void gap_declare_truncated(struct cursor *c, struct segment *seg, uint64_t kept);
/* Declares the bytes of <seg> (open) from `sent`, or from its start, up to <to>: <c> skips them. */
void gap_declare_skipped(struct cursor *c, struct segment *seg, uint64_t to);
/* Nothing of <seg> can be read any more: declares the rest for each cursor that has not read it. */
void segment_lost(struct segment *seg, const struct gap *times);
/* The first gap that `sent` has not passed; NULL = there is none. */
struct gap *gap_next(const struct cursor *c);
/* Frees the gaps that `acked` has passed. */
void gaps_confirm(struct cursor *c);
void gaps_release(struct cursor *c);
/* Bytes of the gaps that are not confirmed. */
uint64_t gaps_bytes(const struct cursor *c);

#endif
