/*
 * One scheme, host and port: the settings that its calls share. Nothing here does I/O.
 *
 * Freeing an origin shuts its idle connections down at once. curl cannot close the connections of
 * one host, so their sockets are shut down instead: the peer sees the end, and curl cleans up when
 * it next opens a connection. No other origin can use them meanwhile (http_internal.h: alias).
 */
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/http_internal.h"

static char *textf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *textf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        BUG("http: out of memory");
    va_end(ap);
    return text;
}

/* Userinfo in the Basic scheme (RFC 7617). Done here because curl would cut it at a NUL. */
static char *basic_auth(const struct url *u)
{
    static const char prefix[] = "Authorization: Basic ";
    size_t plain_len = u->user.len + 1 + u->password.len;
    size_t size = sizeof(prefix) + 4 * ((plain_len + 2) / 3);
    unsigned char *plain;
    char *header;

    if (!u->has_user)
        return NULL;
    plain = xmalloc(plain_len);
    header = xmalloc(size);
    if (u->user.len)
        memcpy(plain, u->user.p, u->user.len);
    plain[u->user.len] = ':';
    if (u->password.len)
        memcpy(plain + u->user.len + 1, u->password.p, u->password.len);
    memcpy(header, prefix, sizeof(prefix) - 1);
    (void)EVP_EncodeBlock((unsigned char *)header + sizeof(prefix) - 1, plain, (int)plain_len);
    explicit_bzero(plain, plain_len);
    free(plain);
    return header;
}

static void set_names(struct http_origin *o)
{
    const struct url *u = o->cfg.url;
    const char *open = u->ipv6 ? "[" : "", *close = u->ipv6 ? "]" : "";
    bool default_port = o->port == (o->cfg.tls ? 443 : 80);
    char *name = NULL; /* what TLS sends; NULL = the host */

    o->label = textf("%s%.*s%s:%u", open, STR_ARG(u->host), close, o->port);
    if (o->cfg.tls && http_tls_init(o, &name, &o->broken) < 0)
        (void)err_wrap(&o->broken, "http: %s", o->label);
    if (name) {
        o->url = textf("https://%s:%u/", name, o->port);
        o->host_header = default_port ? textf("Host: %s%.*s%s", open, STR_ARG(u->host), close)
                                      : textf("Host: %s", o->label);
    } else {
        o->url = textf("%s://%s/", o->cfg.tls ? "https" : "http", o->label);
    }
    free(name);
}

struct http_origin *http_origin_create(struct http_client *c, const struct http_origin_config *cfg)
{
    struct http_origin *o = xcalloc(1, sizeof(*o));
    char *connect_to;

    o->client = c;
    o->cfg = *cfg;
    if (!o->cfg.connections)
        o->cfg.connections = 1;
    if (!o->cfg.timeout_ms)
        o->cfg.timeout_ms = DRAIN_TIMEOUT_MS;
    if (!o->cfg.connect_timeout_ms)
        o->cfg.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    o->port = cfg->url->port ? cfg->url->port : (cfg->tls ? 443 : 80);
    (void)snprintf(o->alias, sizeof(o->alias), "o%llu.invalid",
                   (unsigned long long)++c->last_origin);
    connect_to = textf("::%s:", o->alias);
    o->connect_to = curl_slist_append(NULL, connect_to);
    free(connect_to);
    if (!o->connect_to)
        BUG("http: out of memory");
    o->authorization = cfg->anonymous ? NULL : basic_auth(cfg->url);
    list_init(&o->waiting);
    list_init(&o->sockets);
    list_init(&o->idle);
    buf_init(&o->pin, 64 * (ADDRESSES_MAX + 1));
    set_names(o);
    list_add_tail(&c->origins, &o->node);
    c->connections += o->cfg.connections;
    http_multi_resize(c);
    return o;
}

static void secret_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void http_origin_destroy(struct http_origin *o)
{
    while (!list_empty(&o->idle)) {
        struct http_call *call = list_entry(o->idle.next, struct http_call, node);

        list_del(&call->node);
        http_call_free(call);
    }
    http_pin_release(o);
    X509_VERIFY_PARAM_free(o->verify);
    curl_slist_free_all(o->connect_to);
    secret_free(o->authorization);
    free(o->host_header);
    free(o->url);
    free(o->label);
    free(o);
}

void http_origin_free(struct http_origin *o)
{
    if (!o)
        return;
    if (o->in_flight)
        BUG("http: origin freed with %u calls under way", o->in_flight);
    list_for_each_safe (it, &o->sockets) {
        const struct http_socket *s = list_entry(it, struct http_socket, node);

        if (!http_socket_gone(s))
            (void)shutdown(s->fd, SHUT_RDWR); /* may have ended already */
        list_del(it);
    }
    o->client->connections -= o->cfg.connections;
    http_multi_resize(o->client);
    list_del(&o->node);
    o->closing = true;
    if (!o->delivering)
        http_origin_destroy(o);
}
