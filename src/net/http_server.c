/*
 * Accepting, and the life cycle of the server. See http_server.h; http_session.c serves the
 * connections.
 *
 * Not libwebsockets: it skips headers that it does not know without checking them. A length after a
 * space or a folded line is then read differently by it and by a proxy before it. It also accepts
 * no chunked bodies.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/http_session.h"

static void free_dead(struct loop_task *t)
{
    struct http_server *s = container_of(t, struct http_server, free_dead);

    while (!list_empty(&s->dead)) {
        struct http_conn *c = list_entry(s->dead.next, struct http_conn, node);

        list_del(&c->node);
        buf_release(&c->in);
        buf_release(&c->out);
        free(c);
    }
    if (s->freeing)
        free(s);
}

/* ---- accepting ---- */

static void on_accept(void *arg, int fd)
{
    const int one = 1, size = HTTP_SOCKET_BYTES;
    struct http_server *s = arg;
    struct http_conn *c = xcalloc(1, sizeof(*c));
    int error = 0;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only for latency */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));  /* only to save memory */
    c->server = s;
    c->fd = fd;
    if (!places_enter(&s->places, &c->place, fd, c->peer) || !http_socket_open(c, s->tls) ||
        !(c->watch = loop_fd_create(s->loop, fd, http_conn_ready, c, &error))) {
        places_leave(&s->places, &c->place);
        s->stats.refused++;
        http_socket_close(c);
        free(c);
        return;
    }
    c->timer = loop_timer_create(s->loop, http_conn_timer, c);
    buf_init(&c->in, HTTP_HEAD_MAX + HTTP_READ_SIZE);
    buf_init(&c->out, HTTP_ANSWER_MAX);
    list_init(&c->node);
    s->stats.connections++;
    s->stats.accepted++;
    http_conn_begin(c);
    loop_timer_start(c->timer, HTTP_HEAD_MS);
    http_conn_ready(c, LOOP_READ,
                    0); /* read what has arrived before another connection evicts it */
}

/* ---- life cycle ---- */

static struct http_server *create(struct loop *l, http_handler *handler, void *arg)
{
    struct http_server *s = xcalloc(1, sizeof(*s));

    s->loop = l;
    s->handler = handler;
    s->arg = arg;
    list_init(&s->dead);
    list_init(&s->replies);
    loop_task_init(&s->free_dead, free_dead);
    return s;
}

struct http_server *http_server_create(struct loop *l, struct str address, uint16_t port,
                                       http_handler *handler, void *arg, struct err *e)
{
    struct http_server *s = create(l, handler, arg);

    places_init(&s->places, HTTP_CONNECTIONS_MAX, HTTP_PEER_CONNECTIONS_MAX, HTTP_GUESTS_MAX,
                http_conn_evict);
    s->listen = listener_create(l, "http", address, port, on_accept, s, e);
    if (s->listen)
        return s;
    places_release(&s->places);
    free(s);
    return NULL;
}

struct http_server *http_server_create_local(struct loop *l, http_handler *handler, void *arg)
{
    struct http_server *s = create(l, handler, arg);

    places_init(&s->places, HTTP_LOCAL_CONNECTIONS_MAX, HTTP_LOCAL_CONNECTIONS_MAX, 0,
                http_conn_evict);
    return s;
}

int http_server_listen(struct http_server *s, int fd, struct err *e)
{
    listener_free(s->listen);
    s->listen = listener_adopt(s->loop, "http", fd, on_accept, s, e);
    return s->listen ? 0 : -1;
}

void http_server_use_tls(struct http_server *s, struct tls_server *tls)
{
    s->tls = tls;
}

void http_server_take_options(struct http_server *s)
{
    s->options = true;
}

uint16_t http_server_port(const struct http_server *s)
{
    return listener_port(s->listen);
}

void http_server_stats(const struct http_server *s, struct http_server_stats *out)
{
    *out = s->stats;
    out->held = s->held;
}

void http_server_add_sink(struct http_server *s, const struct http_sink *sink)
{
    if (s->nsinks == HTTP_SINKS_MAX)
        BUG("http: more than %d sinks", HTTP_SINKS_MAX);
    s->sinks[s->nsinks++] = sink;
}

void http_server_add_closed(struct http_server *s, const char *path, const char *why)
{
    if (s->nclosed == HTTP_SINKS_MAX)
        BUG("http: more than %d closed paths", HTTP_SINKS_MAX);
    s->closed[s->nclosed].path = path;
    s->closed[s->nclosed++].why = why;
}

void http_server_remove_sink(struct http_server *s, const struct http_sink *sink)
{
    for (unsigned i = 0; i < s->nsinks; i++)
        if (s->sinks[i] == sink)
            s->sinks[i] = s->sinks[--s->nsinks];
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    listener_free(s->listen);
    s->listen = NULL;
    while (!list_empty(&s->places.all))
        http_conn_close(http_conn_of(list_entry(s->places.all.next, struct place, node)));
    places_release(&s->places);
    while (!list_empty(&s->replies))
        http_reply_free(list_entry(s->replies.next, struct http_reply, node));
    s->freeing = true;
    loop_task_post(s->loop, &s->free_dead);
}
