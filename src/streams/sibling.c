/* See sibling.h. */
#include "streams/sibling.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"

#define NUMBER_DIGITS 7 /* more digits are a date or a time */
#define DATE_DIGITS 8
#define DIGITS_MAX 20
#define EPOCH_MIN 100000000U   /* a time in seconds has 9 digits at least ... */
#define EPOCH_MAX 99999999999U /* ... and 11 at most */

static const char *const extensions[] = {".gz",  ".zst", ".xz", ".bz2", ".lzma",
                                         ".lz4", ".Z",   ".br", ".zip"};
#define READABLE 0 /* of these */

/* Its index, or -1. */
static int compression_of(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
        if (str_ends(name, str_of(extensions[i])))
            return (int)i;
    return -1;
}

bool sibling_packed(struct str name)
{
    return compression_of(name) >= 0;
}

bool sibling_readable(struct str name)
{
    return compression_of(name) <= READABLE;
}

static uint64_t number(const char *digits, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value = value * 10 + (uint64_t)(digits[i] - '0');
    return value;
}

/* "YYYYMMDD", and "HH", "HHMM" or "HHMMSS", or seconds since the epoch. */
static bool date(const char *digits, size_t n, uint64_t *seconds)
{
    uint64_t year = number(digits, 4), month = number(digits + 4, 2), day = number(digits + 6, 2);
    uint64_t part[3] = {0};
    struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day};
    size_t left = n - DATE_DIGITS;

    if (year < 2000 || year > 2199 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *seconds = number(digits + DATE_DIGITS, left);
    if (*seconds >= EPOCH_MIN && *seconds <= EPOCH_MAX)
        return true;
    if (left > 6 || left % 2)
        return false;
    for (size_t i = 0; i < left / 2; i++)
        part[i] = number(digits + DATE_DIGITS + 2 * i, 2);
    if (part[0] > 24 || part[1] > 59 || part[2] > 60)
        return false;
    tm.tm_hour = (int)part[0];
    tm.tm_min = (int)part[1];
    tm.tm_sec = (int)part[2];
    *seconds = (uint64_t)timegm(&tm);
    return true;
}

/* The digits of <s>, which may have single separators between them; their number, 0 = other
 * characters. */
static size_t digits_of(struct str s, char digits[DIGITS_MAX], bool *separated)
{
    size_t n = 0;
    bool digit = false;

    for (size_t i = 0; i < s.len; i++) {
        bool before = digit;

        digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (digit && n < DIGITS_MAX)
            digits[n++] = s.p[i];
        else if (digit || !before || !memchr("-_.:T", s.p[i], 5))
            return 0;
        *separated |= !digit;
    }
    return digit ? n : 0;
}

bool sibling_parse(struct str suffix, struct sibling *out)
{
    int packed = compression_of(suffix);
    char digits[DIGITS_MAX];
    bool separated = false;
    uint64_t seconds;
    size_t n;

    *out = (struct sibling){SIBLING_LIVE, SIBLING_ORDER_LIVE, packed >= 0};
    if (!suffix.len)
        return true;
    if (packed >= 0)
        suffix.len -= strlen(extensions[packed]);
    if (!suffix.len || (*suffix.p != '.' && *suffix.p != '-'))
        return false;
    n = digits_of(str_skip(suffix, 1), digits, &separated);
    if (n && n <= NUMBER_DIGITS && !separated && *suffix.p == '.') {
        out->kind = SIBLING_NUMBERED;
        out->order = SIBLING_ORDER_LIVE - 1 - number(digits, n);
        return true;
    }
    if (n < DATE_DIGITS)
        return false;
    out->kind = SIBLING_DATED;
    if (!date(digits, n, &seconds)) {
        seconds = number(digits, n);
        if (separated || seconds < EPOCH_MIN || seconds > EPOCH_MAX)
            return false;
    }
    out->order = seconds;
    return true;
}

bool sibling_of(struct str base, struct str name, struct sibling *out)
{
    ptrdiff_t dot = str_rfind(base, '.');
    int packed = compression_of(name);
    struct str extension;

    if (str_starts(name, base))
        return sibling_parse(str_skip(name, base.len), out);
    if (dot <= 0 || !str_starts(name, str_head(base, (size_t)dot)))
        return false;
    extension = str_skip(base, (size_t)dot);
    name = str_skip(name, (size_t)dot);
    if (packed >= 0)
        name.len -= strlen(extensions[packed]);
    if (name.len <= extension.len || !str_ends(name, extension) ||
        !sibling_parse(str_head(name, name.len - extension.len), out) || out->packed)
        return false;
    out->packed = packed >= 0;
    return true;
}
