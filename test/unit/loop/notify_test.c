/*
 * The watches with a real inotify: events, deleted directories, overflow, and behaviour without
 * watches or instances.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/unit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "loop/notify.h"

#define DEADLINE_MS 60000

struct seen {
    unsigned count[NOTIFY_RESCAN + 1];
    char last[256];
    struct notify_watch *to_free; /* freed by the next event, then NULL */
};

struct world {
    struct loop loop;
    struct notify *notify;
    char dir[64];
};

static void record(void *arg, enum notify_event ev, struct str name)
{
    struct seen *s = arg;

    s->count[ev]++;
    (void)snprintf(s->last, sizeof(s->last), "%.*s", STR_ARG(name));
    notify_watch_free(s->to_free);
    s->to_free = NULL;
}

static void path_of(const struct world *w, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", w->dir, name);
}

static void touch(const struct world *w, const char *name)
{
    char path[256];
    int fd;

    path_of(w, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
}

static void wait_for(struct world *w, const unsigned *counter, unsigned at_least)
{
    uint64_t until = clock_mono_ms() + DEADLINE_MS;

    while (*counter < at_least) {
        assert_true(clock_mono_ms() < until);
        loop_turn(&w->loop, 50);
    }
}

static void world_open(struct world *w)
{
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/notify_test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    loop_init(&w->loop);
    w->notify = notify_create(&w->loop);
}

static void remove_tree(const char *dir)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

static void world_close(struct world *w)
{
    notify_free(w->notify);
    loop_release(&w->loop);
    remove_tree(w->dir);
}

static void write_and_change_carry_the_name(void **state)
{
    struct seen s = {{0}, "", NULL};
    struct notify_watch *watch;
    char from[256], to[256];
    struct world w;

    (void)state;
    world_open(&w);
    touch(&w, "a.log");
    watch = notify_watch_create(w.notify, w.dir, record, &s);
    assert_true(notify_watch_live(watch));
    assert_false(notify_degraded(w.notify));
    touch(&w, "a.log");
    wait_for(&w, &s.count[NOTIFY_WRITE], 1);
    assert_string_equal(s.last, "a.log");
    assert_int_equal(s.count[NOTIFY_CHANGE], 0);
    path_of(&w, "a.log", from);
    path_of(&w, "b.log", to);
    assert_int_equal(rename(from, to), 0);
    wait_for(&w, &s.count[NOTIFY_CHANGE], 2);
    assert_string_equal(s.last, "b.log");
    assert_int_equal(truncate(to, 0), 0);
    wait_for(&w, &s.count[NOTIFY_WRITE], 2);
    assert_int_equal(unlink(to), 0);
    wait_for(&w, &s.count[NOTIFY_CHANGE], 3);
    notify_watch_free(watch);
    world_close(&w);
}

static void removed_and_moved_directories_are_gone(void **state)
{
    struct seen removed = {{0}, "", NULL}, moved = {{0}, "", NULL};
    struct notify_watch *on_removed, *on_moved;
    char a[256], b[256], c[256];
    struct world w;

    (void)state;
    world_open(&w);
    path_of(&w, "a", a);
    path_of(&w, "b", b);
    path_of(&w, "c", c);
    assert_int_equal(mkdir(a, 0755), 0);
    assert_int_equal(mkdir(b, 0755), 0);
    on_removed = notify_watch_create(w.notify, a, record, &removed);
    on_moved = notify_watch_create(w.notify, b, record, &moved);
    removed.to_free = on_removed; /* by its own callback */
    assert_int_equal(rmdir(a), 0);
    assert_int_equal(rename(b, c), 0);
    wait_for(&w, &removed.count[NOTIFY_GONE], 1);
    wait_for(&w, &moved.count[NOTIFY_GONE], 1);
    assert_false(notify_watch_live(on_moved));
    assert_false(notify_degraded(w.notify)); /* a deleted directory is not degraded */
    notify_watch_free(on_moved);
    world_close(&w);
}

static void owners_share_a_directory(void **state)
{
    struct seen a = {{0}, "", NULL}, b = {{0}, "", NULL};
    struct notify_watch *wa, *wb;
    struct world w;

    (void)state;
    world_open(&w);
    wa = notify_watch_create(w.notify, w.dir, record, &a);
    wb = notify_watch_create(w.notify, w.dir, record, &b);
    touch(&w, "one");
    wait_for(&w, &a.count[NOTIFY_CHANGE], 1);
    assert_int_equal(b.count[NOTIFY_CHANGE], 1);
    a.to_free = wb; /* freed by the other's callback, before its turn */
    touch(&w, "two");
    wait_for(&w, &a.count[NOTIFY_CHANGE], 2);
    assert_int_equal(b.count[NOTIFY_CHANGE], 1);
    touch(&w, "three"); /* the kernel's watch stays for the remaining one */
    wait_for(&w, &a.count[NOTIFY_CHANGE], 3);
    notify_watch_free(wa);
    world_close(&w);
}

/* Fills the kernel's queue while nothing reads. */
static void overflow_asks_everybody_to_rescan(void **state)
{
    struct seen a = {{0}, "", NULL}, b = {{0}, "", NULL};
    struct notify_watch *wa, *wb;
    unsigned long most = 0;
    char sub[256], x[256], y[256];
    struct world w;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

    (void)state;
    if (!f || fscanf(f, "%lu", &most) != 1 || most > 1000000)
        skip();
    (void)fclose(f);
    world_open(&w);
    path_of(&w, "sub", sub);
    assert_int_equal(mkdir(sub, 0755), 0);
    path_of(&w, "x", x);
    path_of(&w, "y", y);
    touch(&w, "x");
    wa = notify_watch_create(w.notify, w.dir, record, &a);
    wb = notify_watch_create(w.notify, sub, record, &b);
    for (unsigned long i = 0; i < most / 4 + 1;
         i++) { /* four events each, none like its neighbour */
        assert_int_equal(rename(x, y), 0);
        assert_int_equal(rename(y, x), 0);
    }
    wait_for(&w, &a.count[NOTIFY_RESCAN], 1);
    assert_int_equal(b.count[NOTIFY_RESCAN], 1);
    assert_int_equal(notify_overflows(w.notify), 1);
    assert_false(notify_degraded(w.notify));
    notify_watch_free(wa);
    notify_watch_free(wb);
    world_close(&w);
}

static void missing_directory_is_tried_again(void **state)
{
    struct seen s = {{0}, "", NULL};
    struct notify_watch *watch;
    struct world w;
    char sub[256];

    (void)state;
    clock_fake(1000000, 0);
    world_open(&w);
    path_of(&w, "later", sub);
    watch = notify_watch_create(w.notify, sub, record, &s);
    assert_false(notify_watch_live(watch));
    assert_true(notify_degraded(w.notify));
    assert_int_equal(mkdir(sub, 0755), 0);
    loop_turn(&w.loop, 0);
    assert_int_equal(s.count[NOTIFY_RESCAN], 0);
    clock_fake(1000000 + RESCAN_MS, 0);
    loop_turn(&w.loop, 0);
    assert_int_equal(s.count[NOTIFY_RESCAN], 1);
    assert_true(notify_watch_live(watch));
    assert_false(notify_degraded(w.notify));
    notify_watch_free(watch);
    world_close(&w);
    clock_fake(0, 0);
}

/* ---- without watches, without instances: in a user namespace of our own, where the limits are
 * ours to set ---- */

static bool limits_of_our_own(void)
{
    return own_user_namespace() && write_file("/proc/sys/user/max_inotify_watches", "1") &&
           write_file("/proc/sys/user/max_inotify_instances", "100");
}

#define CHILD_SKIPS 77
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%d: %s\n", __LINE__, #condition);                               \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Two directories, one watch to be had: the second is missing until it is. */
static void without_watches(void)
{
    struct seen a = {{0}, "", NULL}, b = {{0}, "", NULL};
    struct notify_watch *wa, *wb;
    struct world w;
    char sub[256];

    clock_fake(1000000, 0);
    world_open(&w);
    path_of(&w, "sub", sub);
    MUST(mkdir(sub, 0755) == 0);
    wa = notify_watch_create(w.notify, w.dir, record, &a);
    wb = notify_watch_create(w.notify, sub, record, &b);
    MUST(notify_watch_live(wa));
    MUST(!notify_watch_live(wb));
    MUST(notify_degraded(w.notify));
    clock_fake(1000000 + RESCAN_MS, 0);
    loop_turn(&w.loop, 0);
    MUST(notify_degraded(w.notify));
    MUST(write_file("/proc/sys/user/max_inotify_watches", "100"));
    clock_fake(1000000 + 2 * RESCAN_MS, 0);
    loop_turn(&w.loop, 0);
    MUST(notify_watch_live(wb));
    MUST(!notify_degraded(w.notify));
    MUST(b.count[NOTIFY_RESCAN] == 1);
    MUST(a.count[NOTIFY_RESCAN] == 0);
    notify_watch_free(wa);
    notify_watch_free(wb);
    world_close(&w);
}

static void without_instances(void)
{
    struct seen s = {{0}, "", NULL};
    struct notify_watch *watch;
    struct world w;

    MUST(write_file("/proc/sys/user/max_inotify_instances", "0"));
    clock_fake(1000000, 0);
    world_open(&w);
    MUST(notify_degraded(w.notify));
    watch = notify_watch_create(w.notify, w.dir, record, &s);
    MUST(!notify_watch_live(watch));
    MUST(write_file("/proc/sys/user/max_inotify_instances", "100"));
    clock_fake(1000000 + RESCAN_MS, 0);
    loop_turn(&w.loop, 0);
    MUST(notify_watch_live(watch));
    MUST(!notify_degraded(w.notify));
    MUST(s.count[NOTIFY_RESCAN] == 1);
    notify_watch_free(watch);
    world_close(&w);
}

static void in_a_child(void (*body)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (!limits_of_our_own())
            _exit(CHILD_SKIPS);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_SKIPS)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_F22_watches_exhausted(void **state)
{
    (void)state;
    in_a_child(without_watches);
}

static void test_F22_instances_exhausted(void **state)
{
    (void)state;
    in_a_child(without_instances);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_change_carry_the_name),
        cmocka_unit_test(removed_and_moved_directories_are_gone),
        cmocka_unit_test(owners_share_a_directory),
        cmocka_unit_test(overflow_asks_everybody_to_rescan),
        cmocka_unit_test(missing_directory_is_tried_again),
        cmocka_unit_test(test_F22_watches_exhausted),
        cmocka_unit_test(test_F22_instances_exhausted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
