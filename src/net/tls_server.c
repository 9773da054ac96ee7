/* See tls_server.h. */
#include "net/tls_server.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_internal.h"

#define PEM_MAX (256 * 1024)
#define LOOK_MS 1000
#define FILES 4

struct seen {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct tls_server {
    SSL_CTX *ctx;
    struct tls_server_options o;
    struct seen seen[FILES];
    uint64_t looked_ms;
};

static const struct tls_pem *pem_at(const struct tls_server_options *o, unsigned i)
{
    const struct tls_pem *const all[FILES] = {&o->cert, &o->key, &o->chain, &o->client_ca};

    return all[i];
}

static bool given(const struct tls_pem *p)
{
    return *p->text || *p->file;
}

/* Reads the PEM of <p> into <out>. */
static int pem_load(const struct tls_pem *p, struct buf *out, struct err *e)
{
    buf_init(out, PEM_MAX);
    if (*p->file)
        return file_read(p->file, out, e);
    return buf_add_str(out, str_of(p->text)) < 0 ? err_set(e, E2BIG, "is too large") : 0;
}

static void pem_free(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->len);
    buf_release(b);
}

static int use_key(SSL_CTX *ctx, struct str pem, struct err *e)
{
    BIO *bio = tls_pem_bio(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
    int rc;

    (void)BIO_free(bio);
    if (!key)
        return tls_failed(e, "private key");
    rc = SSL_CTX_use_PrivateKey(ctx, key);
    EVP_PKEY_free(key);
    if (rc != 1 || SSL_CTX_check_private_key(ctx) != 1)
        return tls_failed(e, "private key does not fit the certificate");
    return 0;
}

static int add_more(void *arg, X509 *x, unsigned i)
{
    return tls_add_chain(arg, x, i + 1); /* after the first */
}

static int add_client_ca(void *arg, X509 *x, unsigned i)
{
    return SSL_CTX_add_client_CA(arg, x) == 1 ? tls_add_root(SSL_CTX_get_cert_store(arg), x, i) : 0;
}

static int use_pem(SSL_CTX *ctx, const struct tls_server_options *o, unsigned i, struct err *e)
{
    static const char *const what[FILES] = {"certificate", "private key", "CA", "client CA"};
    struct buf pem;
    int rc = pem_load(pem_at(o, i), &pem, e);

    if (rc < 0)
        goto out;
    switch (i) {
    case 0:
        rc = tls_each_cert(buf_str(&pem), what[i], tls_add_chain, ctx, e);
        break;
    case 1:
        rc = use_key(ctx, buf_str(&pem), e);
        break;
    case 2:
        rc = tls_each_cert(buf_str(&pem), what[i], add_more, ctx, e);
        break;
    default:
        rc = tls_each_cert(buf_str(&pem), what[i], add_client_ca, ctx, e);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
out:
    pem_free(&pem);
    return rc;
}

/* A client that offers protocols must offer ours (RFC 7301 §3.2); one that offers none is
 * accepted. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned n, void *arg)
{
    struct str ours = str_of(arg);

    (void)ssl;
    for (unsigned i = 0; i < n && i + 1 + offered[i] <= n; i += 1 + offered[i])
        if (str_eq(str_make((const char *)offered + i + 1, offered[i]), ours)) {
            *out = offered + i + 1;
            *out_len = offered[i];
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *load(const struct tls_server_options *o, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int rc = 0;

    if (!ctx) {
        (void)tls_failed(e, "tls");
        return NULL;
    }
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ctx, 0);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (o->alpn)
        SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, (void *)(uintptr_t)o->alpn);
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_default_passwd_cb(ctx, tls_no_passphrase);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1)
        rc = tls_failed(e, "tls");
    for (unsigned i = 0; i < FILES && rc == 0; i++)
        if (i < 2 || given(pem_at(o, i)))
            rc = use_pem(ctx, o, i, e);
    if (rc == 0 && *o->name &&
        X509_check_host(SSL_CTX_get0_certificate(ctx), o->name, 0, 0, NULL) != 1)
        rc = err_set(e, EINVAL, "certificate is not for %s", o->name);
    if (rc == 0)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

/* Reads the files' current stat. True when one has changed. */
static bool stat_files(struct tls_server *t)
{
    bool changed = false;

    for (unsigned i = 0; i < FILES; i++) {
        const struct tls_pem *p = pem_at(&t->o, i);
        struct seen *old = &t->seen[i];
        struct stat st;

        if (!*p->file || stat(p->file, &st) < 0)
            continue; /* being replaced, or gone: keep what is loaded */
        if (st.st_dev == old->dev && st.st_ino == old->ino && st.st_size == old->size &&
            st.st_mtim.tv_sec == old->mtime.tv_sec && st.st_mtim.tv_nsec == old->mtime.tv_nsec)
            continue;
        *old = (struct seen){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
        changed = true;
    }
    return changed;
}

struct tls_server *tls_server_create(const struct tls_server_options *o, struct err *e)
{
    struct tls_server *t = xcalloc(1, sizeof(*t));

    t->o = *o;
    (void)stat_files(t);
    if (!given(&o->cert) || !given(&o->key))
        (void)err_set(e, EINVAL, "certificate and private key are needed");
    else
        t->ctx = load(o, e);
    if (t->ctx)
        return t;
    free(t);
    return NULL;
}

void tls_server_free(struct tls_server *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ctx);
    free(t);
}

static void reload(struct tls_server *t)
{
    struct err e = {0};
    SSL_CTX *ctx = load(&t->o, &e);

    if (!ctx) {
        log_error("cannot use new certificate, keeping the old one", KV_ERR(&e));
        return;
    }
    SSL_CTX_free(t->ctx);
    t->ctx = ctx;
    log_info("certificate reloaded", KV_CSTR("file", t->o.cert.file));
}

SSL *tls_server_accept(struct tls_server *t, uint64_t now_ms)
{
    SSL *ssl;

    if (now_ms >= t->looked_ms + LOOK_MS || !t->looked_ms) {
        t->looked_ms = now_ms ? now_ms : 1;
        if (stat_files(t))
            reload(t);
    }
    ssl = SSL_new(t->ctx);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

void tls_server_peer(SSL *ssl, char *out, size_t size)
{
    X509 *cert = SSL_get1_peer_certificate(ssl);
    GENERAL_NAMES *names;

    out[0] = '\0';
    if (!cert)
        return;
    if (X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, out, (int)size) <=
        0) {
        names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
        out[0] = '\0';
        for (int i = 0; names && !out[0] && i < sk_GENERAL_NAME_num(names); i++) {
            const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

            if (n->type == GEN_DNS)
                (void)snprintf(out, size, "%.*s", ASN1_STRING_length(n->d.dNSName),
                               (const char *)ASN1_STRING_get0_data(n->d.dNSName));
        }
        GENERAL_NAMES_free(names);
    }
    X509_free(cert);
}
