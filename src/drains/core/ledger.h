/*
 * What was handed over and is not confirmed yet, for drains whose confirmation comes later than the
 * hand-over (syslog over TCP and TLS, WebSocket: five seconds). It holds no bytes: an
 * entry is a place in the member's count of what it wrote, and for each cursor the mark that is
 * confirmed once that place is. Batches within LEDGER_SLOT_MS share an entry as long as it covers
 * less than an eighth of all that is unconfirmed, so its size depends on the number of cursors and
 * hardly on throughput, while a peer that takes little can still have it confirmed.
 */
#ifndef DRAINS_LEDGER_H
#define DRAINS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_SLOT_MS 250

struct batch;
struct drain_counters;
struct drain_cursor;
struct ledger;
struct mark;

struct ledger *ledger_create(void);
void ledger_free(struct ledger *l); /* NULL is fine */
/* Takes the ranges of <b> over, up to b->end. */
void ledger_add(struct ledger *l, const struct batch *b, uint64_t now_ms);
/* Takes out all up to <end>: <confirmed> gets each cursor's mark, and the records and message bytes
 * are counted. False when there was nothing. */
bool ledger_confirm(struct ledger *l, uint64_t end,
                    void (*confirmed)(struct drain_cursor *c, const struct mark *to),
                    struct drain_counters *counters);
/* Forgets all; nothing is acknowledged. cursor->reached becomes what it has up to <reached>. */
void ledger_clear(struct ledger *l, uint64_t reached);
void ledger_forget_cursor(struct ledger *l, const struct drain_cursor *c);
bool ledger_empty(const struct ledger *l);
/* The end of what was added before <ms> (loop time); 0 = there is no such thing. */
uint64_t ledger_end_before(const struct ledger *l, uint64_t ms);
/* Lines and gap records in it. */
uint64_t ledger_records(const struct ledger *l);

#endif
