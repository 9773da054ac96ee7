/*
 * From a cursor to its saved state, and back after a restart: finding the file again among the
 * present ones. A file is the same when device, inode, birth time and first bytes are, and the
 * bytes before the place. Otherwise a file that was compressed, copied or moved is found by its
 * first bytes and those before the place. What cannot be opened or read now is waited for. A
 * missing file is searched for again, because it may be between two names.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"
#include "streams/packed.h"

#define LOOK_AGAIN_MS 50
#define CHECKS 8 /* parts of a compressed file that are checked in one look */

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

/* Updates its size: it is not measured while it is unreadable. */
static void refresh(struct segment *seg)
{
    struct segment_stat st;

    if (seg->nameless && !seg->packed && segment_stat_fd(seg->fd, &st, NULL) == 0)
        seg->size = seg->sure = st.size;
}

/* True when <seg> was never opened and has lost its name: its lines are gone, though nobody has
 * reported that yet. While it has its name, its size is updated. */
static bool has_vanished(struct segment *seg)
{
    return !seg->seen && !seg->lent && seg->fd < 0 && seg->path && !segment_look_from_outside(seg);
}

/* Bytes in the files after <seg>: those that only our descriptors keep, or that are gone already,
 * and those that the next start finds, if nobody deletes them. */
static void save_behind(struct segment *seg, struct state_record *r)
{
    r->pinned = r->behind = 0;
    for (struct list *it = seg->node.next; it != &seg->stream->segments; it = it->next) {
        struct segment *next = list_entry(it, struct segment, node);

        refresh(next);
        if (next->nameless && !next->path)
            r->pinned += next->size;
        else if (has_vanished(next))
            r->pinned += next->sure;
        else if (!next->gone)
            r->behind += next->packed ? next->size : next->sure;
    }
}

/* True when a loss of unknown size is not confirmed by the drain. */
static bool lost_unknown(const struct cursor *c)
{
    list_for_each (it, &c->gaps) {
        const struct gap *g = list_entry(it, struct gap, node);

        if (g->at_least && !g->bytes)
            return true;
    }
    list_for_each (it, &c->stream->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (gap_is_news(c, seg) &&
            (seg->gone || (!seg->path && seg->fd < 0) || (has_vanished(seg) && !seg->sure)))
            return true;
    }
    return false;
}

static void save_losses(const struct cursor *c, struct state_record *r)
{
    r->lost = gaps_bytes(c);
    r->unknown = !c->late && lost_unknown(c);
}

/* Its file may have grown since the last run, and be deleted before it could be opened in this one.
 * While it is not found, any of the others may have unread bytes. */
static void save_resuming(const struct cursor *c, struct state_record *r)
{
    const struct state_record *last = &c->resume->record;
    struct segment *seg = stream_segment_by_inode(c->stream, &last->id);

    *r = *last;
    if (c->late)
        return;
    if (!seg) {
        if (!r->behind && !list_empty(&c->stream->segments))
            r->behind = 1;
        return;
    }
    if (has_vanished(seg) && !seg->sure)
        r->unknown = true;
    if (r->size < seg->sure)
        r->size = seg->sure;
    save_behind(seg, r);
    r->pinned += last->pinned;
}

/* A stream without any file yet: all of it is wanted. */
static bool save_without_file(const struct cursor *c, struct state_record *r)
{
    const struct stream *s = c->stream;

    save_losses(c, r);
    return !s->finished && !s->identity->network && list_empty(&s->segments);
}

static bool save(struct cursor *c, struct state_record *r)
{
    const struct position *p = &c->acked.pos;
    struct segment *seg = stream_segment(c->stream, p->seg);

    if (c->resume) {
        save_resuming(c, r);
        return true;
    }
    if (!p->seg && !list_empty(&c->stream->segments)) /* nothing confirmed yet: its first byte */
        seg = list_entry(c->stream->segments.next, struct segment, node);
    if (!seg)
        return !c->late && save_without_file(c, r);
    if (seg->lent) /* a file without a name ends with this process */
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
    save_losses(c, r);
    r->size = seg->gone || r->old ? p->off
              : seg->packed       ? seg->size
                                  : seg->sure; /* <lost> has the loss */
    r->late = c->late != 0;
    if (!c->late)
        save_behind(seg, r);
    r->restart = seg->restart;
    r->skip_line = c->acked.skip_line;
    r->cut_short = c->acked.cut_short;
    r->marker_len = p->seg ? c->acked.marker_len : 0;
    r->marker = c->acked.marker;
    for (unsigned i = 0; i < 2; i++)
        save_partial(c->stream, &c->acked.part[i], &r->part[i]);
    return true;
}

/* ---- saving the files of a stream ---- */

static void add_file(struct state_files *to, const struct state_file *f)
{
    if (to->len == to->cap) {
        to->cap = to->cap ? to->cap * 2 : 16;
        to->at = xrealloc(to->at, to->cap * sizeof(*to->at));
    }
    to->at[to->len++] = *f;
}

static void save_segment(struct segment *seg, struct state_files *to)
{
    struct state_file f = {.stream = seg->stream->key, .no = seg->no};

    if (!seg->path || seg->gone || seg->lent || seg->codec == CODEC_JOURNAL || has_vanished(seg))
        return;
    if (seg->fd >= 0)
        segment_read_prefix(seg);
    f.id = seg->id;
    f.size = seg->packed ? seg->size : seg->sure;
    add_file(to, &f);
}

void stream_save_files(struct stream *s, struct state_files *to)
{
    if (list_empty(&s->cursors) || s->identity->network)
        return;
    list_for_each (it, &s->cursors) {
        const struct cursor *c = list_entry(it, struct cursor, stream_node);

        for (uint32_t i = 0; c->resume && i < c->resume->record.nfiles; i++)
            add_file(to, &c->resume->record.files[i]);
    }
    if (s->segments.next->next == &s->segments) /* at most one */
        return;
    list_for_each (it, &s->segments)
        save_segment(list_entry(it, struct segment, node), to);
}

bool cursor_save(struct cursor *c, struct state_record *r)
{
    if (!save(c, r))
        return false;
    if (!state_record_unread(r) && !r->unknown)
        c->stream->saved_dry = true;
    return true;
}

/* ---- finding ---- */

/* A file to find, and the bytes before a place in it. */
struct wanted {
    const struct segment_id *id;
    uint64_t off;
    uint64_t marker;
    uint32_t marker_len;
};

enum fit { FIT_NO, FIT_LATER, FIT_MAYBE, FIT_YES };

/* Compares the hash of <n> bytes at <off> with <hash>. */
static enum fit bytes_fit(struct segment *seg, uint64_t off, uint32_t n, uint64_t hash)
{
    char bytes[MARKER_SIZE];
    ssize_t got;

    if (!n)
        return FIT_YES;
    if (n > sizeof(bytes))
        return FIT_NO;
    /* Trusted or not: these bytes are only compared. */
    got = seg->packed ? packed_read(seg->packed, bytes, n, off) : segment_read(seg, bytes, n, off);
    if (got < 0) {
        segment_unreadable(seg, errno);
        return FIT_LATER;
    }
    if ((size_t)got == n && hash_stable(bytes, n) == hash)
        return FIT_YES;
    return seg->damaged ? FIT_MAYBE : FIT_NO;
}

static enum fit fits(struct segment *seg, const struct wanted *w)
{
    enum fit start, before;
    int rc = 0;

    if (segment_ensure_open(seg) < 0)
        return seg->gone ? FIT_NO : FIT_LATER;
    if (seg->lent)
        return FIT_NO;
    for (unsigned i = 0; i < CHECKS && rc == 0; i++)
        rc = segment_check(seg);
    if (rc < 0 && errno != EAGAIN)
        segment_unreadable(seg, errno);
    if (rc != 1)
        return FIT_LATER;
    if (!seg->packed && seg->size < w->off)
        return FIT_NO;
    start = bytes_fit(seg, 0, w->id->prefix_len, w->id->prefix_hash);
    if (start != FIT_YES || w->marker_len > w->off)
        return start;
    before = bytes_fit(seg, w->off - w->marker_len, w->marker_len, w->marker);
    return before == FIT_MAYBE ? FIT_YES : before; /* the damage is before it */
}

/* Checks only the first bytes: may it match, unless it is damaged? */
static bool may_fit(struct segment *seg, const struct wanted *w)
{
    return segment_ensure_open(seg) < 0 || seg->id.prefix_len < FINGERPRINT_SIZE ||
           w->id->prefix_len < FINGERPRINT_SIZE || seg->id.prefix_hash == w->id->prefix_hash;
}

static bool is_being_checked(const struct segment *seg)
{
    return seg->fd >= 0 && seg->packed && !seg->checked;
}

static void warn_alike(const struct segment *seg, const struct segment *other)
{
    log_warn_for(identity_cause(seg->stream->identity),
                 "two log files begin alike, resuming in the older one: lines may be repeated",
                 KV_CSTR("file", seg->path ? seg->path : "(deleted)"),
                 KV_CSTR("other", other->path ? other->path : "(deleted)"),
                 KV_STR("hostname", seg->stream->identity->hostname));
}

/* By first bytes, among all except <same>. Where two begin alike, the older one is taken:
 * duplicates are better than a loss. Damaged ones only when there is no other: that takes inflating
 * them to the end. */
static enum fit find_by_bytes(struct stream *s, const struct wanted *w, const struct segment *same,
                              struct segment **found)
{
    struct segment *maybe = NULL;
    bool later = false;

    for (unsigned damaged = 0; damaged < 2 && !*found; damaged++)
        list_for_each (it, &s->segments) {
            struct segment *seg = list_entry(it, struct segment, node);
            enum fit fit = seg == same || may_fit(seg, w) == damaged ? FIT_NO : fits(seg, w);

            if (fit == FIT_LATER && is_being_checked(seg))
                return FIT_LATER;
            if (fit == FIT_YES && *found) {
                warn_alike(*found, seg);
                return FIT_YES;
            }
            if (fit == FIT_YES)
                *found = seg;
            maybe = maybe || fit != FIT_MAYBE ? maybe : seg;
            later |= fit == FIT_LATER;
        }
    if (!*found && !later)
        *found = maybe;
    return *found ? FIT_YES : later ? FIT_LATER : FIT_NO;
}

/* By identity, then by first bytes. FIT_LATER: it may be one that cannot be read now. */
static enum fit find(struct stream *s, const struct wanted *w, struct segment **found)
{
    struct segment *same = stream_segment_by_inode(s, w->id);
    enum fit fit = same ? fits(same, w) : FIT_NO;

    if (fit != FIT_NO)
        *found = fit == FIT_LATER ? NULL : same;
    else if (w->id->prefix_len)
        fit = find_by_bytes(s, w, same, found);
    return fit;
}

/* ---- resuming ---- */

static enum fit restore_partial(struct stream *s, const struct state_partial *p,
                                struct partial *out, bool last_try)
{
    const struct wanted w = {.id = &p->id, .off = p->off};
    struct segment *seg = NULL;
    enum fit fit = p->id.ino ? find(s, &w, &seg) : FIT_NO;

    *out = (struct partial){.skipping = p->skipping};
    if (fit == FIT_LATER || (fit == FIT_NO && p->id.ino && !last_try))
        return FIT_LATER;
    if (seg) {
        *out = (struct partial){seg->no, p->len, p->off, p->skipping};
    } else if (p->id.ino) {
        s->reader->stats.resume_gaps++;
        log_error_for(identity_cause(s->identity), "the start of a line is gone since the last run",
                      KV_STR("hostname", s->identity->hostname), KV_STR("pod", s->identity->pod),
                      KV_INT("bytes", p->len));
    }
    return FIT_YES;
}

/* Declares what is known to be missing where the cursor begins. */
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

static enum resume_result go_on(struct cursor *c, struct segment *seg, const struct state_record *r,
                                bool last_try)
{
    struct mark m = {.pos = {seg->no, seg->gen, r->off},
                     .old = r->old,
                     .skip_line = r->skip_line,
                     .cut_short = r->cut_short,
                     .marker = r->marker,
                     .marker_len = (uint16_t)r->marker_len};

    if (r->at_end) {
        c->end_off = r->off;
        cursor_resolve_end(c, seg);
        return RESUME_OK;
    }
    for (unsigned i = 0; i < 2; i++)
        if (restore_partial(c->stream, &r->part[i], &m.part[i], last_try) == FIT_LATER)
            return RESUME_LATER;
    if (seg->damaged && r->size > seg->size)
        seg->size = r->size;
    /* Something may have been written after it, unless that was reported before. */
    if (seg->damaged && r->off >= seg->size && !seg->exact &&
        !segment_id_same_inode(&seg->id, &r->id))
        seg->size = r->off + 1;
    if (seg->damaged && r->off > seg->readable)
        m.marker_len = 0;
    c->sent = c->acked = m;
    c->since_s = r->since_s;
    c->since_end = (struct position){seg->no, seg->gen, r->since_end};
    return RESUME_OK;
}

/* Only unreadable files can still be the one: the oldest of these. Its rest is lost where reading
 * begins. NULL = none. */
static struct segment *unreadable_one(const struct cursor *c, const struct state_record *r)
{
    list_for_each (it, &c->stream->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (r->at_end || !segment_is_unreadable(seg))
            continue;
        if (seg->size < r->size)
            seg->size = r->size;
        if (seg->size <= r->off) /* what came after it is unknown */
            seg->size = r->off + 1;
        return seg;
    }
    return NULL;
}

static enum resume_result begin_anew(struct cursor *c, const struct state_record *r)
{
    struct segment *seg = stream_segment_by_inode(c->stream, &r->id);
    uint64_t unread = state_record_rest(r);
    bool is_empty = list_empty(&c->stream->segments);

    c->sent = (struct mark){.skip_line = false};
    if (!seg && (seg = unreadable_one(c, r))) {
        c->sent.pos = (struct position){seg->no, seg->gen, r->off};
        c->acked = c->sent;
        return RESUME_OK;
    }
    if (seg)
        c->sent.pos = (struct position){seg->no, seg->gen, 0};
    c->acked = c->sent;
    /* A journal's segment is released when all have passed it; the state may be older. */
    if (!seg && c->stream->identity->network)
        return RESUME_OK;
    /* Its pod is gone, and other drains have a loss to be told of. */
    if (is_empty && c->stream->finished && !state_record_unread(r) && !r->unknown)
        return RESUME_OK;
    if (!seg || r->lost || r->unknown || unread || r->pinned || c->resume->missing.any)
        declare(c, r,
                unread + r->pinned +
                    (is_empty ? r->behind + state_record_partial(r) : c->resume->missing.bytes),
                true);
    return seg ? RESUME_CHANGED : RESUME_GONE;
}

/* The file of a late cursor is missing or another: it reads nothing. */
static enum resume_result end_late(struct cursor *c, const struct state_record *r)
{
    uint64_t unread = state_record_rest(r);

    if (!unread && !r->lost)
        return RESUME_OK;
    declare(c, r, unread, true);
    return RESUME_GONE;
}

/* One look. */
static enum resume_result look(struct cursor *c)
{
    struct resume *res = c->resume;
    const struct state_record *r = &res->record;
    const struct wanted w = {&r->id, r->at_end ? 0 : r->off, r->marker,
                             r->at_end ? 0 : r->marker_len};
    uint64_t now = loop_now(c->stream->reader->loop);
    struct segment *seg = NULL;
    enum fit fit = r->id.ino ? find(c->stream, &w, &seg) : FIT_NO;
    bool last_try =
        c->stream->finished || c->stream->identity->network || (res->until && now >= res->until);

    if (fit == FIT_LATER || cursor_must_wait(c))
        return RESUME_LATER;
    if (!r->id.ino) /* it had no file yet */
        return RESUME_OK;
    if (!c->late)
        res->missing = missing_behind(c->stream, r);
    if (res->missing.later)
        return RESUME_LATER;
    if (seg && (!res->missing.any || last_try)) {
        enum resume_result how = go_on(c, seg, r, last_try);

        if (how == RESUME_OK)
            return how;
    } else if (!seg && last_try) {
        return c->late ? end_late(c, r) : begin_anew(c, r);
    }
    if (!res->until)
        res->until = now + RESUME_LOOK_MS;
    return RESUME_LATER;
}

enum resume_result cursor_resume_again(struct cursor *c)
{
    const struct state_record *r = &c->resume->record;
    enum resume_result how = look(c);

    c->wake_at = loop_now(c->stream->reader->loop) + LOOK_AGAIN_MS;
    if (how == RESUME_LATER)
        return how;
    if (how == RESUME_OK && (r->lost || r->unknown || r->pinned || c->resume->missing.any))
        declare(c, r, r->pinned + c->resume->missing.bytes, /* it was not reported before */
                r->unknown || c->resume->missing.any);
    if (how == RESUME_OK)
        FAULT_POINT("cursor-resumed");
    if (how == RESUME_OK && (r->pinned || c->resume->missing.any))
        how = RESUME_LACKING;
    if (how != RESUME_OK)
        c->stream->reader->stats.resume_gaps++;
    if (how != RESUME_OK && c->resumed)
        c->resumed(c, how, &c->resume->record);
    c->wake_at = 0;
    free(c->resume);
    c->resume = NULL;
    if (c->late)
        late_begin(c);
    late_wake(c);
    return how;
}

void cursor_resume_end(struct cursor *c)
{
    const struct state_record *r = &c->resume->record;
    uint64_t bytes = state_record_rest(r) + state_record_partial(r) + r->pinned + r->behind;

    if (cursor_resume_again(c) != RESUME_LATER)
        return;
    if (bytes || r->lost || r->unknown)
        declare(c, r, bytes, true);
    free(c->resume);
    c->resume = NULL;
}

enum resume_result cursor_resume(struct cursor *c, const struct state_record *r)
{
    c->at_end = false;
    c->resume = xcalloc(1, sizeof(*c->resume));
    c->resume->record = *r;
    return cursor_resume_again(c);
}
