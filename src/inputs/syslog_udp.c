/*
 * syslog over UDP (RFC 5426). The kernel's buffer is made as large as allowed, because UDP has no
 * backpressure; what the kernel drops is counted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "inputs/syslog_datagrams.h"
#include "net/listener.h"

#define DATAGRAM 65536

struct udp_input {
    struct datagrams d;
    uint16_t port;
    struct sockaddr_storage last; /* address of the peer */
    char address[LISTENER_PEER_SIZE];
    uint32_t dropped; /* by the kernel, at the last check */
};

static struct udp_input *udp_of(const struct input *base)
{
    return container_of((struct input *)(uintptr_t)base, struct udp_input, d.base);
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)(const void *)a;
    const struct sockaddr_in6 *y = (const struct sockaddr_in6 *)(const void *)b;

    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET6)
        return memcmp(&x->sin6_addr, &y->sin6_addr, sizeof(x->sin6_addr)) == 0;
    return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
}

static void set_peer(struct datagrams *d, const struct msghdr *m)
{
    struct udp_input *in = container_of(d, struct udp_input, d);
    const struct sockaddr_storage *from = m->msg_name;

    if (d->peer.address.len && same_host(&in->last, from))
        return;
    in->last = *from;
    listener_address((const struct sockaddr *)from, in->address);
    buf_clear(&d->element);
    if (!d->source->anonymous)
        (void)syslog_peer_element(&d->element, str_of(in->address), STR("")); /* it has room */
    d->peer = (struct syslog_peer){str_of(in->address), buf_str(&d->element), d->source->trusted};
}

/* The kernel's drop counter of this socket, modulo 2^32, is read on request. Reporting it with each
 * datagram (SO_RXQ_OVFL) would cost something each time. */
static const struct input_counters *counters(const struct input *base)
{
    struct udp_input *in = udp_of(base);
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(in->d.fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0) {
        in->d.counters.dropped_kernel += info[SK_MEMINFO_DROPS] - in->dropped;
        in->dropped = info[SK_MEMINFO_DROPS];
    }
    return &in->d.counters;
}

static uint16_t port(const struct input *base)
{
    return udp_of(base)->port;
}

static void close_input(struct input *base)
{
    struct udp_input *in = udp_of(base);

    datagrams_release(&in->d);
    free(in);
}

static const struct input_ops udp_ops = {
    .name = "syslog_udp", .close = close_input, .counters = counters, .port = port};

static int open_socket(const struct syslog_config *cfg, struct err *e)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(cfg->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(cfg->port)};
    char text[INET6_ADDRSTRLEN] = "";
    int size = SYSLOG_UDP_BUFFER_BYTES, zero = 0;
    bool is_v4;
    int fd;

    memcpy(text, cfg->address.p, cfg->address.len < sizeof(text) ? cfg->address.len : 0);
    is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    if (!is_v4 && *text && inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        return err_set(e, EINVAL, "%s: '%s' is not an address to listen on", cfg->name, text);
    fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 && errno == EAFNOSUPPORT && !*text) {
        is_v4 = true;
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (fd < 0)
        return err_sys(e, errno, "%s: socket", cfg->name);
    if (!is_v4)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)); /* net.core.rmem_max */
    if (bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
             is_v4 ? sizeof(v4) : sizeof(v6)) == 0)
        return fd;
    (void)err_sys(e, errno, "%s: listen on port %u", cfg->name, cfg->port);
    (void)close(fd); /* nothing was received */
    return -1;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_in6 sa;
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    return ntohs(sa.sin6_port); /* at the same place in sockaddr_in */
}

struct input *input_syslog_udp_open(const struct input_env *env, const struct syslog_config *cfg,
                                    struct err *e)
{
    struct udp_input *in = xcalloc(1, sizeof(*in));
    int fd = -1;

    in->d.base.ops = &udp_ops;
    in->d.set_peer = set_peer;
    in->d.forgeable = true;
    if (datagrams_init(&in->d, env, cfg, DATAGRAM, e) == 0)
        fd = open_socket(cfg, e);
    if (fd >= 0)
        in->port = bound_port(fd);
    if (fd >= 0 && datagrams_receive(&in->d, fd, e) == 0)
        return &in->d.base;
    close_input(&in->d.base);
    return NULL;
}
