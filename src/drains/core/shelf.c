/*
 * Releases the bodies of batches and reads them again from the log file. A peer that takes nothing
 * leaves a drain with a half-written batch; a peer that does not answer leaves it with a written
 * one. Their bytes need not stay in memory, since reading the same ranges again gives the same
 * bytes. So a stuck drain costs a few ranges, whatever the size of its batch, and the memory for
 * bodies in flight is left to the drains that make progress.
 *
 * A body is released after SHELVE_MS without progress, or sooner when another drain waits for
 * memory. A body that is read again is compared by length and hash. If the file has changed, the
 * frame that was begun cannot be completed, and the member must close the connection. Gap records
 * are in no file: a batch that has some keeps its body.
 */
#include "drains/core/worker_internal.h"
#include "formats/format.h"

/* A sink that stops after a number of records. */
struct limited {
    struct record_sink sink;
    struct record_sink *to;
    struct drain_cursor *cursor;
    struct cursor *again; /* reads for it */
    uint32_t left;
    bool refused;
    struct pick pick;
};

static int limited_add(struct record_sink *s, const struct record *r)
{
    struct limited *l = container_of(s, struct limited, sink);

    if (!l->left)
        return -1;
    if (drain_picks(l->cursor->drain) &&
        drain_cursor_picks(l->cursor, l->again, &r, &l->pick) != TAP_TAKE)
        return 0;
    l->refused = l->to->add(l->to, r) < 0;
    if (l->refused)
        return -1;
    l->left--;
    return 0;
}

uint32_t batch_range_read(const struct batch_range *r, uint32_t records, struct record_sink *sink,
                          struct mark *end)
{
    struct cursor again;
    struct limited l = {
        .sink.add = limited_add, .to = sink, .cursor = r->cursor, .again = &again, .left = records};
    const struct segment *seg = stream_segment(r->cursor->cursor.stream, r->from.pos.seg);

    if (seg && seg->gen != r->from.pos.gen) { /* truncated since then: these bytes are gone */
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

    return formatter_add(drain_cursor_formatter(f->range->cursor), &b->body, r, b->now, NULL);
}

static void refill_range(struct batch *b, const struct batch_range *r)
{
    struct refill f = {.sink.add = refill_add, .batch = b, .range = r};
    const struct formatter *formatter = drain_cursor_formatter(r->cursor);

    /* a failure is seen by the length of the body */
    (void)formatter_begin_range(formatter, &b->body);
    (void)batch_range_read(r, r->records, &f.sink, NULL);
    (void)formatter_end_range(formatter, &b->body);
}

void drain_charge(struct batch *b)
{
    budget_charge(b, b->fixed + b->extra + (b->body.p ? b->body.cap : 0));
}

static void drop_body(struct batch *b, uint64_t hash)
{
    list_del(&b->body_node);
    if (b->shelved || !b->body.len || b->gaps)
        return;
    b->shelved = true;
    b->shelved_hash = hash;
    batch_body_release(b);
    drain_charge(b);
}

void drain_body_sent(struct drain *d, struct batch *b, bool keep)
{
    b->sent = true;
    if (keep)
        drain_moved(d, b);
    else
        drop_body(b, 0);
}

void drain_body_copied(struct drain *d, struct batch *b)
{
    drop_body(b, 0);
    drain_charge(b);
    drain_moved(d, b);
}

void drain_shelve(struct drain *d, struct batch *b)
{
    (void)d;
    if (!b->shelved && b->body.len)
        drop_body(b, hash_seeded(b->body.p, b->body.len));
}

int drain_unshelve(struct drain *d, struct batch *b)
{
    if (!b->shelved)
        return 0;
    b->shelved = false;
    if (buf_reserve(&b->body, b->len) < 0)
        return -1;
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor)
            refill_range(b, &b->ranges[i]);
    if (b->ranges[0].cursor)
        (void)formatter_end(drain_cursor_formatter(b->ranges[0].cursor),
                            &b->body); /* seen by the length */
    drain_charge(b);
    if (b->body.len != b->len ||
        (b->shelved_hash && hash_seeded(b->body.p, b->len) != b->shelved_hash))
        return -1;
    drain_moved(d, b);
    return 0;
}

/* ---- when to shelve ---- */

void drain_moved(struct drain *d, struct batch *b)
{
    struct worker *wk = d->worker;

    if (b->shelved && !b->extra)
        return;
    b->moved_at = loop_now(&wk->loop);
    list_del(&b->body_node);
    list_add_tail(&wk->sending, &b->body_node);
    if (!loop_timer_active(wk->shelf_timer))
        loop_timer_start(wk->shelf_timer, SHELVE_MS);
}

void shelf_timer_fired(void *arg)
{
    struct worker *wk = arg;
    uint64_t now = loop_now(&wk->loop), age;

    while (!list_empty(&wk->sending)) {
        struct batch *b = list_entry(wk->sending.next, struct batch, body_node);
        struct drain *d = b->drain;

        age = list_empty(&wk->starved) ? SHELVE_MS : SHELVE_STARVED_MS;
        if (now - b->moved_at < age) {
            loop_timer_start(wk->shelf_timer, b->moved_at + age - now);
            break;
        }
        if (!b->sent)
            d->batch_target = BATCH_BYTES_PROBE; /* it takes less than before */
        if (d->ops->shelve)
            d->ops->shelve(d, b);
        else
            drain_shelve(d, b);
        list_del(&b->body_node);
    }
}
