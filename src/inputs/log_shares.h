/*
 * How many logs of pods are followed at a time. Each costs memory, whether anybody wants it or not,
 * and a pod may have a thousand containers. So all of them have a budget (LOGS_MAX), of which each
 * namespace has a share, and what is guaranteed to it comes from a reserve.
 */
#ifndef INPUTS_LOG_SHARES_H
#define INPUTS_LOG_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/str.h"

struct log_shares {
    struct map spaces; /* of struct log_space, by namespace */
    uint64_t all;
};

void log_shares_init(struct log_shares *l);
void log_shares_release(struct log_shares *l);
struct log_space;
/* One log more of <namespace>, to be given back; NULL: it has too many. */
struct log_space *log_shares_take(struct log_shares *l, struct str namespace);
void log_shares_drop(struct log_shares *l, struct log_space *s); /* NULL is fine */

#endif
