/*
 * Ranges that were handed over but are not confirmed yet, for drains whose confirmation comes later
 * than the hand-over (syslog over TCP and TLS, WebSocket: five seconds). It holds no bytes. An
 * entry is a position in the member's count of written data, and for each cursor the mark that is
 * confirmed when that position is. Batches within LEDGER_SLOT_MS share an entry as long as it
 * covers less than an eighth of all unconfirmed data. So the ledger's size depends on the number of
 * cursors and hardly on throughput, and a peer that takes little still gets it confirmed.
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
/* Adds the ranges of <b>, up to b->end. */
void ledger_add(struct ledger *l, const struct batch *b, uint64_t now_ms);
/* Removes everything up to <end>: each cursor's mark goes to <confirmed>, and the records and
 * message bytes are counted. False when there was nothing. */
bool ledger_confirm(struct ledger *l, uint64_t end,
                    void (*confirmed)(struct drain_cursor *c, const struct mark *to),
                    struct drain_counters *counters);
/* Removes everything; nothing is acknowledged. cursor->rewound->reached becomes its mark at
 * <reached>. */
void ledger_clear(struct ledger *l, uint64_t reached);
void ledger_forget_cursor(struct ledger *l, const struct drain_cursor *c);
bool ledger_empty(const struct ledger *l);
/* The end of what was added before <ms> (loop time); 0 = nothing was. */
uint64_t ledger_end_before(const struct ledger *l, uint64_t ms);
/* Number of lines and gap records in it. */
uint64_t ledger_records(const struct ledger *l);

#endif
