/*
 * stdout://: writes batches to our own standard output, for trying things out. A batch is delivered
 * when the kernel has taken all of it.
 *
 * The descriptor is shared with whoever started us (and often with our own stderr), so it must not
 * be made non-blocking: that is a property of what is shared. Instead, a pipe, socket or terminal
 * is asked with poll() before each piece. A piece is at most PIPE_BUF bytes, which a pipe that
 * polls writable takes at once. To wait, the descriptor is put into an epoll set of its own, and
 * the loop watches the set. What cannot be polled (a file, /dev/null) takes everything at once.
 *
 * Pieces end at the end of a line where possible, so that lines of our own log on the same pipe do
 * not break others.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "drains/core/drain.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"

#define PIECES_PER_TURN 64

struct drain_stdout {
    struct drain base;
    int waiter;            /* epoll set that holds fd 1; -1 = it cannot be polled */
    struct loop_fd *watch; /* on <waiter> */
    struct loop_task more; /* the batch is longer than one turn may write */
    struct batch *batch;   /* being written; NULL = none */
    size_t at;             /* bytes of it that are written */
    bool closing;
};

static struct drain_stdout *stdout_of(struct drain *d)
{
    if (d->ops != drain_stdout.ops)
        BUG("drain: '%s' taken for 'stdout'", d->ops->name);
    return container_of(d, struct drain_stdout, base);
}

static void settle(struct drain_stdout *o, enum verdict v)
{
    struct batch *b = o->batch;

    o->batch = NULL;
    if (o->watch)
        loop_fd_set(o->watch, 0);
    loop_task_cancel(&o->more);
    drain_settle(&o->base, b, v);
    if (o->closing && !o->base.closed)
        drain_closed(&o->base);
}

static bool is_writable(const struct drain_stdout *o)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

    /* On POLLERR, write() returns the cause. */
    return o->waiter < 0 || (poll(&p, 1, 0) == 1 && p.revents);
}

static struct str next_piece(const struct drain_stdout *o)
{
    struct str rest = str_skip(buf_str(&o->batch->body), o->at);
    ptrdiff_t end;

    if (o->waiter < 0 || rest.len <= PIPE_BUF)
        return rest;
    rest = str_head(rest, PIPE_BUF);
    end = str_rfind(rest, '\n');
    return end < 0 ? rest : str_head(rest, (size_t)end + 1);
}

/* 1 = all is written, 0 = not yet, -1 = failed. */
static int write_some(struct drain_stdout *o)
{
    for (int i = 0; i < PIECES_PER_TURN && o->at < o->batch->body.len; i++) {
        struct str piece;
        ssize_t n;

        if (!is_writable(o)) {
            loop_fd_set(o->watch, LOOP_READ);
            return 0;
        }
        piece = next_piece(o);
        n = write(STDOUT_FILENO, piece.p, piece.len);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return err_sys(&o->batch->err, errno, "stdout: write");
        o->at += n < 0 ? 0 : (size_t)n;
    }
    if (o->at == o->batch->body.len)
        return 1;
    loop_task_post(worker_loop(o->base.worker), &o->more);
    return 0;
}

static void go_on(struct drain_stdout *o)
{
    int rc = o->batch ? write_some(o) : 0;

    if (rc)
        settle(o, rc > 0 ? VERDICT_DELIVERED : VERDICT_OFFLINE);
}

static void on_more(struct loop_task *t)
{
    go_on(container_of(t, struct drain_stdout, more));
}

static void on_ready(void *arg, int events, int error)
{
    struct drain_stdout *o = arg;

    (void)events, (void)error; /* write() returns the cause */
    loop_fd_set(o->watch, 0);
    go_on(o);
}

static void stdout_free(struct drain *d)
{
    struct drain_stdout *o = stdout_of(d);

    loop_task_cancel(&o->more);
    loop_fd_free(o->watch);
    if (o->waiter >= 0)
        (void)close(o->waiter); /* nothing is buffered in it */
    drain_release(d);
    free(o);
}

/* Sets up waiting for standard output, if it can be polled. */
static int make_waiter(struct drain_stdout *o, struct err *e)
{
    struct epoll_event ev = {.events = EPOLLOUT};
    int error = 0;

    o->waiter = epoll_create1(EPOLL_CLOEXEC);
    if (o->waiter < 0)
        return err_sys(e, errno, "stdout: epoll");
    if (epoll_ctl(o->waiter, EPOLL_CTL_ADD, STDOUT_FILENO, &ev) == 0) {
        o->watch = loop_fd_create(worker_loop(o->base.worker), o->waiter, on_ready, o, &error);
        return o->watch ? 0 : err_sys(e, error, "stdout: watch");
    }
    if (errno != EPERM)
        return err_sys(e, errno, "stdout: watch");
    (void)close(o->waiter); /* empty */
    o->waiter = -1;
    return 0;
}

static struct drain *stdout_create(struct worker *wk, struct drain_spec *spec, struct err *e)
{
    struct drain_stdout *o = xcalloc(1, sizeof(*o));

    drain_init(&o->base, drain_stdout.ops, wk, spec);
    o->base.slots = 1;
    loop_task_init(&o->more, on_more);
    if (make_waiter(o, e) < 0) {
        stdout_free(&o->base);
        return NULL;
    }
    return &o->base;
}

static void stdout_send(struct drain *d, struct batch *b)
{
    struct drain_stdout *o = stdout_of(d);

    o->batch = b;
    o->at = 0;
    go_on(o);
}

static void stdout_close(struct drain *d, bool flush)
{
    struct drain_stdout *o = stdout_of(d);

    o->closing = true;
    if (o->batch && !flush) {
        (void)err_set(&o->batch->err, ECANCELED, "drain closed before all was written");
        settle(o, VERDICT_OFFLINE);
    }
    if (!o->batch && !d->closed)
        drain_closed(d);
}

static const struct drain_ops ops = {
    .name = "stdout",
    .create = stdout_create,
    .send = stdout_send,
    .close = stdout_close,
    .free = stdout_free,
};

static const struct drain_scheme schemes[] = {
    {.name = "stdout",
     .member = &drain_stdout,
     .flags = DRAIN_NO_HOST | DRAIN_DEV_ONLY,
     .promise = PROMISE_CONFIRMED,
     .format = FORMAT_RAW,
     .framing = FRAMING_LF,
     .sends = "plain lines on logtrain's standard output, for trying things out",
     .aliases = "stderr|console"},
    {.name = NULL},
};

static void set_defaults(struct drain_spec *s)
{
    s->connections = 1; /* lines of several workers would be mixed */
}

const struct drain_member drain_stdout = {
    .ops = &ops,
    .schemes = schemes,
    .set_defaults = set_defaults,
};
