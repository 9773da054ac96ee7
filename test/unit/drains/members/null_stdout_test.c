/* The members without a peer, with a minimal framework that only records their calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "drains/core/worker.h"
#include "drains/members/members.h"

#define DEADLINE_MS 60000
#define BODY_SIZE (300 * 1024) /* more than a pipe buffers */

struct worker {
    struct loop loop;
    struct drain_spec spec;
    struct batch batch;
    int settled, closed, created;
    int saved; /* the real standard output */
    int fds[2];
};

static struct worker wk;

/* ---- the framework ---- */

void drain_init(struct drain *d, const struct drain_ops *ops, struct worker *worker,
                struct drain_spec *spec)
{
    d->ops = ops;
    d->worker = worker;
    d->spec = spec;
    worker->created++;
}

void drain_release(struct drain *d)
{
    d->worker->created--;
}

void drain_settle(struct drain *d, struct batch *b, enum verdict v)
{
    d->worker->settled++;
    assert_int_equal(d->worker->closed, 0);
    assert_int_equal(b->verdict, 0);
    b->verdict = v;
}

void drain_closed(struct drain *d)
{
    d->closed = true;
    d->worker->closed++;
}

struct loop *worker_loop(struct worker *worker)
{
    return &worker->loop;
}

/* ---- fixture ---- */

/* Numbered lines; a line's length differs from its neighbours'. */
static void fill_body(struct buf *body)
{
    buf_init(body, BODY_SIZE + 1000);
    for (unsigned i = 0; body->len < BODY_SIZE; i++)
        assert_int_equal(buf_addf(body, "line %u %.*s\n", i, (int)(i % 70),
                                  "......................................................."
                                  "..............."),
                         0);
}

static int setup(void **state)
{
    (void)state;
    memset(&wk, 0, sizeof(wk));
    loop_init(&wk.loop);
    fill_body(&wk.batch.body);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)fflush(stdout);
    wk.saved = dup(STDOUT_FILENO);
    return wk.saved < 0 || pipe(wk.fds) < 0 ? -1 : 0;
}

static void give_stdout_back(void)
{
    if (wk.saved >= 0) {
        (void)dup2(wk.saved, STDOUT_FILENO);
        (void)close(wk.saved);
    }
    wk.saved = -1;
}

static int teardown(void **state)
{
    (void)state;
    give_stdout_back();
    for (int i = 0; i < 2; i++)
        if (wk.fds[i] >= 0)
            (void)close(wk.fds[i]);
    buf_release(&wk.batch.body);
    loop_release(&wk.loop); /* aborts when a handle is open */
    return 0;
}

static void put_on_stdout(int fd)
{
    (void)dup2(fd, STDOUT_FILENO);
}

static struct drain *create(const struct drain_ops *ops)
{
    struct err e = {0, ""};
    struct drain *d = ops->create(&wk, &wk.spec, &e);

    assert_non_null(d);
    assert_true(d->slots >= 1);
    assert_int_equal(wk.created, 1);
    return d;
}

static void close_and_free(struct drain *d)
{
    if (!d->closed)
        d->ops->close(d, false);
    d->ops->close(d, false); /* idempotent */
    assert_int_equal(wk.closed, 1);
    d->ops->free(d);
    assert_int_equal(wk.created, 0);
}

/* Reads from the pipe, turning the loop, until <total> bytes have arrived. */
static void read_all(struct buf *got, size_t total)
{
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;

    assert_int_equal(fcntl(wk.fds[0], F_SETFL, O_NONBLOCK), 0);
    while (got->len < total) {
        char part[3000];
        ssize_t n = read(wk.fds[0], part, sizeof(part));

        assert_true(clock_mono_ms() < deadline);
        if (n > 0)
            assert_int_equal(buf_add(got, part, (size_t)n), 0);
        loop_turn(&wk.loop, n > 0 ? 0 : 10);
    }
}

/* ---- tests ---- */

static void null_takes_all(void **state)
{
    struct drain *d = create(drain_null.ops);

    (void)state;
    assert_null(drain_null.ops->open);
    d->ops->send(d, &wk.batch);
    assert_int_equal(wk.settled, 1);
    assert_int_equal(wk.batch.verdict, VERDICT_DELIVERED);
    close_and_free(d);
}

static void a_slow_pipe_is_waited_for(void **state)
{
    struct buf got = BUF_INIT(2 * BODY_SIZE);
    struct drain *d;

    (void)state;
    put_on_stdout(wk.fds[1]);
    d = create(drain_stdout.ops);
    d->ops->send(d, &wk.batch); /* must come back though the pipe is full */
    for (int i = 0; i < 50; i++)
        loop_turn(&wk.loop, 1);
    assert_int_equal(wk.settled, 0);
    assert_false(fcntl(wk.fds[1], F_GETFL) & O_NONBLOCK); /* it is not ours to change */
    read_all(&got, wk.batch.body.len);
    assert_int_equal(wk.settled, 1);
    assert_int_equal(wk.batch.verdict, VERDICT_DELIVERED);
    assert_int_equal(got.len, wk.batch.body.len);
    assert_memory_equal(got.p, wk.batch.body.p, got.len);

    wk.batch.verdict = 0; /* and once more */
    d->ops->send(d, &wk.batch);
    buf_clear(&got);
    read_all(&got, wk.batch.body.len);
    assert_int_equal(wk.settled, 2);
    close_and_free(d);
    buf_release(&got);
}

static void pieces_end_at_line_ends(void **state)
{
    char part[PIPE_BUF];
    struct drain *d;
    ssize_t n;

    (void)state;
    put_on_stdout(wk.fds[1]);
    assert_true(fcntl(wk.fds[1], F_SETPIPE_SZ, 4096) > 0);
    d = create(drain_stdout.ops);
    d->ops->send(d, &wk.batch);
    n = read(wk.fds[0], part, sizeof(part)); /* the first piece; no room for a second */
    assert_true(n > 0 && n <= PIPE_BUF);
    assert_int_equal(part[n - 1], '\n');
    close_and_free(d);
}

static void a_file_takes_all_at_once(void **state)
{
    FILE *f = tmpfile();
    struct drain *d;

    (void)state;
    assert_non_null(f);
    put_on_stdout(fileno(f));
    d = create(drain_stdout.ops);
    d->ops->send(d, &wk.batch);
    assert_int_equal(wk.settled, 1);
    assert_int_equal(wk.batch.verdict, VERDICT_DELIVERED);
    assert_int_equal(lseek(fileno(f), 0, SEEK_END), (long)wk.batch.body.len);
    close_and_free(d);
    (void)fclose(f);
}

static void a_reader_that_is_gone(void **state)
{
    struct drain *d;

    (void)state;
    put_on_stdout(wk.fds[1]);
    d = create(drain_stdout.ops);
    d->ops->send(d, &wk.batch);
    assert_int_equal(wk.settled, 0);
    assert_int_equal(close(wk.fds[0]), 0);
    wk.fds[0] = -1;
    for (uint64_t end = clock_mono_ms() + DEADLINE_MS; !wk.settled && clock_mono_ms() < end;)
        loop_turn(&wk.loop, 10);
    assert_int_equal(wk.batch.verdict, VERDICT_OFFLINE);
    assert_int_equal(wk.batch.err.code, EPIPE);
    assert_string_equal(wk.batch.err.text, "stdout: write: Broken pipe");
    close_and_free(d);
}

static void closed_while_writing(void **state)
{
    struct drain *d;

    (void)state;
    put_on_stdout(wk.fds[1]);
    d = create(drain_stdout.ops);
    d->ops->send(d, &wk.batch);
    d->ops->close(d, false);
    assert_int_equal(wk.settled, 1);
    assert_int_equal(wk.batch.verdict, VERDICT_OFFLINE);
    close_and_free(d);
}

static void flushed_while_writing(void **state)
{
    struct buf got = BUF_INIT(2 * BODY_SIZE);
    struct drain *d;

    (void)state;
    put_on_stdout(wk.fds[1]);
    d = create(drain_stdout.ops);
    d->ops->send(d, &wk.batch);
    d->ops->close(d, true);
    assert_int_equal(wk.closed, 0);
    read_all(&got, wk.batch.body.len);
    assert_int_equal(wk.batch.verdict, VERDICT_DELIVERED);
    assert_int_equal(wk.closed, 1);
    close_and_free(d);
    buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(null_takes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_pipe_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_end_at_line_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_takes_all_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reader_that_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_while_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(flushed_while_writing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
