/*
 * For the tests of conn.c: an owner that records the callbacks, checks that none is called from
 * inside one of its own calls, and turns the loop until a condition is true. Included by one file
 * per program.
 */
#ifndef TEST_UNIT_NET_OWNER_H
#define TEST_UNIT_NET_OWNER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "loop/dns.h"
#include "loop/loop.h"
#include "net/conn.h"

#define WAIT_MS 60000

/* Also while the clock is faked. */
static inline uint64_t real_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Turns <loop> until <condition>; fails after WAIT_MS of real time. */
#define UNTIL(loop, condition)                                                                     \
    for (uint64_t until_end = real_ms() + WAIT_MS; !(condition); loop_turn((loop), 10))            \
        if (real_ms() > until_end)                                                                 \
    fail_msg("waited in vain for: %s", #condition)

struct fixture {
    struct loop loop;
    struct dns *dns;
    int listener; /* on 127.0.0.1, non-blocking */
    uint16_t port;
    unsigned fds;
};

enum free_when {
    FREE_LATER = 0,
    FREE_IN_OPENED,
    FREE_IN_READABLE,
    FREE_IN_WRITABLE,
    FREE_IN_ENDED
};

struct owner {
    struct fixture *f;
    struct conn *conn;
    unsigned calling; /* inside a conn_*() call */
    unsigned opened, readable, writable, ended;
    enum conn_end how;
    struct err err;
    struct buf got;
    size_t got_at_end; /* got.len when <ended> was called */
    enum free_when free_when;
};

static inline void owner_free(struct owner *o)
{
    o->calling++;
    conn_free(o->conn);
    o->calling--;
    o->conn = NULL;
}

static inline void owner_release(struct owner *o)
{
    owner_free(o);
    buf_release(&o->got);
}

static inline size_t owner_write(struct owner *o, const void *p, size_t n)
{
    size_t k;

    o->calling++;
    k = conn_write(o->conn, p, n);
    o->calling--;
    return k;
}

static inline void owner_shutdown(struct owner *o)
{
    o->calling++;
    conn_shutdown(o->conn);
    o->calling--;
}

static inline void on_opened(void *arg)
{
    struct owner *o = arg;

    assert_int_equal(o->calling, 0);
    assert_int_equal(o->opened + o->ended, 0);
    assert_true(conn_is_open(o->conn));
    o->opened++;
    if (o->free_when == FREE_IN_OPENED)
        owner_free(o);
}

static inline void on_readable(void *arg)
{
    struct owner *o = arg;
    char part[5000];
    size_t k;

    assert_int_equal(o->calling, 0);
    assert_int_equal(o->ended, 0);
    o->readable++;
    if (o->free_when == FREE_IN_READABLE) {
        owner_free(o);
        return;
    }
    do {
        o->calling++;
        k = conn_read(o->conn, part, sizeof(part));
        o->calling--;
        if (k)
            assert_int_equal(buf_add(&o->got, part, k), 0);
    } while (k);
}

static inline void on_writable(void *arg)
{
    struct owner *o = arg;

    assert_int_equal(o->calling, 0);
    assert_int_equal(o->ended, 0);
    o->writable++;
    if (o->free_when == FREE_IN_WRITABLE)
        owner_free(o);
}

static inline void on_ended(void *arg, enum conn_end how, const struct err *e)
{
    struct owner *o = arg;

    assert_int_equal(o->calling, 0);
    assert_int_equal(o->ended, 0);
    assert_true((how == CONN_END_FAILED) == (o->opened == 0));
    o->ended++;
    o->how = how;
    o->err = *e;
    o->got_at_end = o->got.len;
    if (o->free_when == FREE_IN_ENDED)
        owner_free(o);
}

static const struct conn_ops owner_ops = {on_opened, on_readable, on_writable, on_ended};
static const struct conn_ops deaf_ops = {on_opened, NULL, NULL, on_ended};

static inline void owner_connect(struct owner *o, struct fixture *f, const struct conn_config *cfg,
                                 const struct conn_ops *ops)
{
    *o = (struct owner){.f = f, .got = BUF_INIT(64 << 20)};
    o->conn = conn_create(&f->loop, f->dns, cfg, ops, o);
    assert_non_null(o->conn);
    assert_int_equal(o->opened + o->ended, 0);
}

static inline int listen_on(const char *ip, uint16_t *port, int backlog)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, ip, &sa.sin_addr), 1);
    sa.sin_port = htons(*port);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

/* A listener that answers no SYN any more; the connections that fill it go to <fill>. */
static inline int listen_full(uint16_t *port, int *fill, size_t count)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd;

    *port = 0;
    fd = listen_on("127.0.0.1", port, 0);
    sa.sin_port = htons(*port);
    for (size_t i = 0; i < count; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fill[i] >= 0);
        (void)connect(fill[i], (struct sockaddr *)&sa, sizeof(sa));
    }
    return fd;
}

static inline void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(close(fds[i]), 0);
}

/* The next connection, or -1. Non-blocking. */
static inline int accept_one(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static inline unsigned count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    assert_int_equal(closedir(dir), 0);
    return n;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err e = {0};

    loop_init(&f->loop); /* the first one of a process opens what libuv keeps open */
    loop_release(&f->loop);
    f->fds = count_fds();
    loop_init(&f->loop);
    f->dns = dns_create(&f->loop, NULL, &e);
    assert_non_null(f->dns);
    f->listener = listen_on("127.0.0.1", &f->port, 16);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    clock_fake(0, 0);
    dns_free(f->dns);
    loop_release(&f->loop);
    assert_int_equal(close(f->listener), 0);
    assert_int_equal(count_fds(), f->fds);
    free(f);
    return 0;
}

#endif
