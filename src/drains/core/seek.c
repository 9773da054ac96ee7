/*
 * Finds the record on which the peer fails. For members that lag (ws): the peer's library answers
 * before its program has processed the data. When the program fails on a record, the connection
 * ends with everything unconfirmed in doubt.
 *
 * After the first such end everything is sent again unchanged, because peers restart. After the
 * second one in a row the record is searched for:
 *
 *     acked          sent again
 *       ▼            ▼
 *       ├────────────────────────┼────────┤   the records in doubt (drain->suspect)
 *        three of four                         (drain->record_limit)
 *
 * First step: it is not known that a record is the cause, since a peer may also restart twice. Each
 * part is sent when the connection has been healthy for STEP_MS after the answer to the previous
 * part, so all data arrives within seconds. If the connection ends meanwhile, or ends again with
 * nothing confirmed, a record is the cause.
 *
 * Second step: a part is sent only when nothing else is unconfirmed. If the connection is healthy
 * for COMMIT_LAG_MS, the part is confirmed and the record is in the other part. If it ends, the
 * record is in this part. A good part costs the lag and a bad one only a connection, so a part is
 * more than half. Each step starts SEEK_PAUSE_MS after the connection ended: there are few steps,
 * and a backoff would make them last hours.
 *
 * When a single record remains, it is REJECTED, and refusal.c decides.
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

/* Whether the peer's complaint about a message is about the oldest batch. The peer's library
 * complains about the message that it is reading now. This is enough to search there, not to skip a
 * record. */
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

/* One of <n> records is the cause, if a record is. If the peer complained, it is most likely the
 * message that its library was reading: what the library had answered is sent first and confirmed
 * as usual. */
static void seek(struct drain *d, uint64_t n, enum verdict said)
{
    uint64_t answered = said != VERDICT_OFFLINE && d->ledger ? ledger_records(d->ledger) : 0;

    if (!d->alone) {
        d->unproven = said == VERDICT_OFFLINE && (!d->searched || d->sought_at != d->accepted);
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
    d->unproven = false;
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
        drain_mark_failing(d, false, SEEK_PAUSE_MS, e);
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
    return !d->unproven ||
           drain_cursor_doubted(list_entry(d->ready.next, struct drain_cursor, ready_node));
}
