/*
 * Segments: opening, closing, and knowing whether the file behind a name is the one that was meant.
 * A file that cannot be opened now (rights, I/O errors, no descriptors left) is tried again; only a
 * file without a name and without a descriptor is gone. Called by cursors; reads no content.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "loop/loop.h"
#include "streams/packed.h"
#include "streams/sibling.h"
#include "streams/stream.h"

#define CHECK_BYTES (128 * 1024) /* of a compressed file, inflated at a time to check it */
#define RETRY_SOON_MS 50         /* a name that is about to change, or no descriptor left */
#define RETRY_LATER_MS 1000      /* rights, I/O errors */
#define RETRY_MAX_MS 5000        /* each further time twice as long, up to this */

/* The path has no symlinks by contract; one that turns up now was put there by somebody. */
static int open_plain(const char *path)
{
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);

    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open(path, flags);
    return (int)fd;
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

/* The kernel grants a read lease on a file only while nobody has it open for writing. It is given
 * back at once: whoever opens the file in between waits for that long. Refused to those who do not
 * own the file and may not override that (CAP_LEASE). */
enum segment_writers segment_writers(const struct segment *seg)
{
    if (fcntl(seg->fd, F_SETLEASE, F_RDLCK) < 0)
        return errno == EAGAIN ? WRITERS_SOME : WRITERS_UNKNOWN;
    (void)fcntl(seg->fd, F_SETLEASE, F_UNLCK); /* it is ours, so it can be given back */
    return WRITERS_NONE;
}

static void complain(struct segment *seg, const struct err *e)
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

/* It lags behind as much as there is, whether it can be read or not. */
static void look_from_outside(struct segment *seg)
{
    struct segment_stat st;

    if (segment_stat_path(seg->path, &st, NULL) == 0 && segment_id_same_inode(&st.id, &seg->id) &&
        st.size > seg->size)
        seg->size = st.size;
}

void segment_unreadable(struct segment *seg, int error)
{
    struct err e = {0};

    (void)err_sys(&e, error, "read");
    complain(seg, &e);
    if (error == ESTALE && seg->path)
        segment_close(seg);
}

static int give_up(struct segment *seg, const char *why)
{
    log_warn_for(identity_cause(seg->stream->identity), "log file is gone",
                 KV_CSTR("file", seg->path ? seg->path : "(no name left)"),
                 KV_STR("hostname", seg->stream->identity->hostname), KV_CSTR("reason", why));
    seg->gone = true;
    return -1;
}

static int later(struct segment *seg, uint64_t ms)
{
    uint64_t twice = seg->retry_ms * 2;

    seg->retry_ms = (uint32_t)(twice < ms ? ms : twice < RETRY_MAX_MS ? twice : RETRY_MAX_MS);
    seg->retry_at = loop_now(seg->stream->reader->loop) + seg->retry_ms;
    return -1;
}

static bool is_compressed(const struct segment *seg)
{
    return seg->path && str_ends(str_of(seg->path), STR(".gz"));
}

bool segment_is_unreadable(const struct segment *seg)
{
    return seg->path && !sibling_readable(str_of(seg->path));
}

/* Some compressions are not read here. What is lost with it is at least as long as the file. */
static int give_up_unreadable(struct segment *seg)
{
    struct segment_stat st;

    if (!seg->seen && segment_stat_path(seg->path, &st, NULL) == 0)
        seg->size = st.size > seg->size ? st.size : seg->size;
    return give_up(seg, gap_reason_text(GAP_COMPRESSED));
}

/* Whoever compresses may not be done, where he does not rename the file when it is whole. */
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
        seg->checked = false; /* damaged, or mended, while it is read: these bytes may be mixed */
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
        return; /* all is known; or it is another file, which whoever reads it has to find out */
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
        return; /* its lines may well begin as another file's do */
    parts[0] = hash_stable(first.p, first.len);
    parts[1] = identity_key(seg->stream->identity);
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

/* Is <fd> the file that was meant? Takes the descriptor over either way. */
static int adopt(struct segment *seg, int fd)
{
    struct reader *r = seg->stream->reader;
    struct segment_stat st;
    struct err e = {0};

    if (segment_stat_fd(fd, &st, &e) < 0) {
        complain(seg, &e);
        (void)close(fd);
        return later(seg, RETRY_LATER_MS);
    }
    if (!st.regular || !segment_id_same_inode(&st.id, &seg->id)) {
        (void)close(fd); /* the name belongs to another file by now; the new name is on its way */
        return later(seg, RETRY_SOON_MS);
    }
    if (is_compressed(seg))
        seg->packed = packed_open(fd);
    if (!seg->packed)
        seg->size = st.size;
    else if (!seg->seen) /* else it is known from when it was not compressed yet, or from the last
                            look */
        seg->size = packed_guess_size(fd, st.size);
    seg->fd = fd;
    seg->retry_ms = 0;
    seg->seen = true;
    segment_read_prefix(seg);
    segment_settle_id(seg);
    list_add_tail(&r->open, &seg->lru);
    r->stats.open_segments++;
    FAULT_POINT("segment-opened");
    return 0;
}

static bool out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE;
}

/* As open_plain(), within the files' share of the descriptors. */
static int open_within_share(struct reader *r, const char *path, int *error)
{
    int fd;

    *error = EMFILE;
    if (!reader_may_open(r))
        return -1;
    fd = open_plain(path);
    *error = errno;
    if (fd >= 0 || !out_of_descriptors(*error) || !(reader_make_room(r) || reader_close_one(r)))
        return fd;
    fd = open_plain(path);
    *error = errno;
    return fd;
}

/* What is open goes only when the other is had: nothing else may have the bytes. */
int segment_open_packed(struct segment *seg)
{
    struct segment_stat st;
    int error, fd = open_within_share(seg->stream->reader, seg->path, &error);

    seg->unpackable = fd < 0 || segment_stat_fd(fd, &st, NULL) < 0 || !st.regular ||
                      !segment_id_same_inode(&st.id, &seg->id);
    if (fd < 0)
        return error;
    if (seg->unpackable) {
        (void)close(fd); /* nothing was read or written */
        return EAGAIN;   /* the name is another file's; the new name is on its way */
    }
    segment_close(seg);
    (void)adopt(seg, fd); /* or it is opened again when it is read */
    return 0;
}

int segment_ensure_open(struct segment *seg)
{
    struct reader *r = seg->stream->reader;
    struct err e = {0};
    int fd, error;

    if (seg->lent)
        return 0;
    if (seg->fd >= 0) {
        list_del(&seg->lru);
        list_add_tail(&r->open, &seg->lru);
        return 0;
    }
    if (seg->gone)
        return -1;
    if (!seg->path)
        return give_up(seg, "deleted before it could be read");
    if (segment_is_unreadable(seg))
        return give_up_unreadable(seg);
    if (loop_now(r->loop) < seg->retry_at)
        return -1;
    fd = open_within_share(r, seg->path, &error);
    if (fd >= 0)
        return adopt(seg, fd);
    if (error == ENOENT)
        segment_set_readable(seg); /* as far as one can tell: it has gone, or another name */
    if (error == ENOENT || out_of_descriptors(error))
        return later(seg, RETRY_SOON_MS);
    (void)err_sys(&e, error, "open");
    complain(seg, &e);
    look_from_outside(seg);
    return later(seg, RETRY_LATER_MS);
}
