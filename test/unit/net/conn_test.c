/* conn.c over plain TCP: every state, every end, and freeing in each of them. TLS is in tls_test.c.
 */
#include "owner.h"

#include <errno.h>
#include <sys/socket.h>

#define FILL 8

static struct conn_config config(const char *host, uint16_t port)
{
    return (struct conn_config){.host = str_of(host), .port = port};
}

/* Connects <o> to the fixture's listener; returns the peer's socket. */
static int connected(struct fixture *f, struct owner *o, const struct conn_ops *ops)
{
    const struct conn_config cfg = config("127.0.0.1", f->port);
    int peer = -1;

    owner_connect(o, f, &cfg, ops);
    UNTIL(&f->loop, o->opened || o->ended);
    assert_int_equal(o->opened, 1);
    UNTIL(&f->loop, (peer = accept_one(f->listener)) >= 0);
    return peer;
}

static void reset(int fd)
{
    const struct linger now = {1, 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    assert_int_equal(close(fd), 0);
}

/* Reads what has arrived; true at the FIN. */
static bool drain(int fd, struct buf *into)
{
    char part[65536];
    ssize_t k;

    while ((k = recv(fd, part, sizeof(part), 0)) > 0)
        assert_int_equal(buf_add(into, part, (size_t)k), 0);
    return k == 0;
}

static void test_echo(void **state)
{
    struct fixture *f = *state;
    struct buf received = BUF_INIT(100);
    struct owner o;
    int peer = connected(f, &o, &owner_ops);

    assert_int_equal(owner_write(&o, "ping", 4), 4);
    UNTIL(&f->loop, ((void)drain(peer, &received), received.len == 4));
    assert_int_equal(send(peer, "pong!", 5, 0), 5);
    UNTIL(&f->loop, o.got.len == 5);
    assert_memory_equal(o.got.p, "pong!", 5);
    assert_int_equal(conn_written(o.conn), 4);
    UNTIL(&f->loop, conn_unacked(o.conn) == 0);
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_CLEAN);
    buf_release(&received);
    owner_release(&o);
}

static void test_by_name(void **state)
{
    struct fixture *f = *state;
    const struct conn_config cfg = config("localhost", f->port);
    struct owner o;

    owner_connect(&o, f, &cfg, &owner_ops);
    UNTIL(&f->loop, o.opened || o.ended);
    assert_int_equal(o.opened, 1);
    owner_release(&o);
}

static void test_no_such_host(void **state)
{
    struct fixture *f = *state;
    const struct conn_config cfg = config("a..invalid", 1);
    struct owner o;

    owner_connect(&o, f, &cfg, &owner_ops);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_FAILED);
    assert_string_equal(o.err.text, "resolve 'a..invalid': no such host");
    owner_release(&o);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    struct owner o;
    uint16_t port = 0;
    char text[64];
    int fd = listen_on("127.0.0.1", &port, 1);
    const struct conn_config cfg = config("127.0.0.1", port);

    assert_int_equal(close(fd), 0);
    owner_connect(&o, f, &cfg, &owner_ops);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_FAILED);
    assert_int_equal(o.err.code, ECONNREFUSED);
    (void)snprintf(text, sizeof(text), "connect to 127.0.0.1:%u: ", port);
    ASSERT_HAS(o.err.text, text);
    assert_false(conn_is_open(o.conn));
    assert_int_equal(owner_write(&o, "x", 1), 0);
    owner_release(&o);
}

static int refuse(const struct egress *p, const struct sockaddr *sa, struct err *e)
{
    (void)p, (void)sa;
    return err_set(e, EPERM, "address not allowed: loopback");
}

struct turn {
    struct egress base;
    bool refuses;
};

static int refuse_later(const struct egress *p, const struct sockaddr *sa, struct err *e)
{
    return container_of(p, const struct turn, base)->refuses ? refuse(p, sa, e) : 0;
}

/* What was allowed when it was connected to is refused now. */
static void test_T12_an_open_connection_is_asked_about_again(void **state)
{
    struct turn turn = {.base = {.check = refuse_later}};
    struct fixture *f = *state;
    struct conn_config cfg = config("127.0.0.1", f->port);
    struct buf received = BUF_INIT(1000000);
    struct owner o;
    int peer = -1;

    cfg.egress = &turn.base;
    owner_connect(&o, f, &cfg, &owner_ops);
    UNTIL(&f->loop, o.opened || o.ended);
    assert_int_equal(o.opened, 1);
    UNTIL(&f->loop, (peer = accept_one(f->listener)) >= 0);
    assert_int_equal(owner_write(&o, "x", 1), 1);
    turn.refuses = true;
    UNTIL(&f->loop, ((void)owner_write(&o, "x", 1), o.ended)); /* in EGRESS_AGAIN_MS */
    assert_int_equal(o.how, CONN_END_ABNORMAL);
    ASSERT_HAS(o.err.text, "address not allowed");
    assert_int_equal(owner_write(&o, "x", 1), 0);
    owner_release(&o);
    UNTIL(&f->loop, drain(peer, &received));
    assert_int_equal(close(peer), 0);
    buf_release(&received);
}

static void test_egress(void **state)
{
    static const struct egress none = {refuse};
    struct fixture *f = *state;
    struct conn_config cfg = config("127.0.0.1", f->port);
    struct owner o;

    cfg.egress = &none;
    owner_connect(&o, f, &cfg, &owner_ops);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_FAILED);
    assert_int_equal(o.err.code, EACCES);
    ASSERT_HAS(o.err.text, "address not allowed");
    assert_int_equal(accept_one(f->listener), -1);
    owner_release(&o);
}

/* Data before the FIN is delivered before the end is reported, also over several turns. */
static void test_fin_after_data(void **state)
{
    struct fixture *f = *state;
    const size_t total = 3 << 20;
    char *data = xcalloc(1, total);
    size_t sent = 0;
    struct owner o;
    int peer = connected(f, &o, &owner_ops);

    for (size_t i = 0; i < total; i++)
        data[i] = (char)(i * 7 + i / 251);
    while (sent < total) {
        ssize_t k = send(peer, data + sent, total - sent, MSG_NOSIGNAL);

        if (k > 0)
            sent += (size_t)k;
        loop_turn(&f->loop, k > 0 ? 0 : 10);
    }
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_CLEAN);
    assert_int_equal(o.got_at_end, total);
    assert_memory_equal(o.got.p, data, total);
    assert_int_equal(owner_write(&o, "x", 1), 0);
    free(data);
    owner_release(&o);
}

/* A flood does not keep one turn busy for ever. */
static void test_turn_is_bounded(void **state)
{
    struct fixture *f = *state;
    const int size = 4 << 20;
    static char data[8 << 20];
    struct owner o;
    int peer = connected(f, &o, &owner_ops);
    size_t before;

    (void)setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    assert_true(send(peer, data, sizeof(data), 0) > 0);
    before = o.got.len;
    for (int i = 0; i < 100 && o.got.len == before; i++)
        loop_turn(&f->loop, 10);
    assert_true(o.got.len - before <= 256 * 1024);
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    owner_release(&o);
}

/* T03: a peer that has little to say is read slowly when it floods us, so 320 KiB take nine pauses
 * at least. */
static void test_T03_a_flood_of_a_quiet_peer_is_read_slowly(void **state)
{
    static char part[32 * 1024];
    struct fixture *f = *state;
    struct conn_config cfg = config("127.0.0.1", f->port);
    struct owner o;
    uint64_t began;
    int peer;

    cfg.quiet_peer = true;
    owner_connect(&o, f, &cfg, &owner_ops);
    UNTIL(&f->loop, o.opened);
    UNTIL(&f->loop, (peer = accept_one(f->listener)) >= 0);
    began = real_ms();
    for (size_t sent = 0; sent < 10 * sizeof(part);) {
        ssize_t k = send(peer, part, sizeof(part) - sent % sizeof(part), MSG_DONTWAIT);

        sent += k > 0 ? (size_t)k : 0;
        loop_turn(&f->loop, 1);
        assert_true(real_ms() < began + WAIT_MS);
    }
    UNTIL(&f->loop, o.got.len == 10 * sizeof(part));
    assert_in_range(real_ms() - began, 150, WAIT_MS);
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_CLEAN);
    owner_release(&o);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;
    struct owner o;

    reset(connected(f, &o, &owner_ops));
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_ABNORMAL);
    assert_int_equal(o.err.code, ECONNRESET);
    ASSERT_HAS(o.err.text, "connection to 127.0.0.1:");
    owner_release(&o);
}

/* Writing into a connection that the peer has reset raises no SIGPIPE, and is reported as an
 * end. */
static void test_write_after_reset(void **state)
{
    struct fixture *f = *state;
    struct owner o;
    int peer = connected(f, &o, &owner_ops);

    reset(peer);
    for (int i = 0; i < 1000 && conn_is_open(o.conn); i++)
        (void)owner_write(&o, "xxxxxxxxxxxxxxxx", 16);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_ABNORMAL);
    owner_release(&o);
}

static void test_no_subscribers(void **state)
{
    struct fixture *f = *state;
    static char data[100000];
    struct owner o;
    int peer = connected(f, &o, &deaf_ops);

    assert_true(send(peer, data, sizeof(data), 0) > 0);
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_CLEAN);
    owner_release(&o);
}

/* The peer does not read: conn_write takes less, then nothing; later <writable> is called, and
 * every byte arrives once. */
static void test_slow_reader(void **state)
{
    struct fixture *f = *state;
    const size_t total = 24 << 20;
    char *data = xcalloc(1, total);
    struct buf received = BUF_INIT(32 << 20);
    size_t taken = 0, k;
    struct owner o;
    int peer = connected(f, &o, &owner_ops);
    bool full = false;

    for (size_t i = 0; i < total; i++)
        data[i] = (char)(i * 31 + i / 997);
    do {
        k = owner_write(&o, data + taken, total - taken);
        taken += k;
        loop_turn(&f->loop, 0);
    } while (k);
    assert_true(taken > 0 && taken < total);
    assert_true(conn_unacked(o.conn) > 0);
    assert_int_equal(o.writable, 0);
    loop_turn(&f->loop, 20);
    while (received.len < total) {
        unsigned seen = o.writable;

        (void)drain(peer, &received);
        loop_turn(&f->loop, 10);
        if (o.writable == seen && full)
            continue;
        k = owner_write(&o, data + taken, total - taken);
        taken += k;
        full = k == 0;
    }
    assert_true(o.writable > 0);
    assert_int_equal(received.len, total);
    assert_memory_equal(received.p, data, total);
    assert_int_equal(conn_written(o.conn), total);
    UNTIL(&f->loop, conn_unacked(o.conn) == 0);
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    buf_release(&received);
    free(data);
    owner_release(&o);
}

static void test_shutdown(void **state)
{
    struct fixture *f = *state;
    struct buf received = BUF_INIT(100);
    struct owner o;
    int peer = connected(f, &o, &owner_ops);

    assert_int_equal(owner_write(&o, "last", 4), 4);
    owner_shutdown(&o);
    owner_shutdown(&o); /* once is enough */
    assert_false(conn_is_open(o.conn));
    assert_int_equal(owner_write(&o, "more", 4), 0);
    UNTIL(&f->loop, drain(peer, &received));
    assert_int_equal(received.len, 4);
    assert_int_equal(o.ended, 0); /* not before the peer has answered */
    assert_int_equal(send(peer, "bye", 3, 0), 3);
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_CLEAN);
    assert_int_equal(o.got_at_end, 3);
    buf_release(&received);
    owner_release(&o);
}

static void test_shutdown_unanswered(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    struct owner o;
    int peer = connected(f, &o, &owner_ops);

    clock_fake(now, 0);
    owner_shutdown(&o);
    clock_fake(now + CLOSE_TIMEOUT_MS - 1, 0);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 1);
    assert_int_equal(o.ended, 0);
    clock_fake(now + CLOSE_TIMEOUT_MS, 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_ABNORMAL);
    assert_int_equal(o.err.code, ETIMEDOUT);
    assert_int_equal(close(peer), 0);
    owner_release(&o);
}

static void test_connect_deadline(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    int fill[FILL], dead;
    struct conn_config cfg;
    struct owner o;
    uint16_t port;
    char text[64];

    dead = listen_full(&port, fill, FILL);
    cfg = config("127.0.0.1", port);
    cfg.connect_timeout_ms = 3000;
    clock_fake(now, 0);
    owner_connect(&o, f, &cfg, &owner_ops);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 5);
    clock_fake(now + 2999, 0);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 5);
    assert_int_equal(o.ended, 0);
    clock_fake(now + 3000, 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_FAILED);
    (void)snprintf(text, sizeof(text), "connect to 127.0.0.1:%u: timeout", port);
    assert_string_equal(o.err.text, text);
    owner_release(&o);
    close_all(fill, FILL);
    assert_int_equal(close(dead), 0);
}

static void test_default_deadline(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_mono_ms();
    const struct conn_config cfg = config("127.0.0.1", f->port);
    struct owner o;

    clock_fake(now, 0);
    owner_connect(&o, f, &cfg, &owner_ops);
    clock_fake(now + CONNECT_TIMEOUT_MS, 0); /* before the first turn: nothing is resolved yet */
    UNTIL(&f->loop, o.ended);
    assert_string_equal(o.err.text, "resolve '127.0.0.1': timeout");
    owner_release(&o);
}

/* After conn_free nothing is called, whatever the state was. */
static void test_free_in_each_state(void **state)
{
    struct fixture *f = *state;
    const struct conn_config cfg = config("127.0.0.1", f->port);
    int fill[FILL], dead, peer;
    struct conn_config to_dead;
    struct owner o;
    uint16_t port;

    conn_free(NULL);
    for (int turns = 0; turns < 5; turns++) { /* resolving, connecting, maybe open */
        owner_connect(&o, f, &cfg, &owner_ops);
        for (int i = 0; i < turns; i++)
            loop_turn(&f->loop, 0);
        o.opened = o.ended = 0;
        owner_free(&o);
        for (int i = 0; i < 3; i++)
            loop_turn(&f->loop, 1);
        assert_int_equal(o.opened + o.ended, 0);
        owner_release(&o);
    }
    dead = listen_full(&port, fill, FILL);
    to_dead = config("127.0.0.1", port);
    owner_connect(&o, f, &to_dead, &owner_ops);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 1);
    owner_free(&o);
    close_all(fill, FILL);
    assert_int_equal(close(dead), 0);
    while ((peer = accept_one(f->listener)) >= 0)
        assert_int_equal(close(peer), 0);

    peer = connected(f, &o, &owner_ops); /* ended, not reported yet */
    owner_shutdown(&o);
    owner_free(&o);
    assert_int_equal(close(peer), 0);
    owner_connect(&o, f, &cfg, &owner_ops);
    owner_shutdown(&o);
    owner_free(&o);
    loop_turn(&f->loop, 0);
    assert_int_equal(o.ended, 0);
}

static void test_given_up_early(void **state)
{
    struct fixture *f = *state;
    const struct conn_config cfg = config("127.0.0.1", f->port);
    struct owner o;

    owner_connect(&o, f, &cfg, &owner_ops);
    owner_shutdown(&o);
    assert_int_equal(o.ended, 0);
    UNTIL(&f->loop, o.ended);
    assert_int_equal(o.how, CONN_END_FAILED);
    owner_release(&o);
}

static void test_free_in_each_callback(void **state)
{
    struct fixture *f = *state;
    const struct conn_config cfg = config("127.0.0.1", f->port);
    static char data[1 << 20];
    struct buf received = BUF_INIT(256 << 20);
    struct owner o;
    int peer;

    owner_connect(&o, f, &cfg, &owner_ops);
    o.free_when = FREE_IN_OPENED;
    UNTIL(&f->loop, o.opened);
    UNTIL(&f->loop, (peer = accept_one(f->listener)) >= 0);
    assert_int_equal(close(peer), 0);

    peer = connected(f, &o, &owner_ops);
    o.free_when = FREE_IN_READABLE;
    assert_int_equal(send(peer, "x", 1, 0), 1);
    UNTIL(&f->loop, o.readable);
    assert_int_equal(close(peer), 0);

    peer = connected(f, &o, &owner_ops);
    o.free_when = FREE_IN_WRITABLE;
    while (owner_write(&o, data, sizeof(data)) > 0)
        loop_turn(&f->loop, 0);
    UNTIL(&f->loop, ((void)drain(peer, &received), o.writable));
    assert_int_equal(close(peer), 0);

    peer = connected(f, &o, &owner_ops);
    o.free_when = FREE_IN_ENDED;
    assert_int_equal(close(peer), 0);
    UNTIL(&f->loop, o.ended);
    assert_null(o.conn);
    owner_release(&o);
    buf_release(&received);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_echo),
        CASE(test_by_name),
        CASE(test_no_such_host),
        CASE(test_refused),
        CASE(test_egress),
        CASE(test_T12_an_open_connection_is_asked_about_again),
        CASE(test_fin_after_data),
        CASE(test_turn_is_bounded),
        CASE(test_T03_a_flood_of_a_quiet_peer_is_read_slowly),
        CASE(test_reset),
        CASE(test_write_after_reset),
        CASE(test_no_subscribers),
        CASE(test_slow_reader),
        CASE(test_shutdown),
        CASE(test_shutdown_unanswered),
        CASE(test_connect_deadline),
        CASE(test_default_deadline),
        CASE(test_free_in_each_state),
        CASE(test_given_up_early),
        CASE(test_free_in_each_callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
