/*
 * Which records of a cursor are sent: a member may have a say (drain_tap), and so has the sieve of
 * the drain's URL. What is not sent is passed over: `sent` moves behind it, and it is acknowledged
 * with what follows, or at once when nothing is in flight.
 *
 * Records that are read again (a retry, a shelved batch) are asked for again, and get the same
 * answer: what rate= has to know of the lines before is in the cursor's mark, and goes back with it.
 * They are counted once: c->judged is the furthest place up to which they were.
 */
#include "drains/core/worker_internal.h"

#define MS_NS 1000000ULL
#define STEP_NS 40 /* see match/pattern.h */

/* Is what <c> finds out of its next record new? If not, it was counted. */
static bool is_news(const struct drain_cursor *c, const struct cursor *k)
{
    return k == &c->cursor && !position_before(&c->cursor.sent.pos, &c->judged);
}

static void count_left_out(struct drain_cursor *c, enum sieve_reason reason, const struct record *r)
{
    c->drain->counters.filtered[reason]++;
    if (reason == SIEVE_RATE)
        surplus_add(c, r);
}

/* ---- what expressions may cost ---- */

/* A line of <d> took <steps>. The worker's drains have turns with slow lines one after the other, with
 * so long between them that PATTERN_SLOW_SHARE is kept. */
static void charge(struct drain *d, unsigned steps)
{
    struct worker *wk = d->worker;
    uint64_t now = loop_now(&wk->loop) * MS_NS;

    d->search_steps += steps;
    if (steps <= PATTERN_STEPS_FREE)
        return;
    if (wk->searched_until < now)
        wk->searched_until = now;
    wk->searched_until += (uint64_t)(steps - PATTERN_STEPS_FREE) * STEP_NS * PATTERN_SLOW_SHARE;
    d->slowed_until = wk->searched_until / MS_NS;
}

bool drain_is_slowed(struct drain *d)
{
    uint64_t now = loop_now(&d->worker->loop);

    if (now >= d->slowed_until || d->worker->stopping)
        return false;
    drain_linger(d, d->slowed_until - now);
    return true;
}

/* Masks what redact= says: <r> is <changed> then. */
static void redact(struct drain_cursor *c, const struct cursor *k, const struct record **r,
                   struct record *changed)
{
    struct drain *d = c->drain;
    struct buf *out = worker_scratch(d->worker, SCRATCH_KEPT);
    unsigned flags = (*r)->flags;
    bool cut;

    if (!sieve_redact(d->spec->sieve, *r, d->worker->searches, out, &flags))
        return;
    if (*r != changed)
        *changed = **r;
    cut = flags != changed->flags;
    changed->msg = buf_str(out);
    changed->flags = flags;
    *r = changed;
    if (!is_news(c, k))
        return;
    d->counters.redacted++;
    d->counters.truncated += cut;
}

/* By the sieve. SIEVE_KEEP, or why <*r> is left out. */
static int judge(struct drain_cursor *c, struct cursor *k, const struct record **r,
                 struct record *changed)
{
    struct drain *d = c->drain;
    struct sieve_view v = {.searches = d->worker->searches, .rate = k->sent.rate};
    int reason = sieve_judge(d->spec->sieve, k->stream->identity->container, *r, &v);

    k->sent.rate = v.rate;
    if (v.steps)
        charge(d, v.steps);
    if (reason != SIEVE_KEEP)
        return reason;
    if (v.level != LEVEL_NONE) {
        *changed = **r;
        changed->flags |= RECORD_LEVEL(v.level);
        *r = changed;
    }
    if (v.undecided && is_news(c, k))
        d->counters.undecided++;
    return SIEVE_KEEP;
}

enum drain_tap_answer drain_cursor_picks(struct drain_cursor *c, struct cursor *k,
                                         const struct record **r, struct record *changed)
{
    struct drain *d = c->drain;
    enum drain_tap_answer answer = d->ops->tap ? d->ops->tap->wants(d, c, *r) : TAP_TAKE;
    int reason;

    if (answer != TAP_TAKE || !d->spec->sieve)
        return answer;
    if (d->search_steps > PATTERN_STEPS_TURN && k == &c->cursor)
        return TAP_LATER;
    reason = judge(c, k, r, changed);
    if (reason == SIEVE_KEEP) {
        if (sieve_redacts(d->spec->sieve)) {
            redact(c, k, r, changed);
            charge(d, pattern_run_steps(d->worker->searches));
        }
        return TAP_TAKE;
    }
    if (is_news(c, k))
        count_left_out(c, (enum sieve_reason)reason, *r);
    return TAP_PASS;
}

void drain_cursor_before(struct drain_cursor *c, uint64_t now)
{
    surplus_check(c);
    if (!c->live)
        return;
    if (!c->behind_at)
        c->behind_at = now;
    if (c->drain->ops->tap->skips(c->drain, c))
        cursor_skip(&c->cursor);
}

void drain_cursor_picked(struct drain_cursor *c)
{
    if (position_before(&c->judged, &c->cursor.sent.pos))
        c->judged = c->cursor.sent.pos;
}
