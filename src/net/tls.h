/*
 * A TLS client configuration: an SSL_CTX made from a drain's options. Verification is the
 * library's: chain, dates, and the host name (or address) by X509_VERIFY_PARAM. TLS 1.2 or newer,
 * no renegotiation, no compression, no 0-RTT.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

struct tls_config;

struct tls_options {
    bool insecure;         /* no certificate checks at all */
    struct str ca;         /* PEM, added to the system's roots; empty = none */
    bool only_ca;          /* trust <ca> only */
    struct str cert;       /* client certificate chain, PEM; empty = none */
    struct str key;        /* its key, PEM */
    struct str servername; /* verified and sent as SNI instead of the host; empty = the host */
};

/* NULL with <e> set when a PEM does not parse. Copies its arguments. */
struct tls_config *tls_config_create(const struct tls_options *o, struct err *e);
void tls_config_free(struct tls_config *t);

struct ssl_st;     /* OpenSSL's SSL */
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct ssl_ctx_st *tls_config_ctx(struct tls_config *t);
/* A client SSL for <host>: SNI (names only), verification as configured. NULL with <e> set. */
struct ssl_st *tls_client(struct tls_config *t, struct str host, struct err *e);
/* Why the last operation on <ssl> failed, as text: verification result and certificate subject, or
 * OpenSSL's error queue. */
void tls_error(struct ssl_st *ssl, int ret, struct err *e);

#endif
