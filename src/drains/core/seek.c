/*
 * Which record makes the peer fail? For members that lag: the peer's library answers before its
 * program has processed what was sent, and when that fails at a record, the connection ends, with
 * all in doubt that is not confirmed (ws).
 *
 * After the first such end in a row everything is sent again as it was, for peers restart. After
 * the second the record is sought:
 *
 *     acked          sent again
 *       ▼            ▼
 *       ├────────────────────────┼────────┤   the records in doubt (drain->suspect)
 *        three of four                         (drain->record_limit)
 *
 * At first nothing tells of a record: a peer restarts twice, too. Each part follows when the
 * connection stayed healthy for STEP_MS after the answer to the one before, and all of it comes
 * within seconds. When the connection ends meanwhile, or again with nothing confirmed, there is a
 * record. Then nothing is unconfirmed beside a part. When the connection stays healthy for
 * COMMIT_LAG_MS, that part is confirmed, and the record is in the other one. When it ends again, the
 * record is in that part. A good part costs the lag, a bad one only a connection, so parts are larger
 * than halves. Each step comes SEEK_PAUSE_MS after the end before it: there are few, and a backoff
 * would make hours of them.
 *
 * The record that stands alone is REJECTED, and refusal.c decides.
 */
#include "drains/core/ledger.h"
#include "drains/core/worker_internal.h"

#define SEEK_PAUSE_MS 200
#define STEP_MS 500

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

static void limit(struct drain *d)
{
    if (d->before)
        d->record_limit = d->before < BATCH_RECORDS_MAX ? (uint32_t)d->before : BATCH_RECORDS_MAX;
    else
        d->record_limit = drain_seek_limit(d->suspect);
}

/* It is one of <n> records, if it is a record. When the peer has said so, then most likely of what
 * its library was reading: what the library had answered goes first, as ever, and is confirmed. */
static void seek(struct drain *d, uint64_t n, enum verdict said)
{
    uint64_t answered = said != VERDICT_OFFLINE && d->ledger ? ledger_records(d->ledger) : 0;

    if (!d->alone) {
        d->hasty = said == VERDICT_OFFLINE && (!d->searched || d->sought_at != d->accepted);
        d->searched = true;
        d->sought_at = d->accepted;
    }
    d->before = answered < n ? answered : 0;
    d->suspect = n - d->before;
    limit(d);
}

void drain_seek_sent(struct drain *d, uint32_t records)
{
    if (!d->before)
        return;
    d->before = d->before > records ? d->before - records : 0;
    limit(d);
}

bool drain_blame(struct drain *d, enum verdict said)
{
    uint64_t n = records_in_doubt(d);
    bool again = d->blamed || said != VERDICT_OFFLINE;
    bool only = d->alone && (!d->ledger || ledger_empty(d->ledger));

    d->soon = d->alone;
    if (!n)
        return false;
    d->blamed = true;
    d->hasty = false;
    if (only || is_meant(d, said)) {
        if (d->before)
            d->before = d->suspect = d->record_limit = 0;
        list_entry(d->inflight.next, struct batch, node)->guessed = said == VERDICT_OFFLINE;
        return true;
    }
    if (again)
        seek(d, n, said);
    return false;
}

enum verdict drain_seek_step(const struct drain *d, uint64_t for_ms)
{
    bool only = !d->ledger || ledger_empty(d->ledger);

    if (for_ms >= COMMIT_LAG_MS && only)
        return VERDICT_DELIVERED;
    return for_ms >= STEP_MS && !d->sure ? VERDICT_SENT : 0;
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
           ((d->record_limit && !d->before) ||
            drain_cursor_doubted(list_entry(d->ready.next, struct drain_cursor, ready_node)));
}

bool drain_seek_is_sure(const struct drain *d)
{
    return !d->hasty ||
           drain_cursor_doubted(list_entry(d->ready.next, struct drain_cursor, ready_node));
}
