/*
 * Places in a stream as values: comparing them with each other, and with the file's bytes before
 * them. Moving a cursor is not done here.
 */
#include "base/map.h"
#include "streams/cursor_internal.h"

bool position_before(const struct position *a, const struct position *b)
{
    return a->seg != b->seg ? a->seg < b->seg : a->off < b->off;
}

/* True when both are at the same byte, with the same open lines. */
static bool same_place(const struct mark *a, const struct mark *b)
{
    bool same = a->pos.seg == b->pos.seg && a->pos.gen == b->pos.gen && a->pos.off == b->pos.off &&
                a->gap == b->gap;

    for (unsigned fd = 0; fd < 2; fd++)
        same = same && a->part[fd].seg == b->part[fd].seg && a->part[fd].off == b->part[fd].off &&
               a->part[fd].skipping == b->part[fd].skipping;
    return same;
}

bool mark_same(const struct mark *a, const struct mark *b)
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

bool cursor_is_settled(const struct cursor *c)
{
    return same_place(&c->sent, &c->acked);
}
