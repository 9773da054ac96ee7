/* See envoy.h. A gRPC call is a struct proxy from its headers to its end. */
#include "inputs/envoy.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/log_quota.h"
#include "base/mem.h"
#include "inputs/journals.h"
#include "inputs/syslog_parse.h"
#include "net/grpc_server.h"

#define ELEMENT_MAX 1024

struct envoy_input {
    struct input base;
    const char *name;
    struct grpc_server *server;
    struct journal_source *source;
    struct input_counters counters;
    uint64_t malformed; /* malformed messages */
    struct envoy_decoder decoder;
};

struct proxy {
    struct envoy_input *in;
    struct grpc_call *call;
    struct envoy_proxy id;
    struct buf element; /* the peer's element, for structured data */
    size_t done;        /* entries of the current message that were taken */
    uint64_t dropped;   /* entries whose hostname had no room */
    struct journal_waiter waiter;
    struct journal_safe safe;
};

static const char *const methods[] = {
    "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
    "/envoy.service.accesslog.v2.AccessLogService/StreamAccessLogs",
    NULL,
};

/* ---- calls ---- */

static void room(struct journal_waiter *w)
{
    grpc_call_resume(container_of(w, struct proxy, waiter)->call);
}

static void safe_done(struct journal_safe *s, bool ok)
{
    const struct proxy *p = container_of(s, struct proxy, safe);

    if (ok && p->dropped)
        grpc_call_end(p->call, GRPC_RESOURCE_EXHAUSTED,
                      "some entries were dropped for want of room");
    else if (ok)
        grpc_call_end(p->call, GRPC_OK, "");
    else
        grpc_call_end(p->call, GRPC_UNAVAILABLE, "the records cannot be written now");
}

static void begin(void *arg, struct grpc_call *c)
{
    struct proxy *p = xcalloc(1, sizeof(*p));

    p->in = arg;
    p->call = c;
    envoy_proxy_init(&p->id);
    list_init(&p->waiter.node);
    p->waiter.room = room;
    list_init(&p->safe.node);
    p->safe.done = safe_done;
    buf_init(&p->element, ELEMENT_MAX);
    if (!p->in->source->anonymous &&
        syslog_peer_element(&p->element, grpc_call_peer(c), str_of(grpc_call_certificate(c))) < 0)
        BUG("envoy: an address and a name do not fit");
    grpc_call_set_data(c, p);
}

static void gone(void *arg, struct grpc_call *c)
{
    struct proxy *p = grpc_call_data(c);

    (void)arg;
    journal_wait_cancel(&p->waiter);
    journal_safe_cancel(&p->safe);
    envoy_proxy_release(&p->id);
    buf_release(&p->element);
    free(p);
}

static void end(void *arg, struct grpc_call *c)
{
    const struct envoy_input *in = arg;
    struct proxy *p = grpc_call_data(c);

    journals_when_safe(in->base.env->journals, &p->safe);
}

/* ---- messages ---- */

static enum grpc_taken refuse(struct proxy *p, enum envoy_opened why)
{
    struct envoy_input *in = p->in;

    in->malformed++;
    if (why == ENVOY_TOO_LARGE)
        grpc_call_end(p->call, GRPC_RESOURCE_EXHAUSTED, "a message takes too much memory to read");
    else
        grpc_call_end(p->call, GRPC_INVALID_ARGUMENT, "a message is no StreamAccessLogsMessage");
    return GRPC_ENDED;
}

/* Skips an entry without a workload, or a malformed one. The others are taken. */
static void skip_entry(struct proxy *p, const char *why)
{
    struct envoy_input *in = p->in;

    in->counters.unparsed++;
    log_warn_for(LOG_BY_SENDER(grpc_call_peer(p->call)), "access log entry skipped",
                 KV_CSTR("input", in->name), KV_STR("peer", grpc_call_peer(p->call)),
                 KV_CSTR("reason", why));
}

/* One hostname's journal is full because its drain is down. The stream carries entries of many
 * hostnames, and Envoy drops what it cannot send: waiting for one would cost all of them. */
static void drop(struct proxy *p, struct str hostname)
{
    struct envoy_input *in = p->in;

    in->counters.dropped_full++;
    p->dropped++;
    log_warn_for(LOG_BY_HOSTNAME(hostname), "access log entry dropped", KV_CSTR("input", in->name),
                 KV_STR("hostname", hostname), KV_CSTR("reason", "JOURNAL_HOST_BYTES_MAX"));
}

/* False: no room. */
static bool take(struct proxy *p, const struct envoy_message *m, size_t i)
{
    struct envoy_input *in = p->in;
    struct journal_entry e;

    switch (envoy_entry(&in->decoder, m, i, &p->id, &e)) {
    case ENVOY_OPENED:
        break;
    case ENVOY_MALFORMED:
        skip_entry(p, "it is no entry");
        return true;
    case ENVOY_TOO_LARGE:
        skip_entry(p, "it takes too much memory to read");
        return true;
    }
    if (!e.hostname.len) {
        skip_entry(p, "neither its cluster nor its node says whose it is");
        return true;
    }
    e.syslog.sd = buf_str(&p->element);
    e.sender = grpc_call_peer(p->call);
    if (journals_append(in->base.env->journals, in->source, &e) != JOURNAL_FULL)
        return true;
    if (journals_full(in->base.env->journals, &e))
        return false;
    drop(p, e.hostname);
    return true;
}

static enum grpc_taken message(void *arg, struct grpc_call *c, struct str bytes)
{
    struct envoy_input *in = arg;
    struct proxy *p = grpc_call_data(c);
    struct envoy_message m;
    enum envoy_opened rc = envoy_open(&in->decoder, bytes, &p->id, &m);
    enum grpc_taken taken = GRPC_TAKEN;

    if (rc != ENVOY_OPENED) {
        taken = refuse(p, rc);
    } else {
        for (; p->done < m.n && taken == GRPC_TAKEN; p->done += taken == GRPC_TAKEN)
            if (!take(p, &m, p->done))
                taken = GRPC_WAIT;
    }
    envoy_done(&in->decoder);
    if (taken == GRPC_WAIT) {
        in->counters.stalled++;
        journals_wait(in->base.env->journals, &p->waiter);
    } else if (taken == GRPC_TAKEN) {
        p->done = 0;
    }
    return taken;
}

static const struct grpc_service service = {
    .methods = methods, .begin = begin, .message = message, .end = end, .gone = gone};

/* ---- the member ---- */

static struct envoy_input *input_of(const struct input *base)
{
    return container_of((struct input *)(uintptr_t)base, struct envoy_input, base);
}

static const struct input_counters *counters(const struct input *base)
{
    struct envoy_input *in = input_of(base);
    struct grpc_server_stats s;

    grpc_server_stats(in->server, &s);
    in->counters.connections = s.connections;
    in->counters.accepted = s.accepted;
    in->counters.refused_connections = s.refused_connections;
    in->counters.failed = s.failed + in->malformed;
    in->counters.framing = s.framing + in->malformed;
    return &in->counters;
}

static uint16_t port(const struct input *base)
{
    return grpc_server_port(input_of(base)->server);
}

static void close_input(struct input *base)
{
    struct envoy_input *in = input_of(base);

    grpc_server_free(in->server);
    journal_source_close(in->source);
    envoy_decoder_release(&in->decoder);
    free(in);
}

static const struct input_ops envoy_ops = {
    .name = "envoy", .close = close_input, .counters = counters, .port = port};

struct input *input_envoy_open(const struct input_env *env, const struct envoy_config *cfg,
                               struct err *e)
{
    struct envoy_input *in = xcalloc(1, sizeof(*in));
    const struct grpc_server_config gc = {.name = cfg->name,
                                          .address = cfg->address,
                                          .port = cfg->port,
                                          .tls = cfg->tls,
                                          .service = &service,
                                          .arg = in};

    in->base = (struct input){&envoy_ops, env};
    in->name = cfg->name;
    envoy_decoder_init(&in->decoder, cfg->format, cfg->akkeris, cfg->max_line);
    in->source = journal_source_open(env->journals, cfg->name, &in->counters, e);
    if (in->source)
        in->server = grpc_server_create(env->loop, &gc, e);
    if (in->server)
        return &in->base;
    close_input(&in->base);
    return NULL;
}
