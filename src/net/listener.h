/* A listening TCP socket on the loop: of the HTTP server, of the inputs. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct listener;

/* <what> begins the errors ("http"). <address>: "" = all (IPv6 and IPv4), or a literal one.
 * <accepted> gets every new connection, non-blocking, and owns it. NULL with <e> set: bad address,
 * port in use, ... */
struct listener *listener_create(struct loop *l, const char *what, struct str address,
                                 uint16_t port, void (*accepted)(void *arg, int fd), void *arg,
                                 struct err *e);
/* The same on <fd>, which listens already, and is closed on failure. */
struct listener *listener_adopt(struct loop *l, const char *what, int fd,
                                void (*accepted)(void *arg, int fd), void *arg, struct err *e);
uint16_t listener_port(const struct listener *hl);
/* "192.0.2.1", "2001:db8::1" (an IPv4 address that came by IPv6 as IPv4) into <out>. */
#define LISTENER_PEER_SIZE 46
void listener_address(const struct sockaddr *sa, char out[LISTENER_PEER_SIZE]);
/* NULL is fine. */
void listener_free(struct listener *hl);

#endif
