/*
 * ca=, cert=, key= and servername=: what a drain's TLS trusts, presents and expects. A PEM is given
 * as base64, or by operators as the path of a file. It is tried here, so that a spec that exists
 * can be used. A PEM is never quoted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/limits.h"
#include "drains/spec/spec_internal.h"

#define PEM_FILE_MAX (64 * 1024)

/* A cheap check, because asking OpenSSL is expensive. */
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

static int read_pem(struct str path, struct buf *pem, const char *name, const char *what,
                    struct err *e)
{
    char *z = str_dup(path);
    int rc = file_read(z, pem, e);

    free(z);
    if (rc < 0)
        return err_wrap(e, "option '%s'", name);
    return is_pem(pem) ? 0
                       : err_set(e, EINVAL, "option '%s': the file has no %s in PEM", name, what);
}

/* Decodes the PEM in <v> into a heap string, *out. A leading '/' means a path: the base64 of a PEM
 * never begins with it, because that would be a byte above 0xfb. Workloads may not give a path,
 * because the file would be read with our permissions. */
static int set_pem(struct drain_spec *s, char **out, const char *name, const char *what,
                   struct str v, struct err *e)
{
    struct buf pem = BUF_INIT(PEM_FILE_MAX);
    bool file = v.len && v.p[0] == '/';
    int rc = 0;

    if (file && s->owner)
        rc = err_set(e, EPERM, "option '%s': a file is for operators only", name);
    else if (file && memchr(v.p, '\0', v.len))
        rc = err_set(e, EINVAL, "option '%s' must be a path without NUL", name);
    else if (file)
        rc = read_pem(v, &pem, name, what, e);
    else if (base64_decode(v, &pem) < 0 || !is_pem(&pem))
        rc = err_set(e, EINVAL, "option '%s' must be the base64 of a %s in PEM", name, what);
    if (rc == 0)
        *out = str_dup(buf_str(&pem));
    wipe(&pem);
    return rc;
}

/* Creates the configuration only to see whether that works. */
static int check_config(const struct tls_options *o, const char *name, struct err *e)
{
    struct tls_config *t = tls_config_create(o, e);

    tls_config_free(t);
    return t ? 0 : err_wrap(e, "option '%s'", name);
}

int tls_set_ca(struct drain_spec *s, struct str v, struct err *e)
{
    if (!v.len)
        return 0; /* the original takes it, and means the system's roots */
    struct tls_options o = {0};

    if (set_pem(s, &s->ca, "ca", "certificate", v, e) < 0)
        return -1;
    o.ca = str_of(s->ca);
    return check_config(&o, "ca", e);
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
    return set_pem(s, &s->client_cert, "cert", "certificate", v, e);
}

int tls_set_key(struct drain_spec *s, struct str v, struct err *e)
{
    if (needs_tls(s, "key", e) < 0)
        return -1;
    return set_pem(s, &s->client_key, "key", "private key", v, e);
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
        s->client_key = str_dup(str_of(s->client_cert)); /* certificate and key are in one PEM */
    if (!s->client_cert && !s->client_key)
        return 0;
    if (!s->client_key)
        return err_set(e, EINVAL, "option 'cert' has no private key, and option 'key' is missing");
    if (!s->client_cert)
        return err_set(e, EINVAL, "option 'key' needs option 'cert'");
    o.cert = str_of(s->client_cert);
    o.key = str_of(s->client_key);
    return check_config(&o, "cert", e);
}
