/*
 * Makes file calls fail: LT_FILES names a file with RULES rules. Each is an errno value for some
 * kinds of calls on paths that contain a text, after a number of them have passed.
 * test/e2e/lib/preload.py writes them.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "control.h"

#define RULES 8

enum kind {
    KIND_OPEN = 1 << 0,
    KIND_READ = 1 << 1,
    KIND_STAT = 1 << 2,
    KIND_LIST = 1 << 3,
    KIND_WATCH = 1 << 4,    /* inotify_add_watch */
    KIND_INSTANCE = 1 << 5, /* inotify_init1 */
    KIND_CHANGE = 1 << 6,   /* open and openat for writing, mkdir */
    KIND_WRITE = 1 << 7,    /* pwrite, fdatasync */
};

struct rule {
    volatile int32_t kinds; /* 0 = no rule */
    int32_t error;
    volatile int32_t pass; /* number of calls to let through first */
    volatile int32_t hits; /* number of calls that have failed */
    char match[240];
};

static struct rule *rules;

static long call(long number, ...)
{
    static long (*real)(long number, ...);
    long a[6];
    va_list ap;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "syscall");
    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* True = the call is to fail, and errno says how. */
static bool fails(enum kind kind, const char *path)
{
    if (!rules)
        rules = control_map(call, "LT_FILES", RULES * sizeof *rules);
    for (struct rule *r = rules; r < rules + RULES; r++) {
        if (!(r->kinds & (int32_t)kind) || !strstr(path, r->match))
            continue;
        if (__atomic_fetch_sub(&r->pass, 1, __ATOMIC_SEQ_CST) > 0)
            continue;
        (void)__atomic_store_n(&r->pass, 0, __ATOMIC_SEQ_CST);
        (void)__atomic_add_fetch(&r->hits, 1, __ATOMIC_SEQ_CST);
        errno = r->error;
        return true;
    }
    return false;
}

static bool fails_fd(enum kind kind, int fd)
{
    char link[32], path[512];
    long n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = call(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return fails(kind, path);
}

long syscall(long number, ...)
{
    long a[6];
    va_list ap;

    va_start(ap, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_openat2 && fails(KIND_OPEN, (const char *)a[1])) /* NOLINT */
        return -1;
    return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
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

int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;

    va_start(ap, flags);
    mode = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if ((flags & O_ACCMODE) != O_RDONLY && fails(KIND_CHANGE, path))
        return -1;
    return fails(KIND_OPEN, path) ? -1 : (int)call(SYS_openat, dir, path, flags, mode);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(KIND_CHANGE, path) ? -1 : (int)call(SYS_mkdirat, AT_FDCWD, path, mode);
}

DIR *opendir(const char *path)
{
    static DIR *(*real)(const char *path);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    return fails(KIND_LIST, path) ? NULL : real(path);
}

int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict out)
{
    if (path[0] ? fails(KIND_STAT, path) : fails_fd(KIND_STAT, dir))
        return -1;
    return (int)call(SYS_statx, dir, path, flags, mask, out);
}

ssize_t pread(int fd, void *out, size_t n, off_t at)
{
    return fails_fd(KIND_READ, fd) ? -1 : call(SYS_pread64, fd, out, n, at);
}

ssize_t pread64(int fd, void *out, size_t n, off64_t at)
{
    return pread(fd, out, n, at);
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    return fails_fd(KIND_WRITE, fd) ? -1 : call(SYS_pwrite64, fd, from, n, at);
}

ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at)
{
    return pwrite(fd, from, n, at);
}

int fdatasync(int fd)
{
    return fails_fd(KIND_WRITE, fd) ? -1 : (int)call(SYS_fdatasync, fd);
}

int inotify_init1(int flags)
{
    return fails(KIND_INSTANCE, "") ? -1 : (int)call(SYS_inotify_init1, flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return fails(KIND_WATCH, path) ? -1 : (int)call(SYS_inotify_add_watch, fd, path, mask);
}
