/*
 * Marks: comparing them, moving `acked` behind what is confirmed, `sent` back to it, and how far
 * either is from the end. Reading, which moves `sent` on, is cursor.c. Called by the owners of
 * cursors.
 */
#include <string.h>

#include "base/map.h"
#include "streams/cursor_internal.h"

bool position_before(const struct position *a, const struct position *b)
{
    return a->seg != b->seg ? a->seg < b->seg : a->off < b->off;
}

/* Are both at the same byte, with the same lines begun? */
static bool same_place(const struct mark *a, const struct mark *b)
{
    bool same = a->pos.seg == b->pos.seg && a->pos.gen == b->pos.gen && a->pos.off == b->pos.off &&
                a->gap == b->gap;

    for (unsigned fd = 0; fd < 2; fd++)
        same = same && a->part[fd].seg == b->part[fd].seg && a->part[fd].off == b->part[fd].off &&
               a->part[fd].skipping == b->part[fd].skipping;
    return same;
}

static bool same_mark(const struct mark *a, const struct mark *b)
{
    return same_place(a, b) && a->part[0].len == b->part[0].len &&
           a->part[1].len == b->part[1].len && a->skip_line == b->skip_line &&
           a->open_line == b->open_line && a->cut_short == b->cut_short && a->old == b->old &&
           a->marker_len == b->marker_len && a->marker == b->marker;
}

void mark_place(struct mark *m, struct segment *seg)
{
    char bytes[MARKER_SIZE];
    size_t n = m->pos.off < MARKER_SIZE ? (size_t)m->pos.off : MARKER_SIZE;

    if (segment_read(seg, bytes, n, m->pos.off - n) != (ssize_t)n)
        return;
    m->marker = hash_stable(bytes, n);
    m->marker_len = (uint16_t)n;
}

bool mark_fits(const struct mark *m, struct segment *seg)
{
    char bytes[MARKER_SIZE];
    size_t n = m->marker_len;

    return n && n <= m->pos.off && segment_read(seg, bytes, n, m->pos.off - n) == (ssize_t)n &&
           hash_stable(bytes, n) == m->marker;
}

bool segment_line_at(struct segment *seg, uint64_t off)
{
    char bytes[2];
    size_t before = off ? 1 : 0;

    return segment_read(seg, bytes, before + 1, off - before) == (ssize_t)before + 1 &&
           (!before || bytes[0] == '\n');
}

/* What was handed to the sink before its file was truncated is confirmed after all, up to <m>. */
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
        same_mark(m, &c->acked))
        return;
    bool moved = m->pos.seg != c->acked.pos.seg || m->part[0].seg != c->acked.part[0].seg ||
                 m->part[1].seg != c->acked.part[1].seg;
    c->stream->reader->stats.acks++;
    c->acked = *m;
    gaps_confirm(c);
    if (moved || (seg && seg->nameless))
        stream_trim(c->stream);
    if (moved)
        late_wake(c);
}

bool cursor_is_settled(const struct cursor *c)
{
    return same_place(&c->sent, &c->acked);
}

/* It has to be sent again, and is no more. */
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

uint64_t cursor_lag(const struct cursor *c, const struct mark *m)
{
    struct mark end = *m;

    if (c->at_end) /* that file was not open yet */
        end.pos.off = c->end_off;
    return c->resume ? cursor_resume_lag(c) : mark_lag(c, &end);
}

uint64_t mark_lag(const struct cursor *c, const struct mark *m)
{
    uint64_t lag = 0;

    list_for_each (it, &c->stream->segments) {
        const struct segment *seg = list_entry(it, struct segment, node);
        uint64_t off = seg->no == m->pos.seg ? m->pos.off : 0, end = late_end(c, seg);

        /* What is lost is not behind: it is counted as lost. */
        if (seg->no >= m->pos.seg && cursor_reads(c, seg) && !seg->gone)
            lag += end > off ? end - off : 0;
    }
    return lag;
}
