/*
 * The loop on libuv. The check handle does two jobs: it runs the tasks after each turn's I/O, and
 * it keeps loop_run() going when nothing else is open. Timers and fd watchers live on the heap.
 * Only their close callback frees them; libuv calls it when no other callback of theirs is on the
 * stack.
 *
 * Invariant: <handles> counts every such handle from create until its close callback, so that
 * loop_release() detects a leaked one.
 */
#include "loop/loop.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#define RELEASE_TURNS 64 /* closing takes one or two turns; tasks may close more handles */

static void uv_must(int rc, const char *what)
{
    if (rc < 0)
        BUG("loop: %s: %s", what, uv_strerror(rc));
}

/* ---- tasks ---- */

static void run_tasks(uv_check_t *check)
{
    struct loop *l = container_of(check, struct loop, check);
    struct list now;

    list_init(&now);
    list_move_all(&now, &l->tasks); /* tasks posted from here on run in the next turn */
    while (!list_empty(&now)) {
        struct loop_task *t = list_entry(now.next, struct loop_task, node);

        list_del(&t->node);
        t->run(t);
    }
    if (list_empty(&l->tasks))
        (void)uv_idle_stop(&l->idle); /* always 0 */
}

static void stay_awake(uv_idle_t *idle)
{
    (void)idle; /* being active is its only purpose */
}

void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t))
{
    list_init(&t->node);
    t->run = run;
}

void loop_task_post(struct loop *l, struct loop_task *t)
{
    if (!list_empty(&t->node))
        return;
    list_add_tail(&l->tasks, &t->node);
    uv_must(uv_idle_start(&l->idle, stay_awake), "idle");
}

/* The idle handle may stay active until the end of the next turn. That is harmless. */
void loop_task_cancel(struct loop_task *t)
{
    list_del(&t->node);
}

/* ---- the loop ---- */

void loop_init(struct loop *l)
{
    *l = (struct loop){.handles = 0};
    list_init(&l->tasks);
    list_init(&l->frozen);
    uv_must(uv_loop_init(&l->uv), "init");
    uv_must(uv_check_init(&l->uv, &l->check), "check");
    uv_must(uv_check_start(&l->check, run_tasks), "check");
    uv_must(uv_idle_init(&l->uv, &l->idle), "idle");
    uv_must(uv_timer_init(&l->uv, &l->bound), "timer");
}

void loop_run(struct loop *l)
{
    l->turning = true;
    (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* the result only says that handles are left */
    l->turning = false;
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

uint64_t loop_now(struct loop *l)
{
    return clock_is_fake() ? clock_mono_ms() : uv_now(&l->uv);
}

static void bound_reached(uv_timer_t *bound)
{
    struct loop *l = container_of(bound, struct loop, bound);

    /* libuv fires timers before it polls: a late start would wait without a bound */
    uv_must(uv_idle_start(&l->idle, stay_awake), "idle");
}

static bool fire_frozen(struct loop *l);

void loop_turn(struct loop *l, uint64_t wait_ms)
{
    l->turning = true;
    uv_update_time(&l->uv);
    if (fire_frozen(l) || wait_ms == 0) {
        (void)uv_run(&l->uv, UV_RUN_NOWAIT);
    } else {
        uv_must(uv_timer_start(&l->bound, bound_reached, wait_ms, 0), "timer");
        (void)uv_run(&l->uv, UV_RUN_ONCE);
        (void)uv_timer_stop(&l->bound); /* always 0 */
        if (list_empty(&l->tasks))
            (void)uv_idle_stop(&l->idle); /* the next turn may wait */
    }
    l->turning = false;
}

static void name_handle(uv_handle_t *h, void *arg)
{
    const char **name = arg;

    *name = uv_handle_type_name(uv_handle_get_type(h));
}

void loop_release(struct loop *l)
{
    const char *left = "none";

    for (int i = 0; i < RELEASE_TURNS && (l->handles > 0 || !list_empty(&l->tasks)); i++)
        loop_turn(l, 0);
    if (l->handles > 0 || !list_empty(&l->tasks))
        BUG("loop: released with %u handles open%s", l->handles,
            list_empty(&l->tasks) ? "" : " and tasks waiting");
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_close((uv_handle_t *)&l->bound, NULL);
    (void)uv_run(&l->uv, UV_RUN_NOWAIT);
    if (uv_loop_close(&l->uv) < 0) {
        uv_walk(&l->uv, name_handle, &left);
        BUG("loop: released with a handle of its own open: %s", left);
    }
}

/* ---- timers ---- */

struct loop_timer {
    uv_timer_t uv;
    struct loop *loop;
    struct list frozen; /* on loop->frozen while the clock is faked */
    uint64_t due;       /* when it fires, in loop_now(); only on loop->frozen */
    void (*fire)(void *arg);
    void *arg;
};

static void timer_fired(uv_timer_t *uv)
{
    struct loop_timer *t = container_of(uv, struct loop_timer, uv);

    /* libuv fires timers before it polls: a turn in which something happened must not wait then */
    if (uv_is_active((uv_handle_t *)&t->loop->bound))
        uv_must(uv_idle_start(&t->loop->idle, stay_awake), "idle");
    t->fire(t->arg);
}

static void timer_closed(uv_handle_t *h)
{
    struct loop_timer *t = container_of(h, struct loop_timer, uv);

    t->loop->handles--;
    free(t);
}

struct loop_timer *loop_timer_create(struct loop *l, void (*fire)(void *arg), void *arg)
{
    struct loop_timer *t = xcalloc(1, sizeof(*t));

    t->loop = l;
    t->fire = fire;
    t->arg = arg;
    list_init(&t->frozen);
    uv_must(uv_timer_init(&l->uv, &t->uv), "timer");
    l->handles++;
    return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t ms)
{
    struct loop *l = t->loop;

    loop_timer_stop(t);
    if (clock_is_fake()) {
        t->due = loop_now(l) + ms;
        list_add_tail(&l->frozen, &t->frozen);
        return;
    }
    if (!l->turning) /* libuv's time stands still between turns: the timer would fire too early */
        uv_update_time(&l->uv);
    uv_must(uv_timer_start(&t->uv, timer_fired, ms, 0), "timer");
}

void loop_timer_stop(struct loop_timer *t)
{
    list_del(&t->frozen);
    (void)uv_timer_stop(&t->uv); /* always 0 */
}

bool loop_timer_active(const struct loop_timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->uv) || !list_empty(&t->frozen);
}

uint64_t loop_timer_left(const struct loop_timer *t)
{
    if (!list_empty(&t->frozen))
        return t->due > loop_now(t->loop) ? t->due - loop_now(t->loop) : 0;
    return uv_is_active((const uv_handle_t *)&t->uv) ? uv_timer_get_due_in(&t->uv) : 0;
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    loop_timer_stop(t);
    uv_close((uv_handle_t *)&t->uv, timer_closed);
}

/* Inserts <t> behind all timers that are due no later. */
static void insert_by_due(struct list *head, struct loop_timer *t)
{
    struct list *at = head->prev;

    while (at != head && list_entry(at, struct loop_timer, frozen)->due > t->due)
        at = at->prev;
    list_add_head(at, &t->frozen);
}

/* Returns whether any was due. */
static bool fire_frozen(struct loop *l)
{
    uint64_t now = loop_now(l);
    struct list due;
    bool any;

    list_init(&due);
    list_for_each_safe (it, &l->frozen) {
        struct loop_timer *t = list_entry(it, struct loop_timer, frozen);

        if (t->due <= now) {
            list_del(it);
            insert_by_due(&due, t);
        }
    }
    any = !list_empty(&due);
    while (!list_empty(&due)) {
        struct loop_timer *t = list_entry(due.next, struct loop_timer, frozen);

        list_del(&t->frozen);
        t->fire(t->arg);
    }
    return any;
}

/* ---- file descriptors ---- */

struct loop_fd {
    uv_poll_t uv;
    struct loop *loop;
    int events; /* the current mask; 0 when stopped */
    void (*ready)(void *arg, int events, int error);
    void *arg;
};

_Static_assert((int)LOOP_READ == (int)UV_READABLE && (int)LOOP_WRITE == (int)UV_WRITABLE,
               "events are passed through");

static void fd_ready(uv_poll_t *uv, int status, int events)
{
    struct loop_fd *f = container_of(uv, struct loop_fd, uv);
    int waited = f->events;

    if (status < 0) {
        f->events = 0; /* libuv has stopped it */
        f->ready(f->arg, waited, -status);
        return;
    }
    f->ready(f->arg, events & waited, 0);
}

static void fd_closed(uv_handle_t *h)
{
    struct loop_fd *f = container_of(h, struct loop_fd, uv);

    f->loop->handles--;
    free(f);
}

struct loop_fd *loop_fd_create(struct loop *l, int fd,
                               void (*ready)(void *arg, int events, int error), void *arg,
                               int *error)
{
    struct loop_fd *f = xcalloc(1, sizeof(*f));
    int rc = uv_poll_init(&l->uv, &f->uv, fd);

    if (rc < 0) {
        free(f);
        *error = -rc;
        return NULL;
    }
    f->loop = l;
    f->ready = ready;
    f->arg = arg;
    l->handles++;
    return f;
}

void loop_fd_set(struct loop_fd *f, int events)
{
    if (events == f->events) /* libuv would remove the fd from epoll and add it again */
        return;
    f->events = events;
    if (events)
        uv_must(uv_poll_start(&f->uv, events, fd_ready), "poll");
    else
        (void)uv_poll_stop(&f->uv); /* always 0 */
}

void loop_fd_free(struct loop_fd *f)
{
    if (f)
        uv_close((uv_handle_t *)&f->uv, fd_closed);
}
