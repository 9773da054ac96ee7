/* The HTTP server: requests without a body, their answers, and the connections. */
#include "http_server_world.h"

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

/* Its own oldest connection is evicted, so that a probe from there gets through, too. */
static void test_N01_one_address_does_not_get_all_places(void **state)
{
    struct fixture *f = *state;
    struct http_server_stats stats;
    int fds[HTTP_PEER_CONNECTIONS_MAX + 1];

    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to(http_server_port(f->server));
        loop_turn(&f->loop, 1);
    }
    read_end(f, fds[0]);
    http_server_stats(f->server, &stats);
    assert_int_equal(stats.evicted, 1);
    assert_int_equal(stats.connections, HTTP_PEER_CONNECTIONS_MAX);
    say(fds[HTTP_PEER_CONNECTIONS_MAX], GET("/now"));
    read_answer(f, fds[HTTP_PEER_CONNECTIONS_MAX], false);
    for (unsigned i = 1; i < ARRAY_LEN(fds); i++)
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

/* Many addresses take all places with silent connections, or half a request: a later client is
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

static void expect_now(struct fixture *f, uint32_t source)
{
    int fd = connect_from(source, http_server_port(f->server));

    say(fd, GET("/now"));
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "HTTP/1.1 200 OK\r\n");
    close(fd);
}

/* Unread answers take all places: they are evicted, for others and for the same address, and
 * together they stay within their bound. A client that reads is always served. */
static void test_T04_who_does_not_read_makes_room(void **state)
{
    struct fixture *f = *state;
    struct http_server_stats stats;
    int fds[HTTP_CONNECTIONS_MAX + 8], small = 4096;
    unsigned n = 0;

    for (; n < ARRAY_LEN(fds); n++) {
        fds[n] = connect_from(INADDR_LOOPBACK + 1 + n % 5, http_server_port(f->server));
        (void)setsockopt(fds[n], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        say(fds[n], GET("/large") GET("/large") GET("/large"));
        loop_turn(&f->loop, 1);
        http_server_stats(f->server, &stats);
        assert_true(stats.held <= HTTP_HELD_MAX + 2 * LARGE);
        if (n % 16 == 0)
            expect_now(f, INADDR_LOOPBACK + 1);
        if (n % 16 == 8)
            expect_now(f, INADDR_LOOPBACK + 100);
    }
    http_server_stats(f->server, &stats);
    assert_true(stats.evicted >= 200);
    while (n)
        close(fds[--n]);
}

/* The time is that of the answer, not of each piece of it. */
static void test_T04_an_answer_has_a_total_time(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    int fd, small = 4096;

    clock_fake(now, 1);
    fd = connect_to(http_server_port(f->server));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(fd, GET("/large"));
    for (unsigned i = 0; i < 4; i++) {
        char piece[8192];

        WAIT_FOR(f, recv(fd, piece, sizeof(piece), MSG_DONTWAIT) > 0);
        pass(f, &now, HTTP_WRITE_MS / 4 + 1);
    }
    read_end(f, fd);
    assert_true(f->in.len < LARGE);
    clock_fake(0, 0);
}

/* Bodies that are being sent are not evicted for their own address: it gets a guest's place, for a
 * GET. They are for an address with fewer connections. */
static void test_T04_bodies_leave_room_for_probes(void **state)
{
    struct fixture *f = *state;
    struct http_server_stats stats;
    int fds[HTTP_CONNECTIONS_MAX], fd;

    open_sink(f);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_from(INADDR_LOOPBACK + 1 + i % 4, http_server_port(f->server));
        say(fds[i], POST("Content-Length: 900\r\n", "abc"));
        loop_turn(&f->loop, 1);
    }
    WAIT_FOR(f, f->begun == HTTP_CONNECTIONS_MAX);
    for (unsigned i = 0; i < 2 * HTTP_GUESTS_MAX; i++) {
        fd = connect_from(INADDR_LOOPBACK + 1, http_server_port(f->server)); /* sends nothing */
        expect_now(f, INADDR_LOOPBACK + 1);
        close(fd);
    }
    fd = connect_from(INADDR_LOOPBACK + 1, http_server_port(f->server));
    buf_clear(&f->in);
    say(fd, POST("Content-Length: 5\r\n", "hello"));
    read_end(f, fd);
    ASSERT_HAS(f->in.p, "HTTP/1.1 503 ");
    http_server_stats(f->server, &stats);
    assert_int_equal(stats.evicted, 0);
    fd = connect_from(INADDR_LOOPBACK + 100, http_server_port(f->server));
    say(fd, POST("Content-Length: 5\r\n", "hello"));
    read_answer(f, fd, false);
    ASSERT_HAS(f->in.p, "\r\n\r\nhello");
    close(fd);
    assert_int_equal(f->gone, 1);
    for (unsigned i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

/* 1,000 requests at once: others have their turn in between. */
static void test_T04_big_pipelines_take_turns(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(http_server_port(f->server)), other;
    unsigned before;

    for (unsigned i = 0; i < 1000; i++)
        say(fd, GET("/now"));
    WAIT_FOR(f, f->requests);
    other = connect_to(http_server_port(f->server));
    say(other, GET("/now"));
    before = f->requests;
    WAIT_FOR(f, (read_more(f, other), f->in.len > 0));
    assert_in_range(f->requests - before, 1, 8);
    WAIT_FOR(f, (read_more(f, fd), f->requests == 1001));
    close(fd);
    close(other);
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
        TEST(test_T04_who_does_not_read_makes_room),
        TEST(test_T04_an_answer_has_a_total_time),
        TEST(test_T04_bodies_leave_room_for_probes),
        TEST(test_T04_big_pipelines_take_turns),
        TEST(test_N01_slow_heads_end),
        TEST(test_port_in_use_and_bad_address),
        TEST(test_all_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
