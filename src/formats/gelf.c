/*
 * gelf: one GELF 1.1 object (docs/formats.md#gelf): the mandatory fields, and our own as `_name`.
 * Valid JSON on one line whatever the message contains, so that it can be framed by NUL or LF.
 * `max` shortens the message, never the object.
 *
 * Receivers refuse an empty or blank message (short_message is mandatory), so "-" replaces it.
 * Blank is what any of their languages trims: Unicode's White_Space, control characters, and
 * invisible marks.
 *
 * Views: head = everything up to the message; tail = everything after the level's digit, up to the
 * "std" of the stream's name.
 */
#include "formats/format_internal.h"

#define MICROSECONDS 6
#define TIME_KEY STR("\",\"timestamp\":")
#define LEVEL_KEY STR(",\"level\":")
#define FACILITY_KEY STR(",\"_facility\":")
#define ID_KEY STR("\",\"_record_id\":\"")

/* Seconds with the fraction's digits, up to microseconds. */
static size_t put_timestamp(char out[FORMAT_EPOCH_MAX + 1 + MICROSECONDS], struct str t)
{
    struct str fraction;
    size_t n = format_put_epoch(out, t, &fraction);

    if (fraction.len == 0)
        return n;
    out[n++] = '.';
    return (size_t)(format_put(out + n, str_head(fraction, MICROSECONDS)) - out);
}

/* Ranges of characters of two bytes and more, as UTF-8. */
static const struct {
    char from[4], to[4];
} blanks[] = {
    {"\xc2\x80", "\xc2\xa0"},         /* U+0080 to U+00A0: controls, NBSP */
    {"\xc2\xad", "\xc2\xad"},         /* U+00AD soft hyphen */
    {"\xe1\x9a\x80", "\xe1\x9a\x80"}, /* U+1680 */
    {"\xe1\xa0\x8e", "\xe1\xa0\x8e"}, /* U+180E */
    {"\xe2\x80\x80", "\xe2\x80\x8f"}, /* U+2000 to U+200F: spaces of all widths, none too */
    {"\xe2\x80\xa8", "\xe2\x80\xaf"}, /* U+2028 to U+202F: separators, directions */
    {"\xe2\x81\x9f", "\xe2\x81\xa4"}, /* U+205F to U+2064 */
    {"\xe2\x81\xa6", "\xe2\x81\xaf"}, /* U+2066 to U+206F */
    {"\xe3\x80\x80", "\xe3\x80\x80"}, /* U+3000 */
    {"\xef\xbb\xbf", "\xef\xbb\xbf"}, /* U+FEFF */
};

/* Length of the blank character at the start of <s>; 0 = it is not blank. */
static size_t blank_len(struct str s)
{
    unsigned char c = (unsigned char)s.p[0];

    if (c < 0x80)
        return c <= ' ' || c == 0x7f;
    for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
        size_t n = strlen(blanks[i].from);

        if (s.len >= n && memcmp(s.p, blanks[i].from, n) >= 0 && memcmp(s.p, blanks[i].to, n) <= 0)
            return n;
    }
    return 0;
}

bool format_is_blank(struct str s)
{
    size_t n;

    while (s.len && (n = blank_len(s)))
        s = str_skip(s, n);
    return s.len == 0;
}

/* Length of "std" with the end of the stream's name, or of its replacement. */
static size_t stream_len(const struct record *r)
{
    return r->syslog ? 0 : 3;
}

/* Everything after the level's digit, except the record's id. A network record ends in its
 * facility, any other in its stream's name. The caller adds the closing quote. */
static char *put_rest(char *d, const struct formatter *f, const struct record *r)
{
    d = format_put(d, f->tail);
    if (!r->syslog)
        return format_put(d, r->fd == RECORD_STDERR ? STR("err") : STR("out"));
    d = format_received_put(d, r, true, "_");
    d = format_put(d, FACILITY_KEY);
    *d++ = '"';
    if (r->syslog->pri >= 80)
        *d++ = (char)('0' + (r->syslog->pri >> 3) / 10);
    *d++ = (char)('0' + (r->syslog->pri >> 3) % 10);
    return d;
}

static int gelf_add(const struct formatter *f, struct buf *out, const struct record *r,
                    struct str now, bool *cut)
{
    char stamp[FORMAT_EPOCH_MAX + 1 + MICROSECONDS], id[FORMAT_ID_MAX], *d;
    size_t stamp_len = put_timestamp(stamp, format_time(r, now));
    size_t id_len = f->o.sd ? format_id(id, r) : 0;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, fixed, len;
    struct str msg = format_is_blank(r->msg) ? STR("-") : r->msg;

    fixed = f->head.len + TIME_KEY.len + stamp_len + LEVEL_KEY.len + 1 + f->tail.len +
            stream_len(r) + (f->o.sd ? ID_KEY.len + id_len : 0) + 2;
    if (r->syslog)
        fixed += format_received_len(r, true, "_") + FACILITY_KEY.len +
                 format_digits(r->syslog->pri >> 3) + 1;
    len = fixed + format_json_fit(f, &msg, &mark, fixed, cut);
    if (msg.len == 0) { /* `max` leaves no room for a single character */
        msg = STR("-");
        len++;
    }
    if (buf_reserve(out, format_frame_len(f, len) + len) < 0)
        return -1;
    d = format_frame_begin(f, out, len);
    d = format_put(d, f->head);
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = format_put(d, TIME_KEY);
    d = format_put(d, str_make(stamp, stamp_len));
    d = format_put(d, LEVEL_KEY);
    *d++ = (char)('0' + format_severity(r));
    d = put_rest(d, f, r);
    if (f->o.sd) {
        d = format_put(d, ID_KEY);
        d = format_put(d, str_make(id, id_len));
    }
    d = format_put(d, STR("\"}"));
    format_frame_end(f, out, d);
    return 0;
}

char *format_gelf_lay_out(struct formatter *f, const struct identity *id)
{
    char *d = f->text, *tail;

    f->add = gelf_add;
    d = format_put(d, STR("{\"version\":\"1.1\",\"host\":\""));
    d = format_json_put(d, id->hostname.len ? id->hostname : STR("unknown"));
    d = format_put(d, STR("\",\"short_message\":\""));
    f->head = str_make(f->text, (size_t)(d - f->text));

    tail = d;
    d = format_put_known(d, "_app_name", id->hostname);
    d = format_put_known(d, "_tag", id->tag);
    d = format_put_known(d, "_namespace", id->namespace);
    d = format_put_known(d, "_pod", id->pod);
    d = format_put_known(d, "_container", id->container);
    d = format_put_known(d, "_node", id->node);
    d = format_put_known(d, "_group", f->o.group);
    if (!id->network)
        d = format_put(d, STR(",\"_stream\":\"std"));
    f->tail = str_make(tail, (size_t)(d - tail));
    return d;
}
