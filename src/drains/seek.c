/*
 * Which record makes the peer fail? For members that lag: the peer's library answers before its
 * program has processed what was sent, and when that fails at a record, the connection ends, with
 * all in doubt that is not confirmed (ws).
 *
 * After the first such end in a row everything is sent again as it was, for peers restart. After
 * the second the record is sought:
 *
 *     acked          sent again, nothing else beside it
 *       ▼            ▼
 *       ├────────────────────────┼────────┤   the records in doubt (drain->suspect)
 *        three of four                         (drain->record_limit)
 *
 * When the connection stays healthy for COMMIT_LAG_MS, that part is confirmed, and the record is in
 * the other one. When it ends again, the record is in that part. A good part costs the lag, a bad
 * one only a connection, so parts are larger than halves. Each step comes SEEK_PAUSE_MS after the
 * end before it: there are few, and a backoff would make hours of them.
 *
 * The record that stands alone is REJECTED, and refusal.c decides.
 */
#include "drains/ledger.h"
#include "drains/worker_internal.h"

#define SEEK_PAUSE_MS 200
#define ASKED_MS 1000 /* between looks at whether what is behind a suspect was tried */

uint32_t drain_seek_limit(uint64_t n)
{
    uint64_t most = n > BATCH_RECORDS_MAX ? BATCH_RECORDS_MAX : n - n / 4 - (n % 4 > 0);

    return most ? (uint32_t)most : 1;
}

static uint64_t records_in_doubt(const struct drain *d)
{
    uint64_t n = d->ledger ? ledger_records(d->ledger) : 0;

    list_for_each (it, &d->inflight)
        n += list_entry(it, struct batch, node)->records;
    return n;
}

/* Is what the peer says about a message said of the oldest batch? Its library says of what it is
 * reading that it is too large, but to pass a record over takes more. */
static bool is_meant(const struct drain *d, enum verdict said)
{
    bool only = d->ninflight == 1 && (!d->ledger || ledger_empty(d->ledger));

    if (said == VERDICT_OFFLINE || !d->ninflight)
        return false;
    return only || (said == VERDICT_TOO_LARGE &&
                    list_entry(d->inflight.next, struct batch, node)->records > 1);
}

bool drain_blame(struct drain *d, enum verdict said)
{
    uint64_t n = records_in_doubt(d);
    bool again = d->blamed || said != VERDICT_OFFLINE;

    d->soon = d->alone;
    if (!n)
        return false;
    d->blamed = true;
    if (d->alone || is_meant(d, said)) {
        list_entry(d->inflight.next, struct batch, node)->guessed = said == VERDICT_OFFLINE;
        return true;
    }
    if (again) {
        d->sought_at = d->accepted;
        d->suspect = n;
        d->record_limit = drain_seek_limit(n);
    }
    return false;
}

void drain_seek_on(struct drain *d, const struct err *e)
{
    if (!d->failing)
        drain_ails(d, false, SEEK_PAUSE_MS, e);
    drain_wait(d, SEEK_PAUSE_MS);
}

bool drain_cursor_doubted(const struct drain_cursor *c)
{
    return c->suspects || (c->drain->lags && (c->stuck_tries || c->allowed));
}

bool drain_seeks(const struct drain *d)
{
    return d->lags &&
           (d->record_limit ||
            drain_cursor_doubted(list_entry(d->ready.next, struct drain_cursor, ready_node)));
}

void drain_cursor_extend(struct drain_cursor *c)
{
    uint64_t now = loop_now(&c->drain->worker->loop);

    if (c->drain->lags && c->suspects && c->probing && !list_empty(&c->ready_node) &&
        c->stuck_until <= now)
        c->stuck_until = now + ASKED_MS;
}
