/* A listening TCP socket on the loop, for the HTTP server and the inputs. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct listener;

/* <what> starts the error texts ("http"). <address>: "" = all (IPv6 and IPv4), or a literal one.
 * <accepted> gets every new connection, non-blocking, and owns it. NULL with <e> set: bad address,
 * port in use, ... */
struct listener *listener_create(struct loop *l, const char *what, struct str address,
                                 uint16_t port, void (*accepted)(void *arg, int fd), void *arg,
                                 struct err *e);
/* The same on <fd>, which already listens. It is closed on failure. */
struct listener *listener_adopt(struct loop *l, const char *what, int fd,
                                void (*accepted)(void *arg, int fd), void *arg, struct err *e);
uint16_t listener_port(const struct listener *hl);
/* Writes "192.0.2.1" or "2001:db8::1" to <out>. An IPv4 address mapped to IPv6 is written as
 * IPv4. */
#define LISTENER_PEER_SIZE 46
void listener_address(const struct sockaddr *sa, char out[LISTENER_PEER_SIZE]);
/* NULL is fine. */
void listener_free(struct listener *hl);

#endif
