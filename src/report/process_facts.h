/*
 * Figures of the process for /metrics, from /proc and getrusage().
 */
#ifndef REPORT_PROCESS_FACTS_H
#define REPORT_PROCESS_FACTS_H

#include <stdint.h>

struct process_facts {
    uint64_t cpu_ms; /* user and system time */
    uint64_t rss_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    uint64_t threads;
    uint64_t start_ms; /* since the epoch; set by the caller */
};

/* A figure that cannot be read is 0. */
void process_facts_read(struct process_facts *out);

#endif
