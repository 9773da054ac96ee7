/*
 * A WebSocket as a client (RFC 6455), over a conn: so names, egress policy, happy eyeballs, TLS and
 * their errors are those of every other connection. Messages go out whole and in order; what the
 * peer sends is read and thrown away but for control frames: its Pings are answered, its Pongs told
 * to the owner, its Close answered. No extension is offered. It never reconnects.
 *
 *   ws_create ──▶ (conn) ──▶ asking ──▶ open ──▶ ended
 *
 * Not libwebsockets: its client takes no connected socket, so it would resolve names itself
 * (blocking), connect past the egress policy and bring a second TLS set-up.
 */
#ifndef NET_WS_H
#define NET_WS_H

#include "net/conn.h"
#include "net/ws_frame.h"
#include "net/ws_handshake.h"

struct ws;

struct ws_end {
    bool opened;            /* it had been a WebSocket */
    uint16_t code;          /* of the peer's Close; 0 = none came */
    int status;             /* of an http answer other than 101; 0 = none */
    int64_t retry_after_ms; /* with it; -1 = none */
    struct err err;         /* why, for people; never quotes the peer */
};

/* All are called on the loop, never from inside a ws_*() call of the owner. Only <ended> and
 * <writable> may ws_free(). */
struct ws_ops {
    void (*opened)(void *arg);
    void (*pong)(void *arg, struct str payload); /* asked for or not */
    /* The socket has taken more: see ws_backlog(). May be NULL. */
    void (*writable)(void *arg);
    void (*ended)(void *arg, const struct ws_end *end); /* last call */
};

struct ws_config {
    struct conn_config conn;
    struct ws_request request; /* its parts are copied */
    uint64_t answer_timeout_ms;
    size_t backlog_max; /* bytes of messages that wait for the socket, all together */
};

struct ws *ws_create(struct loop *l, struct dns *dns, const struct ws_config *cfg,
                     const struct ws_ops *ops, void *arg);
/* Queues a frame, a whole message of it, and behind it a Ping; while open only. -1 when they do not
 * fit (nothing changes), or something is put by. */
int ws_send(struct ws *w, enum ws_opcode op, struct str payload, struct str ping);
/* Bytes that wait for the socket. */
size_t ws_backlog(const struct ws *w);
/* Lets go of what waits of the last ws_send(). Until the owner has called ws_again() the
 * socket takes nothing; <writable> says when it would. */
void ws_put_by(struct ws *w);
bool ws_is_put_by(const struct ws *w);
/* The same message and Ping once more, of which the rest is sent. -1 when they are not the same:
 * the connection must end. */
int ws_again(struct ws *w, enum ws_opcode op, struct str payload, struct str ping);
/* Bytes that the peer's kernel has acknowledged: while this grows, the peer lives. */
uint64_t ws_acked(const struct ws *w);
bool ws_is_open(const struct ws *w);
/* Sends a Close behind what is queued; <ended> follows. */
void ws_close(struct ws *w, enum ws_close_code code);
/* Closes at once; no callback follows. NULL is fine. */
void ws_free(struct ws *w);

#endif
