/* For the fuzz targets: the entry point that libFuzzer and replay_main.c call, and the check of an
 * invariant. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            BUG("not so: %s", #condition);                                                         \
    } while (0)

#endif
