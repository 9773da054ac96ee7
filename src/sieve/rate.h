/*
 * rate=N/s[,BURST]: so many lines, each so long after the one before; BURST of them at once. A leaky
 * bucket (GCRA), in which one number is all that is remembered: the time at which the bucket will be
 * empty.
 */
#ifndef SIEVE_RATE_H
#define SIEVE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct rate {
    int64_t interval_ns; /* 0 = no limit */
    int64_t burst_ns;    /* by which the bucket may be filled when a line comes */
};

/* "1000/s", "100/m", "5000/h", each perhaps with ",BURST"; without, the burst is N. */
int rate_parse(struct rate *r, struct str v, struct err *e);
/* Nanoseconds since the epoch of a well-formed RFC 3339 time. */
int64_t rate_time(struct str time);
/* A line of the time <t>: is it within the rate? */
bool rate_take(const struct rate *r, int64_t t, int64_t *empty_at);

#endif
