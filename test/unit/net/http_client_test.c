/* How the HTTP client handles answers, good and bad ones. docs/faults.md: D10, D15, D16, D17. */
#include "../../lib/unit.h"
#include "http_client_world.h"

/* ---- plain answers ---- */

static void test_answers_come_with_status_and_body(void **state)
{
    struct fixture *f = *state;
    struct result r = post(f, "/ok");

    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hello");
    assert_false(r.truncated);
    assert_int_equal(r.retry_after_ms, -1);
    assert_int_equal(f->peer.last_body, 7);
    ASSERT_HAS(f->peer.last, "POST /ok HTTP/1.1\r\n");
    ASSERT_HAS(f->peer.last, "Content-Type: text/plain\r\n");
    assert_null(strstr(f->peer.last, "Expect"));
    assert_non_null(strstr(f->peer.last, "\r\nAccept-Encoding: identity\r\n"));
    assert_null(strstr(f->peer.last, "invalid")); /* the alias is curl's business only */
    r = post(f, "/none");
    assert_int_equal(r.status, 204);
    assert_int_equal(r.body_len, 0);
    r = post(f, "/nowhere");
    assert_int_equal(r.status, 404);
    assert_int_equal(f->peer.accepted, 1); /* one kept-alive connection for all */
}

static void test_unwanted_body_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    struct http_request req = {.method = "GET", .target = STR("/ok")};
    struct result r = {.calls = 0};
    uint64_t start = clock_mono_ms();

    (void)http_send(f->origin, &req, on_done, &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
    ASSERT_HAS(f->peer.last, "GET /ok HTTP/1.1\r\n");
    req.target = STR("/endless");
    r.calls = 0;
    (void)http_send(f->origin, &req, on_done, &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
    assert_true(r.truncated);
    assert_true(clock_mono_ms() - start < f->cfg.timeout_ms); /* the limit ended it, not the time */
}

static void test_retry_after(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(post(f, "/seconds").retry_after_ms, 120000);
    assert_true(post(f, "/date").retry_after_ms > 86400000);
    assert_int_equal(post(f, "/garbage").retry_after_ms, -1);
    assert_int_equal(post(f, "/garbage").status, 503);
    assert_int_equal(post(f, "/ok").retry_after_ms, -1);
}

static void test_redirect_is_not_followed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(post(f, "/moved").status, 302);
    assert_int_equal(f->peer.requests, 1);
}

/* ---- D16: bad answers ---- */

static void test_limits_keep_the_status(void **state)
{
    struct fixture *f = *state;
    struct result r = post(f, "/endless");

    assert_int_equal(r.status, 200);
    assert_true(r.truncated);
    assert_in_range(r.body_len, HTTP_RESPONSE_BODY_MAX - 1024, HTTP_RESPONSE_BODY_MAX);
    r = post(f, "/endless-chunks");
    assert_int_equal(r.status, 200);
    assert_true(r.truncated);
    r = post(f, "/tiny-chunks"); /* T03: each costs as much time as a large one */
    assert_int_equal(r.status, 200);
    assert_true(r.truncated);
    assert_in_range(r.body_len, 1, HTTP_RESPONSE_BODY_MAX / 64);
    r = post(f, "/headers");
    assert_int_equal(r.status, 200);
    r = post(f, "/one-header");
    assert_int_equal(r.status, 200);
    r = post(f, "/interim");
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "headers are over");
    assert_int_equal(post(f, "/ok").status, 200);
    assert_int_equal(f->peer.accepted, 7); /* none of these connections was used again */
}

static void test_broken_bodies_keep_the_status(void **state)
{
    static const char *const targets[] = {"/short", "/reset", "/bad-chunk"};
    struct fixture *f = *state;

    FOR_ROWS (i, targets) {
        struct result r = post(f, targets[i]);

        assert_int_equal(r.status, 200);
        assert_true(r.truncated);
        assert_int_equal(post(f, "/ok").status, 200);
        assert_int_equal(f->peer.accepted, i + 2);
    }
}

static void test_too_much_body_does_not_answer_the_next_request(void **state)
{
    struct fixture *f = *state;
    struct result r = post(f, "/long");

    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hel");
    r = post(f, "/ok");
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "hello");
    assert_int_equal(f->peer.requests, 2);
}

static void test_late_leftovers_do_not_answer_the_next_request(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(post(f, "/none").status, 204);
    peer_push(peer_newest(&f->peer), "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(post(f, "/ok").status, 200);
    assert_int_equal(f->peer.accepted, 2);
}

static void test_not_an_answer(void **state)
{
    struct fixture *f = *state;
    struct result r = post(f, "/banner");

    assert_int_equal(r.status, 0);
    assert_int_equal(post(f, "/mid-status").status, 0);
    r = post(f, "/switch");
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "switches protocols");
    r = post(f, "/nothing");
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "127.0.0.1");
    ASSERT_HAS(r.err.text, "without an answer");
    assert_null(strstr(r.err.text, "/nothing"));
}

/* ---- timeouts and connections ---- */

static void test_no_answer_times_out(void **state)
{
    struct fixture *f = *state;
    struct result r;

    http_origin_free(f->origin);
    f->cfg.timeout_ms = 2000; /* a head takes less, however busy the machine is */
    f->origin = origin(f);
    r = post(f, "/silent");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.err.code, ETIMEDOUT);
    ASSERT_HAS(r.err.text, "did not answer within 2000 ms");
    r = post(f, "/stalled");
    assert_int_equal(r.status, 200);
    assert_true(r.truncated);
}

static void test_refused_connection_names_the_cause(void **state)
{
    struct fixture *f = *state;
    struct result r;

    peer_stop_listening(&f->peer);
    r = post(f, "/ok");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.err.code, ECONNREFUSED);
    ASSERT_HAS(r.err.text, "http: connect to 127.0.0.1:");
    ASSERT_HAS(r.err.text, "Connection refused");
    assert_null(strstr(r.err.text, "invalid"));
    assert_false(r.refused);
}

static void test_closed_idle_connection_is_replaced(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(post(f, "/ok").status, 200);
    peer_drop(peer_newest(&f->peer), false);
    assert_int_equal(post(f, "/ok").status, 200);
    assert_int_equal(f->peer.accepted, 2);
}

static void test_calls_run_side_by_side(void **state)
{
    struct fixture *f = *state;
    struct result r[4] = {{.calls = 0}};
    struct http_call *silent[3];

    for (unsigned i = 0; i < 3; i++)
        silent[i] = send_on(f->origin, "/silent", &r[i]);
    (void)send_on(f->origin, "/ok", &r[3]);
    WAIT_FOR(f, r[3].calls && f->peer.requests == 4);
    assert_int_equal(f->peer.accepted, 4);
    assert_int_equal(r[0].calls + r[1].calls + r[2].calls, 0);
    for (unsigned i = 0; i < 3; i++)
        http_cancel(silent[i]);
    for (unsigned i = 0; i < 4; i++)
        (void)send_on(f->origin, "/ok", &r[i]);
    WAIT_FOR(f, r[0].calls + r[1].calls + r[2].calls + r[3].calls == 4);
}

static void test_many_calls_in_a_row(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(post(f, i % 2 ? "/ok" : "/none").status, i % 2 ? 200 : 204);
    assert_int_equal(f->peer.accepted, 1);
}

static void test_large_body_goes_out_whole(void **state)
{
    struct fixture *f = *state;
    size_t len = 3 * 1024 * 1024;
    char *body = xmalloc(len);
    struct http_request req = {
        .method = "PUT", .target = STR("/ok?a=%20b"), .body = {body, len}, .want_body = true};
    struct result r = {.calls = 0};

    memset(body, 'x', len);
    (void)http_send(f->origin, &req, on_done, &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.status, 404); /* the script has no such path */
    assert_int_equal(f->peer.last_body, len);
    ASSERT_HAS(f->peer.last, "PUT /ok?a=%20b HTTP/1.1\r\n");
    free(body);
}

static void test_answer_before_the_request_was_read(void **state)
{
    struct fixture *f = *state;
    size_t len = 8 * 1024 * 1024;
    char *body = xcalloc(1, len);
    struct http_request req = {.method = "POST", .target = STR("/early"), .body = {body, len}};
    struct result r = {.calls = 0};

    (void)http_send(f->origin, &req, on_done, &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.status, 413);
    assert_int_equal(post(f, "/ok").status, 200);
    assert_int_equal(f->peer.accepted, 2);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_come_with_status_and_body),
        TEST(test_unwanted_body_is_thrown_away),
        TEST(test_retry_after),
        TEST(test_redirect_is_not_followed),
        TEST(test_limits_keep_the_status),
        TEST(test_broken_bodies_keep_the_status),
        TEST(test_too_much_body_does_not_answer_the_next_request),
        TEST(test_late_leftovers_do_not_answer_the_next_request),
        TEST(test_not_an_answer),
        TEST(test_no_answer_times_out),
        TEST(test_refused_connection_names_the_cause),
        TEST(test_closed_idle_connection_is_replaced),
        TEST(test_calls_run_side_by_side),
        TEST(test_many_calls_in_a_row),
        TEST(test_large_body_goes_out_whole),
        TEST(test_answer_before_the_request_was_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
