/*
 * Docker's json-file: a line is {"log":"…\\n","stream":"stdout","time":"…"}. The message points into
 * the line, unless it has escapes other than the newline at its end: then it is in the caller's buffer.
 */
#include "streams/decode.h"
#include "streams/lanes.h"

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
