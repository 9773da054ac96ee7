/* See syslog_datagrams.h. */
#include "inputs/syslog_datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define ROUNDS 8         /* of recvmmsg in one turn of the loop */
#define LAST_ROUNDS 2048 /* ... when it is closed; a flood over UDP may not end */
#define ELEMENT_MAX 256

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

static void take(struct datagrams *d, struct str datagram, const struct msghdr *m)
{
    struct str msg = message_of(datagram);
    struct journal_entry *e = &d->entry;
    enum syslog_form form;

    if (!msg.len)
        return;
    d->set_peer(d, m);
    form = syslog_parse(&d->parser, str_head(msg, d->max_line), &d->peer, e);
    e->cut |= msg.len > d->max_line || (m->msg_flags & MSG_TRUNC);
    e->forgeable = d->forgeable;
    if (journals_append(d->base.env->journals, d->source, e) == JOURNAL_FULL)
        d->counters.dropped_full++;
    d->counters.unparsed += form == SYSLOG_UNPARSED;
}

static void expect(struct datagrams *d, unsigned i)
{
    struct msghdr *m = &d->msgs[i].msg_hdr;

    m->msg_namelen = sizeof(d->from[i]);
    m->msg_controllen = sizeof(d->control[i]);
}

/* False: the kernel had no more. */
static bool receive(struct datagrams *d)
{
    int n = recvmmsg(d->fd, d->msgs, DATAGRAMS_AT_ONCE, MSG_DONTWAIT, NULL);
    size_t bytes = 0;

    for (int i = 0; i < n; i++) {
        take(d, str_make(d->iov[i].iov_base, d->msgs[i].msg_len), &d->msgs[i].msg_hdr);
        bytes += d->msgs[i].msg_len;
        expect(d, (unsigned)i);
    }
    return n == DATAGRAMS_AT_ONCE && bytes; /* after a shutdown, all that follow are empty */
}

static void ready(void *arg, int events, int error)
{
    struct datagrams *d = arg;

    (void)events;
    syslog_parser_set_now(&d->parser, clock_wall_ns() / 1000000000);
    for (int round = 0; round < ROUNDS && receive(d); round++)
        ;
    if (error)
        loop_fd_set(d->watch, LOOP_READ); /* this read an ICMP error; there is no connection */
}

int datagrams_init(struct datagrams *d, const struct input_env *env,
                   const struct syslog_config *cfg, size_t most, struct err *e)
{
    d->base.env = env;
    d->fd = -1;
    d->max_line = cfg->max_line;
    d->bytes = xmalloc(DATAGRAMS_AT_ONCE * most);
    buf_init(&d->element, ELEMENT_MAX);
    syslog_parser_init(&d->parser);
    for (unsigned i = 0; i < DATAGRAMS_AT_ONCE; i++) {
        d->iov[i] = (struct iovec){d->bytes + i * most, most};
        d->msgs[i].msg_hdr = (struct msghdr){.msg_name = &d->from[i],
                                             .msg_iov = &d->iov[i],
                                             .msg_iovlen = 1,
                                             .msg_control = d->control[i]};
        expect(d, i);
    }
    d->source = journal_source_open(env->journals, cfg->name, &d->counters, e);
    return d->source ? 0 : -1;
}

/* Takes what the kernel has received. It receives no more for a Unix socket, so that what send()
 * accepted is taken. */
static void finish(struct datagrams *d)
{
    if (d->fd >= 0)
        (void)shutdown(d->fd, SHUT_RD);
    for (int round = 0; d->fd >= 0 && round < LAST_ROUNDS && receive(d); round++)
        ;
    loop_fd_free(d->watch);
    if (d->fd >= 0)
        (void)close(d->fd); /* only read from */
    d->watch = NULL;
    d->fd = -1;
}

int datagrams_receive(struct datagrams *d, int fd, struct err *e)
{
    int error = 0;
    struct loop_fd *watch = loop_fd_create(d->base.env->loop, fd, ready, d, &error);

    if (!watch) {
        (void)close(fd); /* nothing was read */
        return err_sys(e, error, "cannot watch the socket");
    }
    finish(d);
    d->fd = fd;
    d->watch = watch;
    loop_fd_set(watch, LOOP_READ);
    return 0;
}

void datagrams_release(struct datagrams *d)
{
    finish(d);
    journal_source_close(d->source);
    syslog_parser_release(&d->parser);
    buf_release(&d->element);
    free(d->bytes);
}
