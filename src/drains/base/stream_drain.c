/*
 * What members with one connection have in common.
 */
#include "drains/base/stream_drain.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "drains/core/worker.h"

uint64_t stream_drain_now(const struct stream_drain *s)
{
    return loop_now(worker_loop(s->base.worker));
}

uint64_t stream_drain_acked(const struct stream_drain *s, uint64_t known)
{
    int64_t unacked = conn_unacked(s->conn);
    uint64_t written = conn_written(s->conn);

    return unacked < 0 || (uint64_t)unacked > written ? known : written - (uint64_t)unacked;
}

static uint64_t acked_now(const struct stream_drain *s)
{
    return s->acked_now ? s->acked_now(s) : stream_drain_acked(s, s->acked);
}

static void on_timeout(void *arg)
{
    struct stream_drain *s = arg;
    struct err e = {0, ""};

    if (acked_now(s) > s->acked) { /* slow, but it makes progress */
        stream_drain_await(s);
        return;
    }
    (void)err_set(&e, ETIMEDOUT, "%s for %llu s", s->silence,
                  (unsigned long long)(s->base.spec->timeout_ms / 1000));
    s->timed_out(s, &e);
}

void *stream_drain_create(size_t size, const struct drain_ops *ops, struct worker *wk,
                          struct drain_spec *spec, struct err *e)
{
    bool wants_tls = spec->scheme->flags & DRAIN_TLS;
    struct tls_config *tls = wants_tls ? worker_tls(wk, spec, e) : NULL;
    struct stream_drain *s;

    if (wants_tls && !tls)
        return NULL;
    s = xcalloc(1, size);
    drain_init(&s->base, ops, wk, spec);
    s->tls = tls;
    s->timer = loop_timer_create(worker_loop(wk), on_timeout, s);
    return s;
}

void stream_drain_free(struct stream_drain *s)
{
    conn_free(s->conn);
    loop_timer_free(s->timer);
    worker_tls_free(s->base.worker, s->tls);
    drain_release(&s->base);
    free(s);
}

struct conn_config stream_drain_config(const struct stream_drain *s)
{
    const struct drain_spec *spec = s->base.spec;
    uint64_t timeout = spec->timeout_ms;

    return (struct conn_config){
        .host = spec->url.host,
        .port = spec->port,
        .tls = s->tls != NULL,
        .tls_config = s->tls,
        .quiet_peer = s->quiet_peer,
        .egress = drain_egress(&s->base),
        .connect_timeout_ms = timeout < CONNECT_TIMEOUT_MS ? timeout : CONNECT_TIMEOUT_MS,
    };
}

void stream_drain_connect(struct stream_drain *s, const struct conn_ops *callbacks)
{
    const struct conn_config cfg = stream_drain_config(s);
    struct worker *wk = s->base.worker;

    s->acked = 0;
    s->conn = conn_create(worker_loop(wk), worker_dns(wk), &cfg, callbacks, s);
}

void stream_drain_disconnect(struct stream_drain *s)
{
    conn_free(s->conn);
    s->conn = NULL;
    loop_timer_stop(s->timer);
}

void stream_drain_await(struct stream_drain *s)
{
    s->acked = acked_now(s);
    loop_timer_start(s->timer, s->base.spec->timeout_ms);
}

void stream_drain_ended(struct stream_drain *s, bool clean, enum verdict v, int64_t retry_after_ms,
                        const struct err *e)
{
    if (clean)
        drain_disconnected(&s->base, true, e);
    else
        drain_disconnected_for(&s->base, v, retry_after_ms, e);
    if (s->closing && !s->base.closed)
        drain_closed(&s->base);
}
