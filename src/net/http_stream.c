/*
 * Answers without an end: STREAM of http_session.c. A piece is a chunk (RFC 9112 §7.1), written from
 * where it lies; a client of HTTP/1.0 gets the bytes alone, up to the end of the connection. One
 * piece at a time, and nothing is kept: who writes is told when it has gone, and waits until then.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "net/http_session.h"

static struct str behind(const struct http_conn *c)
{
    return c->piece.len && !c->old ? STR("\r\n") : STR("");
}

static size_t length(const struct http_conn *c)
{
    return c->out.len + c->piece.len + behind(c).len;
}

bool http_stream_pending(const struct http_conn *c)
{
    return c->off < length(c);
}

/* What is left of it. Number of parts. */
static size_t left_of(const struct http_conn *c, struct iovec v[3])
{
    const struct str parts[3] = {buf_str(&c->out), c->piece, behind(c)};
    size_t n = 0, off = c->off;

    for (size_t i = 0; i < 3; i++) {
        struct str s = str_skip(parts[i], off < parts[i].len ? off : parts[i].len);

        off -= off < parts[i].len ? off : parts[i].len;
        if (s.len)
            v[n++] = (struct iovec){(void *)(uintptr_t)s.p, s.len};
    }
    return n;
}

bool http_stream_step(struct http_conn *c)
{
    struct iovec v[3];
    struct msghdr m = {.msg_iov = v};
    bool piece = c->piece.len > 0;

    if (!http_stream_pending(c))
        return false;
    while ((m.msg_iovlen = left_of(c, v))) {
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0) {
            http_conn_close(c);
            return true;
        }
        c->off += (size_t)n;
    }
    buf_clear(&c->out);
    c->piece = STR("");
    c->off = 0;
    if (piece)
        c->stream.written(c->stream.arg);
    return true;
}

void http_stream_gone(struct http_conn *c, struct http_reply *r)
{
    c->piece = STR("");
    c->stream.gone(c->stream.arg);
    http_reply_free(r);
}

bool http_reply_stream(struct http_reply *r, const char *content_type, const struct http_stream *s)
{
    struct http_conn *c = r->conn;

    if (!c || c->head_only) {
        http_reply_send(r, 200, content_type, STR(""));
        return false;
    }
    if (c->reply != r || c->phase != WAIT)
        BUG("http: streams an answer out of turn");
    c->close |= c->old;
    if (http_reply_put_stream(r, content_type) < 0)
        BUG("http: more headers than an answer has");
    c->phase = STREAM;
    c->stream = *s;
    c->piece = STR("");
    loop_timer_stop(c->timer);
    places_set(&c->server->places, &c->place, PLACE_KEPT);
    loop_fd_set(c->watch, LOOP_READ | LOOP_WRITE); /* the head is written from there */
    return true;
}

void http_stream_write(struct http_reply *r, struct str piece)
{
    struct http_conn *c = r->conn;

    if (!piece.len || c->piece.len)
        BUG("http: a piece of a stream out of turn");
    if (!c->old && buf_addf(&c->out, "%zx\r\n", piece.len) < 0)
        BUG("http: no room for a chunk's head");
    c->piece = piece;
    http_conn_run(c);
}

void http_stream_end(struct http_reply *r, bool whole)
{
    struct http_conn *c = r->conn;

    c->reply = NULL;
    r->conn = NULL;
    c->phase = WRITE;
    http_reply_free(r);
    if (!whole) {
        http_conn_close(c);
        return;
    }
    if (c->piece.len)
        BUG("http: a stream ended within a piece");
    if (!c->old)
        (void)buf_addf(&c->out, "0\r\n\r\n"); /* it fits */
    http_conn_finish(c);
}
