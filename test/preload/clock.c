/*
 * Steps the clocks of a program: LT_CLOCK names a file of two int64, nanoseconds to add to the wall
 * clock and to the monotonic one. Timers of the loop follow the latter when the loop next wakes;
 * nothing here wakes it. See test/e2e/lib/preload.py.
 */
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#include "control.h"

#define NS 1000000000

struct clocks {
    volatile int64_t wall_ns, mono_ns;
};

static struct clocks *clocks;

static int64_t offset(clockid_t id)
{
    if (!clocks)
        clocks = control_map(syscall, "LT_CLOCK", sizeof *clocks);
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return clocks->wall_ns;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
        return clocks->mono_ns;
    default:
        return 0;
    }
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    long rc = syscall(SYS_clock_gettime, id, ts);
    int64_t add = offset(id), ns;

    if (rc == 0 && add) {
        ns = ts->tv_nsec + add % NS;
        ts->tv_sec += add / NS + (ns < 0 ? -1 : ns / NS);
        ts->tv_nsec = ns < 0 ? ns + NS : ns % NS;
    }
    return (int)rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_REALTIME, &ts);
    if (out)
        *out = ts.tv_sec;
    return ts.tv_sec;
}
