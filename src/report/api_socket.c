/* See api_socket.h. It costs no wake-up: inotify reports when names change. */
#include "report/api_socket.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/local.h"

/* Delay after a change, so that a removal of the directory is not disturbed. */
#define SETTLE_MS 500
#define RETRY_MS 2000
#define COMPLAIN_MS 600000

struct api_socket {
    struct loop *loop;
    struct notify *notify;
    const char *dir;
    struct http_server *server;
    struct notify_watch *watch; /* of <dir>; NULL = there is no socket in it */
    struct loop_timer *timer;
    struct stat id; /* of the socket file, if <there> */
    bool there;
    struct log_limit complaint;
};

static void changed(void *arg, enum notify_event ev, struct str name)
{
    struct api_socket *a = arg;

    (void)name;
    if (ev == NOTIFY_WRITE)
        return;
    if (ev == NOTIFY_GONE) {
        notify_watch_free(a->watch);
        a->watch = NULL;
    }
    if (!loop_timer_active(a->timer))
        loop_timer_start(a->timer, SETTLE_MS);
}

static void watch(struct api_socket *a)
{
    if (!a->watch)
        a->watch = notify_watch_create(a->notify, a->dir, changed, a);
    if (!notify_watch_live(a->watch))
        loop_timer_start(a->timer, RETRY_MS);
}

static int listen_anew(struct api_socket *a, struct err *e)
{
    int fd = local_listen(a->dir, API_SOCKET_NAME, &a->id, e);

    return fd < 0 ? -1 : http_server_listen(a->server, fd, e);
}

static void look(void *arg)
{
    struct api_socket *a = arg;
    struct err e = {0};

    if (a->there && a->watch && local_is(a->dir, API_SOCKET_NAME, &a->id)) {
        watch(a);
        return;
    }
    notify_watch_free(a->watch); /* it may be for a directory that was removed */
    a->watch = NULL;
    a->there = listen_anew(a, &e) == 0;
    if (a->there) {
        watch(a);
        return;
    }
    loop_timer_start(a->timer, RETRY_MS);
    if (log_limit_pass(&a->complaint))
        log_warn("cannot listen on the API socket, will retry", KV_CSTR("path", a->dir),
                 KV_ERR(&e));
}

struct api_socket *api_socket_open(struct loop *l, struct notify *n, const char *dir,
                                   struct http_server *server)
{
    struct api_socket *a = xcalloc(1, sizeof(*a));

    *a = (struct api_socket){.loop = l, .notify = n, .dir = dir, .server = server};
    a->complaint.period_ms = COMPLAIN_MS;
    a->timer = loop_timer_create(l, look, a);
    look(a);
    return a;
}

void api_socket_close(struct api_socket *a)
{
    if (!a)
        return;
    notify_watch_free(a->watch);
    loop_timer_free(a->timer);
    if (a->there)
        local_remove(a->dir, API_SOCKET_NAME, &a->id);
    free(a);
}
