/*
 * A small HTTP server on libwebsockets, on the control loop: GET and HEAD for now, bounded headers,
 * idle timeouts. The handler may answer later, from another turn.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct http_server;
struct http_reply; /* one request waiting for its answer */

/* Called for every GET; answer with http_reply_send(), now or later. <path> without the query.
 * Valid during the call. */
typedef void http_handler(void *arg, struct str path, struct str query, struct http_reply *r);

/* Listens on <address> ("" = all) and <port> (0 = any free one). Refuses to start when the port is
 * in use. */
struct http_server *http_server_create(struct loop *l, struct str address, uint16_t port,
                                       http_handler *handler, void *arg, struct err *e);
uint16_t http_server_port(const struct http_server *s);
/* Copies <body>. If the client has gone meanwhile, this does nothing. Exactly once per reply. */
void http_reply_send(struct http_reply *r, int status, const char *content_type, struct str body);
/* Open replies are dropped: sending them afterwards is a no-op until it returns; then they must not
 * be used. */
void http_server_free(struct http_server *s);

#endif
