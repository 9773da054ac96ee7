/*
 * http_server.c from the client's side, with raw sockets on the same loop.
 */
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

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/http_server.h"

#define DEADLINE_MS 20000
#define ASSERT_HAS(text, part)                                                                     \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("'%s' does not contain '%s'", (text), (part));                                \
    } while (0)
#define WAIT_FOR(f, condition)                                                                     \
    do {                                                                                           \
        uint64_t until = clock_mono_ms() + DEADLINE_MS;                                            \
        while (!(condition)) {                                                                     \
            if (clock_mono_ms() > until)                                                           \
                fail_msg("waited too long for: %s", #condition);                                   \
            loop_turn(&(f)->loop, 20);                                                             \
        }                                                                                          \
    } while (0)

#define LARGE (1024 * 1024)

struct fixture {
    struct loop loop;
    struct http_server *server;
    unsigned requests;
    char path[256], query[256];
    struct http_reply *held; /* of /later */
    struct buf in;           /* what read_more() has got */
    struct http_sink sink;
    struct buf body, headers; /* that the sink got */
    unsigned begun, ended, gone;
};

static void handle(void *arg, struct str path, struct str query, struct http_reply *r)
{
    struct fixture *f = arg;
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

static int setup(void **state)
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

static int teardown(void **state)
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

static int connect_to(uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);

    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* False when the server has closed. */
static bool read_more(struct fixture *f, int fd)
{
    char chunk[65536];
    ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

    if (n > 0)
        assert_int_equal(buf_add(&f->in, chunk, (size_t)n), 0);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

/* One whole answer, headers and Content-Length bytes (none after HEAD). */
static void read_answer(struct fixture *f, int fd, bool head)
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

static void read_end(struct fixture *f, int fd)
{
    WAIT_FOR(f, !read_more(f, fd));
    close(fd);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static void test_get(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    say(fd, GET("/now?a=1&b=2"));
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "HTTP/1.1 200 OK\r\n");
    ASSERT_HAS(f->in.p, "content-type: text/plain\r\n");
    ASSERT_HAS(f->in.p, "content-length: 5\r\n");
    ASSERT_HAS(f->in.p, "\r\n\r\nhello");
    assert_string_equal(f->path, "/now");
    assert_string_equal(f->query, "a=1&b=2");
    say(fd, GET("/nowhere")); /* same connection */
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "HTTP/1.1 404 ");
    ASSERT_HAS(f->in.p, "no such page\n");
    assert_string_equal(f->query, "");
    say(fd, GET("/empty"));
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "content-length: 0\r\n");
    close(fd);
}

static void test_head_has_no_body(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    say(fd, "HEAD /now HTTP/1.1\r\nHost: x\r\n\r\n");
    read_answer(f, fd, true);
    ASSERT_HAS(f->in.p, "content-length: 5\r\n");
    say(fd, GET("/now"));
    read_answer(f, fd, false);
    close(fd);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    say(fd,
        GET("/now") GET("/nowhere") "GET /now HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    WAIT_FOR(f, f->requests == 3 && !read_more(f, fd));
    ASSERT_HAS(f->in.p, "\r\n\r\nhelloHTTP/1.1 404 ");
    ASSERT_HAS(f->in.p, "no such page\nHTTP/1.1 200 OK\r\n");
    close(fd);
}

static void test_large_body_comes_whole(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));
    int small = 65536; /* much less than that, and the sockets themselves crawl */

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(fd, GET("/large"));
    read_answer(f, fd, false);
    assert_true(f->in.len > LARGE);
    say(fd, GET("/now"));
    read_answer(f, fd, false);
    close(fd);
}

static void test_reply_may_come_later(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));
    int other = connect_to(http_server_port(f->server));

    say(fd, GET("/later"));
    WAIT_FOR(f, f->held);
    say(other, GET("/now")); /* meanwhile others are served */
    read_answer(f, other, false);
    http_reply_send(f->held, 200, "text/plain", STR("at last"));
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "at last");
    close(fd);
    close(other);
}

static void test_client_may_go_before_the_reply(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    say(fd, GET("/later"));
    WAIT_FOR(f, f->held);
    close(fd);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 10);
    http_reply_send(f->held, 200, "text/plain", STR("nobody"));
    f->held = NULL;
    fd = connect_to(http_server_port(f->server)); /* and at the very moment of the reply */
    say(fd, GET("/later"));
    WAIT_FOR(f, f->held);
    http_reply_send(f->held, 200, "text/plain", STR("nobody"));
    close(fd);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 10);
}

static void test_server_may_go_before_the_reply(void **state)
{
    struct fixture *f = *state;
    int fds[4];

    for (unsigned i = 0; i < 4; i++)
        fds[i] = connect_to(http_server_port(f->server));
    say(fds[0], GET("/later"));
    say(fds[1], "GET /ha"); /* half a request */
    say(fds[2], GET("/large"));
    WAIT_FOR(f, f->requests == 2);
    http_server_free(f->server);
    f->server = NULL;
    for (unsigned i = 0; i < 4; i++)
        read_end(f, fds[i]);
}

static void test_other_methods_are_refused(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    say(fd, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 405 ");
    ASSERT_HAS(f->in.p, "allow: GET, HEAD\r\n");
    buf_clear(&f->in);
    fd = connect_to(http_server_port(f->server));
    say(fd, "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n");
    read_end(f, fd);
    assert_int_equal(f->requests, 0);
}

static void test_upgrades_are_refused(void **state)
{
    static const char *const asked[] = {
        "GET /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_LEN(asked); i++) {
        int fd = connect_to(http_server_port(f->server));

        buf_clear(&f->in);
        say(fd, asked[i]);
        read_end(f, fd);
        assert_null(f->in.len ? strstr(f->in.p, " 101 ") : NULL);
    }
}

static void test_big_headers_are_refused(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));
    char *big = xmalloc(20001);

    memset(big, 'x', 20000);
    big[20000] = '\0';
    say(fd, "GET /now HTTP/1.1\r\nHost: x\r\nX-Big: ");
    (void)send(fd, big, 20000, MSG_NOSIGNAL); /* may be cut short by the server's refusal */
    (void)send(fd, "\r\n\r\n", 4, MSG_NOSIGNAL);
    read_end(f, fd);
    assert_null(f->in.len ? strstr(f->in.p, " 200 ") : NULL);
    free(big);
    fd = connect_to(http_server_port(f->server));
    say(fd, GET("/now"));
    read_answer(f, fd, false);
    close(fd);
}

static void test_N01_one_address_does_not_get_all_places(void **state)
{
    struct fixture *f = *state;
    struct http_server_stats stats;
    int fds[HTTP_PEER_CONNECTIONS_MAX + 1];

    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to(http_server_port(f->server));
        loop_turn(&f->loop, 1);
    }
    read_end(f, fds[HTTP_PEER_CONNECTIONS_MAX]);
    http_server_stats(f->server, &stats);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(stats.connections, HTTP_PEER_CONNECTIONS_MAX);
    close(fds[0]);
    WAIT_FOR(f,
             (http_server_stats(f->server, &stats), stats.connections < HTTP_PEER_CONNECTIONS_MAX));
    fds[0] = connect_to(http_server_port(f->server));
    say(fds[0], GET("/now"));
    read_answer(f, fds[0], false);
    for (unsigned i = 0; i < HTTP_PEER_CONNECTIONS_MAX; i++)
        close(fds[i]);
}

static int connect_from(uint32_t source, uint16_t port)
{
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Many addresses take all places and say nothing, or half a request: who comes after them is
 * served. */
static void test_N01_who_asks_nothing_makes_place(void **state)
{
    struct fixture *f = *state;
    struct http_server_stats stats;
    int fds[HTTP_CONNECTIONS_MAX + 16];
    int fd;

    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_from(INADDR_LOOPBACK + 1 + i % 8, http_server_port(f->server));
        if (i % 2)
            say(fds[i], "GET /now HTTP/1.1\r\nHos");
        loop_turn(&f->loop, 1);
    }
    fd = connect_to(http_server_port(f->server));
    say(fd, GET("/now"));
    read_answer(f, fd, false);
    http_server_stats(f->server, &stats);
    assert_true(stats.evicted >= 16);
    assert_true(stats.connections <= HTTP_CONNECTIONS_MAX);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(fd);
}

/* Turns, and then so much later, turns. */
static void pass(struct fixture *f, uint64_t *now, uint64_t ms)
{
    for (int i = 0; i < 4; i++)
        loop_turn(&f->loop, 1);
    clock_fake(*now += ms, 1);
    for (int i = 0; i < 4; i++)
        loop_turn(&f->loop, 1);
}

static void test_N01_slow_heads_end(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    int silent, half, idle;

    clock_fake(now, 1);
    silent = connect_to(http_server_port(f->server));
    half = connect_to(http_server_port(f->server));
    idle = connect_to(http_server_port(f->server));
    say(half, "GET /now HT");
    say(idle, GET("/now"));
    read_answer(f, idle, false);
    pass(f, &now, HTTP_HEAD_MS / 2);
    say(half, "TP/1.1\r\n"); /* one more byte does not give it more time */
    pass(f, &now, HTTP_HEAD_MS / 2 + 1);
    read_end(f, silent);
    buf_clear(&f->in);
    read_end(f, half);
    ASSERT_HAS(f->in.p, "HTTP/1.1 408 ");
    say(idle, GET("/now"));
    read_answer(f, idle, false);
    pass(f, &now, HTTP_IDLE_MS + 1);
    read_end(f, idle);
    clock_fake(0, 0);
}

/* ---- bodies ---- */

static void sink_begin(void *arg, const struct http_incoming *q, struct http_reply *r)
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

static void sink_body(void *arg, struct http_reply *r, struct str piece)
{
    struct fixture *f = arg;

    assert_ptr_equal(http_reply_data(r), f);
    assert_int_equal(buf_add_str(&f->body, piece), 0);
    if (str_find(piece, '!') >= 0)
        http_reply_send(r, 400, "text/plain", STR("no exclamation\n"));
}

static void sink_end(void *arg, struct http_reply *r)
{
    struct fixture *f = arg;

    f->ended++;
    assert_true(str_eq(http_reply_peer(r), STR("127.0.0.1")));
    if (f->body.len && f->body.p[0] == 'L')
        f->held = r;
    else
        http_reply_send(r, 200, "text/plain", buf_str(&f->body));
}

static void sink_gone(void *arg, struct http_reply *r)
{
    struct fixture *f = arg;

    (void)r;
    f->gone++;
}

static void open_sink(struct fixture *f)
{
    f->sink = (struct http_sink){STR("/sink"), 1000, sink_begin, sink_body, sink_end, sink_gone, f};
    http_server_add_sink(f->server, &f->sink);
}

#define POST(headers, body) "POST /sink HTTP/1.1\r\nHost: x\r\n" headers "\r\n" body

static void test_bodies_with_a_length_and_in_chunks(void **state)
{
    static const char all[] =
        POST("Content-Length: 5\r\nAuthorization: Bearer abc\r\nContent-Type: text/x\r\n", "hello")
            POST("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n",
                 "3\r\nabc\r\n00a;x=y\r\n0123456789\r\n0\r\nTrailer: z\r\n\r\n")
                POST("Content-Length: 0\r\n", "") POST("", "") "\r\n" GET("/now");
    struct fixture *f = *state;

    open_sink(f);
    for (size_t step = 1; step < sizeof(all); step = step < 8 ? step + 1 : step * 3) {
        int fd = connect_to(http_server_port(f->server));

        f->ended = 0;
        buf_clear(&f->in);
        buf_clear(&f->headers);
        for (size_t at = 0; at < sizeof(all) - 1; at += step) {
            size_t n = sizeof(all) - 1 - at < step ? sizeof(all) - 1 - at : step;

            assert_int_equal(send(fd, all + at, n, MSG_NOSIGNAL), n);
            loop_turn(&f->loop, 0);
        }
        WAIT_FOR(f, (read_more(f, fd),
                     f->in.len && strstr(f->in.p, "\r\n\r\nhello") != NULL &&
                         strstr(strstr(f->in.p, "\r\n\r\nhello") + 9, "\r\n\r\nhello") != NULL));
        ASSERT_HAS(f->in.p, "\r\n\r\nabc0123456789HTTP/1.1 200 OK\r\n");
        assert_int_equal(f->ended, 4);
        ASSERT_HAS(f->headers.p, "[Bearer abc||text/x][|gzip|][||][||]");
        close(fd);
    }
}

static void test_a_body_may_be_refused_while_it_comes(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    open_sink(f);
    say(fd, "POST /sink?refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nabc");
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 503 ");
    ASSERT_HAS(f->in.p, "retry-after: 7\r\n");
    ASSERT_HAS(f->in.p, "connection: close\r\n");
    buf_clear(&f->in);
    fd = connect_to(http_server_port(f->server));
    say(fd, POST("Content-Length: 500\r\n", "abc! and more"));
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 400 ");
    assert_int_equal(f->ended + f->gone, 0);
}

static void test_N02_bodies_that_are_too_long(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));
    char large[2000];

    open_sink(f);
    say(fd, POST("Content-Length: 1001\r\n", ""));
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 413 ");
    assert_int_equal(f->begun, 0);
    buf_clear(&f->in);
    fd = connect_to(http_server_port(f->server));
    say(fd, POST("Transfer-Encoding: chunked\r\n", "3e9\r\n"));
    memset(large, 'x', sizeof(large));
    assert_int_equal(send(fd, large, sizeof(large), MSG_NOSIGNAL), sizeof(large));
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 413 ");
    assert_int_equal(f->gone, 1);
    assert_int_equal(f->ended, 0);
}

static void test_N08_client_goes_in_the_body_or_before_the_answer(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    open_sink(f);
    say(fd, POST("Content-Length: 50\r\n", "abc"));
    WAIT_FOR(f, f->body.len == 3);
    close(fd);
    WAIT_FOR(f, f->gone == 1);
    assert_int_equal(f->ended, 0);
    fd = connect_to(http_server_port(f->server));
    say(fd, POST("Content-Length: 5\r\n", "Later"));
    WAIT_FOR(f, f->held);
    close(fd);
    http_reply_send(f->held, 200, "text/plain", STR("nobody"));
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 10);
    assert_int_equal(f->gone, 1);
}

static void test_N01_slow_bodies_and_answers_end(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    int slow, waits;

    open_sink(f);
    clock_fake(now, 1);
    slow = connect_to(http_server_port(f->server));
    say(slow, POST("Content-Length: 900\r\n", "abc"));
    pass(f, &now, HTTP_PACE_MS / 2);
    say(slow, "d");
    pass(f, &now, HTTP_PACE_MS / 2 + 1);
    read_end(f, slow);
    ASSERT_HAS(f->in.p, "HTTP/1.1 408 ");
    assert_int_equal(f->gone, 1);
    waits = connect_to(http_server_port(f->server));
    say(waits, POST("Content-Length: 5\r\n", "Later"));
    WAIT_FOR(f, f->held);
    pass(f, &now, HTTP_ANSWER_MS + 1);
    read_end(f, waits);
    http_reply_send(f->held, 200, "text/plain", STR("nobody"));
    clock_fake(0, 0);
}

static void test_expect_continue(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    open_sink(f);
    say(fd, POST("Content-Length: 5\r\nExpect: 100-continue\r\n", ""));
    WAIT_FOR(f, (read_more(f, fd), f->in.len));
    assert_string_equal(f->in.p, "HTTP/1.1 100 Continue\r\n\r\n");
    say(fd, "hello");
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "\r\n\r\nhello");
    close(fd);
}

/* Each is answered once, with 400 or what is given, and nothing behind it is looked at. */
static void test_N06_N07_what_can_be_read_in_two_ways_is_refused(void **state)
{
    static const struct {
        const char *text;
        const char *status;
    } bad[] = {
        {POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "400"},
        {POST("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400"},
        {POST("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400"},
        {POST("Content-Length: +5\r\n", "hello"), "400"},
        {POST("Content-Length: 0x5\r\n", "hello"), "400"},
        {POST("Content-Length: 5,5\r\n", "hello"), "400"},
        {POST("Content-Length: 5 5\r\n", "hello"), "400"},
        {POST("Content-Length: -1\r\n", "hello"), "400"},
        {POST("Content-Length:\r\n", "hello"), "400"},
        {POST("Content-Length: 99999999999999999999\r\n", "hello"), "400"},
        {POST("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: identity\r\n", "0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), "400"},
        {POST("Content-Length : 5\r\n", "hello"), "400"},
        {POST("X: a\r\n Content-Length: 5\r\n", "hello"), "400"},
        {POST("X: a\nContent-Length: 5\r\n", "hello"), "400"},
        {POST("X: a\rContent-Length: 5\r\n", "hello"), "400"},
        {POST("X\r\n", ""), "400"},
        {POST(": x\r\n", ""), "400"},
        {POST("Host: y\r\n", ""), "400"},
        {"POST /sink HTTP/1.1\r\n\r\n", "400"},
        {"POST /sink HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
        {"POST /sink HTTP/1.1\nHost: x\n\n", "400"},
        {"GET  /now HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"GET /now\r\n\r\n", "400"},
        {"GET /now HTTP/2.0\r\nHost: x\r\n\r\n", "505"},
        {"GET /now HTTP/1.1 \r\nHost: x\r\n\r\n", "400"},
        {"GET now HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        {"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
        {"GET /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", "400"},
        {POST("Expect: miracles\r\n", ""), "417"},
        {POST("Transfer-Encoding: chunked\r\n", "-1\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", "0x1\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", "000000001\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", "ffffffffffffffff1\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", " 3\r\nabc\r\n0\r\n\r\n"), "400"},
        {POST("Transfer-Encoding: chunked\r\n", "0\r\n\n"), "400"},
    };
    struct fixture *f = *state;

    open_sink(f);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        int fd = connect_to(http_server_port(f->server));
        char status[32];

        buf_clear(&f->in);
        f->ended = f->requests = 0;
        say(fd, bad[i].text);
        say(fd, GET("/now"));
        read_end(f, fd);
        (void)snprintf(status, sizeof(status), "HTTP/1.1 %s ", bad[i].status);
        if (f->in.len < 12 || strncmp(f->in.p, status, strlen(status)) != 0)
            fail_msg("'%s': %s", bad[i].text, buf_cstr(&f->in));
        assert_null(strstr(f->in.p, "\nHTTP/1.1"));
        ASSERT_HAS(f->in.p, "connection: close\r\n");
        assert_int_equal(f->ended + f->requests, 0);
    }
}

static void test_N06_a_nul_in_a_header(void **state)
{
    static const char bad[] = "GET /now HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n";
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));

    assert_int_equal(send(fd, bad, sizeof(bad) - 1, MSG_NOSIGNAL), sizeof(bad) - 1);
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 400 ");
}

/* <n> times <text> behind <begin>: what comes back is <status>. */
static void flood(struct fixture *f, const char *begin, const char *text, size_t n,
                  const char *status)
{
    int fd = connect_to(http_server_port(f->server));

    buf_clear(&f->in);
    say(fd, begin);
    for (size_t i = 0; i < n; i++) {
        (void)send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT); /* until it is refused */
        if (i % 64 == 0)
            loop_turn(&f->loop, 0);
    }
    read_end(f, fd);
    ASSERT_HAS(f->in.p, status);
    assert_null(strstr(f->in.p, "\nHTTP/1.1"));
}

static void many_headers(struct fixture *f)
{
    int fd = connect_to(http_server_port(f->server));

    buf_clear(&f->in);
    say(fd, "GET /now HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < HTTP_REQUEST_HEADERS_MAX; i++)
        say(fd, "a:\r\n");
    say(fd, "\r\n");
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 431 ");
}

static void test_N07_long_lines_and_many_headers(void **state)
{
    struct fixture *f = *state;

    open_sink(f);
    flood(f, "GET /", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 4000,
          "HTTP/1.1 414 ");
    flood(f, "GET / HTTP/1.1\r\n", "X-Name: a value that is not short, but not long either\r\n",
          4000, "HTTP/1.1 431 ");
    many_headers(f);
    flood(f, POST("Transfer-Encoding: chunked\r\n", "5;"),
          "extension extension extension extension extension extension ext", 4000, "HTTP/1.1 400 ");
}

static void test_port_in_use_and_bad_address(void **state)
{
    struct fixture *f = *state;
    struct err e = {.code = 0};
    char text[64];

    assert_null(
        http_server_create(&f->loop, STR("127.0.0.1"), http_server_port(f->server), handle, f, &e));
    (void)snprintf(text, sizeof(text), "http: listen on port %u: Address already in use",
                   http_server_port(f->server));
    assert_string_equal(e.text, text);
    assert_null(http_server_create(&f->loop, STR("localhost"), 0, handle, f, &e));
    ASSERT_HAS(e.text, "'localhost' is not an address");
}

static void test_all_addresses(void **state)
{
    struct fixture *f = *state;
    struct err e = {.code = 0};
    struct http_server *all = http_server_create(&f->loop, STR(""), 0, handle, f, &e);
    int fd;

    assert_non_null(all);
    fd = connect_to(http_server_port(all)); /* IPv4 on the IPv6 socket */
    say(fd, GET("/now"));
    read_answer(f, fd, false);
    close(fd);
    http_server_free(all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_head_has_no_body),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_large_body_comes_whole),
        TEST(test_reply_may_come_later),
        TEST(test_client_may_go_before_the_reply),
        TEST(test_server_may_go_before_the_reply),
        TEST(test_other_methods_are_refused),
        TEST(test_upgrades_are_refused),
        TEST(test_big_headers_are_refused),
        TEST(test_N01_one_address_does_not_get_all_places),
        TEST(test_N01_who_asks_nothing_makes_place),
        TEST(test_bodies_with_a_length_and_in_chunks),
        TEST(test_a_body_may_be_refused_while_it_comes),
        TEST(test_N02_bodies_that_are_too_long),
        TEST(test_N08_client_goes_in_the_body_or_before_the_answer),
        TEST(test_N01_slow_heads_end),
        TEST(test_N01_slow_bodies_and_answers_end),
        TEST(test_expect_continue),
        TEST(test_N06_N07_what_can_be_read_in_two_ways_is_refused),
        TEST(test_N06_a_nul_in_a_header),
        TEST(test_N07_long_lines_and_many_headers),
        TEST(test_port_in_use_and_bad_address),
        TEST(test_all_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
