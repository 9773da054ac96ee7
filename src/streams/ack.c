/*
 * Confirmation: moving `acked` forward, and `sent` back to it. Reading, which moves `sent` forward,
 * is cursor.c. Called by the owners of cursors.
 */
#include "streams/cursor_internal.h"

/* What was passed to the sink before its file was truncated is confirmed after all, up to <m>. */
static void settle_doubt(struct cursor *c, const struct position *p)
{
    if (p->seg > c->doubt.seg || (p->seg == c->doubt.seg && p->gen > c->doubt.gen))
        c->doubt.from = c->doubt.to;
    else if (p->seg == c->doubt.seg && p->off > c->doubt.from)
        c->doubt.from = p->off < c->doubt.to ? p->off : c->doubt.to;
}

void cursor_ack(struct cursor *c, const struct mark *m)
{
    struct segment *seg = stream_segment(c->stream, m->pos.seg);

    if (c->doubt.from < c->doubt.to)
        settle_doubt(c, &m->pos);
    if ((seg && seg->gen != m->pos.gen) || position_before(&m->pos, &c->acked.pos) ||
        mark_same(m, &c->acked))
        return;
    bool moved = m->pos.seg != c->acked.pos.seg || m->part[0].seg != c->acked.part[0].seg ||
                 m->part[1].seg != c->acked.part[1].seg;
    c->stream->reader->stats.acks += !c->transient;
    c->acked = *m;
    gaps_confirm(c);
    if (moved || (seg && seg->nameless))
        stream_trim(c->stream);
    if (moved)
        late_wake(c);
}

/* It would have to be resent, and is gone. */
static void declare_doubt(struct cursor *c)
{
    const struct segment *seg = stream_segment(c->stream, c->doubt.seg);
    struct position start = {c->doubt.seg, seg ? seg->gen : c->doubt.gen + 1, 0};
    struct gap g = {.reason = GAP_TRUNCATED,
                    .segment = seg ? seg->id_hash : 0,
                    .from = start,
                    .to = start,
                    .at = c->doubt.from,
                    .bytes = c->doubt.to - c->doubt.from};

    c->doubt.from = c->doubt.to;
    gap_declare(c, &g);
}

void cursor_rewind(struct cursor *c)
{
    c->sent = c->acked;
    c->idle_since = 0;
    if (c->doubt.from < c->doubt.to)
        declare_doubt(c);
}
