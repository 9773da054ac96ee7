/* Turns a test's loop until a condition is true. */
#ifndef TEST_LIB_LOOP_WAIT_H
#define TEST_LIB_LOOP_WAIT_H

#include "base/clock.h"

#define DEADLINE_MS 60000
/* <f>: the fixture that has the loop. */
#define WAIT_FOR(f, condition)                                                                     \
    do {                                                                                           \
        uint64_t until = clock_mono_ms() + DEADLINE_MS;                                            \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > until)                                                           \
                fail_msg("waited too long for: %s", #condition);                                   \
            loop_turn(&(f)->loop, 20);                                                             \
        }                                                                                          \
    } while (0)

#endif
