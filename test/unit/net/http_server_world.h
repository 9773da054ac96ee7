/*
 * For the tests of http_server.c and its files: a server, seen from clients with raw sockets on the
 * same loop. Included by one file per program, which need not use all of it.
 */
#ifndef TEST_UNIT_NET_HTTP_SERVER_WORLD_H
#define TEST_UNIT_NET_HTTP_SERVER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/loop_wait.h"
#include "../../lib/unit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/http_server.h"

#define LARGE (1024 * 1024)

struct fixture {
    struct loop loop;
    struct http_server *server;
    unsigned requests;
    char path[256], query[256];
    struct http_reply *held; /* of /later */
    struct buf in;           /* bytes from read_more() */
    struct http_sink sink;
    struct buf body, headers; /* that the sink got */
    unsigned begun, ended, gone;
};

static inline void handle(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct fixture *f = arg;
    struct str path = q->path, query = q->query;
    char *large;

    f->requests++;
    (void)snprintf(f->path, sizeof(f->path), "%.*s", STR_ARG(path));
    (void)snprintf(f->query, sizeof(f->query), "%.*s", STR_ARG(query));
    if (str_eq(path, STR("/now"))) {
        http_reply_send(r, 200, "text/plain", STR("hello"));
    } else if (str_eq(path, STR("/large"))) {
        large = xmalloc(LARGE);
        memset(large, 'x', LARGE);
        http_reply_send(r, 200, "text/plain", str_make(large, LARGE));
        free(large);
    } else if (str_eq(path, STR("/empty"))) {
        http_reply_send(r, 200, "text/plain", STR(""));
    } else if (str_eq(path, STR("/later"))) {
        assert_null(f->held);
        f->held = r;
    } else {
        http_reply_send(r, 404, "text/plain", STR("no such page\n"));
    }
}

static inline int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err e = {.code = 0};

    loop_init(&f->loop);
    buf_init(&f->in, 4 * LARGE);
    buf_init(&f->body, LARGE);
    buf_init(&f->headers, LARGE);
    f->server = http_server_create(&f->loop, STR("127.0.0.1"), 0, handle, f, &e);
    if (!f->server)
        fail_msg("%s", e.text);
    assert_true(http_server_port(f->server) > 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    http_server_free(f->server);
    loop_release(&f->loop);
    buf_release(&f->in);
    buf_release(&f->body);
    buf_release(&f->headers);
    free(f);
    return 0;
}

static inline int connect_to(uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    size_t len = strlen(text);

    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* False when the server has closed. */
static inline bool read_more(struct fixture *f, int fd)
{
    char chunk[65536];
    ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n > 0)
        assert_int_equal(buf_add(&f->in, chunk, (size_t)n), 0);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* One whole answer, headers and Content-Length bytes (none after HEAD). */
static inline void read_answer(struct fixture *f, int fd, bool head)
{
    const char *end, *length;
    size_t body;

    buf_clear(&f->in);
    WAIT_FOR(f, (read_more(f, fd), f->in.len && strstr(f->in.p, "\r\n\r\n")));
    end = strstr(f->in.p, "\r\n\r\n") + 4;
    length = strstr(f->in.p, "content-length: ");
    assert_non_null(length);
    body = head ? 0 : strtoul(length + 16, NULL, 10);
    body += (size_t)(end - f->in.p);
    WAIT_FOR(f, (read_more(f, fd), f->in.len >= body));
    assert_int_equal(f->in.len, body);
}

static inline void read_end(struct fixture *f, int fd)
{
    WAIT_FOR(f, !read_more(f, fd));
    close(fd);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static inline void sink_begin(void *arg, const struct http_incoming *q, struct http_reply *r)
{
    struct fixture *f = arg;

    f->begun++;
    buf_clear(&f->body);
    (void)buf_addf(&f->headers, "[%.*s|%.*s|%.*s]", STR_ARG(q->authorization),
                   STR_ARG(q->content_encoding), STR_ARG(q->content_type));
    http_reply_set_data(r, f);
    if (str_eq(q->query, STR("refuse"))) {
        http_reply_header(r, "retry-after", "7");
        http_reply_send(r, 503, "text/plain", STR("not now\n"));
    }
}

static inline void sink_body(void *arg, struct http_reply *r, struct str piece)
{
    struct fixture *f = arg;

    assert_ptr_equal(http_reply_data(r), f);
    assert_int_equal(buf_add_str(&f->body, piece), 0);
    if (str_find(piece, '!') >= 0)
        http_reply_send(r, 400, "text/plain", STR("no exclamation\n"));
}

static inline void sink_end(void *arg, struct http_reply *r)
{
    struct fixture *f = arg;

    f->ended++;
    assert_true(str_starts(http_reply_peer(r), STR("127.0.0.")));
    if (f->body.len && f->body.p[0] == 'L')
        f->held = r;
    else
        http_reply_send(r, 200, "text/plain", buf_str(&f->body));
}

static inline void sink_gone(void *arg, struct http_reply *r)
{
    struct fixture *f = arg;

    (void)r;
    f->gone++;
}

static inline void open_sink(struct fixture *f)
{
    f->sink = (struct http_sink){STR("/sink"), 1000, sink_begin, sink_body, sink_end, sink_gone, f};
    http_server_add_sink(f->server, &f->sink);
}

#define POST(headers, body) "POST /sink HTTP/1.1\r\nHost: x\r\n" headers "\r\n" body

/* Turns, and then so much later, turns. */
static inline void pass(struct fixture *f, uint64_t *now, uint64_t ms)
{
    for (int i = 0; i < 4; i++)
        loop_turn(&f->loop, 1);
    clock_fake(*now += ms, 1);
    for (int i = 0; i < 4; i++)
        loop_turn(&f->loop, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
