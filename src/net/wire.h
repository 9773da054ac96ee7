/*
 * A connected socket under a conn: non-blocking, never a SIGPIPE, and it remembers how it ended. A
 * TLS conn has OpenSSL write into it through a BIO. That BIO always takes a whole record and keeps
 * the rest that the socket would not take
 * (<out>), so that OpenSSL never has a write to be repeated, and conn_write owes nobody the same
 * bytes again.
 *
 * Used by conn.c only. It knows neither the loop nor who owns it.
 */
#ifndef NET_WIRE_H
#define NET_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct bio_st; /* OpenSSL's BIO */

struct wire {
    int fd;           /* owned; -1 = none */
    int error;        /* errno of what broke it; 0 = nothing did */
    bool eof;         /* the peer's FIN was read */
    size_t budget;    /* bytes that may still be read in this turn */
    uint64_t written; /* taken by wire_send and the BIO, <out> included */
    struct buf
        out; /* TLS only: taken, not in the socket yet; empty and unallocated almost always */
};

void wire_init(struct wire *w);
void wire_release(struct wire *w);
/* How many of the bytes went into the socket; 0 also when it broke. */
size_t wire_send(struct wire *w, const void *p, size_t n);
/* How many came out; 0 = nothing now, or <budget> used up, or <eof>, or broken. */
size_t wire_recv(struct wire *w, void *p, size_t n);
/* Moves <out> into the socket. True when nothing is left. */
bool wire_flush(struct wire *w);
/* Bytes written that the peer's kernel has not acknowledged; -1 when unknown. */
int64_t wire_unacked(const struct wire *w);
/* For SSL_set_bio, which owns it then. <w> must live as long. NULL without memory. */
struct bio_st *wire_bio(struct wire *w);

#endif
