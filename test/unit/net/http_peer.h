/*
 * A scriptable HTTP/1 server on a raw socket, on the test's own loop: its answer depends on the
 * path. It reads whole requests (headers, then Content-Length bytes) and breaks the protocol as the
 * script says.
 */
#ifndef TEST_HTTP_PEER_H
#define TEST_HTTP_PEER_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "loop/loop.h"

enum peer_then {
    PEER_KEEP = 0, /* wait for the next request */
    PEER_CLOSE,
    PEER_RESET,
    PEER_ENDLESS, /* repeat <bytes> for ever (after <head>) */
    PEER_EARLY    /* answers after the headers, and discards what follows */
};

struct peer_answer {
    const char *path;
    const char *head;  /* sent once, first; may be NULL */
    const char *bytes; /* may be NULL */
    enum peer_then then;
};

struct peer {
    struct loop *loop;
    int fd;
    uint16_t port;
    struct loop_fd *watch;
    struct list conns;
    const struct peer_answer *answers; /* ends with a NULL path */
    unsigned accepted, ended, requests;
    char last[2048]; /* the last request's head */
    size_t last_body;
};

struct peer_conn {
    struct list node;
    struct peer *peer;
    int fd;
    struct loop_fd *watch;
    struct buf in;
    const char *endless;
    bool deaf;
};

static inline void peer_drop(struct peer_conn *pc, bool reset)
{
    struct linger now = {1, 0};

    if (reset)
        (void)setsockopt(pc->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    loop_fd_free(pc->watch);
    close(pc->fd);
    list_del(&pc->node);
    buf_release(&pc->in);
    pc->peer->ended++;
    free(pc);
}

static inline void peer_push(struct peer_conn *pc, const char *bytes)
{
    size_t len = bytes ? strlen(bytes) : 0;

    while (len) {
        ssize_t n = send(pc->fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the client is gone or does not read: small answers always fit */
        bytes += n;
        len -= (size_t)n;
    }
}

/* The row without a path when there is none for <path>. */
static inline const struct peer_answer *peer_find(const struct peer *p, const char *path)
{
    const struct peer_answer *a = p->answers;

    while (a->path && strcmp(a->path, path) != 0)
        a++;
    return a;
}

/* True when the connection is gone. */
static inline bool peer_answer(struct peer_conn *pc, const char *path)
{
    const struct peer_answer *a = peer_find(pc->peer, path);

    if (!a->path) {
        peer_push(pc, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return false;
    }
    peer_push(pc, a->head);
    if (a->then == PEER_ENDLESS) {
        pc->endless = a->bytes;
        loop_fd_set(pc->watch, LOOP_READ | LOOP_WRITE);
        return false;
    }
    peer_push(pc, a->bytes);
    if (a->then != PEER_CLOSE && a->then != PEER_RESET)
        return false;
    peer_drop(pc, a->then == PEER_RESET);
    return true;
}

/* Cuts whole requests off what was read. True when the connection is gone. */
static inline bool peer_requests(struct peer_conn *pc)
{
    struct peer *p = pc->peer;
    const char *end, *length;
    char path[256];
    size_t head, body;

    while (pc->in.len && (end = strstr(pc->in.p, "\r\n\r\n"))) {
        head = (size_t)(end - pc->in.p) + 4;
        length = strstr(pc->in.p, "Content-Length: ");
        body = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
        if (sscanf(pc->in.p, "%*s %255s", path) != 1)
            path[0] = '\0';
        pc->deaf = peer_find(p, path)->then == PEER_EARLY;
        if (pc->in.len < head + body && !pc->deaf)
            return false;
        p->requests++;
        p->last_body = body;
        (void)snprintf(p->last, sizeof(p->last), "%.*s", (int)head, pc->in.p);
        if (pc->deaf)
            buf_clear(&pc->in);
        else
            buf_consume(&pc->in, head + body);
        if (peer_answer(pc, path))
            return true;
    }
    return false;
}

static inline void peer_ready(void *arg, int events, int error)
{
    struct peer_conn *pc = arg;
    char chunk[16384];
    ssize_t n;

    (void)error;
    if ((events & LOOP_WRITE) && pc->endless) {
        for (int i = 0; i < 64; i++)
            peer_push(pc, pc->endless);
    }
    if (!(events & LOOP_READ))
        return;
    while ((n = recv(pc->fd, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0) {
        if (pc->deaf)
            continue;
        if (buf_add(&pc->in, chunk, (size_t)n) < 0)
            BUG("peer: request too large");
        if (peer_requests(pc))
            return;
    }
    if (n == 0 || errno != EAGAIN)
        peer_drop(pc, false);
}

static inline void peer_accept(void *arg, int events, int error)
{
    struct peer *p = arg;
    struct peer_conn *pc;
    int one = 1;
    int fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events, (void)error;
    if (fd < 0)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    pc = xcalloc(1, sizeof(*pc));
    pc->peer = p;
    pc->fd = fd;
    buf_init(&pc->in, 16 * 1024 * 1024);
    pc->watch = loop_fd_create(p->loop, fd, peer_ready, pc, &error);
    loop_fd_set(pc->watch, LOOP_READ);
    list_add_tail(&p->conns, &pc->node);
    p->accepted++;
}

static inline void peer_open(struct peer *p, struct loop *l, const struct peer_answer *answers)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int error;

    memset(p, 0, sizeof(*p));
    p->loop = l;
    p->answers = answers;
    list_init(&p->conns);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(p->fd, 64) < 0 ||
        getsockname(p->fd, (struct sockaddr *)&sa, &len) < 0)
        BUG("peer: does not listen");
    p->port = ntohs(sa.sin_port);
    p->watch = loop_fd_create(l, p->fd, peer_accept, p, &error);
    loop_fd_set(p->watch, LOOP_READ);
}

static inline void peer_stop_listening(struct peer *p)
{
    if (!p->watch)
        return;
    loop_fd_free(p->watch);
    p->watch = NULL;
    close(p->fd);
}

static inline void peer_close(struct peer *p)
{
    while (!list_empty(&p->conns))
        peer_drop(list_entry(p->conns.next, struct peer_conn, node), false);
    peer_stop_listening(p);
}

/* The connection that was accepted last. */
static inline struct peer_conn *peer_newest(struct peer *p)
{
    return list_empty(&p->conns) ? NULL : list_entry(p->conns.prev, struct peer_conn, node);
}

#endif
