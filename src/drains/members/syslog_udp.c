/*
 * syslog+udp, syslog: one datagram for each record (RFC 5426); gelf+udp the same, without chunks.
 * Best effort: what the kernel took counts as sent. The format writes the body octet-counted, so
 * that the bounds of a datagram are known whatever it holds.
 *
 * A refusal (ECONNREFUSED, from an ICMP answer) says that an earlier datagram is lost: it is
 * counted, and the drain backs off, because the log file keeps the rest. While the drain is
 * failing, a batch is only a probe: it counts as sent when no refusal arrives within PROBE_MS. Else
 * it is sent again later, and nothing of it is lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "drains/core/drain.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"
#include "net/conn.h"

#define BURST 32         /* datagrams of one sendmmsg */
#define RESOLVE_MS 60000 /* how often the name is resolved again */
#define PROBE_MS 250
#define FULL_MS 10 /* before the next try when the device's queue is full */

struct drain_udp {
    struct drain base;
    struct dns_query *query;
    int fd; /* connected socket; -1 = closed */
    struct loop_fd *watch;
    uint64_t resolved_ms;
    uint64_t asked_ms;   /* when the egress policy was last asked */
    struct batch *batch; /* waits for a writable socket, or for a refusal */
    size_t off;
    struct loop_timer *timer; /* ... for as long as this runs */
};

static struct drain_udp *udp_of(struct drain *d)
{
    if (d->ops != drain_syslog_udp.ops)
        BUG("drain: '%s' taken for 'syslog_udp'", d->ops->name);
    return container_of(d, struct drain_udp, base);
}

static void disconnect(struct drain_udp *u)
{
    dns_cancel(u->query);
    u->query = NULL;
    loop_timer_stop(u->timer);
    loop_fd_free(u->watch);
    u->watch = NULL;
    if (u->fd >= 0)
        (void)close(u->fd); /* datagrams: nothing is pending in it */
    u->fd = -1;
}

/* ---- opening ---- */

static void ready(void *arg, int events, int error);

static int connect_to(struct drain_udp *u, const struct sockaddr_storage *a, struct err *e)
{
    const struct sockaddr *sa = (const struct sockaddr *)a;
    const struct egress *egress = drain_egress(&u->base);
    socklen_t len =
        sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    int error = 0;

    if (egress && egress->check(egress, sa, e) < 0)
        return err_wrap(e, "connect");
    u->fd = loop_socket(worker_loop(u->base.worker), sa->sa_family, SOCK_DGRAM, 0);
    if (u->fd < 0)
        return err_sys(e, errno, "socket");
    if (connect(u->fd, sa, len) < 0) {
        (void)err_sys(e, errno, "connect");
        goto fail;
    }
    u->watch = loop_fd_create(worker_loop(u->base.worker), u->fd, ready, u, &error);
    if (u->watch)
        return 0;
    (void)err_sys(e, error, "watch");
fail:
    (void)close(u->fd);
    u->fd = -1;
    return -1;
}

/* Connects to the first address that works. */
static int connect_first(struct drain_udp *u, const struct dns_addrs *addrs, struct err *e)
{
    for (unsigned i = 0; i < addrs->len; i++)
        if (connect_to(u, &addrs->list[i], e) == 0) {
            u->resolved_ms = u->asked_ms = loop_now(worker_loop(u->base.worker));
            return 0;
        }
    return -1;
}

static void resolved(void *arg, const struct dns_addrs *addrs, const struct err *why)
{
    struct drain_udp *u = arg;
    struct err e = {0};

    u->query = NULL;
    if (!addrs)
        drain_disconnected(&u->base, false, why);
    else if (connect_first(u, addrs, &e) < 0)
        drain_disconnected(&u->base, false, &e);
    else
        drain_opened(&u->base);
}

/* The name was resolved again while the socket is in use: switches to the new address, if there is
 * one. */
static void refreshed(void *arg, const struct dns_addrs *addrs, const struct err *why)
{
    struct drain_udp *u = arg;
    struct err e = {0};

    (void)why; /* keep the old address */
    u->query = NULL;
    u->resolved_ms = loop_now(worker_loop(u->base.worker));
    if (!addrs || u->batch || u->fd < 0)
        return;
    disconnect(u);
    if (connect_first(u, addrs, &e) < 0)
        drain_disconnected(&u->base, false, &e);
}

static void udp_open(struct drain *d)
{
    struct drain_udp *u = udp_of(d);

    disconnect(u);
    u->query = dns_resolve(worker_dns(d->worker), d->spec->url.host, d->spec->port, resolved, u);
}

/* ---- sending ---- */

/* Sends up to BURST datagrams. 0 = made progress, else errno. */
static int send_burst(struct drain_udp *u)
{
    struct str rest = str_skip(buf_str(&u->batch->body), u->off);
    struct mmsghdr msgs[BURST];
    struct iovec iov[BURST];
    size_t ends[BURST];
    unsigned n = 0;
    int sent;

    while (n < BURST && rest.len) {
        struct str f = format_next_frame(&rest);

        iov[n] = (struct iovec){(void *)(uintptr_t)f.p, f.len};
        msgs[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[n], .msg_iovlen = 1}};
        ends[n++] = u->batch->body.len - rest.len;
    }
    sent = sendmmsg(u->fd, msgs, n, MSG_NOSIGNAL);
    if (sent > 0) {
        u->off = ends[sent - 1];
        return 0;
    }
    if (errno == EMSGSIZE) { /* larger than the path's MTU allows: it can never be sent */
        u->base.counters.lost_known++;
        u->off = ends[0];
        return 0;
    }
    return errno;
}

static void settle(struct drain_udp *u, enum verdict v)
{
    struct batch *b = u->batch;

    u->batch = NULL;
    loop_timer_stop(u->timer);
    if (u->watch)
        loop_fd_set(u->watch, 0);
    drain_settle(&u->base, b, v);
}

static void failed(struct drain_udp *u, int error)
{
    /* Nothing of this batch is lost: it is sent again. */
    u->base.counters.lost_known += error == ECONNREFUSED && u->off == 0;
    (void)err_sys(&u->batch->err, error, "send");
    settle(u, VERDICT_RETRY);
}

static void push(struct drain_udp *u)
{
    while (u->off < u->batch->body.len) {
        int error = send_burst(u);

        if (error == 0 || error == EINTR)
            continue;
        if (error == EAGAIN)
            loop_fd_set(u->watch, LOOP_WRITE);
        else if (error == ENOBUFS)
            loop_timer_start(u->timer, FULL_MS); /* the socket stays writable meanwhile */
        else
            failed(u, error);
        return;
    }
    if (!u->base.failing) {
        settle(u, VERDICT_DELIVERED);
        return;
    }
    loop_fd_set(u->watch, LOOP_READ); /* to see a refusal */
    loop_timer_start(u->timer, PROBE_MS);
}

static void timer_fired(void *arg)
{
    struct drain_udp *u = arg;

    if (u->off < u->batch->body.len)
        push(u);
    else
        settle(u, VERDICT_DELIVERED);
}

static void ready(void *arg, int events, int error)
{
    struct drain_udp *u = arg;
    char ignored[64];
    socklen_t len = sizeof(error);

    if (!u->batch)
        return;
    if (u->off < u->batch->body.len) {
        push(u); /* returns the refusal again */
    } else if (error) {
        if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || !error)
            error = ECONNREFUSED;
        failed(u, error);
    } else if (events & LOOP_READ) {
        (void)recv(u->fd, ignored, sizeof(ignored),
                   MSG_DONTWAIT); /* throws away what nobody asked for */
    }
}

static void udp_send(struct drain *d, struct batch *b)
{
    struct drain_udp *u = udp_of(d);
    uint64_t age = loop_now(worker_loop(d->worker)) - u->resolved_ms;

    if (age > RESOLVE_MS && !u->query)
        u->query =
            dns_resolve(worker_dns(d->worker), d->spec->url.host, d->spec->port, refreshed, u);
    u->batch = b;
    u->off = 0;
    if (egress_check_peer(drain_egress(d), u->fd, loop_now(worker_loop(d->worker)), &u->asked_ms,
                          &b->err) < 0) {
        (void)err_wrap(&b->err, "send");
        settle(u, VERDICT_RETRY);
    } else {
        push(u);
    }
}

/* ---- create, close, free ---- */

static struct drain *udp_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_udp *u = xcalloc(1, sizeof *u);

    (void)e;
    drain_init(&u->base, drain_syslog_udp.ops, wk, spec);
    u->fd = -1;
    u->timer = loop_timer_create(worker_loop(wk), timer_fired, u);
    return &u->base;
}

static void udp_close(struct drain *d, bool flush)
{
    struct drain_udp *u = udp_of(d);

    (void)flush; /* what the kernel took is being sent */
    if (d->closed)
        return;
    if (u->batch) {
        (void)err_set(&u->batch->err, ECANCELED, "stopping");
        settle(u, VERDICT_OFFLINE);
    }
    disconnect(u);
    drain_closed(d);
}

static void udp_free(struct drain *d)
{
    struct drain_udp *u = udp_of(d);

    disconnect(u);
    loop_timer_free(u->timer);
    drain_release(d);
    free(u);
}

static const struct drain_ops ops = {
    .name = "syslog_udp",
    .create = udp_create,
    .open = udp_open,
    .send = udp_send,
    .close = udp_close,
    .free = udp_free,
};

#define UDP(more, port_, format_)                                                                  \
    .member = &drain_syslog_udp, .port = (port_), .flags = DRAIN_UDP | (more),                     \
    .promise = PROMISE_BEST_EFFORT, .format = (format_), .framing = FRAMING_NONE

static const struct drain_scheme schemes[] = {
    {.name = "syslog+udp", UDP(0, 514, FORMAT_RFC5424), .sends = "RFC 5424, a datagram each"},
    {.name = "syslog", UDP(0, 514, FORMAT_RFC5424)},
    {.name = "gelf+udp",
     UDP(DRAIN_ONE_FORMAT, 12201, FORMAT_GELF),
     .sends = "GELF, a datagram each, cut at `max=` (no chunks)",
     .aliases = "graylog"},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->format.max = s->format.format == FORMAT_GELF ? GELF_UDP_MAX_DEFAULT : UDP_MAX_DEFAULT;
}

const struct drain_member drain_syslog_udp = {
    .ops = &ops,
    .schemes = schemes,
    .defaults = "max=1024 (gelf+udp: 8192)",
    .set_defaults = set_defaults,
};
