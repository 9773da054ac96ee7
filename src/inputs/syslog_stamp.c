/* See syslog_stamp.h. */
#include "inputs/syslog_stamp.h"

#include <stdio.h>
#include <time.h>

#define DAY_S 86400
#define FRACTION_MAX 10 /* of a second: a point and 9 digits */

void syslog_parser_set_now(struct syslog_parser *p, int64_t now_s)
{
    struct tm tm;
    time_t t = (time_t)now_s;

    if (p->now_s && now_s / 60 == p->now_s / 60)
        return;
    p->now_s = now_s;
    if (!localtime_r(&t, &tm))
        return;
    p->offset_s = (int32_t)tm.tm_gmtoff;
    p->year = tm.tm_year + 1900;
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

static int month_of(const char *p)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (memcmp(months + 3 * i, p, 3) == 0)
            return i;
    return -1;
}

/* Cuts a number of <least> to <most> digits off <*s>. -1 = there is none. */
static int take_number(struct str *s, size_t least, size_t most)
{
    size_t n = 0;
    int value = 0;

    while (n < s->len && n < most && is_digit(s->p[n]))
        value = value * 10 + s->p[n++] - '0';
    if (n < least || (n < s->len && is_digit(s->p[n])))
        return -1;
    *s = str_skip(*s, n);
    return value;
}

static bool take_char(struct str *s, char c)
{
    if (!s->len || *s->p != c)
        return false;
    *s = str_skip(*s, 1);
    return true;
}

/* "Oct 11 ", "Oct  1 ", "Oct 1 ", with a year behind it or not: tm_year -1. */
static bool take_date(struct str *s, struct tm *tm)
{
    if (s->len < 3)
        return false;
    tm->tm_mon = month_of(s->p);
    *s = str_skip(*s, 3);
    if (tm->tm_mon < 0 || !take_char(s, ' '))
        return false;
    (void)take_char(s, ' ');
    tm->tm_mday = take_number(s, 1, 2);
    if (tm->tm_mday < 1 || tm->tm_mday > 31 || !take_char(s, ' '))
        return false;
    tm->tm_year = s->len > 4 && s->p[4] == ' ' ? take_number(s, 4, 4) : -1;
    return tm->tm_year < 0 || take_char(s, ' ');
}

/* "22:14:15", with a fraction or not. */
static bool take_clock(struct str *s, struct tm *tm, struct str *fraction)
{
    size_t n = 0;

    tm->tm_hour = take_number(s, 2, 2);
    if (tm->tm_hour < 0 || tm->tm_hour > 23 || !take_char(s, ':'))
        return false;
    tm->tm_min = take_number(s, 2, 2);
    if (tm->tm_min < 0 || tm->tm_min > 59 || !take_char(s, ':'))
        return false;
    tm->tm_sec = take_number(s, 2, 2);
    if (tm->tm_sec < 0 || tm->tm_sec > 60)
        return false;
    if (s->len > 1 && *s->p == '.' && is_digit(s->p[1]))
        for (n = 1; n < s->len && is_digit(s->p[n]);)
            n++;
    *fraction = str_head(*s, n < FRACTION_MAX ? n : FRACTION_MAX);
    *s = str_skip(*s, n);
    return true;
}

/* The year that makes <tm> closest to now in the past, or up to a day in the future, because clocks
 * may be fast. */
static int year_of(const struct syslog_parser *p, const struct tm *tm)
{
    for (int year = p->year + 1; year > p->year - 1; year--) {
        struct tm asked = *tm;

        asked.tm_year = year - 1900;
        if ((int64_t)timegm(&asked) - p->offset_s <= p->now_s + DAY_S)
            return year;
    }
    return p->year - 1;
}

bool syslog_stamp_take(struct syslog_parser *p, struct str *s, struct str *time)
{
    struct tm tm = {.tm_isdst = 0};
    uint32_t off = (uint32_t)(p->offset_s < 0 ? -p->offset_s : p->offset_s) / 60;
    struct str rest = *s, fraction;
    int n;

    if (!take_date(&rest, &tm) || !take_clock(&rest, &tm, &fraction))
        return false;
    (void)take_char(&rest, ':');
    if (!take_char(&rest, ' '))
        return false;
    *s = rest;
    n = snprintf(p->time, sizeof(p->time), "%04d-%02d-%02dT%02d:%02d:%02d%.*s",
                 tm.tm_year < 0 ? year_of(p, &tm) : tm.tm_year, tm.tm_mon + 1, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec, STR_ARG(fraction));
    if (p->offset_s == 0)
        p->time[n++] = 'Z'; /* the usual form of UTC */
    else
        n += snprintf(p->time + n, sizeof(p->time) - (size_t)n, "%c%02u:%02u",
                      p->offset_s < 0 ? '-' : '+', off / 60 % 24, off % 60);
    *time = str_make(p->time, (size_t)n);
    if (!decode_time_valid(*time))
        time->len = 0;
    return true;
}
