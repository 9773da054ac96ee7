/* See json_value.h. */
#include "drains/base/json_value.h"

#include <string.h>

#define SPACE " \t\r\n"

struct str json_after_space(struct str s)
{
    while (s.len && memchr(SPACE, s.p[0], sizeof(SPACE) - 1))
        s = str_skip(s, 1);
    return s;
}

bool json_value(struct str json, struct str key, struct str *value)
{
    const char *at;

    while (json.len && (at = memmem(json.p, json.len, key.p, key.len))) {
        json = json_after_space(str_skip(json, (size_t)(at - json.p) + key.len));
        if (!str_starts(json, STR(":")))
            continue;
        *value = json_after_space(str_skip(json, 1));
        return true;
    }
    return false;
}

bool json_number(struct str json, struct str key, uint64_t max, uint64_t *number)
{
    struct str value;
    size_t n = 0;

    if (!json_value(json, key, &value))
        return false;
    if (str_starts(value, STR("\"")))
        value = str_skip(value, 1);
    while (n < value.len && value.p[n] >= '0' && value.p[n] <= '9')
        n++;
    return str_to_u64(str_head(value, n), max, number);
}
