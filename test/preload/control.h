/*
 * The file through which a test tells a preloaded library what to do, while the daemon runs. The
 * test creates it and names it in an environment variable; both sides map it.
 */
#ifndef PRELOAD_CONTROL_H
#define PRELOAD_CONTROL_H

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Mapped shared, <size> bytes of the file that <variable> names. Called while the program starts,
 * when neither allocation nor another library is ready: so system calls only. */
static inline void *control_map(long (*call)(long number, ...), const char *variable, size_t size)
{
    const char *path = getenv(variable);
    long fd = path ? call(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    long p = fd < 0 ? -1 : call(SYS_mmap, 0L, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);

    if (fd < 0 || (p < 0 && p > -4096)) {
        (void)fprintf(stderr, "preload: no file in %s\n", variable);
        _exit(97);
    }
    (void)call(SYS_close, fd);
    return (void *)p; /* NOLINT(performance-no-int-to-ptr) */
}

#endif
