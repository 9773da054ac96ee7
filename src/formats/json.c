/*
 * json: one packet object, its keys and their order those of the original (WIRE.md §2.5). Always
 * valid JSON on one line, whatever the message holds; `max` shortens the message, never the object.
 *
 * Views: head = everything up to the value of "time", written for stdout (the severity digit is
 * patched for stderr); tail = everything after the message; with sd=true, up to the "std" of the
 * stream's name.
 */
#include "formats/format_internal.h"

#define SEVERITY_AT (sizeof("{\"severity\":") - 1)
#define NANOSECONDS 9
#define SMALL_MESSAGE                                                                              \
    512 /* up to here the worst case is reserved; beyond, the length is measured first */

#define MESSAGE_KEY STR("\",\"message\":\"")
#define ID_KEY STR("\",\"id\":\"")

/* The length of the object but for the message. */
static size_t fixed_len(const struct formatter *f, size_t time_len, size_t id_len)
{
    return f->head.len + time_len + MESSAGE_KEY.len + f->tail.len +
           (f->o.sd ? 3 + ID_KEY.len + id_len + 2 : 0);
}

static char *put_tail(char *d, const struct formatter *f, const struct record *r, struct str id)
{
    d = format_put(d, f->tail);
    if (!f->o.sd)
        return d;
    d = format_put(d, r->fd == RECORD_STDERR ? STR("err") : STR("out"));
    d = format_put(d, ID_KEY);
    d = format_put(d, id);
    return format_put(d, STR("\"}"));
}

static int json_add(const struct formatter *f, struct buf *out, const struct record *r,
                    struct str now, bool *cut)
{
    struct str t = format_time(r, now), msg = r->msg;
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0;
    size_t body, time_len = format_time_len(t, NANOSECONDS, &body);
    char id[FORMAT_ID_MAX], *d;
    size_t id_len = f->o.sd ? format_id(id, r) : 0;
    size_t fixed = fixed_len(f, time_len, id_len), len = fixed + 6 * msg.len + mark;

    if (msg.len > SMALL_MESSAGE || (f->o.max && len > f->o.max) || f->o.framing == FRAMING_OCTET ||
        buf_reserve(out, len + 1) < 0) {
        len = fixed + format_json_fit(f, &msg, &mark, fixed, cut);
        if (buf_reserve(out, format_frame_len(f, len) + len) < 0)
            return -1;
    }
    d = format_frame_begin(f, out, len);
    memcpy(d, f->head.p, f->head.len);
    d[SEVERITY_AT] = r->fd == RECORD_STDERR ? '3' : '6';
    d = format_put_time(d + f->head.len, t, body, time_len);
    d = format_put(d, MESSAGE_KEY);
    d = format_json_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    d = put_tail(d, f, r, str_make(id, id_len));
    format_frame_end(f, out, d);
    return 0;
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
