/* See grpc_server.h: accepting, the time, and the end. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/grpc_internal.h"

#define READ_SIZE (64 * 1024)
#define READS_PER_TURN 4
#define READ_ALL (1024 * 1024) /* of a client whose connection we close */

/* ---- connections end ---- */

static void conn_free(struct grpc_conn *c)
{
    list_del(&c->node);
    loop_task_cancel(&c->work);
    accepted_free(c->io);
    grpc_session_free(c);
    free(c);
}

static void reap_run(struct loop_task *t)
{
    struct grpc_server *s = container_of(t, struct grpc_server, reap);

    while (!list_empty(&s->closed))
        conn_free(list_entry(s->closed.next, struct grpc_conn, node));
}

/* Unlinks it at once; it is freed at the end of the turn. */
static void conn_close(struct grpc_conn *c)
{
    struct grpc_server *s = c->server;

    if (c->closed)
        return;
    c->closed = true;
    while (!list_empty(&c->calls))
        grpc_call_free(list_entry(c->calls.next, struct grpc_call, node));
    accepted_pause(c->io, true);
    accepted_want_write(c->io, false);
    places_leave(&s->places, &c->place);
    s->stats.connections--;
    list_del(&c->node);
    list_add_tail(&s->closed, &c->node);
    loop_task_post(s->loop, &s->reap);
}

/* ---- the time ---- */

/* True when the deadline that began at <since> has passed; *more when it is still pending. */
static bool is_late(const struct grpc_server *s, uint64_t since, bool *more)
{
    if (since && loop_now(s->loop) >= since + INPUT_SLOW_MS)
        return true;
    *more |= since != 0;
    return false;
}

static void look_at_calls(struct grpc_conn *c, bool *more)
{
    list_for_each_safe (it, &c->calls) {
        struct grpc_call *call = list_entry(it, struct grpc_call, node);

        if (!is_late(c->server, call->pending_since, more))
            continue;
        grpc_call_fail(call, GRPC_DEADLINE_EXCEEDED, "a message took too long to get whole");
        loop_task_post(c->server->loop, &c->work);
    }
}

static void sweep_fired(void *arg)
{
    struct grpc_server *s = arg;
    bool more = false;

    list_for_each_safe (it, &s->conns) {
        struct grpc_conn *c = list_entry(it, struct grpc_conn, node);

        if (c->broken ? loop_now(s->loop) >= c->pending_since + GRPC_CLOSE_MS
                      : c->out.len && is_late(s, c->pending_since, &more)) {
            conn_close(c); /* it has had time to read why */
        } else if (c->broken) {
            more = true;
        } else if (is_late(s, c->pending_since, &more)) {
            if (!c->used)
                grpc_conn_broken(c, "it was too slow");
            c->broken = true;
            c->pending_since = loop_now(s->loop) + 1;
            more = true;
            (void)nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
            loop_task_post(s->loop, &c->work);
        } else {
            look_at_calls(c, &more);
        }
    }
    if (more)
        grpc_watch_time(s);
}

/* ---- connections ---- */

static void work_run(struct loop_task *t)
{
    grpc_session_write(container_of(t, struct grpc_conn, work));
}

static void readable(void *arg)
{
    struct grpc_conn *c = arg;
    struct grpc_server *s = c->server;
    size_t n = READ_SIZE;

    for (int i = 0; i < READS_PER_TURN && n == READ_SIZE && !c->closed && !c->out.len; i++) {
        n = accepted_read(c->io, s->chunk, READ_SIZE);
        if (n && !c->broken) /* otherwise discarded, so that the peer gets to the GOAWAY */
            grpc_session_read(c, s->chunk, n);
        grpc_session_write(c);
    }
}

static void writable(void *arg)
{
    grpc_session_write(arg);
}

static void secured(void *arg)
{
    struct grpc_conn *c = arg;

    accepted_certificate(c->io, c->cert, sizeof(c->cert));
    grpc_session_write(c);
}

static void ended(void *arg, const struct err *e)
{
    struct grpc_conn *c = arg;

    if (c->closed)
        return;
    if (e->code) {
        c->server->stats.failed++;
        grpc_log_error(c, e->text);
    }
    conn_close(c);
}

static const struct accepted_ops conn_ops = {
    .readable = readable, .secured = secured, .writable = writable, .ended = ended};

/* It has not sent a message yet. */
static void evict(struct place *p)
{
    struct grpc_conn *c = container_of(p, struct grpc_conn, place);

    c->server->stats.failed++;
    grpc_log_error(c, "evicted for another connection");
    conn_close(c);
}

static void refuse(struct grpc_conn *c, int fd)
{
    struct grpc_server *s = c->server;

    s->stats.refused_connections++;
    log_warn_for(LOG_BY_SENDER(str_of(c->address)), "connection refused", KV_CSTR("input", s->name),
                 KV_CSTR("peer", c->address),
                 KV_CSTR("reason", s->places.n < INPUT_CONNECTIONS_MAX ? "too many of one address"
                                                                       : "too many at all"));
    (void)close(fd); /* nothing was read or written */
    free(c);
}

void grpc_server_accept(struct grpc_server *s, int fd)
{
    struct grpc_conn *c = xcalloc(1, sizeof(*c));

    c->server = s;
    if (!places_enter(&s->places, &c->place, fd, c->address)) {
        refuse(c, fd);
        return;
    }
    list_init(&c->calls);
    list_add_tail(&s->conns, &c->node);
    loop_task_init(&c->work, work_run);
    s->stats.connections++;
    s->stats.accepted++;
    c->io = accepted_create(s->loop, fd, s->tls, &conn_ops, c);
    if (!c->io || grpc_session_open(c) < 0) {
        s->stats.failed++;
        s->stats.connections--;
        places_leave(&s->places, &c->place);
        conn_free(c);
        return;
    }
    grpc_conn_pending(c);
    if (!s->tls)                           /* otherwise when the handshake is done */
        loop_task_post(s->loop, &c->work); /* our SETTINGS */
}

static void accepted(void *arg, int fd)
{
    grpc_server_accept(arg, fd);
}

/* ---- the server ---- */

struct grpc_server *grpc_server_create(struct loop *l, const struct grpc_server_config *cfg,
                                       struct err *e)
{
    struct grpc_server *s = xcalloc(1, sizeof(*s));

    s->loop = l;
    s->name = cfg->name;
    s->service = cfg->service;
    s->arg = cfg->arg;
    s->chunk = xmalloc(READ_SIZE);
    list_init(&s->conns);
    list_init(&s->closed);
    places_init(&s->places, INPUT_CONNECTIONS_MAX, INPUT_CONNECTIONS_PER_PEER, 0, evict);
    loop_task_init(&s->reap, reap_run);
    s->sweep = loop_timer_create(l, sweep_fired, s);
    if (grpc_session_init(s) < 0) {
        (void)err_set(e, ENOMEM, "grpc: no memory");
        goto fail;
    }
    if (cfg->tls && !(s->tls = tls_server_create(cfg->tls, e)))
        goto fail;
    s->listener = listener_create(l, cfg->name, cfg->address, cfg->port, accepted, s, e);
    if (s->listener)
        return s;
fail:
    grpc_server_free(s);
    return NULL;
}

uint16_t grpc_server_port(const struct grpc_server *s)
{
    return listener_port(s->listener);
}

void grpc_server_stats(const struct grpc_server *s, struct grpc_server_stats *out)
{
    *out = s->stats;
}

static void send_close(struct grpc_conn *c)
{
    list_for_each_safe (it, &c->calls) {
        struct grpc_call *call = list_entry(it, struct grpc_call, node);

        if (!call->answered)
            grpc_call_end(call, GRPC_UNAVAILABLE, "stopping");
    }
    grpc_session_write(c); /* a terminated session writes only that */
    if (!c->closed)
        (void)nghttp2_session_terminate_session(c->session, NGHTTP2_NO_ERROR);
    grpc_session_write(c);
    for (size_t n = 1, total = 0; n && total < READ_ALL;
         total += n) /* unread bytes would cause a reset */
        n = accepted_read(c->io, c->server->chunk, READ_SIZE);
    conn_close(c);
}

void grpc_server_free(struct grpc_server *s)
{
    if (!s)
        return;
    listener_free(s->listener);
    while (!list_empty(&s->conns))
        send_close(list_entry(s->conns.next, struct grpc_conn, node));
    loop_task_cancel(&s->reap);
    reap_run(&s->reap);
    loop_timer_free(s->sweep);
    tls_server_free(s->tls);
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->options);
    places_release(&s->places);
    free(s->chunk);
    free(s);
}
