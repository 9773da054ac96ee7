/*
 * Reading from a cursor in a log file: pread, find the lines, decode, join, pass each record to the
 * sink, and move `sent` behind what the sink took. This is the hot path: one pread per READ_CHUNK,
 * one memchr per line, nothing allocated, nothing copied except joined lines. The bytes just before
 * `sent` are read again with each chunk and compared, so a file that was truncated and has grown
 * past the cursor is detected at no cost.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"

/* A window of a segment: <len> bytes that start at offset <base>, the cursor's `sent`. */
struct view {
    struct segment *seg;
    const char *p;
    size_t len;
    size_t before; /* bytes in front of <p> that belong to the file too */
    uint64_t base;
    bool eof;
};

static int unreadable(struct cursor *c, struct segment *seg, int error)
{
    cursor_unreadable(c, seg, error);
    return STEP_UNREADABLE;
}

/* Reads <n> bytes (and the marker before them) into <into>, which has room for both. STEP_ON = <v>
 * is set. */
static int look(struct cursor *c, struct segment *seg, char *into, size_t n, struct view *v)
{
    uint64_t off = c->sent.pos.off;
    size_t m = c->sent.marker_len <= off ? c->sent.marker_len : 0;
    uint64_t limit = late_limit(c, seg);
    ssize_t got;

    got = segment_read(seg, into, m + n, off - m);
    if (got < 0)
        return unreadable(c, seg, errno);
    if (off - m + (uint64_t)got > limit && limit >= off)
        got = (ssize_t)(limit - (off - m));
    if ((size_t)got < m || (m && hash_stable(into, m) != c->sent.marker) ||
        (!off && seg->codec != CODEC_JOURNAL && !seg->damaged &&
         !segment_begins_with(&seg->id, into, (size_t)got))) {
        segment_truncated(seg);
        return STEP_AGAIN;
    }
    if ((size_t)got == m && m == 0 && off && !seg->packed) { /* nothing to compare with */
        struct segment_stat st;
        if (segment_stat_fd(seg->fd, &st, NULL) == 0 && st.size < off) {
            segment_truncated(seg);
            return STEP_AGAIN;
        }
    }
    segment_set_readable(seg);
    *v = (struct view){seg, into + m, (size_t)got - m, m, off, (size_t)got < m + n};
    if (off + v->len > seg->size)
        seg->size = off + v->len;
    (void)segment_note_size(seg, off + v->len);
    return STEP_ON;
}

/* Moves `sent` to <off>, which is inside <v>. */
static void advance(struct cursor *c, const struct view *v, uint64_t off)
{
    size_t past = (size_t)(off - v->base) + v->before;
    size_t n = past < MARKER_SIZE ? past : MARKER_SIZE;

    if (off > v->base) {
        c->idle_since = 0;
        v->seg->stream->reader->stats.bytes_read += off - v->base;
        v->seg->stream->bytes_read += off - v->base;
    }
    c->sent.marker = hash_stable(v->p + (off - v->base) - n, n);
    c->sent.marker_len = (uint16_t)n;
    c->sent.pos.off = off;
}

/* Takes one line of the file that ends before <next>. -1 = cursor_not_taken(), and nothing has
 * changed. */
static int take_line(struct cursor *c, struct segment *seg, struct str line, uint64_t next,
                     unsigned flags, struct record_sink *sink)
{
    struct record r;
    enum codec codec;
    const struct partial *part = c->sent.part;

    /* First, because it decodes other lines into the same scratch buffer. */
    for (unsigned fd = 0; fd < 2; fd++)
        if (part[fd].seg && join_span(c, &part[fd]) > JOIN_SPAN_MAX &&
            join_flush(c, (enum record_fd)fd, RECORD_CUT, sink) < 0)
            return -1;
    codec = decode_line(seg->codec, line, &r, &c->stream->reader->scratch);
    r.flags |= flags;
    if (!seg->id_settled)
        segment_settle_id(seg);
    r.segment = seg->id_hash;
    r.offset = c->sent.pos.off;
    if (codec == CODEC_UNKNOWN) /* not a piece of a line, so it stands between pieces */
        return join_end(c, sink) < 0 ? -1 : cursor_emit(c, &r, sink);
    seg->codec = codec;
    if ((r.flags & RECORD_PARTIAL) || part[r.fd].seg || part[r.fd].skipping)
        return join_take(c, &r, next, sink);
    return cursor_emit(c, &r, sink);
}

/* Skips NULs at `sent`, where a line should begin, up to <off>. */
static int pass_hole(struct cursor *c, struct segment *seg, uint64_t off, struct record_sink *sink)
{
    if (join_end(c, sink) < 0)
        return -1;
    if (!seg->holed)
        log_warn_for(identity_cause(seg->stream->identity),
                     "log file has NUL bytes where lines should be, skipped",
                     KV_CSTR("file", seg->path ? seg->path : "(deleted)"),
                     KV_INT("offset", c->sent.pos.off));
    seg->holed = true;
    seg->stream->reader->stats.hole_bytes += off - c->sent.pos.off;
    c->sent.pos.off = off;
    c->sent.marker_len = 0;
    c->sent.open_line = true; /* an LF after it is part of it */
    c->idle_since = 0;
    return 0;
}

/* The head of a line that has lost its end to a hole. What cannot be a line is part of the hole. */
static int take_torn(struct cursor *c, struct segment *seg, struct str head, uint64_t next,
                     struct record_sink *sink)
{
    struct reader *rd = c->stream->reader;
    struct record r;

    if (decode_line(seg->codec, head, &r, &rd->scratch) == CODEC_UNKNOWN && hole_cut_head(head)) {
        if (join_end(c, sink) < 0)
            return -1;
        rd->stats.hole_bytes += head.len;
        return 0;
    }
    return take_line(c, seg, head, next, RECORD_CUT, sink);
}

/* Takes <line>, which contains NULs and is at `sent`. Returns the bytes taken, with its LF; -1 =
 * cursor_not_taken(). */
static ptrdiff_t take_holed(struct cursor *c, struct segment *seg, struct str line,
                            struct record_sink *sink)
{
    uint64_t off = c->sent.pos.off;
    size_t n;

    if (!*line.p) {
        n = hole_length(line);
        return pass_hole(c, seg, off + n, sink) < 0 ? -1 : (ptrdiff_t)n;
    }
    n = hole_within(seg->codec, line, &c->stream->reader->scratch);
    if (n < line.len)
        return take_torn(c, seg, str_head(line, n), off + n, sink) < 0 ? -1 : (ptrdiff_t)n;
    if (take_line(c, seg, line, off + n + 1, 0, sink) < 0)
        return -1;
    c->sent.open_line = false;
    return (ptrdiff_t)n + 1;
}

/* Takes all complete lines of <v>. Moves `sent`; true = cursor_not_taken(). */
static bool take_lines(struct cursor *c, const struct view *v, struct record_sink *sink)
{
    const char *p = v->p, *end = v->p + v->len, *nl;
    bool holed = memchr(p, '\0', v->len) != NULL, full = false;

    while ((nl = memchr(p, '\n', (size_t)(end - p)))) {
        uint64_t next = v->base + (uint64_t)(nl + 1 - v->p);
        struct str line = str_make(p, (size_t)(nl - p));

        c->sent.pos.off = v->base + (uint64_t)(p - v->p);
        if (holed && !c->sent.skip_line && memchr(p, '\0', line.len)) {
            ptrdiff_t taken = take_holed(c, v->seg, line, sink);

            full = taken < 0;
            if (full)
                break;
            p += taken;
            continue;
        }
        if (!c->sent.skip_line && !(c->sent.open_line && nl == p) &&
            take_line(c, v->seg, line, next, 0, sink) < 0) {
            full = true;
            break;
        }
        if (c->sent.skip_line)
            c->sent.cut += line.len;
        c->sent.skip_line = c->sent.open_line = false;
        p = nl + 1;
    }
    advance(c, v, v->base + (uint64_t)(p - v->p));
    return full;
}

/* An over-long line: its head is sent, the rest skipped up to its LF, or up to the next line, where
 * it has lost its end to a hole. */
static int take_head(struct cursor *c, const struct view *v, struct record_sink *sink)
{
    struct str bytes = str_make(v->p, v->len);
    size_t n = hole_before_end(bytes, false);
    bool torn = n < v->len;
    uint64_t next = v->base + n;

    if ((torn ? take_torn(c, v->seg, str_head(bytes, n), next, sink)
              : take_line(c, v->seg, bytes, next, RECORD_CUT, sink)) < 0)
        return cursor_not_taken(c);
    c->sent.skip_line = !torn;
    advance(c, v, next);
    return READ_MORE;
}

/* The last line of a container's log ends before its message begins: the runtime or the node has
 * failed. Elsewhere it may be text that only looks so. */
static bool is_bare_head(const struct segment *seg, struct str tail)
{
    return seg->stream->identity->pod.len && tail.len && hole_bare_head(tail);
}

/* Nothing of its message is there. What it would have continued or ended has no end. */
static int pass_bare_head(struct cursor *c, struct segment *seg, struct str tail,
                          struct record_sink *sink)
{
    if (join_end(c, sink) < 0)
        return -1;
    log_warn_for(identity_cause(seg->stream->identity),
                 "log file ends before the message of its last line, skipped",
                 KV_CSTR("file", seg->path ? seg->path : "(deleted)"),
                 KV_INT("offset", c->sent.pos.off), KV_INT("bytes", tail.len));
    seg->stream->reader->stats.hole_bytes += tail.len;
    return 0;
}

/* The last line, which has no LF. -1 = cursor_not_taken(). */
static int take_tail(struct cursor *c, const struct view *v, struct record_sink *sink)
{
    struct str tail = str_make(v->p, hole_before_end(str_make(v->p, v->len), true));
    int rc = 0;

    if (v->len && !c->sent.skip_line)
        rc = is_bare_head(v->seg, tail) ? pass_bare_head(c, v->seg, tail, sink)
                                        : take_line(c, v->seg, tail, v->base + v->len, 0, sink);
    if (rc < 0)
        return -1;
    advance(c, v, v->base + v->len);
    return 0;
}

/* The last line has no LF, or a joined line no end. Waits, unless nothing has been written for
 * long. */
static int wait_for_rest(struct cursor *c, const struct view *v, struct record_sink *sink)
{
    struct reader *r = c->stream->reader;
    uint64_t now = loop_now(r->loop);

    if (!c->idle_since || c->idle_size != v->base + v->len) {
        c->idle_since = now ? now : 1;
        c->idle_size = v->base + v->len;
    }
    if (now < c->idle_since + r->partial_timeout_ms &&
        !(v->seg->nameless && !v->seg->packed && segment_writers(v->seg) == WRITERS_NONE)) {
        c->wake_at = c->idle_since + r->partial_timeout_ms;
        return READ_WAIT;
    }
    if (v->len && !c->sent.skip_line) {
        if (take_tail(c, v, sink) < 0)
            return cursor_not_taken(c);
        c->sent.open_line = true;
    }
    return join_flush_both(c, sink) < 0 ? cursor_not_taken(c) : READ_DRY;
}

/* STEP_ON: nothing more is to come of <seg> for <c>. */
static int may_end(struct cursor *c, struct segment *seg, const struct segment *next, uint64_t end)
{
    if (c->late)
        return late_over(c, seg, end);
    if (next)
        return late_leave(c, seg, end);
    return c->stream->finished ? STEP_ON : READ_DRY;
}

/* All was taken, except a tail without LF in <v>. STEP_AGAIN = there is another segment. */
static int at_end(struct cursor *c, const struct view *v, struct record_sink *sink)
{
    struct segment *seg = v->seg, *next = c->late ? NULL : segment_next(seg);
    bool tail = v->len && !c->sent.skip_line;
    bool open = c->sent.part[0].seg || c->sent.part[1].seg;
    int rc;

    if (seg->damaged && v->base < late_end(c, seg)) {
        if (c->original)
            return READ_DRY; /* it has not come so far */
        gap_declare_damaged(c, seg, !seg->exact);
        return STEP_AGAIN;
    }
    rc = may_end(c, seg, next, v->base + v->len);
    if ((rc == READ_DRY || (rc == READ_WAIT && c->late)) && (tail || open)) {
        rc = wait_for_rest(c, v, sink);
        return c->late && rc == READ_DRY ? STEP_AGAIN : rc;
    }
    if (rc != STEP_ON)
        return rc;
    if (v->len && take_tail(c, v, sink) < 0)
        return cursor_not_taken(c);
    if (!next || next->restart != seg->restart) {
        if (join_flush_both(c, sink) < 0)
            return cursor_not_taken(c);
        c->sent.part[RECORD_STDOUT].skipping = c->sent.part[RECORD_STDERR].skipping = false;
    }
    if (!next)
        return cursor_end_of_all(c);
    cursor_move_to(c, next);
    return STEP_AGAIN;
}

/* Reads again with room for a whole line of MAX_LINE. */
static int look_further(struct cursor *c, struct segment *seg, struct view *v)
{
    struct buf *big = &seg->stream->reader->big;
    size_t n = big->max - MARKER_SIZE;

    buf_clear(big);
    if (buf_reserve(big, big->max) < 0)
        return unreadable(c, seg, ENOMEM);
    return look(c, seg, big->p, n, v);
}

/* A line begun before the truncation, in an older file, is sent as it is; otherwise the next line
 * would be taken for its end. */
static int end_cut_short(struct cursor *c, struct record_sink *sink)
{
    if (join_end(c, sink) < 0)
        return cursor_not_taken(c);
    c->sent.cut_short = false;
    return STEP_ON;
}

/* Of a compressed file only what can be trusted is read: finds that out, and declares the rest. */
static int check(struct cursor *c, struct segment *seg, struct record_sink *sink)
{
    struct view v = {.seg = seg, .p = "", .base = c->sent.pos.off, .eof = true};
    int rc = segment_check(seg);

    if (rc == 0) /* not now what was read once is made again */
        return c->original ? READ_DRY : READ_MORE;
    if (rc < 0 && errno != EAGAIN)
        return unreadable(c, seg, errno);
    if (rc < 0) {
        c->wake_at = loop_now(seg->stream->reader->loop) + GZ_SETTLE_MS / 4;
        return STEP_UNREADABLE;
    }
    if (!seg->damaged || v.base < seg->readable)
        return STEP_ON;
    return at_end(c, &v, sink);
}

int text_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink)
{
    struct reader *r = seg->stream->reader;
    size_t want = max_bytes < 4096 ? 4096 : max_bytes < READ_CHUNK ? max_bytes : READ_CHUNK;
    struct view v;
    int rc = c->sent.cut_short ? end_cut_short(c, sink) : STEP_ON;

    if (rc == STEP_ON)
        rc = check(c, seg, sink);
    if (rc != STEP_ON)
        return rc;
    rc = look(c, seg, r->chunk, want, &v);
    if (rc != STEP_ON)
        return rc;
    if (v.len && v.p[0] == '\0' && !c->sent.skip_line) {
        uint64_t end = hole_end(seg, v.base, str_make(v.p, v.len));

        return pass_hole(c, seg, end, sink) < 0 ? cursor_not_taken(c)
                                                : READ_MORE; /* it may continue */
    }
    if (v.len && !memchr(v.p, '\n', v.len) && !v.eof) {
        if (c->sent.skip_line) {
            c->sent.cut += v.len;
            advance(c, &v, v.base + v.len);
            return READ_MORE;
        }
        rc = look_further(c, seg, &v);
        if (rc != STEP_ON)
            return rc;
        if (!memchr(v.p, '\n', v.len) && !v.eof)
            return take_head(c, &v, sink);
    }
    if (take_lines(c, &v, sink))
        return cursor_not_taken(c);
    size_t used = (size_t)(c->sent.pos.off - v.base);
    if (!v.eof || (used < v.len && v.p[used] == '\0' && !c->sent.skip_line))
        return READ_MORE;
    /* What is left is the tail. */
    v.p += used;
    v.len -= used;
    v.before += used;
    v.base += used;
    return at_end(c, &v, sink);
}
