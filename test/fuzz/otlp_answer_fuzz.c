/*
 * Answers of an OTLP receiver to a request that it took. Invariants: no number is read that int64
 * does not have; an answer without a digit of its own in JSON, or without bytes, rejects nothing.
 */
#include "fuzz.h"

#include <string.h>

#include "drains/members/otlp_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t rejected = otlp_answer_rejected(str_make((const char *)data, size));

    FUZZ_CHECK(rejected <= INT64_MAX);
    FUZZ_CHECK(!rejected || size >= 4); /* 0a 02 08 01 */
    FUZZ_CHECK(!rejected || data[0] != '{' || memmem(data, size, "ejected", 7));
    return 0;
}
