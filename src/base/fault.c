/* See fault.h. Any thread may pass a point; the count is over all of them. */
#include "base/fault.h"

#ifdef LOGTRAIN_FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void fault_point(const char *name)
{
    static atomic_ulong passed;
    const char *wanted = getenv("LT_FAULT"); /* nothing changes the environment */
    size_t n = strlen(name);

    if (!wanted || strncmp(wanted, name, n) != 0 || wanted[n] != ':')
        return;
    if (atomic_fetch_add(&passed, 1) + 1 == strtoul(wanted + n + 1, NULL, 10))
        (void)raise(SIGKILL); /* does not return */
}

#endif
