/*
 * From a cursor to what the state keeps of it, and back after a restart: finding the file again
 * among those that are there now. A file is the same when device, inode, birth time and first bytes
 * are; one that was compressed meanwhile is known by its first bytes alone, and read on at the same
 * place of what it inflates to.
 */
#include "base/fault.h"
#include "base/log.h"
#include "base/map.h"
#include "streams/cursor_internal.h"

/* Are the bytes before <off> those that <r> remembers? */
static bool marker_fits(struct segment *seg, const struct state_record *r, struct mark *m)
{
    char bytes[MARKER_SIZE];
    size_t n = r->marker_len;

    if (n > sizeof(bytes) || n > r->off)
        return false;
    if (n && (segment_read(seg, bytes, n, r->off - n) != (ssize_t)n ||
              hash_stable(bytes, n) != r->marker))
        return false;
    m->marker = r->marker;
    m->marker_len = (uint16_t)n;
    return true;
}

static void save_partial(struct stream *s, const struct partial *p, struct state_partial *out)
{
    struct segment *seg = p->seg ? stream_segment(s, p->seg) : NULL;

    *out = (struct state_partial){.off = p->off, .len = p->len, .skipping = p->skipping};
    if (!seg)
        return;
    if (seg->fd >= 0) /* it may have been empty when it was opened */
        segment_read_prefix(seg);
    out->id = seg->id;
}

/* As large as it is now: it is not looked at while nobody can read it. */
static void refresh(struct segment *seg)
{
    struct segment_stat st;

    if (seg->nameless && !seg->gz && segment_stat_fd(seg->fd, &st, NULL) == 0)
        seg->size = seg->sure = st.size;
}

/* Bytes behind <seg> that only our descriptors keep. */
static uint64_t held_behind(struct segment *seg)
{
    uint64_t bytes = 0;

    for (struct list *it = seg->node.next; it != &seg->stream->segments; it = it->next) {
        struct segment *next = list_entry(it, struct segment, node);

        refresh(next);
        if (next->nameless && !next->path)
            bytes += next->size;
    }
    return bytes;
}

/* A stream of which no file was there yet: whatever comes is wanted. */
static bool save_without_file(const struct cursor *c, struct state_record *r)
{
    const struct stream *s = c->stream;

    r->lost = gaps_bytes(c);
    return !s->finished && !s->identity->network && list_empty(&s->segments);
}

bool cursor_save(struct cursor *c, struct state_record *r)
{
    const struct position *p = &c->acked.pos;
    struct segment *seg = stream_segment(c->stream, p->seg);

    if (!p->seg && !list_empty(&c->stream->segments)) /* nothing confirmed yet: its first byte */
        seg = list_entry(c->stream->segments.next, struct segment, node);
    if (!seg)
        return save_without_file(c, r);
    if (seg->lent) /* what has no name ends with this process */
        return false;
    if (seg->fd >= 0)
        segment_read_prefix(seg);
    r->id = seg->id;
    r->off = c->at_end ? c->end_off : p->off;
    r->at_end = c->at_end;
    r->old = c->acked.old;
    r->since_s = c->since_s;
    r->since_end = c->since_end.seg == seg->no  ? c->since_end.off
                   : c->since_end.seg > seg->no ? UINT64_MAX
                                                : 0;
    refresh(seg);
    r->size = seg->gone || r->old ? p->off
              : seg->gz           ? seg->size
                                  : seg->sure; /* what is lost is said by <lost> */
    r->lost = gaps_bytes(c);
    r->held = held_behind(seg);
    r->restart = seg->restart;
    r->skip_line = c->acked.skip_line;
    r->cut_short = c->acked.cut_short;
    r->marker_len = p->seg ? c->acked.marker_len : 0;
    r->marker = c->acked.marker;
    for (unsigned i = 0; i < 2; i++)
        save_partial(c->stream, &c->acked.part[i], &r->part[i]);
    return true;
}

/* The segment that <id> speaks of, open; NULL when none of those here is it. */
static struct segment *find_segment(struct stream *s, const struct segment_id *id)
{
    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (segment_id_same_inode(&seg->id, id) && segment_ensure_open(seg) == 0 &&
            segment_has_prefix(seg, id))
            return seg;
    }
    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (id->prefix_len && segment_ensure_open(seg) == 0 && seg->gz &&
            segment_has_prefix(seg, id))
            return seg;
    }
    return NULL;
}

static void restore_partial(struct stream *s, const struct state_partial *p, struct partial *out)
{
    struct segment *seg = p->id.ino ? find_segment(s, &p->id) : NULL;

    *out = (struct partial){.skipping = p->skipping};
    if (seg) {
        *out = (struct partial){seg->no, p->len, p->off, p->skipping};
    } else if (p->id.ino) {
        s->reader->stats.resume_gaps++;
        log_error("the start of a line is gone since the last run",
                  KV_STR("hostname", s->identity->hostname), KV_STR("pod", s->identity->pod),
                  KV_INT("bytes", p->len));
    }
}

/* The same file by its inode, whatever it holds by now. */
static struct segment *same_inode(struct stream *s, const struct segment_id *id)
{
    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (segment_id_same_inode(&seg->id, id))
            return seg;
    }
    return NULL;
}

/* What is known to be missing where the cursor begins. */
static void declare(struct cursor *c, const struct state_record *r, uint64_t bytes, bool at_least)
{
    struct gap g = {.reason = GAP_RESTART,
                    .segment = segment_id_hash(&r->id),
                    .from = c->sent.pos,
                    .to = c->sent.pos,
                    .at = r->off,
                    .bytes = r->lost + bytes,
                    .at_least = at_least};

    gap_declare(c, &g);
}

/* Where <r> says, in <seg>, which is open; false when that is another file by now. */
static bool resume_in(struct cursor *c, struct segment *seg, const struct state_record *r)
{
    struct mark m = {.skip_line = r->skip_line, .cut_short = r->cut_short, .old = r->old};

    if (r->at_end) {
        c->end_off = r->off;
        cursor_resolve_end(c, seg);
        return true;
    }
    if ((!seg->gz && seg->size < r->off) || !marker_fits(seg, r, &m))
        return false;
    m.pos = (struct position){seg->no, seg->gen, r->off};
    for (unsigned i = 0; i < 2; i++)
        restore_partial(c->stream, &r->part[i], &m.part[i]);
    c->sent = c->acked = m;
    c->since_s = r->since_s;
    c->since_end = (struct position){seg->no, seg->gen, r->since_end};
    return true;
}

enum resume_result cursor_resume(struct cursor *c, const struct state_record *r)
{
    struct segment *seg = r->id.ino ? find_segment(c->stream, &r->id) : NULL;
    uint64_t unread = r->size > r->off ? r->size - r->off : 0;

    c->at_end = false;
    if (!r->id.ino || (seg && resume_in(c, seg, r))) {
        if (r->lost) /* the drain was not told before we ended */
            declare(c, r, 0, false);
        FAULT_POINT("cursor-resumed");
        return RESUME_OK;
    }
    seg = same_inode(c->stream, &r->id);
    c->sent = (struct mark){.skip_line = false};
    if (seg)
        c->sent.pos = (struct position){seg->no, seg->gen, 0};
    c->acked = c->sent;
    /* A journal's segment goes when all have passed it, which the state may not have heard of. */
    if (!seg && c->stream->identity->network)
        return RESUME_OK;
    if (!seg || r->lost || unread)
        declare(c, r, unread + (seg ? 0 : r->held), true);
    return seg ? RESUME_CHANGED : RESUME_GONE;
}
