/*
 * Shared by the drains of a worker: loop, DNS, HTTP client, gzip, TLS configurations, a scratch
 * buffer. Most of them are created when first needed.
 */
#include "base/log.h"
#include "drains/core/gzip.h"
#include "drains/core/worker_internal.h"
#include "loop/dns.h"
#include "net/http_client.h"

int worker_shared_open(struct worker *wk, struct err *e)
{
    wk->searches = pattern_run_create();
    wk->dns = dns_create(&wk->loop, wk->cfg.dns_servers, e);
    return wk->dns ? 0 : -1;
}

void worker_shared_close(struct worker *wk)
{
    if (wk->http)
        http_client_free(wk->http);
    gzip_free(wk->gzip);
    tls_config_free(wk->tls[false]);
    tls_config_free(wk->tls[true]);
    buf_release(&wk->scratch);
    pattern_run_free(wk->searches);
    dns_free(wk->dns);
}

struct loop *worker_loop(struct worker *wk)
{
    return &wk->loop;
}

struct dns *worker_dns(struct worker *wk)
{
    return wk->dns;
}

struct http_client *worker_http(struct worker *wk)
{
    struct err e;

    if (!wk->http) {
        wk->http = http_client_create(&wk->loop, wk->dns, &e);
        if (!wk->http)
            log_error("cannot create HTTP client", KV_ERR(&e));
    }
    return wk->http;
}

struct pattern_run *worker_searches(struct worker *wk)
{
    return wk->searches;
}

struct gzip *worker_gzip(struct worker *wk)
{
    if (!wk->gzip)
        wk->gzip = gzip_create();
    return wk->gzip;
}

struct tls_config *worker_tls(struct worker *wk, const struct drain_spec *s, struct err *e)
{
    struct tls_config **shared = &wk->tls[s->insecure];
    bool special = s->ca || s->client_cert || s->client_key || s->servername;
    struct tls_options o;

    if (!special && *shared)
        return *shared;
    drain_spec_tls(s, &o);
    if (special)
        return tls_config_create(&o, e);
    *shared = tls_config_create(&o, e);
    return *shared;
}

void worker_tls_free(struct worker *wk, struct tls_config *tls)
{
    if (tls != wk->tls[false] && tls != wk->tls[true])
        tls_config_free(tls);
}

struct buf *worker_scratch(struct worker *wk, size_t max)
{
    if (wk->scratch.cap > SCRATCH_KEPT)
        buf_release(&wk->scratch);
    buf_clear(&wk->scratch);
    wk->scratch.max = max;
    return &wk->scratch;
}

const struct egress *drain_egress(const struct drain *d)
{
    return d->spec->owner ? d->worker->cfg.egress : NULL;
}

struct mailbox *worker_mailbox(struct worker *wk)
{
    return &wk->mailbox;
}
