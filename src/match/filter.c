#include "match/filter.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#define SECOND_NS 1000000000ULL

struct filter {
    struct pattern *patterns[FILTER_SIDES][FILTER_PATTERNS_MAX]; /* owned */
    unsigned n[FILTER_SIDES];
    size_t bytes;
};

struct filter_run {
    const struct filter *filter;
    struct pattern_run *searches;
    uint64_t turn_begun; /* clock_mono_ns() of its first line; 0 = there was none */
    uint64_t second;     /* in which ... */
    unsigned slow;       /* ... so many lines had more steps than they may have */
};

struct filter *filter_create(void)
{
    return xcalloc(1, sizeof(struct filter));
}

void filter_free(struct filter *f)
{
    if (!f)
        return;
    for (unsigned side = 0; side < FILTER_SIDES; side++)
        for (unsigned i = 0; i < f->n[side]; i++)
            pattern_free(f->patterns[side][i]);
    free(f);
}

int filter_add(struct filter *f, enum filter_side side, struct str expression, struct err *e)
{
    struct pattern *p;

    if (f->n[FILTER_INCLUDE] + f->n[FILTER_EXCLUDE] == FILTER_PATTERNS_MAX)
        return err_set(e, E2BIG, "there are more than %d expressions", FILTER_PATTERNS_MAX);
    p = pattern_create(expression, e);
    if (!p)
        return -1;
    if (f->bytes + pattern_bytes(p) > FILTER_BYTES_MAX) {
        pattern_free(p);
        return err_set(e, E2BIG, "the expressions are too large when compiled");
    }
    f->bytes += pattern_bytes(p);
    f->patterns[side][f->n[side]++] = p;
    return 0;
}

struct filter_run *filter_run_create(const struct filter *f, struct pattern_run *searches)
{
    struct filter_run *r = xcalloc(1, sizeof(*r));

    r->filter = f;
    r->searches = searches;
    return r;
}

void filter_run_free(struct filter_run *r)
{
    free(r);
}

void filter_run_turn(struct filter_run *r)
{
    r->turn_begun = 0;
}

/* YES = one of them matches; NO = none does. */
static enum pattern_result find_any(struct filter_run *r, enum filter_side side, struct str line)
{
    enum pattern_result all = PATTERN_NO;

    for (unsigned i = 0; i < r->filter->n[side]; i++) {
        enum pattern_result one = pattern_find(r->filter->patterns[side][i], line, r->searches);

        if (one == PATTERN_YES)
            return one;
        if (one != PATTERN_NO)
            all = one;
    }
    return all;
}

/* Too many lines of this second were slow. */
static bool is_spent(struct filter_run *r, uint64_t now)
{
    if (r->second != now / SECOND_NS) {
        r->second = now / SECOND_NS;
        r->slow = 0;
    }
    return r->slow >= FILTER_SLOW_PER_S;
}

static enum pattern_result decide(struct filter_run *r, struct str line)
{
    enum pattern_result in, out = find_any(r, FILTER_EXCLUDE, line);

    if (out == PATTERN_YES)
        return PATTERN_NO;
    in = r->filter->n[FILTER_INCLUDE] ? find_any(r, FILTER_INCLUDE, line) : PATTERN_YES;
    return in == PATTERN_NO ? PATTERN_NO : out == PATTERN_GIVEN_UP ? out : in;
}

enum filter_answer filter_run_ask(struct filter_run *r, struct str line)
{
    uint64_t now = clock_mono_ns();
    enum pattern_result rc;

    if (r->turn_begun && now - r->turn_begun > FILTER_TURN_US * 1000)
        return FILTER_LATER;
    if (!r->turn_begun)
        r->turn_begun = now;
    if (is_spent(r, now))
        return FILTER_PASS;
    pattern_run_line(r->searches);
    rc = decide(r, line);
    r->slow += pattern_run_steps(r->searches) > PATTERN_STEPS_MAX;
    return rc == PATTERN_NO ? FILTER_HIDE : FILTER_PASS;
}
