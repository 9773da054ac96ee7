/* wire.c over a socket pair: the BIO takes records whole, keeps the order, and is bounded. */
#include "owner.h"

#include <errno.h>
#include <openssl/bio.h>
#include <signal.h>

#include "net/wire.h"

struct pair {
    struct wire wire;
    int peer;
    BIO *bio;
    struct buf received;
};

static int setup(void **state)
{
    struct pair *p = xcalloc(1, sizeof(*p));
    const int small = 4096;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    wire_init(&p->wire);
    p->wire.fd = fds[0];
    p->wire.budget = SIZE_MAX;
    p->peer = fds[1];
    p->bio = wire_bio(&p->wire);
    p->received = BUF_INIT(1 << 20);
    assert_non_null(p->bio);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    (void)BIO_free(p->bio);
    wire_release(&p->wire);
    assert_int_equal(p->wire.fd, -1);
    if (p->peer >= 0)
        assert_int_equal(close(p->peer), 0);
    buf_release(&p->received);
    free(p);
    return 0;
}

static void hear(struct pair *p)
{
    char part[65536];
    ssize_t k;

    while ((k = recv(p->peer, part, sizeof(part), 0)) > 0)
        assert_int_equal(buf_add(&p->received, part, (size_t)k), 0);
}

/* Bytes that encode their position. */
static void fill(char *p, size_t n, size_t from)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((from + i) * 17 + (from + i) / 253);
}

static void test_bio_order_and_bound(void **state)
{
    struct pair *p = *state;
    static char record[16500], want[1 << 20];
    size_t written = 0;
    bool was_full = false;

    while (written < 600000) {
        int k;

        fill(record, sizeof(record), written);
        k = BIO_write(p->bio, record, sizeof(record));
        if (k > 0) {
            assert_true(p->wire.out.len <= 64 * 1024);
            written += (size_t)k;
            continue;
        }
        assert_true(BIO_should_write(p->bio)); /* full: nothing was accepted */
        assert_true(p->wire.out.len > 64 * 1024 - sizeof(record));
        was_full = true;
        while (!wire_flush(&p->wire))
            hear(p);
        assert_null(p->wire.out.p); /* no memory is kept for next time */
    }
    assert_true(was_full);
    while (!wire_flush(&p->wire))
        hear(p);
    hear(p);
    fill(want, written, 0);
    assert_int_equal(p->wire.written, written);
    assert_int_equal(p->received.len, written);
    assert_memory_equal(p->received.p, want, written);
}

/* More than a record at once: a part is accepted, and the result says so. */
static void test_bio_part(void **state)
{
    struct pair *p = *state;
    static char data[300000], want[300000];
    int k;

    fill(data, sizeof(data), 0);
    memcpy(want, data, sizeof(want));
    k = BIO_write(p->bio, data, sizeof(data));
    assert_true(k > 0 && k < (int)sizeof(data));
    while (!wire_flush(&p->wire))
        hear(p);
    hear(p);
    assert_int_equal(p->wire.written, k);
    assert_int_equal(p->received.len, k);
    assert_memory_equal(p->received.p, want, p->received.len);
}

static void test_bio_read(void **state)
{
    struct pair *p = *state;
    char got[16];

    assert_int_equal(BIO_read(p->bio, got, sizeof(got)), -1);
    assert_true(BIO_should_read(p->bio));
    assert_int_equal(send(p->peer, "abcdef", 6, 0), 6);
    p->wire.budget = 4;
    assert_int_equal(BIO_read(p->bio, got, sizeof(got)), 4);
    assert_int_equal(BIO_read(p->bio, got, sizeof(got)), -1); /* the turn's share is used up */
    assert_true(BIO_should_read(p->bio));
    p->wire.budget = 4;
    assert_int_equal(BIO_read(p->bio, got, sizeof(got)), 2);
    assert_int_equal(close(p->peer), 0);
    p->peer = -1;
    assert_int_equal(BIO_read(p->bio, got, sizeof(got)), 0);
    assert_false(BIO_should_retry(p->bio));
    assert_true(BIO_eof(p->bio));
    assert_true(p->wire.eof);
}

static void test_broken(void **state)
{
    struct pair *p = *state;
    char c;

    assert_int_equal(close(p->peer), 0);
    p->peer = -1;
    assert_int_equal(wire_send(&p->wire, "x", 1), 0); /* and no SIGPIPE */
    assert_int_equal(p->wire.error, EPIPE);
    assert_int_equal(BIO_write(p->bio, "x", 1), -1);
    assert_false(BIO_should_retry(p->bio));
    assert_int_equal(wire_recv(&p->wire, &c, 1), 0);
    assert_int_equal(p->wire.written, 0);
    assert_int_equal(p->wire.error, EPIPE); /* the first reason stays */
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_bio_order_and_bound),
        CASE(test_bio_part),
        CASE(test_bio_read),
        CASE(test_broken),
    };

    (void)signal(SIGPIPE, SIG_DFL);
    (void)owner_ops, (void)deaf_ops;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
