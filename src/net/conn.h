/*
 * One outgoing byte stream: resolve, check the egress policy, connect (the next address after
 * HAPPY_EYEBALLS_MS), TLS if configured, then bytes both ways. It never reconnects and never
 * buffers: the owner keeps what was not written.
 *
 * When something is written to an open connection, the egress policy checks its peer again, at most
 * every EGRESS_AGAIN_MS. A connection that the policy now refuses ends.
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
    CONN_END_CLEAN,      /* closed by the peer: FIN, under TLS after close_notify */
    CONN_END_ABNORMAL,   /* reset, timeout, FIN without close_notify, protocol error */
};

/* All are called on the loop, never from inside a conn_*() call of the owner. */
struct conn_ops {
    void (*opened)(void *arg);
    /* There is something to read: call conn_read() until it returns 0. NULL: received bytes are
     * discarded. */
    void (*readable)(void *arg);
    /* After conn_write() took only a part. May be NULL. */
    void (*writable)(void *arg);
    /* Last call. The conn no longer reads or writes; conn_free() it now or later. */
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
    /* The peer has little to say. When it says more than is read in a turn, nothing is read for
     * READ_PAUSE_MS, so that a peer that floods us takes no time that others need. */
    bool quiet_peer;
};

/* Copies <cfg->host>; <ops> is borrowed. */
struct conn *conn_create(struct loop *l, struct dns *dns, const struct conn_config *cfg,
                         const struct conn_ops *ops, void *arg);
/* Bytes taken (when fewer than <n>, <writable> follows), or 0 when none fit now. The end is
 * reported through <ended>. The rest need not be offered again. */
size_t conn_write(struct conn *c, const void *p, size_t n);
/* Bytes read, 0 = nothing now (or ended). */
size_t conn_read(struct conn *c, void *p, size_t n);
/* What was read cost as much as <n> more bytes: in this turn, so many less are read. */
void conn_charge(struct conn *c, size_t n);
/* Closes gracefully (close_notify, FIN); what was written is still sent. <ended> follows when the
 * peer has closed too, or after CLOSE_TIMEOUT_MS (ABNORMAL). Reading continues meanwhile. */
void conn_shutdown(struct conn *c);
/* Bytes that conn_write put on the wire, in the units of conn_unacked (under TLS: ciphertext). */
uint64_t conn_written(const struct conn *c);
/* Of those, the bytes that the peer's kernel has not acknowledged yet (SIOCOUTQ); -1 when unknown.
 * Both keep their values when the connection ends. */
int64_t conn_unacked(const struct conn *c);
bool conn_is_open(const struct conn *c);
/* Closes at once; no callback follows. NULL is fine. */
void conn_free(struct conn *c);

#endif
