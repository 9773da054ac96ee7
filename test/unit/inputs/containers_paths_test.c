/*
 * The paths of logs, and paths that are not followed: two hops, plain files, escapes; and failing
 * watches.
 */
#include "../../lib/unit.h"
#include "containers_world.h"

/* ---- docker: two hops ---- */

static void docker_rotation_is_followed_behind_the_second_hop(void **state)
{
    char root[128];
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    make_dir(&w, "docker/containers/77");
    append(&w, "docker/containers/77/77-json.log", "");
    append(&w, "docker/containers/77/77-json.log.1", "");
    append(&w, "docker/containers/77/77-json.log.12", "");
    append(&w, "docker/containers/77/77-json.log.2.gz", "");
    append(&w, "docker/containers/77/config.json", "");
    make_link(&w, "docker/containers/77/77-json.log", POD "/0.log");
    make_link(&w, POD "/0.log", LINK);
    (void)snprintf(root, sizeof(root), "%s/docker/containers", w.dir);
    world_start(&w, NULL, root);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:77-json.log.12 1+2:77-json.log.2.gz "
                        "1+3:77-json.log.1 1+4:77-json.log ");
    move(&w, "docker/containers/77/77-json.log.2.gz", "docker/containers/77/77-json.log.3.gz");
    move(&w, "docker/containers/77/77-json.log.1", "docker/containers/77/77-json.log.2");
    move(&w, "docker/containers/77/77-json.log", "docker/containers/77/77-json.log.1");
    append(&w, "docker/containers/77/77-json.log", "");
    assert_received(&w,
                    "1=2:77-json.log.3.gz 1=3:77-json.log.2 1=4:77-json.log.1 1+5:77-json.log ");
    append(&w, "docker/containers/77/77-json.log", "more\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    make_dir(&w, "docker/containers/88"); /* a restart */
    append(&w, "docker/containers/88/88-json.log", "");
    make_link(&w, "docker/containers/88/88-json.log", POD "/1.log");
    assert_received(&w, "1+6:88-json.log ");
    remove_all(&w, "docker/containers/77");
    assert_received(&w, "1=1:- 1=2:- 1=3:- 1=4:- 1=5:- ");
    world_close(&w);
}

/* ---- one name ---- */

static void plain_files_rotate_under_their_name(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    append(&w, "log/containers/app.log", "x\n");
    append(&w, "log/containers/app.log.1", "old\n");
    append(&w, "log/containers/app.log.old", "no sibling\n");
    append(&w, "log/containers/apple.log.1", "nor is that\n");
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:app/app 1+1:app.log.1 1+2:app.log ");
    append(&w, "log/containers/app.log", "more\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    move(&w, "log/containers/app.log", "log/containers/app.log.1");
    append(&w, "log/containers/app.log", "");
    assert_received(&w, "1=1:- 1=2:app.log.1 1+3:app.log ");
    append(&w, "log/containers/app.log.1", "late\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    move(&w, "log/containers/app.log", "log/containers/app-20261120.log"); /* no new stream */
    append(&w, "log/containers/app.log", "");
    assert_received(&w, "1=3:app-20261120.log 1+4:app.log ");
    assert_int_equal(stats_of(&w).streams, 1);
    move(&w, "log/containers/app.log", "moved"); /* out of sight */
    append(&w, "log/containers/app.log", "");
    assert_received(&w, "1=4:- 1+5:app.log ");
    world_close(&w);
}

static void plain_file_ends_when_nothing_is_left(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    append(&w, "log/containers/app.log", "x\n");
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:app/app 1+1:app.log ");
    assert_int_equal(unlink(path(&w, "log/containers/app.log")), 0);
    assert_received(&w, "");
    pass(&w, GONE_MS + 2 * RESCAN_MS);
    assert_received(&w, "1=1:- 1! ");
    append(&w, "log/containers/app.log", "x\n");
    assert_received(&w, "2:app/app 2+1:app.log ");
    world_close(&w);
}

static void links_to_files_elsewhere_have_one_name(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, "log/other");
    append(&w, "log/other/a.txt", "x\n");
    append(&w, "log/other/b.txt", "x\n");
    make_link(&w, "log/other/a.txt", "log/containers/shop-0_ns_c-" HEX64 ".log");
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:shop.ns/shop-0 1+1:a.txt ");
    move(&w, "log/other/a.txt", "log/other/a.txt.old");
    append(&w, "log/other/a.txt", "x\n");
    assert_received(&w, "1=1:a.txt.old 1+2:a.txt ");
    make_link(&w, "log/other/b.txt", "log/containers/shop-0_ns_c-" HEX64 ".log");
    assert_received(&w, "1+3:b.txt ");
    move(&w, "log/other/a.txt", "log/other/a.txt.older");
    append(&w, "log/other/a.txt", "x\n"); /* no link leads there any more */
    assert_received(&w, "1=2:a.txt.older ");
    assert_int_equal(unlink(path(&w, "log/other/b.txt")), 0); /* and it does not come back to it */
    move(&w, "log/other/a.txt", "log/other/a.txt.even-older");
    append(&w, "log/other/a.txt", "x\n");
    assert_received(&w, "1=3:- ");
    world_close(&w);
}

/* ---- F25: where we do not go ---- */

static void test_F25_escapes_are_refused(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    make_dir(&w, "elsewhere");
    append(&w, "elsewhere/file", "x\n");
    assert_int_equal(mkfifo(path(&w, "log/fifo"), 0600), 0);
    assert_int_equal(mkfifo(path(&w, "log/containers/direct-fifo.log"), 0600), 0);
    assert_int_equal(mkfifo(path(&w, POD "/0.log"), 0600), 0);
    make_dir(&w, "log/dir");
    make_link(&w, "/etc/shadow", "log/containers/shadow.log");
    make_link(&w, "/etc/shadow", POD "/1.log");
    make_link(&w, "/proc/self/environ", "log/containers/proc.log");
    make_link(&w, "/dev/zero", "log/containers/device.log");
    make_link(&w, "log/fifo", "log/containers/fifo.log");
    make_link(&w, "log/dir", "log/containers/dir.log");
    make_link(&w, "elsewhere/file", "log/containers/outside.log");
    make_link(&w, "log/containers/../../elsewhere/file", "log/containers/dotdot.log");
    make_link(&w, "log/containers/loop.log", "log/containers/loop.log");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 "); /* the pod, without its files */
    assert_int_equal(stats_of(&w).refused, 11);
    assert_logged(&w, "log refused", 11);
    make_link(&w, "/etc/shadow", "log/containers/shadow.log");
    append(&w, POD "/2.log", "x\n"); /* another check of the refused ones */
    assert_received(&w, "1+1:2.log ");
    assert_logged(&w, "log refused", 11);                     /* each once */
    make_link(&w, POD "/2.log", "log/containers/shadow.log"); /* mended */
    settle(&w);
    make_link(&w, "/etc/passwd", "log/containers/shadow.log"); /* and not again */
    assert_received(&w, "");
    assert_logged(&w, "log refused", 12);
    world_close(&w);
}

static void a_prefix_is_not_a_parent(void **state)
{
    char root[128];
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, "data");
    make_dir(&w, "data-other");
    append(&w, "data/a.txt", "x\n");
    append(&w, "data-other/b.txt", "x\n");
    make_link(&w, "data/a.txt", "log/containers/a.log");
    make_link(&w, "data-other/b.txt", "log/containers/b.log");
    (void)snprintf(root, sizeof(root), "%s/data/", w.dir);
    world_start(&w, NULL, root);
    assert_received(&w, "1:a/a 1+1:a.txt ");
    assert_int_equal(stats_of(&w).refused, 1);
    world_close(&w);
}

/* ---- when the watches fail ---- */

static bool no_watches_to_be_had(void)
{
    return own_user_namespace() && write_file("/proc/sys/user/max_inotify_watches", "0");
}

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%d: %s: %s\n", __LINE__, #condition, w.received);               \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)
#define CHILD_SKIPS 77

static void follow_without_watches(void)
{
    struct world w;

    world_open(&w);
    make_dir(&w, POD);
    append(&w, POD "/0.log", "x\n");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, NULL);
    settle(&w);
    MUST(strcmp(w.received, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ") == 0);
    w.received[0] = w.grew[0] = '\0';
    MUST(notify_degraded(w.notify));
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    append(&w, "log/containers/app.log", "");
    pass(&w, RESCAN_MS);
    MUST(strstr(w.received, "1=1:0.log.20261120-101500 1+2:0.log "));
    MUST(strstr(w.received, "2:app/app 2+1:app.log "));
    MUST(strstr(w.grew, "1 "));
    w.received[0] = w.grew[0] = '\0';
    pass(&w, RESCAN_MS);
    MUST(strstr(w.grew, "1 ") && strstr(w.grew, "2 ")); /* checked, whether written to or not */
    MUST(w.received[0] == '\0');
    world_close(&w);
}

static void test_F22_without_watches_it_polls(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!no_watches_to_be_had())
            _exit(CHILD_SKIPS);
        follow_without_watches();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_SKIPS)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* More events than the kernel keeps; then a file that none of the remaining events names. */
static void test_F21_overflow_is_made_up_for(void **state)
{
    unsigned long most = 0;
    char other[300];
    struct world w;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

    (void)state;
    if (!f || fscanf(f, "%lu", &most) != 1 || most > 1000000)
        skip();
    (void)fclose(f);
    world_with_pod(&w);
    append(&w, "log/containers/x", "");
    (void)snprintf(other, sizeof(other), "%s/log/containers/y", w.dir);
    (void)path(&w, "log/containers/x");
    for (unsigned long i = 0; i < most / 4 + 1; i++) {
        assert_int_equal(rename(w.text, other), 0);
        assert_int_equal(rename(other, w.text), 0);
    }
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    pass(&w, 100 * GREW_COALESCE_MS);
    for (int i = 0; i < 100 && notify_overflows(w.notify) == 0; i++)
        settle(&w);
    assert_received(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
    assert_int_equal(notify_overflows(w.notify), 1);
    assert_int_equal(stats_of(&w).rescans, 1);
    world_close(&w);
}

/* More than one turn's work. */
static void many_pods_are_found_at_start_and_on_rescan(void **state)
{
    enum { PODS = 500 };
    char dir[128], file[160], link[160];
    struct world w;

    (void)state;
    world_open(&w);
    for (int i = 0; i < PODS; i++) {
        (void)snprintf(dir, sizeof(dir), "log/pods/ns_p-%d_u%d/c", i, i);
        (void)snprintf(file, sizeof(file), "%s/0.log", dir);
        (void)snprintf(link, sizeof(link), "log/containers/p-%d_ns_c-" HEX64 ".log", i);
        (void)snprintf(w.text, sizeof(w.text), "%s/log", w.dir);
        (void)mkdir(w.text, 0755);
        (void)snprintf(w.text, sizeof(w.text), "%s/log/pods", w.dir);
        (void)mkdir(w.text, 0755);
        (void)snprintf(w.text, sizeof(w.text), "%s/log/pods/ns_p-%d_u%d", w.dir, i, i);
        assert_int_equal(mkdir(w.text, 0755), 0);
        assert_int_equal(mkdir(path(&w, dir), 0755), 0);
        append(&w, file, "x\n");
        make_link(&w, file, link);
    }
    world_start(&w, NULL, NULL);
    assert_int_equal(stats_of(&w).streams, PODS);
    assert_int_equal(stats_of(&w).segments, PODS);
    settle(&w);
    for (int i = 0; i < PODS; i++) {
        (void)snprintf(link, sizeof(link), "log/containers/p-%d_ns_c-" HEX64 ".log", i);
        assert_int_equal(unlink(path(&w, link)), 0);
    }
    remove_all(&w, "log/pods");
    pass(&w, GONE_MS + 2 * RESCAN_MS);
    assert_int_equal(stats_of(&w).streams, 0);
    assert_int_equal(stats_of(&w).unreadable, 0);
    world_close(&w);
}

/* ---- links that lead nowhere ---- */

static void count_unreadable(void *arg, const struct origin *o, bool now)
{
    int *n = arg;

    (void)o;
    *n += now ? 1 : -1;
}

/* /var/log/pods is not mounted. */
static void test_L14_a_link_that_never_led_to_a_log(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, NULL);
    pass(&w, GONE_MS);
    assert_int_equal(stats_of(&w).unreadable_now, 0); /* kubelet has not removed it yet */
    pass(&w, 3 * GONE_MS);
    assert_int_equal(stats_of(&w).unreadable_now, 1);
    assert_true(stats_of(&w).unreadable > 0);
    assert_logged(&w, "cannot follow log now", 1);
    make_dir(&w, POD);
    append(&w, POD "/0.log", "x\n");
    pass(&w, GONE_MS + RESCAN_MS);
    assert_int_equal(stats_of(&w).unreadable_now, 0);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
    world_close(&w);
}

/* docker's directory is not mounted. */
static void test_L14_a_container_without_a_file(void **state)
{
    struct world w;
    int unreadable = 0;

    (void)state;
    world_open(&w);
    w.env.unreadable = count_unreadable;
    w.env.unreadable_arg = &unreadable;
    make_dir(&w, POD);
    make_link(&w, "docker/0a1b/0a1b-json.log", POD "/0.log");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, w.dir);
    pass(&w, GONE_MS);
    assert_int_equal(unreadable, 0);
    pass(&w, 3 * GONE_MS);
    assert_int_equal(unreadable, 1);
    assert_logged(&w, "cannot read a container's log directory", 1);
    make_dir(&w, "docker/0a1b");
    append(&w, "docker/0a1b/0a1b-json.log", "x\n");
    pass(&w, GONE_MS + RESCAN_MS);
    assert_int_equal(unreadable, 0);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0a1b-json.log ");
    world_close(&w);
}

static void test_L14_a_log_that_was_read_may_go(void **state)
{
    struct world w;
    int unreadable = 0;

    (void)state;
    world_open(&w);
    w.env.unreadable = count_unreadable;
    w.env.unreadable_arg = &unreadable;
    make_dir(&w, POD);
    make_dir(&w, "docker/0a1b");
    append(&w, "docker/0a1b/0a1b-json.log", "x\n");
    make_link(&w, "docker/0a1b/0a1b-json.log", POD "/0.log");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, w.dir);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0a1b-json.log ");
    remove_all(&w, "docker/0a1b");
    pass(&w, 4 * GONE_MS);
    remove_all(&w, POD);
    pass(&w, 4 * GONE_MS);
    assert_int_equal(unreadable, 0);
    assert_int_equal(stats_of(&w).unreadable_now, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_rotation_is_followed_behind_the_second_hop),
        cmocka_unit_test(plain_files_rotate_under_their_name),
        cmocka_unit_test(plain_file_ends_when_nothing_is_left),
        cmocka_unit_test(links_to_files_elsewhere_have_one_name),
        cmocka_unit_test(test_F25_escapes_are_refused),
        cmocka_unit_test(a_prefix_is_not_a_parent),
        cmocka_unit_test(test_F22_without_watches_it_polls),
        cmocka_unit_test(test_F21_overflow_is_made_up_for),
        cmocka_unit_test(many_pods_are_found_at_start_and_on_rescan),
        cmocka_unit_test(test_L14_a_link_that_never_led_to_a_log),
        cmocka_unit_test(test_L14_a_container_without_a_file),
        cmocka_unit_test(test_L14_a_log_that_was_read_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
