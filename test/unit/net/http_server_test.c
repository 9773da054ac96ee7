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

    say(fd, GET("/now") GET("/nowhere") "GET /now HTTP/1.1\r\nConnection: close\r\n\r\n");
    WAIT_FOR(f, f->requests == 3 && !read_more(f, fd));
    ASSERT_HAS(f->in.p, "\r\n\r\nhelloHTTP/1.1 404 ");
    ASSERT_HAS(f->in.p, "no such page\nHTTP/1.1 200 OK\r\n");
    close(fd);
}

static void test_large_body_comes_whole(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server));
    int small = 4096;

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

static void test_more_clients_than_places_wait(void **state)
{
    struct fixture *f = *state;
    int fds[80];

    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to(http_server_port(f->server));
        loop_turn(&f->loop, 1);
    }
    say(fds[79], GET("/now"));
    for (unsigned i = 0; i < 10; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(f->requests, 0);
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
    read_answer(f, fds[79], false);
    for (unsigned i = 40; i < 80; i++)
        close(fds[i]);
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
        TEST(test_more_clients_than_places_wait),
        TEST(test_port_in_use_and_bad_address),
        TEST(test_all_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
