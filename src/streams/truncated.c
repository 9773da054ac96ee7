/* A file was truncated or overwritten: its cursors start again at its first byte, unless what they
 * have read is still there. */
#include "base/log.h"
#include "streams/cursor_internal.h"

static void start_again(struct mark *m, struct segment *seg)
{
    bool here = m->pos.seg == seg->no;

    if (here && m->pos.off && mark_fits(m, seg)) {
        m->pos.gen = seg->gen; /* it has read the present content; others have not */
        return;
    }
    for (unsigned fd = 0; fd < 2; fd++)
        if (m->part[fd].seg == seg->no && (here || !segment_line_at(seg, m->part[fd].off)))
            m->part[fd] = (struct partial){0};
    if (!here)
        return;
    m->cut_short = true;
    m->pos = (struct position){seg->no, seg->gen, 0};
    m->skip_line = m->open_line = false;
    m->marker_len = 0;
}

/* True when a cursor has read new content before the truncation was noticed. Then the old size is
 * unknown. */
static bool new_was_read(struct segment *seg)
{
    list_for_each (it, &seg->stream->cursors) {
        const struct mark *m = &list_entry(it, struct cursor, stream_node)->sent;

        if (m->pos.seg == seg->no && m->pos.off && mark_fits(m, seg))
            return true;
    }
    return false;
}

/* Bytes at the start of the file that are still the same; 0 = its content is another. */
static uint64_t kept_of(struct segment *seg)
{
    struct segment_stat st;

    if (!seg->id.prefix_len || segment_prefix_changed(seg) ||
        segment_stat_fd(seg->fd, &st, NULL) < 0)
        return 0;
    return st.size < seg->size ? st.size : 0;
}

void segment_truncated(struct segment *seg)
{
    struct reader *r = seg->stream->reader;
    uint64_t before = r->stats.lost[GAP_TRUNCATED], kept = kept_of(seg);

    if (!kept && new_was_read(seg))
        seg->sure = 0;
    list_for_each (it, &seg->stream->cursors)
        gap_declare_truncated(list_entry(it, struct cursor, stream_node), seg, kept);
    seg->gen++;
    seg->size = seg->sure = 0;
    seg->id_settled = false;
    seg->id.prefix_len = 0; /* of the old content */
    list_for_each (it, &seg->stream->cursors) {
        struct cursor *c = list_entry(it, struct cursor, stream_node);

        start_again(&c->sent, seg);
        start_again(&c->acked, seg);
        if (c->since_end.seg == seg->no)
            c->since_end.off = 0;
        if (c->late == seg->no)
            c->late_from = 0;
    }
    r->stats.truncated++;
    log_info_for(identity_cause(seg->stream->identity),
                 kept ? "log file was truncated, its start is as it was"
                      : "log file was truncated, reading it from its start",
                 KV_CSTR("file", seg->path ? seg->path : "(deleted)"),
                 KV_INT("lost_bytes", r->stats.lost[GAP_TRUNCATED] - before));
}
