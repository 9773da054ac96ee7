/*
 * From a list of addresses to one connected socket (Happy Eyeballs, RFC 8305): the next address is
 * tried when one fails or when HAPPY_EYEBALLS_MS passed, whichever is first; the first to connect
 * wins, the rest are closed. The egress policy sees every address just before it is connected to;
 * refused ones are skipped.
 *
 * Used by conn.c. It has no deadline of its own: its owner frees it.
 */
#ifndef NET_RACE_H
#define NET_RACE_H

#include "base/err.h"
#include "loop/dns.h"
#include "loop/loop.h"

struct egress;
struct race;

/* <done> is called once, never from inside race_create(): with a connected socket, now the owner's,
 * and its address, or with fd -1, and <e> saying what the last address failed with. The race may be
 * freed in it. */
struct race *race_create(struct loop *l, const struct dns_addrs *addrs, const struct egress *egress,
                         void (*done)(void *arg, int fd, const struct sockaddr *sa,
                                      const struct err *e),
                         void *arg);
/* The address tried last, or NULL. */
const struct sockaddr *race_last(const struct race *r);
/* Closes what is under way; no callback follows. NULL is fine. */
void race_free(struct race *r);

#endif
