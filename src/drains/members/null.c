/*
 * null://: accepts every batch and keeps nothing. It shows the cost of the framework without a
 * peer, for tests and the benchmarks.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "drains/core/drain.h"
#include "drains/members/members.h"

static struct drain *null_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain *d = xcalloc(1, sizeof(*d));

    (void)e; /* it cannot fail */
    drain_init(d, drain_null.ops, wk, spec);
    d->slots = 1;
    return d;
}

static void null_send(struct drain *d, struct batch *b)
{
    drain_settle(d, b, VERDICT_DELIVERED);
}

static void null_close(struct drain *d, bool flush)
{
    (void)flush; /* nothing is ever in flight */
    if (!d->closed)
        drain_closed(d);
}

static void null_free(struct drain *d)
{
    drain_release(d);
    free(d);
}

static const struct drain_ops ops = {
    .name = "null",
    .create = null_create,
    .send = null_send,
    .close = null_close,
    .free = null_free,
};

static const struct drain_scheme schemes[] = {
    {.name = "null",
     .member = &drain_null,
     .flags = DRAIN_NO_HOST,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_RAW,
     .framing = FRAMING_LF,
     .sends = "nowhere; for measuring",
     .aliases = "devnull|none"},
    {.name = NULL},
};

const struct drain_member drain_null = {.ops = &ops, .schemes = schemes};
