/*
 * ca=, cert=, key= and servername=: what a drain's TLS trusts, shows and expects. PEMs come as
 * base64 and are decoded and tried here, so that a spec that exists can be used. None of them is
 * ever quoted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "drains/base64.h"
#include "drains/spec_internal.h"

/* Whether it looks like a PEM: asking OpenSSL is expensive. */
static bool is_pem(const struct buf *b)
{
    return b->len && !memchr(b->p, '\0', b->len) && strstr(b->p, "-----BEGIN ");
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->len);
    buf_release(b);
}

/* The PEM in <v>, as a heap string in *out. */
static int set_pem(char **out, const char *name, const char *what, struct str v, struct err *e)
{
    struct buf pem = BUF_INIT(URL_MAX);
    int rc = 0;

    if (base64_decode(v, &pem) < 0 || !is_pem(&pem))
        rc = err_set(e, EINVAL, "option '%s' must be the base64 of %s in PEM", name, what);
    else
        *out = str_dup(buf_str(&pem));
    wipe(&pem);
    return rc;
}

/* Made only to see whether the member will be able to. */
static int try_out(const struct tls_options *o, const char *name, struct err *e)
{
    struct tls_config *t = tls_config_create(o, e);

    tls_config_free(t);
    return t ? 0 : err_wrap(e, "option '%s'", name);
}

int tls_set_ca(struct drain_spec *s, struct str v, struct err *e)
{
    struct tls_options o = {0};

    if (set_pem(&s->ca, "ca", "a certificate", v, e) < 0)
        return -1;
    o.ca = str_of(s->ca);
    return try_out(&o, "ca", e);
}

static int needs_tls(const struct drain_spec *s, const char *name, struct err *e)
{
    if (s->scheme->flags & DRAIN_TLS)
        return 0;
    return err_set(e, EINVAL, "option '%s' is for schemes with TLS only", name);
}

int tls_set_cert(struct drain_spec *s, struct str v, struct err *e)
{
    if (needs_tls(s, "cert", e) < 0)
        return -1;
    return set_pem(&s->client_cert, "cert", "a certificate", v, e);
}

int tls_set_key(struct drain_spec *s, struct str v, struct err *e)
{
    if (needs_tls(s, "key", e) < 0)
        return -1;
    return set_pem(&s->client_key, "key", "a private key", v, e);
}

int tls_set_servername(struct drain_spec *s, struct str v, struct err *e)
{
    if (needs_tls(s, "servername", e) < 0)
        return -1;
    for (size_t i = 0; i < v.len; i++) {
        char c = v.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr("-._:", c))))
            v.len = 0;
    }
    if (v.len == 0 || v.len > HOST_MAX)
        return err_set(e, EINVAL, "option 'servername' must be a host name");
    s->servername = str_dup(v);
    return 0;
}

int tls_settle(struct drain_spec *s, struct err *e)
{
    struct tls_options o = {0};

    if (s->client_cert && !s->client_key && strstr(s->client_cert, " PRIVATE KEY-----"))
        s->client_key = str_dup(str_of(s->client_cert)); /* both in one PEM */
    if (!s->client_cert && !s->client_key)
        return 0;
    if (!s->client_key)
        return err_set(e, EINVAL, "option 'cert': no private key in it, and no option 'key'");
    if (!s->client_cert)
        return err_set(e, EINVAL, "option 'key' is of no use without option 'cert'");
    o.cert = str_of(s->client_cert);
    o.key = str_of(s->client_key);
    return try_out(&o, "cert", e);
}
