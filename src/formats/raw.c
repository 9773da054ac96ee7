/*
 * raw: only the message, byte for byte (but see format_options.valid); with LF framing, on one
 * line.
 */
#include "formats/format_internal.h"

static int raw_add(const struct formatter *f, struct buf *out, const struct record *r,
                   struct str now, bool *cut)
{
    size_t mark = r->flags & RECORD_CUT ? FORMAT_MARK_LEN : 0, len;
    struct str msg = r->msg;
    char *d;

    (void)now; /* only the message is written */
    if (f->o.max && msg.len + mark > f->o.max) {
        format_cut_text(&msg, &mark, f->o.max);
        *cut = true;
    }
    len = msg.len + mark;
    if (buf_reserve(out, format_frame_len(f, len) + len) < 0)
        return -1;
    d = format_frame_begin(f, out, len);
    d = f->o.framing == FRAMING_LF ? format_put_one_line(d, msg) : format_put(d, msg);
    d = format_put(d, str_make(FORMAT_MARK, mark));
    format_frame_end(f, out, d);
    return 0;
}

char *format_raw_lay_out(struct formatter *f, const struct identity *id)
{
    (void)id; /* raw does not identify the stream */
    f->add = raw_add;
    return f->text;
}
