/*
 * Batches whose bodies are in the log file again. A peer that takes nothing leaves a stream drain
 * with a half-written batch; its bytes need not be kept, since reading the same ranges again gives
 * the same bytes. So a stuck drain costs a few ranges, whatever its batch held, and the budget of
 * bodies in flight stays with those that move.
 *
 * The body made again is compared by length and hash: if the file has changed under it, the frame
 * that was begun cannot be ended, and the member must end the connection.
 */
#include "drains/engine_internal.h"
#include "formats/format.h"

/* Stops after so many records. */
struct limited {
    struct record_sink sink;
    struct record_sink *to;
    uint32_t left;
    bool refused;
};

static int limited_add(struct record_sink *s, const struct record *r)
{
    struct limited *l = container_of(s, struct limited, sink);

    if (!l->left)
        return -1;
    l->refused = l->to->add(l->to, r) < 0;
    if (l->refused)
        return -1;
    l->left--;
    return 0;
}

uint32_t batch_range_read(const struct batch_range *r, uint32_t records, struct record_sink *sink,
                          struct mark *end)
{
    struct limited l = {.sink.add = limited_add, .to = sink, .left = records};
    const struct segment *seg = stream_segment(r->cursor->cursor.stream, r->from.pos.seg);
    struct cursor again;

    if (seg && seg->gen != r->from.pos.gen) { /* truncated since: these bytes are no more */
        if (end)
            *end = r->from;
        return 0;
    }
    cursor_init_again(&again, &r->cursor->cursor, &r->from);
    while (l.left && !l.refused && cursor_read(&again, READ_CHUNK, &l.sink) == READ_MORE)
        continue;
    cursor_release(&again);
    if (end)
        *end = again.sent;
    return records - l.left;
}

struct refill {
    struct record_sink sink;
    struct batch *batch;
    const struct batch_range *range;
};

static int refill_add(struct record_sink *s, const struct record *r)
{
    struct refill *f = container_of(s, struct refill, sink);
    struct batch *b = f->batch;

    return formatter_add(f->range->cursor->formatter, &b->body, r, b->now, NULL);
}

static void refill_range(struct batch *b, const struct batch_range *r)
{
    struct refill f = {.sink.add = refill_add, .batch = b, .range = r};

    (void)batch_range_read(r, r->records, &f.sink, NULL); /* fewer: seen by the body's length */
}

void drain_shelve(struct drain *d, struct batch *b)
{
    if (b->shelved_len || !b->body.len)
        return;
    b->shelved_len = b->body.len;
    b->shelved_hash = hash_stable(b->body.p, b->body.len);
    d->engine->inflight_bytes -= b->body.len;
    buf_release(&b->body);
}

int drain_unshelve(struct drain *d, struct batch *b)
{
    size_t len = b->shelved_len;

    if (!len)
        return 0;
    b->shelved_len = 0;
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor)
            refill_range(b, &b->ranges[i]);
    d->engine->inflight_bytes += b->body.len;
    return b->body.len == len && hash_stable(b->body.p, len) == b->shelved_hash ? 0 : -1;
}
