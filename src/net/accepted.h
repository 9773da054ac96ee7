/*
 * One incoming byte stream: a connection that was accepted, plain or under TLS. It is only read
 * from (no input answers). It buffers nothing: what is not read stays in the kernel, and so does
 * the sender when its window is full.
 */
#ifndef NET_ACCEPTED_H
#define NET_ACCEPTED_H

#include <stdbool.h>

#include "base/err.h"
#include "loop/loop.h"
#include "net/tls_server.h"

struct accepted;

/* All are called on the loop, never from inside an accepted_*() call. */
struct accepted_ops {
    /* There may be something to read. */
    void (*readable)(void *arg);
    /* The handshake is done; only under TLS, before the first <readable>. May be NULL. */
    void (*secured)(void *arg);
    /* Nothing more will come. <e>->code 0: the peer said goodbye, under TLS with close_notify. Last
     * call; accepted_free() it now or later. */
    void (*ended)(void *arg, const struct err *e);
};

/* Takes <fd> over. <tls>: borrowed, NULL = plain. NULL: there is no memory or no watch for it, and
 * <fd> is closed. */
struct accepted *accepted_create(struct loop *l, int fd, struct tls_server *tls,
                                 const struct accepted_ops *ops, void *arg);
/* Bytes read into <p>; 0 = nothing now: <readable> follows, or <ended>. */
size_t accepted_read(struct accepted *a, void *p, size_t n);
/* While paused <readable> is not called (nor is the end noticed). */
void accepted_pause(struct accepted *a, bool paused);
/* The name of the client's certificate, as tls_server_peer(). */
void accepted_certificate(const struct accepted *a, char *out, size_t size);
/* Closes at once; no callback follows. NULL is fine. */
void accepted_free(struct accepted *a);

#endif
