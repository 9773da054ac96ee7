/*
 * A small, strict JSON reader for the tests: RFC 8259 on one line, well-formed UTF-8 only. It
 * validates a whole text and takes string values out of its top-level object. Shares nothing with
 * src/formats.
 */
#ifndef TEST_JSON_READER_H
#define TEST_JSON_READER_H

#include "base/buf.h"
#include "base/str.h"

struct json_reader {
    const unsigned char *p, *end;
    unsigned depth;
    struct buf *string; /* where string values go; NULL = nowhere */
};

/* The code point of a well-formed sequence of exactly <n> bytes, or -1. */
static inline int32_t utf8_code(const unsigned char *p, size_t n)
{
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int32_t c;

    if (n == 1)
        return p[0] < 0x80 ? p[0] : -1;
    if (n < 2 || n > 4 || p[0] >> (7 - n) != (0xff >> (7 - n)) - 1)
        return -1;
    c = p[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? -1 : c;
}

static inline size_t utf8_put(char *d, uint32_t c)
{
    if (c < 0x80) {
        d[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        d[0] = (char)(0xc0 | c >> 6);
        d[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        d[0] = (char)(0xe0 | c >> 12);
        d[1] = (char)(0x80 | (c >> 6 & 0x3f));
        d[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    d[0] = (char)(0xf0 | c >> 18);
    d[1] = (char)(0x80 | (c >> 12 & 0x3f));
    d[2] = (char)(0x80 | (c >> 6 & 0x3f));
    d[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* True when <n> bytes can be completed to a well-formed sequence of <total>. Any continuation
 * allowed for the next byte is in 80..8F, 90..9F or A0..BF whole, so three fillers are enough. */
static inline bool utf8_begins(const unsigned char *p, size_t n, size_t total)
{
    static const unsigned char fillers[] = {0x80, 0x90, 0xa0};
    unsigned char s[4];

    for (size_t f = 0; f < sizeof(fillers); f++) {
        memset(s, fillers[f], sizeof(s));
        memcpy(s, p, n);
        if (utf8_code(s, total) >= 0)
            return true;
    }
    return false;
}

/* <s> with U+FFFD for every maximal part that is not UTF-8: what a JSON encoder must deliver. Tries
 * every length, slowly. */
static inline int utf8_sanitize(struct str s, struct buf *out)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.len;

    while (p < end) {
        size_t left = (size_t)(end - p), part = 1, n;

        for (n = 1; n <= 4 && n <= left && utf8_code(p, n) < 0; n++)
            ;
        if (n <= 4 && n <= left) {
            if (buf_add(out, p, n) < 0)
                return -1;
            p += n;
            continue;
        }
        for (size_t total = 2; total <= 4; total++) {
            for (n = 1; n < total && n <= left; n++) {
                if (utf8_begins(p, n, total) && n > part)
                    part = n;
            }
        }
        if (buf_add(out, "\xef\xbf\xbd", 3) < 0)
            return -1;
        p += part;
    }
    return 0;
}

static inline int32_t json_hex4(struct json_reader *r)
{
    int32_t v = 0;

    if (r->end - r->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdefABCDEF", *at = strchr(digits, *r->p);
        int32_t d;

        if (!*r->p || !at)
            return -1;
        d = (int32_t)(at - digits);
        v = v * 16 + (d < 16 ? d : d - 6);
        r->p++;
    }
    return v;
}

/* After the backslash. */
static inline bool json_read_escape(struct json_reader *r, char *out, size_t *n)
{
    const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t", *at;
    int32_t c, low;

    if (r->p == r->end || !*r->p)
        return false;
    *n = 1;
    if ((at = strchr(from, *r->p))) {
        *out = to[at - from];
        r->p++;
        return true;
    }
    if (*r->p++ != 'u' || (c = json_hex4(r)) < 0 || (c >= 0xdc00 && c <= 0xdfff))
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (r->end - r->p < 2 || *r->p++ != '\\' || *r->p++ != 'u' ||
            (low = json_hex4(r)) < 0xdc00 || low > 0xdfff)
            return false;
        c = 0x10000 + (c - 0xd800) * 0x400 + (low - 0xdc00);
    }
    *n = utf8_put(out, (uint32_t)c);
    return true;
}

static inline bool json_read_string(struct json_reader *r)
{
    if (r->p == r->end || *r->p++ != '"')
        return false;
    while (r->p < r->end && *r->p != '"') {
        char unit[4];
        size_t n;

        if (*r->p < 0x20)
            return false;
        if (*r->p == '\\') {
            r->p++;
            if (!json_read_escape(r, unit, &n))
                return false;
        } else {
            for (n = 1; n <= 4; n++) {
                if (n > (size_t)(r->end - r->p))
                    return false;
                if (utf8_code(r->p, n) >= 0)
                    break;
            }
            if (n > 4)
                return false;
            memcpy(unit, r->p, n);
            r->p += n;
        }
        if (r->string && buf_add(r->string, unit, n) < 0)
            return false;
    }
    return r->p++ < r->end;
}

static inline bool json_read_digits(struct json_reader *r)
{
    const unsigned char *start = r->p;

    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > start;
}

static inline bool json_read_number(struct json_reader *r)
{
    if (r->p < r->end && *r->p == '-')
        r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!json_read_digits(r))
        return false;
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        if (!json_read_digits(r))
            return false;
    }
    if (r->p < r->end && (*r->p | 0x20) == 'e') {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        return json_read_digits(r);
    }
    return true;
}

static inline bool json_read_value(struct json_reader *r);

/* No white space: our encoders write none, and so a newline is never let through. */
static inline bool json_read_members(struct json_reader *r, bool object)
{
    unsigned char close = object ? '}' : ']';

    r->p++;
    if (r->p < r->end && *r->p == close) {
        r->p++;
        return true;
    }
    for (;;) {
        if (object && (!json_read_string(r) || r->p == r->end || *r->p++ != ':'))
            return false;
        if (!json_read_value(r) || r->p == r->end)
            return false;
        if (*r->p == close) {
            r->p++;
            return true;
        }
        if (*r->p++ != ',')
            return false;
    }
}

static inline bool json_read_value(struct json_reader *r)
{
    static const struct str words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    bool ok;

    if (r->p == r->end)
        return false;
    if (*r->p == '"')
        return json_read_string(r);
    if (*r->p == '{' || *r->p == '[') {
        if (r->depth++ > 16)
            return false;
        ok = json_read_members(r, *r->p == '{');
        r->depth--;
        return ok;
    }
    for (size_t i = 0; i < 3; i++) {
        if (str_starts(str_make((const char *)r->p, (size_t)(r->end - r->p)), words[i])) {
            r->p += words[i].len;
            return true;
        }
    }
    return json_read_number(r);
}

static inline bool json_valid(struct str text)
{
    struct json_reader r = {(const unsigned char *)text.p, (const unsigned char *)text.p + text.len,
                            0, NULL};

    return json_read_value(&r) && r.p == r.end;
}

/* The value of a top-level key: a string unescaped, anything else as written. <text> must be valid.
 */
static inline bool json_get(struct str text, const char *key, struct buf *value)
{
    struct json_reader r = {(const unsigned char *)text.p, (const unsigned char *)text.p + text.len,
                            0, NULL};

    buf_clear(value);
    if (r.p == r.end || *r.p != '{')
        return false;
    while (*r.p == '{' || *r.p == ',') {
        const unsigned char *name = ++r.p, *start;

        if (*r.p == '}' || !json_read_string(&r))
            return false;
        start = ++r.p;
        if (str_eq(str_make((const char *)name + 1, (size_t)(start - name) - 3), str_of(key))) {
            if (*start != '"')
                return json_read_value(&r) && buf_add(value, start, (size_t)(r.p - start)) == 0;
            r.string = value;
            return json_read_string(&r);
        }
        if (!json_read_value(&r))
            return false;
    }
    return false;
}

#endif
