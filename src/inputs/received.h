/*
 * The records of one request, copied from its body as it arrives, until it is complete and they go
 * to the journals together. One buffer contains all texts. Records refer to it by offset, because
 * it moves while it grows.
 */
#ifndef INPUTS_RECEIVED_H
#define INPUTS_RECEIVED_H

#include "base/buf.h"
#include "streams/journal_record.h"

struct received_span {
    uint32_t at, len;
};

struct received_record {
    struct received_span hostname, time, tag, procid, msgid, sd, msg;
    unsigned char pri;
    bool cut;
};

struct received {
    struct buf bytes;
    struct received_record *records; /* owned */
    size_t n, cap, max;
    size_t used;                   /* of <bytes>, by these records */
    struct journal_entry *entries; /* owned; for received_entries() */
    size_t entries_cap;
};

/* Caps on the bytes of all texts and on the number of records. */
void received_init(struct received *h, size_t bytes_max, size_t records_max);
void received_release(struct received *h);
/* Copies <s>. -1: no room. */
int received_keep(struct received *h, struct str s, struct received_span *out);
struct str received_text(const struct received *h, struct received_span s);
/* Drops the texts that were kept since the last record was added. */
void received_forget(struct received *h);
/* -1: too many. */
int received_add(struct received *h, const struct received_record *r);
/* Memory in use. */
size_t received_cost(const struct received *h);
/* All n records, of <sender>, as views into <h>. <sd>: for those without structured data. */
const struct journal_entry *received_entries(struct received *h, struct str sender, struct str sd);
/* Frees the entries. */
void received_drop_entries(struct received *h);
/* Empties it but keeps its memory for the next request. */
void received_clear(struct received *h);

#endif
