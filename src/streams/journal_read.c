/*
 * Reading from a cursor in a journal. Simpler than a log file: records are complete and have their
 * length in front, so nothing must be joined, waited for or compared. A segment with a successor
 * does not grow. The last one is read again when the control thread reports growth. A damaged
 * record (on a disk; not in memory) has no trustworthy length: what follows it in its segment is
 * skipped, counted and logged.
 */
#include <errno.h>

#include "base/log.h"
#include "streams/cursor_internal.h"
#include "streams/journal_record.h"

static int damaged(struct cursor *c, struct segment *seg)
{
    struct segment_stat st;

    if (c->original)
        return READ_DRY;
    if (segment_stat_fd(seg->fd, &st, NULL) == 0 && st.size > seg->size)
        seg->size = st.size;
    log_error_for(identity_cause(c->stream->identity),
                  "journal is damaged, the rest of the segment is lost",
                  KV_STR("hostname", c->stream->identity->hostname),
                  KV_CSTR("file", seg->path ? seg->path : "(memory)"),
                  KV_INT("offset", c->sent.pos.off), KV_INT("bytes", seg->size - c->sent.pos.off));
    gap_declare_damaged(c, seg, false);
    return STEP_AGAIN;
}

/* The rest of the segment contains no complete record. */
static int at_end(struct cursor *c, struct segment *seg, size_t left)
{
    struct segment *next = segment_next(seg);

    if (left && (next || c->stream->finished))
        return damaged(c, seg); /* it will not be completed */
    if (!next)
        return c->stream->finished ? READ_END : READ_DRY;
    cursor_move_to(c, next);
    return STEP_AGAIN;
}

/* Takes the records at the start of <bytes>. Returns the bytes taken. *got is why it stopped,
 * JOURNAL_GOT = the sink is full, and *need the bytes that an incomplete record takes. */
static size_t take(struct cursor *c, struct segment *seg, struct str bytes,
                   struct record_sink *sink, enum journal_got *got, size_t *need)
{
    size_t most = seg->stream->reader->max_line + JOURNAL_OVERHEAD_MAX, at = 0;
    struct record_syslog syslog;
    struct record r;

    for (;;) {
        *got = journal_record_get(str_skip(bytes, at), most, seg->path != NULL, &r, &syslog, need);
        if (*got == JOURNAL_SHORT || *got == JOURNAL_DAMAGED)
            return at;
        r.segment = seg->id_hash;
        r.offset = c->sent.pos.off;
        if (*got == JOURNAL_GOT && cursor_emit(c, &r, sink) < 0)
            return at;
        at += *need;
        c->sent.pos.off += *need;
    }
}

/* Reads <n> bytes at `sent` into <into>; the length, or -1 when it cannot be read now. */
static ssize_t look(struct cursor *c, struct segment *seg, char *into, size_t n)
{
    ssize_t got = segment_read(seg, into, n, c->sent.pos.off);

    if (got < 0) {
        cursor_unreadable(c, seg, errno);
        return -1;
    }
    segment_set_readable(seg);
    if (c->sent.pos.off + (uint64_t)got > seg->size)
        seg->size = c->sent.pos.off + (uint64_t)got;
    return got;
}

int journal_step(struct cursor *c, struct segment *seg, size_t max_bytes, struct record_sink *sink)
{
    struct reader *r = seg->stream->reader;
    size_t want = max_bytes < 4096 ? 4096 : max_bytes < READ_CHUNK ? max_bytes : READ_CHUNK;
    uint64_t from = c->sent.pos.off;
    size_t need = 0, taken = 0;
    enum journal_got got;
    ssize_t n = look(c, seg, r->chunk, want);

    if (n < 0)
        return STEP_UNREADABLE;
    taken = take(c, seg, str_make(r->chunk, (size_t)n), sink, &got, &need);
    if (!taken && got == JOURNAL_SHORT && (size_t)n == want && need > want) {
        buf_clear(&r->big);
        if (buf_reserve(&r->big, need) < 0) {
            cursor_unreadable(c, seg, ENOMEM);
            return STEP_UNREADABLE;
        }
        want = need;
        n = look(c, seg, r->big.p, need);
        if (n < 0)
            return STEP_UNREADABLE;
        taken = take(c, seg, str_make(r->big.p, (size_t)n), sink, &got, &need);
    }
    r->stats.bytes_read += c->sent.pos.off - from;
    seg->stream->bytes_read += c->sent.pos.off - from;
    c->sent.marker_len = 0; /* records have their own check */
    if (got == JOURNAL_DAMAGED)
        return damaged(c, seg);
    if (got == JOURNAL_GOT || (size_t)n == want)
        return READ_MORE;
    return at_end(c, seg, (size_t)n - taken);
}
