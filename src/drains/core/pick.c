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

/* Counts <r>, if it is the first time that it was left out. */
static void count(struct drain_cursor *c, enum sieve_reason reason, const struct record *r)
{
    if (position_before(&c->cursor.sent.pos, &c->judged))
        return;
    c->drain->counters.filtered[reason]++;
    if (reason == SIEVE_RATE)
        surplus_add(c, r);
}

enum drain_tap_answer drain_cursor_picks(struct drain_cursor *c, struct cursor *k,
                                         const struct record **r, struct record *changed)
{
    struct drain *d = c->drain;
    const struct sieve *s = d->spec->sieve;
    enum drain_tap_answer answer = d->ops->tap ? d->ops->tap->wants(d, c, *r) : TAP_TAKE;
    int reason, level;

    if (answer != TAP_TAKE || !s)
        return answer;
    reason = sieve_judge(s, k->stream->identity->container, *r, &k->sent.rate, &level);
    if (reason == SIEVE_KEEP && level != LEVEL_NONE) {
        *changed = **r;
        changed->flags |= RECORD_LEVEL(level);
        *r = changed;
    }
    if (reason == SIEVE_KEEP)
        return TAP_TAKE;
    if (k == &c->cursor)
        count(c, (enum sieve_reason)reason, *r);
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
