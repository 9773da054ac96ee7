/*
 * statx(2) and the fingerprint. Called when a segment is found, opened or resumed, never per line.
 * A file that cannot be looked at is an error, not a different file: deciding what that means is
 * the caller's.
 */
#include "streams/segment_id.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/map.h"

static void stat_fill(struct segment_stat *st, const struct statx *x)
{
    memset(st, 0, sizeof(*st));
    st->id.dev = makedev(x->stx_dev_major, x->stx_dev_minor);
    st->id.ino = x->stx_ino;
    if (x->stx_mask & STATX_BTIME)
        st->id.btime_ns = x->stx_btime.tv_sec * 1000000000 + x->stx_btime.tv_nsec;
    st->size = x->stx_size;
    st->regular = S_ISREG(x->stx_mode);
    st->linked = x->stx_nlink > 0;
}

#define STAT_WANTED (STATX_TYPE | STATX_NLINK | STATX_INO | STATX_SIZE | STATX_BTIME)

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

/* The first <want> bytes, fewer at the end of the file. */
static int read_first(int fd, char *out, size_t want, size_t *got, struct err *e)
{
    *got = 0;
    while (*got < want) {
        ssize_t n = pread(fd, out + *got, want - *got, (off_t)*got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "segment: cannot read the first bytes of fd %d", fd);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return 0;
}

int segment_id_read_prefix(struct segment_id *id, int fd, struct err *e)
{
    char first[FINGERPRINT_SIZE];
    size_t n;

    if (id->prefix_len >= FINGERPRINT_SIZE)
        return 0;
    if (read_first(fd, first, sizeof(first), &n, e) < 0)
        return -1;
    if (n > id->prefix_len) {
        id->prefix_len = (uint32_t)n;
        id->prefix_hash = hash_stable(first, n);
    }
    return 0;
}

bool segment_id_same_inode(const struct segment_id *a, const struct segment_id *b)
{
    return a->dev == b->dev && a->ino == b->ino &&
           (a->btime_ns == b->btime_ns || a->btime_ns == 0 || b->btime_ns == 0);
}

int segment_id_check(const struct segment_id *id, int fd, struct err *e)
{
    char first[FINGERPRINT_SIZE];
    struct segment_stat st;
    size_t n, want = id->prefix_len;

    if (segment_stat_fd(fd, &st, e) < 0)
        return -1;
    if (!segment_id_same_inode(id, &st.id))
        return 0;
    if (want > sizeof(first)) /* nobody hashed that many */
        return 0;
    if (read_first(fd, first, want, &n, e) < 0)
        return -1;
    return n == want && (n == 0 || hash_stable(first, n) == id->prefix_hash);
}

uint64_t segment_id_hash(const struct segment_id *id)
{
    uint64_t fields[3] = {id->dev, id->ino, (uint64_t)id->btime_ns};

    return hash_stable(fields, sizeof(fields));
}
