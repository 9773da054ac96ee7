/* A listening TCP socket on the loop, for http_server.c. Nobody outside net/ includes this. */
#ifndef NET_HTTP_LISTEN_H
#define NET_HTTP_LISTEN_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct http_listen;

/* <address>: "" = all (IPv6 and IPv4), or a literal one. <accepted> gets every new connection,
 * non-blocking, and owns it. NULL with <e> set: bad address, port in use, ... */
struct http_listen *http_listen_create(struct loop *l, struct str address, uint16_t port,
                                       void (*accepted)(void *arg, int fd), void *arg,
                                       struct err *e);
uint16_t http_listen_port(const struct http_listen *hl);
/* While paused, new connections wait in the kernel. */
void http_listen_pause(struct http_listen *hl, bool paused);
/* NULL is fine. */
void http_listen_free(struct http_listen *hl);

#endif
