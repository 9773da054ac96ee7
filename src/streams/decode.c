/*
 * The two line decoders, CRI and docker's json-file. The cursors call them for every line, so
 * decode_cri() is the hottest code there is. The date and time are at fixed offsets and are checked
 * eight bytes at a time (a "lane" is one byte of a 64-bit word, lane 0 first in memory). Nothing is
 * copied.
 *
 * Both read only <line>, accept any bytes as the message, and never fail: a line of neither form is
 * a RAW record. They do not join partial lines, cut long ones, or keep state between lines.
 */
#include "streams/decode.h"

#include <endian.h>

#define LANES(a, b, c, d, e, f, g, h)                                                              \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 |              \
     (uint64_t)(e) << 32 | (uint64_t)(f) << 40 | (uint64_t)(g) << 48 | (uint64_t)(h) << 56)
#define EVERY_LANE(byte) (0x0101010101010101u * (uint64_t)(byte))
#define HIGH_BITS EVERY_LANE(0x80)

/* Added to a lane, these set its high bit when it exceeds 9, when it is not 0, when it is at least
 * <n>. */
#define OVER_9 (0x80 - 10)
#define NOT_0 (0x80 - 1)
#define AT_LEAST(n) (0x80 - (n))

#define TIME_MIN 20 /* 2026-11-20T10:15:00Z */
#define CRI_MIN 29  /* TIME_MIN, " stdout ", "F" */

static inline uint64_t load64(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return le64toh(w);
}

static bool leap_year(unsigned year)
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

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* "+hh:mm" at <p>. */
static inline bool offset_valid(const char *p)
{
    if ((p[0] != '+' && p[0] != '-') || p[3] != ':' || !is_digit(p[1]) || !is_digit(p[2]) ||
        !is_digit(p[4]) || !is_digit(p[5]))
        return false;
    return (p[1] - '0') * 10 + (p[2] - '0') < 24 && p[4] < '6';
}

/* Length of the timestamp that begins at <p>, or 0. <n> bytes are readable, at least CRI_MIN. */
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

static inline bool cri_scan(struct str line, struct record *r)
{
    const char *p, *end = line.p + line.len;
    uint64_t name;
    size_t n;

    if (line.len < CRI_MIN)
        return false;
    n = time_scan(line.p, line.len);
    if (n == 0 || line.len - n < 9)
        return false;
    p = line.p + n;
    name = load64(p);
    if (name == LANES(' ', 's', 't', 'd', 'o', 'u', 't', ' '))
        r->fd = RECORD_STDOUT;
    else if (name == LANES(' ', 's', 't', 'd', 'e', 'r', 'r', ' '))
        r->fd = RECORD_STDERR;
    else
        return false;
    if (p[8] != 'F' && p[8] != 'P')
        return false;
    r->flags = p[8] == 'P' ? RECORD_PARTIAL : 0;
    p += 9;
    if (p < end && *p == ':') { /* further tags, all unknown */
        p = memchr(p, ' ', (size_t)(end - p));
        p = p ? p : end;
    }
    if (p < end && *p++ != ' ')
        return false;
    r->time = str_make(line.p, n);
    r->msg = str_make(p, (size_t)(end - p)); /* an empty one may have lost the blank before it */
    return true;
}

bool decode_cri(struct str line, struct record *r)
{
    return cri_scan(line, r);
}

/* ---- JSON, as far as docker's lines need it. No recursion: input controls the depth of a skipped
 * value. ---- */

#define JSON_DEPTH_MAX 32

struct json_scan {
    const char *p;
    const char *end;
};

/* The inside of a string, as written. */
struct json_string {
    struct str raw;
    size_t first_escape; /* index of the first backslash; raw.len = none */
};

static void json_space(struct json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\r' || *s->p == '\n'))
        s->p++;
}

static bool json_take(struct json_scan *s, char c)
{
    json_space(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

/* First byte from <p> on that ends a run inside a string: a quote, a backslash, a control
 * character. */
static const char *json_run_end(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w = load64(p);
        uint64_t quote = w ^ EVERY_LANE('"'), slash = w ^ EVERY_LANE('\\');
        uint64_t hit = ((quote - EVERY_LANE(1)) & ~quote) | ((slash - EVERY_LANE(1)) & ~slash) |
                       ((w - EVERY_LANE(0x20)) & ~w);

        /* A borrow only reaches lanes above a true hit, so the lowest one is exact. */
        hit &= HIGH_BITS;
        if (hit)
            return p + __builtin_ctzll(hit) / 8;
        p += 8;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits; -1 when invalid. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_value(p[i]);

        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

/* p[0] is a backslash. Length of the escape, 0 when invalid. */
static size_t json_escape_len(const char *p, const char *end)
{
    if (end - p < 2)
        return 0;
    switch (p[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        return hex4(p + 2, end) < 0 ? 0 : 6;
    default:
        return 0;
    }
}

static bool json_string(struct json_scan *s, struct json_string *out)
{
    const char *start, *p, *escape = NULL;

    if (!json_take(s, '"'))
        return false;
    start = s->p;
    for (p = json_run_end(start, s->end); p < s->end && *p == '\\'; p = json_run_end(p, s->end)) {
        size_t n = json_escape_len(p, s->end);

        if (n == 0)
            return false;
        if (!escape)
            escape = p;
        p += n;
    }
    if (p >= s->end || *p != '"')
        return false;
    out->raw = str_make(start, (size_t)(p - start));
    out->first_escape = escape ? (size_t)(escape - start) : out->raw.len;
    s->p = p + 1;
    return true;
}

static bool json_key(struct json_scan *s, struct str *key)
{
    struct json_string name;

    if (!json_string(s, &name))
        return false;
    *key = name.raw;
    return json_take(s, ':');
}

static bool json_digits(struct json_scan *s)
{
    const char *start = s->p;

    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    return s->p > start;
}

static bool json_number(struct json_scan *s)
{
    if (s->p < s->end && *s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!json_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!json_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return json_digits(s);
    }
    return true;
}

static bool json_skip_scalar(struct json_scan *s)
{
    static const struct str words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    struct str rest = str_make(s->p, (size_t)(s->end - s->p));
    struct json_string ignored;

    if (rest.len && *rest.p == '"')
        return json_string(s, &ignored);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_starts(rest, words[i])) {
            s->p += words[i].len;
            return true;
        }
    }
    return json_number(s);
}

/* After a value: closes the levels that end here. True when another value must follow, or when
 * <*depth> is 0. */
static bool json_skip_closers(struct json_scan *s, uint32_t *objects, unsigned *depth)
{
    struct str key;

    while (*depth) {
        bool object = *objects & 1;

        if (json_take(s, ','))
            return !object || json_key(s, &key);
        if (!json_take(s, object ? '}' : ']'))
            return false;
        *objects >>= 1;
        --*depth;
    }
    return true;
}

/* Skips one value of any kind. <objects> is a stack of bits: 1 = object, 0 = array. */
static bool json_skip(struct json_scan *s)
{
    uint32_t objects = 0;
    unsigned depth = 0;
    struct str key;

    do {
        json_space(s);
        if (s->p < s->end && (*s->p == '{' || *s->p == '[')) {
            bool object = *s->p++ == '{';

            if (depth == JSON_DEPTH_MAX)
                return false;
            objects = objects << 1 | object;
            depth++;
            json_space(s);
            if (s->p < s->end && *s->p != (object ? '}' : ']')) {
                if (object && !json_key(s, &key))
                    return false;
                continue;
            }
        } else if (!json_skip_scalar(s)) {
            return false;
        }
        if (!json_skip_closers(s, &objects, &depth))
            return false;
    } while (depth);
    return true;
}

/* ---- docker ---- */

static size_t utf8_encode(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The character of the \u escape at <*p>, with the second one when they are a surrogate pair. */
static uint32_t unescape_unicode(const char **p, const char *end)
{
    uint32_t c = (uint32_t)hex4(*p + 2, end);

    *p += 6;
    if ((c & 0xf800) != 0xd800)
        return c;
    if (c < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
        uint32_t low = (uint32_t)hex4(*p + 2, end);

        if ((low & 0xfc00) == 0xdc00) {
            *p += 6;
            return 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
        }
    }
    return 0xfffd;
}

/* One escape, already checked, at <p>. Writes at most as many bytes as it reads. */
static const char *unescape_one(const char *p, const char *end, char *out, size_t *written)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

    if (p[1] == 'u') {
        *written = utf8_encode(out, unescape_unicode(&p, end));
        return p;
    }
    *out = to[strchr(from, p[1]) - from];
    *written = 1;
    return p + 2;
}

static bool unescape(const struct json_string *s, struct buf *scratch)
{
    const char *p = s->raw.p, *end = p + s->raw.len, *run;
    char *out;

    buf_clear(scratch);
    if (buf_reserve(scratch, s->raw.len) < 0)
        return false;
    out = scratch->p;
    while ((run = memchr(p, '\\', (size_t)(end - p)))) {
        size_t n = (size_t)(run - p);

        memcpy(out, p, n);
        out += n;
        p = unescape_one(run, end, out, &n);
        out += n;
    }
    memcpy(out, p, (size_t)(end - p));
    out += end - p;
    *out = '\0';
    scratch->len = (size_t)(out - scratch->p);
    return true;
}

/* The message of a `log` value; RECORD_PARTIAL unless it ends in a newline. */
static bool docker_message(const struct json_string *log, struct record *r, struct buf *scratch)
{
    size_t n = log->raw.len;

    r->flags = 0;
    if (n >= 2 && log->first_escape == n - 2 && log->raw.p[n - 1] == 'n') {
        r->msg = str_make(log->raw.p, n - 2);
        return true;
    }
    if (log->first_escape == n) {
        r->msg = log->raw;
        r->flags = RECORD_PARTIAL;
        return true;
    }
    if (!unescape(log, scratch))
        return false;
    r->msg = buf_str(scratch);
    if (str_ends(r->msg, STR("\n")))
        r->msg.len--;
    else
        r->flags = RECORD_PARTIAL;
    return true;
}

struct docker_line {
    struct json_string log;
    bool has_log, has_time, has_other;
};

static bool docker_stream(struct json_scan *s, struct record *r)
{
    struct json_string v;

    if (!json_string(s, &v))
        return false;
    if (str_eq(v.raw, STR("stderr")))
        r->fd = RECORD_STDERR;
    else if (str_eq(v.raw, STR("stdout")) || v.raw.len == 0)
        r->fd = RECORD_STDOUT;
    else
        return false;
    return true;
}

static bool docker_member(struct json_scan *s, struct docker_line *d, struct record *r)
{
    struct json_string v;
    struct str key;

    if (!json_key(s, &key))
        return false;
    if (str_eq(key, STR("log"))) {
        d->has_log = true;
        return json_string(s, &d->log);
    }
    if (str_eq(key, STR("stream")))
        return docker_stream(s, r);
    if (str_eq(key, STR("time"))) {
        d->has_time = true;
        if (!json_string(s, &v) || !decode_time_valid(v.raw))
            return false;
        r->time = v.raw;
        return true;
    }
    if (!str_eq(key, STR("attrs")))
        d->has_other = true;
    return json_skip(s);
}

bool decode_docker(struct str line, struct record *r, struct buf *scratch)
{
    struct json_scan s = {line.p, line.p + line.len};
    struct docker_line d = {.log = {str_make(line.p, 0), 0}};

    if (line.len == 0 || line.p[0] != '{')
        return false;
    s.p++;
    r->time = str_make(line.p, 0);
    r->fd = RECORD_STDOUT;
    if (!json_take(&s, '}')) {
        do {
            if (!docker_member(&s, &d, r))
                return false;
        } while (json_take(&s, ','));
        if (!json_take(&s, '}'))
            return false;
    }
    json_space(&s);
    if (s.p != s.end)
        return false;
    /* An application that writes its own JSON may have a "log" or a "time" in it. Taking that for
     * docker's would lose the rest of the line. So with foreign keys, both must be present. */
    if (d.has_other ? !(d.has_log && d.has_time) : !(d.has_log || d.has_time))
        return false;
    return docker_message(&d.log, r, scratch);
}

enum codec decode_line(enum codec hint, struct str line, struct record *r, struct buf *scratch)
{
    bool plain = hint == CODEC_PLAIN;

    r->syslog = NULL;
    if (hint == CODEC_DOCKER && decode_docker(line, r, scratch))
        return CODEC_DOCKER;
    if (!plain && cri_scan(line, r))
        return CODEC_CRI;
    if (!plain && hint != CODEC_DOCKER && decode_docker(line, r, scratch))
        return CODEC_DOCKER;
    r->time = str_make(line.p, 0);
    r->msg = line;
    r->fd = RECORD_STDOUT;
    r->flags = RECORD_RAW;
    return CODEC_UNKNOWN;
}
