/* race.c: which address is tried when, and what the policy sees. */
#include "owner.h"

#include <errno.h>

#include "net/race.h"

#define FILL 8

struct watcher {
    struct egress egress;
    unsigned checks;
    unsigned refused; /* bit i: the i-th address it is shown */
    struct sockaddr_storage seen[ADDRESSES_MAX];
};

struct result {
    struct race *race;
    unsigned calls;
    int fd;
    struct sockaddr_storage winner;
    struct err err;
    bool free_in_done;
};

static int check(const struct egress *p, const struct sockaddr *sa, struct err *e)
{
    struct watcher *w = container_of(p, struct watcher, egress);

    assert_true(w->checks < ADDRESSES_MAX);
    memcpy(&w->seen[w->checks++], sa, sizeof(struct sockaddr_in));
    return w->refused >> (w->checks - 1) & 1
               ? err_set(e, EPERM, "address not allowed: in 127.0.0.0/8")
               : 0;
}

static void on_done(void *arg, int fd, const struct sockaddr *sa, const struct err *e)
{
    struct result *r = arg;

    r->calls++;
    r->fd = fd;
    assert_true((fd >= 0) == !e);
    if (e)
        r->err = *e;
    else
        memcpy(&r->winner, sa, sizeof(struct sockaddr_in));
    if (r->free_in_done) {
        race_free(r->race);
        r->race = NULL;
    }
}

static void add(struct dns_addrs *a, const char *ip, uint16_t port)
{
    struct sockaddr_in *sa = (struct sockaddr_in *)&a->list[a->len++];

    *sa = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, ip, &sa->sin_addr), 1);
}

static void start(struct fixture *f, struct result *r, const struct dns_addrs *a,
                  const struct egress *egress)
{
    *r = (struct result){.fd = -1};
    r->race = race_create(&f->loop, a, egress, on_done, r);
    assert_int_equal(r->calls, 0);
}

static uint16_t winner_port(const struct result *r)
{
    assert_true(r->fd >= 0);
    return ntohs(((const struct sockaddr_in *)&r->winner)->sin_port);
}

static uint16_t closed_port(void)
{
    uint16_t port = 0;

    assert_int_equal(close(listen_on("127.0.0.1", &port, 1)), 0);
    return port;
}

static void test_first(void **state)
{
    struct fixture *f = *state;
    struct watcher w = {.egress = {check}};
    struct dns_addrs a = {.len = 0};
    struct result r;

    add(&a, "127.0.0.1", f->port);
    add(&a, "127.0.0.2", f->port);
    start(f, &r, &a, &w.egress);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(winner_port(&r), f->port);
    assert_int_equal(w.checks, 1); /* the second was not even checked */
    assert_memory_equal(&w.seen[0], &a.list[0], sizeof(struct sockaddr_in));
    assert_int_equal(close(r.fd), 0);
    race_free(r.race);
}

/* A refusal starts the next one at once, not after the delay: the faked clock stands still. */
static void test_next_after_refusal(void **state)
{
    struct fixture *f = *state;
    struct watcher w = {.egress = {check}};
    struct dns_addrs a = {.len = 0};
    struct result r;

    add(&a, "127.0.0.1", closed_port());
    add(&a, "127.0.0.1", closed_port());
    add(&a, "127.0.0.1", f->port);
    clock_fake(1000, 0);
    start(f, &r, &a, &w.egress);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(winner_port(&r), f->port);
    assert_int_equal(w.checks, 3);
    assert_int_equal(close(r.fd), 0);
    race_free(r.race);
}

static void test_next_after_delay(void **state)
{
    struct fixture *f = *state;
    struct watcher w = {.egress = {check}};
    struct dns_addrs a = {.len = 0};
    int fill[FILL], dead;
    struct result r;
    uint16_t port;

    dead = listen_full(&port, fill, FILL);
    add(&a, "127.0.0.1", port);
    add(&a, "127.0.0.1", f->port);
    clock_fake(1000, 0);
    start(f, &r, &a, &w.egress);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 5);
    clock_fake(1000 + HAPPY_EYEBALLS_MS - 1, 0);
    for (int i = 0; i < 5; i++)
        loop_turn(&f->loop, 5);
    assert_int_equal(w.checks, 1);
    assert_int_equal(r.calls, 0);
    clock_fake(1000 + HAPPY_EYEBALLS_MS, 0);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(w.checks, 2);
    assert_int_equal(winner_port(&r), f->port);
    assert_int_equal(close(r.fd), 0);
    race_free(r.race);
    close_all(fill, FILL);
    assert_int_equal(close(dead), 0);
}

static void test_all_refuse(void **state)
{
    struct fixture *f = *state;
    struct dns_addrs a = {.len = 0};
    struct result r;
    char text[64];

    while (a.len < ADDRESSES_MAX)
        add(&a, "127.0.0.1", closed_port());
    dns_addr_format((struct sockaddr *)&a.list[a.len - 1], text, sizeof(text));
    start(f, &r, &a, NULL);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(r.fd, -1);
    assert_int_equal(r.err.code, ECONNREFUSED);
    ASSERT_HAS(r.err.text, text);
    race_free(r.race);
}

static void test_policy(void **state)
{
    struct fixture *f = *state;
    struct watcher w = {.egress = {check}, .refused = 3};
    struct dns_addrs a = {.len = 0};
    struct result r;

    add(&a, "127.0.0.2", f->port);
    add(&a, "127.0.0.3", f->port);
    start(f, &r, &a, &w.egress);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(r.fd, -1);
    assert_int_equal(r.err.code, EACCES);
    ASSERT_HAS(r.err.text, "address not allowed: in 127.0.0.0/8");
    assert_int_equal(w.checks, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_memory_equal(&w.seen[i], &a.list[i], sizeof(struct sockaddr_in));
    race_free(r.race);
    assert_int_equal(accept_one(f->listener), -1); /* nothing was connected to */

    add(&a, "127.0.0.1", f->port); /* refused ones are skipped */
    w.checks = 0;
    start(f, &r, &a, &w.egress);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(winner_port(&r), f->port);
    assert_int_equal(close(r.fd), 0);
    race_free(r.race);

    a.len = 0; /* the error of a connect is preferred to that of the policy after it */
    add(&a, "127.0.0.1", closed_port());
    add(&a, "127.0.0.2", f->port);
    w.checks = 0;
    w.refused = 2;
    start(f, &r, &a, &w.egress);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(w.checks, 2);
    assert_int_equal(r.err.code, ECONNREFUSED);
    race_free(r.race);
}

static void test_loser_is_closed(void **state)
{
    struct fixture *f = *state;
    struct dns_addrs a = {.len = 0};
    int fill[FILL], slow;
    struct result r;
    uint16_t port;
    unsigned fds;

    slow = listen_full(&port, fill, FILL);
    add(&a, "127.0.0.1", port);
    add(&a, "127.0.0.1", f->port);
    fds = count_fds();
    clock_fake(1000, 0);
    start(f, &r, &a, NULL);
    loop_turn(&f->loop, 0);
    loop_turn(&f->loop, 0);
    clock_fake(1000 + HAPPY_EYEBALLS_MS, 0);
    UNTIL(&f->loop, r.calls);
    assert_int_equal(winner_port(&r), f->port);
    assert_int_equal(count_fds(), fds + 1);
    race_free(r.race);
    assert_int_equal(count_fds(), fds + 1);
    assert_int_equal(close(r.fd), 0);
    close_all(fill, FILL);
    assert_int_equal(close(slow), 0);
}

static void test_freed(void **state)
{
    struct fixture *f = *state;
    struct dns_addrs a = {.len = 0};
    int fill[FILL], dead;
    struct result r;
    uint16_t port;

    race_free(NULL);
    dead = listen_full(&port, fill, FILL);
    add(&a, "127.0.0.1", port);
    add(&a, "127.0.0.1", f->port);
    for (int turns = 0; turns < 4; turns++) {
        start(f, &r, &a, NULL);
        for (int i = 0; i < turns; i++)
            loop_turn(&f->loop, 0);
        race_free(r.race);
        loop_turn(&f->loop, 0);
        assert_int_equal(r.calls, 0);
    }
    start(f, &r, &a, NULL);
    r.free_in_done = true;
    UNTIL(&f->loop, r.calls);
    assert_int_equal(close(r.fd), 0);
    a.len = 0;
    start(f, &r, &a, NULL); /* nothing to try */
    r.free_in_done = true;
    UNTIL(&f->loop, r.calls);
    assert_int_equal(r.fd, -1);
    close_all(fill, FILL);
    assert_int_equal(close(dead), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_first),
        CASE(test_next_after_refusal),
        CASE(test_next_after_delay),
        CASE(test_all_refuse),
        CASE(test_policy),
        CASE(test_loser_is_closed),
        CASE(test_freed),
    };

    (void)owner_ops, (void)deaf_ops;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
