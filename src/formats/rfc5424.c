/*
 * rfc5424: "<14>1 TIME HOST APP - - SD MSG" (docs/formats.md#rfc5424). Header fields are always
 * valid, whatever the identity contains. The message is passed byte for byte, without a BOM,
 * because its encoding is unknown. The space before the message is written even when the message is
 * empty: receivers of the original split on it.
 *
 * Views: mid = " HOST APP - - SD ", or with sd=true " HOST APP - - [… id=\"", followed by the id
 * and "\"] "; head = " HOST ", for network records (received.c); tail = the same with "-" for SD,
 * for records whose `max` the structured data alone would fill.
 */
#include "base/limits.h"
#include "formats/format_internal.h"

#define FRACTION_DIGITS 6
#define SD_OPEN " - - [logtrain@32473"
#define SD_CLOSE "\"] "
#define NO_SD " - - - "

/* Facility 1, user. PRI_LEN bytes are written of each; the time follows, so there is room. */
#define PRI_LEN 6
static const char pris[][8] = {"<8>1 ",  "<9>1 ",  "<10>1 ", "<11>1 ",
                               "<12>1 ", "<13>1 ", "<14>1 ", "<15>1 "};

static int add_line(const struct formatter *f, struct buf *out, const struct record *r,
                    struct str now, bool *cut)
{
    struct str t = format_time(r, now), mid = f->mid, msg = r->msg;
    unsigned severity = format_severity(r);
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0;
    size_t body, time_len = format_time_len(t, FRACTION_DIGITS, &body);
    size_t pri_len = severity < 2 ? PRI_LEN - 1 : PRI_LEN, id_len = 0, header, len, room;
    char id[FORMAT_ID_MAX + sizeof(SD_CLOSE)], *d, *start;

    if (f->o.sd) {
        id_len = format_id(id, r);
        memcpy(id + id_len, SD_CLOSE, sizeof(SD_CLOSE) - 1);
        id_len += sizeof(SD_CLOSE) - 1;
    }
    header = pri_len + time_len + mid.len + id_len;
    len = room = header + msg.len + mark;
    if (f->o.max && len > f->o.max) {
        *cut = true;
        if (header > f->o.max) {
            mid = f->tail;
            id_len = 0;
            header = pri_len + time_len + mid.len;
        }
        format_cut_text(&msg, &mark, f->o.max > header ? f->o.max - header : 0);
        room = header + msg.len + mark;
        len = room < f->o.max ? room : f->o.max; /* a cut inside the header is safe: it is ASCII */
    }
    if (buf_reserve(out, format_frame_len(f, len) + room) < 0)
        return -1;
    start = format_frame_begin(f, out, len);
    memcpy(start, pris[severity], PRI_LEN);
    d = format_put_time(start + pri_len, t, body, time_len);
    d = format_put(d, mid);
    d = format_put(d, str_make(id, id_len));
    d = f->o.framing == FRAMING_LF ? format_put_one_line(d, msg) : format_put(d, msg);
    format_put(d, str_make(FORMAT_MARK, mark));
    format_frame_end(f, out, start + len);
    return 0;
}

static int rfc5424_add(const struct formatter *f, struct buf *out, const struct record *r,
                       struct str now, bool *cut)
{
    return r->syslog ? format_rfc5424_received(f, out, r, now, cut) : add_line(f, out, r, now, cut);
}

static char *put_param(char *d, const char *name, struct str value)
{
    if (value.len == 0)
        return d;
    *d++ = ' ';
    d = format_put(d, str_of(name));
    d = format_put(d, STR("=\""));
    d = format_put_value(d, value);
    *d++ = '"';
    return d;
}

static char *put_names(char *d, const struct identity *id)
{
    *d++ = ' ';
    d = format_put_field(d, id->hostname, HOSTNAME_MAX);
    *d++ = ' ';
    return format_put_field(d, id->tag, APPNAME_MAX);
}

char *format_rfc5424_lay_out(struct formatter *f, const struct identity *id)
{
    bool tag_cut = id->tag.len > APPNAME_MAX;
    char *d = f->text, *start = d;

    f->add = rfc5424_add;
    *d++ = ' ';
    d = format_put_field(d, id->hostname, HOSTNAME_MAX);
    *d++ = ' ';
    f->head = str_make(start, (size_t)(d - start));
    start = d;
    d = put_names(d, id);
    d = format_put(d, STR(NO_SD));
    f->tail = f->mid = str_make(start, (size_t)(d - start));
    if (!tag_cut && !f->o.sd)
        return d;

    start = d;
    d = put_names(d, id);
    d = format_put(d, STR(SD_OPEN));
    if (tag_cut)
        d = put_param(d, "tag", id->tag);
    if (f->o.sd) {
        d = put_param(d, "namespace", id->namespace);
        d = put_param(d, "pod", id->pod);
        d = put_param(d, "container", id->container);
        d = put_param(d, "node", id->node);
        d = format_put(d, STR(" id=\""));
    } else {
        d = format_put(d, STR("] "));
    }
    f->mid = str_make(start, (size_t)(d - start));
    return d;
}
