/*
 * Any bytes as an annotation's list of drains. Invariants:
 *
 *   - the parts are in the list in order, not empty, and without space around them;
 *   - no part contains a separator: ';', a newline, or a ',' before another URL;
 *   - joined again with ';', the list has the same parts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "datasources/datasource.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size), part, again;
    struct buf joined = BUF_INIT(2 * size + 16);
    const char *end = rest.p;
    unsigned parts = 0;

    while (drain_list_next(&rest, &part)) {
        FUZZ_CHECK(part.len > 0 && part.p >= end);
        FUZZ_CHECK(str_eq(str_trim(part), part));
        FUZZ_CHECK(str_find(part, ';') < 0 && str_find(part, '\n') < 0);
        end = part.p + part.len;
        FUZZ_CHECK(buf_add_str(&joined, part) == 0 && buf_add_ch(&joined, ';') == 0);
        parts++;
    }
    FUZZ_CHECK(rest.len == 0);
    rest = buf_str(&joined);
    end = joined.p;
    for (; drain_list_next(&rest, &again); parts--) {
        FUZZ_CHECK(parts > 0);
        FUZZ_CHECK(again.p == end);
        end = again.p + again.len + 1;
    }
    FUZZ_CHECK(parts == 0);
    buf_release(&joined);
    return 0;
}
