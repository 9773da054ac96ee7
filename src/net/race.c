/*
 * race.h. Watchers and the timer only record events; one task makes all decisions, so that ending
 * an attempt is never re-entered.
 */
#include "net/race.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "net/conn.h"

struct attempt {
    struct race *race;
    int fd;                /* owned; -1 = not in progress */
    struct loop_fd *watch; /* owned */
    bool settled;          /* connected or failed: see SO_ERROR */
};

struct race {
    struct loop *loop;
    const struct egress *egress;
    void (*done)(void *arg, int fd, const struct sockaddr *sa, const struct err *e);
    void *arg;
    struct dns_addrs addrs;
    struct attempt attempts[ADDRESSES_MAX];
    unsigned started; /* addresses tried so far; attempts[i] belongs to addrs.list[i] */
    unsigned running;
    bool next_due; /* start another although one is in progress */
    bool tried;    /* a connect was tried: its error is preferred to a policy's */
    struct err last;
    struct loop_timer *timer;
    struct loop_task task;
};

static const struct sockaddr *addr_at(const struct race *r, unsigned i)
{
    return (const struct sockaddr *)(const void *)&r->addrs.list[i];
}

static void attempt_close(struct attempt *a)
{
    if (a->fd < 0)
        return;
    loop_fd_free(a->watch);
    a->watch = NULL;
    (void)close(a->fd);
    a->fd = -1;
    a->race->running--;
}

static void attempt_failed(struct race *r, unsigned i, int error)
{
    char peer[64];

    dns_addr_format(addr_at(r, i), peer, sizeof(peer));
    (void)err_sys(&r->last, error, "connect to %s", peer);
    r->tried = true;
}

static bool allowed(struct race *r, unsigned i)
{
    struct err why = {0};
    char peer[64];

    if (!r->egress || r->egress->check(r->egress, addr_at(r, i), &why) == 0)
        return true;
    dns_addr_format(addr_at(r, i), peer, sizeof(peer));
    if (!r->tried)
        (void)err_set(&r->last, EACCES, "connect to %s: %s", peer, why.text);
    return false;
}

static void on_attempt(void *arg, int events, int error)
{
    struct attempt *a = arg;

    (void)events, (void)error; /* SO_ERROR has the cause */
    a->settled = true;
    loop_fd_set(a->watch, 0);
    loop_task_post(a->race->loop, &a->race->task);
}

static void on_timer(void *arg)
{
    struct race *r = arg;

    r->next_due = true;
    loop_task_post(r->loop, &r->task);
}

/* A host that vanished is noticed within a minute. Behind a slow peer at most one batch waits in
 * the kernel: 4 MB of one stream ahead of another's line would be unfair, and much to resend. None
 * of these can fail on a fresh TCP socket. */
static void set_options(int fd)
{
    static const int on = 1, idle_s = 30, interval_s = 10, probes = 3;
    static const unsigned unacked_ms = 60000, unsent = BATCH_BYTES_STREAM;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

/* 0 when the attempt is in progress, else an errno. */
static int attempt_start(struct race *r, unsigned i)
{
    struct attempt *a = &r->attempts[i];
    const struct sockaddr *sa = addr_at(r, i);
    socklen_t len =
        sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int fd = loop_socket(r->loop, sa->sa_family, SOCK_STREAM, 0), error = 0;

    if (fd < 0)
        return errno;
    set_options(fd);
    if (connect(fd, sa, len) < 0 && errno != EINPROGRESS) {
        error = errno;
        (void)close(fd);
        return error;
    }
    a->watch = loop_fd_create(r->loop, fd, on_attempt, a, &error);
    if (!a->watch) {
        (void)close(fd);
        return error ? error : EMFILE;
    }
    a->fd = fd;
    r->running++;
    loop_fd_set(a->watch, LOOP_WRITE);
    return 0;
}

/* Checks the settled attempts. Returns the index of a connected one, or -1. */
static int find_winner(struct race *r)
{
    for (unsigned i = 0; i < r->started; i++) {
        struct attempt *a = &r->attempts[i];
        struct sockaddr_storage peer;
        socklen_t len = sizeof(int), peer_len = sizeof(peer);
        int error = 0;

        if (a->fd < 0 || !a->settled)
            continue;
        if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
        /* When the error was already fetched (as by the poll), the socket has no peer. */
        if (!error && getpeername(a->fd, (struct sockaddr *)(void *)&peer, &peer_len) < 0)
            error = ECONNREFUSED;
        if (!error)
            return (int)i;
        attempt_close(a);
        attempt_failed(r, i, error);
    }
    return -1;
}

static void win(struct race *r, unsigned i)
{
    struct attempt *a = &r->attempts[i];
    int fd = a->fd;

    loop_fd_free(a->watch);
    a->watch = NULL;
    a->fd = -1;
    r->running--;
    for (unsigned k = 0; k < r->started; k++)
        attempt_close(&r->attempts[k]);
    loop_timer_stop(r->timer);
    r->started = r->addrs.len;
    r->done(r->arg, fd, addr_at(r, i), NULL); /* may free r */
}

static void run_task(struct loop_task *t)
{
    struct race *r = container_of(t, struct race, task);
    int winner = find_winner(r);

    if (winner >= 0) {
        win(r, (unsigned)winner);
        return;
    }
    while (r->started < r->addrs.len && (r->running == 0 || r->next_due)) {
        unsigned i = r->started++;
        int error;

        if (!allowed(r, i))
            continue;
        error = attempt_start(r, i);
        if (error) {
            attempt_failed(r, i, error);
            continue;
        }
        r->next_due = false;
        loop_timer_start(r->timer, HAPPY_EYEBALLS_MS);
    }
    if (r->running == 0) {
        loop_timer_stop(r->timer);
        r->done(r->arg, -1, NULL, &r->last); /* may free r */
    }
}

struct race *race_create(struct loop *l, const struct dns_addrs *addrs, const struct egress *egress,
                         void (*done)(void *arg, int fd, const struct sockaddr *sa,
                                      const struct err *e),
                         void *arg)
{
    struct race *r = xcalloc(1, sizeof(*r));

    r->loop = l;
    r->egress = egress;
    r->done = done;
    r->arg = arg;
    r->addrs = *addrs;
    for (unsigned i = 0; i < ADDRESSES_MAX; i++)
        r->attempts[i] = (struct attempt){.race = r, .fd = -1};
    r->timer = loop_timer_create(l, on_timer, r);
    loop_task_init(&r->task, run_task);
    loop_task_post(l, &r->task);
    return r;
}

const struct sockaddr *race_last(const struct race *r)
{
    return r && r->started ? addr_at(r, r->started - 1) : NULL;
}

void race_free(struct race *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->addrs.len; i++)
        attempt_close(&r->attempts[i]);
    loop_timer_free(r->timer);
    loop_task_cancel(&r->task);
    free(r);
}
