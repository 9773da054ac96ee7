/*
 * The frame around the encoders: making a formatter, the names of formats, and the byte work that
 * the encoders share (UTF-8, JSON escaping, cutting). Called by the drains for every line. It knows
 * nothing of batches beyond the buffer it appends to, and keeps nothing from one record to the
 * next.
 */
#include "formats/format.h"

#include <endian.h>
#include <stdlib.h>

#include "base/limits.h"
#include "formats/format_internal.h"

#define FIELD_MAX                                                                                  \
    1024 /* bytes of one identity field; more is cut. Names in Kubernetes end at 253 */

static const struct {
    enum format format;
    const char *name;
    char *(*lay_out)(struct formatter *f, const struct identity *id);
} formats[] = {
    {FORMAT_RFC5424, "rfc5424", format_rfc5424_lay_out},
    {FORMAT_JSON, "json", format_json_lay_out},
    {FORMAT_RAW, "raw", format_raw_lay_out},
    {FORMAT_GELF, "gelf", format_gelf_lay_out},
    {FORMAT_ELASTIC, "elastic", format_elastic_lay_out},
};

static struct str field(struct str s, size_t *sum)
{
    if (s.len > FIELD_MAX)
        s.len = format_utf8_cut(s, FIELD_MAX);
    *sum += s.len;
    return s;
}

static struct formatter *create_sized(const struct format_options *o, const struct identity *id,
                                      size_t room, size_t *used)
{
    struct formatter *f = xcalloc(1, sizeof(*f) + room);

    f->o = *o;
    f->network = id->network;
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (formats[i].format == o->format)
            *used = (size_t)(formats[i].lay_out(f, id) - f->text);
    }
    if (!f->add)
        BUG("formats: %d is no format", (int)o->format);
    f->o.index = f->o.group = (struct str){NULL, 0}; /* laid out; the caller's bytes may go */
    return f;
}

struct formatter *formatter_create(const struct format_options *o, const struct identity *id)
{
    size_t sum = 0, used = 0;
    struct identity fields = {
        .hostname = field(id->hostname, &sum),
        .tag = field(id->tag, &sum),
        .name = field(id->name, &sum),
        .namespace = field(id->namespace, &sum),
        .pod = field(id->pod, &sum),
        .container = field(id->container, &sum),
        .node = field(id->node, &sum),
        .network = id->network,
    };

    /* Once to learn the length, then into memory of just that size: there is a formatter for every
     * cursor. */
    sum += fields.hostname.len + o->index.len + o->group.len;
    formatter_free(create_sized(o, &fields, FORMAT_TEXT_FIXED + 6 * sum, &used));
    return create_sized(o, &fields, used, &used);
}

void formatter_free(struct formatter *f)
{
    free(f);
}

static int add_with_id(const struct formatter *f, struct buf *out, const struct record *r,
                       struct str now, bool *cut)
{
    char id[FORMAT_ID_MAX + 1];
    size_t n = format_id(id, r), before = out->len;

    id[n++] = ' ';
    if (buf_add(out, id, n) < 0)
        return -1;
    if (f->add(f, out, r, now, cut) == 0)
        return 0;
    out->len = before;
    return -1;
}

/* <r> made valid, in the scratch. */
static int add_valid(const struct formatter *f, struct buf *out, const struct record *r,
                     struct str now, bool *cut)
{
    struct buf *valid = f->o.valid;
    struct record fixed = *r;
    struct record_syslog heard;
    size_t msg_len;
    int rc = -1;

    buf_clear(valid);
    if (format_add_utf8(valid, r->msg) < 0)
        return -1;
    msg_len = valid->len;
    if (r->syslog && format_add_utf8(valid, r->syslog->sd) < 0)
        return -1;
    fixed.msg = str_head(buf_str(valid), msg_len);
    if (r->syslog) {
        heard = *r->syslog;
        heard.sd = str_skip(buf_str(valid), msg_len);
        fixed.syslog = &heard;
    }
    rc = f->o.id_first ? add_with_id(f, out, &fixed, now, cut) : f->add(f, out, &fixed, now, cut);
    if (valid->cap > SCRATCH_KEPT)
        buf_release(valid);
    return rc;
}

/* JSON makes its own texts valid. */
static bool must_be_valid(const struct formatter *f, const struct record *r)
{
    return f->o.valid && (f->o.format == FORMAT_RAW || f->o.format == FORMAT_RFC5424) &&
           (!format_is_utf8(r->msg) || (r->syslog && !format_is_utf8(r->syslog->sd)));
}

int formatter_add(const struct formatter *f, struct buf *out, const struct record *r,
                  struct str now, bool *cut)
{
    static const struct record_syslog own = {.pri = 1 << 3 | 3}; /* user.err */
    struct record ours;
    bool ignored;

    if (f->network && !r->syslog) { /* nobody sent it: it says what was lost */
        ours = *r;
        ours.syslog = &own;
        r = &ours;
    }
    cut = cut ? cut : &ignored;
    *cut = false;
    if (must_be_valid(f, r))
        return add_valid(f, out, r, now, cut);
    return f->o.id_first ? add_with_id(f, out, r, now, cut) : f->add(f, out, r, now, cut);
}

int formatter_end(const struct formatter *f, struct buf *out)
{
    if (f->o.framing != FRAMING_ARRAY)
        return 0;
    return out->len ? buf_add_ch(out, ']') : buf_add_str(out, STR("[]"));
}

enum format format_parse(struct str s)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (str_eq(s, str_of(formats[i].name)))
            return formats[i].format;
    }
    return FORMAT_NONE;
}

const char *format_name(enum format f)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (formats[i].format == f)
            return formats[i].name;
    }
    return "none";
}

const char *format_content_type(enum format f, enum framing framing)
{
    switch (f) {
    case FORMAT_RFC5424:
        return "application/syslog";
    case FORMAT_ELASTIC:
        return "application/x-ndjson";
    case FORMAT_JSON:
    case FORMAT_GELF:
        return framing == FRAMING_LF ? "application/x-ndjson" : "application/json";
    case FORMAT_RAW:
    case FORMAT_NONE:
        break;
    }
    return "text/plain";
}

/* ---- shared by the encoders ---- */

/* Sixteen bytes at once; the compiler has instructions for it on every machine we care about. */
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

/* The well-formed beginning of <s>. */
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

/* ---- JSON strings ---- */

/* For ASCII: 0 as it is, 1 as \u00XX, else the letter after the backslash. */
static const char json_escapes[128] = {
    1, 1, 1, 1, 1, 1, 1, 1, 'b', 't', 'n', 1, 'f', 'r', 1, 1,          1,
    1, 1, 1, 1, 1, 1, 1, 1, 1,   1,   1,   1, 1,   1,   1, [34] = '"', ['\\'] = '\\',
};

#define EVERY_LANE(byte) (0x0101010101010101u * (uint64_t)(byte))

/* How many bytes of the word are plain: printable ASCII but quote and backslash. A borrow only
 * reaches lanes above a true hit, so the lowest one is exact. */
static inline size_t json_plain(uint64_t w)
{
    uint64_t hit = w | (w - EVERY_LANE(0x20)) | ((w ^ EVERY_LANE('"')) - EVERY_LANE(1)) |
                   ((w ^ EVERY_LANE('\\')) - EVERY_LANE(1));

    hit &= EVERY_LANE(0x80);
    return hit ? (size_t)__builtin_ctzll(hit) / 8 : 8;
}

/* Copies 16 bytes; true when all of them were plain. As signed numbers, control characters and all
 * that is not ASCII are less than a space. */
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

/* One character, or one run of bytes that is none: its length. Escaped into <out>, *written bytes,
 * at least as many and at most six for each. */
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

        /* Escaping never shortens: where so many bytes can be read, so many can be written. */
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
