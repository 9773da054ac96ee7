/*
 * The commit rule of pipelined drains for a connection that ends in doubt
 * (docs/design.md#acknowledgement): everything unconfirmed is sent again. To make progress with a
 * peer that never stays connected for long, data is skipped and counted as unconfirmed after it was
 * sent REWINDS_MAX times from one position, and once more. This is done only as far as the peer's
 * kernel had the bytes each of these times. Data that stayed in our own buffers, or was written
 * later, has not been tried that often.
 *
 * A connection that ended within YOUNG_NEVER_MS counts as a failed connect: it shows nothing.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "drains/core/ledger.h"
#include "drains/core/worker_internal.h"

static void pass_over(struct drain *d, struct drain_cursor *c)
{
    struct cursor *k = &c->cursor;
    uint64_t bytes = cursor_lag(k, &k->acked) - cursor_lag(k, &c->rewound->to);

    d->counters.unconfirmed += bytes;
    log_warn_for(identity_cause(k->stream->identity), "lines committed without confirmation",
                 KV_CSTR("drain", d->spec->name), KV_STR("hostname", k->stream->identity->hostname),
                 KV_INT("from", k->acked.pos.off), KV_INT("bytes", bytes));
    cursor_ack(k, &c->rewound->to);
}

static bool is_at(const struct rewound *r, const struct position *p)
{
    return r->times && r->at.seg == p->seg && r->at.gen == p->gen && r->at.off == p->off;
}

/* Counts one more connection that ended with the data behind <acked> unconfirmed. */
static void count_rewind(struct drain *d, struct drain_cursor *c)
{
    const struct position *acked = &c->cursor.acked.pos;
    struct rewound *r = c->rewound;
    bool same = is_at(r, acked);

    r->times = same ? r->times + 1 : 1;
    r->at = *acked;
    if (!same || position_before(&r->reached.pos, &r->to.pos))
        r->to = r->reached;
    if (r->times <= REWINDS_MAX)
        return;
    r->times = 0;
    if (position_before(acked, &r->to.pos))
        pass_over(d, c);
}

/* Makes or frees what is known of the end of <c>'s connections. <count>: this one counts. */
static void note_end(struct drain_cursor *c, bool count)
{
    bool settled = cursor_is_settled(&c->cursor);

    if (count && !settled && !c->rewound)
        c->rewound = xcalloc(1, sizeof(*c->rewound));
    if (!c->rewound)
        return;
    c->rewound->reached = c->cursor.acked;
    if (!settled || is_at(c->rewound, &c->cursor.acked.pos))
        return;
    free(c->rewound);
    c->rewound = NULL;
}

void drain_rewind(struct drain *d)
{
    uint64_t now = loop_now(&d->worker->loop);
    bool count = d->pipelined && d->opened_at && now - d->opened_at >= YOUNG_NEVER_MS;
    bool any = false;

    list_for_each (it, &d->cursors)
        note_end(list_entry(it, struct drain_cursor, drain_node), count);
    if (d->ledger)
        ledger_clear(d->ledger, d->reached);
    list_for_each (it, &d->cursors) {
        struct drain_cursor *c = list_entry(it, struct drain_cursor, drain_node);

        if (!cursor_is_settled(&c->cursor)) {
            any = true;
            if (count)
                count_rewind(d, c);
            c->pending = true;
            c->ended = false;
        }
        cursor_rewind(&c->cursor);
        if (c->suspects)
            c->probing = false; /* they are tried again, too, after its pause */
        c->suspects = 0;
        drain_cursor_ready(c, false);
    }
    d->counters.rewinds += any;
}
