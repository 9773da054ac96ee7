/*
 * http_server.h on libwebsockets, which runs on our uv_loop as a foreign loop and gets its
 * connections from listener.c. One callback does everything; a request is a struct http_reply
 * until it is answered or its client is gone, whichever comes last.
 *
 * Closing takes turns of the loop: libwebsockets first closes its libuv handles, and is to be
 * called once more when they are closed (version 4.1; newer ones finish by themselves). A task
 * looks for that moment, so http_server_free() returns at once and the loop can be released right
 * after.
 */
#include "net/http_server.h"

#include <errno.h>
#include <libwebsockets.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"

#define CONNECTIONS_MAX 64
#define HEADERS_TIMEOUT_S 10
#define IDLE_TIMEOUT_S 60
#define REPLY_TIMEOUT_S 60 /* for the handler to answer, and for each piece to be read */
#define HEADERS_MAX 8192
#define ANSWER_HEAD_MAX 1024
#define PIECE 8192 /* of a body, per write */
#define QUERY_MAX 2048
#define OWN_HANDLES 8

struct http_server {
    struct loop *loop;
    struct listener *listen;
    struct lws_context *ctx; /* libwebsockets sets it to NULL when it is through */
    struct lws_vhost *vhost;
    http_handler *handler;
    void *arg;
    struct list replies; /* struct http_reply.node */
    unsigned connections;
    struct loop_task closing;
    uv_handle_t *own[OWN_HANDLES]; /* idle and timer handles of libwebsockets; they live in <ctx> */
    unsigned own_len;
    bool own_open; /* some of them are not closed yet */
};

struct http_reply {
    struct list node;
    struct http_server *server;
    struct lws *wsi; /* NULL = the client has gone */
    bool head;       /* answer a HEAD: headers only */
    bool close;      /* the connection too, after the answer */
    bool sent;       /* http_reply_send() was called */
    bool headers_out;
    int status;
    char *content_type; /* owned */
    char *body;         /* owned */
    size_t len, off;
};

/* ---- replies ---- */

static void reply_free(struct http_reply *r)
{
    if (r->wsi)
        lws_set_opaque_user_data(r->wsi, NULL);
    list_del(&r->node);
    free(r->content_type);
    free(r->body);
    free(r);
}

void http_reply_send(struct http_reply *r, int status, const char *content_type, struct str body)
{
    if (r->sent)
        BUG("http: answered twice");
    if (!r->wsi) {
        reply_free(r);
        return;
    }
    r->sent = true;
    r->status = status;
    r->content_type = str_dup(str_of(content_type));
    r->body = str_dup(body);
    r->len = body.len;
    (void)lws_callback_on_writable(r->wsi); /* fails only when the connection is closing */
}

/* What the socket does not take now, libwebsockets keeps; then it calls back when that is out. */
static int write_out(struct http_reply *r, unsigned char *p, size_t len)
{
    bool last = r->off == r->len;

    return lws_write(r->wsi, p, len, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

static size_t add_piece(struct http_reply *r, unsigned char *out)
{
    size_t n = r->len - r->off < PIECE ? r->len - r->off : PIECE;

    memcpy(out, r->body + r->off, n);
    r->off += n;
    return n;
}

/* The headers and a first piece. */
static int write_headers(struct http_reply *r)
{
    unsigned char out[LWS_PRE + ANSWER_HEAD_MAX + PIECE], *start = out + LWS_PRE, *p = start;
    unsigned char *end = start + ANSWER_HEAD_MAX;

    if (lws_add_http_common_headers(r->wsi, (unsigned)r->status, r->content_type, r->len, &p, end))
        return -1;
    if (r->status == 405 &&
        lws_add_http_header_by_name(r->wsi, (const unsigned char *)"allow:",
                                    (const unsigned char *)"GET, HEAD", 9, &p, end))
        return -1;
    if (r->close && lws_add_http_header_by_name(r->wsi, (const unsigned char *)"connection:",
                                                (const unsigned char *)"close", 5, &p, end))
        return -1;
    if (lws_finalize_http_header(r->wsi, &p, end))
        return -1;
    r->headers_out = true;
    if (r->head)
        r->off = r->len;
    p += add_piece(r, p);
    return write_out(r, start, (size_t)(p - start));
}

static int write_piece(struct http_reply *r)
{
    unsigned char out[LWS_PRE + PIECE];
    size_t n = add_piece(r, out + LWS_PRE);

    return write_out(r, out + LWS_PRE, n);
}

/* One write per call. -1 closes the connection. */
static int reply_write(struct http_reply *r)
{
    struct lws *wsi = r->wsi;
    bool close = r->close;

    if (!r->sent)
        return 0;
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REPLY_TIMEOUT_S);
    if ((r->headers_out ? write_piece(r) : write_headers(r)) < 0)
        return -1;
    if (r->off < r->len) {
        (void)lws_callback_on_writable(wsi); /* fails only when the connection is closing */
        return 0;
    }
    reply_free(r);
    return close || lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* ---- libwebsockets' callback ---- */

static struct str query_of(struct lws *wsi, char *out, size_t size)
{
    size_t len = 0;
    int n;

    /* One fragment per '&'. What does not fit is left out. */
    for (int i = 0; len + 2 < size; i++) {
        n = lws_hdr_copy_fragment(wsi, out + len + (i > 0), (int)(size - len - 1),
                                  WSI_TOKEN_HTTP_URI_ARGS, i);
        if (n < 0)
            break;
        if (i > 0)
            out[len++] = '&';
        len += (size_t)n;
    }
    return str_make(out, len);
}

static int on_request(struct http_server *s, struct lws *wsi)
{
    struct http_reply *r = xcalloc(1, sizeof(*r));
    char query[QUERY_MAX];
    char *uri = NULL;
    int uri_len = 0;
    int method = lws_http_get_uri_and_method(wsi, &uri, &uri_len);

    r->server = s;
    r->wsi = wsi;
    r->head = method == LWSHUMETH_HEAD;
    list_add_tail(&s->replies, &r->node);
    lws_set_opaque_user_data(wsi, r);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, REPLY_TIMEOUT_S);
    if (method != LWSHUMETH_GET && method != LWSHUMETH_HEAD) {
        r->close = true; /* its body is not read */
        http_reply_send(r, 405, "text/plain", STR("only GET and HEAD\n"));
        return 0;
    }
    s->handler(s->arg, str_make(uri, (size_t)uri_len), query_of(wsi, query, sizeof(query)), r);
    /* At once if it can be: libwebsockets 4.3 closes a connection whose next request comes before
     * the answer. */
    return reply_write(r);
}

static void on_gone(struct lws *wsi)
{
    struct http_reply *r = lws_get_opaque_user_data(wsi);

    if (!r)
        return;
    lws_set_opaque_user_data(wsi, NULL);
    r->wsi = NULL;
    if (r->sent)
        reply_free(r);
}

static void on_count(struct http_server *s)
{
    if (s->listen)
        listener_pause(s->listen, s->connections >= CONNECTIONS_MAX);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct http_server *s = lws_context_user(lws_get_context(wsi));
    struct http_reply *r;

    (void)user, (void)in, (void)len;
    switch ((int)reason) {
    case LWS_CALLBACK_WSI_CREATE:
        s->connections++;
        on_count(s);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        on_gone(wsi);
        s->connections--;
        on_count(s);
        return 0;
    case LWS_CALLBACK_CLOSED_HTTP:
        on_gone(wsi);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1; /* neither WebSocket nor h2c */
    case LWS_CALLBACK_HTTP:
        return on_request(s, wsi);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        r = lws_get_opaque_user_data(wsi);
        return r ? reply_write(r) : 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {
    {.name = "http", .callback = on_event},
    {.name = NULL},
};

/* ---- life ---- */

static void on_log(int level, const char *line)
{
    struct str text = str_trim(str_of(line));

    (void)level;
    log_warn("libwebsockets", KV_STR("text", text));
}

static void on_accept(void *arg, int fd)
{
    struct http_server *s = arg;

    (void)lws_adopt_socket_vhost(s->vhost, fd); /* on failure it has closed <fd> */
}

struct handles {
    uv_handle_t **p; /* owned */
    unsigned len;
};

static bool may_be_own(const uv_handle_t *h)
{
    return uv_handle_get_type(h) == UV_IDLE || uv_handle_get_type(h) == UV_TIMER;
}

static void add_handle(uv_handle_t *h, void *arg)
{
    struct handles *set = arg;

    if (!may_be_own(h))
        return;
    set->p = xrealloc(set->p, (set->len + 1) * sizeof(*set->p));
    set->p[set->len++] = h;
}

static bool has_handle(uv_handle_t *const *set, unsigned len, const uv_handle_t *h)
{
    for (unsigned i = 0; i < len; i++)
        if (set[i] == h)
            return true;
    return false;
}

/* What is there now and was not <before>, is libwebsockets'. */
static void find_own_handles(struct http_server *s, const struct handles *before)
{
    struct handles now = {NULL, 0};

    uv_walk(&s->loop->uv, add_handle, &now);
    for (unsigned i = 0; i < now.len; i++) {
        if (has_handle(before->p, before->len, now.p[i]))
            continue;
        if (s->own_len == OWN_HANDLES)
            BUG("http: libwebsockets has more than %d handles", OWN_HANDLES);
        s->own[s->own_len++] = now.p[i];
    }
    free(now.p);
}

static int start_lws(struct http_server *s, struct err *e)
{
    struct handles before = {NULL, 0};
    void *loops[] = {&s->loop->uv};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
                   LWS_SERVER_OPTION_UV_NO_SIGSEGV_SIGFPE_SPIN,
        .foreign_loops = loops,
        .pcontext = &s->ctx,
        .user = s,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .fd_limit_per_thread = CONNECTIONS_MAX + 16,
        .max_http_header_data = HEADERS_MAX,
        .timeout_secs = HEADERS_TIMEOUT_S,
        .keepalive_timeout = IDLE_TIMEOUT_S,
        .vhost_name = "logtrain",
    };

    lws_set_log_level(LLL_ERR, on_log);
    uv_walk(&s->loop->uv, add_handle, &before);
    s->ctx = lws_create_context(&info);
    if (s->ctx) {
        find_own_handles(s, &before);
        s->vhost = lws_create_vhost(s->ctx, &info);
    }
    free(before.p);
    /* From here on it has nothing to say but what any client can provoke. */
    lws_set_log_level(0, NULL);
    if (s->vhost)
        return 0;
    return err_set(e, ENOSYS, "http: libwebsockets does not start (its libuv plugin missing?)");
}

struct http_server *http_server_create(struct loop *l, struct str address, uint16_t port,
                                       http_handler *handler, void *arg, struct err *e)
{
    struct http_server *s = xcalloc(1, sizeof(*s));

    s->loop = l;
    s->handler = handler;
    s->arg = arg;
    list_init(&s->replies);
    s->listen = listener_create(l, "http", address, port, on_accept, s, e);
    if (!s->listen) {
        free(s);
        return NULL;
    }
    if (start_lws(s, e) < 0) {
        http_server_free(s);
        return NULL;
    }
    return s;
}

uint16_t http_server_port(const struct http_server *s)
{
    return listener_port(s->listen);
}

/* Looks for handles of <arg>'s that are not closed yet. */
static void look_for_own(uv_handle_t *h, void *arg)
{
    struct http_server *s = arg;

    s->own_open |= has_handle(s->own, s->own_len, h);
}

static void on_closing(struct loop_task *t)
{
    struct http_server *s = container_of(t, struct http_server, closing);

    s->own_open = false;
    if (s->ctx)
        uv_walk(&s->loop->uv, look_for_own, s);
    if (s->ctx && !s->own_open)
        lws_context_destroy(s->ctx);
    if (s->ctx)
        loop_task_post(s->loop, t);
    else
        free(s);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    listener_free(s->listen);
    s->listen = NULL;
    while (!list_empty(&s->replies))
        reply_free(list_entry(s->replies.next, struct http_reply, node));
    loop_task_init(&s->closing, on_closing);
    if (s->ctx)
        lws_context_destroy(s->ctx);
    loop_task_post(s->loop, &s->closing);
}
