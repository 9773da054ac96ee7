/*
 * From a list of addresses to one connected socket (Happy Eyeballs, RFC 8305). The next address is
 * tried when one fails or after HAPPY_EYEBALLS_MS, whichever is first. The first to connect wins,
 * the others are closed. The egress policy checks every address just before the connect; refused
 * ones are skipped.
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

/* <done> is called once, never from inside race_create(). It gets a connected socket, which it then
 * owns, and its address; or fd -1 and in <e> the error of the last address. The race may be freed
 * in it. */
struct race *race_create(struct loop *l, const struct dns_addrs *addrs, const struct egress *egress,
                         void (*done)(void *arg, int fd, const struct sockaddr *sa,
                                      const struct err *e),
                         void *arg);
/* The address tried last, or NULL. */
const struct sockaddr *race_last(const struct race *r);
/* Closes all attempts; no callback follows. NULL is fine. */
void race_free(struct race *r);

#endif
