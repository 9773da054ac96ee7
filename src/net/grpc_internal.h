/* What the parts of the gRPC server share: grpc_server.c accepts and watches the time,
 * grpc_session.c speaks HTTP/2, grpc_call.c finds messages, grpc_conn.c answers. Each uses those
 * behind it. Nobody else includes this. */
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
    struct list gone; /* to be freed at the end of the turn */
    struct loop_task reap;
    struct loop_timer *sweep; /* runs while a client may be late */
    uint64_t kept;            /* bytes of memory of all calls */
    unsigned ncalls;          /* open */
    struct grpc_server_stats stats;
    char *chunk; /* to read into */
};

struct grpc_conn {
    struct list node; /* server->conns, or ->gone */
    struct grpc_server *server;
    struct accepted *io;
    nghttp2_session *session;
    struct place place;
    struct list calls;
    struct loop_task work; /* something is to be written */
    struct buf out;        /* bytes of the session that the socket has not taken yet */
    uint64_t owes_since; /* loop time since which it has no call, or does not read <out>; 0 = no */
    uint64_t second;     /* loop time in which <frames> are counted */
    unsigned frames;     /* without data, in that second */
    bool closed;
    bool used;   /* it has had a call */
    bool broken; /* nothing more is parsed; closed when the client has had time to read GOAWAY */
    char address[LISTENER_PEER_SIZE];
    char cert[GRPC_CERT_MAX];
};

struct grpc_call {
    struct list node; /* conn->calls */
    struct grpc_conn *conn;
    void *data;
    int32_t id;
    struct buf rest;     /* a message that is not whole, or messages that wait for room */
    size_t counted;      /* of server->kept, for <rest> */
    size_t held;         /* bytes by which its window is smaller until there is room */
    uint64_t owes_since; /* loop time at which a message began that is not whole; 0 = none */
    size_t header_bytes;
    bool post, grpc, known, encoded; /* from the headers */
    bool begun;                      /* service->begin() was called */
    bool waiting;                    /* for room */
    bool half_closed;                /* END_STREAM was received */
    bool finished;                   /* service->end() was called */
    bool answered;
};

/* ---- grpc_conn.c ---- */
void grpc_complain(struct grpc_conn *c, const char *why);
/* The client has broken the protocol: counts and logs it, and parses nothing more. */
void grpc_conn_broken(struct grpc_conn *c, const char *why);
/* Starts or stops the time after which <c> is late. */
void grpc_conn_owes(struct grpc_conn *c);
/* Starts the timer that looks for late clients. */
void grpc_watch_time(struct grpc_server *s);
/* Answers without a service: <http> is the HTTP status, or 200 and a gRPC one. */
void grpc_respond(struct grpc_call *c, const char *http, enum grpc_status status, const char *text);
/* Returns <n> bytes to the flow control window of the call. */
void grpc_window(struct grpc_call *c, size_t n);

/* ---- grpc_call.c ---- */
void grpc_call_feed(struct grpc_call *c, struct str bytes);
/* END_STREAM was received. */
void grpc_call_finish(struct grpc_call *c);
void grpc_call_free(struct grpc_call *c);
/* Ends it: the client has made an error. */
void grpc_call_fail(struct grpc_call *c, enum grpc_status status, const char *why);

/* ---- grpc_session.c ---- */
int grpc_session_init(struct grpc_server *s);
/* A session for <c>; -1: no memory. */
int grpc_session_open(struct grpc_conn *c);
void grpc_session_read(struct grpc_conn *c, const char *p, size_t n);
/* Writes what can be written. Marks <c> as broken when all is sent. */
void grpc_session_write(struct grpc_conn *c);
void grpc_session_free(struct grpc_conn *c);

/* ---- grpc_server.c ---- */
/* A new connection, which it owns. */
void grpc_server_accept(struct grpc_server *s, int fd);

#endif
