/*
 * The base of a member that holds one connection: its TLS, how it connects, the wait for an answer,
 * and what follows its end. What goes over the connection is the member's. The connection is <conn>,
 * or the member's own kind of one (a WebSocket).
 */
#ifndef DRAINS_STREAM_DRAIN_H
#define DRAINS_STREAM_DRAIN_H

#include "drains/core/drain.h"
#include "net/conn.h"

struct stream_drain {
    struct drain base;
    struct conn *conn;        /* owned; NULL while closed */
    struct tls_config *tls;   /* owned; NULL for plain TCP */
    struct loop_timer *timer; /* runs while an answer is awaited */
    uint64_t acked;           /* when it was started */
    bool quiet_peer;          /* the member's: see net/conn.h */
    uint64_t opened_ms;       /* the member's */
    bool closing;             /* the member's: close() was asked for */
    /* Of a member that awaits answers: what is missing without one ("redis: no reply"), what the
     * peer's kernel has (while this grows, the peer is alive; NULL = what it has of <conn>), and what
     * to do after timeout=. */
    const char *silence;
    uint64_t (*acked_now)(const struct stream_drain *s);
    void (*timed_out)(struct stream_drain *s, const struct err *e);
};

/* For create(): <size> bytes, which begin with a struct stream_drain. NULL with <e> set. */
void *stream_drain_create(size_t size, const struct drain_ops *ops, struct worker *wk,
                          struct drain_spec *spec, struct err *e);
/* For free(): all of it. */
void stream_drain_free(struct stream_drain *s);
/* How it connects. */
struct conn_config stream_drain_config(const struct stream_drain *s);
/* Makes <conn>, which calls <callbacks> with <s>. */
void stream_drain_connect(struct stream_drain *s, const struct conn_ops *callbacks);
/* Frees <conn>, and waits for no answer any more. */
void stream_drain_disconnect(struct stream_drain *s);
/* Bytes of <conn> that the peer's kernel has; <known> when ours does not say. */
uint64_t stream_drain_acked(const struct stream_drain *s, uint64_t known);
uint64_t stream_drain_now(const struct stream_drain *s);
/* Starts to wait for an answer, or for the next one. */
void stream_drain_await(struct stream_drain *s);
/* The connection is no more, and nothing is unsettled: drain_disconnected() if it ended <clean>, else
 * drain_disconnected_for(). */
void stream_drain_ended(struct stream_drain *s, bool clean, enum verdict v, int64_t retry_after_ms,
                        const struct err *e);

#endif
