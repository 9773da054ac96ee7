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

/* Was the next record of <c> not counted yet? */
static bool is_news(const struct drain_cursor *c)
{
    return !position_before(&c->cursor.sent.pos, &c->judged);
}

static void count_left_out(struct drain_cursor *c, enum sieve_reason reason, const struct record *r)
{
    if (!is_news(c))
        return;
    c->drain->counters.filtered[reason]++;
    if (reason == SIEVE_RATE)
        surplus_add(c, r);
}

void drain_cursor_found(struct drain_cursor *c, unsigned found)
{
    struct drain_counters *n = &c->drain->counters;

    if (!is_news(c))
        return;
    n->undecided += (found & PICK_UNDECIDED) != 0;
    n->redacted += (found & PICK_REDACTED) != 0;
    n->truncated += (found & PICK_CUT) != 0;
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

/* The record to send is p->changed from now on. */
static void change(const struct record **r, struct pick *p)
{
    if (*r != &p->changed)
        p->changed = **r;
    *r = &p->changed;
}

/* Masks what redact= says. */
static void redact(struct drain *d, const struct record **r, struct pick *p)
{
    struct buf *out = worker_scratch(d->worker, SCRATCH_KEPT);
    unsigned flags = (*r)->flags;
    bool masked = sieve_redact(d->spec->sieve, *r, p->view.searches, out, &flags);

    charge(d, pattern_run_steps(p->view.searches));
    if (!masked)
        return;
    p->found |= PICK_REDACTED;
    if (flags != (*r)->flags)
        p->found |= PICK_CUT;
    change(r, p);
    p->changed.msg = buf_str(out);
    p->changed.flags = flags;
}

enum drain_tap_answer drain_cursor_picks(struct drain_cursor *c, struct cursor *k,
                                         const struct record **r, struct pick *p)
{
    struct drain *d = c->drain;
    const struct sieve *s = d->spec->sieve;
    enum drain_tap_answer answer = d->ops->tap ? d->ops->tap->wants(d, c, *r) : TAP_TAKE;
    int reason;

    p->found = 0;
    if (answer != TAP_TAKE || !s)
        return answer;
    if (d->search_steps > PATTERN_STEPS_TURN && k == &c->cursor)
        return TAP_LATER;
    p->view.searches = d->worker->searches;
    p->view.rate = &k->sent.rate;
    reason = sieve_judge(s, k->stream->identity->container, *r, &p->view);
    if (p->view.steps)
        charge(d, p->view.steps);
    if (reason != SIEVE_KEEP) {
        if (k == &c->cursor)
            count_left_out(c, (enum sieve_reason)reason, *r);
        return TAP_PASS;
    }
    if (p->view.level != LEVEL_NONE) {
        change(r, p);
        p->changed.flags |= RECORD_LEVEL(p->view.level);
    }
    if (p->view.undecided)
        p->found = PICK_UNDECIDED;
    if (sieve_redacts(s))
        redact(d, r, p);
    return TAP_TAKE;
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
