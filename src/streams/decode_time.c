/* Times in lines, for everybody who does not scan one in a line; see decode_time.h. */
#include "streams/decode_time.h"

#include "streams/decode.h"

bool decode_time_end_valid(struct str s)
{
    size_t at = 0;

    if (s.len && s.p[0] == '.') {
        while (++at < s.len && at <= 9 && is_digit(s.p[at]))
            continue;
        if (at == 1)
            return false;
    }
    return s.len - at == 6 ? offset_valid(s.p + at) : s.len - at == 1 && s.p[at] == 'Z';
}

bool decode_time_valid(struct str s)
{
    return s.len >= TIME_MIN && date_time_valid(s.p) && decode_time_end_valid(str_skip(s, 19));
}
