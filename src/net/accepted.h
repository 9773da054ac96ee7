/*
 * One accepted connection, plain or under TLS. It buffers nothing. Unread bytes stay in the kernel,
 * so a full window stops the sender. The owner keeps what could not be written.
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
    /* The handshake is done. TLS only, before the first <readable>. May be NULL. */
    void (*secured)(void *arg);
    /* There may be room to write; after accepted_want_write(). May be NULL if nothing is
     * written. */
    void (*writable)(void *arg);
    /* The connection has ended. <e>->code 0: the peer closed it cleanly (under TLS with
     * close_notify). Last call; accepted_free() it now or later. */
    void (*ended)(void *arg, const struct err *e);
};

/* Owns <fd> from now on. <tls>: borrowed, NULL = plain. NULL when memory or the watch is refused;
 * <fd> is closed then. */
struct accepted *accepted_create(struct loop *l, int fd, struct tls_server *tls,
                                 const struct accepted_ops *ops, void *arg);
/* Bytes read into <p>. 0 = nothing now; <readable> or <ended> follows. */
size_t accepted_read(struct accepted *a, void *p, size_t n);
/* Bytes taken of <p>. 0 = none now: call accepted_want_write(). A broken connection also gives 0;
 * <ended> follows. Under TLS the next call after 0 must pass the same bytes. */
size_t accepted_write(struct accepted *a, const void *p, size_t n);
/* Enables or disables <writable>. */
void accepted_want_write(struct accepted *a, bool wanted);
/* Sends close_notify and FIN; nothing more is written. */
void accepted_shutdown(struct accepted *a);
/* While paused, <readable> is not called and the end is not noticed. */
void accepted_pause(struct accepted *a, bool paused);
/* The name of the client's certificate, as tls_server_peer(). */
void accepted_certificate(const struct accepted *a, char *out, size_t size);
/* Closes at once; no callback follows. NULL is fine. */
void accepted_free(struct accepted *a);

#endif
