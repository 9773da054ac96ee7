/*
 * Whole small files. A file is read in one piece, so that growing the buffer leaves no copy of a
 * secret behind.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_fd(int fd, const char *path, struct buf *out, struct err *e)
{
    struct stat st;
    size_t size;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return err_sys(e, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "cannot read %s: not a regular file", path);
    size = (size_t)st.st_size;
    if (buf_reserve(out, size) < 0)
        return err_set(e, EFBIG, "cannot read %s: it is too long", path);
    do {
        n = read(fd, out->p + out->len, size - out->len);
        if (n < 0 && errno != EINTR)
            return err_sys(e, errno, "cannot read %s", path);
        out->len += n > 0 ? (size_t)n : 0;
    } while (n && out->len < size);
    out->p[out->len] = '\0';
    return 0;
}

int file_read(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* do not block on a FIFO */
    int rc;

    buf_clear(out);
    if (fd < 0)
        return err_sys(e, errno, "cannot read %s", path);
    rc = read_fd(fd, path, out, e);
    (void)close(fd); /* nothing was written to it */
    return rc;
}

int file_open_plain(const char *path, int flags)
{
    struct open_how how = {.resolve = RESOLVE_NO_SYMLINKS};
    long fd;

    flags |= O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    how.flags = (uint64_t)flags;
    fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open(path, flags);
    return (int)fd;
}

int file_write_all(int fd, struct str s)
{
    while (s.len) {
        ssize_t n = write(fd, s.p, s.len);

        if (n < 0 && errno != EINTR)
            return -1;
        s = str_skip(s, n < 0 ? 0 : (size_t)n);
    }
    return 0;
}

int file_write(const char *path, struct str text, struct err *e)
{
    struct buf tmp = BUF_INIT(4096);
    int fd = -1, rc = -1;

    if (buf_addf(&tmp, "%s.tmp", path) < 0)
        (void)err_set(e, ENAMETOOLONG, "%s: too long", path);
    else if ((fd = open(tmp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0 ||
             file_write_all(fd, text) < 0 || rename(tmp.p, path) < 0)
        (void)err_sys(e, errno, "cannot write %s", path);
    else
        rc = 0;
    if (fd >= 0)
        (void)close(fd); /* write() has reported any error */
    buf_release(&tmp);
    return rc;
}
