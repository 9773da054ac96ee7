/*
 * Gaps: bytes that a cursor should have read and never will. Whoever detects a gap declares it
 * once. cursor.c passes its record to the sink at its place, and again after a rewind. So no
 * counter exceeds the loss, and a receiver sees the gap where it is.
 *
 * Gaps of a cursor are numbered in reading order. A mark stores the number of the last gap before
 * it, because a gap may have no length: the content of a truncated file is not between any two of
 * its present bytes. A gap before others that were not passed yet takes the number of the first of
 * these, and they move up. Nothing is in flight behind `sent`, so no mark has these numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "streams/cursor_internal.h"

#define INFLATE_MAX (16 * 1024 * 1024) /* the same, of a compressed file */
#define LOOK_BYTES (64 * 1024)         /* read for the times of the first and last lost line */

static const struct list *gaps_of(const struct cursor *c)
{
    return c->original ? &c->original->gaps : &c->gaps;
}

struct gap *gap_next(const struct cursor *c)
{
    const struct list *gaps = gaps_of(c);

    list_for_each (it, gaps) {
        struct gap *g = list_entry(it, struct gap, node);

        if (g->no > c->sent.gap)
            return g;
    }
    return NULL;
}

/* ---- declaring ---- */

/* True when <next> begins where <g> ends. */
static bool touches(const struct cursor *c, const struct gap *g, const struct gap *next)
{
    const struct segment *seg;

    if (g->to.seg == next->from.seg)
        return g->to.off == next->from.off;
    seg = stream_segment(c->stream, g->to.seg);
    return seg && next->from.off == 0 && g->to.off >= seg->size &&
           seg->node.next != &c->stream->segments &&
           list_entry(seg->node.next, struct segment, node)->no == next->from.seg;
}

/* Merges both into one record, unless the first was already reported. */
static bool merge(const struct cursor *c, struct gap *before, const struct gap *g)
{
    if (before->no <= c->sent.gap || before->reported || before->reason != g->reason ||
        !touches(c, before, g))
        return false;
    before->to = g->to;
    before->bytes += g->bytes;
    before->records += g->records;
    before->at_least |= g->at_least;
    memcpy(before->until, g->until, sizeof(before->until));
    return true;
}

/* Inserts it before those that begin later and were not passed. */
static void insert(struct cursor *c, const struct gap *g)
{
    struct list *at = c->gaps.next, *it;
    struct gap *before, *copy;

    for (; at != &c->gaps; at = at->next) {
        const struct gap *other = list_entry(at, struct gap, node);

        if (other->no > c->sent.gap && position_before(&g->from, &other->from))
            break;
    }
    before = at->prev == &c->gaps ? NULL : list_entry(at->prev, struct gap, node);
    if (before && merge(c, before, g))
        return;
    copy = xmalloc(sizeof(*copy));
    *copy = *g;
    copy->no = (before ? before->no : c->acked.gap) + 1;
    list_add_tail(at, &copy->node);
    for (it = copy->node.next; it != &c->gaps; it = it->next)
        list_entry(it, struct gap, node)->no++;
}

void gap_declare(struct cursor *c, struct gap *g)
{
    struct reader *r = c->stream->reader;

    (void)clock_format(g->declared, clock_wall_ns());
    if (!c->transient && g->reason < GAP_REASONS)
        r->stats.lost[g->reason] += g->bytes;
    if (!c->transient)
        r->stats.acks++; /* the state must be written */
    insert(c, g);
    if (c->lost)
        c->lost(c, g);
}

void cursor_refused(struct cursor *c, uint64_t segment, uint64_t at, uint32_t records,
                    uint64_t bytes)
{
    struct gap g = {.reason = GAP_REFUSED, .segment = segment, .at = at, .from = c->sent.pos};

    g.to = g.from;
    g.records = records;
    g.bytes = bytes;
    gap_declare(c, &g);
}

void cursor_left_out(struct cursor *c, uint64_t lines, const char *since, const char *until)
{
    struct gap g = {.reason = GAP_OVER_RATE, .from = c->sent.pos, .to = c->sent.pos};
    const struct segment *seg = stream_segment(c->stream, c->sent.pos.seg);

    g.segment = seg ? seg->id_hash : 0;
    g.at = c->sent.pos.off;
    g.records = lines < UINT32_MAX ? (uint32_t)lines : UINT32_MAX;
    memcpy(g.since, since, strlen(since) + 1);
    memcpy(g.until, until, strlen(until) + 1);
    gap_declare(c, &g);
}

void gap_declare_rest(struct cursor *c, const struct segment *seg, const struct gap *times)
{
    const struct gap *next = gap_next(c);
    uint64_t from = c->sent.pos.seg == seg->no ? c->sent.pos.off : 0;
    uint64_t to = late_end(c, seg);
    struct gap g = {.reason = seg->evicted                 ? GAP_EVICTED
                              : segment_is_unreadable(seg) ? GAP_COMPRESSED
                                                           : GAP_DELETED,
                    .segment = seg->id_hash};

    if (next && next->from.seg == seg->no && next->from.off < to)
        to = next->from.off; /* the rest is already declared */
    g.at_least = !seg->seen;
    if (from >= to && !g.at_least)
        return;
    if (g.at_least)
        c->unseen_declared = seg->no;
    g.from = (struct position){seg->no, seg->gen, from};
    g.to = (struct position){seg->no, seg->gen, to};
    g.at = from;
    g.bytes = to - from;
    if (times && to == seg->size) {
        memcpy(g.since, times->since, sizeof(g.since));
        memcpy(g.until, times->until, sizeof(g.until));
    }
    gap_declare(c, &g);
}

bool gap_is_news(const struct cursor *c, const struct segment *seg)
{
    const struct position *at = &c->acked.pos;

    if (seg->seen || c->original || c->unseen_declared >= seg->no || at->seg > seg->no ||
        (at->seg == seg->no && at->off))
        return false;
    list_for_each (it, &c->gaps)
        if (list_entry(it, struct gap, node)->from.seg == seg->no)
            return false;
    return true;
}

void gap_declare_damaged(struct cursor *c, const struct segment *seg, bool at_least)
{
    uint64_t to = late_end(c, seg);
    struct gap g = {.reason = GAP_DAMAGED,
                    .segment = seg->id_hash,
                    .from = c->sent.pos,
                    .to = {seg->no, seg->gen, to},
                    .at = c->sent.pos.off,
                    .bytes = to - c->sent.pos.off,
                    .at_least = at_least};

    gap_declare(c, &g);
}

void gap_declare_truncated(struct cursor *c, struct segment *seg, uint64_t kept)
{
    const struct position *sent = &c->sent.pos, *acked = &c->acked.pos;
    uint64_t from = sent->seg == seg->no ? sent->off : sent->seg < seg->no ? 0 : seg->sure;
    uint64_t sure = acked->seg == seg->no ? acked->off : acked->seg < seg->no ? 0 : seg->sure;
    bool began = sent->seg == seg->no && sent->off, fits = began && mark_fits(&c->sent, seg);
    struct position at = {seg->no, seg->gen + 1, fits ? sent->off : 0};
    struct gap g = {.reason = GAP_TRUNCATED, .segment = seg->id_hash, .from = at, .to = at};

    if (c->original || !cursor_reads(c, seg) || (fits && !kept))
        return; /* it has read the present content */
    if (began && !fits)
        kept = 0;
    if (from < kept)
        from = kept;
    if (sure < kept)
        sure = kept;
    if (sure < from) {
        c->doubt.seg = seg->no;
        c->doubt.gen = seg->gen;
        c->doubt.from = sure;
        c->doubt.to = from;
    }
    if (from >= seg->sure)
        return;
    g.at = from;
    g.bytes = seg->sure - from;
    g.at_least = true;
    gap_declare(c, &g);
}

/* ---- confirming ---- */

static void gap_free(struct gap *g)
{
    list_del(&g->node);
    free(g);
}

void gaps_confirm(struct cursor *c)
{
    while (!list_empty(&c->gaps)) {
        struct gap *g = list_entry(c->gaps.next, struct gap, node);

        if (g->no > c->acked.gap)
            return;
        gap_free(g);
    }
}

void gaps_release(struct cursor *c)
{
    while (!list_empty(&c->gaps))
        gap_free(list_entry(c->gaps.next, struct gap, node));
}

uint64_t gaps_bytes(const struct cursor *c)
{
    uint64_t bytes = 0;

    list_for_each (it, &c->gaps) {
        const struct gap *g = list_entry(it, struct gap, node);

        bytes += g->reason == GAP_DAMAGED ? 0 : g->bytes; /* it is detected again at its place */
    }
    return bytes;
}

/* ---- giving up ---- */

static void copy_time(struct segment *seg, struct str line, char out[GAP_TIME_SIZE])
{
    struct record r = {.time = {NULL, 0}};

    (void)decode_line(seg->codec, line, &r, &seg->stream->reader->scratch);
    if (r.time.len && r.time.len < GAP_TIME_SIZE) {
        memcpy(out, r.time.p, r.time.len);
        out[r.time.len] = '\0';
    }
}

/* The times of the first and the last line of <seg> from <from> on. */
static void read_times(struct segment *seg, uint64_t from, struct gap *times)
{
    char *chunk = seg->stream->reader->chunk;
    uint64_t tail = seg->size - from > LOOK_BYTES ? seg->size - LOOK_BYTES : from;
    ssize_t got = segment_read(seg, chunk, LOOK_BYTES, from);
    const char *nl, *start;

    nl = got > 0 ? memchr(chunk, '\n', (size_t)got) : NULL;
    if (nl)
        copy_time(seg, str_make(chunk, (size_t)(nl - chunk)), times->since);
    got = nl ? segment_read(seg, chunk, LOOK_BYTES, tail) : 0;
    nl = got > 0 ? memrchr(chunk, '\n', (size_t)got) : NULL;
    if (!nl)
        return;
    start = memrchr(chunk, '\n', (size_t)(nl - chunk));
    if (start || tail == from)
        copy_time(seg,
                  str_make(start ? start + 1 : chunk, (size_t)(nl - (start ? start + 1 : chunk))),
                  times->until);
}

static bool wants(const struct cursor *c, const struct segment *seg)
{
    const struct position *p = &c->sent.pos;
    uint64_t limit = late_limit(c, seg);

    return !c->at_end && !c->original && !c->resume && cursor_reads(c, seg) &&
           (p->seg < seg->no ||
            (p->seg == seg->no && p->off < limit && (p->off < seg->size || !seg->seen)));
}

void gap_declare_skipped(struct cursor *c, struct segment *seg, uint64_t to)
{
    uint64_t from = c->sent.pos.seg == seg->no ? c->sent.pos.off : 0;
    struct gap g = {.reason = GAP_SKIPPED,
                    .segment = seg->id_hash,
                    .from = {seg->no, seg->gen, from},
                    .to = {seg->no, seg->gen, to},
                    .at = from,
                    .bytes = to - from};

    if (seg->codec != CODEC_JOURNAL && (!seg->packed || seg->size <= INFLATE_MAX))
        read_times(seg, from, &g);
    gap_declare(c, &g);
}

void segment_lost(struct segment *seg, const struct gap *times)
{
    seg->gone = true;
    segment_set_readable(seg);
    list_for_each_safe (it, &seg->stream->cursors) {
        struct cursor *c = list_entry(it, struct cursor, stream_node);

        if (wants(c, seg))
            gap_declare_rest(c, seg, times);
        c->wake(c);
    }
}

static void evict(struct segment *seg)
{
    struct gap times = {.bytes = 0};
    struct segment_stat st;
    uint64_t from = UINT64_MAX;

    if (seg->fd >= 0 && !seg->packed && segment_stat_fd(seg->fd, &st, NULL) == 0)
        seg->size = st.size;
    list_for_each (it, &seg->stream->cursors) {
        const struct cursor *c = list_entry(it, struct cursor, stream_node);
        uint64_t off = c->sent.pos.seg == seg->no ? c->sent.pos.off : 0;

        if (wants(c, seg) && off < from)
            from = off;
    }
    if (from != UINT64_MAX && seg->fd >= 0 && (!seg->packed || seg->size <= INFLATE_MAX))
        read_times(seg, from, &times);
    if (!seg->lent)
        segment_close(seg);
    seg->evicted = true;
    segment_lost(seg, &times);
}

void stream_evict(struct stream *s, uint32_t no, bool packed)
{
    struct segment *seg = stream_segment(s, no);
    int error;

    if (!seg || !seg->nameless)
        return;
    error = seg->path ? segment_open_packed(seg) : ENOENT;
    if (error == 0 || packed)
        return;
    if (error == ENOENT) {
        evict(seg);
        return;
    }
    segment_close(seg);
    seg->retry_at = 0; /* the .gz is opened when it is read, if possible by then */
}

void stream_give_up(struct stream *s, uint32_t no)
{
    struct segment *seg = stream_segment(s, no);

    if (seg && !seg->gone)
        evict(seg);
}
