/*
 * Credentials are in the memory and the environment of the process, so it writes no core file, and
 * other processes of its user cannot read its memory. Open files are its queue, so it raises its
 * limit of open files as far as allowed.
 */
#include "daemon/process.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/log.h"

static void complain(const char *what)
{
    log_warn("cannot change a system setting", KV_CSTR("setting", what),
             KV_CSTR("error", strerror(errno)));
}

static void raise_open_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) < 0) {
        complain("RLIMIT_NOFILE");
        return;
    }
    /* Not to an unlimited hard limit: some libraries keep a table of that size. */
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
    /* Sent when another process opens a file on which we have a lease. */
    if (signal(SIGIO, SIG_IGN) == SIG_ERR)
        complain("SIGIO");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        complain("PR_SET_DUMPABLE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        complain("PR_SET_NO_NEW_PRIVS");
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        complain("RLIMIT_CORE");
    raise_open_files();
    /* Threads share two arenas, and free memory at the top goes back to the system. */
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
