/*
 * One connection of the HTTP server. It repeats these phases:
 *
 *   HEAD ──▶ BODY ──▶ WAIT (for the answer) ──▶ WRITE ──▶ HEAD …, or LINGER ──▶ closed
 *                         └──▶ STREAM ───────────▲
 *
 * It is read only in HEAD and BODY, so a client that pipelines requests waits in its own socket; in
 * STREAM only to see that the client disconnects. In each phase but STREAM one timer runs.
 */
#include "net/http_session.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"

#define LINGER_MS 2000         /* for the client to read why it was refused */
#define LINGER_BYTES (1 << 20) /* of what it still sends meanwhile */

/* ---- end of a connection ---- */

void http_conn_close(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_reply *r = c->reply;
    const struct http_sink *sink = c->sink;

    if (c->fd < 0)
        return;
    loop_fd_free(c->watch);
    loop_timer_free(c->timer);
    http_socket_close(c);
    s->stats.connections--;
    places_leave(&s->places, &c->place);
    s->held -= c->held;
    c->held = 0;
    http_body_unref(c->body);
    c->body = NULL;
    list_add_tail(&s->dead, &c->node);
    loop_task_post(s->loop, &s->free_dead);
    c->reply = NULL;
    c->sink = NULL;
    if (r)
        r->conn = NULL;
    if (c->phase == STREAM) {
        c->piece = STR("");
        c->stream.gone(c->stream.arg);
        http_reply_free(r);
    } else if (sink) { /* its request was incomplete */
        sink->gone(sink->arg, r);
        http_reply_free(r);
    }
}

/* ---- eviction ---- */

struct http_conn *http_conn_of(const struct place *p)
{
    return container_of((struct place *)(uintptr_t)p, struct http_conn, place);
}

void http_conn_evict(struct place *p)
{
    struct http_conn *c = http_conn_of(p);

    c->server->stats.evicted++;
    http_conn_close(c);
}

/* Connections other than <arg>. A body that is being read occupies almost nothing. */
static bool holds_bytes(void *arg, const struct place *p)
{
    const struct http_conn *c = http_conn_of(p);

    return c != arg && c->phase != BODY && (c->held || c->body);
}

/* Accounts the memory of <c>. Above the limit, others that occupy memory are closed. */
static void count_held(struct http_conn *c)
{
    struct http_server *s = c->server;
    size_t held = c->in.cap + c->out.cap;
    struct place *victim;

    s->held += held - c->held;
    c->held = held;
    if (!held && !c->body)
        return;
    while (s->held > HTTP_HELD_MAX && (victim = places_victim(&s->places, holds_bytes, c)))
        http_conn_evict(victim);
}

/* ---- answers ---- */

void http_conn_finish(struct http_conn *c)
{
    c->phase = WRITE;
    loop_timer_start(c->timer, HTTP_WRITE_MS);
    places_set(&c->server->places, &c->place, PLACE_SPARE);
    http_conn_run(c);
}

/* Sends <b> or <body>. */
static void reply_send(struct http_reply *r, int status, const char *type, struct str body,
                       struct http_body *b)
{
    struct http_conn *c = r->conn;

    if (!c) {
        http_reply_free(r);
        return;
    }
    if (c->reply != r)
        BUG("http: answered twice");
    if (c->phase == BODY) { /* the rest of it is not read */
        c->close = true;
        c->sink = NULL;
    }
    c->reply = NULL;
    http_reply_put(r, status, type, body, b);
    http_reply_free(r);
    http_conn_finish(c);
}

void http_reply_send(struct http_reply *r, int status, const char *content_type, struct str body)
{
    reply_send(r, status, content_type, body, NULL);
}

void http_reply_send_body(struct http_reply *r, int status, const char *content_type,
                          struct http_body *b)
{
    reply_send(r, status, content_type, STR(""), b);
}

/* ---- a request's head ---- */

/* Refuses a malformed or unwanted request and ends the connection. */
static void refuse(struct http_conn *c, int status, const char *why)
{
    struct buf text = BUF_INIT(256);
    struct http_reply *r = c->reply ? c->reply : http_reply_new(c);

    if (c->sink) {
        c->sink->gone(c->sink->arg, r);
        c->sink = NULL;
    }
    c->server->stats.bad++;
    c->close = true;
    (void)buf_addf(&text, "%s\n", why); /* cut when it does not fit */
    http_reply_send(r, status, "text/plain", buf_str(&text));
    buf_release(&text);
}

static const struct http_sink *sink_of(const struct http_server *s, struct str path)
{
    for (unsigned i = 0; i < s->nsinks; i++)
        if (str_eq(s->sinks[i]->path, path))
            return s->sinks[i];
    return NULL;
}

static void begin_body(struct http_conn *c, const struct http_sink *sink,
                       const struct http_incoming *q)
{
    struct http_reply *r;

    if (q->length > sink->body_max) {
        refuse(c, 413, "the body is too long");
        return;
    }
    r = http_reply_new(c);
    c->phase = BODY;
    c->sink = sink;
    c->chunked = q->chunked;
    c->left = q->length;
    c->got = c->paced = 0;
    http_chunks_init(&c->chunks);
    loop_timer_start(c->timer, HTTP_PACE_MS);
    sink->begin(sink->arg, q, r);
    if (c->phase == BODY && q->expects && !c->ssl && (q->chunked || q->length))
        (void)send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25,
                   MSG_NOSIGNAL |
                       MSG_DONTWAIT); /* best effort: a client that misses it continues by itself */
}

/* Why <path> takes no POST, if that can be said. */
static const char *why_closed(const struct http_server *s, struct str path)
{
    for (unsigned i = 0; i < s->nclosed; i++)
        if (str_eq(path, str_of(s->closed[i].path)))
            return s->closed[i].why;
    return NULL;
}

static void wrong_method(struct http_conn *c, const char *allowed, const char *why)
{
    struct buf text = BUF_INIT(256);
    struct http_reply *r = http_reply_new(c);

    c->close = true;
    http_reply_header(r, "allow", allowed);
    (void)buf_addf(&text, "only %s%s%s\n", allowed, why ? ": " : "", why ? why : ""); /* it fits */
    http_reply_send(r, 405, "text/plain", buf_str(&text));
    buf_release(&text);
}

/* A guest may only GET. */
static void refuse_guest(struct http_conn *c)
{
    struct http_reply *r = http_reply_new(c);

    c->server->stats.refused++;
    http_reply_header(r, "retry-after", "1");
    http_reply_send(r, 503, "text/plain", STR("too many connections\n"));
}

static void take_request(struct http_conn *c, const struct http_incoming *q)
{
    struct http_server *s = c->server;
    const struct http_sink *sink = sink_of(s, q->path);
    bool page = str_eq(q->method, STR("GET")) || str_eq(q->method, STR("HEAD")) ||
                (s->options && str_eq(q->method, STR("OPTIONS")));
    bool post = str_eq(q->method, STR("POST")) || str_eq(q->method, STR("PUT"));

    c->taken = true;
    c->used = true;
    c->close = !q->keep || c->place.guest;
    c->head_only = str_eq(q->method, STR("HEAD"));
    c->old = q->old;
    if (post && c->place.guest) {
        refuse_guest(c);
    } else if (sink && post) {
        begin_body(c, sink, q);
    } else if (sink || !page) {
        wrong_method(c, sink ? "POST, PUT" : "GET, HEAD", post ? why_closed(s, q->path) : NULL);
    } else if (q->chunked || q->length) {
        refuse(c, 400, "this page takes no request body");
    } else {
        loop_timer_start(c->timer, HTTP_ANSWER_MS);
        s->handler(s->arg, q, http_reply_new(c));
    }
}

/* Skips an empty line before a request (RFC 9112 §2.2), but only one, or a client could keep its
 * place with them. */
static void pass_empty_line(struct http_conn *c)
{
    if (c->empty_line || c->in.len < 2 || c->in.p[0] != '\r' || c->in.p[1] != '\n')
        return;
    c->empty_line = true;
    c->looked = 0;
    buf_consume(&c->in, 2);
}

static void refuse_long_head(struct http_conn *c)
{
    bool line = str_find(str_head(buf_str(&c->in), HTTP_HEAD_MAX), '\n') < 0;

    refuse(c, line ? 414 : 431, line ? "request line is too long" : "the headers are too long");
}

/* False: more input is needed. */
static bool run_head(struct http_conn *c)
{
    struct http_incoming q;
    const char *why = "";
    ptrdiff_t len;
    int status;

    pass_empty_line(c);
    len = http_request_head(buf_str(&c->in), c->looked);
    if (!len && c->in.len < HTTP_HEAD_MAX) {
        c->looked = c->in.len;
        return false;
    }
    c->looked = 0;
    if (len < 0) {
        refuse(c, 400, "a line does not end in CR LF");
        return true;
    }
    if (!len || len > HTTP_HEAD_MAX) {
        refuse_long_head(c);
        return true;
    }
    status = http_request_parse(&q, str_head(buf_str(&c->in), (size_t)len), &why);
    if (status)
        refuse(c, status, why);
    else
        take_request(c, &q);
    buf_consume(&c->in, (size_t)len);
    return true;
}

/* ---- a request's body ---- */

static void end_body(struct http_conn *c)
{
    const struct http_sink *sink = c->sink;

    c->sink = NULL;
    c->phase = WAIT;
    loop_timer_start(c->timer, HTTP_ANSWER_MS);
    sink->end(sink->arg, c->reply);
}

static void give(struct http_conn *c, struct str piece)
{
    c->got += piece.len;
    if (c->got > c->sink->body_max)
        refuse(c, 413, "the body is too long");
    else
        c->sink->body(c->sink->arg, c->reply, piece);
}

static bool run_chunks(struct http_conn *c)
{
    struct str data;
    size_t used;

    switch (http_chunks_next(&c->chunks, buf_str(&c->in), &data, &used)) {
    case HTTP_CHUNK_DATA:
        give(c, data);
        break;
    case HTTP_CHUNK_END:
        end_body(c);
        break;
    case HTTP_CHUNK_BAD:
        refuse(c, 400, "malformed chunked body");
        break;
    default:
        buf_clear(&c->in);
        return false;
    }
    buf_consume(&c->in, used);
    return true;
}

/* False: more input is needed. */
static bool run_body(struct http_conn *c)
{
    struct str piece = str_head(buf_str(&c->in), c->left < c->in.len ? (size_t)c->left : c->in.len);

    if (c->chunked)
        return run_chunks(c);
    if (!c->left) {
        end_body(c);
        return true;
    }
    if (!piece.len)
        return false;
    c->left -= piece.len;
    give(c, piece);
    buf_consume(&c->in, piece.len);
    return true;
}

/* ---- writing ---- */

void http_conn_begin(struct http_conn *c)
{
    buf_release(&c->out);
    buf_init(&c->out, HTTP_ANSWER_MAX);
    http_body_unref(c->body);
    c->body = NULL;
    c->off = 0;
    c->phase = HEAD;
    c->head_only = c->empty_line = false;
    loop_timer_start(c->timer, c->in.len ? HTTP_HEAD_MS : HTTP_IDLE_MS);
    places_set(&c->server->places, &c->place, c->in.len || !c->used ? PLACE_SPARE : PLACE_IDLE);
}

static void begin_linger(struct http_conn *c)
{
    c->phase = LINGER;
    c->paced = 0;
    buf_release(&c->in);
    buf_release(&c->out);
    http_body_unref(c->body);
    c->body = NULL;
    http_socket_shutdown(c);
    loop_timer_start(c->timer, LINGER_MS);
    places_set(&c->server->places, &c->place, PLACE_IDLE);
}

/* 1 = all is sent; 0 = the socket is full; -1 = the connection is closed. */
static int write_out(struct http_conn *c)
{
    int rc = http_socket_write(c);

    if (rc < 0)
        http_conn_close(c);
    return rc;
}

/* False: the socket takes no more now. */
static bool run_write(struct http_conn *c)
{
    int rc = write_out(c);

    if (rc > 0 && c->close)
        begin_linger(c);
    else if (rc > 0)
        http_conn_begin(c);
    return rc != 0;
}

/* False: the socket takes no more now, or there is nothing to write. */
static bool run_stream(struct http_conn *c)
{
    bool piece = c->piece.len > 0;
    int rc = http_socket_pending(c) ? write_out(c) : 0;

    if (rc <= 0)
        return rc < 0;
    buf_clear(&c->out);
    c->piece = STR("");
    c->off = 0;
    if (piece)
        c->stream.written(c->stream.arg);
    return true;
}

/* ---- the connection ---- */

/* False: it must wait for bytes, for room, for an answer, or for its next turn. */
static bool step(struct http_conn *c)
{
    switch (c->phase) {
    case HEAD:
        c->more = c->in.len && c->taken;
        return c->in.len && !c->more && run_head(c);
    case BODY:
        return run_body(c);
    case WRITE:
        return run_write(c);
    case STREAM:
        return run_stream(c);
    default:
        return false;
    }
}

static int events_of(const struct http_conn *c)
{
    if (c->phase == WAIT)
        return 0;
    if (c->phase == STREAM)
        return LOOP_READ | (http_socket_pending(c) ? LOOP_WRITE : 0);
    return c->phase == WRITE || c->more ? LOOP_WRITE : LOOP_READ;
}

/* Processes what was read, as far as possible. */
void http_conn_run(struct http_conn *c)
{
    if (c->running)
        return;
    c->running = true;
    c->more = false;
    c->taken = false;
    while (c->fd >= 0 && step(c))
        continue;
    c->running = false;
    if (c->fd < 0)
        return;
    if (c->ended && c->phase != WAIT && c->phase != WRITE && !c->more) { /* STREAM, too */
        http_conn_close(c);
        return;
    }
    buf_shrink(&c->in);
    count_held(c);
    loop_fd_set(c->watch, http_socket_events(c, events_of(c)));
}

static void throw_away(struct http_conn *c, size_t n)
{
    c->paced += n;
    buf_release(&c->in);
    if (c->ended || c->paced > LINGER_BYTES)
        http_conn_close(c);
}

/* In STREAM the client has nothing to say: what it sends is passed over, its end is the end. */
static void hear(struct http_conn *c)
{
    char piece[HTTP_READ_SIZE];

    c->ended |= http_socket_read(c, piece, sizeof(piece)) < 0;
    http_conn_run(c);
}

void http_conn_ready(void *arg, int events, int error)
{
    struct http_conn *c = arg;
    bool quiet = c->phase == HEAD && !c->in.len;
    ssize_t n;

    (void)events, (void)error; /* recv and send report the cause */
    if (c->phase == STREAM) {
        hear(c);
        return;
    }
    if (c->phase == WRITE || c->more) {
        http_conn_run(c);
        return;
    }
    if (buf_reserve(&c->in, HTTP_READ_SIZE) < 0)
        BUG("http: more was kept than a head can have");
    n = http_socket_read(c, c->in.p + c->in.len, HTTP_READ_SIZE);
    if (!n) {
        buf_shrink(&c->in);
        loop_fd_set(c->watch, http_socket_events(c, LOOP_READ));
        return;
    }
    c->ended |= n < 0;
    c->in.len += n > 0 ? (size_t)n : 0;
    c->in.p[c->in.len] = '\0';
    if (c->phase == LINGER) {
        throw_away(c, n > 0 ? (size_t)n : 0);
        return;
    }
    if (quiet && n > 0) {
        loop_timer_start(c->timer, HTTP_HEAD_MS);
        places_set(&c->server->places, &c->place, PLACE_SPARE);
    }
    http_conn_run(c);
}

void http_conn_timer(void *arg)
{
    struct http_conn *c = arg;
    bool slow = c->phase == BODY && c->got - c->paced < (uint64_t)HTTP_PACE_BYTES;

    if (c->phase == BODY && !slow) {
        c->paced = c->got;
        loop_timer_start(c->timer, HTTP_PACE_MS);
        return;
    }
    if (c->phase != LINGER && (c->phase != HEAD || c->in.len))
        c->server->stats.timeouts++;
    if (slow || (c->phase == HEAD && c->in.len))
        refuse(c, 408, slow ? "timeout reading the request body" : "timeout reading the headers");
    else
        http_conn_close(c);
}
