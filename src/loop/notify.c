/*
 * inotify, one instance for the process:
 *
 *   notify ── by_wd ──▶ notify_dir (one kernel watch) ── watches ──▶ notify_watch, notify_watch, …
 *          └─ watches: all of them, oldest first, also those that the kernel refused
 *
 * Used by the inputs and the routes file. It reports names and never opens files.
 *
 * Invariants: a watch is in exactly one of four states: live (on a dir), missing (the kernel
 * refused it; counted, retried), gone (its directory ended; the owner was notified) or dead (freed
 * by its owner during a dispatch; destroyed after it). Hence callbacks may free and create watches.
 * A watch created by a callback gets none of the events that were read before it (<serial>).
 */
#include "loop/notify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define EVENTS_WANTED                                                                              \
    (IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define NAMES_CHANGED (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define EVENTS_BUFFER (64 * 1024) /* read in one turn; the rest follows in the next */
#define WARN_EVERY_MS 60000

struct notify_dir {
    int wd; /* also its key in notify->by_wd */
    struct list watches;
};

struct notify_watch {
    struct list node;     /* notify->watches */
    struct list dir_node; /* dir->watches */
    struct notify *notify;
    struct notify_dir *dir; /* NULL = not live */
    char *path;
    void (*event)(void *arg, enum notify_event ev, struct str name);
    void *arg;
    uint64_t serial;
    bool gone;
    bool dead;
};

struct notify {
    struct loop *loop;
    int fd; /* -1 = the kernel refused an instance */
    struct loop_fd *reader;
    struct loop_timer *pause; /* running: reading is paused */
    struct loop_timer *retry; /* running while a watch or the instance is missing */
    struct map by_wd;
    struct list watches;
    uint64_t next_serial;
    unsigned missing;
    bool dispatching; /* callbacks are on the stack */
    bool some_dead;
    uint64_t overflows;
    struct log_limit warn;
    char buffer[EVENTS_BUFFER] __attribute__((aligned(__alignof__(struct inotify_event))));
};

static struct str dir_key(const int *wd)
{
    return str_make((const char *)wd, sizeof(*wd));
}

static void warn_missing(struct notify *n, const char *dir, int error)
{
    struct err e;

    if (!log_limit_pass(&n->warn))
        return;
    (void)err_sys(&e, error, "notify: cannot watch '%s'", dir);
    log_warn("cannot watch directories, polling them instead", KV_ERR(&e),
             KV_INT("missing", n->missing), KV_INT("every_ms", RESCAN_MS));
}

/* ---- one watch ---- */

/* Adds the kernel watch. 0 or an errno value. */
static int watch_set(struct notify_watch *w)
{
    struct notify *n = w->notify;
    struct notify_dir *dir;
    int wd;

    if (n->fd < 0)
        return EMFILE;
    wd = inotify_add_watch(n->fd, w->path, EVENTS_WANTED);
    if (wd < 0)
        return errno;
    dir = map_get(&n->by_wd, dir_key(&wd));
    if (!dir) {
        dir = xcalloc(1, sizeof(*dir));
        dir->wd = wd;
        list_init(&dir->watches);
        (void)map_put(&n->by_wd, dir_key(&dir->wd), dir); /* no previous entry */
    }
    list_add_tail(&dir->watches, &w->dir_node);
    w->dir = dir;
    return 0;
}

/* Removes a live watch from its directory, and the kernel watch with the last one. */
static void watch_unset(struct notify_watch *w)
{
    struct notify *n = w->notify;
    struct notify_dir *dir = w->dir;

    w->dir = NULL;
    list_del(&w->dir_node);
    if (!dir || !list_empty(&dir->watches))
        return;
    (void)inotify_rm_watch(n->fd, dir->wd); /* fails when the kernel has just removed it */
    (void)map_del(&n->by_wd, dir_key(&dir->wd));
    free(dir);
}

static void watch_destroy(struct notify_watch *w)
{
    watch_unset(w);
    list_del(&w->node);
    free(w->path);
    free(w);
}

static bool watch_missing(const struct notify_watch *w)
{
    return !w->dir && !w->gone && !w->dead;
}

struct notify_watch *notify_watch_create(struct notify *n, const char *dir,
                                         void (*event)(void *arg, enum notify_event ev,
                                                       struct str name),
                                         void *arg)
{
    struct notify_watch *w = xcalloc(1, sizeof(*w));
    int error;

    w->notify = n;
    w->path = str_dup(str_of(dir));
    w->event = event;
    w->arg = arg;
    w->serial = n->next_serial++;
    list_init(&w->dir_node);
    list_add_tail(&n->watches, &w->node);
    error = watch_set(w);
    if (error) {
        n->missing++;
        if (error != ENOENT) /* does not exist yet */
            warn_missing(n, dir, error);
        if (!loop_timer_active(n->retry))
            loop_timer_start(n->retry, RESCAN_MS);
    }
    return w;
}

bool notify_watch_live(const struct notify_watch *w)
{
    return w->dir != NULL;
}

void notify_watch_free(struct notify_watch *w)
{
    if (!w)
        return;
    if (watch_missing(w))
        w->notify->missing--;
    w->dead = true;
    if (w->notify->dispatching)
        w->notify->some_dead = true;
    else
        watch_destroy(w);
}

/* ---- dispatch ---- */

static void dispatch_end(struct notify *n)
{
    n->dispatching = false;
    if (!n->some_dead)
        return;
    n->some_dead = false;
    list_for_each_safe (it, &n->watches) {
        struct notify_watch *w = list_entry(it, struct notify_watch, node);

        if (w->dead)
            watch_destroy(w);
    }
}

/* Nodes stay on the list during a dispatch, so walking it is safe. */
static void dispatch_to_dir(struct notify_dir *dir, enum notify_event ev, struct str name,
                            uint64_t before)
{
    list_for_each (it, &dir->watches) {
        struct notify_watch *w = list_entry(it, struct notify_watch, dir_node);

        if (!w->dead && w->serial < before)
            w->event(w->arg, ev, name);
    }
}

static void dispatch_rescan(struct notify *n)
{
    uint64_t before = n->next_serial;

    list_for_each (it, &n->watches) {
        struct notify_watch *w = list_entry(it, struct notify_watch, node);

        if (!w->dead && w->serial < before)
            w->event(w->arg, NOTIFY_RESCAN, STR(""));
    }
}

/* The kernel watch has ended, or must end because the directory was moved away. */
static void dir_gone(struct notify *n, struct notify_dir *dir)
{
    struct list watches;

    (void)map_del(&n->by_wd, dir_key(&dir->wd));
    list_init(&watches);
    list_move_all(&watches, &dir->watches);
    free(dir);
    while (!list_empty(&watches)) {
        struct notify_watch *w = list_entry(watches.next, struct notify_watch, dir_node);

        list_del(&w->dir_node);
        w->dir = NULL;
        if (w->dead)
            continue;
        w->gone = true;
        w->event(w->arg, NOTIFY_GONE, STR(""));
    }
}

static void dispatch_event(struct notify *n, const struct inotify_event *ev, uint64_t before)
{
    struct str name = str_make(ev->name, ev->len ? strnlen(ev->name, ev->len) : 0);
    struct notify_dir *dir;

    if (ev->mask & IN_Q_OVERFLOW) {
        n->overflows++;
        dispatch_rescan(n);
        return;
    }
    dir = map_get(&n->by_wd, dir_key(&ev->wd));
    if (!dir)
        return; /* a late event of a removed watch */
    if (ev->mask & IN_IGNORED) {
        dir_gone(n, dir);
    } else if (ev->mask & IN_MOVE_SELF) {
        (void)inotify_rm_watch(n->fd, dir->wd); /* IN_IGNORED may already be queued */
        dir_gone(n, dir);
    } else if (ev->mask & NAMES_CHANGED) {
        dispatch_to_dir(dir, NOTIFY_CHANGE, name, before);
    } else if (ev->mask & (IN_MODIFY | IN_CLOSE_WRITE)) {
        dispatch_to_dir(dir, NOTIFY_WRITE, name, before);
    }
}

/* ---- reading ---- */

static void resume(void *arg)
{
    struct notify *n = arg;

    loop_fd_set(n->reader, LOOP_READ);
}

static void readable(void *arg, int events, int error)
{
    struct notify *n = arg;
    ssize_t len = read(n->fd, n->buffer, sizeof(n->buffer));
    uint64_t before = n->next_serial;

    (void)events; /* only LOOP_READ is asked for */
    (void)error;  /* the read reports the same */
    if (len > 0) {
        n->dispatching = true;
        for (const char *p = n->buffer; p < n->buffer + len;) {
            const struct inotify_event *ev = (const void *)p;

            dispatch_event(n, ev, before);
            p += sizeof(*ev) + ev->len;
        }
        dispatch_end(n);
    }
    if (len > (ssize_t)sizeof(n->buffer) / 2) /* more is waiting: no pause */
        return;
    loop_fd_set(n->reader, 0);
    loop_timer_start(n->pause, GREW_COALESCE_MS);
}

/* 0 or an errno value. */
static int instance_open(struct notify *n)
{
    int error = 0;

    n->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (n->fd < 0)
        return errno;
    n->reader = loop_fd_create(n->loop, n->fd, readable, n, &error);
    if (!n->reader) {
        (void)close(n->fd); /* nothing was written to it */
        n->fd = -1;
        return error;
    }
    loop_fd_set(n->reader, LOOP_READ);
    return 0;
}

/* Retries missing watches. Stops at ENOSPC: the others would be refused too. */
static void retry_missing(struct notify *n)
{
    uint64_t before = n->next_serial;

    n->dispatching = true;
    list_for_each (it, &n->watches) {
        struct notify_watch *w = list_entry(it, struct notify_watch, node);
        int error;

        if (!watch_missing(w) || w->serial >= before)
            continue;
        error = watch_set(w);
        if (!error) {
            n->missing--;
            w->event(w->arg, NOTIFY_RESCAN, STR(""));
        } else if (error != ENOENT) {
            warn_missing(n, w->path, error);
            if (error == ENOSPC)
                break;
        }
    }
    dispatch_end(n);
}

static void retry_fired(void *arg)
{
    struct notify *n = arg;
    int error = n->fd < 0 ? instance_open(n) : 0;

    if (error)
        warn_missing(n, "", error);
    else
        retry_missing(n);
    if (notify_degraded(n))
        loop_timer_start(n->retry, RESCAN_MS);
}

/* ---- life cycle ---- */

struct notify *notify_create(struct loop *l)
{
    struct notify *n = xcalloc(1, sizeof(*n));
    int error;

    n->loop = l;
    n->warn.period_ms = WARN_EVERY_MS;
    map_init(&n->by_wd);
    list_init(&n->watches);
    n->pause = loop_timer_create(l, resume, n);
    n->retry = loop_timer_create(l, retry_fired, n);
    error = instance_open(n);
    if (error) {
        warn_missing(n, "", error);
        loop_timer_start(n->retry, RESCAN_MS);
    }
    return n;
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    if (!list_empty(&n->watches))
        BUG("notify: freed with watches left");
    loop_fd_free(n->reader);
    loop_timer_free(n->pause);
    loop_timer_free(n->retry);
    map_release(&n->by_wd);
    if (n->fd >= 0)
        (void)close(n->fd); /* nothing was written to it */
    free(n);
}

bool notify_degraded(const struct notify *n)
{
    return n->fd < 0 || n->missing > 0;
}

uint64_t notify_overflows(const struct notify *n)
{
    return n->overflows;
}
