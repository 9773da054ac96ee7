/* tls.c, and conn.c over TLS, against the server of tls_peer.h. */
#include "tls_peer.h"

#include <sys/stat.h>

/* ---- verification ---- */

static void expect_refused(struct tls_fixture *t, const char *reason, const char *subject)
{
    UNTIL(&t->f->loop, t->owner.opened || t->owner.ended);
    assert_int_equal(t->owner.opened, 0);
    assert_int_equal(t->owner.how, CONN_END_FAILED);
    ASSERT_HAS(t->owner.err.text, "tls to '127.0.0.1': ");
    ASSERT_HAS(t->owner.err.text, reason);
    ASSERT_HAS(t->owner.err.text, subject);
    finish(t);
}

static void expect_opened(struct tls_fixture *t)
{
    struct owner *o = &t->owner;

    UNTIL(&t->f->loop, o->opened || o->ended);
    if (!o->opened)
        fail_msg("%s", o->err.text);
}

static void test_good_chain(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_ECHO);
    connect_tls(t, "logs.test", true, false);
    expect_opened(t);
    assert_int_equal(owner_write(&t->owner, "ping", 4), 4);
    UNTIL(&t->f->loop, t->owner.got.len == 4);
    assert_memory_equal(t->owner.got.p, "ping", 4);
    assert_true(conn_written(t->owner.conn) > 4); /* ciphertext */
    UNTIL(&t->f->loop, conn_unacked(t->owner.conn) == 0);
    owner_shutdown(&t->owner);
    UNTIL(&t->f->loop, t->owner.ended);
    assert_int_equal(t->owner.how, CONN_END_CLEAN);
    finish(t);
    assert_string_equal(t->peer.sni, "logs.test");
}

/* The name's trailing dot belongs to DNS. */
static void test_trailing_dot(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_GOODBYE);
    connect_tls(t, "logs.test.", true, false);
    expect_opened(t);
    finish(t);
    assert_string_equal(t->peer.sni, "logs.test");
}

static void test_address(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_GOODBYE);
    connect_tls(t, NULL, true, false);
    expect_opened(t);
    finish(t);
    assert_string_equal(t->peer.sni, ""); /* no address in SNI */
}

static void test_wrong_address(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.san = "DNS:127.0.0.1,IP:127.0.0.2"; /* an address is not a name */
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, NULL, true, false);
    expect_refused(t, "IP address mismatch", "CN=server");
}

static void test_wrong_host(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_GOODBYE);
    connect_tls(t, "other.test", true, false);
    expect_refused(t, "hostname mismatch", "CN=server");
    assert_false(t->peer.handshake_ok);
}

static void test_partial_wildcard(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.san = "DNS:lo*.test";
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", true, false);
    expect_refused(t, "hostname mismatch", "CN=server");
}

static void test_unknown_ca(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_GOODBYE);
    connect_tls(t, "logs.test", false, false);
    expect_refused(t, "unable to get local issuer certificate", "CN=server");
}

static void test_expired(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.from_s = -7200;
    spec.to_s = -3600;
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", true, false);
    expect_refused(t, "certificate has expired", "CN=server");
}

static void test_not_yet_valid(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.from_s = 3600;
    spec.to_s = 7200;
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", true, false);
    expect_refused(t, "certificate is not yet valid", "CN=server");
}

static void test_self_signed(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.issuer = NULL;
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", true, false);
    expect_refused(t, "self-signed certificate", "CN=server");
}

static void test_sha1(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.md = EVP_sha1();
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", true, false);
    expect_refused(t, "too weak", "CN=server");
}

/* A long subject does not push the reason out of the text. */
static void test_long_subject(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.cn = "0123456789012345678901234567890123456789012345678901234567890123";
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "other.test", true, false);
    expect_refused(t, "hostname mismatch", "(subject 'CN=0123456789");
}

/* ca= may be the server's own certificate. */
static void test_pinned_leaf(void **state)
{
    struct tls_fixture *t = *state;
    struct buf pem = BUF_INIT(10000);
    struct conn_config cfg = {.host = STR("127.0.0.1"), .port = t->f->port, .tls = true};

    serve_good(t, ACT_GOODBYE);
    cert_pem(&t->server, false, &pem);
    t->config = config_with(&(struct tls_options){.ca = buf_str(&pem)});
    cfg.tls_config = t->config;
    owner_connect(&t->owner, t->f, &cfg, &owner_ops);
    expect_opened(t);
    buf_release(&pem);
    finish(t);
}

static void test_insecure(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.issuer = NULL;
    spec.san = "DNS:else.test";
    spec.from_s = -7200;
    spec.to_s = -3600;
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, NULL, false, true);
    expect_opened(t);
    finish(t);
}

static void test_old_protocol(void **state)
{
    struct tls_fixture *t = *state;
    const struct cert_spec spec = good(t);

    for (int round = 0; round < 2; round++) { /* insecure=true is about certificates only */
        t->peer.act = ACT_GOODBYE;
        t->server = cert_make(&spec);
        t->peer.ctx = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_security_level(t->peer.ctx, 0);
        assert_int_equal(SSL_CTX_set_min_proto_version(t->peer.ctx, TLS1_VERSION), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(t->peer.ctx, TLS1_VERSION), 1);
        assert_int_equal(SSL_CTX_use_certificate(t->peer.ctx, t->server.x), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(t->peer.ctx, t->server.key), 1);
        start_thread(&t->peer);
        connect_tls(t, "logs.test", true, round == 1);
        expect_refused(t, "protocol version", "tls");
    }
}

/* Roots are read from the hashed directory, one at a time. main() created it, with <hashed_root> in
 * it. */
static struct cert hashed_root;

static void test_system_roots(void **state)
{
    struct tls_fixture *t = *state;
    struct cert_spec spec = good(t);

    spec.issuer = &hashed_root;
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", false, false);
    expect_opened(t);
    finish(t);

    t->peer.received = BUF_INIT(10);
    serve(t, &spec, ACT_GOODBYE);
    connect_tls(t, "logs.test", true, false); /* ca= is added to them */
    expect_opened(t);
    finish(t);
}

/* ---- ends ---- */

static void expect_end(struct tls_fixture *t, enum conn_end how, const char *text)
{
    UNTIL(&t->f->loop, t->owner.ended);
    assert_int_equal(t->owner.how, how);
    ASSERT_HAS(t->owner.err.text, text);
    finish(t);
}

static void expect_hello_then(struct tls_fixture *t, enum act act, enum conn_end how,
                              const char *text)
{
    serve_good(t, act);
    connect_tls(t, "logs.test", true, false);
    expect_opened(t);
    UNTIL(&t->f->loop, t->owner.ended);
    if (act != ACT_RESET) /* a reset may overtake unread data */
        assert_int_equal(t->owner.got_at_end, 5);
    expect_end(t, how, text);
}

static void test_close_notify(void **state)
{
    expect_hello_then(*state, ACT_GOODBYE, CONN_END_CLEAN, "closed by 127.0.0.1:");
}

static void test_fin_alone(void **state)
{
    expect_hello_then(*state, ACT_FIN, CONN_END_ABNORMAL, "without close_notify");
}

static void test_reset(void **state)
{
    expect_hello_then(*state, ACT_RESET, CONN_END_ABNORMAL, "connection to 127.0.0.1:");
}

static void test_key_updates(void **state)
{
    expect_hello_then(*state, ACT_KEY_UPDATES, CONN_END_CLEAN, "closed by");
}

static void test_shutdown_without_answer(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_LATE_GOODBYE);
    connect_tls(t, "logs.test", true, false);
    expect_opened(t);
    owner_shutdown(&t->owner);
    expect_end(t, CONN_END_ABNORMAL, "without close_notify");
}

static void test_stall(void **state)
{
    struct tls_fixture *t = *state;
    uint64_t now = clock_mono_ms();

    clock_fake(now, 0);
    serve_good(t, ACT_STALL);
    connect_tls(t, "logs.test", true, false);
    for (int i = 0; i < 20; i++)
        loop_turn(&t->f->loop, 2);
    clock_fake(now + CONNECT_TIMEOUT_MS - 1, 0);
    for (int i = 0; i < 5; i++)
        loop_turn(&t->f->loop, 2);
    assert_int_equal(t->owner.ended, 0);
    clock_fake(now + CONNECT_TIMEOUT_MS, 0);
    UNTIL(&t->f->loop, t->owner.ended);
    assert_int_equal(t->owner.err.code, ETIMEDOUT);
    expect_end(t, CONN_END_FAILED, "tls to '127.0.0.1': handshake timeout");
}

static void test_hang_up(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_HANG_UP);
    connect_tls(t, "logs.test", true, false);
    expect_end(t, CONN_END_FAILED, "closed during the tls handshake");
}

/* A server without TLS: refused, and not a byte of ours is sent in the clear. */
static void test_no_tls(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_PLAIN);
    connect_tls(t, "logs.test", true, true);
    expect_end(t, CONN_END_FAILED, "wrong version number");
}

static void test_free_in_handshake(void **state)
{
    struct tls_fixture *t = *state;

    serve_good(t, ACT_STALL);
    connect_tls(t, "logs.test", true, false);
    for (int i = 0; i < 10; i++)
        loop_turn(&t->f->loop, 2);
    finish(t);
    assert_int_equal(t->owner.opened + t->owner.ended, 0);
}

/* ---- bytes ---- */

/* The peer does not read: less is accepted, accepted bytes arrive once and in order, and after a
 * short write other bytes may follow than those that were not accepted. */
static void test_slow_reader(void **state)
{
    struct tls_fixture *t = *state;
    struct buf sent = BUF_INIT(64 << 20);
    char part[50000];
    unsigned n = 0, shorts = 0;

    serve_good(t, ACT_SINK);
    connect_tls(t, "logs.test", true, false);
    expect_opened(t);
    while (sent.len < 24 << 20) {
        size_t size = 1 + n * 7919 % sizeof(part), k;

        memset(part, (int)(n++ & 0xff), size);
        k = owner_write(&t->owner, part, size);
        assert_int_equal(buf_add(&sent, part, k), 0);
        if (k == size)
            continue;
        shorts++;
        t->owner.writable = 0;
        if (shorts == 2) {
            assert_true(conn_unacked(t->owner.conn) > 0);
            atomic_store(&t->peer.may_read, true);
        }
        if (shorts == 1)
            loop_turn(&t->f->loop, 10);
        else
            UNTIL(&t->f->loop, t->owner.writable);
    }
    assert_true(shorts >= 2);
    assert_true(conn_written(t->owner.conn) > sent.len);
    owner_shutdown(&t->owner);
    UNTIL(&t->f->loop, t->owner.ended);
    assert_int_equal(t->owner.how, CONN_END_CLEAN);
    UNTIL(&t->f->loop, conn_unacked(t->owner.conn) == 0);
    join(t);
    assert_int_equal(t->peer.received.len, sent.len);
    assert_memory_equal(t->peer.received.p, sent.p, sent.len);
    buf_release(&sent);
    finish(t);
}

static void test_big_echo(void **state)
{
    struct tls_fixture *t = *state;
    const size_t total = 2 << 20;
    char *data = xcalloc(1, total);
    size_t taken = 0;

    for (size_t i = 0; i < total; i++)
        data[i] = (char)(i * 13 + i / 509);
    serve_good(t, ACT_ECHO);
    connect_tls(t, "logs.test", true, false);
    expect_opened(t);
    while (t->owner.got.len < total && !t->owner.ended) {
        if (taken - t->owner.got.len < 100000) /* so that both never wait for each other */
            taken +=
                owner_write(&t->owner, data + taken, total - taken < 30000 ? total - taken : 30000);
        loop_turn(&t->f->loop, 10);
    }
    assert_int_equal(t->owner.got.len, total);
    assert_memory_equal(t->owner.got.p, data, total);
    free(data);
    finish(t);
}

/* ---- configurations ---- */

static void refuse_config(const struct tls_options *o, const char *text)
{
    struct err e = {0};

    assert_null(tls_config_create(o, &e));
    assert_int_not_equal(e.code, 0);
    ASSERT_HAS(e.text, text);
}

static void test_config(void **state)
{
    struct tls_fixture *t = *state;
    struct buf cert = BUF_INIT(20000), key = BUF_INIT(10000), other = BUF_INIT(10000);
    struct cert_spec spec = good(t);
    struct cert a = cert_make(&spec), b = cert_make(&spec);
    struct err e = {0};
    struct tls_config *c;
    char big[URL_MAX + 1] = "";

    cert_pem(&a, false, &cert);
    cert_pem(&t->ca, false, &cert); /* with its chain */
    cert_pem(&a, true, &key);
    cert_pem(&b, true, &other);
    c = config_with(&(struct tls_options){.cert = buf_str(&cert), .key = buf_str(&key)});
    assert_non_null(tls_config_ctx(c));
    assert_null(tls_client(c, STR(""), &e));
    ASSERT_HAS(e.text, "no valid name");
    assert_null(tls_client(c, str_make("a\0b", 3), &e));
    assert_null(tls_client(c, str_make(big, HOST_MAX + 1), &e));
    tls_config_free(c);
    tls_config_free(NULL);

    refuse_config(&(struct tls_options){.ca = STR("rubbish")}, "ca: no certificate found");
    refuse_config(&(struct tls_options){.ca = buf_str(&key)}, "ca: no certificate found");
    refuse_config(&(struct tls_options){.ca = str_head(buf_str(&cert), 100)}, "ca: ");
    refuse_config(&(struct tls_options){.ca = str_head(buf_str(&cert), cert.len - 100)}, "ca: ");
    refuse_config(&(struct tls_options){.cert = buf_str(&cert)}, "go together");
    refuse_config(&(struct tls_options){.key = buf_str(&key)}, "go together");
    refuse_config(&(struct tls_options){.cert = buf_str(&cert), .key = buf_str(&other)},
                  "client key: key values mismatch");
    refuse_config(&(struct tls_options){.cert = buf_str(&cert), .key = STR("x")}, "client key: ");
    refuse_config(&(struct tls_options){.ca = str_make(big, sizeof(big))}, "over 16384 bytes");
    assert_int_equal(ERR_peek_error(), 0);
    cert_release(&a);
    cert_release(&b);
    buf_release(&cert);
    buf_release(&key);
    buf_release(&other);
}

/* ---- */

static int make_root_dir(char *dir, char *file, size_t size)
{
    const struct cert_spec spec = {.cn = "Hashed Root", .ca = true};
    struct buf pem = BUF_INIT(10000);
    FILE *out;

    hashed_root = cert_make(&spec);
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(file, size, "%s/%08lx.0", dir, X509_subject_name_hash(hashed_root.x));
    cert_pem(&hashed_root, false, &pem);
    out = fopen(file, "we");
    if (!out)
        return -1;
    (void)fwrite(pem.p, 1, pem.len, out);
    buf_release(&pem);
    return fclose(out) == 0 ? setenv("SSL_CERT_DIR", dir, 1) : -1;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_good_chain),
        CASE(test_trailing_dot),
        CASE(test_address),
        CASE(test_wrong_address),
        CASE(test_wrong_host),
        CASE(test_partial_wildcard),
        CASE(test_unknown_ca),
        CASE(test_expired),
        CASE(test_not_yet_valid),
        CASE(test_self_signed),
        CASE(test_sha1),
        CASE(test_long_subject),
        CASE(test_pinned_leaf),
        CASE(test_insecure),
        CASE(test_old_protocol),
        CASE(test_system_roots),
        CASE(test_close_notify),
        CASE(test_fin_alone),
        CASE(test_reset),
        CASE(test_key_updates),
        CASE(test_shutdown_without_answer),
        CASE(test_stall),
        CASE(test_hang_up),
        CASE(test_no_tls),
        CASE(test_free_in_handshake),
        CASE(test_slow_reader),
        CASE(test_big_echo),
        CASE(test_config),
    };
    char dir[] = "/tmp/logtrain-roots-XXXXXX", file[64];
    int rc;

    (void)signal(SIGPIPE, SIG_DFL); /* conn.c must be safe in itself */
    if (make_root_dir(dir, file, sizeof(file)) < 0)
        return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(file);
    (void)rmdir(dir);
    cert_release(&hashed_root);
    (void)deaf_ops;
    return rc;
}
