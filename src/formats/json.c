/*
 * json: one packet object, with the keys and order of the original (docs/formats.md#packet). Always
 * valid JSON on one line, whatever the message contains. `max` shortens the message, never the
 * object.
 *
 * Views: head = everything up to the value of "time", in which the digit of the severity is
 * overwritten for each record; tail = everything after the message; with sd=true, up to the "std" of the
 * stream's name.
 */
#include "formats/format_internal.h"

#define SEVERITY_AT (sizeof("{\"severity\":") - 1)
#define NANOSECONDS 9
#define SMALL_MESSAGE                                                                              \
    512 /* up to here the worst case is reserved; longer ones are measured first */

#define MESSAGE_KEY STR("\",\"message\":\"")
#define ID_KEY STR("\",\"id\":\"")

#define FACILITY_KEY STR(",\"facility\":")
#define TIME_KEY STR("\",\"time\":\"")

/* The length of the object without the message. */
static size_t fixed_len(const struct formatter *f, const struct record *r, size_t time_len,
                        size_t id_len)
{
    size_t head = f->head.len, tail = f->tail.len, used;

    if (r->syslog)
        head += format_json_measure(r->syslog->tag, SIZE_MAX, &used) + (r->syslog->pri >= 80);
    if (r->syslog && f->o.sd)
        tail = 1 + format_received_len(r, false, "") + ID_KEY.len - 1 + id_len + 2;
    else if (f->o.sd)
        tail += 3 + ID_KEY.len + id_len + 2;
    return head + time_len + MESSAGE_KEY.len + tail;
}

/* Everything up to the time. A network record has its own tag; its identity has none. */
static char *put_head(char *d, const struct formatter *f, const struct record *r)
{
    size_t fixed = SEVERITY_AT + 1 + FACILITY_KEY.len, facility;

    if (!r->syslog) {
        memcpy(d, f->head.p, f->head.len);
        d[SEVERITY_AT] = (char)('0' + format_severity(r));
        return d + f->head.len;
    }
    facility = r->syslog->pri >> 3;
    memcpy(d, f->head.p, fixed);
    d[SEVERITY_AT] = (char)('0' + format_severity(r));
    d += fixed;
    if (facility >= 10)
        *d++ = (char)('0' + facility / 10);
    *d++ = (char)('0' + facility % 10);
    d = format_put(d, str_make(f->head.p + fixed + 1, f->head.len - fixed - 1 - TIME_KEY.len));
    d = format_json_put(d, r->syslog->tag);
    return format_put(d, TIME_KEY);
}

static char *put_tail(char *d, const struct formatter *f, const struct record *r, struct str id)
{
    if (!f->o.sd)
        return format_put(d, f->tail);
    if (r->syslog) {
        *d++ = '"';
        d = format_received_put(d, r, false, "");
        d = format_put(d, str_skip(ID_KEY, 1));
        d = format_put(d, id);
        return format_put(d, STR("\"}"));
    }
    d = format_put(d, f->tail);
    d = format_put(d, r->fd == RECORD_STDERR ? STR("err") : STR("out"));
    d = format_put(d, ID_KEY);
    d = format_put(d, id);
    return format_put(d, STR("\"}"));
}

static int json_add_line(const struct formatter *f, struct buf *out, const struct record *r,
                         struct str now, bool *cut)
{
    struct str t = format_time(r, now), msg = r->msg;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0;
    size_t body, time_len = format_time_len(t, NANOSECONDS, &body);
    char id[FORMAT_ID_MAX], *d;
    size_t id_len = f->o.sd ? format_id(id, r) : 0;
    size_t fixed = fixed_len(f, r, time_len, id_len), len = fixed + 6 * msg.len + mark;

    if (msg.len > SMALL_MESSAGE || (f->o.max && len > f->o.max) || f->o.framing == FRAMING_OCTET ||
        buf_reserve(out, len + 1) < 0) {
        len = fixed + format_json_fit(f, &msg, &mark, fixed, cut);
        if (buf_reserve(out, format_frame_len(f, len) + len) < 0)
            return -1;
    }
    d = format_frame_begin(f, out, len);
    d = put_head(d, f, r);
    d = format_put_time(d, t, body, time_len);
    d = format_put(d, MESSAGE_KEY);
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = put_tail(d, f, r, str_make(id, id_len));
    format_frame_end(f, out, d);
    return 0;
}

static int json_add(const struct formatter *f, struct buf *out, const struct record *r,
                    struct str now, bool *cut)
{
    if (f->o.events && r->gap)
        return format_gap_event(f, out, r);
    return json_add_line(f, out, r, now, cut);
}

char *format_json_lay_out(struct formatter *f, const struct identity *id)
{
    char *d = f->text, *tail;

    f->add = json_add;
    d = format_put(d, STR("{\"severity\":6,\"facility\":1,\"hostname\":\""));
    d = format_json_put(d, id->hostname);
    d = format_put(d, STR("\",\"tag\":\""));
    d = format_json_put(d, id->tag);
    d = format_put(d, STR("\",\"time\":\""));
    f->head = str_make(f->text, (size_t)(d - f->text));

    tail = d;
    *d++ = '"';
    if (f->o.sd) {
        d = format_put_known(d, "namespace", id->namespace);
        d = format_put_known(d, "pod", id->pod);
        d = format_put_known(d, "container", id->container);
        d = format_put_known(d, "node", id->node);
        d = format_put(d, STR(",\"stream\":\"std"));
    } else {
        *d++ = '}';
    }
    f->tail = str_make(tail, (size_t)(d - tail));
    return d;
}
