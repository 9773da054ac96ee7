/*
 * One outgoing byte stream: resolve, check the egress policy, connect (next address after
 * HAPPY_EYEBALLS_MS), TLS when asked, then bytes both ways. It never reconnects and never buffers:
 * the owner keeps what was not taken.
 *
 * The policy is asked again about the peer of an open connection, at most every EGRESS_AGAIN_MS,
 * when something is written: a connection that is refused by now ends.
 *
 *   conn_create ──▶ resolving ──▶ connecting ──▶ handshake ──▶ open ──▶ ended
 *
 * Sockets carry TCP_NODELAY, SO_KEEPALIVE (idle 30 s, 3 probes 10 s apart) and TCP_USER_TIMEOUT (60
 * s), so a host that vanished is noticed within a minute.
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/dns.h"
#include "loop/loop.h"
#include "net/egress.h"
#include "net/tls.h"

struct conn;

enum conn_end {
    CONN_END_FAILED = 1, /* never opened: DNS, policy, connect, handshake */
    CONN_END_CLEAN,      /* the peer said goodbye: FIN, under TLS after close_notify */
    CONN_END_ABNORMAL,   /* reset, timeout, FIN without close_notify, protocol error */
};

/* All are called on the loop, never from inside a conn_*() call of the owner. */
struct conn_ops {
    void (*opened)(void *arg);
    /* There is something to read: call conn_read until it gives 0. NULL: what comes is thrown away.
     */
    void (*readable)(void *arg);
    /* After conn_write took less than it was given. May be NULL. */
    void (*writable)(void *arg);
    /* Last call. The conn reads and writes no more; conn_free it now or later. */
    void (*ended)(void *arg, enum conn_end how, const struct err *e);
};

struct conn_config {
    struct str
        host; /* name or address, as url.host; also the TLS name to verify unless tls has another */
    uint16_t port;
    bool tls;
    struct tls_config *tls_config; /* borrowed until conn_free; needed when <tls> */
    const struct egress *egress;   /* borrowed, may be NULL */
    uint64_t connect_timeout_ms;   /* for DNS, connect and handshake together; 0 = default */
};

/* Copies <cfg->host>; <ops> is borrowed. */
struct conn *conn_create(struct loop *l, struct dns *dns, const struct conn_config *cfg,
                         const struct conn_ops *ops, void *arg);
/* Bytes taken (maybe fewer than <n>, then <writable> follows), or 0 when none fit now. Ends are
 * told through <ended>. What was not taken need not be offered again. */
size_t conn_write(struct conn *c, const void *p, size_t n);
/* Bytes read, 0 = nothing now (or ended). */
size_t conn_read(struct conn *c, void *p, size_t n);
/* Says goodbye (close_notify, FIN); what was written still goes out. <ended> follows when the peer
 * has answered, or after GOODBYE_TIMEOUT_MS (ABNORMAL). Reading goes on meanwhile. */
void conn_shutdown(struct conn *c);
/* Bytes that conn_write put on the wire, in the units of conn_unacked (under TLS: ciphertext). */
uint64_t conn_written(const struct conn *c);
/* Of those, what the peer's kernel has not acknowledged yet (SIOCOUTQ); -1 when the socket will not
 * say. Both stay as they were when the connection ended. */
int64_t conn_unacked(const struct conn *c);
bool conn_is_open(const struct conn *c);
/* Closes at once; no callback follows. NULL is fine. */
void conn_free(struct conn *c);

#endif
