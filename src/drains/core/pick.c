/*
 * Which records of a cursor are sent: a member may have a say (drain_tap), and so has the sieve of
 * the drain's URL. What is not sent is passed over: `sent` moves behind it, and it is acknowledged
 * with what follows, or at once when nothing is in flight.
 *
 * Records that are read again (a retry, a shelved batch) are asked for again, and get the same
 * answer. They are counted once: c->judged is the furthest place up to which they were.
 */
#include "drains/core/worker_internal.h"

enum drain_tap_answer drain_cursor_picks(struct drain_cursor *c, const struct record *r, bool count)
{
    struct drain *d = c->drain;
    const struct sieve *s = d->spec->sieve;
    enum drain_tap_answer answer = d->ops->tap ? d->ops->tap->wants(d, c, r) : TAP_TAKE;
    int reason;

    if (answer != TAP_TAKE || !s)
        return answer;
    reason = sieve_judge(s, c->cursor.stream->identity->container, r);
    if (reason == SIEVE_KEEP)
        return TAP_TAKE;
    if (count && !position_before(&c->cursor.sent.pos, &c->judged))
        d->counters.filtered[reason]++;
    return TAP_PASS;
}

void drain_cursor_before(struct drain_cursor *c, uint64_t now)
{
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
