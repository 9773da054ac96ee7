/*
 * Shared by the files of the HTTP server: http_server.c accepts, http_stream.c begins and ends
 * answers without an end of their own, http_session.c serves one connection, http_socket.c reads and
 * writes its bytes, http_reply.c makes the answers. Each uses those after it. No other file includes this.
 */
#ifndef NET_HTTP_SESSION_H
#define NET_HTTP_SESSION_H

#include "base/limits.h"
#include "base/list.h"
#include "net/http_server.h"
#include "net/listener.h"
#include "net/places.h"
#include "net/tls_server.h"

#define HTTP_READ_SIZE (32 * 1024) /* per turn and connection */
#define HTTP_ANSWER_MAX ((size_t)1 << 30)

enum phase { HEAD = 0, BODY, WAIT, WRITE, STREAM, LINGER };

struct http_conn {
    struct list node; /* server->dead */
    struct place place;
    struct http_server *server;
    struct loop_fd *watch;
    struct loop_timer *timer;
    int fd;                     /* -1 = closed */
    struct ssl_st *ssl;         /* NULL = plain */
    bool tls_reads, tls_writes; /* what the last call of OpenSSL waits for */
    enum phase phase;
    struct buf in;
    size_t looked;   /* bytes of <in> already searched for the end of the head */
    bool empty_line; /* one was skipped before the request */
    bool ended;      /* the client sends no more */
    bool running;    /* inside run() */
    bool used;       /* has sent a request */
    bool more;       /* <in> has input for the next turn */
    bool taken;      /* one request was served in this turn: the next waits */
    bool head_only;  /* the answer has no body: HEAD */
    bool old;        /* HTTP/1.0, which knows no chunks */
    bool close;      /* after the answer */
    struct http_reply *reply;
    const struct http_sink *sink; /* of the body being read */
    struct http_chunks chunks;
    bool chunked;
    uint64_t left;             /* of a body with a length */
    uint64_t got;              /* of the body */
    uint64_t paced;            /* <got> at the last pace check; in LINGER the bytes discarded */
    struct buf out;            /* head of the answer, and its body unless it is shared */
    struct http_body *body;    /* sent after <out>; NULL = none */
    struct http_stream stream; /* STREAM: who writes the answer */
    struct str piece;          /* ... and what is being sent, borrowed; after <out> */
    size_t off;                /* bytes sent of <out> and what follows it */
    size_t held;               /* part of server->held: memory of <in> and <out> */
    char peer[LISTENER_PEER_SIZE];
};

struct http_body {
    unsigned refs;
    struct http_server *server;
    struct buf text;
};

struct http_reply {
    struct http_conn *conn; /* NULL = the client has disconnected */
    void *data;
    struct buf headers;
    struct list node; /* server->replies */
    char peer[LISTENER_PEER_SIZE];
};

struct http_server {
    struct loop *loop;
    struct listener *listen;
    struct tls_server *tls; /* borrowed; NULL = plain */
    bool options;           /* <handler> gets OPTIONS, too */
    http_handler *handler;
    void *arg;
    const struct http_sink *sinks[HTTP_SINKS_MAX];
    unsigned nsinks;
    struct {
        const char *path, *why;
    } closed[HTTP_SINKS_MAX]; /* paths that could have a sink */
    unsigned nclosed;
    struct places places;
    uint64_t held; /* bytes: partial requests, unread answers */
    struct list dead, replies;
    struct loop_task free_dead;
    struct http_server_stats stats;
    bool freeing;
};

/* ---- http_reply.c ---- */
struct http_reply *http_reply_new(struct http_conn *c);
void http_reply_free(struct http_reply *r);
/* Writes the answer to its connection's <out> and <body>: <b>, or a copy of <body>. */
void http_reply_put(struct http_reply *r, int status, const char *type, struct str body,
                    struct http_body *b);

/* Its head, of an answer that ends with "chunked" or with the connection. -1: too many headers. */
int http_reply_put_stream(struct http_reply *r, const char *type);

/* ---- http_socket.c ---- */
/* False: no memory. <tls>: NULL = plain. http_socket_close() in any case. */
bool http_socket_open(struct http_conn *c, struct tls_server *tls);
void http_socket_close(struct http_conn *c);
/* Nothing more is written. */
void http_socket_shutdown(struct http_conn *c);
/* Bytes read; 0 = nothing now; -1 = the connection has ended. <size>: HTTP_READ_SIZE at least. */
ssize_t http_socket_read(struct http_conn *c, void *p, size_t size);
/* Sends what is left of the answer: <out>, and <body> or <piece>. 1 = all is sent; 0 = the socket is
 * full; -1 = the connection has ended. */
int http_socket_write(struct http_conn *c);
/* Something of the answer is left. */
bool http_socket_pending(const struct http_conn *c);
/* The events to wait for, when the owner waits for <events>. */
int http_socket_events(const struct http_conn *c, int events);

/* ---- http_session.c ---- */
/* Goes on as far as it can. */
void http_conn_run(struct http_conn *c);
/* The answer in <out> is the last of it. */
void http_conn_finish(struct http_conn *c);
/* Waits for a request. */
void http_conn_begin(struct http_conn *c);
void http_conn_ready(void *arg, int events, int error);
void http_conn_timer(void *arg);
/* Unlinks it at once; it is freed at the end of the turn. */
void http_conn_close(struct http_conn *c);
/* Closes it for another connection. */
void http_conn_evict(struct place *p);
struct http_conn *http_conn_of(const struct place *p);

#endif
