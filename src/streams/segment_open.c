/*
 * Opening segments, and checking whether the file at a path is the intended one. A file that cannot
 * be opened now (permissions, I/O errors, no descriptors left) is retried; only a file without a
 * name and without a descriptor is gone. Called by cursors; reads no content.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "loop/loop.h"
#include "streams/cursor_internal.h"
#include "streams/packed.h"
#include "streams/sibling.h"

#define RETRY_SOON_MS 50    /* a rename in progress, or no descriptor left */
#define RETRY_LATER_MS 1000 /* permissions, I/O errors */
#define RETRY_MAX_MS 5000   /* doubled with each retry, up to this */

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

/* Some compressions are unsupported. The loss is at least as long as the file. */
static int give_up_unreadable(struct segment *seg)
{
    struct segment_stat st;

    if (!seg->seen && segment_stat_path(seg->path, &st, NULL) == 0)
        seg->size = st.size > seg->size ? st.size : seg->size;
    return give_up(seg, gap_reason_text(GAP_COMPRESSED));
}

bool segment_look_from_outside(struct segment *seg)
{
    struct segment_stat st;
    struct err e = {0, ""};

    if (segment_stat_path(seg->path, &st, &e) < 0)
        return e.code != ENOENT && e.code != ENOTDIR;
    if (!segment_id_same_inode(&st.id, &seg->id))
        return true;
    if (st.size > seg->size)
        seg->size = st.size;
    if (!seg->seen)
        (void)segment_note_size(seg, is_compressed(seg) ? st.size > 0 : st.size);
    return true;
}

/* Checks that <fd> is the intended file. Takes the descriptor over either way. */
static int adopt(struct segment *seg, int fd)
{
    struct reader *r = seg->stream->reader;
    struct segment_stat st;
    struct err e = {0};

    if (segment_stat_fd(fd, &st, &e) < 0) {
        segment_log_error(seg, &e);
        (void)close(fd);
        return later(seg, RETRY_LATER_MS);
    }
    if (!st.regular || !segment_id_same_inode(&st.id, &seg->id)) {
        (void)close(fd); /* the path has another file by now; a rename will be reported */
        return later(seg, RETRY_SOON_MS);
    }
    if (is_compressed(seg))
        seg->packed = packed_open(fd);
    if (!seg->packed && !seg->seen) {
        seg->sure = 0; /* it may have been truncated since it was measured from outside */
        (void)segment_note_size(seg, st.size);
    }
    if (!seg->packed)
        seg->size = st.size;
    else if (!seg->seen) /* otherwise known from before its compression, or from the last look */
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

/* Opens <path> within the files' share of the descriptors. */
static int open_within_share(struct reader *r, const char *path, int *error)
{
    int fd;

    *error = EMFILE;
    if (!reader_may_open(r))
        return -1;
    fd = file_open_plain(path, O_RDONLY); /* no symlinks by contract; a later one was planted */
    *error = errno;
    if (fd >= 0 || !out_of_descriptors(*error) || !(reader_make_room(r) || reader_close_one(r)))
        return fd;
    fd = file_open_plain(path, O_RDONLY);
    *error = errno;
    return fd;
}

/* The open file is closed only after the other one was opened: no other may have the bytes. */
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
        return EAGAIN;   /* the path has another file; a rename will be reported */
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
        segment_set_readable(seg); /* it seems to be deleted or renamed */
    else
        (void)segment_look_from_outside(seg); /* its lag includes all of it, readable or not */
    if (error == ENOENT || out_of_descriptors(error))
        return later(seg, RETRY_SOON_MS);
    (void)err_sys(&e, error, "open");
    segment_log_error(seg, &e);
    return later(seg, RETRY_LATER_MS);
}
