/*
 * Which lines are wanted, by expressions: a line passes when one of those to include matches (or
 * there is none), and none of those to exclude does. A line for which that cannot be told in
 * PATTERN_STEPS_MAX steps passes: nothing is hidden that somebody may have asked for.
 *
 * What it may cost: PATTERN_LINE_US of CPU for a line, whatever the expressions are. FILTER_SLOW_PER_S
 * lines a second may use up their steps; then all pass for the rest of that second. After
 * FILTER_TURN_US the caller is told to let others go on.
 */
#ifndef MATCH_FILTER_H
#define MATCH_FILTER_H

#include "match/pattern.h"

struct filter;     /* immutable when it is complete: threads may share it */
struct filter_run; /* a thread's use of one */

enum filter_side { FILTER_INCLUDE = 0, FILTER_EXCLUDE, FILTER_SIDES };

enum filter_answer {
    FILTER_HIDE = 0,
    FILTER_PASS,
    FILTER_LATER /* the turn has taken long enough: ask again in the next one */
};

struct filter *filter_create(void);
void filter_free(struct filter *f);
/* At most FILTER_PATTERNS_MAX, with FILTER_BYTES_MAX of memory. -1 with <e>. */
int filter_add(struct filter *f, enum filter_side side, struct str expression, struct err *e);

/* <f> must live as long, and <searches>, the thread's. */
struct filter_run *filter_run_create(const struct filter *f, struct pattern_run *searches);
void filter_run_free(struct filter_run *r);
/* A turn begins. */
void filter_run_turn(struct filter_run *r);
enum filter_answer filter_run_ask(struct filter_run *r, struct str line);

#endif
