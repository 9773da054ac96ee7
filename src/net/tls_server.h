/*
 * The TLS configuration of a server: its certificate and key, and the authorities whose clients are
 * accepted. PEM as text, or as files, which are reread when they have changed. That is checked when
 * a connection arrives; open connections keep what they began with. TLS 1.2 or newer, no
 * renegotiation, no compression, no tickets and so no 0-RTT.
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
    const char *name;         /* required name of the certificate; "" = any */
    const char *alpn;         /* required protocol, as "h2"; NULL = any */
};

/* NULL with <e> set: missing, unreadable or not matching. */
struct tls_server *tls_server_create(const struct tls_server_options *o, struct err *e);
void tls_server_free(struct tls_server *t);

struct ssl_st;
/* For an accepted connection. Rereads changed files (at most once a second, <now_ms>). An error in
 * new files is logged, and the old ones are kept. NULL: no memory. */
struct ssl_st *tls_server_accept(struct tls_server *t, uint64_t now_ms);
/* Writes the common name, or else the first DNS name, of the client's verified certificate to
 * <out>; empty without one. */
void tls_server_peer(struct ssl_st *ssl, char *out, size_t size);

#endif
