/* The syslog member over a real connection, with a faked clock: what is confirmed by time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../core/worker_world.h"

#define TURNS_MAX 100000
#define POLL_MS 500

struct peer {
    int listener, fd;
    struct drain *drain;
};

/* Turns until something can be read or accepted at <fd>. */
static void await(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (int i = 0; i < TURNS_MAX; i++) {
        turns(1);
        if (poll(&p, 1, 1) > 0)
            return;
    }
    fail_msg("the worker does nothing");
}

static void connected(struct peer *p)
{
    await(p->listener);
    p->fd = accept(p->listener, NULL, NULL);
    assert_true(p->fd >= 0);
    await(p->fd);
}

/* A listener, and a drain for it with a line, which has come. */
static void start(struct peer *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    struct drain_spec *spec;
    char url[64];
    struct err e;

    p->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(p->listener, 8), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
    assert_true(snprintf(url, sizeof(url), "syslog+tcp://127.0.0.1:%u/", ntohs(at.sin_port)) > 0);
    spec = drain_spec_create(str_of(url), &e);
    assert_non_null(spec);
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
    drain_spec_unref(spec);
    turns(1);
    p->drain = list_entry(w.wk->all.next, struct drain, node);
    connected(p);
}

static void end(struct peer *p)
{
    assert_int_equal(close(p->fd), 0);
    assert_int_equal(close(p->listener), 0);
}

/* The peer's kernel has these bytes, and its program none of them. */
static void write_unread(struct peer *p)
{
    int before, now = 0;

    assert_int_equal(ioctl(p->fd, FIONREAD, &before), 0);
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    for (int i = 0; i < TURNS_MAX && now <= before; i++) {
        turns(1);
        assert_int_equal(ioctl(p->fd, FIONREAD, &now), 0);
    }
    assert_true(now > before);
    for (int i = 0; i < 3; i++)
        pass_ms(POLL_MS); /* the worker has seen that they were acknowledged */
}

/* Unread bytes make it a reset. The worker learns of it in its next poll, which comes after its
 * timers: <ms> have passed by then. */
static void end_unseen(struct peer *p, uint64_t ms)
{
    assert_int_equal(close(p->fd), 0);
    pass_ms(ms);
}

static uint64_t confirmed(const struct peer *p)
{
    return list_entry(p->drain->cursors.next, struct drain_cursor, drain_node)
        ->cursor.acked.pos.off;
}

static void grow_old(const struct peer *p)
{
    for (unsigned ms = 0; ms < YOUNG_CONNECTION_MS + COMMIT_LAG_MS; ms += POLL_MS)
        pass_ms(POLL_MS);
    assert_true(confirmed(p) > 0);
}

static void what_was_taken_is_confirmed_later(void **state)
{
    struct peer p;
    uint64_t before;

    (void)state;
    start(&p);
    grow_old(&p);
    before = confirmed(&p);
    write_unread(&p);
    for (unsigned ms = 0; ms < COMMIT_LAG_MS - 2 * POLL_MS; ms += POLL_MS) {
        assert_int_equal(confirmed(&p), before);
        pass_ms(POLL_MS);
    }
    for (int i = 0; i < 4; i++)
        pass_ms(POLL_MS);
    assert_true(confirmed(&p) > before);
    end(&p);
}

/* The time in which the worker did nothing (stopped, or without a CPU) is no time in which the
 * connection was seen to be well. */
static void a_pause_confirms_nothing(void **state)
{
    struct peer p;
    uint64_t before;

    (void)state;
    start(&p);
    grow_old(&p);
    before = confirmed(&p);
    write_unread(&p);
    end_unseen(&p, 10 * COMMIT_LAG_MS);
    assert_int_equal(confirmed(&p), before);
    assert_int_equal(p.drain->counters.rewinds, 1);
    pass_ms(2 * BACKOFF_CAP_MS);
    connected(&p); /* and there it is again */
    end(&p);
}

/* Nor does it make a young connection an old one, whose orderly close would confirm. */
static void a_pause_makes_nothing_old(void **state)
{
    struct peer p;
    char bytes[4096];

    (void)state;
    start(&p);
    for (int i = 0; i < 3; i++)
        pass_ms(POLL_MS);
    assert_true(read(p.fd, bytes, sizeof(bytes)) > 0);
    end_unseen(&p, 2 * YOUNG_CONNECTION_MS);
    assert_int_equal(confirmed(&p), 0);
    assert_int_equal(p.drain->counters.rewinds, 1);
    assert_int_equal(close(p.listener), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_taken_is_confirmed_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_confirms_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_makes_nothing_old, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
