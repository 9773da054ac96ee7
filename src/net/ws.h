/*
 * A WebSocket client (RFC 6455) over a conn, so that names, egress policy, happy eyeballs, TLS and
 * their errors are those of every other connection. Messages are sent whole and in order. Received
 * messages are discarded, except control frames: Pings are answered, Pongs passed to the owner, a
 * Close answered. No extension is offered. It never reconnects.
 *
 *   ws_create ──▶ (conn) ──▶ asking ──▶ open ──▶ ended
 *
 * Not libwebsockets: its client takes no connected socket, so it would resolve names itself
 * (blocking), connect without the egress policy and bring a second TLS configuration.
 */
#ifndef NET_WS_H
#define NET_WS_H

#include "net/conn.h"
#include "net/ws_frame.h"
#include "net/ws_handshake.h"

struct ws;

struct ws_end {
    bool opened;            /* the handshake had succeeded */
    uint16_t code;          /* of the peer's Close; 0 = none received */
    int status;             /* of an http answer other than 101; 0 = none */
    int64_t retry_after_ms; /* with it; -1 = none */
    struct err err;         /* why, as text; never quotes the peer */
};

/* All are called on the loop, never from inside a ws_*() call of the owner. Only <ended> and
 * <writable> may call ws_free(). */
struct ws_ops {
    void (*opened)(void *arg);
    void (*pong)(void *arg, struct str payload); /* also unsolicited ones */
    /* The socket has taken more: see ws_backlog(). May be NULL. */
    void (*writable)(void *arg);
    void (*ended)(void *arg, const struct ws_end *end); /* last call */
};

struct ws_config {
    struct conn_config conn;
    struct ws_request request; /* its parts are copied */
    uint64_t answer_timeout_ms;
    size_t backlog_max; /* most bytes of messages that wait for the socket */
};

struct ws *ws_create(struct loop *l, struct dns *dns, const struct ws_config *cfg,
                     const struct ws_ops *ops, void *arg);
/* Queues a whole message as one frame, followed by a Ping. Only while open. -1 when they do not fit
 * (nothing changes), or a message is put by. */
int ws_send(struct ws *w, enum ws_opcode op, struct str payload, struct str ping);
/* Bytes that wait for the socket. */
size_t ws_backlog(const struct ws *w);
/* Frees the unsent part of the last ws_send(). The socket takes nothing until the owner calls
 * ws_resume(); <writable> reports when it could. */
void ws_shelve(struct ws *w);
bool ws_is_shelved(const struct ws *w);
/* Passes the same message and Ping again; the rest is sent. -1 when they differ: the connection
 * must end. */
int ws_resume(struct ws *w, enum ws_opcode op, struct str payload, struct str ping);
/* Bytes that the peer's kernel has acknowledged. While this grows, the peer is alive. */
uint64_t ws_acked(const struct ws *w);
bool ws_is_open(const struct ws *w);
/* Sends a Close after what is queued; <ended> follows. */
void ws_close(struct ws *w, enum ws_close_code code);
/* Closes at once; no callback follows. NULL is fine. */
void ws_free(struct ws *w);

#endif
