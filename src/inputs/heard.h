/*
 * The records of one request, copied out of its body as that comes, until all of it is there and
 * they go to the journals together. One run of bytes holds all texts; records point into it by
 * offset, since it moves while it grows.
 */
#ifndef INPUTS_HEARD_H
#define INPUTS_HEARD_H

#include "base/buf.h"
#include "streams/journal_record.h"

struct heard_span {
    uint32_t at, len;
};

struct heard_record {
    struct heard_span hostname, time, tag, procid, msgid, sd, msg;
    unsigned char pri;
    bool cut;
};

struct heard {
    struct buf bytes;
    struct heard_record *records; /* owned */
    size_t n, cap, max;
    size_t used;                   /* of <bytes>, by these records */
    struct journal_entry *entries; /* owned; for heard_entries() */
    size_t entries_cap;
};

/* Caps on the bytes of all texts and on the number of records. */
void heard_init(struct heard *h, size_t bytes_max, size_t records_max);
void heard_release(struct heard *h);
/* Copies <s>. -1: there is no room. */
int heard_keep(struct heard *h, struct str s, struct heard_span *out);
struct str heard_text(const struct heard *h, struct heard_span s);
/* Forgets the texts that were kept since the last record was added. */
void heard_forget(struct heard *h);
/* -1: there are too many. */
int heard_add(struct heard *h, const struct heard_record *r);
/* What it holds in memory. */
size_t heard_cost(const struct heard *h);
/* All of them (n), of <sender>, views into <h>. <sd>: for those that have no structured data. */
const struct journal_entry *heard_entries(struct heard *h, struct str sender, struct str sd);
/* ... are not needed any more. */
void heard_drop_entries(struct heard *h);
/* Empty, with the memory it has, for the next request. */
void heard_clear(struct heard *h);

#endif
