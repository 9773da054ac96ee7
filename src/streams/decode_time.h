/*
 * The time at the beginning of a line (RFC 3339): the date and time are at fixed offsets, and are
 * checked eight bytes at a time. Inline, because it is done for every line.
 */
#ifndef STREAMS_DECODE_TIME_H
#define STREAMS_DECODE_TIME_H

#include "base/str.h"
#include "streams/lanes.h"

/* Added to a lane, these set its high bit when it exceeds 9, when it is not 0, when it is at least
 * <n>. */
#define OVER_9 (0x80 - 10)
#define NOT_0 (0x80 - 1)
#define AT_LEAST(n) (0x80 - (n))

#define TIME_MIN 20 /* 2026-11-20T10:15:00Z */

static inline bool leap_year(unsigned year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* For a date whose day is at most 31: true when its month has that day. Days up to 28 need no
 * check. */
static inline bool day_exists(const char *p)
{
    unsigned day = (unsigned)(p[8] - '0') * 10 + (unsigned)(p[9] - '0'), month;

    if (day <= 28)
        return true;
    month = (unsigned)(p[5] - '0') * 10 + (unsigned)(p[6] - '0');
    if (month == 2)
        return day == 29 && leap_year((unsigned)(p[0] - '0') * 1000 + (unsigned)(p[1] - '0') * 100 +
                                      (unsigned)(p[2] - '0') * 10 + (unsigned)(p[3] - '0'));
    return day <= 30 || !(month == 4 || month == 6 || month == 9 || month == 11);
}

/* "YYYY-MM-DDTHH:MM:SS" at <p>: three overlapping words. Digits and literals are checked together,
 * then the pairs of digits are converted to numbers and compared with their limits. */
static inline bool date_time_valid(const char *p)
{
    uint64_t year = load64(p) ^ LANES('0', '0', '0', '0', '-', '0', '0', '-');
    uint64_t date = load64(p + 3) ^ LANES('0', '-', '0', '0', '-', '0', '0', 'T');
    uint64_t time = load64(p + 11) ^ LANES('0', '0', ':', '0', '0', ':', '0', '0');
    uint64_t bad, day, clock;

    /* A lane that is 0x80 or more may carry into the next one, but is itself caught by the "|
     * x". */
    bad = year | (year + LANES(OVER_9, OVER_9, OVER_9, OVER_9, NOT_0, OVER_9, OVER_9, NOT_0));
    bad |= date | (date + LANES(OVER_9, NOT_0, OVER_9, OVER_9, NOT_0, OVER_9, OVER_9, NOT_0));
    bad |= time | (time + LANES(OVER_9, OVER_9, NOT_0, OVER_9, OVER_9, NOT_0, OVER_9, OVER_9));

    day = (date * 10 + (date >> 8)) & LANES(0, 0, 0xff, 0, 0, 0xff, 0, 0);
    bad |= day + LANES(0, 0, AT_LEAST(13), 0, 0, AT_LEAST(32), 0, 0);
    bad |= ~(day + LANES(0, 0, AT_LEAST(1), 0, 0, AT_LEAST(1), 0, 0)) &
           LANES(0, 0, 0x80, 0, 0, 0x80, 0, 0);
    clock = (time * 10 + (time >> 8)) & LANES(0xff, 0, 0, 0xff, 0, 0, 0xff, 0);
    bad |= clock + LANES(AT_LEAST(24), 0, 0, AT_LEAST(60), 0, 0, AT_LEAST(61), 0);
    return (bad & HIGH_BITS) == 0 && day_exists(p);
}

/* The number of digits at <p>, at most 9; p[0..8] must be readable. */
static inline size_t count_digits(const char *p)
{
    uint64_t x = load64(p) ^ EVERY_LANE('0');
    uint64_t other = (x | (x + EVERY_LANE(OVER_9))) & HIGH_BITS;

    if (other)
        return (size_t)__builtin_ctzll(other) / 8;
    return (unsigned char)(p[8] - '0') <= 9 ? 9 : 8;
}

/* "+hh:mm" at <p>. */
static inline bool offset_valid(const char *p)
{
    if ((p[0] != '+' && p[0] != '-') || p[3] != ':' || !is_digit(p[1]) || !is_digit(p[2]) ||
        !is_digit(p[4]) || !is_digit(p[5]))
        return false;
    return (p[1] - '0') * 10 + (p[2] - '0') < 24 && p[4] < '6';
}

/* Length of the timestamp that begins at <p>, or 0. <n> bytes are readable, at least 29. */
static inline size_t time_scan(const char *p, size_t n)
{
    size_t len = 19;

    if (!date_time_valid(p))
        return 0;
    if (p[len] == '.') {
        size_t digits = count_digits(p + len + 1);

        if (digits == 0)
            return 0;
        len += 1 + digits;
        if (len == n)
            return 0;
    }
    if (p[len] == 'Z')
        return len + 1;
    return n - len >= 6 && offset_valid(p + len) ? len + 6 : 0;
}

#endif
