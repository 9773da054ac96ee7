/*
 * What the process sets for itself once at start: limits, no core dumps, no new privileges.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <stdint.h>

/* Call before any thread is started. A setting that the system refuses is logged, and is not an
 * error. */
void process_harden(void);
/* How many segments each of <workers> may keep open, so that descriptors remain for connections. */
uint64_t process_open_segments(uint64_t workers);

#endif
