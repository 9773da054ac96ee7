/*
 * Any bytes as a notification's payload. Invariants:
 *
 *   - one or two ids, and different ones when two; or none, which means a read of all rows;
 *   - each id found is in the payload, as text;
 *   - the result does not change when space is added around the payload.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "datasources/postgres_payload.h"
#include "fuzz.h"

static bool holds(struct str s, const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i + n <= s.len; i++)
        if (strncasecmp(s.p + i, text, n) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str payload = str_make((const char *)data, size);
    struct pg_id ids[2], again[2], parsed;
    char text[PG_ID_TEXT_SIZE];
    unsigned n = pg_payload_ids(payload, ids);
    char *spaced = xmalloc(size + 3);

    FUZZ_CHECK(n <= 2);
    FUZZ_CHECK(n < 2 || memcmp(&ids[0], &ids[1], sizeof(ids[0])) != 0);
    for (unsigned i = 0; i < n; i++) {
        pg_id_format(&ids[i], text);
        FUZZ_CHECK(holds(payload, text));
        FUZZ_CHECK(pg_id_parse(str_of(text), &parsed));
        FUZZ_CHECK(memcmp(&parsed, &ids[i], sizeof(parsed)) == 0);
    }
    spaced[0] = '\n';
    if (size)
        memcpy(spaced + 1, data, size);
    memcpy(spaced + 1 + size, "\t ", 2);
    FUZZ_CHECK(pg_payload_ids(str_make(spaced, size + 3), again) == n);
    FUZZ_CHECK(memcmp(ids, again, n * sizeof(ids[0])) == 0);
    free(spaced);
    return 0;
}
