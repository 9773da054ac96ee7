/*
 * syslog over UDP: one datagram, one message (RFC 5426). Datagrams are received many at a time
 * (recvmmsg), and the kernel's buffer is made as large as allowed, because UDP has no backpressure.
 * What journals have no room for is dropped and counted, and so is what the kernel dropped before.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "inputs/journals.h"
#include "inputs/syslog.h"
#include "inputs/syslog_parse.h"
#include "net/listener.h"

#define DATAGRAM 65536
#define AT_ONCE 32
#define ROUNDS 8 /* of recvmmsg in one turn of the loop */
#define ELEMENT_MAX 256

struct udp_input {
    struct input base;
    int fd;
    uint16_t port;
    struct loop_fd *watch;
    struct journal_source *source;
    struct input_counters counters;
    struct syslog_parser parser;
    struct journal_entry entry;   /* scratch: the parsed message */
    struct sockaddr_storage last; /* address of <peer> */
    struct syslog_peer peer;
    char address[LISTENER_PEER_SIZE];
    struct buf element;
    size_t max_line;
    uint32_t dropped; /* by the kernel, at the last check */
    char *bytes;      /* AT_ONCE x DATAGRAM; unused pages are never allocated */
    struct mmsghdr msgs[AT_ONCE];
    struct iovec iov[AT_ONCE];
    struct sockaddr_storage from[AT_ONCE];
};

static struct udp_input *udp_of(const struct input *base)
{
    return container_of((struct input *)(uintptr_t)base, struct udp_input, base);
}

/* ---- datagrams ---- */

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

static void set_peer(struct udp_input *in, const struct sockaddr_storage *from)
{
    if (in->peer.address.len && same_host(&in->last, from))
        return;
    in->last = *from;
    listener_address((const struct sockaddr *)from, in->address);
    buf_clear(&in->element);
    if (!in->source->anonymous)
        (void)syslog_peer_element(&in->element, str_of(in->address), STR("")); /* it has room */
    in->peer =
        (struct syslog_peer){str_of(in->address), buf_str(&in->element), in->source->trusted};
}

/* Without bytes that some senders put after it, and before it: some count octets over UDP, too. */
static struct str message_of(struct str s)
{
    size_t n = 0;

    while (s.len && (s.p[s.len - 1] == '\n' || s.p[s.len - 1] == '\r' || s.p[s.len - 1] == '\0'))
        s.len--;
    while (n < s.len && n < 5 && (unsigned char)(s.p[n] - '0') <= 9)
        n++;
    if (n && n + 1 < s.len && s.p[n] == ' ' && s.p[n + 1] == '<')
        return str_skip(s, n + 1);
    return s;
}

static void take(struct udp_input *in, struct str datagram, const struct sockaddr_storage *from)
{
    struct str msg = message_of(datagram);
    struct journal_entry *e = &in->entry;
    enum syslog_form form;

    if (!msg.len)
        return;
    set_peer(in, from);
    form = syslog_parse(&in->parser, str_head(msg, in->max_line), &in->peer, e);
    e->cut |= msg.len > in->max_line;
    e->forgeable = true;
    if (journals_append(in->base.env->journals, in->source, e) == JOURNAL_FULL)
        in->counters.dropped_full++;
    in->counters.unparsed += form == SYSLOG_UNPARSED;
}

static void ready(void *arg, int events, int error)
{
    struct udp_input *in = arg;

    (void)events;
    syslog_parser_set_now(&in->parser, clock_wall_ns() / 1000000000);
    for (int round = 0; round < ROUNDS; round++) {
        int n;

        n = recvmmsg(in->fd, in->msgs, AT_ONCE, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            take(in, str_make(in->iov[i].iov_base, in->msgs[i].msg_len), &in->from[i]);
            in->msgs[i].msg_hdr.msg_namelen = sizeof(in->from[i]);
        }
        if (n < AT_ONCE)
            break;
    }
    if (error)
        loop_fd_set(in->watch, LOOP_READ); /* this read an ICMP error; there is no connection */
}

/* ---- the member ---- */

/* The kernel's drop counter of this socket, modulo 2^32, is read on request. Reporting it with each
 * datagram (SO_RXQ_OVFL) would cost something each time. */
static const struct input_counters *counters(const struct input *base)
{
    struct udp_input *in = udp_of(base);
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(in->fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0) {
        in->counters.dropped_kernel += info[SK_MEMINFO_DROPS] - in->dropped;
        in->dropped = info[SK_MEMINFO_DROPS];
    }
    return &in->counters;
}

static uint16_t port(const struct input *base)
{
    return udp_of(base)->port;
}

static void close_input(struct input *base)
{
    struct udp_input *in = udp_of(base);

    if (in->fd >= 0)
        ready(in, LOOP_READ, 0); /* what the kernel has received already */
    loop_fd_free(in->watch);
    if (in->fd >= 0)
        (void)close(in->fd);
    journal_source_close(in->source);
    syslog_parser_release(&in->parser);
    buf_release(&in->element);
    free(in->bytes);
    free(in);
}

static const struct input_ops udp_ops = {
    .name = "syslog_udp", .close = close_input, .counters = counters, .port = port};

static int open_socket(struct udp_input *in, const struct syslog_config *cfg, struct err *e)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(cfg->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(cfg->port)};
    char text[INET6_ADDRSTRLEN] = "";
    int size = SYSLOG_UDP_BUFFER_BYTES, zero = 0;
    bool is_v4;

    memcpy(text, cfg->address.p, cfg->address.len < sizeof(text) ? cfg->address.len : 0);
    is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    if (!is_v4 && *text && inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        return err_set(e, EINVAL, "%s: '%s' is not an address to listen on", cfg->name, text);
    in->fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (in->fd < 0 && errno == EAFNOSUPPORT && !*text) {
        is_v4 = true;
        in->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    }
    if (in->fd < 0)
        return err_sys(e, errno, "%s: socket", cfg->name);
    if (!is_v4)
        (void)setsockopt(in->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if (setsockopt(in->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(in->fd, SOL_SOCKET, SO_RCVBUF, &size,
                         sizeof(size)); /* net.core.rmem_max */
    if (bind(in->fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
             is_v4 ? sizeof(v4) : sizeof(v6)) < 0)
        return err_sys(e, errno, "%s: listen on port %u", cfg->name, cfg->port);
    return 0;
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
    int error = 0;

    in->base = (struct input){&udp_ops, env};
    in->fd = -1;
    in->max_line = cfg->max_line;
    in->bytes = xmalloc((size_t)AT_ONCE * DATAGRAM);
    buf_init(&in->element, ELEMENT_MAX);
    syslog_parser_init(&in->parser);
    for (int i = 0; i < AT_ONCE; i++) {
        in->iov[i] = (struct iovec){in->bytes + (size_t)i * DATAGRAM, DATAGRAM};
        in->msgs[i].msg_hdr = (struct msghdr){.msg_name = &in->from[i],
                                              .msg_namelen = sizeof(in->from[i]),
                                              .msg_iov = &in->iov[i],
                                              .msg_iovlen = 1};
    }
    in->source = journal_source_open(env->journals, cfg->name, &in->counters, e);
    if (!in->source || open_socket(in, cfg, e) < 0)
        goto fail;
    in->port = bound_port(in->fd);
    in->watch = loop_fd_create(env->loop, in->fd, ready, in, &error);
    if (in->watch) {
        loop_fd_set(in->watch, LOOP_READ);
        return &in->base;
    }
    (void)err_sys(e, error, "%s: watch port %u", cfg->name, in->port);
    (void)close(in->fd);
    in->fd = -1;
fail:
    if (in->fd >= 0)
        (void)close(in->fd);
    in->fd = -1;
    close_input(&in->base);
    return NULL;
}
