/*
 * A batch: its body, its ranges, and the peer's answer for each record. Batches and bodies are
 * pooled per worker and reused by all its drains. fill.c fills them.
 */
#include <stdlib.h>
#include <string.h>

#include "drains/core/worker_internal.h"

#define SPARE_BATCHES 64       /* batches kept for reuse, without bodies */
#define LARGE_BODY (64 * 1024) /* a body larger than this shrinks when less than half is used */

/* ---- bodies: pooled, shared by all drains of the worker ---- */

/* Takes a spare body, but none that is far larger than <want> bytes. */
static struct buf body_take(struct worker *wk, size_t want)
{
    size_t most = want <= SMALL_BODY ? SMALL_BODY : 2 * want > LARGE_BODY ? 2 * want : LARGE_BODY;

    for (unsigned i = wk->nspare_bodies; i-- > 0;) {
        struct buf body = wk->spare_bodies[i];

        if (body.cap > most)
            continue;
        wk->spare_bodies[i] = wk->spare_bodies[--wk->nspare_bodies];
        wk->spare_bytes -= body.cap;
        return body;
    }
    return BUF_INIT(BATCH_GROWTH_MAX);
}

void batch_body_release(struct batch *b)
{
    struct worker *wk = b->drain->worker;

    if (b->body.p && wk->nspare_bodies < SPARE_BODIES &&
        wk->spare_bytes + b->body.cap <= SPARE_BYTES) {
        buf_clear(&b->body);
        wk->spare_bytes += b->body.cap;
        wk->spare_bodies[wk->nspare_bodies++] = b->body;
        b->body = BUF_INIT(BATCH_GROWTH_MAX);
        return;
    }
    buf_release(&b->body);
}

void batch_body_trim(struct batch *b)
{
    struct buf small = BUF_INIT(BATCH_GROWTH_MAX);

    if (b->body.cap <= LARGE_BODY || b->body.cap / 2 <= b->body.len ||
        buf_add_str(&small, buf_str(&b->body)) < 0)
        return;
    batch_body_release(b);
    b->body = small;
}

struct batch *batch_take(struct drain *d, size_t want)
{
    struct worker *wk = d->worker;
    struct batch *b;

    if (list_empty(&wk->spare)) {
        b = xcalloc(1, sizeof *b);
        list_init(&b->node);
        list_init(&b->body_node);
    } else {
        b = list_entry(wk->spare.next, struct batch, node);
        list_del(&b->node);
        wk->nspare--;
    }
    b->body = body_take(wk, want);
    b->drain = d;
    return b;
}

unsigned char *batch_outcomes(struct batch *b)
{
    if (!b->outcomes) {
        b->outcomes = xmalloc(b->records);
        memset(b->outcomes, VERDICT_DELIVERED, b->records);
    }
    return b->outcomes;
}

void batch_free(struct batch *b)
{
    struct worker *wk = b->drain->worker;

    list_del(&b->node);
    list_del(&b->body_node);
    free(b->outcomes);
    batch_body_release(b);
    if (wk->nspare == SPARE_BATCHES) {
        free(b->ranges);
        free(b);
        return;
    }
    *b = (struct batch){.ranges = b->ranges, .ranges_cap = b->ranges_cap};
    list_init(&b->body_node);
    list_init(&b->node);
    list_add_head(&wk->spare, &b->node);
    wk->nspare++;
}

void batch_release_cursors(struct batch *b)
{
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor)
            b->ranges[i].cursor->inflight--;
}

void batch_forget_cursor(struct batch *b, const struct drain_cursor *c)
{
    for (unsigned i = 0; i < b->nranges; i++)
        if (b->ranges[i].cursor == c)
            b->ranges[i].cursor = NULL;
}
