/*
 * For the tests of http_client.c and its files: a client, and a server that follows the protocol or
 * breaks it (http_peer.h). Included by one file per program, which need not use all of it.
 */
#ifndef TEST_UNIT_NET_HTTP_CLIENT_WORLD_H
#define TEST_UNIT_NET_HTTP_CLIENT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>

#include "../../lib/loop_wait.h"
#include "../../lib/unit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "http_peer.h"
#include "net/http_client.h"

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
    {"/tiny-chunks", H200 "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", PEER_ENDLESS},
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

static inline void on_done(void *arg, const struct http_answer *a, const struct err *e)
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

static inline void set_url(struct fixture *f, const char *text)
{
    struct err e;

    url_release(&f->url);
    if (url_parse(&f->url, str_of(text), &e) < 0)
        fail_msg("%s", e.text);
}

static inline struct http_origin *origin(struct fixture *f)
{
    f->cfg.url = &f->url;
    return http_origin_create(f->client, &f->cfg);
}

static inline int setup(void **state)
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
static inline int teardown(void **state)
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

static inline struct http_call *send_on(struct http_origin *o, const char *target, struct result *r)
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

static inline struct result post(struct fixture *f, const char *target)
{
    struct result r = {.calls = 0};

    (void)send_on(f->origin, target, &r);
    WAIT_FOR(f, r.calls);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.has_err, r.status == 0);
    return r;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
