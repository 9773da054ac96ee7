#include "report/process_facts.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;

    if (!d)
        return 0;
    for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(d); /* only read */
    return n - 1;      /* minus the descriptor of the directory itself */
}

/* Reads the fields of /proc/self/stat from the third on; the second is a name with arbitrary
 * bytes. */
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

void process_facts_read(struct process_facts *out)
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
