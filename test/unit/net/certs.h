/* For tests: certificates generated at run time. */
#ifndef TEST_UNIT_NET_CERTS_H
#define TEST_UNIT_NET_CERTS_H

#include <openssl/evp.h>
#include <openssl/x509.h>

struct cert {
    X509 *x;       /* owned */
    EVP_PKEY *key; /* owned */
};

struct cert_spec {
    const char *cn;
    const char *san;           /* "DNS:a.test,IP:127.0.0.1", or NULL */
    const struct cert *issuer; /* NULL = signed by itself */
    long from_s, to_s;         /* validity, in seconds from now; both 0 = an hour around now */
    const EVP_MD *md;          /* NULL = SHA-256 */
    bool ca;
};

static inline void cert_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(x, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static inline struct cert cert_make(const struct cert_spec *s)
{
    static long serial = 1;
    struct cert c = {X509_new(), EVP_EC_gen("P-256")};
    const struct cert *issuer = s->issuer ? s->issuer : &c;
    long from = s->from_s || s->to_s ? s->from_s : -3600;
    long to = s->from_s || s->to_s ? s->to_s : 3600;
    X509_NAME *name = X509_NAME_new();

    assert_non_null(c.x);
    assert_non_null(c.key);
    assert_int_equal(X509_set_version(c.x, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)s->cn, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_subject_name(c.x, name), 1);
    X509_NAME_free(name);
    assert_int_equal(X509_set_issuer_name(c.x, X509_get_subject_name(issuer->x)), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(c.x), from));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(c.x), to));
    assert_int_equal(X509_set_pubkey(c.x, c.key), 1);
    cert_extension(c.x, issuer->x, NID_basic_constraints, s->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (s->san)
        cert_extension(c.x, issuer->x, NID_subject_alt_name, s->san);
    assert_true(X509_sign(c.x, issuer->key, s->md ? s->md : EVP_sha256()) > 0);
    return c;
}

static inline void cert_release(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
    *c = (struct cert){NULL, NULL};
}

/* Appends the PEM of the certificate, or of the key. */
static inline void cert_pem(const struct cert *c, bool key, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    long n;

    if (key)
        assert_int_equal(PEM_write_bio_PrivateKey(bio, c->key, NULL, NULL, 0, NULL, NULL), 1);
    else
        assert_int_equal(PEM_write_bio_X509(bio, c->x), 1);
    n = BIO_get_mem_data(bio, &p);
    assert_true(n > 0);
    assert_int_equal(buf_add(out, p, (size_t)n), 0);
    (void)BIO_free(bio);
}

#endif
