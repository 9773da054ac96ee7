/*
 * Certificates for curl. curl creates an SSL_CTX for every connection. This file gives each of them
 * the roots, client certificate and names of the origin's tls_config. So curl parses no bundle (200
 * KB of PEM), and HTTP verifies exactly as net/conn.h does: OpenSSL checks the name
 * (X509_VERIFY_PARAM), and curl's own check is off.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/http_internal.h"

/* curl reports only "certificate problem: <reason>"; this adds which certificate. */
static int verify_chain(X509_STORE_CTX *store, void *arg)
{
    struct http_origin *o = arg;
    int ok = X509_verify_cert(store);
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    char subject[120] = "";
    BIO *bio;

    if (ok > 0)
        return ok;
    bio = cert ? BIO_new(BIO_s_mem()) : NULL;
    if (bio) {
        (void)X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
        (void)BIO_read(bio, subject, sizeof(subject) - 1);
        (void)BIO_free(bio);
    }
    (void)err_set(&o->tls_error, EPROTO, "certificate refused: %s (subject '%s')",
                  X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)), subject);
    return ok;
}

static bool share_client_cert(SSL_CTX *to, SSL_CTX *from)
{
    X509 *cert = SSL_CTX_get0_certificate(from);
    STACK_OF(X509) *chain = NULL;

    if (!cert)
        return true;
    return SSL_CTX_get0_chain_certs(from, &chain) == 1 && SSL_CTX_use_certificate(to, cert) == 1 &&
           SSL_CTX_use_PrivateKey(to, SSL_CTX_get0_privatekey(from)) == 1 &&
           (!chain || SSL_CTX_set1_chain(to, chain) == 1);
}

static CURLcode share_ctx(CURL *easy, void *ctx, void *arg)
{
    struct http_call *call = arg;
    struct http_origin *o = call->origin;
    SSL_CTX *from = tls_config_ctx(o->cfg.tls_config);

    (void)easy;
    call->tls_begun = true;
    o->tls_error.code = 0;
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (!share_client_cert(ctx, from))
        return CURLE_SSL_CERTPROBLEM;
    if (o->insecure)
        return CURLE_OK;
    SSL_CTX_set1_cert_store(ctx, SSL_CTX_get_cert_store(from));
    if (SSL_CTX_set1_param(ctx, o->verify) != 1)
        return CURLE_SSL_CERTPROBLEM;
    SSL_CTX_set_cert_verify_callback(ctx, verify_chain, o);
    return CURLE_OK;
}

/* tls_client() knows what servername= and insecure= mean, so its SSL is the source. */
int http_tls_init(struct http_origin *o, char **name, struct err *e)
{
    SSL *ssl = tls_client(o->cfg.tls_config, o->cfg.url->host, e);
    const char *sni;

    if (!ssl)
        return -1;
    o->insecure = SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE;
    o->verify = X509_VERIFY_PARAM_new();
    if (!o->verify || X509_VERIFY_PARAM_set1(o->verify, SSL_get0_param(ssl)) != 1)
        BUG("http: out of memory");
    sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (sni && !str_ieq(str_of(sni), o->cfg.url->host))
        *name = str_dup(str_of(sni));
    SSL_free(ssl);
    return 0;
}

void http_tls_setup(struct http_call *call)
{
    struct http_origin *o = call->origin;
    CURL *easy = call->easy;

    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, o->insecure ? 0L : 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L); /* OpenSSL checks it: see above */
    (void)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    /* Otherwise curl would reuse the first origin's roots for all others of the multi. */
    (void)curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, share_ctx);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, call);
}
