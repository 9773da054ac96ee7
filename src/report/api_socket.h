/*
 * The Unix socket API_SOCKET_NAME in STATE_PATH. It serves pages about tenants without credentials:
 * a process that can open it (mode 0600) can read all logs anyway. If the directory is missing,
 * read-only or was replaced, the socket is created again as soon as possible.
 */
#ifndef REPORT_API_SOCKET_H
#define REPORT_API_SOCKET_H

#include "loop/loop.h"
#include "loop/notify.h"
#include "net/http_server.h"

#define API_SOCKET_NAME "api.sock"

struct api_socket;

/* <dir>: STATE_PATH, borrowed. <server>: has no listener; gets this one. */
struct api_socket *api_socket_open(struct loop *l, struct notify *n, const char *dir,
                                   struct http_server *server);
/* Call before <server> and <n> are freed. NULL is fine. */
void api_socket_close(struct api_socket *a);

#endif
