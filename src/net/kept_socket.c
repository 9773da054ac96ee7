/* See kept_socket.h. */
#include "net/kept_socket.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/local.h"

/* Delay after a change, so that a removal of the directory is not disturbed. */
#define SETTLE_MS 500
#define RETRY_MS 2000
#define COMPLAIN_MS 600000

struct kept_socket {
    struct kept_socket_config cfg;
    struct notify_watch *watch; /* of the directory; NULL = there is no socket in it */
    struct loop_timer *timer;
    struct stat id; /* of the socket's file, if <there> */
    bool there;
    struct log_limit complaint;
};

static void changed(void *arg, enum notify_event ev, struct str name)
{
    struct kept_socket *k = arg;

    (void)name;
    if (ev == NOTIFY_WRITE)
        return;
    if (ev == NOTIFY_GONE) {
        notify_watch_free(k->watch);
        k->watch = NULL;
    }
    if (!loop_timer_active(k->timer))
        loop_timer_start(k->timer, SETTLE_MS);
}

static void watch(struct kept_socket *k)
{
    if (!k->watch)
        k->watch = notify_watch_create(k->cfg.notify, k->cfg.dir, changed, k);
    if (!notify_watch_live(k->watch))
        loop_timer_start(k->timer, RETRY_MS);
}

static int bind_anew(struct kept_socket *k, struct err *e)
{
    notify_watch_free(k->watch); /* it may be for a directory that was removed */
    k->watch = NULL;
    k->there = k->cfg.bind(k->cfg.arg, &k->id, e) == 0;
    if (!k->there)
        return -1;
    watch(k);
    return 0;
}

static void look(void *arg)
{
    struct kept_socket *k = arg;
    struct err e = {0};

    if (k->there && k->watch && local_is(k->cfg.dir, k->cfg.name, &k->id)) {
        watch(k);
        return;
    }
    if (bind_anew(k, &e) == 0)
        return;
    loop_timer_start(k->timer, RETRY_MS);
    if (log_limit_pass(&k->complaint))
        log_warn(k->cfg.complaint, KV_CSTR("path", k->cfg.dir), KV_ERR(&e));
}

struct kept_socket *kept_socket_open(const struct kept_socket_config *cfg, struct err *e)
{
    struct kept_socket *k = xcalloc(1, sizeof(*k));

    k->cfg = *cfg;
    k->complaint.period_ms = COMPLAIN_MS;
    k->timer = loop_timer_create(cfg->loop, look, k);
    if (!e) {
        look(k);
    } else if (bind_anew(k, e) < 0) {
        kept_socket_close(k);
        return NULL;
    }
    return k;
}

void kept_socket_close(struct kept_socket *k)
{
    if (!k)
        return;
    notify_watch_free(k->watch);
    loop_timer_free(k->timer);
    if (k->there)
        local_remove(k->cfg.dir, k->cfg.name, &k->id);
    free(k);
}
