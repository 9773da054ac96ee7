/*
 * Bytes written to a file after a cursor left it for the next one. With kubelet that is over within
 * milliseconds. But a server whose log logrotate renames keeps writing until it is told to open the
 * new one, and of several processes the last may do so hours later.
 *
 *   segment 1 (app.log.1)   ─────────▲─────────▶   the late cursor: from where the main one left
 *                                    │ late_from
 *   segment 2 (app.log)     ─────────────▲─────▶   the main one
 *
 * While the next file is empty and the old one has a writer, the main cursor stays. After that a
 * late cursor takes over the rest of the old file. It is a cursor of its own, with its own record
 * in the state, and begins when all before it is confirmed, so that the order within the file is
 * kept. The main one never reads past that place again, also after a rewind. The late cursor ends
 * when the file has lost its name and has no writer, was compressed, or has been quiet for long
 * enough.
 *
 * Called by text_read.c; the owner of the main cursor creates and frees the late one.
 */
#include "base/limits.h"
#include "base/map.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"

/* The late cursor that continues in <seg> where <c> left it; NULL when there is none. */
static const struct cursor *late_of(const struct cursor *c, const struct segment *seg)
{
    const struct cursor *main = c->original ? c->original : c;

    if (!c->stream->nlate || main->late)
        return NULL;
    list_for_each (it, &c->stream->cursors) {
        const struct cursor *k = list_entry(it, struct cursor, stream_node);

        if (k->main == main && k->late == seg->no)
            return k;
    }
    return NULL;
}

uint64_t late_limit(const struct cursor *c, const struct segment *seg)
{
    const struct cursor *k = seg->sealed_at ? late_of(c, seg) : NULL;

    return k ? k->late_from : UINT64_MAX;
}

uint64_t late_end(const struct cursor *c, const struct segment *seg)
{
    uint64_t limit = late_limit(c, seg);

    return seg->size < limit ? seg->size : limit;
}

bool cursor_reads(const struct cursor *c, const struct segment *seg)
{
    return !c->late || c->late == seg->no;
}

bool cursor_must_wait(const struct cursor *c)
{
    return c->main &&
           (c->main->resume || (c->late != LATE_NOWHERE && c->main->acked.pos.seg <= c->late));
}

void late_wake(const struct cursor *main)
{
    if (!main->stream->nlate)
        return;
    list_for_each_safe (it, &main->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);

        if (k->main == main)
            k->wake(k);
    }
}

bool late_left(const struct cursor *main)
{
    list_for_each (it, &main->stream->cursors)
        if (list_entry(it, struct cursor, stream_node)->main == main)
            return true;
    return false;
}

/* True when a segment after <seg> has data. */
static bool has_data_behind(const struct segment *seg)
{
    struct segment_stat st;
    struct segment *next = segment_next(seg);

    for (; next; next = segment_next(next))
        if (!next->gone && (segment_ensure_open(next) < 0 || next->packed ||
                            segment_stat_fd(next->fd, &st, NULL) < 0 || st.size))
            return true;
    return false;
}

int late_leave(struct cursor *c, struct segment *seg, uint64_t end)
{
    uint64_t now = loop_now(c->stream->reader->loop);
    enum segment_writers writers;
    struct segment_stat st;

    if (c->original || seg->packed || late_of(c, seg))
        return STEP_ON;
    if (now < seg->sealed_at + ROTATE_GRACE_MS) {
        c->wake_at = seg->sealed_at + ROTATE_GRACE_MS;
        return READ_WAIT;
    }
    writers = segment_writers(seg);
    if (segment_stat_fd(seg->fd, &st, NULL) == 0 && st.size > end)
        return STEP_AGAIN; /* written meanwhile */
    if (c->stream->finished || (seg->nameless && writers != WRITERS_SOME))
        return STEP_ON;
    if (writers != WRITERS_NONE && !has_data_behind(seg))
        return READ_DRY;
    if (c->leaves)
        c->leaves(c, seg, end);
    return STEP_ON;
}

/* Nothing is left to read in <seg> now, which ends at <end>: decides whether it is over. */
int late_over(struct cursor *c, struct segment *seg, uint64_t end)
{
    uint64_t now = loop_now(c->stream->reader->loop);
    enum segment_writers writers = seg->packed ? WRITERS_NONE : segment_writers(seg);
    struct segment_stat st;

    if (seg->packed || c->stream->finished)
        return STEP_ON;
    if (segment_stat_fd(seg->fd, &st, NULL) == 0 && st.size > end)
        return STEP_AGAIN;
    if (seg->nameless && writers != WRITERS_SOME)
        return STEP_ON;
    if (!c->idle_since || c->idle_size != end) {
        c->idle_since = now ? now : 1;
        c->idle_size = end;
    }
    c->wake_at = (writers == WRITERS_SOME ? now : c->idle_since) +
                 (writers == WRITERS_UNKNOWN ? LATE_UNKNOWN_MS : LATE_QUIET_MS);
    return now < c->wake_at ? READ_WAIT : STEP_ON;
}

void cursor_init_nowhere(struct cursor *c, struct cursor *main, void (*wake)(struct cursor *c))
{
    *c = (struct cursor){.stream = main->stream,
                         .wake = wake,
                         .lost = main->lost,
                         .resumed = main->resumed,
                         .late = LATE_NOWHERE,
                         .main = main};
    list_init(&c->gaps);
    list_init(&c->dry_node);
    c->sent.pos.seg = LATE_NOWHERE;
    c->acked = c->sent;
    c->stream->nlate++;
    c->stream->reader->stats.acks++;
    list_add_tail(&c->stream->cursors, &c->stream_node);
}

void cursor_init_late(struct cursor *c, struct cursor *main, struct segment *seg, uint64_t from,
                      void (*wake)(struct cursor *c))
{
    cursor_init_nowhere(c, main, wake);
    c->late = seg->no;
    c->late_from = from;
    c->sent.pos = (struct position){seg->no, seg->gen, from};
    if (main->sent.pos.seg == seg->no) { /* it may have left in the middle of a line */
        c->sent.skip_line = main->sent.skip_line;
        c->sent.open_line = main->sent.pos.off < from || main->sent.open_line;
    }
    mark_place(&c->sent, seg);
    c->acked = c->sent;
}

void late_begin(struct cursor *c)
{
    const struct position *p = &c->acked.pos;

    if (c->main->acked.pos.seg <= p->seg) { /* it has not come so far, and reads all of it */
        c->sent = c->acked = (struct mark){.pos.seg = LATE_NOWHERE};
        return;
    }
    c->late = p->seg;
    c->late_from = p->off;
}

void late_release(struct cursor *c)
{
    c->stream->nlate -= c->late && !c->original;
    if (!c->stream->nlate)
        return;
    list_for_each (it, &c->stream->cursors) {
        struct cursor *k = list_entry(it, struct cursor, stream_node);

        if (k->main == c)
            k->main = NULL;
    }
}
