/* See rate.h. */
#include "sieve/rate.h"

#include <errno.h>

#include "base/clock.h"
#include "base/limits.h"

#define SECOND INT64_C(1000000000)
/* Lines of one stream may be out of order by so much; more, and its clock was set back. */
#define BACK_NS (10 * SECOND)
/* Times behind it (in 2128) are it, so that nothing overflows. */
#define SECONDS_MAX INT64_C(5000000000)

static int64_t unit_ns(struct str unit)
{
    if (str_eq(unit, STR("s")))
        return SECOND;
    if (str_eq(unit, STR("m")))
        return 60 * SECOND;
    return str_eq(unit, STR("h")) ? 3600 * SECOND : 0;
}

static bool parse(struct rate *r, struct str v)
{
    ptrdiff_t comma = str_find(v, ','), slash = str_find(v, '/');
    struct str rate = comma < 0 ? v : str_head(v, (size_t)comma), count;
    struct str most = comma < 0 ? STR("") : str_skip(v, (size_t)comma + 1);
    uint64_t n, burst;
    int64_t unit;

    if (slash < 0 || !str_cut(&rate, '/', &count))
        return false;
    unit = unit_ns(rate);
    if (!unit || !str_to_u64(count, SIEVE_RATE_MAX, &n) || n == 0)
        return false;
    burst = n;
    if (comma >= 0 && (!str_to_u64(most, SIEVE_RATE_MAX, &burst) || burst == 0))
        return false;
    r->interval_ns = unit / (int64_t)n;
    r->burst_ns = (int64_t)(burst - 1) * r->interval_ns;
    return true;
}

int rate_parse(struct rate *r, struct str v, struct err *e)
{
    if (parse(r, v))
        return 0;
    return err_set(
        e, EINVAL,
        "option 'rate' must be N/s, N/m or N/h, perhaps with ,BURST: numbers of lines up "
        "to %d",
        SIEVE_RATE_MAX);
}

int64_t rate_time(struct str time)
{
    int64_t ns = 0, digit = SECOND / 10, seconds = clock_parse(time.p, time.len);

    for (size_t i = 20; i < time.len && time.p[i] >= '0' && time.p[i] <= '9'; i++) {
        ns += (time.p[i] - '0') * digit;
        digit /= 10;
    }
    if (seconds < 0)
        seconds = 0;
    if (seconds > SECONDS_MAX)
        seconds = SECONDS_MAX;
    return seconds * SECOND + (time.p[19] == '.' ? ns : 0);
}

bool rate_take(const struct rate *r, int64_t t, int64_t *empty_at)
{
    int64_t full = *empty_at - t;

    if (full < 0 || full > r->burst_ns + r->interval_ns + BACK_NS)
        full = 0;
    if (full > r->burst_ns)
        return false;
    *empty_at = t + full + r->interval_ns;
    return true;
}
