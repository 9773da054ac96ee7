/* See accepted.h. */
#include "net/accepted.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/tls.h"

struct accepted {
    struct loop *loop;
    int fd;
    SSL *ssl; /* NULL = plain */
    bool secured;
    bool paused;
    bool over; /* the connection has ended; the task calls <ended> */
    bool sent_close;
    bool wants_write; /* TLS must write before it can continue reading */
    bool writing;     /* the owner waits for room to write */
    bool write_reads; /* TLS must read before it can continue writing */
    struct err why;
    struct loop_fd *watch;
    struct loop_timer *handshake; /* handshake deadline; NULL = plain, or done */
    struct loop_task task;        /* reports what accepted_read() found */
    const struct accepted_ops *ops;
    void *arg;
};

static void watch(struct accepted *a)
{
    bool write = a->wants_write || (a->writing && !a->write_reads && (!a->ssl || a->secured));

    loop_fd_set(a->watch, a->over ? 0 : (a->paused ? 0 : LOOP_READ) | (write ? LOOP_WRITE : 0));
}

static void find_end(struct accepted *a)
{
    a->over = true;
    watch(a);
    if (a->handshake)
        loop_timer_stop(a->handshake);
    loop_task_post(a->loop, &a->task);
}

static void tls_ended(struct accepted *a, int ret)
{
    int how = SSL_get_error(a->ssl, ret);

    a->wants_write = how == SSL_ERROR_WANT_WRITE;
    if (how == SSL_ERROR_WANT_READ || how == SSL_ERROR_WANT_WRITE) {
        watch(a);
        return;
    }
    if (how == SSL_ERROR_SYSCALL && errno)
        (void)err_sys(&a->why, errno, "connection");
    else if (how != SSL_ERROR_ZERO_RETURN)
        tls_error(a->ssl, ret, &a->why);
    ERR_clear_error();
    find_end(a);
}

static void too_slow(void *arg)
{
    struct accepted *a = arg;

    (void)err_set(&a->why, ETIMEDOUT, "the TLS handshake took too long");
    find_end(a);
}

static void run_handshake(struct accepted *a)
{
    int rc;

    ERR_clear_error();
    errno = 0;
    rc = SSL_accept(a->ssl);
    if (rc != 1) {
        tls_ended(a, rc);
        return;
    }
    a->secured = true;
    a->wants_write = false;
    loop_timer_free(a->handshake);
    a->handshake = NULL;
    watch(a);
    if (a->ops->secured)
        a->ops->secured(a->arg);
}

static void task_run(struct loop_task *t)
{
    struct accepted *a = container_of(t, struct accepted, task);

    if (a->over)
        a->ops->ended(a->arg, &a->why);
    else if (!a->paused)
        a->ops->readable(a->arg);
}

static void ready(void *arg, int events, int error)
{
    struct accepted *a = arg;

    (void)error; /* reading gives the cause */
    if (a->ssl && !a->secured) {
        run_handshake(a);
        return;
    }
    if (a->write_reads && (events & LOOP_READ)) {
        a->write_reads = false;
        watch(a);
        events |= LOOP_WRITE;
    }
    if (a->writing && (events & LOOP_WRITE))
        a->ops->writable(a->arg);
    if (!a->over && !a->paused && ((events & LOOP_READ) || a->wants_write))
        a->ops->readable(a->arg);
}

size_t accepted_read(struct accepted *a, void *p, size_t n)
{
    ssize_t k;

    if (a->over || (a->ssl && !a->secured))
        return 0;
    if (a->ssl) {
        int rc;

        ERR_clear_error();
        errno = 0;
        rc = SSL_read(a->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
        if (rc <= 0) {
            tls_ended(a, rc);
            return 0;
        }
        a->wants_write = false;
        if (SSL_has_pending(a->ssl))
            loop_task_post(
                a->loop,
                &a->task); /* the rest is inside OpenSSL: the socket will not become readable */
        return (size_t)rc;
    }
    do
        k = recv(a->fd, p, n, 0);
    while (k < 0 && errno == EINTR);
    if (k > 0)
        return (size_t)k;
    if (k < 0 && errno == EAGAIN) {
        watch(a);
        return 0;
    }
    if (k < 0)
        (void)err_sys(&a->why, errno, "connection");
    find_end(a);
    return 0;
}

static size_t write_tls(struct accepted *a, const void *p, size_t n)
{
    int rc, how;

    ERR_clear_error();
    errno = 0;
    rc = SSL_write(a->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
    if (rc > 0)
        return (size_t)rc;
    how = SSL_get_error(a->ssl, rc);
    a->write_reads = how == SSL_ERROR_WANT_READ; /* part of a KeyUpdate has arrived */
    if (a->write_reads)
        watch(a);
    else if (how != SSL_ERROR_WANT_WRITE)
        tls_ended(a, rc);
    return 0;
}

size_t accepted_write(struct accepted *a, const void *p, size_t n)
{
    ssize_t k;

    if (a->over || !n || (a->ssl && !a->secured))
        return 0;
    if (a->ssl)
        return write_tls(a, p, n);
    do
        k = send(a->fd, p, n, MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    if (k >= 0)
        return (size_t)k;
    if (errno != EAGAIN) {
        (void)err_sys(&a->why, errno, "connection");
        find_end(a);
    }
    return 0;
}

void accepted_want_write(struct accepted *a, bool wanted)
{
    if (a->writing == wanted)
        return;
    a->writing = wanted;
    watch(a);
}

/* Sends close_notify once, if it fits. TLS only. */
static void send_close(struct accepted *a)
{
    if (a->ssl && a->secured && !a->over && !a->sent_close)
        (void)SSL_shutdown(a->ssl);
    a->sent_close = true;
    ERR_clear_error();
}

void accepted_shutdown(struct accepted *a)
{
    if (a->over || a->sent_close)
        return;
    send_close(a);
    (void)shutdown(a->fd, SHUT_WR); /* the peer may be gone */
}

void accepted_pause(struct accepted *a, bool paused)
{
    if (a->paused == paused)
        return;
    a->paused = paused;
    watch(a);
    if (!paused && a->ssl)
        loop_task_post(a->loop, &a->task);
}

void accepted_certificate(const struct accepted *a, char *out, size_t size)
{
    out[0] = '\0';
    if (a->ssl)
        tls_server_peer(a->ssl, out, size);
}

/* A host that vanished is noticed within a minute after half an hour of silence. */
static void keep_alive(int fd)
{
    const int one = 1, idle = 1800, between = 10, count = 6;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof(between));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

struct accepted *accepted_create(struct loop *l, int fd, struct tls_server *tls,
                                 const struct accepted_ops *ops, void *arg)
{
    struct accepted *a = xcalloc(1, sizeof(*a));
    int error;

    *a = (struct accepted){.loop = l, .fd = fd, .ops = ops, .arg = arg};
    loop_task_init(&a->task, task_run);
    keep_alive(fd);
    a->watch = loop_fd_create(l, fd, ready, a, &error);
    if (tls)
        a->ssl = tls_server_accept(tls, loop_now(l));
    if (!a->watch || (tls && (!a->ssl || SSL_set_fd(a->ssl, fd) != 1))) {
        accepted_free(a);
        return NULL;
    }
    if (tls) {
        a->handshake = loop_timer_create(l, too_slow, a);
        loop_timer_start(a->handshake, TLS_HANDSHAKE_MS);
    }
    watch(a);
    return a;
}

void accepted_free(struct accepted *a)
{
    if (!a)
        return;
    loop_task_cancel(&a->task);
    loop_timer_free(a->handshake);
    loop_fd_free(a->watch);
    send_close(a);
    SSL_free(a->ssl);
    ERR_clear_error();
    (void)close(a->fd); /* nothing more can be written */
    free(a);
}
