/*
 * Streams: the list of segments and who still needs them. stream.h has the drawing and the
 * invariants.
 */
#include "streams/cursor_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/map.h"
#include "loop/loop.h"

void reader_init(struct reader *r, struct loop *loop, size_t max_line, uint64_t partial_timeout_ms)
{
    *r = (struct reader){.loop = loop,
                         .max_line = max_line,
                         .partial_timeout_ms = partial_timeout_ms,
                         .open_share = OPEN_FILES_MAX,
                         .open_max = OPEN_FILES_MAX};
    r->chunk = xmalloc(MARKER_SIZE + READ_CHUNK);
    /* A line of the file is its message and the runtime's prefix. */
    buf_init(&r->big, max_line + READ_CHUNK);
    buf_init(&r->side, max_line + READ_CHUNK);
    buf_init(&r->join, max_line + READ_CHUNK);
    buf_init(&r->scratch, max_line + READ_CHUNK);
    list_init(&r->open);
}

void reader_release(struct reader *r)
{
    free(r->chunk);
    r->chunk = NULL;
    buf_release(&r->big);
    buf_release(&r->side);
    buf_release(&r->join);
    buf_release(&r->scratch);
}

void stream_rename(struct stream *s, struct identity *identity)
{
    identity_unref(s->identity);
    s->identity = identity;
    s->key = identity_key(identity);
}

struct stream *stream_create(struct reader *r, uint64_t id, struct identity *identity)
{
    struct stream *s = xcalloc(1, sizeof *s);

    s->id = id;
    stream_rename(s, identity);
    s->reader = r;
    list_init(&s->segments);
    list_init(&s->cursors);
    list_init(&s->dry);
    return s;
}

/* Bytes that the runtime wrote after all cursors had left. Rotation should not do this, so it is
 * logged. */
static void check_late_bytes(struct segment *seg)
{
    struct segment_stat st;
    struct reader *r = seg->stream->reader;

    if (seg->fd < 0 || seg->packed || segment_stat_fd(seg->fd, &st, NULL) < 0 ||
        st.size <= seg->size)
        return;
    r->stats.late_bytes += st.size - seg->size;
    log_error_for(identity_cause(seg->stream->identity),
                  "lines were written to a rotated file after it was closed",
                  KV_CSTR("file", seg->path ? seg->path : "(deleted)"),
                  KV_INT("bytes", st.size - seg->size));
}

static void segment_free(struct segment *seg)
{
    segment_set_readable(seg);
    segment_close(seg);
    list_del(&seg->node);
    free(seg->path);
    free(seg);
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    if (!list_empty(&s->cursors))
        BUG("stream: freed while it is read");
    list_for_each_safe (it, &s->segments)
        segment_free(list_entry(it, struct segment, node));
    identity_unref(s->identity);
    free(s);
}

static void segment_fill(struct segment *seg, struct stream *s, uint32_t no, char *path,
                         const struct segment_id *id)
{
    seg->stream = s;
    seg->no = no;
    seg->fd = -1;
    seg->path = path;
    seg->id = *id;
    seg->id_hash = segment_id_hash(id);
    if (s->identity->file.len)
        seg->codec = CODEC_PLAIN;
    list_init(&seg->lru);
}

static struct segment *segment_create(struct stream *s, uint32_t no, char *path,
                                      const struct segment_id *id)
{
    struct segment *seg = xcalloc(1, sizeof *seg);

    segment_fill(seg, s, no, path, id);
    if (!list_empty(&s->segments)) {
        struct segment *last = list_entry(s->segments.prev, struct segment, node);
        last->sealed_at = loop_now(s->reader->loop);
    }
    list_add_tail(&s->segments, &seg->node);
    return seg;
}

void stream_journal_add(struct stream *s, uint32_t no, char *path, int fd,
                        const struct segment_id *id)
{
    struct segment *seg = segment_create(s, no, path, id);

    seg->codec = CODEC_JOURNAL;
    seg->fd = fd;
    seg->lent = fd >= 0;
    if (s->was_read)
        stream_trim(s); /* a segment without a reader would be kept forever, or for a tail */
    stream_grew(s);
}

void stream_segment_recall(struct stream *s, uint32_t no, char *path, const struct segment_id *id,
                           uint32_t restart)
{
    struct segment *seg = stream_segment(s, no);
    struct list *at = s->segments.next;

    if (seg) {
        free(path);
    } else {
        seg = xcalloc(1, sizeof(*seg));
        segment_fill(seg, s, no, path, id);
        seg->restart = restart;
        while (at != &s->segments && list_entry(at, struct segment, node)->no < no)
            at = at->next;
        if (at != &s->segments)
            seg->sealed_at = loop_now(s->reader->loop);
        list_add_tail(at, &seg->node);
        (void)segment_ensure_open(seg); /* or when it is read */
    }
    seg->recalled = true;
}

void stream_recalled(struct stream *s)
{
    list_for_each (it, &s->segments)
        list_entry(it, struct segment, node)->recalled = false;
    stream_trim(s);
}

void stream_segment_add(struct stream *s, uint32_t no, char *path, const struct segment_id *id,
                        uint32_t restart)
{
    struct segment *seg;

    stream_measure(s); /* what was written to the last one before this one was created */
    seg = segment_create(s, no, path, id);
    seg->restart = restart;
    if (!seg->path)
        segment_lost(seg, NULL);
    /* Opened now rather than when its turn comes: it could be deleted until then. */
    if (!list_empty(&s->cursors)) {
        (void)segment_ensure_open(seg);
        s->reader->stats.acks++; /* the state must list it */
    }
    stream_grew(s);
}

/* <named>: the file that <seg> has open still has some name. The name and id of <seg> are those of
 * its .gz by then. */
static void set_nameless(struct segment *seg, bool named)
{
    struct reader *r = seg->stream->reader;

    if (seg->fd < 0 || seg->nameless == !named)
        return;
    seg->nameless = !named;
    r->pinned++;
    r->stats.acks++; /* from now on a crash would lose it: the state records how much there is */
}

void stream_segment_path(struct stream *s, uint32_t no, char *path, const struct segment_id *id)
{
    struct segment *seg = stream_segment(s, no);

    if (!seg) {
        free(path);
        return;
    }
    set_nameless(seg, path && !(seg->nameless && seg->path) && segment_id_same_inode(&seg->id, id));
    free(seg->path);
    seg->path = path;
    seg->unpackable = false;
    seg->retry_at = 0;
    seg->retry_ms = 0;
    if (path) { /* what is open stays open; when it is reopened, it is this file */
        seg->id.dev = id->dev;
        seg->id.ino = id->ino;
        seg->id.btime_ns = id->btime_ns;
    }
    if (seg->fd < 0 && !path && !seg->gone) {
        segment_lost(seg, NULL);
    } else if (seg->fd < 0) {
        if (path && !list_empty(&s->cursors))
            (void)segment_ensure_open(seg); /* while it exists: it may not be read for hours */
        stream_grew(s);                     /* those that wait to open it retry */
    }
    stream_trim(s);
}

/* Was it overwritten? Detected by the bytes before some cursor's place, or without one by the first
 * bytes. An unreadable file does not count. */
static bool was_rewritten(struct segment *seg)
{
    char bytes[MARKER_SIZE];

    list_for_each (it, &seg->stream->cursors) {
        const struct mark *m = &list_entry(it, struct cursor, stream_node)->sent;
        size_t n = m->marker_len;
        ssize_t got;

        if (m->pos.seg != seg->no || !n || n > m->pos.off)
            continue;
        got = segment_read(seg, bytes, n, m->pos.off - n);
        return got >= 0 && ((size_t)got < n || hash_stable(bytes, n) != m->marker);
    }
    return segment_prefix_changed(seg);
}

static bool has_unread(const struct segment *seg)
{
    list_for_each (it, &seg->stream->cursors) {
        const struct position *at = &list_entry(it, struct cursor, stream_node)->sent.pos;

        if (at->seg < seg->no || (at->seg == seg->no && at->off < seg->size))
            return true;
    }
    return false;
}

/* If the name of <seg> is gone, forgets it. */
static bool name_is_gone(struct segment *seg)
{
    if (!seg->path || access(seg->path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
        return false;
    free(seg->path);
    seg->path = NULL;
    return true;
}

/* Finds files without a name: the removal of a whole directory is not reported. */
static void look_for_names(struct stream *s)
{
    struct segment_stat st;

    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        /* Those that are not open are reported by the control thread: they may be between two
         * names. */
        if (seg->lent || seg->gone || seg->fd < 0 ||
            (segment_stat_fd(seg->fd, &st, NULL) == 0 && st.linked))
            continue;
        (void)name_is_gone(seg);
        set_nameless(seg, false);
    }
}

/* A file's size counts at once: if it is truncated before it is read, at least that much was lost.
 * A file of the same size can be another one, too: truncated and filled again between two looks. */
void stream_measure(struct stream *s)
{
    struct segment_stat st;
    struct segment *last;

    if (list_empty(&s->segments))
        return;
    last = list_entry(s->segments.prev, struct segment, node);
    if (last->fd < 0 || last->packed || segment_stat_fd(last->fd, &st, NULL) < 0)
        return;
    if (last->codec != CODEC_JOURNAL &&
        (st.size < last->size ||
         ((st.size > last->sure || has_unread(last)) && was_rewritten(last)))) {
        segment_truncated(last);
        if (segment_stat_fd(last->fd, &st, NULL) < 0) /* it may have grown since */
            return;
    }
    if (st.size > last->size)
        last->size = st.size;
    if (!st.linked && !last->nameless && !last->lent)
        look_for_names(s);
    if (segment_note_size(last, st.size))
        segment_read_prefix(last);
}

void stream_grew(struct stream *s)
{
    const struct segment *last =
        list_empty(&s->segments) ? NULL : list_entry(s->segments.prev, struct segment, node);
    struct list now;

    stream_measure(s);
    list_init(&now);
    list_move_all(&now, &s->dry);
    while (!list_empty(&now)) {
        struct cursor *c = list_entry(now.next, struct cursor, dry_node);

        list_del(&c->dry_node);
        c->wake(c);
    }
    if (last && last->nameless)
        stream_trim(s);
}

/* A finished stream gets no more reports: a file that is not open and has no name now will not get
 * another one. */
static void lose_what_is_gone(struct stream *s)
{
    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (!seg->lent && !seg->gone && seg->fd < 0 && name_is_gone(seg))
            segment_lost(seg, NULL);
    }
}

void stream_finish(struct stream *s)
{
    s->finished = true;
    look_for_names(s);
    lose_what_is_gone(s);
    stream_grew(s);
}

/* The first segment that this mark still needs. */
static uint32_t mark_low(const struct mark *m)
{
    uint32_t low = m->pos.seg;

    for (unsigned i = 0; i < 2; i++)
        if (m->part[i].seg && m->part[i].seg < low)
            low = m->part[i].seg;
    return low;
}

bool cursor_holds(const struct cursor *c, const struct segment *seg)
{
    if (c->original)
        return false;
    return c->late && !c->resume ? c->late == seg->no : mark_low(&c->acked) <= seg->no;
}

/* True when <c> has confirmed all <size> bytes of <seg>, the last one. */
static bool has_confirmed(const struct cursor *c, const struct segment *seg, uint64_t size)
{
    const struct mark *m = &c->acked;

    return !cursor_reads(c, seg) ||
           (!c->at_end && cursor_is_settled(c) && m->pos.seg == seg->no && m->pos.gen == seg->gen &&
            m->pos.off >= size && mark_low(m) == seg->no && !m->part[0].seg && !m->part[1].seg);
}

/* <seg> is the last one, and has no name any more. When every cursor has confirmed it and no
 * process can write to it, it is not needed. While it is open, the kernel does not report that its
 * directory was removed. */
static void close_confirmed(struct segment *seg)
{
    struct segment_stat st;

    if (seg->fd < 0 || seg->lent || segment_stat_fd(seg->fd, &st, NULL) < 0)
        return;
    list_for_each (it, &seg->stream->cursors)
        if (!has_confirmed(list_entry(it, struct cursor, stream_node), seg,
                           seg->packed ? seg->size : st.size))
            return;
    if (segment_writers(seg) == WRITERS_SOME)
        return;
    segment_close(seg);
    seg->gone = !seg->path; /* otherwise that is its .gz, or its new name will be reported */
}

/* Senders wait for the room that journals take. So a tail holds of a journal only what is new: the
 * last segment, and the one before it, unless that ended early because there was no room. */
static bool is_too_old_for_tails(struct segment *seg)
{
    const struct segment *next = segment_next(seg);
    struct segment_stat st;

    if (seg->codec != CODEC_JOURNAL || !next || segment_ensure_open(seg) < 0 ||
        segment_stat_fd(seg->fd, &st, NULL) < 0)
        return false;
    seg->size = st.size; /* it does not grow any more */
    return segment_next(next) || seg->size < JOURNAL_SEGMENT_BYTES;
}

static bool is_pinned(const struct segment *seg, bool by_tails)
{
    list_for_each (it, &seg->stream->cursors) {
        const struct cursor *c = list_entry(it, struct cursor, stream_node);

        if (cursor_holds(c, seg) && (by_tails || !c->transient))
            return true;
    }
    return false;
}

/* Tails that have not read all of <seg> skip the rest. */
static void skip_for_tails(struct segment *seg)
{
    list_for_each (it, &seg->stream->cursors) {
        struct cursor *c = list_entry(it, struct cursor, stream_node);
        const struct position *at = &c->sent.pos;

        if (at->seg > seg->no || (at->seg == seg->no && at->off >= seg->size))
            continue;
        gap_declare_skipped(c, seg, seg->size);
        c->wake(c);
    }
}

/* Releases <seg>: every cursor has passed it. */
static void release(struct segment *seg, bool read)
{
    struct stream *s = seg->stream;
    bool journal = seg->codec == CODEC_JOURNAL;
    uint32_t no = seg->no;

    if (read && !journal)
        check_late_bytes(seg);
    segment_free(seg);
    FAULT_POINT("segment-left");
    if (journal && s->reader->passed)
        s->reader->passed(s->reader, s, no);
}

void stream_trim(struct stream *s)
{
    bool read = !list_empty(&s->cursors);
    struct segment *last;

    if (list_empty(&s->segments))
        return;
    last = list_entry(s->segments.prev, struct segment, node);
    list_for_each_safe (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (seg == last || seg->recalled)
            continue;
        if (!is_pinned(seg, true)) {
            release(seg, read);
        } else if (!is_pinned(seg, false) && is_too_old_for_tails(seg)) {
            skip_for_tails(seg);
            release(seg, read);
        }
    }
    /* The last one stays: new cursors begin there. */
    if (!read)
        segment_close(last);
    else if (last->nameless)
        close_confirmed(last);
}
