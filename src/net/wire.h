/*
 * A connected socket under a conn: non-blocking, never raises SIGPIPE, and records how it ended. A
 * TLS conn makes OpenSSL write to it through a BIO. That BIO always takes a whole record and keeps
 * the part that the socket did not take (<out>). So OpenSSL never has to repeat a write, and the
 * caller of conn_write() never has to repeat the same bytes.
 *
 * Used by conn.c only. It knows neither the loop nor its owner.
 */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct bio_st; /* OpenSSL's BIO */

struct wire {
    int fd;           /* owned; -1 = none */
    int error;        /* errno of the failure; 0 = none */
    bool eof;         /* the peer's FIN was read */
    size_t budget;    /* bytes that may still be read in this turn */
    uint64_t written; /* taken by wire_send and the BIO, <out> included */
    struct buf
        out; /* TLS only: taken but not in the socket yet; almost always empty and unallocated */
};

void wire_init(struct wire *w);
void wire_release(struct wire *w);
/* Bytes written to the socket; 0 also when it broke. */
size_t wire_send(struct wire *w, const void *p, size_t n);
/* Bytes read; 0 = nothing now, <budget> used up, <eof>, or broken. */
size_t wire_recv(struct wire *w, void *p, size_t n);
/* Writes <out> to the socket. True when nothing is left. */
bool wire_flush(struct wire *w);
/* Bytes written that the peer's kernel has not acknowledged; -1 when unknown. */
int64_t wire_unacked(const struct wire *w);
/* For SSL_set_bio(), which then owns it. <w> must outlive it. NULL without memory. */
struct bio_st *wire_bio(struct wire *w);

#endif
