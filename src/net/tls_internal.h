/* Shared by tls.c and tls_server.c only: reading PEM, and OpenSSL's errors. */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* Calls <add> with each certificate of <pem>, which must contain at least one and nothing
 * malformed. */
int tls_each_cert(struct str pem, const char *what, int (*add)(void *arg, X509 *x, unsigned i),
                  void *arg, struct err *e);
int tls_add_root(void *arg, X509 *x, unsigned i);  /* <arg>: X509_STORE */
int tls_add_chain(void *arg, X509 *x, unsigned i); /* <arg>: SSL_CTX */
BIO *tls_pem_bio(struct str pem);
/* Without this OpenSSL would ask for a passphrase on the terminal. */
int tls_no_passphrase(char *out, int size, int writing, void *arg);
/* Sets <e> to OpenSSL's reason and empties its queue. Returns -1. */
int tls_failed(struct err *e, const char *what);

#endif
