/*
 * Answers of Elasticsearch to a bulk request of three records. Invariants: each record has an
 * outcome from the table, or the result of all is unknown; DELIVERED and MIXED mean that every item
 * was present; reasons are our own text, except for the error's type.
 */
#include "fuzz.h"

#include <string.h>

#include "drains/members/bulk_answer.h"

#define RECORDS 3

static const char request[] =
    "{\"create\":{\"_index\":\"a\",\"_id\":\"a-0\"}}\n{\"message\":\"x\"}\n"
    "{\"create\":{\"_index\":\"a\",\"_id\":\"a-1\"}}\n{\"message\":\"y\"}\n"
    "{\"create\":{\"_index\":\"a\",\"_id\":\"a-2\"}}\n{\"message\":\"z\"}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char outcomes[RECORDS] = {VERDICT_DELIVERED, VERDICT_DELIVERED, VERDICT_DELIVERED};
    struct err why = {0, ""}, refusal = {0, ""};
    enum verdict v = bulk_answer_read(str_make((const char *)data, size), STR(request), RECORDS,
                                      outcomes, &why, &refusal);
    bool all = true, again = false, refused = false;

    FUZZ_CHECK(v == VERDICT_DELIVERED || v == VERDICT_MIXED || v == VERDICT_RETRY ||
               v == VERDICT_HOLD);
    if (v == VERDICT_RETRY || v == VERDICT_HOLD) {
        FUZZ_CHECK(why.code != 0);
        return 0;
    }
    for (size_t i = 0; i < RECORDS; i++) {
        all = all && outcomes[i] == VERDICT_DELIVERED;
        again = again || outcomes[i] == VERDICT_RETRY || outcomes[i] == VERDICT_HOLD;
        refused = refused || outcomes[i] == VERDICT_REJECTED;
        FUZZ_CHECK(outcomes[i] == VERDICT_DELIVERED || outcomes[i] == VERDICT_RETRY ||
                   outcomes[i] == VERDICT_HOLD || outcomes[i] == VERDICT_REJECTED);
    }
    FUZZ_CHECK(all == (v == VERDICT_DELIVERED));
    FUZZ_CHECK(again == (why.code != 0) && refused == (refusal.code != 0));
    return 0;
}
