/*
 * Batches without an answer, for receivers that recognise a request which is sent again
 * (DRAIN_REPEATS). They do so only when it has the same records. So the drain keeps how such a
 * batch was cut, without its body, and cuts the next one in the same way.
 *
 * This is an attempt, not a promise: the memory may be short, the file may be gone, and a receiver
 * that never answers a batch of this size gets smaller ones after REPEATS_MAX of them.
 */
#include "drains/core/worker_internal.h"

#define REPEATS_MAX 3 /* times that the peer had all of a batch and did not answer */

void repeat_free(struct batch *b)
{
    budget_charge(b, 0);
    batch_free(b);
}

void repeat_free_all(struct drain *d)
{
    while (!list_empty(&d->repeats))
        repeat_free(list_entry(d->repeats.next, struct batch, node));
}

bool repeat_keep(struct drain *d, struct batch *b)
{
    if (!(d->spec->scheme->flags & DRAIN_REPEATS))
        return false;
    b->tries += b->sent;
    if (b->tries == REPEATS_MAX)
        return false;
    batch_body_release(b);
    budget_charge(b, b->ranges_cap * sizeof(*b->ranges));
    list_del(&b->node);
    list_add_tail(&d->repeats, &b->node);
    return true;
}

static bool same_place(const struct position *a, const struct position *b)
{
    return a->seg == b->seg && a->gen == b->gen && a->off == b->off;
}

/* Whether each of its cursors stands where <b> begins, and may be read. */
static bool can_be_cut(const struct drain *d, const struct batch *b)
{
    if (d->record_limit || b->len > budget_room(d) || (d->batch_limit && b->len > d->batch_limit))
        return false;
    for (unsigned i = 0; i < b->nranges; i++) {
        const struct drain_cursor *c = b->ranges[i].cursor;
        bool first = true;

        if (!c || list_empty(&c->ready_node) || drain_cursor_doubted(c))
            return false;
        for (unsigned j = 0; j < i && first; j++)
            first = b->ranges[j].cursor != c;
        if (first && !same_place(&b->ranges[i].from.pos, &c->cursor.sent.pos))
            return false;
    }
    return true;
}

struct batch *repeat_take(struct drain *d)
{
    while (!list_empty(&d->repeats)) {
        struct batch *b = list_entry(d->repeats.next, struct batch, node);

        if (can_be_cut(d, b))
            return b; /* still in the list, so that it forgets cursors that end */
        repeat_free(b);
    }
    return NULL;
}
