/*
 * What the encoders need of a time beyond its text: seconds since the epoch (GELF, Loki, the
 * intakes), nanoseconds (OTLP), the date in UTC (Elasticsearch's daily indices). The text is known to be well-formed. A day beyond its month's
 * end counts into the next month.
 */
#include "formats/format_internal.h"

#define LAST_SECOND 253402300799 /* of the year 9999 */
#define FRACTION_MAX 9           /* digits of nanoseconds */
#define FRACTION_AT 20           /* behind "2026-11-20T10:15:00." */
#define NS 1000000000ULL

static unsigned number(const char *p, size_t digits)
{
    unsigned n = 0;

    while (digits--)
        n = n * 10 + (unsigned)(*p++ - '0');
    return n;
}

/* Days from 1970-01-01. Years begin in March, so that the leap day is the last one. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month > 2 ? year : year - 1, era = (y + 400) / 400 - 1;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void put_date(char out[8], int64_t days)
{
    unsigned z = (unsigned)(days + 719468), era = z / 146097, doe = z % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9, day = doy - (153 * mp + 2) / 5 + 1;
    unsigned date = (yoe + era * 400 + (month <= 2)) * 10000 + month * 100 + day;

    for (int i = 7; i >= 0; i--, date /= 10)
        out[i] = (char)('0' + date % 10);
}

/* Seconds to add to the text's clock to get UTC. */
static int64_t zone_seconds(struct str t)
{
    const char *z = t.p + t.len - 6;
    int64_t s;

    if (t.p[t.len - 1] == 'Z')
        return 0;
    s = number(z + 1, 2) * 3600 + number(z + 4, 2) * 60;
    return *z == '-' ? s : -s;
}

int64_t format_epoch(struct str t)
{
    const char *p = t.p;
    unsigned second = number(p + 17, 2);

    second = second > 59 ? 59 : second; /* a leap second, which Unix time does not have */
    return days_from_civil(number(p, 4), number(p + 5, 2), number(p + 8, 2)) * 86400 +
           number(p + 11, 2) * 3600 + number(p + 14, 2) * 60 + second + zone_seconds(t);
}

size_t format_put_epoch(char out[FORMAT_EPOCH_MAX], struct str t, struct str *fraction)
{
    int64_t s = format_epoch(t);
    uint64_t left = s < 0 ? 0 : (uint64_t)s;
    size_t n = format_digits(left), body;

    for (size_t i = n; i > 0; i--, left /= 10)
        out[i - 1] = (char)('0' + left % 10);
    (void)format_time_len(t, FRACTION_MAX, &body);
    *fraction = str_skip(str_head(t, body), FRACTION_AT);
    if (s < 0)
        fraction->len = 0;
    return n;
}

uint64_t format_ns(struct str t)
{
    int64_t s = format_epoch(t);
    uint64_t ns = 0, most = (UINT64_MAX - (NS - 1)) / NS;
    size_t body, digits;

    if (s < 0)
        return 0;
    if ((uint64_t)s > most)
        return UINT64_MAX;
    (void)format_time_len(t, FRACTION_MAX, &body);
    digits = body > FRACTION_AT ? body - FRACTION_AT : 0;
    if (digits)
        ns = number(t.p + FRACTION_AT, digits);
    for (size_t i = digits; i < FRACTION_MAX; i++)
        ns *= 10;
    return (uint64_t)s * NS + ns;
}

void format_utc_date(char out[8], struct str t)
{
    int64_t s;

    if (zone_seconds(t) == 0) {
        memcpy(out, t.p, 4);
        memcpy(out + 4, t.p + 5, 2);
        memcpy(out + 6, t.p + 8, 2);
        return;
    }
    s = format_epoch(t);
    put_date(out, (s < 0 ? 0 : s > LAST_SECOND ? LAST_SECOND : s) / 86400);
}
