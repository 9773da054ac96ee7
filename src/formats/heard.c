/*
 * What a record heard on a network input has besides what its stream is called (struct
 * record_syslog), for all formats: such a record brings its own tag, severity and facility, and
 * where a format has room for them PROCID, MSGID and structured data. Not laid out ahead, since all
 * of it changes from record to record.
 */
#include "base/limits.h"
#include "formats/format_internal.h"

#define FRACTION_DIGITS 6
#define PROCID_MAX 128
#define MSGID_MAX 32
#define OWN_ID STR("[logtrain@32473 ")
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

size_t format_heard_len(const struct record *r, bool tag, const char *prefix)
{
    struct member m[4];
    size_t used, len = 0, n = members(r, tag, m);

    for (size_t i = 0; i < n; i++)
        len += strlen(",\"\":\"\"") + strlen(prefix) + strlen(m[i].key) +
               format_json_measure(m[i].value, SIZE_MAX, &used);
    return len;
}

char *format_heard_put(char *d, const struct record *r, bool tag, const char *prefix)
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

static bool has_own_element(struct str sd)
{
    return sd.len && memmem(sd.p, sd.len, OWN_ID.p, OWN_ID.len) != NULL;
}

/* The fields between the time and the message, " HOST APP PROCID MSGID SD ", into <out>, which has
 * room for HEARD_MID_MAX and the structured data six times. */
static size_t put_mid(char *out, const struct formatter *f, const struct record *r, bool with_sd)
{
    const struct record_syslog *s = r->syslog;
    bool own = has_own_element(s->sd);
    char *d = format_put(out, f->head), *sd; /* " HOST " */

    d = format_put_field(d, s->tag, APPNAME_MAX);
    *d++ = ' ';
    d = format_put_field(d, s->procid, PROCID_MAX);
    *d++ = ' ';
    d = format_put_field(d, s->msgid, MSGID_MAX);
    *d++ = ' ';
    sd = d;
    if (with_sd && s->tag.len > APPNAME_MAX && !own) {
        d = format_put(d, TAG_OPEN);
        d = format_put_value(d, s->tag);
        d = format_put(d, ELEMENT_END);
    } else if (with_sd && f->o.sd && !own) {
        char id[FORMAT_ID_MAX];

        d = format_put(d, ID_OPEN);
        d = format_put(d, str_make(id, format_id(id, r)));
        d = format_put(d, ELEMENT_END);
    }
    if (with_sd) /* a value may hold a newline, which no framing but octet counting survives */
        d = f->o.framing == FRAMING_LF ? format_put_one_line(d, s->sd) : format_put(d, s->sd);
    if (d == sd)
        *d++ = '-';
    *d++ = ' ';
    return (size_t)(d - out);
}

#define HEARD_MID_MAX (HOSTNAME_MAX + 6 * APPNAME_MAX + PROCID_MAX + MSGID_MAX + 4096)

int format_rfc5424_heard(const struct formatter *f, struct buf *out, const struct record *r,
                         struct str now, bool *cut)
{
    struct str t = format_time(r, now), msg = r->msg;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0,
           most = HEARD_MID_MAX + r->syslog->sd.len;
    size_t body, time_len = format_time_len(t, FRACTION_DIGITS, &body), mid, header, len, pri_len;
    unsigned pri = r->syslog->pri;
    char digits[8], *d;

    pri_len = format_digits(pri) + 4; /* "<13>1 " is a digit and four more before the space */
    /* The header is laid out where it will stand, were there no length in front of it, and moved.
     */
    if (buf_reserve(out, 16 + pri_len + 1 + time_len + most + msg.len + mark + 16) < 0)
        return -1;
    d = out->p + out->len + 16;
    (void)snprintf(digits, sizeof(digits), "<%u>1 ", pri);
    pri_len = strlen(digits);
    memcpy(d, digits, pri_len);
    format_put_time(d + pri_len, t, body, time_len);
    mid = put_mid(d + pri_len + time_len, f, r, true);
    header = pri_len + time_len + mid;
    if (f->o.max && header + msg.len + mark > f->o.max) {
        *cut = true;
        if (header > f->o.max)
            header = pri_len + time_len + put_mid(d + pri_len + time_len, f, r, false);
        format_cut_text(&msg, &mark, f->o.max > header ? f->o.max - header : 0);
    }
    len = header + msg.len + mark;
    if (f->o.max && len > f->o.max)
        len = header = f->o.max; /* what is left of a header that is cut is ASCII */
    char *start = format_frame_begin(f, out, len);
    memmove(start, d, header);
    d = start + header;
    if (len > header) {
        d = f->o.framing == FRAMING_LF ? format_put_one_line(d, msg) : format_put(d, msg);
        format_put(d, str_make(FORMAT_MARK, mark));
    }
    format_frame_end(f, out, start + len);
    return 0;
}
