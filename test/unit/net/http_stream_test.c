/* The HTTP server's answers without an end. */
#include "http_server_world.h"

struct watch {
    unsigned written, gone;
};

static void written(void *arg)
{
    ((struct watch *)arg)->written++;
}

static void gone(void *arg)
{
    ((struct watch *)arg)->gone++;
}

/* A client that asked with <request>, and what it is answered to. */
static int begin(struct fixture *f, struct watch *w, const char *request)
{
    const struct http_stream s = {written, gone, w};
    int fd = connect_to(http_server_port(f->server));

    buf_clear(&f->in);
    say(fd, request);
    WAIT_FOR(f, f->held);
    assert_true(http_reply_stream(f->held, "text/x", &s));
    return fd;
}

static void test_pieces_are_chunks(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    int fd = begin(f, &w, GET("/later"));

    http_stream_write(f->held, STR("hello, "));
    WAIT_FOR(f, w.written == 1);
    http_stream_write(f->held, STR("world\n0123456789"));
    WAIT_FOR(f, w.written == 2);
    http_stream_end(f->held, true);
    f->held = NULL;
    WAIT_FOR(f, (read_more(f, fd), f->in.len && strstr(f->in.p, "\r\n0\r\n\r\n")));
    ASSERT_HAS(f->in.p,
               "HTTP/1.1 200 OK\r\ncontent-type: text/x\r\ntransfer-encoding: chunked\r\n");
    ASSERT_HAS(f->in.p, "\r\n\r\n7\r\nhello, \r\n10\r\nworld\n0123456789\r\n0\r\n\r\n");
    say(fd, GET("/now")); /* the connection is good for more */
    read_answer(f, fd, false);
    close(fd);
    assert_int_equal(w.gone, 0);
}

static void test_HTTP_1_0_gets_the_bytes_up_to_the_end(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    int fd = begin(f, &w, "GET /later HTTP/1.0\r\n\r\n");

    http_stream_write(f->held, STR("hello"));
    WAIT_FOR(f, w.written == 1);
    http_stream_end(f->held, true);
    read_end(f, fd);
    assert_null(strstr(f->in.p, "chunked"));
    ASSERT_HAS(f->in.p, "\r\n\r\nhello");
    assert_true(str_ends(buf_str(&f->in), STR("\r\n\r\nhello")));
}

static void test_an_answer_that_is_cut_off_has_no_last_chunk(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    int fd = begin(f, &w, GET("/later"));

    http_stream_write(f->held, STR("hello"));
    WAIT_FOR(f, w.written == 1);
    http_stream_end(f->held, false);
    read_end(f, fd);
    assert_true(str_ends(buf_str(&f->in), STR("\r\nhello\r\n")));
    assert_int_equal(w.gone, 0);
}

static void test_a_piece_is_written_when_the_client_has_read(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    int fd = begin(f, &w, GET("/later"));
    char *large = xmalloc(16 * (size_t)LARGE);

    memset(large, 'x', 16 * (size_t)LARGE);
    http_stream_write(f->held, str_make(large, 16 * (size_t)LARGE));
    for (int i = 0; i < 20; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(w.written, 0);
    f->in.max = 32 * (size_t)LARGE;
    WAIT_FOR(f, (read_more(f, fd), w.written == 1));
    free(large);
    http_stream_end(f->held, true);
    WAIT_FOR(f, (read_more(f, fd), f->in.len > 16 * (size_t)LARGE &&
                                       str_ends(buf_str(&f->in), STR("\r\n0\r\n\r\n"))));
    close(fd);
}

static void test_a_client_that_goes_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    int fd = begin(f, &w, GET("/later"));

    WAIT_FOR(f, (read_more(f, fd), f->in.len > 0));
    say(fd, "what a client says meanwhile is passed over");
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(w.gone, 0);
    close(fd);
    WAIT_FOR(f, w.gone == 1);
    assert_int_equal(w.written, 0);
}

static void test_the_end_of_the_server_is_its_end(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    int fd = begin(f, &w, GET("/later"));
    struct err e;

    http_server_free(f->server);
    assert_int_equal(w.gone, 1);
    f->server = http_server_create(&f->loop, STR("127.0.0.1"), 0, handle, f, &e);
    close(fd);
}

static void test_HEAD_has_no_stream(void **state)
{
    struct fixture *f = *state;
    struct watch w = {0, 0};
    const struct http_stream s = {written, gone, &w};
    int fd = connect_to(http_server_port(f->server));

    say(fd, "HEAD /later HTTP/1.1\r\nHost: x\r\n\r\n");
    WAIT_FOR(f, f->held);
    assert_false(http_reply_stream(f->held, "text/x", &s));
    WAIT_FOR(f, (read_more(f, fd), f->in.len && strstr(f->in.p, "\r\n\r\n")));
    close(fd);
    assert_int_equal(w.gone, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_pieces_are_chunks),
        CASE(test_HTTP_1_0_gets_the_bytes_up_to_the_end),
        CASE(test_an_answer_that_is_cut_off_has_no_last_chunk),
        CASE(test_a_piece_is_written_when_the_client_has_read),
        CASE(test_a_client_that_goes_is_noticed),
        CASE(test_the_end_of_the_server_is_its_end),
        CASE(test_HEAD_has_no_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
