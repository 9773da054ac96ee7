/*
 * One event loop per thread, on libuv: timers, fd watchers, tasks at the end of a turn. The loop
 * owns the handles. _free closes a handle at once (no callback follows); its memory is freed when
 * libuv has closed it, so nothing is freed inside a callback. Nothing here is thread-safe except
 * mailbox.h.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"

struct loop {
    uv_loop_t uv;
    uv_check_t check;
    uv_idle_t idle;     /* active while tasks wait, so that the loop does not sleep */
    uv_timer_t bound;   /* ends the wait of loop_turn() */
    struct list tasks;  /* posted, not yet run */
    struct list frozen; /* running timers while the clock is faked: see loop_turn() */
    unsigned handles;   /* timers, fds and mailboxes alive or closing; 0 after loop_release */
    bool turning;       /* inside loop_run() or loop_turn() */
    bool (*make_room)(void *arg); /* see loop_on_full() */
    void *make_room_arg;
};

void loop_init(struct loop *l);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
/* Runs one turn and waits at most <wait_ms> of real time for an event. For tests. While the clock
 * is faked, timers started since then follow it: each turn first fires those that are due at
 * loop_now(), in order of their time. */
void loop_turn(struct loop *l, uint64_t wait_ms);
void loop_stop(struct loop *l);
/* Runs the remaining tasks and lets closing handles finish. BUG() when a handle is still open. */
void loop_release(struct loop *l);
/* Monotonic milliseconds at the start of this turn (clock_mono_ms() when time is faked). */
uint64_t loop_now(struct loop *l);

/* Runs once, at the end of this turn (after I/O callbacks). It is embedded in its owner. Posting it
 * twice runs it once. A task that posts itself again runs in the next turn, and the loop does not
 * sleep in between. */
struct loop_task {
    struct list node;
    void (*run)(struct loop_task *t);
};
void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *t));
void loop_task_post(struct loop *l, struct loop_task *t);
void loop_task_cancel(struct loop_task *t);

struct loop_timer;
struct loop_timer *loop_timer_create(struct loop *l, void (*fire)(void *arg), void *arg);
/* One shot, from now; restarts a running timer. */
void loop_timer_start(struct loop_timer *t, uint64_t ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);
/* Milliseconds until it fires; 0 when it is not running. */
uint64_t loop_timer_left(const struct loop_timer *t);
/* NULL is fine. */
void loop_timer_free(struct loop_timer *t);

/* ---- socket.c ---- */
/* <make_room> is called when no descriptor is left. It closes something and returns true when it
 * did. */
void loop_on_full(struct loop *l, bool (*make_room)(void *arg), void *arg);
/* When <error> is EMFILE or ENFILE, calls <make_room>. True when a retry is worth it. */
bool loop_make_room(struct loop *l, int error);
/* socket(2), non-blocking and close-on-exec. When no descriptor is left, makes room and retries
 * once. -1 with errno set. */
int loop_socket(struct loop *l, int family, int type, int protocol);
/* Makes room for one descriptor, if possible. For callers that let a library open the socket. */
void loop_want_descriptor(struct loop *l);

enum loop_events { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_fd;
/* Watches <fd>, which the caller owns and must close only after loop_fd_free(). <events> as in
 * loop_fd_set(). NULL when the kernel refuses to watch it (errno in *error). */
struct loop_fd *loop_fd_create(struct loop *l, int fd,
                               void (*ready)(void *arg, int events, int error), void *arg,
                               int *error);
/* What to wait for: LOOP_READ | LOOP_WRITE, or 0. When <ready> is called with <error>, the
 * descriptor is in an error state. <events> is then what was waited for, so that reading, writing
 * or SO_ERROR gives the cause (<error> is only libuv's name for it). Watching has stopped until
 * loop_fd_set() is called again. */
void loop_fd_set(struct loop_fd *f, int events);
/* NULL is fine. */
void loop_fd_free(struct loop_fd *f);

#endif
