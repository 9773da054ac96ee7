/* Answers of the HTTP server: a status, headers and a body, laid out in the connection. */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/http_session.h"

#define HEADERS_OUT_MAX 1024

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
        {429, "Too Many Requests"},
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

/* Writes the head to <out>. -1: too many headers. */
static int put_head(struct http_conn *c, int status, const char *type, struct str headers,
                    size_t len)
{
    return buf_addf(
        &c->out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n%.*s%s\r\n", status,
        reason_of(status), type, len, STR_ARG(headers), c->close ? "connection: close\r\n" : "");
}

int http_reply_put_stream(struct http_reply *r, const char *type)
{
    struct http_conn *c = r->conn;

    return buf_addf(&c->out, "HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s%.*s%s\r\n", type,
                    c->old ? "" : "transfer-encoding: chunked\r\n", STR_ARG(buf_str(&r->headers)),
                    c->close ? "connection: close\r\n" : "");
}

void http_reply_put(struct http_reply *r, int status, const char *type, struct str body,
                    struct http_body *b)
{
    struct http_conn *c = r->conn;
    size_t len = b ? b->text.len : body.len;

    if (put_head(c, status, type, buf_str(&r->headers), len) < 0 ||
        (!b && !c->head_only && buf_add_str(&c->out, body) < 0)) {
        buf_clear(&c->out);
        c->close = true;
    } else if (b && !c->head_only) {
        b->refs++;
        c->body = b;
    }
}

struct http_body *http_body_create(struct http_server *s, struct buf *text)
{
    struct http_body *b = xcalloc(1, sizeof(*b));

    buf_shrink(text);
    *b = (struct http_body){1, s, *text};
    buf_init(text, text->max);
    s->held += b->text.cap;
    return b;
}

void http_body_unref(struct http_body *b)
{
    if (!b || --b->refs)
        return;
    b->server->held -= b->text.cap;
    buf_release(&b->text);
    free(b);
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

uint32_t http_reply_process(const struct http_reply *r)
{
    struct ucred peer = {.pid = 0};
    socklen_t len = sizeof(peer);

    if (!r->conn || getsockopt(r->conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return 0;
    return (uint32_t)peer.pid;
}

struct http_reply *http_reply_new(struct http_conn *c)
{
    struct http_reply *r = xcalloc(1, sizeof(*r));

    r->conn = c;
    buf_init(&r->headers, HEADERS_OUT_MAX);
    memcpy(r->peer, c->peer, sizeof(r->peer));
    list_add_tail(&c->server->replies, &r->node);
    c->reply = r;
    c->phase = WAIT;
    places_set(&c->server->places, &c->place, PLACE_BUSY);
    return r;
}

void http_reply_free(struct http_reply *r)
{
    list_del(&r->node);
    buf_release(&r->headers);
    free(r);
}
