/*
 * The Unix socket in STATE_PATH, API_SOCKET_NAME: where what tells of tenants is shown without
 * credentials, for who may open it (mode 0600) may read everything anyway. It follows the
 * directory: when that is missing, cannot be written, or is removed and made anew, the socket is
 * there again soon after it can be.
 */
#ifndef REPORT_API_SOCKET_H
#define REPORT_API_SOCKET_H

#include "loop/loop.h"
#include "loop/notify.h"
#include "net/http_server.h"

#define API_SOCKET_NAME "api.sock"

struct api_socket;

/* <dir>: STATE_PATH, borrowed. <server>: without a listener; it gets one. */
struct api_socket *api_socket_open(struct loop *l, struct notify *n, const char *dir,
                                   struct http_server *server);
/* Before <server> and <n> are freed. NULL is fine. */
void api_socket_close(struct api_socket *a);

#endif
