/*
 * curl's multi handle on the loop. curl says which sockets to watch and when to wake it. The loop
 * reports events to curl, and client->ended receives finished calls.
 *
 * curl keeps idle connections itself; client->connections bounds their number. It notices that a
 * peer has closed an idle one only when it next opens a connection (at most once a second). Until
 * then each costs a file descriptor.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "net/http_internal.h"

#define IDLE_CONNECTIONS_MIN 4
#define IDLE_CONNECTIONS_MAX 128 /* of all origins together */

static struct str fd_key(const int *fd)
{
    return str_make((const char *)fd, sizeof(*fd));
}

/* ---- sockets ---- */

static uint64_t inode_of(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

bool http_socket_gone(const struct http_socket *s)
{
    return inode_of(s->fd) != s->inode;
}

static void watch(struct http_socket *s, int events);

static void forget(struct http_socket *s)
{
    (void)map_del(&s->client->sockets, fd_key(&s->fd));
    loop_fd_free(s->watch);
    list_del(&s->node);
    free(s);
}

void http_socket_opened(struct http_origin *o, int fd)
{
    struct http_client *c = o->client;
    struct http_socket *s = map_get(&c->sockets, fd_key(&fd));
    int events = 0;

    if (s) { /* closed without a callback; curl believes that <fd> is still watched */
        events = s->events;
        forget(s);
    }
    s = xcalloc(1, sizeof(*s));
    s->fd = fd;
    s->inode = inode_of(fd);
    s->client = c;
    list_add_tail(&o->sockets, &s->node);
    (void)map_put(&c->sockets, fd_key(&s->fd), s);
    watch(s, events);
}

void http_socket_closing(struct http_client *c, int fd)
{
    struct http_socket *s = map_get(&c->sockets, fd_key(&fd));

    if (!s)
        BUG("http: curl closes a socket that it did not ask for");
    forget(s);
}

/* ---- curl to loop ---- */

static void reap(struct http_client *c)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(c->multi, &left))) {
        CURLcode code = msg->data.result; /* <msg> is invalid once the handle is removed */
        char *call = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call); /* set by us */
        c->ended((struct http_call *)(void *)call, code);
    }
}

static void drive(struct http_client *c, curl_socket_t fd, int events)
{
    int running;
    CURLMcode rc = curl_multi_socket_action(c->multi, fd, events, &running);

    if (rc != CURLM_OK)
        BUG("http: curl multi: %s", curl_multi_strerror(rc));
    reap(c);
}

static void on_timer(void *arg)
{
    drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(struct loop_task *t)
{
    drive(container_of(t, struct http_client, kick), CURL_SOCKET_TIMEOUT, 0);
}

static int timer_wanted(CURLM *multi, long ms, void *arg)
{
    struct http_client *c = arg;

    (void)multi;
    loop_task_cancel(&c->kick);
    loop_timer_stop(c->timer);
    if (ms == 0)
        loop_task_post(c->loop, &c->kick);
    else if (ms > 0)
        loop_timer_start(c->timer, (uint64_t)ms);
    return 0;
}

static void on_ready(void *arg, int events, int error)
{
    struct http_socket *s = arg;
    int bits = error ? CURL_CSELECT_ERR : 0;

    if (events & LOOP_READ)
        bits |= CURL_CSELECT_IN;
    if (events & LOOP_WRITE)
        bits |= CURL_CSELECT_OUT;
    drive(s->client, s->fd, bits); /* may close the socket and free <s> */
}

static void watch(struct http_socket *s, int events)
{
    int error;

    s->events = events;
    if (!s->watch && events)
        s->watch = loop_fd_create(s->client->loop, s->fd, on_ready, s, &error);
    /* Without a watch (out of kernel memory) the call times out. */
    if (s->watch)
        loop_fd_set(s->watch, events);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http_client *c = arg;
    struct http_socket *s = map_get(&c->sockets, fd_key(&fd));

    (void)easy, (void)unused;
    if (!s)
        BUG("http: curl watches a socket that it did not ask for");
    if (what != CURL_POLL_REMOVE)
        watch(s, (what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0));
    else if (!s->used && http_socket_gone(s))
        forget(s);
    else
        watch(s, 0);
    return 0;
}

/* ---- life cycle ---- */

void http_multi_resize(struct http_client *c)
{
    unsigned long n = c->connections;

    if (n < IDLE_CONNECTIONS_MIN)
        n = IDLE_CONNECTIONS_MIN;
    if (n > IDLE_CONNECTIONS_MAX)
        n = IDLE_CONNECTIONS_MAX;
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)n); /* a hint */
}

void http_multi_init(struct http_client *c, CURLM *multi)
{
    c->multi = multi;
    c->timer = loop_timer_create(c->loop, on_timer, c);
    loop_task_init(&c->kick, on_kick);
    map_init(&c->sockets);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, c);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, c);
    http_multi_resize(c);
}

void http_multi_release(struct http_client *c)
{
    (void)curl_multi_cleanup(c->multi); /* no handle is in it; this closes the idle connections */
    if (c->sockets.len)
        BUG("http: curl left %zu sockets open", c->sockets.len);
    loop_task_cancel(&c->kick);
    loop_timer_free(c->timer);
    map_release(&c->sockets);
    curl_slist_free_all(c->forget);
}
