/*
 * Hardening and figures of the process. Credentials lie in its memory and environment, so it makes
 * no core and cannot be read by others of its user; descriptors are its queue, so it takes as many
 * as it may.
 */
#include "daemon/process.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"

static void complain(const char *what)
{
    log_warn("the system refused a setting", KV_CSTR("setting", what),
             KV_CSTR("error", strerror(errno)));
}

static void raise_open_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0) {
        complain("RLIMIT_NOFILE");
        return;
    }
    /* Not to an unlimited hard limit: there are libraries that keep a table of that size. */
    if (r.rlim_cur >= OPEN_FILES_MAX || r.rlim_cur == r.rlim_max)
        return;
    r.rlim_cur = r.rlim_max < OPEN_FILES_MAX ? r.rlim_max : OPEN_FILES_MAX;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        complain("RLIMIT_NOFILE");
}

void process_harden(void)
{
    const struct rlimit none = {0, 0};

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        complain("SIGPIPE");
    if (signal(SIGIO, SIG_IGN) == SIG_ERR) /* somebody opened a file while we had a lease on it */
        complain("SIGIO");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        complain("PR_SET_DUMPABLE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        complain("PR_SET_NO_NEW_PRIVS");
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        complain("RLIMIT_CORE");
    raise_open_files();
    /* Threads share two arenas, and what is free at the top goes back to the system. */
    (void)mallopt(M_ARENA_MAX, 2); /* 0 would mean an unknown parameter */
    (void)mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

uint64_t process_open_segments(uint64_t workers)
{
    uint64_t own = OPEN_FILES_RESERVE + workers * OPEN_FILES_WORKER, share = 0;
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur > own)
        share = (r.rlim_cur - own) / 2 / workers;
    return share > OPEN_SEGMENTS_MIN ? share : OPEN_SEGMENTS_MIN;
}

static uint64_t count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;

    if (!d)
        return 0;
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(d); /* only read */
    return n - 1;      /* the directory's own */
}

/* The fields of /proc/self/stat from the third on; the second holds a name of any bytes. */
static void read_stat(struct process_facts *out)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    uint64_t threads, vsize, rss;
    const char *p;
    size_t n;

    if (!f)
        return;
    n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f); /* only read */
    text[n] = '\0';
    p = strrchr(text, ')');
    if (!p || sscanf(p + 1,
                     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
                     " %" SCNu64 " %*d %*u %" SCNu64 " %" SCNu64,
                     &threads, &vsize, &rss) != 3)
        return;
    out->threads = threads;
    out->virtual_bytes = vsize;
    out->rss_bytes = rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t tv_ms(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000;
}

void process_facts(struct process_facts *out)
{
    struct rusage usage;
    struct rlimit files;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        out->cpu_ms = tv_ms(usage.ru_utime) + tv_ms(usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        out->max_fds = files.rlim_cur;
    out->open_fds = count_fds();
    read_stat(out);
}
