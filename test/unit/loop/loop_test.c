/*
 * The loop: timers, tasks and descriptors, freed at the worst moments. Every test ends by closing
 * the loop empty.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/loop.h"

#define DEADLINE_MS 60000

struct fixture {
    struct loop loop;
    struct loop_timer *timer, *other;
    struct loop_task task, second;
    struct loop_fd *watch;
    int fds[2];
    uint64_t fired_at;
    int fired, ran, ready, events, error;
    char order[16]; /* calls, in order */
};

static struct fixture *fixture;

static void note(char who)
{
    size_t n = strlen(fixture->order);

    if (n + 1 < sizeof(fixture->order))
        fixture->order[n] = who;
}

static int setup(void **state)
{
    fixture = calloc(1, sizeof(*fixture));
    if (!fixture)
        return -1;
    loop_init(&fixture->loop);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    loop_release(&f->loop);
    assert_int_equal(f->loop.handles, 0);
    assert_true(list_empty(&f->loop.tasks));
    clock_fake(0, 0);
    free(f);
    return 0;
}

/* Turns until <*flag> is at least <want>. */
static void turn_until(struct fixture *f, const int *flag, int want)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;

    while (*flag < want) {
        assert_true(clock_mono_ms() < end);
        loop_turn(&f->loop, 100);
    }
}

static void count_fired(void *arg)
{
    struct fixture *f = arg;

    f->fired++;
    f->fired_at = clock_mono_ms();
    note('t');
}

static void count_other(void *arg)
{
    struct fixture *f = arg;

    f->fired++;
    note('o');
}

static void timer_fires_once_and_not_early(void **state)
{
    struct fixture *f = *state;
    uint64_t start = clock_mono_ms();

    while (clock_mono_ms() < start + 30) /* libuv's own time stands still outside of turns */
        ;
    start = clock_mono_ms();
    f->timer = loop_timer_create(&f->loop, count_fired, f);
    assert_false(loop_timer_active(f->timer));
    loop_timer_start(f->timer, 20);
    assert_true(loop_timer_active(f->timer));
    turn_until(f, &f->fired, 1);
    assert_true(f->fired_at >= start + 19); /* both ends are cut to whole milliseconds */
    assert_false(loop_timer_active(f->timer));
    loop_turn(&f->loop, 30);
    assert_int_equal(f->fired, 1);
    loop_timer_free(f->timer);
}

static void turn_ends_when_a_timer_fired(void **state)
{
    struct fixture *f = *state;
    uint64_t start = clock_mono_ms();

    f->timer = loop_timer_create(&f->loop, count_fired, f);
    loop_timer_start(f->timer, 0);
    loop_turn(&f->loop, DEADLINE_MS);
    assert_int_equal(f->fired, 1);
    clock_fake(1000, 0);
    loop_timer_start(f->timer, 0);
    loop_turn(&f->loop, DEADLINE_MS);
    assert_int_equal(f->fired, 2);
    clock_fake(0, 0);
    assert_true(clock_mono_ms() < start + DEADLINE_MS / 2);
    loop_timer_free(f->timer);
}

static void running_timer_is_moved(void **state)
{
    struct fixture *f = *state;

    f->timer = loop_timer_create(&f->loop, count_fired, f);
    f->other = loop_timer_create(&f->loop, count_other, f);
    loop_timer_start(f->timer, 1);
    loop_timer_start(f->other, 20);
    loop_timer_start(f->timer, 40);
    turn_until(f, &f->fired, 2);
    assert_string_equal(f->order, "ot");
    loop_timer_free(f->timer);
    loop_timer_free(f->other);
}

static void stopped_and_freed_timers_are_silent(void **state)
{
    struct fixture *f = *state;

    f->timer = loop_timer_create(&f->loop, count_fired, f);
    loop_timer_start(f->timer, 0);
    loop_timer_stop(f->timer);
    f->other = loop_timer_create(&f->loop, count_other, f);
    loop_timer_start(f->other, 0);
    loop_timer_free(f->other);
    loop_turn(&f->loop, 10);
    assert_int_equal(f->fired, 0);
    loop_timer_free(f->timer);
    loop_timer_free(NULL);
}

static void free_timer(void *arg)
{
    struct fixture *f = arg;

    f->fired++;
    loop_timer_free(f->timer);
    loop_timer_free(f->other); /* due in the same turn */
}

static void timer_may_free_itself_and_others(void **state)
{
    struct fixture *f = *state;

    f->timer = loop_timer_create(&f->loop, free_timer, f);
    f->other = loop_timer_create(&f->loop, count_other, f);
    loop_timer_start(f->timer, 1);
    loop_timer_start(f->other, 1);
    turn_until(f, &f->fired, 1);
    loop_turn(&f->loop, 10);
    assert_int_equal(f->fired, 1);
}

static void restart_timer(void *arg)
{
    struct fixture *f = arg;

    f->fired++;
    loop_timer_start(f->timer, 0);
}

static void timers_follow_the_fake_clock(void **state)
{
    struct fixture *f = *state;

    clock_fake(1000, 0);
    f->timer = loop_timer_create(&f->loop, count_fired, f);
    f->other = loop_timer_create(&f->loop, count_other, f);
    loop_timer_start(f->timer, 60000);
    loop_timer_start(f->other, 30000);
    clock_fake(30999, 0);
    assert_true(loop_timer_active(f->timer));
    loop_turn(&f->loop, 0);
    assert_string_equal(f->order, "");
    clock_fake(31000, 0);
    assert_int_equal(loop_now(&f->loop), 31000);
    loop_turn(&f->loop, 0);
    assert_string_equal(f->order, "o");
    loop_timer_start(f->other, 10000); /* started later, due earlier: runs first */
    clock_fake(500000, 0);
    loop_turn(&f->loop, 0);
    assert_string_equal(f->order, "oot");
    assert_false(loop_timer_active(f->timer));
    loop_timer_start(f->timer, 10);
    loop_timer_stop(f->timer);
    clock_fake(600000, 0);
    loop_turn(&f->loop, 0);
    assert_string_equal(f->order, "oot");
    loop_timer_free(f->timer);
    loop_timer_free(f->other);
}

static void fake_timer_restarted_from_fire_waits_a_turn(void **state)
{
    struct fixture *f = *state;

    clock_fake(1000, 0);
    f->timer = loop_timer_create(&f->loop, restart_timer, f);
    loop_timer_start(f->timer, 0);
    for (int turn = 1; turn <= 2; turn++) {
        loop_turn(&f->loop, 0);
        assert_int_equal(f->fired, turn);
    }
    loop_timer_free(f->timer);
}

static void fake_timer_freed_by_another_is_silent(void **state)
{
    struct fixture *f = *state;

    clock_fake(1000, 0);
    f->timer = loop_timer_create(&f->loop, free_timer, f);
    f->other = loop_timer_create(&f->loop, count_other, f);
    loop_timer_start(f->timer, 1);
    loop_timer_start(f->other, 2);
    clock_fake(2000, 0);
    loop_turn(&f->loop, 0);
    assert_int_equal(f->fired, 1);
}

static void run_first(struct loop_task *t)
{
    struct fixture *f = container_of(t, struct fixture, task);

    f->ran++;
    note('1');
}

static void run_second(struct loop_task *t)
{
    struct fixture *f = container_of(t, struct fixture, second);

    f->ran++;
    note('2');
}

static void task_posted_twice_runs_once_in_order(void **state)
{
    struct fixture *f = *state;

    loop_task_init(&f->task, run_first);
    loop_task_init(&f->second, run_second);
    loop_task_post(&f->loop, &f->second);
    loop_task_post(&f->loop, &f->task);
    loop_task_post(&f->loop, &f->second);
    for (int turn = 0; turn < 2; turn++)
        loop_turn(&f->loop, 0);
    assert_string_equal(f->order, "21");
}

static void run_again(struct loop_task *t)
{
    struct fixture *f = container_of(t, struct fixture, task);

    f->ran++;
    if (f->ran < 3)
        loop_task_post(&f->loop, t);
}

static void reposted_task_runs_next_turn_without_sleep(void **state)
{
    struct fixture *f = *state;
    uint64_t start = clock_mono_ms();

    loop_task_init(&f->task, run_again);
    loop_task_post(&f->loop, &f->task);
    for (int turn = 1; turn <= 3; turn++) {
        loop_turn(&f->loop, DEADLINE_MS);
        assert_int_equal(f->ran, turn);
    }
    assert_true(clock_mono_ms() < start + DEADLINE_MS / 2);
    assert_false(uv_is_active((uv_handle_t *)&f->loop.idle)); /* sleeps again */
}

static void post_task(void *arg)
{
    struct fixture *f = arg;

    note('t');
    loop_task_post(&f->loop, &f->task);
}

static void task_from_a_timer_does_not_wait(void **state)
{
    struct fixture *f = *state;
    uint64_t start = clock_mono_ms();

    loop_task_init(&f->task, run_first);
    f->timer = loop_timer_create(&f->loop, post_task, f);
    loop_timer_start(f->timer, 1);
    while (f->ran == 0 && clock_mono_ms() < start + DEADLINE_MS)
        loop_turn(&f->loop, DEADLINE_MS);
    assert_true(clock_mono_ms() < start + DEADLINE_MS / 2);
    assert_string_equal(f->order, "t1");
    loop_timer_free(f->timer);
}

static void run_cancel(struct loop_task *t)
{
    struct fixture *f = container_of(t, struct fixture, task);

    f->ran++;
    loop_task_cancel(&f->second); /* already on the list that is being run */
    loop_task_cancel(&f->second);
}

static void cancelled_task_does_not_run(void **state)
{
    struct fixture *f = *state;

    loop_task_init(&f->task, run_cancel);
    loop_task_init(&f->second, run_second);
    loop_task_post(&f->loop, &f->task);
    loop_task_post(&f->loop, &f->second);
    loop_turn(&f->loop, 0);
    loop_task_post(&f->loop, &f->second);
    loop_task_cancel(&f->second);
    loop_turn(&f->loop, 0);
    assert_int_equal(f->ran, 1);
}

static void release_runs_what_is_posted(void **state)
{
    struct fixture *f = *state;

    loop_task_init(&f->task, run_first);
    loop_task_post(&f->loop, &f->task);
    loop_release(&f->loop);
    assert_int_equal(f->ran, 1);
    loop_init(&f->loop);
}

static void on_ready(void *arg, int events, int error)
{
    struct fixture *f = arg;

    f->ready++;
    f->events = events;
    f->error = error;
}

static void watch_socket(struct fixture *f, void (*ready)(void *arg, int events, int error))
{
    int error = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->fds), 0);
    f->watch = loop_fd_create(&f->loop, f->fds[0], ready, f, &error);
    assert_non_null(f->watch);
}

static void close_socket(struct fixture *f)
{
    loop_fd_free(f->watch);
    assert_int_equal(close(f->fds[0]), 0);
    assert_int_equal(close(f->fds[1]), 0);
}

static void fd_events_as_asked(void **state)
{
    struct fixture *f = *state;

    watch_socket(f, on_ready);
    loop_turn(&f->loop, 5);
    assert_int_equal(f->ready, 0); /* nothing asked */
    loop_fd_set(f->watch, LOOP_WRITE);
    turn_until(f, &f->ready, 1);
    assert_int_equal(f->events, LOOP_WRITE);
    loop_fd_set(f->watch, LOOP_READ);
    f->ready = 0;
    loop_turn(&f->loop, 5);
    assert_int_equal(f->ready, 0);
    assert_int_equal(write(f->fds[1], "x", 1), 1);
    turn_until(f, &f->ready, 1);
    assert_int_equal(f->events, LOOP_READ);
    loop_fd_set(f->watch, LOOP_READ | LOOP_WRITE);
    turn_until(f, &f->ready, 2);
    assert_int_equal(f->events, LOOP_READ | LOOP_WRITE);
    loop_fd_set(f->watch, 0);
    f->ready = 0;
    loop_turn(&f->loop, 5);
    assert_int_equal(f->ready, 0);
    assert_int_equal(f->error, 0);
    close_socket(f);
}

static void peer_close_is_readable(void **state)
{
    struct fixture *f = *state;

    watch_socket(f, on_ready);
    loop_fd_set(f->watch, LOOP_READ);
    assert_int_equal(shutdown(f->fds[1], SHUT_RDWR), 0);
    turn_until(f, &f->ready, 1);
    assert_int_equal(f->events & LOOP_READ, LOOP_READ);
    close_socket(f);
}

static void free_watch(void *arg, int events, int error)
{
    struct fixture *f = arg;

    on_ready(arg, events, error);
    loop_fd_free(f->watch);
    f->watch = NULL;
}

static void fd_may_be_freed_in_its_callback(void **state)
{
    struct fixture *f = *state;

    watch_socket(f, free_watch);
    loop_fd_set(f->watch, LOOP_WRITE);
    turn_until(f, &f->ready, 1);
    loop_turn(&f->loop, 5);
    assert_int_equal(f->ready, 1);
    close_socket(f);
}

static void same_fd_can_be_watched_anew(void **state)
{
    struct fixture *f = *state;
    int error = 0;

    watch_socket(f, on_ready);
    loop_fd_set(f->watch, LOOP_WRITE);
    loop_fd_free(f->watch);
    f->watch = loop_fd_create(&f->loop, f->fds[0], on_ready, f, &error);
    assert_non_null(f->watch);
    loop_fd_set(f->watch, LOOP_WRITE);
    turn_until(f, &f->ready, 1);
    close_socket(f);
}

static void error_state_is_told_and_stops(void **state)
{
    struct fixture *f = *state;
    int error = 0;

    assert_int_equal(pipe2(f->fds, O_CLOEXEC), 0);
    f->watch = loop_fd_create(&f->loop, f->fds[1], on_ready, f, &error);
    assert_non_null(f->watch);
    loop_fd_set(f->watch, LOOP_WRITE);
    assert_int_equal(close(f->fds[0]), 0);
    turn_until(f, &f->ready, 1);
    assert_int_not_equal(f->error, 0);
    assert_int_equal(f->events, LOOP_WRITE);
    loop_turn(&f->loop, 5);
    assert_int_equal(f->ready, 1);
    loop_fd_set(f->watch, LOOP_WRITE); /* asks again */
    turn_until(f, &f->ready, 2);
    loop_fd_free(f->watch);
    assert_int_equal(close(f->fds[1]), 0);
}

static void unwatchable_fd_is_refused(void **state)
{
    struct fixture *f = *state;
    int file = memfd_create("file", MFD_CLOEXEC), error = 0;

    assert_null(loop_fd_create(&f->loop, file, on_ready, f, &error));
    assert_int_equal(error, EPERM);
    assert_int_equal(close(file), 0);
    assert_null(loop_fd_create(&f->loop, file, on_ready, f, &error));
    assert_int_equal(error, EBADF);
    loop_fd_free(NULL);
}

static void stop_loop(void *arg)
{
    struct fixture *f = arg;

    f->fired++;
    loop_stop(&f->loop);
}

static void run_ends_only_by_stop(void **state)
{
    struct fixture *f = *state;

    f->timer = loop_timer_create(&f->loop, stop_loop, f);
    f->other = loop_timer_create(&f->loop, count_other, f);
    loop_timer_start(f->other, 1);
    loop_timer_start(f->timer, 30);
    loop_run(&f->loop);
    assert_int_equal(f->fired, 2);
    loop_timer_free(f->timer);
    loop_timer_free(f->other);
}

static void run_keeps_going_without_handles(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    int status;

    if (child == 0) {
        loop_run(&f->loop); /* nothing is open: must sleep, not return */
        _exit(1);
    }
    assert_true(child > 0);
    for (int i = 0; i < 20; i++)
        loop_turn(&f->loop, 5);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void now_is_real_or_fake(void **state)
{
    struct fixture *f = *state;
    uint64_t before = clock_mono_ms();

    loop_turn(&f->loop, 0);
    assert_in_range(loop_now(&f->loop), before, before + DEADLINE_MS);
    clock_fake(77, 0);
    assert_int_equal(loop_now(&f->loop), 77);
}

static void open_handle_at_release_is_a_bug(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    int status;

    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        log_set_fd(-1);
        (void)loop_timer_create(&f->loop, count_fired, f);
        loop_release(&f->loop);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(timer_fires_once_and_not_early),
        LOOP_TEST(turn_ends_when_a_timer_fired),
        LOOP_TEST(running_timer_is_moved),
        LOOP_TEST(stopped_and_freed_timers_are_silent),
        LOOP_TEST(timer_may_free_itself_and_others),
        LOOP_TEST(timers_follow_the_fake_clock),
        LOOP_TEST(fake_timer_restarted_from_fire_waits_a_turn),
        LOOP_TEST(fake_timer_freed_by_another_is_silent),
        LOOP_TEST(task_posted_twice_runs_once_in_order),
        LOOP_TEST(reposted_task_runs_next_turn_without_sleep),
        LOOP_TEST(task_from_a_timer_does_not_wait),
        LOOP_TEST(cancelled_task_does_not_run),
        LOOP_TEST(release_runs_what_is_posted),
        LOOP_TEST(fd_events_as_asked),
        LOOP_TEST(peer_close_is_readable),
        LOOP_TEST(fd_may_be_freed_in_its_callback),
        LOOP_TEST(same_fd_can_be_watched_anew),
        LOOP_TEST(error_state_is_told_and_stops),
        LOOP_TEST(unwatchable_fd_is_refused),
        LOOP_TEST(run_ends_only_by_stop),
        LOOP_TEST(run_keeps_going_without_handles),
        LOOP_TEST(now_is_real_or_fake),
        LOOP_TEST(open_handle_at_release_is_a_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
