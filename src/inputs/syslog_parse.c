/*
 * See syslog_parse.h. Every byte is read after a check of the length. Nothing is modified in place.
 * Only the scratch buffer for structured data is allocated; it has a cap.
 */
#include "inputs/syslog_parse.h"

#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/limits.h"
#include "inputs/syslog_stamp.h"

#define PRI_MAX 191
#define NAME_MAX_LEN 32 /* SD-ID, PARAM-NAME */
#define INPUT_ID STR("[input@32473")
#define OWN_ID STR("[logtrain@32473")
#define UNTRUSTED_ID STR("[untrusted@32473")
#define TAG_PARAM STR("[logtrain@32473 tag=\"")

void syslog_parser_init(struct syslog_parser *p)
{
    *p = (struct syslog_parser){.year = 1970, .hostname = STR("")};
    buf_init(&p->sd, JOURNAL_SD_MAX);
}

void syslog_parser_release(struct syslog_parser *p)
{
    buf_release(&p->sd);
}

/* ---- structured data ---- */

static bool is_name_char(char c)
{
    return c > ' ' && c <= '~' && c != '=' && c != ']' && c != '"';
}

static size_t name_len(struct str s)
{
    size_t n = 0;

    while (n < s.len && n < NAME_MAX_LEN && is_name_char(s.p[n]))
        n++;
    return n;
}

/* Length of ` name="value"` at the start of <s>; 0 = none. */
static size_t param_len(struct str s)
{
    size_t n, at;

    if (s.len < 2 || s.p[0] != ' ')
        return 0;
    n = name_len(str_skip(s, 1));
    at = 1 + n;
    if (!n || s.len < at + 2 || s.p[at] != '=' || s.p[at + 1] != '"')
        return 0;
    for (at += 2; at < s.len && s.p[at] != '"'; at++) {
        if (s.p[at] == ']')
            return 0;
        if (s.p[at] == '\\' && at + 1 < s.len &&
            (s.p[at + 1] == '"' || s.p[at + 1] == '\\' || s.p[at + 1] == ']'))
            at++;
    }
    return at < s.len ? at + 1 : 0;
}

static size_t element_len(struct str s)
{
    size_t at, n;

    if (s.len < 3 || s.p[0] != '[')
        return 0;
    n = name_len(str_skip(s, 1));
    if (!n)
        return 0;
    at = 1 + n;
    while (at < s.len && s.p[at] == ' ') {
        n = param_len(str_skip(s, at));
        if (!n)
            return 0;
        at += n;
    }
    return at < s.len && s.p[at] == ']' ? at + 1 : 0;
}

size_t syslog_sd_len(struct str s)
{
    size_t at = 0, n;

    while ((n = element_len(str_skip(s, at))))
        at += n;
    if (at < s.len && s.p[at] == '[')
        return 0; /* it looks like an element and is malformed */
    return at;
}

static int add_value(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if ((c == '"' || c == '\\' || c == ']') && buf_add_ch(out, '\\') < 0)
            return -1;
        if (buf_add_ch(out, (unsigned char)c < ' ' || c == 127 ? ' ' : c) < 0)
            return -1;
    }
    return 0;
}

int syslog_peer_element(struct buf *out, struct str address, struct str cert)
{
    if (buf_addf(out, "[input@32473 peer=\"") < 0 || add_value(out, address) < 0)
        return -1;
    if (cert.len && (buf_addf(out, "\" cert=\"") < 0 || add_value(out, cert) < 0))
        return -1;
    return buf_addf(out, "\"]");
}

/* In any case: some receivers ignore case. */
static bool has_id(struct str element, struct str id)
{
    return element.len > id.len && str_ieq(str_head(element, id.len), id) &&
           !is_name_char(element.p[id.len]);
}

bool syslog_sd_stamp(struct buf *out, struct str sd, const struct syslog_peer *peer)
{
    bool fits = true, renamed = false;
    size_t n;

    buf_clear(out);
    for (; fits && (n = element_len(sd)); sd = str_skip(sd, n)) {
        struct str one = str_head(sd, n), id = {NULL, 0};
        bool own = !peer->trusted && has_id(one, OWN_ID);

        if (has_id(one, INPUT_ID))
            continue;
        if (own || (!peer->trusted && has_id(one, UNTRUSTED_ID))) {
            if (renamed)
                continue; /* an element's name must be unique */
            renamed = true;
        }
        if (own) {
            id = UNTRUSTED_ID;
            one = str_skip(one, OWN_ID.len);
        }
        fits = out->len + id.len + one.len + peer->element.len <= JOURNAL_SD_MAX &&
               buf_add_str(out, id) == 0 && buf_add_str(out, one) == 0;
    }
    if (!fits)
        buf_clear(out);
    (void)buf_add_str(out, peer->element); /* there is room for it alone */
    return fits;
}

/* ---- fields ---- */

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') <= 9;
}

/* Length of "<0>" to "<191>"; 0 = none. */
static size_t pri_len(struct str s, unsigned char *pri)
{
    unsigned value = 0;
    size_t n = 1;

    if (s.len < 3 || s.p[0] != '<')
        return 0;
    while (n < s.len && n <= 3 && is_digit(s.p[n]))
        value = value * 10 + (unsigned)(s.p[n++] - '0');
    if (n == 1 || n == s.len || s.p[n] != '>' || value > PRI_MAX || (s.p[1] == '0' && n > 2))
        return 0;
    *pri = (unsigned char)value;
    return n + 1;
}

/* Cuts a field of visible ASCII off <*s>, with the space after it. False: there is none. */
static bool take_field(struct str *s, struct str *field)
{
    size_t n = 0;

    while (n < s->len && s->p[n] > ' ' && s->p[n] <= '~')
        n++;
    if (!n || (n < s->len && s->p[n] != ' '))
        return false;
    *field = str_head(*s, n);
    *s = str_skip(*s, n + 1);
    return true;
}

static struct str known(struct str field)
{
    return field.len == 1 && *field.p == '-' ? str_make(field.p, 0) : field;
}

/* ---- RFC 5424 ---- */

#define EVERY_LANE(byte) (0x0101010101010101u * (uint64_t)(byte))

/* Eight bytes → a bit for each that is not visible ASCII, the first one lowest. */
static inline uint64_t gaps8(const char *p)
{
    uint64_t w, low, visible;

    memcpy(&w, p, 8);
    w = le64toh(w);
    low = w & EVERY_LANE(0x7f); /* so that no lane carries into the next */
    visible = (low + EVERY_LANE(0x80 - '!')) & ~(low + EVERY_LANE(1)) & ~w;
    /* The high bit of each lane, gathered in the top byte. */
    return ~(((visible >> 7) & EVERY_LANE(1)) * 0x0102040810204080u >> 56) & 0xff;
}

static uint64_t gaps64(const char *p)
{
    return gaps8(p) | gaps8(p + 8) << 8 | gaps8(p + 16) << 16 | gaps8(p + 24) << 24 |
           gaps8(p + 32) << 32 | gaps8(p + 40) << 40 | gaps8(p + 48) << 48 | gaps8(p + 56) << 56;
}

/* Fewer than 64 bytes: missing ones count as visible. */
static uint64_t gaps_tail(const char *p, size_t n)
{
    char padded[64];

    memset(padded, 'x', sizeof(padded));
    memcpy(padded, p, n);
    return gaps64(padded);
}

#ifdef __SSE2__
/* As signed numbers, non-ASCII bytes are less than a space. */
static inline uint64_t gaps16(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i visible = _mm_andnot_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(127)),
                                       _mm_cmpgt_epi8(v, _mm_set1_epi8(' ')));

    return ~(unsigned)_mm_movemask_epi8(visible) & 0xffff;
}
#else
static inline uint64_t gaps16(const char *p)
{
    return gaps8(p) | gaps8(p + 8) << 8;
}
#endif

static inline uint64_t gaps_at(struct str s, size_t base)
{
    size_t n = s.len - base;

    const char *p = s.p + base;

    return n < 64 ? gaps_tail(p, n)
                  : gaps16(p) | gaps16(p + 16) << 16 | gaps16(p + 32) << 32 | gaps16(p + 48) << 48;
}

enum { VERSION = 0, TIME, HOST, APP, PROCID, MSGID };

/* Cuts the fields of visible ASCII and the spaces after them off <*s>. Finds their ends for 64
 * bytes at a time. False: there are too few. */
static bool take_fields(struct str *s, struct str out[SYSLOG_FIELDS])
{
    size_t at = 0, base = 0, end;
    uint64_t gaps = gaps_at(*s, 0);

    for (unsigned i = 0; i < SYSLOG_FIELDS; i++, at = end + 1) {
        while (!gaps && base + 64 < s->len) {
            base += 64;
            gaps = gaps_at(*s, base);
        }
        end = gaps ? base + (size_t)__builtin_ctzll(gaps) : s->len;
        if (end <= at || (end < s->len && s->p[end] != ' '))
            return false;
        out[i] = str_make(s->p + at, end - at);
        gaps &= gaps - 1;
    }
    *s = str_skip(*s, at);
    return true;
}

/* A tag that was cut to fit APP-NAME is stored whole in our own element. */
static struct str whole_tag(struct str app, struct str sd)
{
    const char *at =
        app.len == APPNAME_MAX && sd.len ? memmem(sd.p, sd.len, TAG_PARAM.p, TAG_PARAM.len) : NULL;
    struct str rest, value;

    if (!at)
        return app;
    rest = str_skip(sd, (size_t)(at - sd.p) + TAG_PARAM.len);
    if (!str_cut(&rest, '"', &value) || str_find(value, '\\') >= 0 || !str_starts(value, app))
        return app;
    return value;
}

/* Many messages come in one second: its date is checked once. */
static bool time_valid(struct syslog_parser *p, struct str t)
{
    if (t.len > SYSLOG_SECOND && memcmp(t.p, p->second, SYSLOG_SECOND) == 0)
        return decode_time_end_valid(str_skip(t, SYSLOG_SECOND));
    if (!decode_time_valid(t))
        return false;
    memcpy(p->second, t.p, SYSLOG_SECOND);
    return true;
}

/* Cuts the structured data off <*s>, with the space after it. What is neither `-` nor an element is
 * the message, which may be empty: Logplex's frames have no structured data. */
static struct str take_data(struct str *s)
{
    size_t n = s->len && s->p[0] == '-' ? 1 : syslog_sd_len(*s);
    struct str sd = {s->p, 0};

    if (!n || (n < s->len && s->p[n] != ' '))
        return sd;
    if (s->p[0] != '-')
        sd.len = n;
    *s = str_skip(*s, n + 1);
    return sd;
}

/* <s> is what follows the priority. Sets everything else. */
static bool parse_5424(struct syslog_parser *p, struct str s, struct journal_entry *e)
{
    struct str *f = p->field, time, sd;

    if (!take_fields(&s, f) || f[VERSION].len > 3 || f[HOST].len > HOSTNAME_MAX)
        return false;
    time = known(f[TIME]);
    if (time.len && !time_valid(p, time))
        return false;
    sd = take_data(&s);
    if (s.len >= 3 && memcmp(s.p, "\xef\xbb\xbf", 3) == 0)
        s = str_skip(s, 3);
    e->time = time;
    e->hostname = known(f[HOST]);
    e->syslog.tag = whole_tag(known(f[APP]), sd);
    e->syslog.procid = known(f[PROCID]);
    e->syslog.msgid = known(f[MSGID]);
    e->syslog.sd = sd;
    e->msg = s;
    return true;
}

/* ---- RFC 3164 ---- */

/* Cuts the time at the start of <*s>, with the space after it. */
static bool take_time(struct syslog_parser *p, struct str *s, struct journal_entry *e)
{
    struct str rest = *s, field;

    if (syslog_stamp_take(p, s, &e->time))
        return true;
    if (!take_field(&rest, &field) || !decode_time_valid(field))
        return false;
    e->time = field;
    *s = rest;
    return true;
}

/* Of a program's name; excludes the characters of JSON and `key=value`. */
static bool is_tag_char(char c)
{
    return c > ' ' && c <= '~' && !strchr(":[<>{}\"'=,;", c);
}

/* "tag:" or "tag[procid]:" at the start of <s>, with the space after it. */
static bool take_tag(struct str *s, struct journal_entry *e)
{
    size_t n = 0, end;

    while (n < s->len && n < JOURNAL_TAG_MAX && is_tag_char(s->p[n]))
        n++;
    if (!n || n == s->len)
        return false;
    end = n;
    if (s->p[n] == '[') {
        for (end = n + 1; end < s->len && end - n <= 128 && s->p[end] > ' ' && s->p[end] <= '~' &&
                          s->p[end] != ']';)
            end++;
        if (end == s->len || s->p[end] != ']')
            return false;
        e->syslog.procid = str_make(s->p + n + 1, end - n - 1);
        end++;
    }
    if (end < s->len && s->p[end] == ':')
        end++;
    else if (end == n)
        return false;
    if (end < s->len && s->p[end] != ' ') {
        e->syslog.procid.len = 0;
        return false;
    }
    e->syslog.tag = str_head(*s, n);
    *s = str_skip(*s, end + 1);
    return true;
}

/* The message is everything. */
static void take_whole(struct str msg, struct journal_entry *e)
{
    const struct str none = {msg.p, 0};

    e->hostname = e->time = none;
    e->syslog.tag = e->syslog.procid = e->syslog.msgid = e->syslog.sd = none;
    e->msg = msg;
}

/* That of this machine, in full or up to the first dot. */
static bool is_own_name(struct str own, struct str host)
{
    return str_ieq(host, own) ||
           (host.len < own.len && own.p[host.len] == '.' && str_ieq(host, str_head(own, host.len)));
}

/* <s> is what follows the priority. Sets everything else. */
static void parse_3164(struct syslog_parser *p, struct str s, struct journal_entry *e)
{
    struct str rest, host;

    take_whole(s, e);
    if (!take_time(p, &s, e)) {
        (void)take_tag(
            &s, e); /* as programs write to /dev/log; without a tag all is message (§4.3.2) */
        e->msg = s;
        return;
    }
    rest = s;
    if (!take_tag(&s, e) && take_field(&rest, &host) && host.len <= HOSTNAME_MAX &&
        (!p->hostname.len || is_own_name(p->hostname, host))) {
        e->hostname = host;
        s = rest;
        (void)take_tag(&s, e); /* without a tag the rest is the message */
    }
    e->msg = s;
}

enum syslog_form syslog_parse(struct syslog_parser *p, struct str msg,
                              const struct syslog_peer *peer, struct journal_entry *e)
{
    enum syslog_form form;
    struct str rest;
    unsigned char pri = SYSLOG_PRI_DEFAULT;
    size_t n = pri_len(msg, &pri);

    rest = str_skip(msg, n);
    if (!n || (rest.len > 1 && rest.p[0] == '1' && rest.p[1] == ' ')) {
        form = n && parse_5424(p, rest, e) ? SYSLOG_5424 : SYSLOG_UNPARSED;
    } else {
        parse_3164(p, rest, e);
        form = SYSLOG_3164;
    }
    if (form == SYSLOG_UNPARSED)
        take_whole(rest, e);
    e->sender = peer->address;
    e->syslog.pri = pri;
    e->cut = false;
    if (!e->hostname.len)
        e->hostname = p->hostname.len ? p->hostname : peer->address;
    if (e->syslog.sd.len) {
        e->cut = !syslog_sd_stamp(&p->sd, e->syslog.sd, peer);
        e->syslog.sd = buf_str(&p->sd);
    } else {
        e->syslog.sd = peer->element;
    }
    return form;
}
