/*
 * The byte work that the encoders share: UTF-8, one-line text, the fields of RFC 5424, JSON
 * strings, cutting. It knows no format, and uses only its arguments.
 */
#include <endian.h>

#include "formats/format_internal.h"

#define EVERY_LANE(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Sixteen bytes at once; the compiler has instructions for it on all common machines. */
typedef signed char lanes16 __attribute__((vector_size(16)));

size_t format_id(char out[FORMAT_ID_MAX], const struct record *r)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    int shift = 60;

    for (int i = 60; i >= 0; i -= 4)
        out[n++] = hex[r->segment >> i & 15];
    out[n++] = '-';
    while (shift && !(r->offset >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        out[n++] = hex[r->offset >> shift & 15];
    return n;
}

size_t format_utf8(const char *p, size_t n, bool *valid)
{
    unsigned char c = (unsigned char)*p, low = 0x80, high = 0xbf;
    size_t more;

    *valid = c < 0x80;
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 1;
    more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (c == 0xe0)
        low = 0xa0; /* less would be overlong */
    else if (c == 0xed)
        high = 0x9f; /* more would be a surrogate */
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f; /* more would be above U+10FFFF */
    for (size_t i = 1; i <= more; i++) {
        if (i == n || (unsigned char)p[i] < low || (unsigned char)p[i] > high)
            return i;
        low = 0x80;
        high = 0xbf;
    }
    *valid = true;
    return more + 1;
}

size_t format_utf8_cut(struct str s, size_t room)
{
    for (size_t back = 1; back <= 3 && back <= room; back++) {
        unsigned char c = (unsigned char)s.p[room - back];
        bool valid;

        if (c < 0x80)
            break;
        if (c >= 0xc0) {
            size_t n = format_utf8(s.p + room - back, s.len - (room - back), &valid);

            return valid && n > back ? room - back : room;
        }
    }
    return room;
}

/* The well-formed prefix of <s>. */
static size_t utf8_span(struct str s)
{
    size_t i = 0;

    while (i < s.len) {
        bool valid;
        size_t n;
        uint64_t w;

        if (s.len - i >= 8) {
            memcpy(&w, s.p + i, 8);
            if (!(w & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        n = format_utf8(s.p + i, s.len - i, &valid);
        if (!valid)
            break;
        i += n;
    }
    return i;
}

bool format_is_utf8(struct str s)
{
    return utf8_span(s) == s.len;
}

int format_add_utf8(struct buf *out, struct str s)
{
    while (s.len) {
        size_t good = utf8_span(s);
        bool valid;

        if (buf_add(out, s.p, good) < 0)
            return -1;
        s = str_skip(s, good);
        if (s.len == 0)
            break;
        if (buf_add_str(out, STR("\xef\xbf\xbd")) < 0)
            return -1;
        s = str_skip(s, format_utf8(s.p, s.len, &valid));
    }
    return 0;
}

size_t format_utf8_len(struct str s)
{
    size_t len = 0;
    bool valid;

    while (s.len) {
        size_t good = utf8_span(s);

        len += good;
        s = str_skip(s, good);
        if (s.len == 0)
            break;
        len += STR("\xef\xbf\xbd").len;
        s = str_skip(s, format_utf8(s.p, s.len, &valid));
    }
    return len;
}

char *format_put_utf8(char *d, struct str s)
{
    bool valid;

    while (s.len) {
        size_t good = utf8_span(s);

        d = format_put(d, str_head(s, good));
        s = str_skip(s, good);
        if (s.len == 0)
            break;
        d = format_put(d, STR("\xef\xbf\xbd"));
        s = str_skip(s, format_utf8(s.p, s.len, &valid));
    }
    return d;
}

void format_cut_text(struct str *msg, size_t *mark, size_t room)
{
    if (msg->len > room) {
        msg->len = format_utf8_cut(*msg, room);
        *mark = 0;
    } else if (*mark > room - msg->len) {
        *mark = room - msg->len;
    }
}

static inline void put_one_line16(char *d, const char *p)
{
    lanes16 v, bad;

    memcpy(&v, p, sizeof(v));
    bad = (v == 0) | (v == '\n');
    v = (v & ~bad) | (bad & ' ');
    memcpy(d, &v, sizeof(v));
}

char *format_put_one_line(char *d, struct str s)
{
    size_t i = 0;

    for (; i + 16 <= s.len; i += 16)
        put_one_line16(d + i, s.p + i);
    if (i < s.len && s.len >= 16) {
        put_one_line16(d + s.len - 16, s.p + s.len - 16);
        i = s.len;
    }
    for (; i < s.len; i++)
        d[i] = s.p[i] == '\n' || s.p[i] == '\0' ? ' ' : s.p[i];
    return d + s.len;
}

/* ---- RFC 5424 ---- */

/* A header field: PRINTUSASCII, "-" when empty. */
char *format_put_field(char *d, struct str s, size_t max)
{
    size_t i = 0;

    s = str_head(s, max);
    if (s.len == 0)
        *d++ = '-';
    for (uint64_t w; s.len - i >= 8; i += 8, d += 8) { /* unchanged while it is visible ASCII */
        memcpy(&w, s.p + i, 8);
        if ((w | (w - EVERY_LANE('!')) | ((w ^ EVERY_LANE(127)) - EVERY_LANE(1))) &
            EVERY_LANE(0x80))
            break;
        memcpy(d, &w, 8);
    }
    for (; i < s.len; i++)
        *d++ = (char)(s.p[i] > 32 && s.p[i] < 127 ? s.p[i] : '_');
    return d;
}

/* A parameter's value: UTF-8, on one line. */
char *format_put_value(char *d, struct str s)
{
    bool valid;

    for (size_t i = 0, n; i < s.len; i += n) {
        unsigned char c = (unsigned char)s.p[i];

        n = format_utf8(s.p + i, s.len - i, &valid);
        if (c == '"' || c == '\\' || c == ']')
            *d++ = '\\';
        if (!valid)
            d = format_put(d, STR("\xef\xbf\xbd"));
        else if (c < 32 || c == 127)
            *d++ = ' ';
        else
            d = format_put(d, str_make(s.p + i, n));
    }
    return d;
}

/* ---- JSON strings ---- */

/* For ASCII: 0 = unchanged, 1 = \u00XX, else the letter after the backslash. */
static const char json_escapes[128] = {
    1, 1, 1, 1, 1, 1, 1, 1, 'b', 't', 'n', 1, 'f', 'r', 1, 1,          1,
    1, 1, 1, 1, 1, 1, 1, 1, 1,   1,   1,   1, 1,   1,   1, [34] = '"', ['\\'] = '\\',
};

/* How many bytes of the word are plain: printable ASCII except quote and backslash. A borrow only
 * reaches lanes above a true hit, so the lowest one is exact. */
static inline size_t json_plain(uint64_t w)
{
    uint64_t hit = w | (w - EVERY_LANE(0x20)) | ((w ^ EVERY_LANE('"')) - EVERY_LANE(1)) |
                   ((w ^ EVERY_LANE('\\')) - EVERY_LANE(1));

    hit &= EVERY_LANE(0x80);
    return hit ? (size_t)__builtin_ctzll(hit) / 8 : 8;
}

/* Copies 16 bytes; true when all of them were plain. As signed numbers, control characters and
 * non-ASCII bytes are less than a space. */
static inline bool json_put16(char *d, const char *p)
{
    lanes16 v, hit;
    uint64_t halves[2];

    memcpy(&v, p, sizeof(v));
    memcpy(d, &v, sizeof(v));
    hit = (v < ' ') | (v == '"') | (v == '\\');
    memcpy(halves, &hit, sizeof(hit));
    return (halves[0] | halves[1]) == 0;
}

static inline bool is_line_separator(const char *p, size_t n)
{
    return n == 3 && (unsigned char)p[0] == 0xe2 && (unsigned char)p[1] == 0x80 &&
           ((unsigned char)p[2] == 0xa8 || (unsigned char)p[2] == 0xa9);
}

/* Length of one character, or of one run of invalid bytes. Writes it escaped to <out>, *written
 * bytes: at least as many and at most six for each. */
static inline size_t json_unit(const char *p, size_t n, char *out, size_t *written)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)*p;
    bool valid;
    size_t len;

    if (c < 0x80) {
        char e = json_escapes[c];

        *written = e == 0 ? 1 : e == 1 ? 6 : 2;
        if (e == 0)
            out[0] = (char)c;
        else if (e == 1)
            memcpy(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        else
            memcpy(out, (char[]){'\\', e}, 2);
        return 1;
    }
    len = format_utf8(p, n, &valid);
    *written = 3;
    if (!valid) {
        memcpy(out, "\xef\xbf\xbd", 3);
    } else if (is_line_separator(p, len)) { /* a newline to JavaScript */
        memcpy(out, (unsigned char)p[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
        *written = 6;
    } else {
        memcpy(out, p, len);
        *written = len;
    }
    return len;
}

static inline bool json_is_plain(char c)
{
    return (signed char)c >= ' ' && c != '"' && c != '\\';
}

char *format_json_put(char *d, struct str s)
{
    const char *p = s.p, *end = p + s.len;

    while (p < end) {
        size_t n, written;

        /* Escaping never shortens: where that many bytes can be read, that many can be written. */
        while (end - p >= 16 && json_put16(d, p)) {
            p += 16;
            d += 16;
        }
        if (end - p >= 8) {
            uint64_t w;

            memcpy(&w, p, 8);
            memcpy(d, &w, 8);
            n = json_plain(le64toh(w));
            p += n;
            d += n;
        }
        while (p < end && json_is_plain(*p))
            *d++ = *p++;
        if (p == end)
            break;
        p += json_unit(p, (size_t)(end - p), d, &written);
        d += written;
    }
    return d;
}

int format_json_string(struct buf *out, struct str s)
{
    size_t used;
    char *d;

    if (buf_reserve(out, format_json_measure(s, SIZE_MAX, &used) + 2) < 0)
        return -1;
    d = out->p + out->len;
    *d++ = '"';
    d = s.len ? format_json_put(d, s) : d;
    *d++ = '"';
    out->len = (size_t)(d - out->p);
    *d = '\0';
    return 0;
}

size_t format_json_measure(struct str s, size_t limit, size_t *used)
{
    const char *p = s.p, *end = p + s.len;
    size_t total = 0;

    while (p < end) {
        char unit[8];
        size_t n, written;

        if (end - p >= 8 && limit - total >= 8) {
            uint64_t w;

            memcpy(&w, p, 8);
            n = json_plain(le64toh(w));
            p += n;
            total += n;
            if (n == 8)
                continue;
        }
        n = json_unit(p, (size_t)(end - p), unit, &written);
        if (written > limit - total)
            break;
        p += n;
        total += written;
    }
    *used = (size_t)(p - s.p);
    return total;
}

size_t format_json_fit(const struct formatter *f, struct str *msg, size_t *mark, size_t fixed,
                       bool *cut)
{
    size_t room = SIZE_MAX, used, len;

    if (f->o.max)
        room = f->o.max > fixed ? f->o.max - fixed : 0;
    len = format_json_measure(*msg, room, &used);
    if (used < msg->len || len + *mark > room || (f->o.max && fixed > f->o.max)) {
        *cut = true;
        *mark = 0;
    }
    msg->len = used;
    return len + *mark;
}

char *format_put_known(char *d, const char *key, struct str value)
{
    if (value.len == 0)
        return d;
    d = format_put(d, STR(",\""));
    d = format_put(d, str_of(key));
    d = format_put(d, STR("\":\""));
    d = format_json_put(d, value);
    *d++ = '"';
    return d;
}
