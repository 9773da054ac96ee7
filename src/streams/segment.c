/*
 * Segments: finding one in its stream, and the properties of an open one: its bytes, who can write
 * to it, whether a compressed one is damaged. Opening them is segment_open.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"
#include "streams/packed.h"

#define CHECK_BYTES (128 * 1024) /* of a compressed file, inflated at a time to check it */

struct segment *stream_segment(struct stream *s, uint32_t no)
{
    /* The requested one is nearly always the last. */
    for (struct list *it = s->segments.prev; it != &s->segments; it = it->prev) {
        struct segment *seg = list_entry(it, struct segment, node);
        if (seg->no == no)
            return seg;
    }
    return NULL;
}

struct segment *stream_segment_by_inode(struct stream *s, const struct segment_id *id)
{
    list_for_each (it, &s->segments) {
        struct segment *seg = list_entry(it, struct segment, node);

        if (segment_id_same_inode(&seg->id, id))
            return seg;
    }
    return NULL;
}

struct segment *segment_next(const struct segment *seg)
{
    return seg->node.next == &seg->stream->segments
               ? NULL
               : list_entry(seg->node.next, struct segment, node);
}

void segment_close(struct segment *seg)
{
    if (seg->fd < 0 || seg->lent)
        return;
    packed_close(seg->packed);
    (void)close(seg->fd); /* only read from: nothing can be lost */
    seg->packed = NULL;
    seg->fd = -1;
    seg->stream->reader->pinned += seg->nameless;
    seg->nameless = false;
    list_del(&seg->lru);
    seg->stream->reader->stats.open_segments--;
}

uint64_t segment_disk_bytes(const struct segment *seg)
{
    struct segment_stat st;

    return segment_stat_fd(seg->fd, &st, NULL) == 0 ? st.size : seg->size;
}

/* The kernel grants a read lease on a file only while no process has it open for writing. The lease
 * is released at once; a process that opens the file in between waits that long. Refused to
 * processes that do not own the file and lack CAP_LEASE. */
enum segment_writers segment_writers(const struct segment *seg)
{
    if (fcntl(seg->fd, F_SETLEASE, F_RDLCK) < 0)
        return errno == EAGAIN ? WRITERS_SOME : WRITERS_UNKNOWN;
    (void)fcntl(seg->fd, F_SETLEASE, F_UNLCK); /* it is ours, so it can be released */
    return WRITERS_NONE;
}

void segment_log_error(struct segment *seg, const struct err *e)
{
    struct reader *r = seg->stream->reader;

    r->stats.unreadable++;
    if (seg->unreadable)
        return;
    seg->unreadable = true;
    log_warn_for(identity_cause(seg->stream->identity), "log file unreadable, will retry",
                 KV_CSTR("file", seg->path ? seg->path : "(deleted)"), KV_ERR(e));
    if (r->unreadable)
        r->unreadable(r, seg, true);
}

void segment_set_readable(struct segment *seg)
{
    struct reader *r = seg->stream->reader;

    if (!seg->unreadable)
        return;
    seg->unreadable = false;
    if (r->unreadable)
        r->unreadable(r, seg, false);
}

void segment_unreadable(struct segment *seg, int error)
{
    struct err e = {0};

    (void)err_sys(&e, error, "read");
    segment_log_error(seg, &e);
    if (error == ESTALE && seg->path)
        segment_close(seg);
}

/* In the state, some cursor may have nothing unread, or the file may be empty. It must be written
 * then: the files may be deleted while we do not run. */
bool segment_note_size(struct segment *seg, uint64_t size)
{
    struct stream *s = seg->stream;

    if (size <= seg->sure)
        return false;
    s->reader->stats.acks += s->saved_dry || !seg->sure;
    s->saved_dry = false;
    seg->sure = size;
    return true;
}

/* The compressor may still be writing, unless it renames the file when it is complete. */
static bool still_written(struct segment *seg)
{
    uint64_t now = loop_now(seg->stream->reader->loop), size = segment_disk_bytes(seg);

    if (!seg->torn_at || seg->torn_size != size) {
        seg->torn_at = now ? now : 1;
        seg->torn_size = size;
    }
    return now < seg->torn_at + GZ_SETTLE_MS;
}

static void settle_packed(struct segment *seg, enum packed_state state,
                          const struct packed_facts *facts)
{
    uint64_t known = seg->sure > facts->size ? seg->sure : facts->size;

    seg->checked = true;
    seg->stamp = facts->stamp;
    seg->damaged = state != PACKED_WHOLE || (facts->trailing && known > facts->size);
    seg->exact = facts->exact;
    seg->readable = facts->readable;
    seg->size = facts->size;
    if (!seg->damaged && facts->trailing)
        log_warn_for(identity_cause(seg->stream->identity),
                     "trailing data after the end of a compressed log file, skipped",
                     KV_CSTR("file", seg->path ? seg->path : "(deleted)"));
    if (!seg->damaged)
        return;
    seg->size = known > facts->readable ? known : facts->readable + 1;
    log_error_for(
        identity_cause(seg->stream->identity),
        "compressed log file is damaged, its unreadable part is lost",
        KV_CSTR("file", seg->path ? seg->path : "(deleted)"),
        KV_STR("hostname", seg->stream->identity->hostname),
        KV_CSTR("damage", state == PACKED_TORN ? "it ends too early" : "it does not inflate"),
        KV_INT("readable", seg->readable), KV_INT("bytes_at_least", seg->size));
}

int segment_check(struct segment *seg)
{
    struct packed_facts facts;
    enum packed_state state;

    if (!seg->packed || seg->checked)
        return 1;
    state = packed_check(seg->packed, CHECK_BYTES, &facts);
    if (state == PACKED_UNKNOWN)
        return errno ? -1 : 0;
    if (state == PACKED_TORN && still_written(seg)) {
        errno = EAGAIN;
        return -1;
    }
    settle_packed(seg, state, &facts);
    return 1;
}

ssize_t segment_read(struct segment *seg, void *into, size_t n, uint64_t off)
{
    ssize_t got;

    if (seg->packed) {
        uint64_t left = !seg->damaged ? n : off < seg->readable ? seg->readable - off : 0;

        got = packed_read(seg->packed, into, n < left ? n : (size_t)left, off);
        if (!seg->checked || packed_stamp(seg->fd) == seg->stamp)
            return got;
        seg->checked = false; /* damaged, or repaired, while it is read: these bytes may be mixed */
        errno = EAGAIN;
        return -1;
    }
    do {
        got = pread(seg->fd, into, n, (off_t)off);
    } while (got < 0 && errno == EINTR);
    return got;
}

void segment_read_prefix(struct segment *seg)
{
    char bytes[FINGERPRINT_SIZE];
    ssize_t got;

    if (seg->id.prefix_len >= FINGERPRINT_SIZE)
        return;
    got = segment_read(seg, bytes, sizeof(bytes), 0);
    if (got <= (ssize_t)seg->id.prefix_len || !segment_begins_with(&seg->id, bytes, (size_t)got))
        return; /* all is known; or it is another file, which its reader must detect */
    seg->id.prefix_len = (uint32_t)got;
    seg->id.prefix_hash = hash_stable(bytes, (size_t)got);
}

void segment_settle_id(struct segment *seg)
{
    char bytes[FINGERPRINT_SIZE];
    ssize_t got = seg->id_settled ? 0 : segment_read(seg, bytes, sizeof(bytes), 0);
    struct str first = str_make(bytes, got > 0 ? (size_t)got : 0);
    ptrdiff_t lf = str_find(first, '\n'), space = str_find(first, ' ');
    uint64_t parts[2];

    if (lf < 0 && first.len < sizeof(bytes))
        return;
    seg->id_settled = true;
    if (lf >= 0)
        first = str_head(first, (size_t)lf);
    if (space <= 0 || !decode_time_valid(str_head(first, (size_t)space)))
        return; /* its lines may begin like another file's */
    parts[0] = hash_stable(first.p, first.len);
    parts[1] = seg->stream->key;
    seg->id_hash = hash_stable(parts, sizeof(parts));
}

bool segment_begins_with(const struct segment_id *id, const char *p, size_t n)
{
    return !id->prefix_len ||
           (id->prefix_len <= n && hash_stable(p, id->prefix_len) == id->prefix_hash);
}

bool segment_prefix_changed(struct segment *seg)
{
    char bytes[FINGERPRINT_SIZE];
    ssize_t got = segment_read(seg, bytes, seg->id.prefix_len, 0);

    return got >= 0 && !segment_begins_with(&seg->id, bytes, (size_t)got);
}
