/*
 * Reading from a cursor, step by step: its place, the gaps on its way, and moving to the next
 * segment. text_read.c and journal_read.c read the content of a segment.
 *
 * It does not know what happens to the records: drains call cursor_read(), and later cursor_ack()
 * or cursor_rewind().
 */
#include "streams/cursor_internal.h"

static struct segment *first_segment(const struct stream *s)
{
    return list_empty(&s->segments) ? NULL : list_entry(s->segments.next, struct segment, node);
}

/* The segment of `sent`, or the first one after it when that is gone. */
static struct segment *current_segment(struct cursor *c)
{
    struct segment *seg = stream_segment(c->stream, c->sent.pos.seg);

    if (seg || c->late)
        return seg;
    for (seg = first_segment(c->stream); seg; seg = segment_next(seg))
        if (seg->no > c->sent.pos.seg)
            break;
    if (seg)
        cursor_move_to(c, seg);
    return seg;
}

/* <seg> can no longer be read: declares its rest a gap, and moves to the next one. */
static int skip_segment(struct cursor *c, struct segment *seg)
{
    struct segment *next = c->late ? NULL : segment_next(seg);

    if (c->original && seg->size > c->sent.pos.off)
        return READ_DRY; /* what it read before is gone */
    if (c->at_end) {     /* existing content is not wanted when the route is new */
        c->at_end = false;
        c->sent.pos.off = seg->size;
        c->acked = c->sent;
        c->unseen_declared = seg->no;
    }
    if (c->sent.pos.off < late_end(c, seg) || gap_is_news(c, seg)) {
        gap_declare_rest(c, seg, NULL);
        return STEP_AGAIN;
    }
    if (!next)
        return cursor_end_of_all(c);
    cursor_move_to(c, next);
    return STEP_AGAIN;
}

/* Passes the gap record of <g>, which `sent` has reached, to the sink, and moves behind it. A line
 * that was begun before it has lost its end. */
static int emit_gap(struct cursor *c, struct gap *g, struct record_sink *sink)
{
    struct mark *m = &c->sent;
    char text[GAP_TEXT_SIZE];
    struct record r;

    /* Reported late: the bytes around pos are all there. */
    bool here = g->reason == GAP_RESTART || g->reason == GAP_REFUSED || g->reason == GAP_OVER_RATE;

    for (unsigned fd = 0; fd < 2 && !here; fd++) {
        const struct segment *seg =
            m->part[fd].seg ? stream_segment(c->stream, m->part[fd].seg) : NULL;

        if (seg && !seg->gone && join_flush(c, (enum record_fd)fd, RECORD_CUT, sink) < 0)
            return cursor_not_taken(c);
        m->part[fd] = (struct partial){0};
    }
    gap_record(g, text, &r);
    if (sink->add(sink, &r) < 0)
        return cursor_not_taken(c);
    if (!c->original)
        g->reported = true;
    m->gap = g->no;
    if (here)
        return STEP_AGAIN;
    m->pos = g->to;
    m->skip_line = m->open_line = false;
    m->marker_len = 0;
    c->idle_since = 0;
    return STEP_AGAIN;
}

static int next_step(struct cursor *c, size_t max_bytes, struct record_sink *sink)
{
    struct segment *seg;
    struct gap *g;

    if (c->resume && cursor_resume_again(c) == RESUME_LATER)
        return STEP_UNREADABLE;
    g = gap_next(c);
    if (g && !position_before(&c->sent.pos, &g->from))
        return emit_gap(c, g, sink);
    seg = current_segment(c);
    if (!seg)
        return cursor_end_of_all(c);
    if (g && !position_before(&c->sent.pos, &g->from))
        return STEP_AGAIN; /* it has just arrived there */
    if (segment_ensure_open(seg) < 0) {
        if (seg->gone)
            return skip_segment(c, seg);
        c->wake_at = seg->retry_at;
        return STEP_UNREADABLE;
    }
    if (c->at_end)
        cursor_resolve_end(c, seg);
    return seg->codec == CODEC_JOURNAL ? journal_step(c, seg, max_bytes, sink)
                                       : text_step(c, seg, max_bytes, sink);
}

enum read_result cursor_read(struct cursor *c, size_t max_bytes, struct record_sink *sink)
{
    struct reader *r = c->stream->reader;
    int rc;

    c->wake_at = 0;
    if (cursor_must_wait(c))
        return READ_DRY; /* it is woken when that has changed */
    do {
        rc = next_step(c, max_bytes, sink);
    } while (rc == STEP_AGAIN);
    if (rc != READ_MORE && !c->original && list_empty(&c->dry_node))
        list_add_tail(&c->stream->dry, &c->dry_node);
    if (rc == STEP_UNREADABLE)
        return READ_STUCK;
    if (r->big.cap > READ_CHUNK)
        buf_release(&r->big);
    if (r->join.cap > READ_CHUNK)
        buf_release(&r->join);
    return (enum read_result)rc;
}
