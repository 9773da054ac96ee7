/*
 * Where cursors begin: at the first byte, at the previous end, at a time, or where another cursor
 * stands.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "streams/cursor_internal.h"

#define PROBE_BYTES (64 * 1024)

/* The start of the line that contains <off>, at most READ_CHUNK back. */
static uint64_t line_start(struct segment *seg, uint64_t off)
{
    struct reader *r = seg->stream->reader;
    size_t n = off < READ_CHUNK ? (size_t)off : READ_CHUNK;
    ssize_t got = segment_read(seg, r->chunk, n, off - n);
    const char *nl = got > 0 ? memrchr(r->chunk, '\n', (size_t)got) : NULL;

    if (!nl)
        return got == (ssize_t)n && n == off ? 0 : off;
    return off - n + (uint64_t)(nl + 1 - r->chunk);
}

void cursor_resolve_end(struct cursor *c, struct segment *seg)
{
    uint64_t end = c->end_off < seg->size ? c->end_off : seg->size;
    /* A journal always ends at a record's end when its end is read. */
    uint64_t off = seg->codec == CODEC_JOURNAL ? c->end_off : line_start(seg, end);

    c->at_end = false;
    c->sent.pos = (struct position){seg->no, seg->gen, off};
    mark_place(&c->sent, seg);
    c->acked = c->sent;
}

void cursor_init(struct cursor *c, struct stream *s, void (*wake)(struct cursor *c),
                 const struct position *end)
{
    struct segment *last = end ? stream_segment(s, end->seg) : NULL;

    *c = (struct cursor){.stream = s, .wake = wake};
    list_init(&c->gaps);
    list_init(&c->dry_node);
    list_add_tail(&s->dry, &c->dry_node);
    s->was_read = true;
    s->reader->stats.acks++;
    list_add_tail(&s->cursors, &c->stream_node);
    if (last) {
        c->sent.pos = (struct position){last->no, last->gen, 0};
        c->acked = c->sent;
        c->at_end = true;
        c->end_off = end->off;
        if (segment_ensure_open(last) == 0)
            cursor_resolve_end(c, last);
        return;
    }
    list_for_each (it, &s->segments)
        (void)segment_ensure_open(
            list_entry(it, struct segment, node)); /* not now: retried when it is read */
}

static void wake_nobody(struct cursor *c)
{
    (void)c; /* it lives for one reading */
}

void cursor_init_again(struct cursor *c, const struct cursor *original, const struct mark *from)
{
    *c = (struct cursor){.stream = original->stream,
                         .wake = wake_nobody,
                         .sent = *from,
                         .acked = *from,
                         .since_s = original->since_s,
                         .since_end = original->since_end,
                         .late = original->late,
                         .late_from = original->late_from,
                         .original = original};
    list_init(&c->gaps);
    list_init(&c->dry_node);
    list_add_tail(&c->stream->cursors, &c->stream_node); /* so that a truncation finds it */
}

void cursor_begin_like(struct cursor *c, struct cursor *from)
{
    cursor_rewind(from);
    c->sent = c->acked = from->acked;
    c->at_end = from->at_end;
    c->end_off = from->end_off;
    c->since_s = from->since_s;
    c->since_end = from->since_end;
    c->late = from->late;
    c->late_from = from->late_from;
    if (from->resume) { /* the place of <from> is not known yet, so <c> searches for it too */
        c->resume = xmalloc(sizeof(*c->resume));
        *c->resume = *from->resume;
    }
    list_for_each (it, &from->gaps) {
        struct gap *g = xmalloc(sizeof(*g));

        *g = *list_entry(it, struct gap, node);
        list_init(&g->node);
        list_add_tail(&c->gaps, &g->node);
    }
}

void cursor_release(struct cursor *c)
{
    c->stream->reader->stats.acks += !c->original;
    list_del(&c->stream_node);
    list_del(&c->dry_node);
    late_release(c);
    gaps_release(c);
    free(c->resume);
}

/* Finds the first line that begins in [lo, hi): its place, and whether it is older than <since_s>.
 * 0 = there is none, or it has no time. */
static int probe(struct segment *seg, uint64_t at, int64_t since_s, uint64_t *line, bool *older)
{
    struct reader *r = seg->stream->reader;
    ssize_t got = segment_read(seg, r->chunk, PROBE_BYTES, at);
    const char *start = got > 0 ? memchr(r->chunk, '\n', (size_t)got) : NULL, *end;
    struct record rec = {.time = {NULL, 0}};

    if (!start++)
        return 0;
    end = memchr(start, '\n', (size_t)(r->chunk + got - start));
    if (!end)
        return 0;
    (void)decode_line(seg->codec, str_make(start, (size_t)(end - start)), &rec, &r->scratch);
    if (!rec.time.len)
        return 0;
    *line = at + (uint64_t)(start - r->chunk);
    *older = clock_parse(rec.time.p, rec.time.len) < since_s;
    return 1;
}

/* The place of an older line, shortly before the first that is not; 0 when unknown. */
static uint64_t search(struct segment *seg, int64_t since_s)
{
    uint64_t lo = 0, hi = seg->size, line;
    bool older;

    while (hi - lo > 2 * PROBE_BYTES) {
        uint64_t middle = lo + (hi - lo) / 2;

        if (!probe(seg, middle, since_s, &line, &older) || line >= hi)
            return lo;
        if (older)
            lo = line;
        else
            hi = middle;
    }
    return lo;
}

/* The present end of the stream. The clock may be set between two lines: later ones are never too
 * old. */
static struct position end_now(const struct stream *s)
{
    struct segment *last =
        list_empty(&s->segments) ? NULL : list_entry(s->segments.prev, struct segment, node);

    if (!last || segment_ensure_open(last) < 0)
        return (struct position){.seg = 0};
    return (struct position){last->no, last->gen, last->packed ? UINT64_MAX : last->size};
}

void cursor_begin_since(struct cursor *c, int64_t since_s)
{
    struct segment *found = NULL;
    struct stat st;

    c->at_end = false;
    free(c->resume);
    c->resume = NULL;
    c->since_s = since_s;
    c->since_end = end_now(c->stream);
    list_for_each (it, &c->stream->segments) {
        found = list_entry(it, struct segment, node);
        /* A rotated file was last written with its last line; a .gz somewhat later. The kernel's
         * clock for files is up to a tick behind that of its lines, so a second is allowed for. */
        if (segment_ensure_open(found) < 0 || fstat(found->fd, &st) < 0 ||
            st.st_mtim.tv_sec + 1 >= since_s)
            break;
    }
    c->sent = (struct mark){.old = true};
    if (found)
        c->sent.pos = (struct position){
            found->no, found->gen,
            found->fd < 0 || found->packed || found->lent ? 0 : search(found, since_s)};
    c->acked = c->sent;
}
