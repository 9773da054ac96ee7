/*
 * Reports why a port is unavailable. When no file descriptor is left, accept() is retried after a
 * pause, so that the loop does not spin.
 */
#include "net/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define BACKLOG 1024 /* a probe that finds the queue full retries after a second */
#define ACCEPTS_PER_TURN 32
#define PAUSE_MS 500 /* after EMFILE and the like */

struct listener {
    struct loop *loop;
    int fd;
    uint16_t port;
    struct loop_fd *watch;
    struct loop_timer *retry;
    void (*accepted)(void *arg, int fd);
    void *arg;
};

static void watch_again(struct listener *hl)
{
    loop_fd_set(hl->watch, loop_timer_active(hl->retry) ? 0 : LOOP_READ);
}

static void on_retry(void *arg)
{
    watch_again(arg);
}

static void on_ready(void *arg, int events, int error)
{
    struct listener *hl = arg;

    (void)events, (void)error; /* accept4 reports the cause */
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(hl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            hl->accepted(hl->arg, fd);
        } else if (errno == ECONNABORTED || errno == EINTR) {
            continue;
        } else {
            int why = errno;

            if (why != EAGAIN && !loop_make_room(hl->loop, why))
                loop_timer_start(hl->retry, PAUSE_MS);
            break;
        }
    }
    watch_again(hl);
}

static int bound_socket(const struct sockaddr *sa, socklen_t len)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1, zero = 0, error;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (sa->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
    if (bind(fd, sa, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}

static int open_listener(const char *what, struct str address, uint16_t port, struct err *e)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool all = address.len == 0;
    char text[INET6_ADDRSTRLEN] = "";
    bool is_v4;
    int fd = -1;

    if (address.len < sizeof(text) && address.len)
        memcpy(text, address.p, address.len);
    is_v4 = inet_pton(AF_INET, text, &v4.sin_addr) == 1;
    if (!all && !is_v4 && inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        return err_set(e, EINVAL, "%s: '%.*s' is not an address to listen on", what,
                       STR_ARG(address));
    if (!is_v4)
        fd = bound_socket((struct sockaddr *)&v6, sizeof(v6));
    if (is_v4 || (all && fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)))
        fd = bound_socket((struct sockaddr *)&v4, sizeof(v4));
    if (fd < 0)
        return err_sys(e, errno, "%s: listen on port %u", what, port);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 sa;
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return 0;
    return ntohs(sa.sin6_port); /* at the same place in sockaddr_in */
}

struct listener *listener_create(struct loop *l, const char *what, struct str address,
                                 uint16_t port, void (*accepted)(void *arg, int fd), void *arg,
                                 struct err *e)
{
    int fd = open_listener(what, address, port, e);

    return fd < 0 ? NULL : listener_adopt(l, what, fd, accepted, arg, e);
}

struct listener *listener_adopt(struct loop *l, const char *what, int fd,
                                void (*accepted)(void *arg, int fd), void *arg, struct err *e)
{
    struct listener *hl = xcalloc(1, sizeof(*hl));
    int error = 0;

    hl->loop = l;
    hl->fd = fd;
    hl->port = port_of(fd);
    hl->accepted = accepted;
    hl->arg = arg;
    hl->watch = loop_fd_create(l, fd, on_ready, hl, &error);
    if (!hl->watch) {
        (void)err_sys(e, error, "%s: watch port %u", what, hl->port);
        (void)close(fd);
        free(hl);
        return NULL;
    }
    hl->retry = loop_timer_create(l, on_retry, hl);
    watch_again(hl);
    return hl;
}

uint16_t listener_port(const struct listener *hl)
{
    return hl->port;
}

void listener_address(const struct sockaddr *sa, char out[LISTENER_PEER_SIZE])
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sa;
    const char *text = NULL;

    if (sa->sa_family == AF_INET)
        text = inet_ntop(AF_INET, &v4->sin_addr, out, LISTENER_PEER_SIZE);
    else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        text = inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, LISTENER_PEER_SIZE);
    else if (sa->sa_family == AF_INET6)
        text = inet_ntop(AF_INET6, &v6->sin6_addr, out, LISTENER_PEER_SIZE);
    if (!text)
        (void)snprintf(out, LISTENER_PEER_SIZE, "%s",
                       sa->sa_family == AF_UNIX ? "local" : "unknown");
}

void listener_free(struct listener *hl)
{
    if (!hl)
        return;
    loop_fd_free(hl->watch);
    loop_timer_free(hl->retry);
    (void)close(hl->fd);
    free(hl);
}
