/* The HTTP server: bodies, and requests that can be read in two ways. */
#include "../../lib/unit.h"
#include "http_server_world.h"

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

/* Each is answered once, with 400 or the given status, and nothing behind it is parsed. */
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
        {"GET /now HTTP/1.1\r\nHost: x\r\n\n" POST("Content-Length: 5\r\n", "hello"), "400"},
        {"POST /sink HTTP/1.1\r\nHost: x\r\n\n", "400"},
        {"\n" POST("", ""), "400"},
        {"\r\n\r\n" POST("", ""), "400"},
    };
    struct fixture *f = *state;

    open_sink(f);
    FOR_ROWS (i, bad) {
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

/* A client that sends only empty lines does not keep its place. */
static void test_T10_one_empty_line_before_a_request(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    int fd;

    clock_fake(now, 1);
    fd = connect_to(http_server_port(f->server));
    for (unsigned i = 0; i < 4; i++) {
        (void)send(fd, "\r\n", 2, MSG_NOSIGNAL); /* it may be refused already */
        pass(f, &now, HTTP_HEAD_MS / 2 + 1);
    }
    read_end(f, fd);
    clock_fake(0, 0);
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

/* <n> times <text> after <begin>: the answer is <status>. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bodies_with_a_length_and_in_chunks),
        TEST(test_a_body_may_be_refused_while_it_comes),
        TEST(test_N02_bodies_that_are_too_long),
        TEST(test_N08_client_goes_in_the_body_or_before_the_answer),
        TEST(test_N01_slow_bodies_and_answers_end),
        TEST(test_expect_continue),
        TEST(test_N06_N07_what_can_be_read_in_two_ways_is_refused),
        TEST(test_T10_one_empty_line_before_a_request),
        TEST(test_N06_a_nul_in_a_header),
        TEST(test_N07_long_lines_and_many_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
