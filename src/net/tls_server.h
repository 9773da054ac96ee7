/*
 * The TLS configuration of a server: its certificate and key, and the authorities whose clients are
 * let in. PEM as text, or as files that are read again when they have changed, which is looked at
 * when a connection comes: connections that are open keep what they began with. TLS 1.2 or newer,
 * no renegotiation, no compression, no tickets and so no 0-RTT.
 */
#ifndef NET_TLS_SERVER_H
#define NET_TLS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct tls_server;

/* Each as text or as the path of a file; both empty = not given. Borrowed. */
struct tls_pem {
    const char *text;
    const char *file;
};
struct tls_server_options {
    struct tls_pem cert; /* chain, the server's own first */
    struct tls_pem key;
    struct tls_pem chain;     /* further certificates of the chain; may be empty */
    struct tls_pem client_ca; /* empty = clients are not asked for a certificate */
    const char *name;         /* the certificate must be for it; "" = any */
    const char *alpn;         /* the protocol that is spoken: "h2"; NULL = any */
};

/* NULL with <e>: what is missing, unreadable or does not fit together. */
struct tls_server *tls_server_create(const struct tls_server_options *o, struct err *e);
void tls_server_free(struct tls_server *t);

struct ssl_st;
/* For a connection that was accepted; reads the files again when they have changed (at most once a
 * second, <now_ms>). What is wrong with new files is said, and the old ones stay. NULL: no memory.
 */
struct ssl_st *tls_server_accept(struct tls_server *t, uint64_t now_ms);
/* The common name, or else the first DNS name, of the client's verified certificate into <out>;
 * empty when it gave none. */
void tls_server_peer(struct ssl_st *ssl, char *out, size_t size);

#endif
