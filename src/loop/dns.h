/*
 * Asynchronous name resolution on c-ares: a thousand dead names neither block a turn nor occupy
 * threads. /etc/hosts, search domains and RFC 6724 order are honoured. A literal address is
 * answered from the next task, without a query. A query for a name that is being resolved joins the
 * running lookup. No cache: every connect resolves anew (docs/design.md#egress).
 */
#ifndef LOOP_DNS_H
#define LOOP_DNS_H

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

/* e->code for every failure: no such name, no answer, timeout. */
#define DNS_NO_ADDRESS ENONET

struct dns; /* one per loop */
struct dns_query;

struct dns_addrs {
    /* limits.h ADDRESSES_MAX; port filled in; sorted as in RFC 6724, but the families alternate */
    struct sockaddr_storage list[16];
    unsigned len;
};

/* <servers>: "ip[:port],…" instead of /etc/resolv.conf, or NULL. */
struct dns *dns_create(struct loop *l, const char *servers, struct err *e);
/* BUG() when a query is neither answered nor cancelled. Must not be called from a <done>. NULL is
 * fine. */
void dns_free(struct dns *d);

/* <done> is called once, never from inside dns_resolve(), unless cancelled first. When it fails,
 * <addrs> is NULL and <e> says why ("no such host", "timeout", ...). */
struct dns_query *dns_resolve(struct dns *d, struct str host, uint16_t port,
                              void (*done)(void *arg, const struct dns_addrs *addrs,
                                           const struct err *e),
                              void *arg);
void dns_cancel(struct dns_query *q); /* NULL is fine; <done> will not be called */

/* "203.0.113.7:514", "[2001:db8::1]:514" into <out>. */
void dns_addr_format(const struct sockaddr *sa, char *out, size_t size);

#endif
