/* What was lost, as an event for those who look: {"event":"gap","reason":"deleted","bytes":123, ...}.
 * Where it was is laid out by json.c, whose tail ends in the name of a standard stream. */
#include <inttypes.h>

#include "formats/format_internal.h"
#include "streams/stream.h"

#define STREAM_KEY STR(",\"stream\":\"std")

static int add_time(struct buf *out, const char *key, const char *time)
{
    return *time ? buf_addf(out, ",\"%s\":\"%s\"", key, time) : 0;
}

static int add(const struct formatter *f, struct buf *out, const struct gap *g)
{
    struct str where = str_skip(f->tail, 1); /* behind the quote that ends a message */

    if (str_ends(where, STREAM_KEY))
        where.len -= STREAM_KEY.len;
    if (buf_addf(out, "{\"event\":\"gap\",\"reason\":\"%s\",\"bytes\":%" PRIu64,
                 gap_reason_name(g->reason), g->bytes) < 0 ||
        (g->at_least && buf_addf(out, ",\"at_least\":true") < 0) ||
        (g->records && buf_addf(out, ",\"lines\":%" PRIu32, g->records) < 0))
        return -1;
    if (add_time(out, "from", g->since) < 0 || add_time(out, "to", g->until) < 0 ||
        add_time(out, "time", *g->until ? g->until : g->declared) < 0)
        return -1;
    return buf_add_str(out, where) < 0 ? -1 : buf_addf(out, "}\n");
}

int format_gap_event(const struct formatter *f, struct buf *out, const struct record *r)
{
    size_t before = out->len;

    if (add(f, out, r->gap) == 0)
        return 0;
    buf_truncate(out, before);
    return -1;
}
