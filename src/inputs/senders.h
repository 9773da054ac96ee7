/*
 * The senders to the network inputs, by address, and their part of the journals (journal_share). A
 * sender is known from its first record until nothing of it is left. Who sends datagrams in
 * another's name has no part in what that one has over TCP. The senders of one IPv6 network
 * (base/address.h) also have one together; not those of datagrams, whose addresses say nothing.
 * Control thread only.
 */
#ifndef INPUTS_SENDERS_H
#define INPUTS_SENDERS_H

#include "base/list.h"
#include "base/map.h"
#include "streams/journal.h"

struct sender_entry;

struct senders {
    struct map by_address[2];       /* of struct sender_entry. [1]: forgeable */
    struct map networks;            /* of struct sender_entry, for what their senders have */
    struct journal_share forgeable; /* all of these together */
    struct list all;
    struct sender_entry *last; /* the one found last, or NULL */
    size_t sweep_at;           /* at this number, senders without any share are removed */
};

void senders_init(struct senders *s);
/* All journals must have been freed. */
void senders_release(struct senders *s);
/* The share of <address>, created if missing; NULL when the address is empty. Valid until the next
 * call, and as long as the sender has segments or names. */
struct journal_share *senders_get(struct senders *s, struct str address, bool forgeable);

#endif
