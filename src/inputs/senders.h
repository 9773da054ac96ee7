/*
 * Who sends to the network inputs, by address, and what of it lies in journals (journal_share). A
 * sender is known from its first record until nothing of it is left. Control thread only.
 */
#ifndef INPUTS_SENDERS_H
#define INPUTS_SENDERS_H

#include "base/list.h"
#include "base/map.h"
#include "streams/journal.h"

struct sender_entry;

struct senders {
    struct map by_address; /* of struct sender_entry */
    struct list all;
    struct sender_entry *last; /* the one found last, or NULL */
    size_t sweep_at;           /* at so many, those who have nothing left are forgotten */
};

void senders_init(struct senders *s);
/* All journals were freed. */
void senders_release(struct senders *s);
/* That of <address>, made when there is none; NULL when the address is empty. Valid until the next
 * call, and as long as the sender has segments or names. */
struct journal_share *senders_get(struct senders *s, struct str address);

#endif
