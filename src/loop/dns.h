/*
 * Names to addresses, off the loop's back: c-ares, so that a thousand dead names neither block a
 * turn nor occupy a thread each. /etc/hosts, search domains and RFC 6724 order are honoured. A
 * literal address is answered from the next task, without a query. Who asks for a name that is
 * being looked up gets that answer. No cache: every connect resolves anew (docs/design.md#egress).
 */
#ifndef LOOP_DNS_H
#define LOOP_DNS_H

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

/* e->code, whatever the reason: no such name, no answer, none in time. */
#define DNS_NO_ADDRESS ENONET

struct dns; /* one per loop */
struct dns_query;

struct dns_addrs {
    /* limits.h ADDRESSES_MAX; port filled in; as RFC 6724 sorts them, but the families take turns
     */
    struct sockaddr_storage list[16];
    unsigned len;
};

/* <servers>: "ip[:port],…" instead of /etc/resolv.conf, or NULL. */
struct dns *dns_create(struct loop *l, const char *servers, struct err *e);
/* BUG() when a query is neither answered nor cancelled. Not from inside a <done>. NULL is fine. */
void dns_free(struct dns *d);

/* <done> is called once, never from inside dns_resolve(), unless cancelled first. <addrs> is NULL
 * when <e> says why
 * ("no such host", "timeout", ...). */
struct dns_query *dns_resolve(struct dns *d, struct str host, uint16_t port,
                              void (*done)(void *arg, const struct dns_addrs *addrs,
                                           const struct err *e),
                              void *arg);
void dns_cancel(struct dns_query *q); /* NULL is fine; <done> will not be called */

/* "203.0.113.7:514", "[2001:db8::1]:514" into <out>. */
void dns_addr_format(const struct sockaddr *sa, char *out, size_t size);

#endif
