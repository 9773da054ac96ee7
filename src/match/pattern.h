/*
 * One expression: does it match somewhere in a text? Whoever wrote it, a search costs a bounded
 * time and memory, and so does compiling it. A search that is given up has no answer: the caller
 * decides what that means.
 *
 * A text of plain characters is looked for with memmem(). Everything else is PCRE2's: it has a
 * callout before each item of the expression, and there the clock is read. So a search ends soon
 * after its time, whatever it is busy with. PCRE2's own limits of steps would not do: they count anew
 * for each place where a match may begin, and one step may read the whole text.
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

struct pattern; /* immutable: threads may share it */

enum pattern_result { PATTERN_NO = 0, PATTERN_YES, PATTERN_GIVEN_UP };

/* The time that searches may take, of one thread. */
struct pattern_clock {
    uint64_t begun;   /* clock_mono_ns() */
    uint64_t cpu_end; /* clock_cpu_ns() at which they are given up; 0 = they are quick so far */
    unsigned calls;
    bool large; /* what is searched now */
};

/* What searches need, of one thread: 32 to 160 KiB once it was used for more than a plain text. */
struct pattern_scratch;

/* NULL with <e>: what is wrong with it, and at which byte. */
struct pattern *pattern_create(struct str text, struct err *e);
void pattern_free(struct pattern *p);
/* Its memory. */
size_t pattern_bytes(const struct pattern *p);

struct pattern_scratch *pattern_scratch_create(void);
void pattern_scratch_free(struct pattern_scratch *s);

/* From now on searches with <c> may take a third of PATTERN_LINE_US together, and as much the second time, for
 * others may have had the processor or its caches. */
void pattern_clock_start(struct pattern_clock *c, uint64_t now_ns);
void pattern_clock_again(struct pattern_clock *c);
/* Of <text> PCRE2 looks at the first PATTERN_TEXT_MAX bytes, and gives up when there is no match in
 * them and there are more. */
enum pattern_result pattern_find(const struct pattern *p, struct str text,
                                 struct pattern_scratch *s, struct pattern_clock *c);

#endif
