/* The HTTP client's calls: cancelled, kept apart, resolved, streamed. docs/faults.md: D23, D24. */
#include "../../lib/unit.h"
#include "http_client_world.h"

/* ---- cancelling ---- */

static void cancel_other(struct result *r)
{
    http_cancel(r->then_arg);
}

static void test_cancel_at_every_stage(void **state)
{
    struct fixture *f = *state;
    struct result r = {.calls = 0}, first = {.calls = 0};

    http_cancel(send_on(f->origin, "/ok", &r)); /* waiting for the name */
    assert_int_equal(post(f, "/ok").status, 200);
    http_cancel(send_on(f->origin, "/ok", &r));    /* given to curl, not started */
    for (unsigned turns = 0; turns < 6; turns++) { /* connecting, sent, answered: wherever it is */
        struct http_call *call = send_on(f->origin, "/ok", &r);

        for (unsigned i = 0; i < turns && !r.calls; i++)
            loop_turn(&f->loop, 20);
        if (!r.calls)
            http_cancel(call);
    }
    r.calls = 0;
    http_cancel(send_on(f->origin, "/silent", &r));
    first.then = cancel_other;
    (void)send_on(f->origin, "/bad header",
                  &first); /* both fail at once, and are on the list together */
    first.then_arg = send_on(f->origin, "/bad header", &r);
    WAIT_FOR(f, first.calls);
    assert_int_equal(post(f, "/ok").status, 200);
    assert_int_equal(r.calls, 0);
}

static void send_again(struct result *r)
{
    struct result *next = r->then_arg;

    (void)send_on(next->then_arg, "/ok", next);
}

static void free_origin(struct result *r)
{
    struct fixture *f = r->then_arg;

    http_origin_free(f->origin);
    f->origin = NULL;
}

static void test_sending_and_freeing_inside_done(void **state)
{
    struct fixture *f = *state;
    struct result next = {.then_arg = f->origin};
    struct result r = {.then = send_again, .then_arg = &next};

    (void)send_on(f->origin, "/ok", &r);
    WAIT_FOR(f, next.calls);
    assert_int_equal(next.status, 200);
    r = (struct result){.then = free_origin, .then_arg = f};
    (void)send_on(f->origin, "/ok", &r);
    WAIT_FOR(f, r.calls);
    assert_null(f->origin);
    WAIT_FOR(f, f->peer.ended == 1); /* its idle connection went with it */
}

/* ---- policy and isolation ---- */

struct policy {
    struct egress base;
    unsigned allowed; /* so many checks pass */
    unsigned asked;
};

static int policy_check(const struct egress *e, const struct sockaddr *sa, struct err *err)
{
    struct policy *p = container_of(e, struct policy, base);

    assert_int_equal(sa->sa_family, AF_INET);
    if (p->asked++ < p->allowed)
        return 0;
    return err_set(err, EACCES, "loopback is not allowed");
}

static void test_egress_is_asked_before_and_at_connect(void **state)
{
    struct fixture *f = *state;

    for (unsigned allowed = 0; allowed < 2;
         allowed++) { /* 1: the address changed its meaning since */
        struct policy p = {.base.check = policy_check, .allowed = allowed};
        struct result r;

        http_origin_free(f->origin);
        f->cfg.egress = &p.base;
        f->origin = origin(f);
        r = post(f, "/ok");
        assert_int_equal(r.status, 0);
        assert_true(r.refused);
        assert_int_equal(r.err.code, EACCES);
        ASSERT_HAS(r.err.text, "loopback is not allowed");
        assert_int_equal(p.asked, allowed + 1);
        http_origin_free(f->origin); /* before the policy */
        f->cfg.egress = NULL;
        f->origin = origin(f);
    }
    assert_int_equal(f->peer.accepted, 0);
}

/* What was allowed when it was connected to is refused now: the connection that is kept ends. */
static void test_T12_a_kept_connection_is_asked_about_again(void **state)
{
    struct fixture *f = *state;
    struct policy p = {.base.check = policy_check, .allowed = UINT_MAX};
    struct result r = {.calls = 0};

    http_origin_free(f->origin);
    f->cfg.egress = &p.base;
    f->origin = origin(f);
    assert_int_equal(post(f, "/ok").status, 200);
    p.allowed = 0;
    for (uint64_t end = loop_now(&f->loop) + 10000; !r.refused && loop_now(&f->loop) < end;) {
        r = post(f, "/ok");
        assert_true(r.refused || r.status == 200); /* that in the first EGRESS_AGAIN_MS */
    }
    assert_true(r.refused);
    ASSERT_HAS(r.err.text, "loopback is not allowed");
    WAIT_FOR(f, f->peer.ended == 1);
    assert_int_equal(f->peer.accepted, 1);
    http_origin_free(f->origin); /* before the policy */
    f->cfg.egress = NULL;
    f->origin = origin(f);
}

static void test_origins_share_no_connection(void **state)
{
    struct fixture *f = *state;
    struct policy deny = {.base.check = policy_check};
    struct http_origin *second = origin(f), *denied;
    struct result r = {.calls = 0};

    assert_int_equal(post(f, "/ok").status, 200);
    (void)send_on(second, "/ok", &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.status, 200);
    assert_int_equal(f->peer.accepted, 2);
    f->cfg.egress = &deny.base;
    denied = origin(f);
    (void)send_on(denied, "/ok", &r);
    WAIT_FOR(f, r.calls);
    assert_true(r.refused);
    http_origin_free(denied);
    http_origin_free(second);
    WAIT_FOR(f, f->peer.ended == 1);
    assert_int_equal(post(f, "/ok").status, 200); /* the first one's is untouched */
    assert_int_equal(f->peer.accepted, 2);
}

static void test_proxy_of_the_environment_is_ignored(void **state)
{
    struct fixture *f = *state;

    (void)setenv("http_proxy", "http://127.0.0.1:9", 1);
    (void)setenv("all_proxy", "http://127.0.0.1:9", 1);
    assert_int_equal(post(f, "/ok").status, 200);
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
}

/* ---- names ---- */

static void test_name_is_resolved(void **state)
{
    struct fixture *f = *state;
    char text[64];

    http_origin_free(f->origin);
    (void)snprintf(text, sizeof(text), "http://localhost:%u", f->peer.port);
    set_url(f, text);
    f->origin = origin(f);
    assert_int_equal(post(f, "/ok").status, 200);
    (void)snprintf(text, sizeof(text), "Host: localhost:%u\r\n", f->peer.port);
    ASSERT_HAS(f->peer.last, text);
}

static void test_unresolved_name_is_named(void **state)
{
    struct fixture *f = *state;
    struct dns *working = f->dns, *dead;
    struct http_client *client = f->client;
    char servers[32];
    struct result r;
    struct err e;

    (void)snprintf(servers, sizeof(servers), "127.0.0.1:%u", f->peer.port); /* no DNS there */
    http_origin_free(f->origin);
    dead = dns_create(&f->loop, servers, &e);
    f->client = http_client_create(&f->loop, dead, &e);
    set_url(f, "http://user:s3cret@logs.example.test:8080/x?token=s3cret");
    f->cfg.connect_timeout_ms = 300;
    f->origin = origin(f);
    r = post(f, "/ok");
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "http: resolve logs.example.test:8080: ");
    assert_null(strstr(r.err.text, "s3cret"));
    assert_null(strstr(r.err.text, "user"));
    http_origin_free(f->origin);
    http_client_free(f->client);
    dns_free(dead);
    f->origin = NULL;
    f->client = client;
    f->dns = working;
}

/* ---- requests ---- */

static void test_userinfo_becomes_basic_auth(void **state)
{
    static const char *const own[] = {"authorization: Bearer x", NULL};
    struct fixture *f = *state;
    struct http_request req = {.method = "POST", .target = STR("/none"), .headers = own};
    struct result r = {.calls = 0};
    char text[64];

    http_origin_free(f->origin);
    (void)snprintf(text, sizeof(text), "http://us%%65r:pa%%3Ass@127.0.0.1:%u", f->peer.port);
    set_url(f, text);
    f->origin = origin(f);
    assert_int_equal(post(f, "/ok").status, 200);
    ASSERT_HAS(f->peer.last, "Authorization: Basic dXNlcjpwYTpzcw==\r\n"); /* user:pa:ss */
    (void)http_send(f->origin, &req, on_done, &r);
    WAIT_FOR(f, r.calls);
    ASSERT_HAS(f->peer.last, "authorization: Bearer x\r\n");
    assert_null(strstr(f->peer.last, "Basic"));
    assert_int_equal(post(f, "/ok").status, 200); /* and back */
    ASSERT_HAS(f->peer.last, "Authorization: Basic ");
    assert_null(strstr(f->peer.last, "Bearer"));
}

static void test_request_cannot_be_smuggled(void **state)
{
    static const char *const split[] = {"X-Tag: a\r\nX-Evil: b", NULL};
    static const char *const bare[] = {"no colon", NULL};
    struct fixture *f = *state;
    struct http_request bad[] = {
        {.method = "POST", .target = STR("/ok"), .headers = split},
        {.method = "POST", .target = STR("/ok"), .headers = bare},
        {.method = "POST", .target = STR("/ok HTTP/1.1\r\nX-Evil: b")},
        {.method = "POST /x", .target = STR("/ok")},
    };

    FOR_ROWS (i, bad) {
        struct result r = {.calls = 0};

        (void)http_send(f->origin, &bad[i], on_done, &r);
        assert_int_equal(r.calls, 0);
        WAIT_FOR(f, r.calls);
        assert_int_equal(r.status, 0);
        assert_int_equal(r.err.code, EINVAL);
    }
    assert_int_equal(f->peer.requests, 0);
    assert_int_equal(post(f, "/ok").status, 200);
}

/* ---- bodies that are streamed ---- */

struct streamed {
    struct result result; /* first member: on_done casts it */
    size_t bytes, pieces, enough;
};

static bool on_piece(void *arg, struct str piece)
{
    struct streamed *st = arg;

    st->pieces++;
    st->bytes += piece.len;
    return !st->enough || st->bytes < st->enough;
}

static struct streamed stream(struct fixture *f, const char *target, size_t enough, uint64_t ms)
{
    struct streamed st = {.enough = enough};
    struct http_request req = {.method = "GET",
                               .target = str_of(target),
                               .want_body = true,
                               .on_body = on_piece,
                               .timeout_ms = ms};

    (void)http_send(f->origin, &req, on_done, &st);
    WAIT_FOR(f, st.result.calls);
    return st;
}

static void test_a_streamed_body_has_no_limit(void **state)
{
    struct fixture *f = *state;
    struct streamed st = stream(f, "/endless-chunks", 3 * HTTP_RESPONSE_BODY_MAX, 0);

    assert_int_equal(st.result.status, 200);
    assert_true(st.result.truncated); /* the reader ended it */
    assert_true(st.bytes >= 3 * HTTP_RESPONSE_BODY_MAX);
    assert_int_equal(st.result.body_len, 0);
}

static void test_only_a_good_answer_is_streamed(void **state)
{
    struct fixture *f = *state;
    struct streamed st = stream(f, "/ok", 0, 0);

    assert_int_equal(st.bytes, 5);
    assert_true(st.pieces >= 2); /* the first is empty: the head was read */
    assert_int_equal(st.result.body_len, 0);
    st = stream(f, "/moved", 0, 0);
    assert_int_equal(st.result.status, 302);
    assert_int_equal(st.pieces, 0);
}

static void test_a_request_may_have_its_own_timeout(void **state)
{
    struct fixture *f = *state;
    uint64_t before = clock_mono_ms();
    struct streamed st = stream(f, "/stalled", 0, 2000);

    assert_int_equal(st.result.status, 200);
    assert_true(st.result.truncated);
    assert_true(clock_mono_ms() - before >= 1950);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cancel_at_every_stage),
        TEST(test_sending_and_freeing_inside_done),
        TEST(test_egress_is_asked_before_and_at_connect),
        TEST(test_T12_a_kept_connection_is_asked_about_again),
        TEST(test_origins_share_no_connection),
        TEST(test_proxy_of_the_environment_is_ignored),
        TEST(test_name_is_resolved),
        TEST(test_unresolved_name_is_named),
        TEST(test_userinfo_becomes_basic_auth),
        TEST(test_request_cannot_be_smuggled),
        TEST(test_a_streamed_body_has_no_limit),
        TEST(test_only_a_good_answer_is_streamed),
        TEST(test_a_request_may_have_its_own_timeout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
