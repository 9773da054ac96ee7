/*
 * One connection of the HTTP server. It goes through its phases again and again:
 *
 *   HEAD ──▶ BODY ──▶ WAIT (for the answer) ──▶ WRITE ──▶ HEAD …, or LINGER ──▶ closed
 *
 * It is read only in HEAD and BODY, so a client that sends more than it was answered for waits in
 * its own socket. In each phase one timer runs.
 */
#include "net/http_session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define LINGER_MS 2000         /* for the client to read why it was refused */
#define LINGER_BYTES (1 << 20) /* of what it still sends meanwhile */
#define HEADERS_OUT_MAX 512

static void run(struct http_conn *c);

/* ---- the end of a connection ---- */

void http_reply_free(struct http_reply *r)
{
    list_del(&r->node);
    buf_release(&r->headers);
    free(r);
}

void http_conn_close(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_reply *r = c->reply;
    const struct http_sink *sink = c->sink;

    if (c->fd < 0)
        return;
    loop_fd_free(c->watch);
    loop_timer_free(c->timer);
    (void)close(c->fd); /* what was to be said was */
    c->fd = -1;
    s->stats.connections--;
    list_del(&c->node);
    list_add_tail(&s->dead, &c->node);
    loop_task_post(s->loop, &s->bury);
    c->reply = NULL;
    c->sink = NULL;
    if (r)
        r->conn = NULL;
    if (sink) { /* its request had not ended */
        sink->gone(sink->arg, r);
        http_reply_free(r);
    }
    http_server_accept_more(s);
}

/* ---- answers ---- */

static const char *reason_of(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Status";
}

/* The answer into <out>. -1: it is longer than any answer may be. */
static int put_answer(struct http_conn *c, int status, const char *type, struct str headers,
                      struct str body)
{
    if (buf_addf(&c->out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n%.*s%s\r\n",
                 status, reason_of(status), type, body.len, STR_ARG(headers),
                 c->close ? "connection: close\r\n" : "") < 0)
        return -1;
    return c->head_only ? 0 : buf_add_str(&c->out, body);
}

static void begin_write(struct http_conn *c)
{
    c->phase = WRITE;
    loop_timer_start(c->timer, HTTP_ANSWER_MS);
}

void http_reply_send(struct http_reply *r, int status, const char *content_type, struct str body)
{
    struct http_conn *c = r->conn;

    if (!c) {
        http_reply_free(r);
        return;
    }
    if (c->reply != r)
        BUG("http: answered twice");
    if (c->phase == BODY) { /* what is left of it is not read */
        c->close = true;
        c->sink = NULL;
    }
    c->reply = NULL;
    if (put_answer(c, status, content_type, buf_str(&r->headers), body) < 0) {
        buf_clear(&c->out);
        c->close = true;
    }
    http_reply_free(r);
    begin_write(c);
    run(c);
}

void http_reply_header(struct http_reply *r, const char *name, const char *value)
{
    if (buf_addf(&r->headers, "%s: %s\r\n", name, value) < 0)
        BUG("http: more headers than an answer has");
}

void http_reply_set_data(struct http_reply *r, void *data)
{
    r->data = data;
}

void *http_reply_data(const struct http_reply *r)
{
    return r->data;
}

struct str http_reply_peer(const struct http_reply *r)
{
    return str_of(r->peer);
}

static struct http_reply *reply_new(struct http_conn *c)
{
    struct http_reply *r = xcalloc(1, sizeof(*r));

    r->conn = c;
    buf_init(&r->headers, HEADERS_OUT_MAX);
    memcpy(r->peer, c->peer, sizeof(r->peer));
    list_add_tail(&c->server->replies, &r->node);
    c->reply = r;
    c->phase = WAIT;
    return r;
}

/* The request is none, or is not wanted: says so, and ends the connection. */
static void refuse(struct http_conn *c, int status, const char *why)
{
    struct buf text = BUF_INIT(256);
    struct http_reply *r = c->reply ? c->reply : reply_new(c);

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

/* ---- a request's head ---- */

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
    r = reply_new(c);
    c->phase = BODY;
    c->sink = sink;
    c->chunked = q->chunked;
    c->left = q->length;
    c->got = c->paced = 0;
    http_chunks_init(&c->chunks);
    loop_timer_start(c->timer, HTTP_PACE_MS);
    sink->begin(sink->arg, q, r);
    if (c->phase == BODY && q->expects && (q->chunked || q->length))
        (void)send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25,
                   MSG_NOSIGNAL | MSG_DONTWAIT); /* a client that misses it goes on by itself */
}

static void wrong_method(struct http_conn *c, const char *allowed)
{
    struct buf text = BUF_INIT(64);
    struct http_reply *r = reply_new(c);

    c->close = true;
    http_reply_header(r, "allow", allowed);
    (void)buf_addf(&text, "only %s\n", allowed); /* it fits */
    http_reply_send(r, 405, "text/plain", buf_str(&text));
    buf_release(&text);
}

static void take_request(struct http_conn *c, const struct http_incoming *q)
{
    struct http_server *s = c->server;
    const struct http_sink *sink = sink_of(s, q->path);
    bool page = str_eq(q->method, STR("GET")) || str_eq(q->method, STR("HEAD"));
    bool post = str_eq(q->method, STR("POST")) || str_eq(q->method, STR("PUT"));

    c->close = !q->keep;
    c->head_only = str_eq(q->method, STR("HEAD"));
    if (sink && post) {
        begin_body(c, sink, q);
    } else if (sink || !page) {
        wrong_method(c, sink ? "POST, PUT" : "GET, HEAD");
    } else if (q->chunked || q->length) {
        refuse(c, 400, "there is no body to be sent to a page");
    } else {
        loop_timer_start(c->timer, HTTP_ANSWER_MS);
        s->handler(s->arg, q->path, q->query, reply_new(c));
    }
}

/* An empty line before a request is let pass (RFC 9112 §2.2), but one only, or a client could hold
 * its place with them. */
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

    refuse(c, line ? 414 : 431,
           line ? "the request's line is too long" : "the headers are too long");
}

/* False: more has to be read first. */
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
        refuse(c, 400, "the chunks of the body are none");
        break;
    default:
        buf_clear(&c->in);
        return false;
    }
    buf_consume(&c->in, used);
    return true;
}

/* False: more has to be read first. */
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
    struct http_server *s = c->server;

    buf_release(&c->out);
    buf_init(&c->out, HTTP_ANSWER_MAX);
    c->off = 0;
    c->phase = HEAD;
    c->head_only = c->empty_line = false;
    loop_timer_start(c->timer, c->in.len ? HTTP_HEAD_MS : HTTP_IDLE_MS);
    list_del(&c->node);
    list_add_tail(&s->conns, &c->node);
    http_server_accept_more(s);
}

static void begin_linger(struct http_conn *c)
{
    c->phase = LINGER;
    c->paced = 0;
    buf_clear(&c->in);
    (void)shutdown(c->fd, SHUT_WR); /* fails when the client has gone: then reading says so */
    loop_timer_start(c->timer, LINGER_MS);
}

/* False: the socket takes no more now. */
static bool run_write(struct http_conn *c)
{
    while (c->off < c->out.len) {
        ssize_t n = send(c->fd, c->out.p + c->off, c->out.len - c->off, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return false;
        if (n < 0) {
            http_conn_close(c);
            return true;
        }
        c->off += (size_t)n;
        loop_timer_start(c->timer, HTTP_ANSWER_MS);
    }
    if (c->close)
        begin_linger(c);
    else
        http_conn_begin(c);
    return true;
}

/* ---- the connection ---- */

/* Goes on as far as it can with what was read. */
static void run(struct http_conn *c)
{
    bool more = true;

    if (c->running)
        return;
    c->running = true;
    while (more && c->fd >= 0)
        more = c->phase == HEAD    ? c->in.len && run_head(c)
               : c->phase == BODY  ? run_body(c)
               : c->phase == WRITE ? run_write(c)
                                   : false;
    c->running = false;
    if (c->fd < 0)
        return;
    if (c->ended && c->phase != WAIT && c->phase != WRITE) {
        http_conn_close(c);
        return;
    }
    if (c->phase == HEAD && !c->in.len) { /* an idle client costs no memory */
        buf_release(&c->in);
        buf_init(&c->in, HTTP_HEAD_MAX + HTTP_READ_SIZE);
    }
    loop_fd_set(c->watch, c->phase == WAIT ? 0 : c->phase == WRITE ? LOOP_WRITE : LOOP_READ);
}

static void throw_away(struct http_conn *c, size_t n)
{
    c->paced += n;
    buf_clear(&c->in);
    if (c->ended || c->paced > LINGER_BYTES)
        http_conn_close(c);
}

void http_conn_ready(void *arg, int events, int error)
{
    struct http_conn *c = arg;
    bool quiet = c->phase == HEAD && !c->in.len;
    ssize_t n;

    (void)events, (void)error; /* recv and send say what is wrong */
    if (c->phase == WRITE) {
        run(c);
        return;
    }
    if (buf_reserve(&c->in, HTTP_READ_SIZE) < 0)
        BUG("http: more was kept than a head can have");
    n = recv(c->fd, c->in.p + c->in.len, HTTP_READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        loop_fd_set(c->watch, LOOP_READ);
        return;
    }
    c->ended |= n <= 0;
    c->in.len += n > 0 ? (size_t)n : 0;
    c->in.p[c->in.len] = '\0';
    if (c->phase == LINGER) {
        throw_away(c, n > 0 ? (size_t)n : 0);
        return;
    }
    if (quiet && n > 0)
        loop_timer_start(c->timer, HTTP_HEAD_MS);
    run(c);
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
        refuse(c, 408, slow ? "the body came too slowly" : "the headers came too slowly");
    else
        http_conn_close(c);
}
