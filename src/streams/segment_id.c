/*
 * statx(2) and its results. Called when a segment is found, opened or resumed, never per line. A
 * file that cannot be examined is an error, not a different file: the caller decides what that
 * means.
 */
#include "streams/segment_id.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/map.h"

static void stat_fill(struct segment_stat *st, const struct statx *x)
{
    memset(st, 0, sizeof(*st));
    st->id.dev = makedev(x->stx_dev_major, x->stx_dev_minor);
    st->id.ino = x->stx_ino;
    if (x->stx_mask & STATX_BTIME)
        st->id.btime_ns = x->stx_btime.tv_sec * 1000000000 + x->stx_btime.tv_nsec;
    st->size = x->stx_size;
    st->mtime_ns = x->stx_mtime.tv_sec * 1000000000 + x->stx_mtime.tv_nsec;
    st->regular = S_ISREG(x->stx_mode);
    st->linked = x->stx_nlink > 0;
}

#define STAT_WANTED (STATX_TYPE | STATX_NLINK | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_BTIME)

int segment_stat_fd(int fd, struct segment_stat *st, struct err *e)
{
    struct statx x;

    if (statx(fd, "", AT_EMPTY_PATH, STAT_WANTED, &x) < 0)
        return err_sys(e, errno, "segment: cannot look at fd %d", fd);
    stat_fill(st, &x);
    return 0;
}

int segment_stat_path(const char *path, struct segment_stat *st, struct err *e)
{
    struct statx x;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STAT_WANTED, &x) < 0)
        return err_sys(e, errno, "segment: cannot look at '%s'", path);
    stat_fill(st, &x);
    return 0;
}

bool segment_id_same_inode(const struct segment_id *a, const struct segment_id *b)
{
    return a->dev == b->dev && a->ino == b->ino &&
           (a->btime_ns == b->btime_ns || a->btime_ns == 0 || b->btime_ns == 0);
}

uint64_t segment_id_hash(const struct segment_id *id)
{
    uint64_t fields[3] = {id->dev, id->ino, (uint64_t)id->btime_ns};

    return hash_stable(fields, sizeof(fields));
}
