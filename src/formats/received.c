/*
 * The parts of a record received on a network input that its identity does not have (struct
 * record_syslog), for all formats. Such a record has its own tag, severity and facility, and where
 * a format has fields for them PROCID, MSGID and structured data. They change from record to
 * record, so they are not laid out in advance.
 */
#include "base/limits.h"
#include "formats/format_internal.h"

#define FRACTION_DIGITS 6
#define PROCID_MAX 128
#define MSGID_MAX 32
#define GUESSED_FRAME 4 /* "123 " */
#define FRAME_MAX 32    /* of framing around a record */
#define OWN_ID STR("[logtrain@32473")
#define TAG_OPEN STR("[logtrain@32473 tag=\"")
#define ID_OPEN STR("[logtrain@32473 id=\"")
#define ELEMENT_END STR("\"]")

/* ---- JSON members ---- */

struct member {
    const char *key;
    struct str value;
};

static size_t members(const struct record *r, bool tag, struct member out[4])
{
    const struct record_syslog *s = r->syslog;
    size_t n = 0;

    if (tag && s->tag.len)
        out[n++] = (struct member){"tag", s->tag};
    if (s->procid.len)
        out[n++] = (struct member){"procid", s->procid};
    if (s->msgid.len)
        out[n++] = (struct member){"msgid", s->msgid};
    if (s->sd.len)
        out[n++] = (struct member){"structured_data", s->sd};
    return n;
}

size_t format_received_len(const struct record *r, bool tag, const char *prefix)
{
    struct member m[4];
    size_t used, len = 0, n = members(r, tag, m);

    for (size_t i = 0; i < n; i++)
        len += strlen(",\"\":\"\"") + strlen(prefix) + strlen(m[i].key) +
               format_json_measure(m[i].value, SIZE_MAX, &used);
    return len;
}

char *format_received_put(char *d, const struct record *r, bool tag, const char *prefix)
{
    struct member m[4];
    size_t n = members(r, tag, m);

    for (size_t i = 0; i < n; i++) {
        d = format_put(d, STR(",\""));
        d = format_put(d, str_of(prefix));
        d = format_put(d, str_of(m[i].key));
        d = format_put(d, STR("\":\""));
        d = format_json_put(d, m[i].value);
        *d++ = '"';
    }
    return d;
}

/* ---- rfc5424 ---- */

/* <sd> is valid: a bracket outside of quotes begins an element. */
static bool has_own_element(struct str sd)
{
    bool quoted = false;

    for (size_t i = 0; i < sd.len; i++) {
        char c = sd.p[i];

        if (c == '\\' && quoted) {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '[' && !quoted && str_starts(str_skip(sd, i), OWN_ID)) {
            char next = sd.len - i > OWN_ID.len ? sd.p[i + OWN_ID.len] : ']';

            if (next == ' ' || next == ']')
                return true;
        }
    }
    return false;
}

static inline char *put_field(char *d, struct str s, size_t max)
{
    if (s.len)
        d = format_put_field(d, s, max);
    else
        *d++ = '-';
    *d++ = ' ';
    return d;
}

/* The fields between the time and the message, " HOST APP PROCID MSGID SD ". There is room for
 * RECEIVED_MID_MAX and the structured data. Returns the end. */
static char *put_mid(char *d, const struct formatter *f, const struct record *r, bool with_sd)
{
    const struct record_syslog *s = r->syslog;
    bool long_tag = s->tag.len > APPNAME_MAX;
    char *sd;

    d = format_put(d, f->head); /* " HOST " */
    d = put_field(d, s->tag, APPNAME_MAX);
    d = put_field(d, s->procid, PROCID_MAX);
    d = put_field(d, s->msgid, MSGID_MAX);
    sd = d;
    if (with_sd && (long_tag || f->o.sd) && !has_own_element(s->sd)) {
        char id[FORMAT_ID_MAX];

        d = format_put(d, long_tag ? TAG_OPEN : ID_OPEN);
        if (long_tag)
            d = format_put_value(d, s->tag);
        else
            d = format_put(d, str_make(id, format_id(id, r)));
        d = format_put(d, ELEMENT_END);
    }
    if (with_sd) /* a value may contain a newline, which only octet counting can frame */
        d = f->o.framing == FRAMING_LF ? format_put_one_line(d, s->sd) : format_put(d, s->sd);
    if (d == sd)
        *d++ = '-';
    *d++ = ' ';
    return d;
}

#define RECEIVED_MID_MAX (HOSTNAME_MAX + 6 * APPNAME_MAX + PROCID_MAX + MSGID_MAX + 4096)

/* "<13>1 TIME HOST APP PROCID MSGID SD ". Returns the end. */
static char *put_header(char *d, const struct formatter *f, const struct record *r, struct str now,
                        bool with_sd)
{
    struct str t = format_time(r, now);
    size_t body, len = format_time_len(t, FRACTION_DIGITS, &body);
    unsigned pri = r->syslog->pri;

    *d++ = '<';
    if (pri >= 100)
        *d++ = (char)('0' + pri / 100);
    if (pri >= 10)
        *d++ = (char)('0' + pri / 10 % 10);
    *d++ = (char)('0' + pri % 10);
    d = format_put(d, STR(">1 "));
    d = format_put_time(d, t, body, len);
    return put_mid(d, f, r, with_sd);
}

int format_rfc5424_received(const struct formatter *f, struct buf *out, const struct record *r,
                            struct str now, bool *cut)
{
    struct str msg = r->msg;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, header, len;
    size_t frame = f->o.framing == FRAMING_OCTET ? GUESSED_FRAME : f->o.framing == FRAMING_ARRAY;
    char *guess, *start, *d;

    if (buf_reserve(out, FRAME_MAX + RECEIVED_MID_MAX + r->syslog->sd.len + msg.len + mark) < 0)
        return -1;
    /* The header is written where it belongs when the length in front of it has three digits, and
     * moved otherwise. */
    guess = out->p + out->len + frame;
    header = (size_t)(put_header(guess, f, r, now, true) - guess);
    if (f->o.max && header + msg.len + mark > f->o.max) {
        *cut = true;
        if (header > f->o.max)
            header = (size_t)(put_header(guess, f, r, now, false) - guess);
        format_cut_text(&msg, &mark, f->o.max > header ? f->o.max - header : 0);
    }
    len = header + msg.len + mark;
    if (f->o.max && len > f->o.max)
        len = header = f->o.max; /* a cut inside the header is safe: it is ASCII */
    d = out->p + out->len + format_frame_len(f, len);
    if (f->o.framing == FRAMING_OCTET && d != guess)
        memmove(d, guess, header);
    start = format_frame_begin(f, out, len);
    d = start + header;
    if (len > header) {
        d = f->o.framing == FRAMING_LF ? format_put_one_line(d, msg) : format_put(d, msg);
        format_put(d, str_make(FORMAT_MARK, mark));
    }
    format_frame_end(f, out, start + len);
    return 0;
}
