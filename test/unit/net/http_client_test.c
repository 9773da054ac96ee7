/*
 * http_client.c and its files against a server that answers by the book and otherwise
 * (http_peer.h). FAULTS: D10, D15, D16, D17, D23, D24.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "http_peer.h"
#include "net/http_client.h"

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
            loop_turn(&(f)->loop, 50);                                                             \
        }                                                                                          \
    } while (0)

#define H200 "HTTP/1.1 200 OK\r\n"
#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X1K X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64 X64

static const struct peer_answer answers[] = {
    {"/ok", H200 "Content-Length: 5\r\n\r\n", "hello", PEER_KEEP},
    {"/none", "HTTP/1.1 204 No Content\r\n\r\n", NULL, PEER_KEEP},
    {"/seconds", "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", NULL, 0},
    {"/date",
     "HTTP/1.1 429 Slow\r\nretry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
     NULL, 0},
    {"/garbage", "HTTP/1.1 503 Busy\r\nRetry-After: soon, please\r\nContent-Length: 0\r\n\r\n",
     NULL, 0},
    {"/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", NULL, PEER_KEEP},
    {"/endless", H200 "\r\n", X1K, PEER_ENDLESS},
    {"/endless-chunks", H200 "Transfer-Encoding: chunked\r\n\r\n", "400\r\n" X1K "\r\n",
     PEER_ENDLESS},
    {"/headers", H200, "X-More: " X1K "\r\n", PEER_ENDLESS},
    {"/one-header", H200 "X-More: ", X1K, PEER_ENDLESS},
    {"/interim", NULL, "HTTP/1.1 100 Continue\r\n\r\n", PEER_ENDLESS},
    {"/long", H200 "Content-Length: 3\r\n\r\n", "hello HTTP/1.1 500 No\r\n\r\n", PEER_KEEP},
    {"/short", H200 "Content-Length: 50\r\n\r\n", "hello", PEER_CLOSE},
    {"/reset", H200 "Content-Length: 50\r\n\r\n", "hello", PEER_RESET},
    {"/bad-chunk", H200 "Transfer-Encoding: chunked\r\n\r\n", "zz\r\nhello", PEER_KEEP},
    {"/mid-status", "HTTP/1.1 20", NULL, PEER_CLOSE},
    {"/nothing", NULL, NULL, PEER_CLOSE},
    {"/silent", NULL, NULL, PEER_KEEP},
    {"/stalled", H200 "Content-Length: 50\r\n\r\n", "hello", PEER_KEEP},
    {"/banner", NULL, "220 mail.example ESMTP\r\n", PEER_KEEP},
    {"/switch", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", NULL, PEER_KEEP},
    {"/early", "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", NULL, PEER_EARLY},
    {NULL, NULL, NULL, 0},
};

struct result {
    unsigned calls;
    int status;
    int64_t retry_after_ms;
    bool refused, truncated, has_err;
    struct err err;
    size_t body_len;
    char body[64];
    void (*then)(struct result *r);
    void *then_arg;
};

struct fixture {
    struct loop loop;
    struct peer peer;
    struct dns *dns;
    struct http_client *client;
    struct url url;
    struct http_origin_config cfg;
    struct http_origin *origin;
};

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct result *r = arg;
    size_t n = a->body.len < sizeof(r->body) - 1 ? a->body.len : sizeof(r->body) - 1;

    r->calls++;
    r->status = a->status;
    r->retry_after_ms = a->retry_after_ms;
    r->refused = a->refused_by_policy;
    r->truncated = a->body_truncated;
    r->body_len = a->body.len;
    memcpy(r->body, a->body.p, n);
    r->body[n] = '\0';
    r->has_err = e != NULL;
    if (e)
        r->err = *e;
    if (r->then)
        r->then(r);
}

static void set_url(struct fixture *f, const char *text)
{
    struct err e;

    url_release(&f->url);
    if (url_parse(&f->url, str_of(text), &e) < 0)
        fail_msg("%s", e.text);
}

static struct http_origin *origin(struct fixture *f)
{
    f->cfg.url = &f->url;
    return http_origin_create(f->client, &f->cfg);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    char text[64];
    struct err e;

    loop_init(&f->loop);
    peer_open(&f->peer, &f->loop, answers);
    f->dns = dns_create(&f->loop, NULL, &e);
    f->client = http_client_create(&f->loop, f->dns, &e);
    (void)snprintf(text, sizeof(text), "http://127.0.0.1:%u", f->peer.port);
    set_url(f, text);
    f->cfg = (struct http_origin_config){
        .connections = 4, .timeout_ms = 10000, .connect_timeout_ms = 5000};
    f->origin = origin(f);
    *state = f;
    return 0;
}

/* Every test ends with nothing left open. */
static int teardown(void **state)
{
    struct fixture *f = *state;

    http_origin_free(f->origin);
    http_client_free(f->client);
    dns_free(f->dns);
    peer_close(&f->peer);
    loop_release(&f->loop);
    url_release(&f->url);
    free(f);
    return 0;
}

static struct http_call *send_on(struct http_origin *o, const char *target, struct result *r)
{
    static const char *const headers[] = {"Content-Type: text/plain", NULL};
    struct http_request req = {.method = "POST",
                               .target = str_of(target),
                               .headers = headers,
                               .body = STR("a line\n"),
                               .want_body = true};
    struct http_call *call;

    r->calls = 0;
    call = http_send(o, &req, on_done, r);
    assert_int_equal(r->calls, 0); /* never from inside */
    return call;
}

static struct result post(struct fixture *f, const char *target)
{
    struct result r = {.calls = 0};

    (void)send_on(f->origin, target, &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.has_err, r.status == 0);
    return r;
}

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
    assert_null(strstr(f->peer.last, "Accept-Encoding"));
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
    assert_int_equal(r.body_len, HTTP_RESPONSE_BODY_MAX);
    r = post(f, "/endless-chunks");
    assert_int_equal(r.status, 200);
    assert_true(r.truncated);
    r = post(f, "/headers");
    assert_int_equal(r.status, 200);
    r = post(f, "/one-header");
    assert_int_equal(r.status, 200);
    r = post(f, "/interim");
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "headers are over");
    assert_int_equal(post(f, "/ok").status, 200);
    assert_int_equal(f->peer.accepted, 6); /* none of these connections was used again */
}

static void test_broken_bodies_keep_the_status(void **state)
{
    static const char *const targets[] = {"/short", "/reset", "/bad-chunk"};
    struct fixture *f = *state;

    for (unsigned i = 0; i < ARRAY_LEN(targets); i++) {
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
    f->cfg.timeout_ms = 200;
    f->origin = origin(f);
    r = post(f, "/silent");
    assert_int_equal(r.status, 0);
    assert_int_equal(r.err.code, ETIMEDOUT);
    ASSERT_HAS(r.err.text, "did not answer within 200 ms");
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

    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- bodies that are streamed ---- */

struct streamed {
    struct result result; /* first: it is what on_done takes */
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
    struct streamed st = stream(f, "/stalled", 0, 300);

    assert_int_equal(st.result.status, 200);
    assert_true(st.result.truncated);
    assert_true(clock_mono_ms() - before >= 250);
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
        TEST(test_cancel_at_every_stage),
        TEST(test_sending_and_freeing_inside_done),
        TEST(test_egress_is_asked_before_and_at_connect),
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
