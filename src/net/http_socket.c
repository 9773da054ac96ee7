/*
 * The bytes of a connection of the HTTP server, plain or under TLS. The handshake is a part of the
 * first reads, so the time for a head is the time for it, too. OpenSSL is given room for a whole
 * record at each read, so that nothing stays inside it.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/http_session.h"

/* 0: it has to wait. -1: the connection has ended. */
static int tls_waits(struct http_conn *c, int rc)
{
    int how = SSL_get_error(c->ssl, rc);

    ERR_clear_error();
    c->tls_reads = how == SSL_ERROR_WANT_READ;
    c->tls_writes = how == SSL_ERROR_WANT_WRITE;
    return c->tls_reads || c->tls_writes ? 0 : -1;
}

static ssize_t tls_done(struct http_conn *c, int n)
{
    c->tls_reads = c->tls_writes = false;
    return n;
}

bool http_socket_open(struct http_conn *c, struct tls_server *tls)
{
    if (!tls)
        return true;
    c->ssl = tls_server_accept(tls, loop_now(c->server->loop));
    return c->ssl && SSL_set_fd(c->ssl, c->fd) == 1;
}

/* Says that nothing more is written, if that fits. Plain connections touch nothing of OpenSSL, which
 * would cost its memory. */
static void send_close(struct http_conn *c)
{
    if (!c->ssl || !SSL_is_init_finished(c->ssl))
        return;
    (void)SSL_shutdown(c->ssl);
    ERR_clear_error();
}

void http_socket_close(struct http_conn *c)
{
    send_close(c);
    if (c->ssl)
        SSL_free(c->ssl);
    c->ssl = NULL;
    (void)close(c->fd); /* nothing more is to be sent */
    c->fd = -1;
}

void http_socket_shutdown(struct http_conn *c)
{
    send_close(c);
    (void)shutdown(c->fd, SHUT_WR); /* fails when the client has disconnected: reading reports it */
}

ssize_t http_socket_read(struct http_conn *c, void *p, size_t size)
{
    ssize_t n;
    int rc;

    if (!c->ssl) {
        n = recv(c->fd, p, size, 0);
        return n > 0 ? n : n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    ERR_clear_error();
    rc = SSL_read(c->ssl, p, (int)size);
    return rc > 0 ? tls_done(c, rc) : tls_waits(c, rc);
}

int http_socket_events(const struct http_conn *c, int events)
{
    bool write = events & LOOP_WRITE;

    if (c->tls_writes)
        return events | LOOP_WRITE;
    return write && c->tls_reads ? (events & ~LOOP_WRITE) | LOOP_READ : events;
}

/* ---- the answer ---- */

/* The end of a chunk. */
static struct str behind(const struct http_conn *c)
{
    return c->piece.len && !c->old ? STR("\r\n") : STR("");
}

/* The unsent parts of the answer. Returns their number. */
static size_t left_of(const struct http_conn *c, struct iovec v[3])
{
    const struct str parts[3] = {buf_str(&c->out), c->body ? buf_str(&c->body->text) : c->piece,
                                 behind(c)};
    size_t n = 0, off = c->off;

    for (size_t i = 0; i < 3; i++) {
        size_t had = off < parts[i].len ? off : parts[i].len;
        struct str s = str_skip(parts[i], had);

        off -= had;
        if (s.len)
            v[n++] = (struct iovec){(void *)(uintptr_t)s.p, s.len};
    }
    return n;
}

bool http_socket_pending(const struct http_conn *c)
{
    struct iovec v[3];

    return left_of(c, v) > 0;
}

/* Bytes taken; 0 = none now; -1 = the connection has ended. */
static ssize_t put(struct http_conn *c, struct iovec *v, size_t n)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
    ssize_t sent;
    int rc;

    if (c->ssl) {
        ERR_clear_error();
        rc = SSL_write(c->ssl, v->iov_base, v->iov_len > INT32_MAX ? INT32_MAX : (int)v->iov_len);
        return rc > 0 ? tls_done(c, rc) : tls_waits(c, rc);
    }
    do
        sent = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent > 0 ? sent : sent < 0 && errno != EAGAIN ? -1 : 0;
}

int http_socket_write(struct http_conn *c)
{
    struct iovec v[3];
    size_t n;

    while ((n = left_of(c, v))) {
        ssize_t sent = put(c, v, n);

        if (sent <= 0)
            return (int)sent;
        c->off += (size_t)sent;
    }
    return 1;
}
