/*
 * Joining the pieces of a line that the runtime split (CRI `P…P…F`, docker without \n). Nothing is
 * kept in memory while a line waits for its end. Only its start is remembered, and when the end has
 * arrived, the pieces are read again. Lines of the other fd in between are skipped. Bounded by
 * JOIN_SPAN_MAX and MAX_LINE. Called by text_read.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "streams/cursor_internal.h"

enum { JOIN_LATER = -1, JOIN_ENOUGH, JOIN_MORE };

struct joiner {
    struct cursor *c;
    struct reader *r;
    enum record_fd fd;
    struct record *out;
    bool first;
};

/* One line of the file. False when the joined line is full. */
static bool join_line(struct joiner *j, struct segment *seg, struct str line)
{
    struct record piece;
    size_t room = j->r->max_line - j->r->join.len;

    if (decode_line(seg->codec, line, &piece, &j->r->scratch) == CODEC_UNKNOWN || piece.fd != j->fd)
        return true;
    if (j->first) {
        size_t n = piece.time.len < sizeof j->r->join_time ? piece.time.len : 0;
        memcpy(j->r->join_time, piece.time.p, n);
        j->out->time = str_make(j->r->join_time, n);
        j->first = false;
    }
    if (piece.msg.len > room) {
        piece.msg.len = room;
        j->out->flags |= RECORD_CUT;
    }
    (void)buf_add_str(&j->r->join, piece.msg); /* the cap is above max_line */
    return j->r->join.len < j->r->max_line;
}

/* Lines of <seg> from <off> up to <end>; of an over-long one the same head that text_read.c
 * took. */
static int join_segment(struct joiner *j, struct segment *seg, uint64_t off, uint64_t end)
{
    struct buf *side = &j->r->side;
    size_t want = READ_CHUNK, most = side->max - MARKER_SIZE;
    bool skip_line = false;

    if (segment_ensure_open(seg) < 0) {
        j->out->flags |= RECORD_CUT;
        if (seg->gone)
            return JOIN_MORE;
        j->c->wake_at = seg->retry_at;
        return JOIN_LATER;
    }
    if (segment_check(seg) != 1) {
        j->c->wake_at = loop_now(j->r->loop) + 1;
        return JOIN_LATER;
    }
    while (off < end) {
        const char *p, *nl;
        size_t n = end - off < want ? (size_t)(end - off) : want;
        ssize_t got;

        buf_clear(side);
        got = buf_reserve(side, n) < 0 ? -1 : segment_read(seg, side->p, n, off);
        if (got < 0) {
            cursor_unreadable(j->c, seg, errno);
            return JOIN_LATER;
        }
        if (got == 0) {
            j->out->flags |= seg->damaged ? RECORD_CUT : 0;
            break;
        }
        p = side->p;
        while ((nl = memchr(p, '\n', (size_t)(side->p + got - p)))) {
            if (!skip_line && !join_line(j, seg, str_make(p, (size_t)(nl - p))))
                return JOIN_ENOUGH;
            skip_line = false;
            p = nl + 1;
        }
        if (p == side->p && !skip_line) {
            bool whole = (size_t)got < n || n == end - off;

            if (!whole && want < most) {
                want = want * 2 < most ? want * 2 : most;
                continue;
            }
            if (!join_line(j, seg, str_make(p, (size_t)got)))
                return JOIN_ENOUGH;
            skip_line = true;
        }
        off += skip_line ? (uint64_t)got : (uint64_t)(p - side->p);
    }
    return JOIN_MORE;
}

/* Collects the pieces of <fd>'s open partial line, from its start up to <until>, in reader->join
 * and describes them in <out>. Pieces that are gone are missing, and it is marked as cut. -1 = some
 * cannot be read now: not before wake_at. */
static int collect(struct cursor *c, enum record_fd fd, struct position until, struct record *out)
{
    struct reader *r = c->stream->reader;
    struct partial from = c->sent.part[fd];
    struct joiner j = {c, r, fd, out, true};
    int rc = JOIN_MORE;

    buf_clear(&r->join);
    *out = (struct record){.fd = fd, .offset = from.off};
    list_for_each (it, &c->stream->segments) {
        struct segment *seg = list_entry(it, struct segment, node);
        uint64_t start = seg->no == from.seg ? from.off : 0;
        uint64_t end = seg->no == until.seg ? until.off : UINT64_MAX;

        if (seg->no < from.seg)
            continue;
        if (seg->no > until.seg || rc != JOIN_MORE)
            break;
        if (seg->no == from.seg)
            out->segment = seg->id_hash;
        if (end == UINT64_MAX && seg->fd >= 0)
            end = late_end(c, seg); /* sealed: it was read to its end */
        rc = join_segment(&j, seg, start, end);
    }
    out->msg = buf_str(&r->join);
    return rc == JOIN_LATER ? -1 : 0;
}

/* File bytes between the start of <part> and `sent`. */
uint64_t join_span(const struct cursor *c, const struct partial *part)
{
    struct mark m = {.pos = {part->seg, 0, part->off}};

    if (part->seg == c->sent.pos.seg)
        return c->sent.pos.off - part->off;
    return mark_lag(c, &m) - mark_lag(c, &c->sent);
}

/* The end of <fd>'s partial line will not come: sends the pieces. -1 = cursor_not_taken(). */
int join_flush(struct cursor *c, enum record_fd fd, unsigned flags, struct record_sink *sink)
{
    struct partial *part = &c->sent.part[fd];
    struct record r;

    if (!part->seg)
        return 0;
    if (collect(c, fd, c->sent.pos, &r) < 0)
        return -1;
    r.flags |= flags;
    if ((r.msg.len || !(r.flags & RECORD_CUT)) && cursor_emit(c, &r, sink) < 0)
        return -1; /* otherwise nothing of it is left */
    *part = (struct partial){0};
    return 0;
}

int join_flush_both(struct cursor *c, struct record_sink *sink)
{
    return join_flush(c, RECORD_STDOUT, 0, sink) < 0 || join_flush(c, RECORD_STDERR, 0, sink) < 0
               ? -1
               : 0;
}

/* The ends of open lines will not come, or could not be recognized: sends the pieces. */
int join_end(struct cursor *c, struct record_sink *sink)
{
    for (unsigned fd = 0; fd < 2; fd++) {
        if (join_flush(c, (enum record_fd)fd, RECORD_CUT, sink) < 0)
            return -1;
        c->sent.part[fd].skipping = false;
    }
    return 0;
}

/* A record that begins, continues or ends a joined line; the line in the file ends before
 * <next>. */
int join_take(struct cursor *c, struct record *r, uint64_t next, struct record_sink *sink)
{
    struct partial *part = &c->sent.part[r->fd];
    struct position until = {c->sent.pos.seg, c->sent.pos.gen, next};
    struct partial then = *part;
    struct record joined;
    bool last = !(r->flags & RECORD_PARTIAL);

    if (part->skipping) {
        c->sent.cut += r->msg.len;
        if (last)
            part->skipping = false;
        return 0;
    }
    if (!then.seg)
        then = (struct partial){.seg = c->sent.pos.seg, .off = c->sent.pos.off};
    then.len += (uint32_t)(r->msg.len < UINT32_MAX / 2 ? r->msg.len : UINT32_MAX / 2);
    if (!last && then.len <= c->stream->reader->max_line) {
        *part = then;
        return 0;
    }
    struct partial before = *part;
    *part = then;
    int rc = collect(c, r->fd, until, &joined);
    joined.flags |= r->flags & RECORD_CUT;
    if (then.len > c->stream->reader->max_line)
        joined.flags |= RECORD_CUT;
    if (rc < 0 || cursor_emit(c, &joined, sink) < 0) {
        *part = before;
        return -1;
    }
    if (then.len > c->stream->reader->max_line)
        c->sent.cut += then.len - c->stream->reader->max_line;
    *part = (struct partial){.skipping = !last};
    return 0;
}
