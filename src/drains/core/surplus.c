/*
 * Lines that rate= left out are told to the drain, in a record as for a loss: how many, from when to
 * when. One for each stream and SURPLUS_REPORT_MS, and one at the end of the stream. What was not told
 * yet when logtrain is killed is only in the counter of the run before.
 */
#include <stdlib.h>

#include "drains/core/worker_internal.h"

struct surplus {
    uint64_t lines;
    uint64_t since_ms; /* loop time of the first */
    char from[GAP_TIME_SIZE], until[GAP_TIME_SIZE];
};

static void note_time(char out[GAP_TIME_SIZE], struct str time)
{
    size_t n = time.len < GAP_TIME_SIZE ? time.len : 0;

    if (n)
        memcpy(out, time.p, n);
    out[n] = '\0';
}

void surplus_add(struct drain_cursor *c, const struct record *r)
{
    struct surplus *s = c->surplus;

    if (!s) {
        s = c->surplus = xcalloc(1, sizeof(*s));
        s->since_ms = loop_now(&c->drain->worker->loop);
        note_time(s->from, r->time);
    }
    s->lines++;
    note_time(s->until, r->time);
}

static void tell(struct drain_cursor *c)
{
    struct surplus *s = c->surplus;

    cursor_left_out(&c->cursor, s->lines, s->from, s->until);
    surplus_free(c);
}

void surplus_check(struct drain_cursor *c)
{
    if (c->surplus && loop_now(&c->drain->worker->loop) - c->surplus->since_ms >= SURPLUS_REPORT_MS)
        tell(c);
}

void surplus_after(struct drain_cursor *c)
{
    uint64_t due;

    if (!c->surplus || c->pending)
        return;
    if (c->ended) { /* there is one more record */
        tell(c);
        c->ended = false;
        c->pending = true;
        return;
    }
    due = c->surplus->since_ms + SURPLUS_REPORT_MS;
    if (!c->cursor.wake_at || c->cursor.wake_at > due)
        c->cursor.wake_at = due;
    worker_wait(c->drain->worker, c);
}

void surplus_free(struct drain_cursor *c)
{
    free(c->surplus);
    c->surplus = NULL;
}
