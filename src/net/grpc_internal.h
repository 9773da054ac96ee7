/*
 * Shared by the parts of the gRPC server: grpc_server.c accepts and keeps deadlines, grpc_session.c
 * speaks HTTP/2, grpc_call.c parses messages, grpc_conn.c answers. Each uses only those after it.
 * No other file includes this.
 */
#ifndef NET_GRPC_INTERNAL_H
#define NET_GRPC_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "net/accepted.h"
#include "net/grpc_server.h"
#include "net/places.h"

#define GRPC_CERT_MAX 256

struct grpc_server {
    struct loop *loop;
    const char *name;
    const struct grpc_service *service;
    void *arg;
    struct listener *listener;
    struct tls_server *tls;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    struct places places;
    struct list conns;
    struct list closed; /* freed at the end of the turn */
    struct loop_task reap;
    struct loop_timer *sweep; /* runs while a deadline is pending */
    struct grpc_server_stats stats;
    char *chunk; /* read buffer */
};

struct grpc_conn {
    struct list node; /* server->conns, or ->closed */
    struct grpc_server *server;
    struct accepted *io;
    nghttp2_session *session;
    struct place place;
    struct list calls;
    struct loop_task work;  /* posted when something is to be written */
    struct buf out;         /* produced by the session, not yet in the socket */
    uint64_t pending_since; /* loop time; no call, or <out> unsent, since then; 0 = neither */
    uint64_t second;        /* loop time at which the count in <frames> began */
    unsigned frames;        /* frames without a message since then */
    bool closed;
    bool used;   /* has had a call */
    bool broken; /* reading has stopped; closed once the peer has had time to read the GOAWAY */
    char address[LISTENER_PEER_SIZE];
    char cert[GRPC_CERT_MAX];
};

struct grpc_call {
    struct list node; /* conn->calls */
    struct grpc_conn *conn;
    void *data;
    int32_t id;
    struct buf rest;        /* an incomplete message, or messages that wait for the service */
    size_t counted;         /* part of conn->place's bytes that <rest> accounts for */
    size_t held;            /* bytes not yet returned to the window */
    uint64_t pending_since; /* loop time at which an incomplete message began; 0 = none */
    size_t header_bytes;
    bool post, grpc, known, encoded; /* results of the header checks */
    bool begun;                      /* the service was called for it */
    bool waiting;                    /* for room in the service */
    bool half_closed;                /* the client has sent everything */
    bool finished;                   /* ... and the service was notified */
    bool answered;
};

/* ---- grpc_conn.c ---- */
void grpc_log_error(struct grpc_conn *c, const char *why);
/* Counts and logs a protocol error of the client. Nothing more of it is processed. */
void grpc_conn_broken(struct grpc_conn *c, const char *why);
void grpc_conn_pending(struct grpc_conn *c);
/* Starts the timer that checks deadlines. */
void grpc_watch_time(struct grpc_server *s);
/* Answers without the service: <http> is the HTTP status, or 200 with a gRPC one. */
void grpc_respond(struct grpc_call *c, const char *http, enum grpc_status status, const char *text);
/* Returns <n> bytes to the call's window. */
void grpc_window(struct grpc_call *c, size_t n);

/* ---- grpc_call.c ---- */
void grpc_call_feed(struct grpc_call *c, struct str bytes);
/* The client has sent everything. */
void grpc_call_finish(struct grpc_call *c);
struct grpc_call *grpc_call_create(struct grpc_conn *conn, int32_t id);
void grpc_call_free(struct grpc_call *c);
/* When there are too many calls, ends one of the address that has most. False: that is <c>'s. */
bool grpc_call_fits(struct grpc_call *c);
/* Ends the call because of a client error. */
void grpc_call_fail(struct grpc_call *c, enum grpc_status status, const char *why);

/* ---- grpc_session.c ---- */
int grpc_session_init(struct grpc_server *s);
/* A session for <c>; -1: no memory. */
int grpc_session_open(struct grpc_conn *c);
void grpc_session_read(struct grpc_conn *c, const char *p, size_t n);
/* Writes what can be written. Marks <c> broken when the session is finished. */
void grpc_session_write(struct grpc_conn *c);
void grpc_session_free(struct grpc_conn *c);

/* ---- grpc_server.c ---- */
/* Owns <fd> from now on. */
void grpc_server_accept(struct grpc_server *s, int fd);

#endif
