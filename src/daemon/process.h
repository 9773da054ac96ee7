/*
 * The process itself: what is set once at start (limits, no core dumps, no new privileges), and
 * what /metrics says of it.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <stdint.h>

struct process_facts {
    uint64_t cpu_ms; /* user and system time */
    uint64_t rss_bytes;
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
    uint64_t threads;
    uint64_t start_ms; /* since the epoch */
};

/* Before any thread is started. What the system refuses is logged and does without. */
void process_harden(void);
/* How many segments each of <workers> may have open, so that connections find descriptors, too. */
uint64_t process_open_segments(uint64_t workers);
/* Reads /proc; a figure that cannot be had is 0. <start_ms> is the caller's. */
void process_facts(struct process_facts *out);

#endif
