/*
 * Searching, cutting and reading numbers out of struct str. ASCII only, never the locale: this
 * parses configuration and protocols, and isalpha() and friends depend on LC_CTYPE.
 */
#include "base/str.h"

#include "base/mem.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool str_ieq(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *hit = s.len ? memchr(s.p, c, s.len) : NULL;

    return hit ? hit - s.p : -1;
}

ptrdiff_t str_rfind(struct str s, char c)
{
    const char *hit = s.len ? memrchr(s.p, c, s.len) : NULL;

    return hit ? hit - s.p : -1;
}

struct str str_trim(struct str s)
{
    while (s.len && is_space(s.p[s.len - 1]))
        s.len--;
    while (s.len && is_space(s.p[0]))
        s = str_skip(s, 1);
    return s;
}

static bool separates(char c)
{
    return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

bool str_word(struct str *rest, struct str *word)
{
    size_t n = 0;

    while (rest->len && separates(*rest->p))
        *rest = str_skip(*rest, 1);
    while (n < rest->len && !separates(rest->p[n]))
        n++;
    *word = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return n > 0;
}

bool str_cut(struct str *rest, char sep, struct str *part)
{
    ptrdiff_t at;

    if (rest->len == 0)
        return false;
    at = str_find(*rest, sep);
    if (at < 0) {
        *part = *rest;
        *rest = str_skip(*rest, rest->len);
    } else {
        *part = str_head(*rest, (size_t)at);
        *rest = str_skip(*rest, (size_t)at + 1);
    }
    return true;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v) || v > max)
            return false;
    }
    *out = v;
    return true;
}

/* Splits "10MiB" into its digits and what follows. */
static struct str cut_digits(struct str *s)
{
    size_t n = 0;
    struct str digits;

    while (n < s->len && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    digits = str_head(*s, n);
    *s = str_skip(*s, n);
    return digits;
}

/* digits x unit within <max>. */
static bool scaled(struct str digits, uint64_t unit, uint64_t max, uint64_t *out)
{
    uint64_t v;

    if (!str_to_u64(digits, max / unit, &v))
        return false;
    *out = v * unit;
    return true;
}

bool str_to_size(struct str s, uint64_t max, uint64_t *out)
{
    struct str digits = cut_digits(&s);
    uint64_t unit;

    if (s.len == 0)
        return scaled(digits, 1, max, out);
    switch (lower(s.p[0])) {
    case 'k':
        unit = 1024;
        break;
    case 'm':
        unit = 1024 * 1024;
        break;
    case 'g':
        unit = 1024 * 1024 * 1024;
        break;
    default:
        return false;
    }
    s = str_skip(s, 1);
    if (s.len && !str_ieq(s, STR("i")) && !str_ieq(s, STR("ib")) && !str_ieq(s, STR("b")))
        return false;
    return scaled(digits, unit, max, out);
}

bool str_to_ms(struct str s, uint64_t max, uint64_t *out)
{
    struct str digits = cut_digits(&s);

    if (str_eq(s, STR("ms")))
        return scaled(digits, 1, max, out);
    if (s.len == 0 || str_eq(s, STR("s")))
        return scaled(digits, 1000, max, out);
    if (str_eq(s, STR("m")))
        return scaled(digits, 60 * 1000, max, out);
    if (str_eq(s, STR("h")))
        return scaled(digits, 60 * 60 * 1000, max, out);
    return false;
}

bool str_is_near(struct str a, struct str b, unsigned edits)
{
    while (a.len && b.len && lower(*a.p) == lower(*b.p)) {
        a = str_skip(a, 1);
        b = str_skip(b, 1);
    }
    if (!a.len && !b.len)
        return true;
    if (!edits--)
        return false;
    if (a.len > 1 && b.len > 1 && lower(a.p[0]) == lower(b.p[1]) &&
        lower(a.p[1]) == lower(b.p[0]) && str_is_near(str_skip(a, 2), str_skip(b, 2), edits))
        return true;
    return (a.len && b.len && str_is_near(str_skip(a, 1), str_skip(b, 1), edits)) ||
           (a.len && str_is_near(str_skip(a, 1), b, edits)) ||
           (b.len && str_is_near(a, str_skip(b, 1), edits));
}

/* Only the last '*' needs to be remembered: when a later part fails to match, giving an earlier
 * star more bytes cannot help. So there is no recursion, and time is at most |pattern| x |text|. */
bool str_glob(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

    while (t < text.len) {
        if (p < pattern.len && pattern.p[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.len && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.p[p] == '*')
        p++;
    return p == pattern.len;
}

char *str_dup(struct str s)
{
    char *z = xmalloc(s.len + 1);

    if (s.len)
        memcpy(z, s.p, s.len);
    z[s.len] = '\0';
    return z;
}
