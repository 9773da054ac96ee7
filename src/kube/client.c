/*
 * An endpoint is what a connection needs: address, CA, client certificate. When one of its files
 * has changed, a new endpoint takes over, and the old one is freed with its last call.
 */
#include "kube/client.h"

#include <errno.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/config_internal.h"

#define ACCEPT_ONE                                                                                 \
    "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
#define ACCEPT_WHOLE "Accept: application/json"
#define ACCEPT_LIST                                                                                \
    "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

struct endpoint {
    struct url url;
    struct tls_config *tls;
    struct http_origin *origin;
    unsigned calls;
    bool retired;
};

struct kube_call {
    struct kube_client *client;
    struct endpoint *endpoint;
    struct http_call *http;
    struct kube_request req;
};

/* A file's bytes as last read. */
struct credential {
    const char *text, *file; /* of the configuration; either, or none */
    struct buf bytes;
};

struct kube_client {
    struct loop *loop;
    struct http_client *http;
    struct kube_config cfg;
    unsigned connections;
    struct credential ca, cert, key, token;
    uint64_t read_at;
    bool reread; /* before the next request */
    bool token_trouble;
    struct endpoint *endpoint;
    char *label;
};

/* ---- credentials ---- */

static void credential_init(struct credential *k, const char *text, const char *file)
{
    *k = (struct credential){.text = text, .file = text ? NULL : file};
    buf_init(&k->bytes, KUBE_FILE_MAX);
    if (text && buf_add_str(&k->bytes, str_of(text)) < 0)
        BUG("kube: a credential is over %d bytes", KUBE_FILE_MAX);
}

static void credential_release(struct credential *k)
{
    if (k->bytes.p)
        explicit_bzero(k->bytes.p, k->bytes.cap);
    buf_release(&k->bytes);
}

/* 1 = changed, 0 = unchanged, -1 = unreadable: the old content stays. */
static int credential_read(struct credential *k, struct err *e)
{
    struct buf fresh = BUF_INIT(KUBE_FILE_MAX), old;
    int rc;

    if (!k->file)
        return 0;
    rc = file_read(k->file, &fresh, e);
    if (rc == 0 && !str_trim(buf_str(&fresh)).len)
        rc = err_set(e, EINVAL, "%s is empty", k->file);
    if (rc == 0 && !str_eq(buf_str(&fresh), buf_str(&k->bytes))) {
        old = k->bytes;
        k->bytes = fresh;
        fresh = old;
        rc = 1;
    }
    if (fresh.p)
        explicit_bzero(fresh.p, fresh.cap);
    buf_release(&fresh);
    return rc;
}

/* ---- endpoints ---- */

static void endpoint_free(struct endpoint *ep)
{
    if (ep->origin)
        http_origin_free(ep->origin);
    tls_config_free(ep->tls);
    url_release(&ep->url);
    free(ep);
}

static int endpoint_tls(struct kube_client *c, struct endpoint *ep, struct err *e)
{
    struct tls_options o = {
        .insecure = c->cfg.insecure,
        .ca = buf_str(&c->ca.bytes),
        .only_ca = true,
        .cert = buf_str(&c->cert.bytes),
        .key = buf_str(&c->key.bytes),
        .servername = str_of(c->cfg.servername),
    };

    ep->tls = tls_config_create(&o, e);
    return ep->tls ? 0 : -1;
}

static struct endpoint *endpoint_create(struct kube_client *c, struct err *e)
{
    struct endpoint *ep = xcalloc(1, sizeof(*ep));
    struct http_origin_config oc = {.connections = c->connections, .egress = c->cfg.egress};
    bool tls;

    if (url_parse(&ep->url, str_of(c->cfg.server), e) < 0)
        goto failed;
    tls = str_eq(ep->url.scheme, STR("https"));
    if ((!tls && !str_eq(ep->url.scheme, STR("http"))) || ep->url.query.len || ep->url.has_user) {
        (void)err_set(e, EINVAL, "the server is not an http or https URL");
        goto failed;
    }
    if (tls && endpoint_tls(c, ep, e) < 0)
        goto failed;
    oc.url = &ep->url;
    oc.tls = tls;
    oc.tls_config = ep->tls;
    ep->origin = http_origin_create(c->http, &oc);
    return ep;
failed:
    endpoint_free(ep);
    return NULL;
}

static void endpoint_leave(struct endpoint *ep)
{
    if (--ep->calls == 0 && ep->retired)
        endpoint_free(ep);
}

static void endpoint_replace(struct kube_client *c)
{
    struct err e = {0};
    struct endpoint *ep = endpoint_create(c, &e), *old = c->endpoint;

    if (!ep) {
        log_warn("kubernetes: cannot use new certificate, keeping the old one", KV_ERR(&e));
        return;
    }
    log_info("kubernetes: a certificate has changed", KV_CSTR("server", c->label));
    c->endpoint = ep;
    old->retired = true;
    old->calls++;
    endpoint_leave(old);
}

/* Rereads the files when that is due. */
static void refresh(struct kube_client *c)
{
    uint64_t now = loop_now(c->loop);
    struct err e = {0};
    int changed;

    if (!c->reread && now - c->read_at < KUBE_TOKEN_MS)
        return;
    c->reread = false;
    c->read_at = now;
    changed = credential_read(&c->token, &e);
    if (changed < 0 && !c->token_trouble)
        log_warn("kubernetes: cannot reload token, keeping the old one", KV_ERR(&e));
    c->token_trouble = changed < 0;
    /* A file that cannot be read counts as unchanged. Certificate and key are separate files and
     * may not match for a moment: then the pair is refused, and reread in a minute. */
    changed = credential_read(&c->ca, &e) > 0;
    changed |= credential_read(&c->cert, &e) > 0;
    changed |= credential_read(&c->key, &e) > 0;
    if (changed)
        endpoint_replace(c);
}

/* ---- calls ---- */

static bool on_body(void *arg, struct str piece)
{
    struct kube_call *call = arg;

    return call->req.on_body(call->req.arg, piece);
}

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct kube_call *call = arg;
    struct kube_request req = call->req;

    if (a->status == 401 || a->status == 0)
        call->client->reread = true;
    endpoint_leave(call->endpoint);
    free(call);
    req.done(req.arg, a, e);
}

struct kube_call *kube_send(struct kube_client *c, const struct kube_request *req)
{
    struct kube_call *call = xcalloc(1, sizeof(*call));
    struct buf target = BUF_INIT(URL_MAX), auth = BUF_INIT(KUBE_FILE_MAX);
    const char *headers[4] = {req->whole ? ACCEPT_WHOLE : req->list ? ACCEPT_LIST : ACCEPT_ONE};
    unsigned nheaders = 1;
    struct http_request hr = {.method = req->body.p ? "POST" : "GET",
                              .headers = headers,
                              .body = req->body,
                              .want_body = true,
                              .on_body = req->on_body ? on_body : NULL,
                              .timeout_ms = req->timeout_ms};

    refresh(c);
    call->client = c;
    call->req = *req;
    call->endpoint = c->endpoint;
    call->endpoint->calls++;
    if (buf_add_str(&target, c->endpoint->url.path) < 0 ||
        buf_addf(&target, "%s", req->target) < 0 ||
        buf_addf(&auth, "Authorization: Bearer %.*s", STR_ARG(str_trim(buf_str(&c->token.bytes)))) <
            0)
        BUG("kube: a request of over %d bytes", URL_MAX);
    if (c->token.bytes.len)
        headers[nheaders++] = buf_cstr(&auth);
    if (req->body.p)
        headers[nheaders] = "Content-Type: application/json";
    hr.target = buf_str(&target);
    call->http = http_send(c->endpoint->origin, &hr, on_done, call);
    explicit_bzero(auth.p, auth.cap);
    buf_release(&auth);
    buf_release(&target);
    return call;
}

void kube_cancel(struct kube_call *call)
{
    if (!call)
        return;
    http_cancel(call->http);
    endpoint_leave(call->endpoint);
    free(call);
}

int kube_add_encoded(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '_' || c == '.';

        if ((plain ? buf_add_ch(out, c) : buf_addf(out, "%%%02X", (unsigned char)c)) < 0)
            return -1;
    }
    return 0;
}

/* ---- life cycle ---- */

static int client_open(struct kube_client *c, struct err *e)
{
    struct credential *all[] = {&c->ca, &c->cert, &c->key, &c->token};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (credential_read(all[i], e) < 0)
            return -1;
    c->read_at = loop_now(c->loop);
    c->endpoint = endpoint_create(c, e);
    return c->endpoint ? 0 : -1;
}

static void set_label(struct kube_client *c)
{
    const struct url *u = &c->endpoint->url;
    struct buf text = BUF_INIT(URL_MAX);

    (void)buf_addf(&text, u->ipv6 ? "[%.*s]" : "%.*s", STR_ARG(u->host)); /* it fits */
    if (u->port)
        (void)buf_addf(&text, ":%u", u->port);
    c->label = str_dup(buf_str(&text));
    buf_release(&text);
}

struct kube_client *kube_client_create(struct loop *l, struct dns *dns, struct kube_config *cfg,
                                       unsigned connections, struct err *e)
{
    struct kube_client *c = xcalloc(1, sizeof(*c));

    c->loop = l;
    c->cfg = *cfg;
    *cfg = (struct kube_config){.insecure = false};
    c->connections = connections;
    credential_init(&c->ca, c->cfg.ca, c->cfg.ca_file);
    credential_init(&c->cert, c->cfg.cert, c->cfg.cert_file);
    credential_init(&c->key, c->cfg.key, c->cfg.key_file);
    credential_init(&c->token, c->cfg.token, c->cfg.token_file);
    c->http = http_client_create(l, dns, e);
    if (!c->http || client_open(c, e) < 0) {
        kube_client_free(c);
        return NULL;
    }
    set_label(c);
    return c;
}

void kube_client_free(struct kube_client *c)
{
    if (!c)
        return;
    if (c->endpoint && c->endpoint->calls)
        BUG("kube: client freed with %u requests under way", c->endpoint->calls);
    if (c->endpoint)
        endpoint_free(c->endpoint);
    http_client_free(c->http);
    credential_release(&c->ca);
    credential_release(&c->cert);
    credential_release(&c->key);
    credential_release(&c->token);
    kube_config_release(&c->cfg);
    free(c->label);
    free(c);
}

const char *kube_client_server(const struct kube_client *c)
{
    return c->label;
}
