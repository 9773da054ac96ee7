/*
 * Accepting, and the life of the server. See http_server.h; http_session.c serves the connections.
 *
 * Not libwebsockets: it passes over headers that it does not know without looking at them, so a
 * length behind a space or a folded line is read differently by it and by a proxy before it, and it
 * takes no chunked bodies.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_session.h"

static void bury(struct loop_task *t)
{
    struct http_server *s = container_of(t, struct http_server, bury);

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

static unsigned connections_of(const struct http_server *s, const char *peer)
{
    unsigned n = 0;

    list_for_each (it, &s->conns)
        n += strcmp(list_entry(it, struct http_conn, node)->peer, peer) == 0;
    return n;
}

/* Of those that ask for nothing now, the one that does so for longest makes place for
 * <wants>. */
static bool evict(struct http_server *s, const struct http_conn *wants)
{
    list_for_each (it, &s->conns) {
        struct http_conn *c = list_entry(it, struct http_conn, node);

        if (c != wants && (c->phase == HEAD || c->phase == LINGER)) {
            s->stats.evicted++;
            http_conn_close(c);
            return true;
        }
    }
    return false;
}

void http_server_accept_more(struct http_server *s)
{
    if (s->listen)
        listener_pause(s->listen, s->stats.connections >= HTTP_CONNECTIONS_MAX);
}

static void on_accept(void *arg, int fd)
{
    struct http_server *s = arg;
    struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);
    struct http_conn *c;
    int error = 0, one = 1;

    c = xcalloc(1, sizeof(*c));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* only quicker */
    (void)getpeername(fd, (struct sockaddr *)&sa, &len); /* gone already: reading says so */
    listener_address((struct sockaddr *)&sa, c->peer);
    if (connections_of(s, c->peer) >= HTTP_PEER_CONNECTIONS_MAX ||
        !(c->watch = loop_fd_create(s->loop, fd, http_conn_ready, c, &error))) {
        s->stats.refused++;
        (void)close(fd);
        free(c);
        return;
    }
    c->server = s;
    c->fd = fd;
    c->timer = loop_timer_create(s->loop, http_conn_timer, c);
    buf_init(&c->in, HTTP_HEAD_MAX + HTTP_READ_SIZE);
    buf_init(&c->out, HTTP_ANSWER_MAX);
    list_init(&c->node);
    s->stats.connections++;
    s->stats.accepted++;
    http_conn_begin(c);
    loop_timer_start(c->timer, HTTP_HEAD_MS);
    loop_fd_set(c->watch, LOOP_READ);
    if (s->stats.connections >= HTTP_CONNECTIONS_MAX && !evict(s, c))
        http_server_accept_more(s);
}

/* ---- life ---- */

struct http_server *http_server_create(struct loop *l, struct str address, uint16_t port,
                                       http_handler *handler, void *arg, struct err *e)
{
    struct http_server *s = xcalloc(1, sizeof(*s));

    s->loop = l;
    s->handler = handler;
    s->arg = arg;
    list_init(&s->conns);
    list_init(&s->dead);
    list_init(&s->replies);
    loop_task_init(&s->bury, bury);
    s->listen = listener_create(l, "http", address, port, on_accept, s, e);
    if (!s->listen) {
        free(s);
        return NULL;
    }
    return s;
}

uint16_t http_server_port(const struct http_server *s)
{
    return listener_port(s->listen);
}

void http_server_stats(const struct http_server *s, struct http_server_stats *out)
{
    *out = s->stats;
}

void http_server_add_sink(struct http_server *s, const struct http_sink *sink)
{
    if (s->nsinks == HTTP_SINKS_MAX)
        BUG("http: more than %d sinks", HTTP_SINKS_MAX);
    s->sinks[s->nsinks++] = sink;
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
    while (!list_empty(&s->conns))
        http_conn_close(list_entry(s->conns.next, struct http_conn, node));
    while (!list_empty(&s->replies))
        http_reply_free(list_entry(s->replies.next, struct http_reply, node));
    s->freeing = true;
    loop_task_post(s->loop, &s->bury);
}
