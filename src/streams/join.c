/*
 * Joining the pieces of a line that the runtime split (CRI `P…P…F`, docker without \n). Nothing is
 * kept in memory while a line waits for its end: only the place where it starts is remembered, and
 * when the end has come the pieces are read once more. Lines of the other fd that lie between are
 * passed over. Bounded by JOIN_SPAN_MAX and MAX_LINE. Called by cursor.c.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

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

/* Lines of <seg> from <off> up to <end>, of a very long one the same head that cursor.c took. */
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
        if (got == 0)
            break;
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

int join_collect(struct cursor *c, enum record_fd fd, struct position until, struct record *out)
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
            end = seg->size; /* sealed: it was read to its end */
        rc = join_segment(&j, seg, start, end);
    }
    out->msg = buf_str(&r->join);
    return rc == JOIN_LATER ? -1 : 0;
}
