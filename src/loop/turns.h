/*
 * How long the turns of a loop are, from wake-up until the next sleep. A long turn delays
 * everything else on that loop.
 */
#ifndef LOOP_TURNS_H
#define LOOP_TURNS_H

#include <stdint.h>

#include "loop/loop.h"

struct turns {
    uv_prepare_t sleeping; /* about to wait for events */
    uv_check_t woke;
    uint64_t woke_ms;
    uint64_t max_ms;
};

void turns_watch(struct turns *t, struct loop *l);
/* The longest turn since the last call. */
uint64_t turns_take_max(struct turns *t);
/* <t> must live until loop_release() returns. */
void turns_unwatch(struct turns *t);

#endif
