/*
 * The worker and the framework with a member that does what the test says. One thread, a faked
 * clock, real files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker_world.h"

/* ---- tests ---- */

/* The end of a joined line is added when the stream ends: the position does not move any more, but
 * the record is not confirmed. */
static void test_last_partial_is_sent_again(void **state)
{
    struct fake *f;

    (void)state;
    put("0.log", T "F one\n" T "P two\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, true);
    assert_got(f, "one\n");
    answer(f, VERDICT_SENT);
    turns(5);
    drain_confirm(&f->base, f->written);
    feed_finished();
    assert_got(f, "two\n");
    answer(f, VERDICT_SENT);
    turns(5);
    lose(f);
    assert_int_equal(w.forgotten, 0);
    reopen(f);
    assert_got(f, "two\n");
    answer(f, VERDICT_SENT);
    turns(5);
    drain_confirm(&f->base, f->written);
    turns(5);
    assert_int_equal(w.forgotten, 1);
}

/* A log that has ended is given up: each of its drains loses exactly what it has not confirmed, what
 * is in flight included. */
static void test_T15_a_log_is_given_up(void **state)
{
    static const char first[] = T "F one\n", second[] = T "F two\n" T "F three\n";
    struct fake *dead, *busy;

    (void)state;
    put("0.log", first, 0);
    feed_stream();
    feed_segment(1, "0.log");
    dead = attach(0, false);
    busy = attach(1, false);
    assert_got(dead, "one\n");
    answer(busy, VERDICT_DELIVERED);
    turns(5);
    put("1.log", second, 0);
    feed_segment(2, "1.log");
    turns(5);
    worker_give_up(w.wk, w.stream); /* it goes on */
    turns(5);
    assert_int_equal(counters(dead)->lost[GAP_EVICTED], 0);
    feed_finished();
    worker_give_up(w.wk, w.stream);
    turns(5);
    assert_int_equal(counters(dead)->lost[GAP_EVICTED], strlen(first) + strlen(second));
    assert_int_equal(counters(busy)->lost[GAP_EVICTED], strlen(second));
    assert_int_equal(w.wk->reader.stats.lost[GAP_EVICTED], strlen(first) + 2 * strlen(second));
    assert_int_equal(w.forgotten, 1);
    assert_int_equal(w.left, 0);
    assert_int_equal(w.wk->streams.len, 0);
    answer(dead, VERDICT_DELIVERED);
    turns(5);
    worker_give_up(w.wk, w.stream); /* it is not there any more */
    turns(5);
}

static void test_unused_drain_is_freed(void **state)
{
    struct fake *f;

    (void)state;
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, false);
    answer(f, VERDICT_DELIVERED);
    turns(5);
    feed_finished();
    assert_int_equal(w.forgotten, 1);
    assert_int_equal(w.left, 1);
    pass_ms(DRAIN_UNUSED_MS - 1);
    assert_int_equal(w.freed, 0);
    for (int i = 0; i < 3 && !w.freed; i++)
        pass_ms(60000);
    assert_int_equal(w.freed, 1);
    assert_true(list_empty(&w.wk->all));
    /* the same URL again: a new one */
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, false);
    assert_got(f, "one\n");
}

static void test_used_drain_is_kept(void **state)
{
    struct fake *f;

    (void)state;
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, false);
    answer(f, VERDICT_DELIVERED);
    turns(5);
    feed_finished();
    pass_ms(1000);
    feed_stream();
    feed_segment(1, "0.log");
    assert_ptr_equal(attach(0, false), f);
    answer(f, VERDICT_DELIVERED);
    for (int i = 0; i < 20; i++)
        pass_ms(60000);
    assert_int_equal(w.freed, 0);
}

static void test_shelved_batch_comes_back(void **state)
{
    struct fake *f;

    (void)state;
    put("0.log", T "F one\n" T "F two\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, true);
    drain_shelve(&f->base, f->batch);
    assert_int_equal(w.wk->inflight_bytes, 0);
    assert_null(f->batch->body.p);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    assert_int_equal(w.wk->inflight_bytes, f->batch->body.cap);
    assert_string_equal(f->batch->body.p, "one\ntwo\n");
}

/* ---- formats that group records by stream ---- */

#define WEB "{\"stream\":{\"namespace\":\"default\",\"workload\":\"web\"},\"values\":["
#define ONE "[\"1795169700123456789\",\"one\"]"
#define TWO "[\"1795169700123456789\",\"two\"]"

/* Streams 1 to <n>, with the files "1.log" to "<n>.log", of fake drain 0. */
static struct fake *attach_grouped(unsigned n)
{
    struct drain_spec *spec = numbered_spec(0);
    char name[16];

    spec->format = (struct format_options){.format = FORMAT_LOKI, .framing = FRAMING_STREAMS};
    for (w.stream = 1; w.stream <= n; w.stream++) {
        (void)snprintf(name, sizeof(name), "%u.log", (unsigned)w.stream);
        feed_stream();
        feed_segment(1, name);
        worker_attach(w.wk, w.stream, spec, NULL, NULL, NULL);
    }
    drain_spec_unref(spec);
    turns(5);
    return w.fakes[0];
}

/* A stream without a record to send has no group. */
static void test_groups_of_streams(void **state)
{
    static const char want[] = "{\"streams\":[" WEB ONE "," TWO "]}," WEB TWO "]}]}";
    struct fake *f;

    (void)state;
    put("1.log", T "F one\n" T "F two\n", 0);
    put("2.log", "", 0);
    put("3.log", T "F two\n", 0);
    f = attach_grouped(3);
    open_fake(0);
    assert_got(f, want);
    drain_shelve(&f->base, f->batch);
    assert_int_equal(drain_unshelve(&f->base, f->batch), 0);
    assert_string_equal(f->batch->body.p, want);
}

/* There is room for the beginning of a group, and for no record in it: the next batch has it. */
static void test_group_that_does_not_fit(void **state)
{
    struct fake *f;

    (void)state;
    put("1.log", T "F one\n", 0);
    put("2.log", T "F two\n", 0);
    f = attach_grouped(2);
    f->base.batch_target = strlen("{\"streams\":[" WEB ONE "]}") + 10;
    open_fake(0);
    assert_got(f, "{\"streams\":[" WEB ONE "]}]}");
    answer(f, VERDICT_DELIVERED);
    turns(5);
    assert_got(f, "{\"streams\":[" WEB TWO "]}]}");
}

/* A batch has a record also when the beginning of its group alone is over the target. */
static void test_group_that_is_over_the_target(void **state)
{
    struct fake *f;

    (void)state;
    put("1.log", T "F one\n" T "F two\n", 0);
    f = attach_grouped(1);
    f->base.batch_target = 10;
    open_fake(0);
    assert_got(f, "{\"streams\":[" WEB ONE "]}]}");
}

/* The file is truncated while a batch of it is shelved: that batch cannot be read again. Reading
 * its old position must not make other streams start again. */
static void test_shelved_batch_of_truncated_file(void **state)
{
    struct fake *stuck, *well;

    (void)state;
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    well = attach(1, false);
    answer(well, VERDICT_DELIVERED);
    stuck = attach(0, true);
    answer(stuck, VERDICT_SENT);
    turns(5);
    put("0.log", T "F two\n", O_APPEND);
    feed_grew();
    answer(well, VERDICT_DELIVERED);
    turns(5);
    assert_got(well, "one\ntwo\n");
    drain_shelve(&stuck->base, stuck->batch);
    put("0.log", T "F three\n" T "F four\n" T "F five\n", O_TRUNC);
    feed_grew();
    assert_got(well, "three\nfour\nfive\n");
    answer(well, VERDICT_DELIVERED);
    turns(5);
    assert_int_equal(drain_unshelve(&stuck->base, stuck->batch), -1);
    feed_grew();
    assert_null(well->batch);
    assert_got(well, "");
    answer(stuck, VERDICT_OFFLINE);
    lose(stuck);
    buf_clear(&stuck->got);
    reopen(stuck);
    assert_got(stuck, "logtrain: 88 bytes were lost: their file was truncated before it was read\n"
                      "three\nfour\nfive\n"); /* what was in flight, and nothing else */
    assert_int_equal(stuck->base.counters.lost[GAP_TRUNCATED], 88);
    assert_int_equal(well->base.counters.lost[GAP_TRUNCATED], 0);
}

/* Reading the range again fails for good: it must not be tried for ever. */
static void test_shelved_batch_that_does_not_fit(void **state)
{
    struct fake *f;

    (void)state;
    put("0.log", T "F one\n" T "F two\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, true);
    drain_shelve(&f->base, f->batch);
    f->batch->body.max = 4;
    assert_int_equal(drain_unshelve(&f->base, f->batch), -1);
    f->batch->body.max = BATCH_GROWTH_MAX;
}

/* A drain that has recovered is not cut off while it takes its backlog. */
static void test_stop_waits_for_what_came_back(void **state)
{
    struct fake *f;

    (void)state;
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    f = attach(0, true);
    answer(f, VERDICT_OFFLINE);
    lose(f);
    reopen(f);
    assert_true(f->base.failing);
    worker_stop(w.wk, 4000, stopped, NULL);
    pass_ms(100);
    assert_non_null(f->batch);
    answer(f, VERDICT_SENT);
    pass_ms(100);
    assert_true(w.stopped);
    assert_int_equal(f->base.counters.retries, 1);
}

/* ---- the commit rule of syslog over TCP, with a peer that reads all ---- */

struct peer {
    int listener, fd;
    uint16_t port;
};

static void peer_listen(struct peer *p)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    p->fd = -1;
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(p->listener >= 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(p->listener, 5), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &len), 0);
    p->port = ntohs(a.sin_port);
}

static size_t peer_read(struct peer *p)
{
    char ignored[4096];
    ssize_t n;

    if (p->fd < 0)
        p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    n = p->fd < 0 ? 0 : read(p->fd, ignored, sizeof(ignored));
    return n > 0 ? (size_t)n : 0;
}

static void attach_url(const char *url)
{
    struct err e;
    struct drain_spec *spec = drain_spec_create(str_of(url), &e);

    assert_non_null(spec);
    worker_attach(w.wk, 1, spec, NULL, NULL, NULL);
    drain_spec_unref(spec);
}

static void test_young_connection_confirms_nothing(void **state)
{
    struct peer p;
    struct drain *d;
    char url[64];
    size_t got = 0;

    (void)state;
    peer_listen(&p);
    put("0.log", T "F one\n", 0);
    feed_stream();
    feed_segment(1, "0.log");
    assert_true(snprintf(url, sizeof(url), "syslog+tcp://127.0.0.1:%u", p.port) > 0);
    attach_url(url);
    for (int i = 0; i < 1000 && !got; i++) { /* real time passes in the waits */
        loop_turn(worker_loop(w.wk), 10);
        got = peer_read(&p);
    }
    assert_true(got > 0);
    d = list_entry(w.wk->all.next, struct drain, node);
    for (int ms = 0; ms < YOUNG_CONNECTION_MS - 500; ms += 500)
        pass_ms(500);
    assert_int_equal(d->counters.records_out, 0);
    for (int i = 0; i < 4; i++)
        pass_ms(500);
    assert_int_equal(d->counters.records_out, 1);
    (void)close(p.fd);
    (void)close(p.listener);
}

static void test_drain_that_cannot_be_made_is_made_later(void **state)
{
    (void)state;
    w.cannot = true;
    (void)drain_with(T "F one\n", false);
    pass_ms(20000);
    assert_null(w.fakes[0]);
    w.cannot = false;
    pass_ms(5000);
    assert_non_null(w.fakes[0]);
    reopen(w.fakes[0]);
    assert_got(w.fakes[0], "one\n");
    reply(w.fakes[0], VERDICT_DELIVERED);
}

static void test_drain_that_cannot_be_made_and_is_not_wanted_any_more(void **state)
{
    struct drain_spec *spec;
    struct err e;

    (void)state;
    w.cannot = true;
    (void)drain_with(T "F one\n", false);
    spec = drain_spec_create(STR("null://"), &e);
    free(spec->id);
    spec->id = str_dup(STR("null://?trace=0"));
    spec->text = spec->id;
    worker_detach(w.wk, w.stream, spec);
    drain_spec_unref(spec);
    turns(5);
    w.cannot = false;
    pass_ms(20000);
    assert_null(w.fakes[0]);
    assert_false(loop_timer_active(w.wk->create_timer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_last_partial_is_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_T15_a_log_is_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unused_drain_is_freed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_used_drain_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shelved_batch_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_of_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_that_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_that_is_over_the_target, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shelved_batch_of_truncated_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shelved_batch_that_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_waits_for_what_came_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_young_connection_confirms_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_that_cannot_be_made_is_made_later, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_drain_that_cannot_be_made_and_is_not_wanted_any_more,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
