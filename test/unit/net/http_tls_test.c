/*
 * https: http_tls.c and curl with a TLS server in a thread. docs/faults.md D08: what must be
 * refused is refused, with the reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "certs.h"
#include "net/http_client.h"

#define DEADLINE_MS 60000

struct server {
    pthread_t thread;
    int listener;
    uint16_t port;
    SSL_CTX *ctx;           /* NULL = speaks no TLS */
    bool stall;             /* never answers the handshake */
    bool babbles;           /* sends more than was requested, on command */
    atomic_uint babble_now; /* 1 = command; 0 again when done */
    atomic_uint connections;
    char sni[64], request[1024]; /* of the last request; read only after it was answered */
};

struct fixture {
    struct loop loop;
    struct dns *dns;
    struct http_client *client;
    struct cert ca, cert;
    struct server server;
    struct url url;
    struct buf ca_pem;
};

struct result {
    unsigned calls;
    int status;
    struct err err;
};

/* ---- the server's thread: one connection at a time, each as long as the client likes ---- */

static void serve_tls(struct server *s, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    static const char more[] = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    SSL *ssl = SSL_new(s->ctx);
    const char *sni;
    int n;

    if (SSL_set_fd(ssl, fd) != 1)
        abort();
    if (SSL_accept(ssl) == 1) {
        sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        (void)snprintf(s->sni, sizeof(s->sni), "%s", sni ? sni : "");
        while ((n = SSL_read(ssl, s->request, sizeof(s->request) - 1)) >
               0) { /* small: comes whole */
            s->request[n] = '\0';
            (void)SSL_write(ssl, answer, sizeof(answer) - 1);
            if (s->babbles) {
                while (atomic_load(&s->babble_now) == 0)
                    (void)poll(NULL, 0, 1);
                (void)SSL_write(ssl, more, sizeof(more) - 1);
                atomic_store(&s->babble_now, 0);
            }
        }
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    char c[512];
    int fd, one = 1;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        atomic_fetch_add(&s->connections, 1);
        if (s->ctx && !s->stall)
            serve_tls(s, fd);
        else if (!s->stall && recv(fd, c, sizeof(c), 0) > 0)
            (void)send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
        while (recv(fd, c, sizeof(c), 0) > 0)
            continue;
        close(fd);
    }
    return NULL;
}

static void server_open(struct server *s, const struct cert *cert)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);

    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&sa, &len), 0);
    s->port = ntohs(sa.sin_port);
    if (cert) {
        s->ctx = SSL_CTX_new(TLS_server_method());
        assert_int_equal(SSL_CTX_use_certificate(s->ctx, cert->x), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, cert->key), 1);
    }
}

static void server_run(struct server *s)
{
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_close(struct server *s)
{
    (void)shutdown(s->listener, SHUT_RDWR);
    (void)pthread_join(s->thread, NULL);
    close(s->listener);
    SSL_CTX_free(s->ctx);
}

/* ---- the client's side ---- */

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err e;

    (void)signal(SIGPIPE, SIG_IGN); /* the server's: OpenSSL's own socket BIO does not avoid it */
    loop_init(&f->loop);
    f->dns = dns_create(&f->loop, NULL, &e);
    f->client = http_client_create(&f->loop, f->dns, &e);
    f->ca = cert_make(&(struct cert_spec){.cn = "test ca", .ca = true});
    buf_init(&f->ca_pem, 8192);
    cert_pem(&f->ca, false, &f->ca_pem);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    http_client_free(f->client); /* closes idle connections, so the server's thread ends */
    server_close(&f->server);
    dns_free(f->dns);
    loop_release(&f->loop);
    url_release(&f->url);
    buf_release(&f->ca_pem);
    cert_release(&f->ca);
    cert_release(&f->cert);
    free(f);
    return 0;
}

/* Starts the server with a certificate for <san>. */
static void start(struct fixture *f, const char *san, long to_s)
{
    char text[64];
    struct err e;

    f->cert = cert_make(&(struct cert_spec){.cn = "the server",
                                            .san = san,
                                            .issuer = &f->ca,
                                            .from_s = to_s ? to_s - 100 : 0,
                                            .to_s = to_s});
    server_open(&f->server, &f->cert);
    (void)snprintf(text, sizeof(text), "https://127.0.0.1:%u", f->server.port);
    assert_int_equal(url_parse(&f->url, str_of(text), &e), 0);
}

static void on_done(void *arg, const struct http_answer *a, const struct err *e)
{
    struct result *r = arg;

    r->calls++;
    r->status = a->status;
    if (e)
        r->err = *e;
}

static struct result get_on(struct fixture *f, struct http_origin *o)
{
    struct http_request req = {.method = "GET", .target = STR("/")};
    uint64_t until = clock_mono_ms() + DEADLINE_MS;
    struct result r = {.calls = 0};

    (void)http_send(o, &req, on_done, &r);
    while (!r.calls && clock_mono_ms() < until)
        loop_turn(&f->loop, 50);
    assert_int_equal(r.calls, 1);
    return r;
}

static struct http_origin *origin(struct fixture *f, struct tls_config *tls, uint64_t connect_ms)
{
    struct http_origin_config cfg = {.url = &f->url,
                                     .tls = true,
                                     .tls_config = tls,
                                     .connections = 1,
                                     .timeout_ms = DEADLINE_MS,
                                     .connect_timeout_ms = connect_ms};

    return http_origin_create(f->client, &cfg);
}

static struct tls_config *config(const struct tls_options *o)
{
    struct err e;
    struct tls_config *t = tls_config_create(o, &e);

    if (!t)
        fail_msg("%s", e.text);
    return t;
}

/* One request on an origin of its own. */
static struct result get(struct fixture *f, const struct tls_options *options)
{
    struct tls_config *t = config(options);
    struct http_origin *o = origin(f, t, DEADLINE_MS);
    struct result r = get_on(f, o);

    http_origin_free(o);
    tls_config_free(t);
    return r;
}

static void test_trusted_server(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.ca = buf_str(&f->ca_pem)};

    start(f, "IP:127.0.0.1", 0);
    server_run(&f->server);
    assert_int_equal(get(f, &options).status, 200);
    ASSERT_HAS(f->server.request, "GET / HTTP/1.1\r\n");
    assert_string_equal(f->server.sni, ""); /* an address is none */
}

static void test_unknown_ca_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.insecure = false};
    struct result r;

    start(f, "IP:127.0.0.1", 0);
    server_run(&f->server);
    r = get(f, &options);
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "http: tls with 127.0.0.1:");
    ASSERT_HAS(r.err.text, "unable to get local issuer certificate");
    ASSERT_HAS(r.err.text, "CN=the server");
}

static void test_wrong_name_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.ca = buf_str(&f->ca_pem)};
    struct result r;

    start(f, "DNS:other.test,IP:127.0.0.2", 0);
    server_run(&f->server);
    r = get(f, &options);
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "mismatch");
    ASSERT_HAS(r.err.text, "CN=the server");
}

static void test_expired_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.ca = buf_str(&f->ca_pem)};
    struct result r;

    start(f, "IP:127.0.0.1", -1000);
    server_run(&f->server);
    r = get(f, &options);
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "certificate has expired");
}

static void test_insecure_accepts_anything(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.insecure = true};

    start(f, "DNS:other.test", -1000);
    server_run(&f->server);
    assert_int_equal(get(f, &options).status, 200);
}

static void test_servername_is_sent_and_verified(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.ca = buf_str(&f->ca_pem), .servername = STR("logs.test")};
    char host[64];
    struct result r;

    start(f, "DNS:logs.test", 0);
    server_run(&f->server);
    assert_int_equal(get(f, &options).status, 200);
    assert_string_equal(f->server.sni, "logs.test");
    (void)snprintf(host, sizeof(host), "Host: 127.0.0.1:%u\r\n", f->server.port);
    ASSERT_HAS(f->server.request, host);
    options.servername = STR("wrong.test");
    r = get(f, &options);
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "ostname mismatch");
}

static void test_client_certificate(void **state)
{
    struct fixture *f = *state;
    struct buf cert = BUF_INIT(8192), key = BUF_INIT(8192);
    struct cert client = cert_make(&(struct cert_spec){.cn = "a client", .issuer = &f->ca});
    struct tls_options options = {.ca = buf_str(&f->ca_pem)};

    start(f, "IP:127.0.0.1", 0);
    SSL_CTX_set_verify(f->server.ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(f->server.ctx), f->ca.x), 1);
    server_run(&f->server);
    assert_int_equal(get(f, &options).status, 0);
    cert_pem(&client, false, &cert);
    cert_pem(&client, true, &key);
    options.cert = buf_str(&cert);
    options.key = buf_str(&key);
    assert_int_equal(get(f, &options).status, 200);
    buf_release(&cert);
    buf_release(&key);
    cert_release(&client);
}

static void test_no_fallback_to_plaintext(void **state)
{
    struct fixture *f = *state;
    struct tls_options options = {.insecure = true};
    struct result r;

    start(f, "IP:127.0.0.1", 0);
    SSL_CTX_free(f->server.ctx);
    f->server.ctx = NULL;
    server_run(&f->server);
    r = get(f, &options);
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "http: tls with 127.0.0.1:");
}

static void test_stalled_handshake_times_out(void **state)
{
    struct fixture *f = *state;
    struct tls_config *t = config(&(struct tls_options){.insecure = true});
    struct http_origin *o;
    struct result r;

    start(f, "IP:127.0.0.1", 0);
    f->server.stall = true;
    server_run(&f->server);
    o = origin(f, t, 200);
    r = get_on(f, o);
    assert_int_equal(r.status, 0);
    ASSERT_HAS(r.err.text, "http: tls handshake with 127.0.0.1:");
    http_origin_free(o);
    tls_config_free(t);
}

static void test_leftovers_do_not_answer_the_next_request(void **state)
{
    struct fixture *f = *state;
    struct tls_config *t = config(&(struct tls_options){.insecure = true});
    struct http_origin *o;

    start(f, "IP:127.0.0.1", 0);
    f->server.babbles = true;
    server_run(&f->server);
    o = origin(f, t, DEADLINE_MS);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(get_on(f, o).status, 200);
        assert_int_equal(atomic_load(&f->server.connections), i);
        atomic_store(&f->server.babble_now, 1);
        while (atomic_load(&f->server.babble_now))
            loop_turn(&f->loop, 1);
    }
    http_origin_free(o);
    tls_config_free(t);
}

/* The connection of an origin that checks nothing must not serve one that does. */
static void test_trust_is_not_shared(void **state)
{
    struct fixture *f = *state;
    struct tls_config *blind = config(&(struct tls_options){.insecure = true});
    struct tls_config *strict = config(&(struct tls_options){.insecure = false});
    struct http_origin *first, *second;

    start(f, "IP:127.0.0.1", 0);
    server_run(&f->server);
    first = origin(f, blind, DEADLINE_MS);
    assert_int_equal(get_on(f, first).status, 200);
    assert_int_equal(get_on(f, first).status, 200);
    assert_int_equal(atomic_load(&f->server.connections), 1);
    second = origin(f, strict, 200); /* the server serves one at a time: a second one waits */
    assert_int_equal(get_on(f, second).status, 0);
    http_origin_free(first);
    http_origin_free(second);
    tls_config_free(blind);
    tls_config_free(strict);
}

/* Nor are roots shared: what one origin trusts is not trusted by another of the same client,
 * whichever came first. */
static void test_roots_are_not_shared(void **state)
{
    struct fixture *f = *state;
    struct tls_options knows = {.ca = buf_str(&f->ca_pem)}, knows_not = {.insecure = false};
    struct tls_options only = {.ca = buf_str(&f->ca_pem), .only_ca = true};

    start(f, "IP:127.0.0.1", 0);
    server_run(&f->server);
    assert_int_equal(get(f, &knows_not).status, 0);
    assert_int_equal(get(f, &knows).status, 200);
    assert_int_equal(get(f, &knows_not).status, 0);
    assert_int_equal(get(f, &only).status, 200);
    assert_int_equal(get(f, &knows_not).status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trusted_server),
        TEST(test_unknown_ca_is_refused),
        TEST(test_wrong_name_is_refused),
        TEST(test_expired_is_refused),
        TEST(test_insecure_accepts_anything),
        TEST(test_servername_is_sent_and_verified),
        TEST(test_client_certificate),
        TEST(test_no_fallback_to_plaintext),
        TEST(test_stalled_handshake_times_out),
        TEST(test_leftovers_do_not_answer_the_next_request),
        TEST(test_trust_is_not_shared),
        TEST(test_roots_are_not_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
