/* A cursor's lag: the bytes between a place and the end of its stream. */
#include "streams/cursor_internal.h"

uint64_t mark_lag(const struct cursor *c, const struct mark *m)
{
    uint64_t lag = 0;

    list_for_each (it, &c->stream->segments) {
        const struct segment *seg = list_entry(it, struct segment, node);
        uint64_t off = seg->no == m->pos.seg ? m->pos.off : 0, end = late_end(c, seg);

        /* Lost bytes are not lag: they are counted as lost. */
        if (seg->no >= m->pos.seg && cursor_reads(c, seg) && !seg->gone)
            lag += end > off ? end - off : 0;
    }
    return lag;
}

/* Of one that is being resumed: from its saved place. */
static uint64_t resume_lag(const struct cursor *c)
{
    const struct state_record *r = &c->resume->record;
    const struct segment *seg = stream_segment_by_inode(c->stream, &r->id);
    struct mark m = {.pos = {seg ? seg->no : 0, 0, seg ? r->off : 0}};

    if (c->late)
        return r->size > r->off ? r->size - r->off : 0;
    return mark_lag(c, &m);
}

uint64_t cursor_lag(const struct cursor *c, const struct mark *m)
{
    struct mark end = *m;

    if (c->at_end) /* that file was not open yet */
        end.pos.off = c->end_off;
    return c->resume ? resume_lag(c) : mark_lag(c, &end);
}
