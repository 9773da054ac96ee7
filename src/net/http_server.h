/*
 * A small HTTP/1.1 server on the control loop: GET and HEAD for pages, POST and PUT for sinks.
 * Heads are parsed strictly (http_request.h). Head, body and answer each have a deadline. Answers
 * may be sent later, from another turn.
 *
 * A new connection always gets a place (places.h), at least as a guest, which may send one GET. So
 * a probe is answered whatever others do. HTTP_HELD_MAX bounds the memory that all clients together
 * occupy with partial requests and unread answers; the slowest client is closed for others.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/http_request.h"
#include "net/tls_server.h"

struct http_server;
struct http_reply; /* one request that waits for its answer */
struct http_body;  /* text of answers, reference-counted */

/* Called for every GET. Answer with http_reply_send(), now or later. <q> is valid during the
 * call. */
typedef void http_handler(void *arg, const struct http_incoming *q, struct http_reply *r);

/* Takes the bodies that are sent to one path. For each request: begin, body for each piece as it
 * arrives, then exactly one of end and gone. It may be answered from inside any of these except
 * gone; then nothing more is called for it. After end it must be answered, now or later. When a
 * body was not read to its end, the connection is closed. */
struct http_sink {
    struct str path;
    uint64_t body_max; /* bytes as sent; a longer body is answered 413 */
    void (*begin)(void *arg, const struct http_incoming *q, struct http_reply *r);
    void (*body)(void *arg, struct http_reply *r, struct str piece);
    void (*end)(void *arg, struct http_reply *r);
    void (*gone)(void *arg, struct http_reply *r); /* the client has disconnected: do not answer */
    void *arg;
};

struct http_server_stats {
    uint64_t connections; /* current */
    uint64_t accepted;
    uint64_t refused; /* connections without a place, and guests that tried to send a body */
    uint64_t evicted; /* connections closed for others */
    uint64_t held;    /* bytes of partial requests and unread answers, current */
    uint64_t timeouts;
    uint64_t bad; /* malformed requests */
};

/* Listens on <address> ("" = all) and <port> (0 = any free one). Refuses to start when the port is
 * in use. */
struct http_server *http_server_create(struct loop *l, struct str address, uint16_t port,
                                       http_handler *handler, void *arg, struct err *e);
/* Listens nowhere until http_server_listen(). All clients of the Unix socket count as one
 * address. */
struct http_server *http_server_create_local(struct loop *l, http_handler *handler, void *arg);
/* Owns <fd> from now on, also on failure. Replaces the current listener. */
int http_server_listen(struct http_server *s, int fd, struct err *e);
/* From the next connection on. <tls> is borrowed. */
void http_server_use_tls(struct http_server *s, struct tls_server *tls);
/* The handler gets OPTIONS, too. */
void http_server_take_options(struct http_server *s);
uint16_t http_server_port(const struct http_server *s);
void http_server_stats(const struct http_server *s, struct http_server_stats *out);
/* <sink> is borrowed, until it is removed or the server is freed. */
/* A POST to <path>, which has no sink, is answered with <why>. Both are borrowed. */
void http_server_add_closed(struct http_server *s, const char *path, const char *why);
void http_server_add_sink(struct http_server *s, const struct http_sink *sink);
/* All its requests must have been answered. */
void http_server_remove_sink(struct http_server *s, const struct http_sink *sink);

/* Copies <body>. Does nothing if the client has disconnected. Exactly once per reply. */
void http_reply_send(struct http_reply *r, int status, const char *content_type, struct str body);
/* The same without a copy: <b> is shared. */
void http_reply_send_body(struct http_reply *r, int status, const char *content_type,
                          struct http_body *b);
/* Takes <text> over. The caller has the first reference and must release it before the server is
 * freed. */
struct http_body *http_body_create(struct http_server *s, struct buf *text);
void http_body_unref(struct http_body *b);
/* Adds a header. Before http_reply_send(). */
void http_reply_header(struct http_reply *r, const char *name, const char *value);
/* An answer without an end of its own: a log that is followed. Sent in pieces, one at a time. */
struct http_stream {
    /* The kernel has all of the last piece: it may be freed, and another one written. */
    void (*written)(void *arg);
    /* The client has disconnected, or the server closes: the piece may be freed, <r> must not be
     * used. */
    void (*gone)(void *arg);
    void *arg;
};
/* Instead of http_reply_send(). It has no timeout: a client that does not read occupies its own
 * connection only. <s> is copied. False: the client has disconnected already, or wanted no body
 * (HEAD); <r> must not be used. */
bool http_reply_stream(struct http_reply *r, const char *content_type, const struct http_stream *s);
/* <piece> is borrowed, and not empty; the last one was written. */
void http_stream_write(struct http_reply *r, struct str piece);
/* The last piece was written. <whole>: the answer ends in order; otherwise the connection is cut
 * off, so that the client knows that lines are missing. Neither <r> nor <s> is used any more. */
void http_stream_end(struct http_reply *r, bool whole);
/* The process at the other end of a Unix socket; 0 = unknown, or no Unix socket. */
uint32_t http_reply_process(const struct http_reply *r);
/* A pointer for the sink's own use. */
void http_reply_set_data(struct http_reply *r, void *data);
void *http_reply_data(const struct http_reply *r);
/* The client's address as text ("192.0.2.1"), valid as long as <r>. */
struct str http_reply_peer(const struct http_reply *r);
/* Open replies are dropped. Sending one is a no-op until this returns; after that they must not be
 * used. */
void http_server_free(struct http_server *s);

#endif
