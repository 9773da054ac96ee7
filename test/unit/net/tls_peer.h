/*
 * For tls_test.c: a TLS server in a thread that accepts one connection, blocking, and does what its
 * act says; and the fixture for it. The certificates are created at the start of each test.
 */
#ifndef TEST_UNIT_NET_TLS_PEER_H
#define TEST_UNIT_NET_TLS_PEER_H

#include "owner.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "certs.h"
#include "net/tls.h"

enum act {
    ACT_ECHO = 1,     /* echoes until close_notify, then sends its own */
    ACT_GOODBYE,      /* "hello", close_notify, and waits for the end */
    ACT_FIN,          /* "hello", then FIN without close_notify */
    ACT_RESET,        /* "hello", then RST */
    ACT_STALL,        /* accepts the connection and sends nothing */
    ACT_HANG_UP,      /* FIN in the middle of the handshake */
    ACT_PLAIN,        /* no TLS at all */
    ACT_SINK,         /* reads only after <may_read>, then everything; sends close_notify */
    ACT_KEY_UPDATES,  /* asks for very many key updates, then sends "hello" and close_notify */
    ACT_LATE_GOODBYE, /* reads until close_notify, then FIN without one of its own */
};

struct peer {
    pthread_t thread;
    int listener, fd;
    SSL_CTX *ctx;
    enum act act;
    atomic_bool may_read;
    struct buf received;
    bool running;
    bool handshake_ok;
    char sni[64];
};

struct tls_fixture {
    struct fixture *f;
    struct cert ca, server;
    struct peer peer;
    struct tls_config *config;
    struct owner owner;
};

/* ---- the server's thread ---- */

static inline void peer_echo(struct peer *p, SSL *ssl, bool echo)
{
    static _Thread_local char part[20000];
    int k;

    while ((k = SSL_read(ssl, part, sizeof(part))) > 0) {
        if (echo)
            (void)SSL_write(ssl, part, k);
        else if (buf_add(&p->received, part, (size_t)k) < 0)
            abort();
    }
}

static inline void peer_wait(struct peer *p)
{
    char c[512];

    while (recv(p->fd, c, sizeof(c), 0) > 0)
        continue;
}

static inline void peer_open(struct peer *p, SSL *ssl)
{
    const struct linger now = {1, 0};

    switch (p->act) {
    case ACT_ECHO:
        peer_echo(p, ssl, true);
        (void)SSL_shutdown(ssl);
        break;
    case ACT_SINK:
        while (!atomic_load(&p->may_read))
            (void)poll(NULL, 0, 1);
        peer_echo(p, ssl, false);
        (void)SSL_shutdown(ssl);
        break;
    case ACT_LATE_GOODBYE:
        peer_echo(p, ssl, false);
        break;
    case ACT_KEY_UPDATES:
        for (int i = 0; i < 4000; i++)
            if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(ssl) != 1)
                break;
        (void)SSL_write(ssl, "hello", 5);
        (void)SSL_shutdown(ssl);
        peer_wait(p);
        break;
    default:
        (void)SSL_write(ssl, "hello", 5);
        if (p->act == ACT_RESET)
            (void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        if (p->act != ACT_GOODBYE)
            break;
        (void)SSL_shutdown(ssl);
        peer_wait(p);
        break;
    }
}

static inline void peer_tls(struct peer *p)
{
    SSL *ssl = SSL_new(p->ctx);
    const char *sni;

    if (SSL_set_fd(ssl, p->fd) != 1)
        abort();
    p->handshake_ok = SSL_accept(ssl) == 1;
    sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)snprintf(p->sni, sizeof(p->sni), "%s", sni ? sni : "");
    if (p->handshake_ok)
        peer_open(p, ssl);
    SSL_free(ssl);
}

static inline void *peer_main(void *arg)
{
    const struct timeval patience = {10, 0};
    struct peer *p = arg;
    struct pollfd ready = {p->listener, POLLIN, 0};
    char c[64];
    sigset_t pipe_only; /* OpenSSL's own socket BIO is not as careful as ours */

    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, NULL);
    if (poll(&ready, 1, 10000) != 1)
        return NULL;
    p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    if (p->fd < 0)
        abort();
    (void)setsockopt(p->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(p->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (p->act == ACT_STALL) {
        peer_wait(p);
    } else if (p->act == ACT_HANG_UP) {
        (void)recv(p->fd, c, sizeof(c), 0);
        (void)shutdown(p->fd, SHUT_WR);
        peer_wait(p);
    } else if (p->act == ACT_PLAIN) {
        (void)send(p->fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
        peer_wait(p);
    } else {
        peer_tls(p);
    }
    (void)close(p->fd);
    return NULL;
}

/* ---- the fixture ---- */

static inline int setup(void **state)
{
    struct tls_fixture *t = xcalloc(1, sizeof(*t));
    const struct cert_spec ca = {.cn = "Test Root", .ca = true};

    assert_int_equal(fixture_setup((void **)&t->f), 0);
    t->ca = cert_make(&ca);
    t->peer.listener = t->f->listener;
    t->peer.received = BUF_INIT(64 << 20);
    *state = t;
    return 0;
}

static inline int teardown(void **state)
{
    struct tls_fixture *t = *state;
    int rc;

    cert_release(&t->ca);
    rc = fixture_teardown((void **)&t->f);
    free(t);
    return rc;
}

static inline void start_thread(struct peer *p)
{
    assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
    p->running = true;
}

static inline void serve(struct tls_fixture *t, const struct cert_spec *spec, enum act act)
{
    struct peer *p = &t->peer;

    t->server = cert_make(spec);
    p->act = act;
    p->ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_security_level(p->ctx, 0);
    assert_int_equal(SSL_CTX_use_certificate(p->ctx, t->server.x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, t->server.key), 1);
    start_thread(p);
}

/* The usual server: a good certificate for logs.test and 127.0.0.1. */
static inline struct cert_spec good(const struct tls_fixture *t)
{
    return (struct cert_spec){
        .cn = "server", .san = "DNS:logs.test,IP:127.0.0.1", .issuer = &t->ca};
}

static inline void serve_good(struct tls_fixture *t, enum act act)
{
    const struct cert_spec spec = good(t);

    serve(t, &spec, act);
}

static inline struct tls_config *config_with(const struct tls_options *o)
{
    struct err e = {0};
    struct tls_config *c = tls_config_create(o, &e);

    if (!c)
        fail_msg("%s", e.text);
    return c;
}

/* Starts the conn; <name> is the name that the certificate must be for, NULL = the address. */
static inline void connect_tls(struct tls_fixture *t, const char *name, bool with_ca, bool insecure)
{
    struct buf pem = BUF_INIT(10000);
    struct conn_config cfg = {.host = STR("127.0.0.1"), .port = t->f->port, .tls = true};

    cert_pem(&t->ca, false, &pem);
    t->config = config_with(&(struct tls_options){
        .insecure = insecure, .ca = with_ca ? buf_str(&pem) : STR(""), .servername = str_of(name)});
    buf_release(&pem);
    cfg.tls_config = t->config;
    owner_connect(&t->owner, t->f, &cfg, &owner_ops);
}

static inline void join(struct tls_fixture *t)
{
    if (t->peer.running)
        assert_int_equal(pthread_join(t->peer.thread, NULL), 0);
    t->peer.running = false;
}

/* Closes everything and waits for the server's thread. */
static inline void finish(struct tls_fixture *t)
{
    owner_release(&t->owner);
    tls_config_free(t->config);
    join(t);
    SSL_CTX_free(t->peer.ctx);
    cert_release(&t->server);
    buf_release(&t->peer.received);
}

#endif
