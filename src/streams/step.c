/*
 * Shared by the steps of cursor_read(), for all kinds of files: passing a record to the sink,
 * moving to the next segment, and the result when there is none, or when something could not be
 * read or taken.
 */
#include "base/clock.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"

#define UNREADABLE_RETRY_MS 1000

void cursor_move_to(struct cursor *c, const struct segment *seg)
{
    c->at_end = false; /* it is newer than the cursor, so all of it is wanted */
    c->sent.pos = (struct position){seg->no, seg->gen, 0};
    c->sent.skip_line = c->sent.open_line = false;
    c->sent.marker_len = 0;
    c->idle_since = 0;
}

void cursor_unreadable(struct cursor *c, struct segment *seg, int error)
{
    segment_unreadable(seg, error);
    c->wake_at = loop_now(seg->stream->reader->loop) + UNREADABLE_RETRY_MS;
}

int cursor_not_taken(const struct cursor *c)
{
    return c->wake_at ? STEP_UNREADABLE : READ_MORE;
}

int cursor_end_of_all(const struct cursor *c)
{
    return c->late || (c->stream->finished && !late_left(c)) ? READ_END : READ_DRY;
}

/* It existed when <c> began, and is older than what is wanted. */
static bool is_unwanted(const struct cursor *c, const struct record *r)
{
    return c->sent.old && r->time.len && position_before(&c->sent.pos, &c->since_end) &&
           clock_parse(r->time.p, r->time.len) < c->since_s;
}

int cursor_emit(struct cursor *c, struct record *r, struct record_sink *sink)
{
    struct reader *rd = c->stream->reader;
    size_t cut = 0;

    if (r->msg.len > rd->max_line) {
        cut = r->msg.len - rd->max_line;
        r->msg.len = rd->max_line;
        r->flags |= RECORD_CUT;
    }
    r->flags &= ~(unsigned)RECORD_PARTIAL;
    if (is_unwanted(c, r))
        return 0;
    if (sink->add(sink, r) < 0)
        return -1;
    c->sent.old = false;
    c->sent.cut += cut;
    if (c->original)
        return 0; /* counted when it was first read */
    rd->stats.records++;
    if (r->flags & RECORD_RAW)
        rd->stats.raw++;
    if (r->flags & RECORD_CUT)
        rd->stats.cut++;
    return 0;
}
