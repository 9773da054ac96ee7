/*
 * The clocks, and time as text. The fake clock is process-wide and only set by tests. It is atomic
 * because workers read it from their own threads.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000

static _Atomic uint64_t fake_mono_ms; /* 0 = real clocks */
static _Atomic int64_t fake_wall_ns;
static _Atomic uint64_t fake_cpu_ns, fake_cpu_step_ns;

uint64_t clock_mono_ns(void)
{
    uint64_t fake = atomic_load_explicit(&fake_mono_ms, memory_order_acquire);
    struct timespec ts;

    if (fake)
        return fake * NS_PER_MS;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_ns() / NS_PER_MS;
}

int64_t clock_wall_ns(void)
{
    struct timespec ts;

    if (clock_is_fake())
        return atomic_load_explicit(&fake_wall_ns, memory_order_relaxed);
    (void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

uint64_t clock_cpu_ns(void)
{
    struct timespec ts;

    if (clock_is_fake())
        return atomic_fetch_add(&fake_cpu_ns, atomic_load(&fake_cpu_step_ns));
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void clock_fake(uint64_t mono_ms, int64_t wall_ns)
{
    atomic_store_explicit(&fake_wall_ns, wall_ns, memory_order_relaxed);
    atomic_store_explicit(&fake_mono_ms, mono_ms, memory_order_release);
}

void clock_fake_cpu(uint64_t step_ns)
{
    atomic_store(&fake_cpu_step_ns, step_ns);
}

bool clock_is_fake(void)
{
    return atomic_load_explicit(&fake_mono_ms, memory_order_acquire) != 0;
}

static void put_digits(char *out, unsigned n, unsigned v)
{
    while (n > 0) {
        out[--n] = (char)('0' + v % 10);
        v /= 10;
    }
}

/* Written out, because gmtime_r with strftime costs more than the rest of a formatted line. Days
 * are counted from 1 March of year 0, so that the leap day is the last one of its year. An int64_t
 * of nanoseconds ends in 2262, so four digits are enough. */
size_t clock_format(char out[CLOCK_TEXT_SIZE], int64_t wall_ns)
{
    int64_t sub = wall_ns % NS_PER_S; /* rounds towards zero, and so does the division */
    int64_t secs = wall_ns / NS_PER_S - (sub < 0);
    unsigned us = (unsigned)((sub < 0 ? sub + NS_PER_S : sub) / 1000);
    int64_t days = secs / 86400 - (secs % 86400 < 0);
    unsigned sod = (unsigned)(secs - days * 86400);
    unsigned z = (unsigned)(days + 719468); /* days from 0000-03-01; never negative here */
    unsigned era = z / 146097, doe = z % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;

    memcpy(out, "0000-00-00T00:00:00.000000Z", 28);
    put_digits(out, 4, yoe + era * 400 + (month <= 2));
    put_digits(out + 5, 2, month);
    put_digits(out + 8, 2, doy - (153 * mp + 2) / 5 + 1);
    put_digits(out + 11, 2, sod / 3600);
    put_digits(out + 14, 2, sod / 60 % 60);
    put_digits(out + 17, 2, sod % 60);
    put_digits(out + 20, 6, us);
    return 27;
}

static int two_digits(const char *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

int64_t clock_parse(const char *text, size_t len)
{
    struct tm tm = {
        .tm_year = two_digits(text) * 100 + two_digits(text + 2) - 1900,
        .tm_mon = two_digits(text + 5) - 1,
        .tm_mday = two_digits(text + 8),
        .tm_hour = two_digits(text + 11),
        .tm_min = two_digits(text + 14),
        .tm_sec = two_digits(text + 17),
    };
    const char *zone = text + len - 6;
    int64_t s = timegm(&tm), offset;

    if (text[len - 1] == 'Z')
        return s;
    offset = two_digits(zone + 1) * 3600 + two_digits(zone + 4) * 60;
    return *zone == '-' ? s + offset : s - offset;
}
