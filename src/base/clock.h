/*
 * The clocks. Timers and timeouts use the monotonic one only. Wall time is for timestamps in
 * output. Tests may fake both.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
/* Nanoseconds since the epoch. */
int64_t clock_wall_ns(void);
/* CPU that this thread has used. */
uint64_t clock_cpu_ns(void);
/* For tests: stops the clocks at these values. mono_ms = 0 restores the real clocks. */
void clock_fake(uint64_t mono_ms, int64_t wall_ns);
bool clock_is_fake(void);
/* For tests: while the clocks are faked, each call of clock_cpu_ns() gives so much more than the
 * last one. */
void clock_fake_cpu(uint64_t step_ns);

#define CLOCK_TEXT_SIZE 32
/* Writes "2026-11-20T10:15:00.123456Z" (RFC 3339, UTC, six digits) to <out>. Returns its length
 * (27). */
size_t clock_format(char out[CLOCK_TEXT_SIZE], int64_t wall_ns);

/* Seconds since the epoch of a well-formed RFC 3339 time with `Z` or an offset. Fractions are
 * cut. */
int64_t clock_parse(const char *text, size_t len);

#endif
