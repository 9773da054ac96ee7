/*
 * Which file to close when fewer may be open. A file that still has its name can be reopened. One
 * without is kept, because closing it would lose it. The name is checked before closing, because a
 * rotation may be reported late.
 */
#include "loop/loop.h"
#include "streams/stream.h"

#define LOOKS_MAX 64     /* files checked for one to close: bounds the work */
#define SQUEEZE_FILES 4  /* closed at once when descriptors run out: others need one, too */
#define SQUEEZE_MS 60000 /* how long fewer files stay open after that */

void reader_set_open_share(struct reader *r, uint64_t segments)
{
    r->open_share = r->open_max = segments;
}

/* True when <seg> contains something that <m> has not passed. */
static bool needs(const struct mark *m, const struct segment *seg)
{
    return m->pos.seg < seg->no || (m->pos.seg == seg->no && m->pos.off < seg->size) ||
           m->part[0].seg == seg->no || m->part[1].seg == seg->no;
}

/* What would be lost if <seg> lost its name while it is closed. */
enum stake { STAKE_NONE, STAKE_REWIND, STAKE_LIVE, STAKE_ROTATED, STAKE_PACKED };

static enum stake stake(const struct segment *seg)
{
    enum stake most = STAKE_NONE, unread;

    /* The live file is closed last. A .gz would have to be inflated again. */
    unread = seg->packed ? STAKE_PACKED : seg->sealed_at ? STAKE_ROTATED : STAKE_LIVE;
    list_for_each (it, &seg->stream->cursors) {
        const struct cursor *c = list_entry(it, struct cursor, stream_node);

        if (c->late && c->late != seg->no)
            continue;
        if (needs(&c->sent, seg))
            return unread;
        if (needs(&c->acked, seg))
            most = STAKE_REWIND;
    }
    return most;
}

/* True when its path leads to it, or to the compressed file with the same bytes. */
static bool can_be_opened_again(const struct segment *seg)
{
    struct segment_stat st;

    return seg->path && segment_stat_path(seg->path, &st, NULL) == 0 &&
           segment_id_same_inode(&st.id, &seg->id);
}

static void use_later(struct reader *r, struct segment *seg)
{
    list_del(&seg->lru);
    list_add_tail(&r->open, &seg->lru);
}

bool reader_close_one(struct reader *r)
{
    struct segment *best = NULL;
    enum stake least = STAKE_PACKED;
    unsigned looks = 0;

    list_for_each_safe (it, &r->open) {
        struct segment *seg = list_entry(it, struct segment, lru);
        enum stake s = stake(seg);

        if (looks++ == LOOKS_MAX || (best && least == STAKE_NONE))
            break;
        if (best && s >= least)
            continue;
        if (!can_be_opened_again(seg)) {
            use_later(r, seg);
            continue;
        }
        best = seg;
        least = s;
    }
    if (best)
        segment_close(best);
    return best != NULL;
}

bool reader_make_room(struct reader *r)
{
    unsigned closed = 0;

    while (closed < SQUEEZE_FILES && r->stats.open_segments > OPEN_SEGMENTS_MIN &&
           reader_close_one(r))
        closed++;
    r->open_max =
        r->stats.open_segments > OPEN_SEGMENTS_MIN ? r->stats.open_segments : OPEN_SEGMENTS_MIN;
    r->squeezed_at = loop_now(r->loop);
    return closed > 0;
}

bool reader_may_open(struct reader *r)
{
    uint64_t open = r->stats.open_segments;

    if (r->open_max < r->open_share && loop_now(r->loop) - r->squeezed_at >= SQUEEZE_MS)
        r->open_max = r->open_share;
    return open < r->open_max || reader_close_one(r) || open < r->open_max + r->open_max / 2;
}
