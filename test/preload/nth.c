/*
 * Makes the n-th call of one kind fail, once (S10). LT_NTH names a file with a struct nth: the kind
 * and the number of the call, and the errno; and the number of calls of each kind, for the test.
 * See test/e2e/lib/preload.py. ltnthmalloc.so is the same for the allocator's calls, which a
 * sanitizer needs for itself.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "control.h"

enum kind {
    NTH_MALLOC,
    NTH_OPEN,
    NTH_READ,
    NTH_STAT,
    NTH_WRITE,
    NTH_POLL,
    NTH_SOCKET,
    NTH_WATCH,
    KINDS
};

struct nth {
    volatile int32_t kind, n, error;
    volatile int32_t calls[KINDS];
};

void *__libc_malloc(size_t n);           /* NOLINT(bugprone-reserved-identifier) */
void *__libc_calloc(size_t m, size_t n); /* NOLINT(bugprone-reserved-identifier) */
void *__libc_realloc(void *p, size_t n); /* NOLINT(bugprone-reserved-identifier) */

static struct nth *nth;

/* syscall() of libc, which nothing here defines. */
static bool fails(enum kind kind)
{
    if (!nth && !getenv("LT_NTH")) /* the program is only being started */
        return false;
    if (!nth)
        nth = control_map(syscall, "LT_NTH", sizeof *nth);
    if (__atomic_add_fetch(&nth->calls[kind], 1, __ATOMIC_SEQ_CST) != nth->n ||
        nth->kind != (int32_t)kind)
        return false;
    errno = nth->error;
    return true;
}

#ifdef NTH_WITH_MALLOC
void *malloc(size_t n)
{
    return fails(NTH_MALLOC) ? NULL : __libc_malloc(n);
}

void *calloc(size_t m, size_t n)
{
    return fails(NTH_MALLOC) ? NULL : __libc_calloc(m, n);
}

void *realloc(void *p, size_t n)
{
    return fails(NTH_MALLOC) ? NULL : __libc_realloc(p, n);
}

#endif

int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return fails(NTH_OPEN) ? -1 : (int)syscall(SYS_openat, dir, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return openat(AT_FDCWD, path, flags, mode);
}

ssize_t pread(int fd, void *out, size_t n, off_t at)
{
    return fails(NTH_READ) ? -1 : syscall(SYS_pread64, fd, out, n, at);
}

ssize_t pread64(int fd, void *out, size_t n, off64_t at)
{
    return pread(fd, out, n, at);
}

int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict out)
{
    return fails(NTH_STAT) ? -1 : (int)syscall(SYS_statx, dir, path, flags, mask, out);
}

int fstat(int fd, struct stat *out)
{
    return fails(NTH_STAT) ? -1 : (int)syscall(SYS_fstat, fd, out);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    return fails(NTH_WRITE) ? -1 : syscall(SYS_pwrite64, fd, from, n, at);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    return pwrite(fd, from, n, at);
}

int fdatasync(int fd)
{
    return fails(NTH_WRITE) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
    return fails(NTH_POLL) ? -1 : (int)syscall(SYS_epoll_ctl, ep, op, fd, ev);
}

int socket(int domain, int type, int protocol)
{
    return fails(NTH_SOCKET) ? -1 : (int)syscall(SYS_socket, domain, type, protocol);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return fails(NTH_WATCH) ? -1 : (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}
