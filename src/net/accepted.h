/*
 * One incoming connection: accepted, plain or under TLS. It buffers nothing: what is not read stays
 * in the kernel, and so does the sender when its window is full; what cannot be written is the
 * owner's to keep.
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
    /* There may be room to write; after accepted_want_write(). NULL for who only reads. */
    void (*writable)(void *arg);
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
/* Bytes taken of <p>; 0 = none now: accepted_want_write(), or it is broken, which <ended> tells.
 * After 0 under TLS the next call has to be with the same bytes. */
size_t accepted_write(struct accepted *a, const void *p, size_t n);
/* Whether <writable> is wanted. */
void accepted_want_write(struct accepted *a, bool wanted);
/* Sends close_notify and FIN; nothing more is written. */
void accepted_shutdown(struct accepted *a);
/* While paused <readable> is not called (nor is the end noticed). */
void accepted_pause(struct accepted *a, bool paused);
/* The name of the client's certificate, as tls_server_peer(). */
void accepted_certificate(const struct accepted *a, char *out, size_t size);
/* Closes at once; no callback follows. NULL is fine. */
void accepted_free(struct accepted *a);

#endif
