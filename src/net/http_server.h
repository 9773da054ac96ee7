/*
 * A small HTTP/1.1 server on the control loop: GET and HEAD for pages, POST and PUT for those who
 * take bodies. Heads are read strictly (http_request.h); head, body and answer have a time each.
 * Answers may come later, from another turn.
 *
 * A new connection always gets a place (places.h), if only that of a guest, who is answered one
 * GET: so a probe gets through whatever others do. What the clients together make the server hold,
 * half requests and answers that nobody reads, has one bound (HTTP_HELD_MAX); the slowest makes
 * room.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"
#include "net/http_request.h"

struct http_server;
struct http_reply; /* one request waiting for its answer */
struct http_body;  /* text of answers, counted references */

/* Called for every GET; answer with http_reply_send(), now or later. <q> is valid during the call.
 */
typedef void http_handler(void *arg, const struct http_incoming *q, struct http_reply *r);

/* Who takes the bodies that are sent to one path. For each request: begin, body for each piece as
 * it comes, then end or gone, exactly one of them. It may be answered from inside of any of these
 * but gone, and then nothing more is called for it; after end it has to be, now or later. A body
 * that was not read whole costs the client its connection. */
struct http_sink {
    struct str path;
    uint64_t body_max; /* bytes as sent; what is longer is answered 413, before it is read if it
                          says so itself */
    void (*begin)(void *arg, const struct http_incoming *q, struct http_reply *r);
    void (*body)(void *arg, struct http_reply *r, struct str piece);
    void (*end)(void *arg, struct http_reply *r);
    void (*gone)(void *arg, struct http_reply *r); /* the client has gone: do not answer */
    void *arg;
};

struct http_server_stats {
    uint64_t connections; /* now */
    uint64_t accepted;
    uint64_t refused; /* connections without a place, or guests that wanted to send a body */
    uint64_t evicted; /* connections closed to make room */
    uint64_t held;    /* bytes of half requests and unread answers, now */
    uint64_t timeouts;
    uint64_t bad; /* malformed requests */
};

/* Listens on <address> ("" = all) and <port> (0 = any free one). Refuses to start when the port is
 * in use. */
struct http_server *http_server_create(struct loop *l, struct str address, uint16_t port,
                                       http_handler *handler, void *arg, struct err *e);
/* Listens nowhere until http_server_listen(). All clients are one: those of a Unix socket. */
struct http_server *http_server_create_local(struct loop *l, http_handler *handler, void *arg);
/* Takes <fd> over, also on failure; instead of the listener that there is. */
int http_server_listen(struct http_server *s, int fd, struct err *e);
uint16_t http_server_port(const struct http_server *s);
void http_server_stats(const struct http_server *s, struct http_server_stats *out);
/* <sink> is borrowed, until it is removed or the server is freed. */
void http_server_add_sink(struct http_server *s, const struct http_sink *sink);
/* All its requests must have been answered. */
void http_server_remove_sink(struct http_server *s, const struct http_sink *sink);

/* Copies <body>. If the client has gone meanwhile, this does nothing. Exactly once per reply. */
void http_reply_send(struct http_reply *r, int status, const char *content_type, struct str body);
/* The same without a copy: <b> is shared. */
void http_reply_send_body(struct http_reply *r, int status, const char *content_type,
                          struct http_body *b);
/* Takes <text> over. The caller has the first reference, and gives it back before the server is
 * freed. */
struct http_body *http_body_create(struct http_server *s, struct buf *text);
void http_body_unref(struct http_body *b);
/* Before http_reply_send(): a further header. */
void http_reply_header(struct http_reply *r, const char *name, const char *value);
/* A place for a sink's own pointer. */
void http_reply_set_data(struct http_reply *r, void *data);
void *http_reply_data(const struct http_reply *r);
/* The client's address as text ("192.0.2.1"), valid as long as <r>. */
struct str http_reply_peer(const struct http_reply *r);
/* Open replies are dropped: sending them afterwards is a no-op until it returns; then they must not
 * be used. */
void http_server_free(struct http_server *s);

#endif
