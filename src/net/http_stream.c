/*
 * Answers without an end: STREAM of http_session.c. A piece is a chunk (RFC 9112 §7.1), written from
 * where it lies; a client of HTTP/1.0 gets the bytes alone, up to the end of the connection. One
 * piece at a time, and nothing is kept: who writes is told when it has gone, and waits until then.
 */
#include "base/mem.h"
#include "net/http_session.h"

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
    places_set(&c->server->places, &c->place, PLACE_BUSY);
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
