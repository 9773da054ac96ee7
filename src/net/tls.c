/*
 * tls.h on OpenSSL. Two design notes:
 *
 * - The system's roots are looked up one by one in the hashed directory (/etc/ssl/certs) when a
 *   chain needs them, by one X509_STORE for the whole process. Parsing the bundle instead costs
 *   about 3 MB for every SSL_CTX. A lookup reads a small local file, during a handshake. Only where
 *   there is no hashed directory, the bundle is parsed, once.
 * - OpenSSL forgets the certificate that failed, so the verify callback keeps its subject with the
 *   SSL for tls_error().
 */
#include "net/tls_internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

#define SUBJECT_MAX 96 /* with the name and the reason it fits a struct err */

struct tls_config {
    SSL_CTX *ctx;     /* owned */
    char *servername; /* owned, NULL = the host */
};

/* Process-wide, made once and constant afterwards (the store locks itself). */
static struct {
    pthread_once_t once;
    X509_STORE *roots; /* NULL when there was no memory */
    int subject_index; /* SSL ex_data: char[SUBJECT_MAX] of the certificate that was refused */
} shared = {PTHREAD_ONCE_INIT, NULL, -1};

static void subject_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl,
                         void *argp)
{
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    free(ptr);
}

/* "3e45d192.0": a name made by c_rehash. */
static bool is_hash_name(const char *name)
{
    return strlen(name) >= 10 && strspn(name, "0123456789abcdef") == 8 && name[8] == '.';
}

static bool has_hashed_certs(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *ent;
    bool found = false;

    if (!dir)
        return false;
    while (!found && (ent = readdir(dir)))
        found = is_hash_name(ent->d_name);
    (void)closedir(dir);
    return found;
}

/* SSL_CERT_DIR and SSL_CERT_FILE are honoured as in OpenSSL. */
static void add_system_roots(X509_STORE *store)
{
    const char *dir = getenv(X509_get_default_cert_dir_env());
    const char *file = getenv(X509_get_default_cert_file_env());
    X509_LOOKUP *by_dir = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());

    if (!dir)
        dir = X509_get_default_cert_dir();
    if (by_dir)
        (void)X509_LOOKUP_add_dir(by_dir, dir, X509_FILETYPE_PEM);
    if (!file && !has_hashed_certs(dir)) {
        file = X509_get_default_cert_file();
        /* images that contain only Debian's bundle */
        if (X509_STORE_load_file(store, "/etc/ssl/certs/ca-certificates.crt") == 1)
            file = NULL;
    }
    if (file)
        (void)X509_STORE_load_file(store, file); /* without one, every chain is refused */
    ERR_clear_error();
}

static void shared_init(void)
{
    shared.subject_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, subject_free);
    shared.roots = X509_STORE_new();
    if (shared.roots)
        add_system_roots(shared.roots);
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    char *subject;
    BIO *bio;
    int n;

    if (ok || !ssl || !cert || SSL_get_ex_data(ssl, shared.subject_index))
        return ok;
    bio = BIO_new(BIO_s_mem());
    if (!bio)
        return ok;
    (void)X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
    subject = xcalloc(1, SUBJECT_MAX);
    n = BIO_read(bio, subject, SUBJECT_MAX - 1);
    if (n <= 0)
        subject[0] = '\0';
    (void)BIO_free(bio);
    if (SSL_set_ex_data(ssl, shared.subject_index, subject) != 1)
        free(subject);
    return ok;
}

static const char *queue_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    return reason ? reason : "unknown error";
}

int tls_failed(struct err *e, const char *what)
{
    (void)err_set(e, EINVAL, "%s: %s", what, queue_reason());
    ERR_clear_error();
    return -1;
}

/* Without this OpenSSL would ask for a passphrase on the terminal. */
int tls_no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

BIO *tls_pem_bio(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);

    if (!bio)
        BUG("tls: out of memory");
    return bio;
}

/* Calls <add> with each certificate of <pem>, which must hold at least one and nothing broken. */
int tls_each_cert(struct str pem, const char *what, int (*add)(void *arg, X509 *x, unsigned i),
                  void *arg, struct err *e)
{
    BIO *bio = tls_pem_bio(pem);
    unsigned n = 0;
    int rc = 0;
    X509 *x;

    ERR_clear_error();
    while (rc == 0 && (x = PEM_read_bio_X509_AUX(bio, NULL, tls_no_passphrase, NULL))) {
        if (add(arg, x, n++) != 1)
            rc = tls_failed(e, what);
        X509_free(x);
    }
    if (rc == 0 && n == 0)
        rc = err_set(e, EINVAL, "%s: no certificate found", what);
    else if (rc == 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        rc = tls_failed(e, what);
    ERR_clear_error();
    (void)BIO_free(bio);
    return rc;
}

int tls_add_root(void *arg, X509 *x, unsigned i)
{
    (void)i;
    return X509_STORE_add_cert(arg, x);
}

int tls_add_chain(void *arg, X509 *x, unsigned i)
{
    return i == 0 ? SSL_CTX_use_certificate(arg, x) : (int)SSL_CTX_add1_chain_cert(arg, x);
}

static int set_roots(SSL_CTX *ctx, struct str ca, bool only, struct err *e)
{
    X509_STORE *store;
    int rc;

    if (!ca.len) {
        SSL_CTX_set1_cert_store(ctx, shared.roots);
        return 0;
    }
    store = X509_STORE_new();
    if (!store)
        return tls_failed(e, "ca");
    if (only) /* it may be an intermediate certificate: do not look for its issuer */
        (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    else
        add_system_roots(store);
    rc = tls_each_cert(ca, "ca", tls_add_root, store, e);
    SSL_CTX_set_cert_store(ctx, store); /* ctx owns it */
    /* The owner's certificates are trust anchors: a root, an intermediate or the server's own
     * one. */
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    return rc;
}

static int set_client_cert(SSL_CTX *ctx, const struct tls_options *o, struct err *e)
{
    EVP_PKEY *key;
    BIO *bio;
    int rc;

    if (!o->cert.len && !o->key.len)
        return 0;
    if (!o->cert.len || !o->key.len)
        return err_set(e, EINVAL, "client certificate and key go together");
    if (tls_each_cert(o->cert, "client certificate", tls_add_chain, ctx, e) < 0)
        return -1;
    bio = tls_pem_bio(o->key);
    key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
    (void)BIO_free(bio);
    if (!key)
        return tls_failed(e, "client key");
    rc = SSL_CTX_use_PrivateKey(ctx, key);
    EVP_PKEY_free(key);
    if (rc != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return tls_failed(e, "client key");
    return 0;
}

static int set_up(SSL_CTX *ctx, const struct tls_options *o, struct err *e)
{
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Partial writes: one record at a time, so that the caller learns how much was written. */
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_security_level(ctx, 2); /* no SHA-1 signatures, no RSA under 2048 bits */
    SSL_CTX_set_default_passwd_cb(ctx, tls_no_passphrase);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        return tls_failed(e, "tls");
    if (o->insecure)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    else
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
    if (set_roots(ctx, o->ca, o->only_ca, e) < 0)
        return -1;
    return set_client_cert(ctx, o, e);
}

struct tls_config *tls_config_create(const struct tls_options *o, struct err *e)
{
    struct tls_config *t;

    (void)pthread_once(&shared.once, shared_init);
    ERR_clear_error();
    if (o->ca.len > URL_MAX || o->cert.len > URL_MAX || o->key.len > URL_MAX) {
        (void)err_set(e, E2BIG, "tls: certificate or key over %d bytes", URL_MAX);
        return NULL;
    }
    if (!shared.roots || shared.subject_index < 0) {
        (void)err_set(e, ENOMEM, "tls: no memory for the system's roots");
        return NULL;
    }
    t = xcalloc(1, sizeof(*t));
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (!t->ctx) {
        (void)tls_failed(e, "tls");
        free(t);
        return NULL;
    }
    if (o->servername.len)
        t->servername = str_dup(o->servername);
    if (set_up(t->ctx, o, e) < 0) {
        tls_config_free(t);
        return NULL;
    }
    return t;
}

void tls_config_free(struct tls_config *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ctx);
    free(t->servername);
    free(t);
}

SSL_CTX *tls_config_ctx(struct tls_config *t)
{
    return t->ctx;
}

/* An address is verified as one, and not sent as SNI (RFC 6066 §3). */
static int set_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    unsigned char ip[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
        return 0;
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

SSL *tls_client(struct tls_config *t, struct str host, struct err *e)
{
    struct str want = t->servername ? str_of(t->servername) : host;
    char name[HOST_MAX + 1];
    SSL *ssl;

    ERR_clear_error();
    if (want.len > 1 && want.p[want.len - 1] == '.')
        want.len--; /* the trailing dot belongs to DNS; certificates and SNI have none */
    if (!want.len || want.len > HOST_MAX || memchr(want.p, '\0', want.len)) {
        (void)err_set(e, EINVAL, "tls: no valid name to verify");
        return NULL;
    }
    memcpy(name, want.p, want.len);
    name[want.len] = '\0';
    ssl = SSL_new(t->ctx);
    if (!ssl || set_name(ssl, name) != 1) {
        (void)tls_failed(e, "tls");
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

void tls_error(SSL *ssl, int ret, struct err *e)
{
    long verify = SSL_get_verify_result(ssl);
    const char *subject = SSL_get_ex_data(ssl, shared.subject_index);

    if (verify != X509_V_OK && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER))
        (void)err_set(e, EPROTO, "certificate refused: %s (subject '%s')",
                      X509_verify_cert_error_string(verify), subject ? subject : "");
    else if (SSL_get_error(ssl, ret) == SSL_ERROR_ZERO_RETURN)
        (void)err_set(e, EPROTO, "closed by the peer");
    else
        (void)err_set(e, EPROTO, "%s", queue_reason());
    ERR_clear_error();
}
