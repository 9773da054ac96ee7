/*
 * One expression: does it match somewhere in a text? Whoever wrote it, a search costs a bounded
 * time and memory, and so does compiling it. A search that is given up has no answer: the caller
 * decides what that means.
 *
 * The bound is a number of steps, not a time: the same expressions and the same text have the same
 * answer each time, on a busy machine, with PCRE2's JIT and without it. What is read again (a retry, a
 * shelved batch) is decided as it was.
 *
 *   a text of plain characters   plain.h; always decided, for its time is linear
 *   an expression                PCRE2, with a callout before each of its items. A callout is a step, and
 *                                so is each PATTERN_STEP_BYTES that the item before it has read, or that
 *                                the next one may read before it fails. PCRE2's own limits would not do:
 *                                they count anew for each place where a match may begin, and one of their
 *                                steps may read the whole text.
 *
 * An expression is tried only where a match may begin: where there is the text that it begins with, or
 * one of its first bytes.
 *
 * Expressions are of bytes: `.` is one of the two bytes of an "ä".
 */
#ifndef MATCH_PATTERN_H
#define MATCH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "match/plain.h"

#define PATTERN_SLOW_BYTES 4 /* for a step */

struct pattern; /* immutable: threads may share it */

enum pattern_result { PATTERN_NO = 0, PATTERN_YES, PATTERN_GIVEN_UP };

/* Where in a text: the bytes [start, end). */
struct pattern_span {
    size_t start, end;
};

/* What searches need, of one thread: up to PATTERN_MEMORY_MAX, but for plain texts nothing. */
struct pattern_run;

/* NULL with <e>: what is wrong with it, and at which byte. */
struct pattern *pattern_create(struct str expression, struct err *e);
/* <text> itself, whatever is in it. */
struct pattern *pattern_create_plain(struct str text, struct err *e);
void pattern_free(struct pattern *p);
/* The text that it is; NULL = it is no plain text. */
const struct plain *pattern_plain(const struct pattern *p);
/* Its memory. */
size_t pattern_bytes(const struct pattern *p);

struct pattern_run *pattern_run_create(void);
void pattern_run_free(struct pattern_run *r);
/* From now on the searches have PATTERN_STEPS_MAX steps together. */
void pattern_run_line(struct pattern_run *r);
/* The steps since then. One takes up to 40 ns. */
unsigned pattern_run_steps(const struct pattern_run *r);
/* ... that looking at <slow> bytes counts, as plain_find() gives them. */
static inline unsigned pattern_steps_of(size_t slow)
{
    return (unsigned)(slow / PATTERN_SLOW_BYTES);
}
/* Of <text> PCRE2 looks at the first PATTERN_TEXT_MAX bytes, and gives up when there is no match in
 * them and there are more. */
enum pattern_result pattern_find(const struct pattern *p, struct str text, struct pattern_run *r);
/* The same for what begins at <from> or behind it, and is not empty. YES: *at is where. */
enum pattern_result pattern_find_next(const struct pattern *p, struct str text, size_t from,
                                      struct pattern_run *r, struct pattern_span *at);

#endif
