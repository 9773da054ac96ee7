/* Containers as streams: found, named, rotated, restarted, deleted. */
#include "containers_world.h"

/* ---- naming ---- */

struct namer {
    struct identify identify;
    struct origin *last;
    unsigned found, gone;
    bool knows;
};

static bool namer_found(struct identify *i, struct origin *o)
{
    struct namer *n = container_of(i, struct namer, identify);

    assert_true(o->identity->pod.len > 0);
    n->found++;
    n->last = o;
    return n->knows;
}

static void namer_gone(struct identify *i, struct origin *o)
{
    struct namer *n = container_of(i, struct namer, identify);

    (void)o;
    n->gone++;
}

static void an_unnamed_container_waits(void **state)
{
    struct namer n = {.identify = {namer_found, namer_gone}};
    struct identity named;
    struct world w;

    (void)state;
    world_open(&w);
    w.env.identify = &n.identify;
    make_dir(&w, POD);
    append(&w, POD "/0.log", "x\n");
    make_link(&w, POD "/0.log", LINK);
    append(&w, "log/containers/plain.log", ""); /* not a pod's: no identity is requested */
    world_start(&w, NULL, NULL);
    settle(&w);
    assert_int_equal(n.found, 1);
    assert_null(strstr(w.received, "web"));
    assert_non_null(strstr(w.received, "plain.log"));
    w.received[0] = '\0';
    append(&w, POD "/0.log", "y\n");
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    settle(&w);
    assert_string_equal(w.received, "");
    named = *n.last->identity;
    named.hostname = STR("shop.example");
    origin_set_identity(n.last, identity_create(&named));
    router_stream_identified(w.router, n.last);
    settle(&w);
    assert_non_null(strstr(w.received, ":shop.example/web-64cd4f4ff7-6bqb8 "));
    assert_non_null(strstr(w.received, "+1:0.log.20261120-101500 "));
    assert_non_null(strstr(w.received, "+2:0.log "));
    assert_int_equal(n.found, 1); /* asked once */
    assert_int_equal(n.gone, 0);
    remove_all(&w, POD);
    remove_all(&w, LINK);
    pass(&w, 130000);
    assert_int_equal(n.gone, 1);
    world_close(&w);
}

static void a_container_known_at_once_is_routed_at_once(void **state)
{
    struct namer n = {.identify = {namer_found, namer_gone}, .knows = true};
    struct world w;

    (void)state;
    world_open(&w);
    w.env.identify = &n.identify;
    make_dir(&w, POD);
    append(&w, POD "/0.log", "x\n");
    make_link(&w, POD "/0.log", LINK);
    world_start(&w, NULL, NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
    input_close(w.in);
    w.in = NULL;
    assert_int_equal(n.gone, 1);
    world_close(&w);
}

/* ---- container directories ---- */

static void what_is_there_at_start_is_read_in_order(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, POD);
    append(&w, POD "/10.log", "");
    append(&w, POD "/2.log.20261120-101500", "");
    append(&w, POD "/2.log.20261120-091500", "");
    append(&w, POD "/2.log", "");
    append(&w, POD "/2.log.20261120-081500.gz", "");
    append(&w, POD "/2.log.20261120-101500.gz", ""); /* its compressed twin is just being written */
    append(&w, POD "/2.log.20261120-081500.tmp", "");
    append(&w, POD "/2.log.1", "");
    append(&w, POD "/x.log", "");
    make_link(&w, POD "/10.log", LINK);
    make_link(&w, POD "/2.log", "log/containers/web-64cd4f4ff7-6bqb8_shop_main-1.log");
    append(&w, "log/containers/unrelated.txt", "");
    world_start(&w, NULL, NULL);
    assert_received(
        &w,
        "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:2.log.20261120-081500.gz 1+2:2.log.20261120-091500 "
        "1+3:2.log.20261120-101500 1+4:2.log.1 1+5:2.log 1+6:10.log ");
    assert_false(w.from_start);
    assert_int_equal(stats_of(&w).streams, 1); /* two links, one directory */
    assert_int_equal(stats_of(&w).segments, 6);
    world_close(&w);
}

static void test_F01_rename_rotation(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    assert_received(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
    append(&w, POD "/0.log.20261120-101500", "late\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    world_close(&w);
}

static void test_F02_several_rotations_between_two_looks(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    move(&w, POD "/0.log", POD "/0.log.20261120-101501");
    append(&w, POD "/0.log", "");
    move(&w, POD "/0.log", POD "/0.log.20261120-101502");
    append(&w, POD "/0.log", "");
    assert_received(&w, "1=1:0.log.20261120-101500 1+2:0.log.20261120-101501 "
                        "1+3:0.log.20261120-101502 1+4:0.log ");
    assert_int_equal(unlink(path(&w, POD "/0.log.20261120-101500")), 0);
    assert_received(&w, "1=1:- ");
    world_close(&w);
}

static void test_F03_compression(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    assert_received(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
    append(&w, POD "/0.log.20261120-101500.tmp", "z");
    move(&w, POD "/0.log.20261120-101500.tmp", POD "/0.log.20261120-101500.gz");
    assert_int_equal(unlink(path(&w, POD "/0.log.20261120-101500")), 0);
    assert_received(&w, "1=1:0.log.20261120-101500.gz ");
    world_close(&w);
}

static void test_F05_rename_back(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    assert_received(&w, "1=1:0.log.20261120-101500 ");
    move(&w, POD "/0.log.20261120-101500", POD "/0.log");
    assert_received(&w, "1=1:0.log ");
    world_close(&w);
}

static void test_F06_copytruncate_copies_are_not_read(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    append(&w, POD "/0.log.20261120-101500", "x\n"); /* the copy */
    assert_int_equal(truncate(path(&w, POD "/0.log"), 0), 0);
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    assert_received(&w, "");
    /* nor later, when the older file is gone */
    assert_int_equal(unlink(path(&w, POD "/0.log")), 0);
    assert_received(&w, "1=1:- ");
    append(&w, POD "/0.log", "y\n");
    assert_received(&w, "1+2:0.log ");
    world_close(&w);
}

static void test_F10_restart_and_retarget(void **state)
{
    char target[128];
    struct world w;

    (void)state;
    world_with_pod(&w);
    for (int n = 1; n <= 30; n++) {
        (void)snprintf(target, sizeof(target), POD "/%d.log", n);
        append(&w, target, "x\n");
        make_link(&w, target, LINK);
    }
    settle(&w);
    assert_non_null(strstr(w.received, "1+2:1.log 1+3:2.log "));
    assert_non_null(strstr(w.received, "1+31:30.log "));
    assert_null(strstr(w.received, "1=")); /* all the old ones keep their names */
    assert_int_equal(stats_of(&w).streams, 1);
    world_close(&w);
}

static void retarget_to_another_pod_leaves_the_old_one_readable(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    make_dir(&w, "log/pods/shop_web-64cd4f4ff7-zzzzz_0af7-12/main");
    append(&w, "log/pods/shop_web-64cd4f4ff7-zzzzz_0af7-12/main/0.log", "x\n");
    make_link(&w, "log/pods/shop_web-64cd4f4ff7-zzzzz_0af7-12/main/0.log", LINK);
    assert_received(&w, "2:web.shop/web-64cd4f4ff7-zzzzz 2+1:0.log ");
    assert_true(w.from_start);
    pass(&w, 2 * GONE_MS); /* without a link, but its directory is there */
    append(&w, POD "/0.log", "more\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    world_close(&w);
}

static void dangling_link_is_waited_for(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    make_link(&w, POD "/0.log", LINK); /* before the directory */
    world_start(&w, NULL, NULL);
    assert_received(&w, "");
    make_dir(&w, POD);
    pass(&w, RESCAN_MS);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 ");
    append(&w, POD "/0.log", "x\n"); /* and the directory before the file */
    assert_received(&w, "1+1:0.log ");
    world_close(&w);
}

static void deleted_pod_ends_its_stream(void **state)
{
    struct world w;
    uint64_t id = 1;

    (void)state;
    world_with_pod(&w);
    remove_all(&w, "log/pods/shop_web-64cd4f4ff7-6bqb8_0af7-11");
    pass(&w, 2 * GONE_MS);
    assert_non_null(origins_find(&w.set, id)); /* the link is there, though it dangles */
    assert_int_equal(unlink(path(&w, LINK)), 0);
    pass(&w, GONE_MS - 1000);
    assert_null(strstr(w.received, "!"));
    pass(&w, 2 * RESCAN_MS);
    assert_string_equal(strstr(w.received, "1=1:-"), "1=1:- 1! ");
    assert_int_equal(stats_of(&w).streams, 0);
    assert_null(origins_find(&w.set, id)->input);
    assert_true(origin_forgotten(origins_find(&w.set, id), 0));
    assert_false(notify_degraded(w.notify));
    world_close(&w);
}

/* A deleted file that is still open keeps the kernel from reporting that its directory was removed.
 * <order>: f = file, l = link, d = directory. */
static void nobody_tells_of_the_directory(const char *order)
{
    struct world w;
    char dir[512];
    int fd;

    world_with_pod(&w);
    fd = open(path(&w, POD "/0.log"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    (void)snprintf(dir, sizeof(dir), "%s/%s", w.dir, POD);
    for (; *order; order++) {
        if (*order == 'f')
            assert_int_equal(unlink(path(&w, POD "/0.log")), 0);
        else if (*order == 'l')
            assert_int_equal(unlink(path(&w, LINK)), 0);
        else
            assert_int_equal(rmdir(dir), 0);
        settle(&w);
    }
    pass(&w, 2 * GONE_MS);
    assert_non_null(strstr(w.received, "1=1:- "));
    assert_non_null(strstr(w.received, "1! "));
    assert_int_equal(stats_of(&w).streams, 0);
    assert_int_equal(close(fd), 0);
    world_close(&w);
}

static void test_L19_nobody_tells_of_the_directory(void **state)
{
    (void)state;
    nobody_tells_of_the_directory("fld");
    nobody_tells_of_the_directory("lfd");
    nobody_tells_of_the_directory("fdl");
}

/* The tree disappears and comes back, as with a remount: the same files, nothing is reported. */
static void test_F23_directory_comes_back(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, "log/pods/shop_web-64cd4f4ff7-6bqb8_0af7-11", "away");
    settle(&w);
    pass(&w, 2 * RESCAN_MS);
    move(&w, "away", "log/pods/shop_web-64cd4f4ff7-6bqb8_0af7-11");
    pass(&w, RESCAN_MS);
    append(&w, POD "/0.log", "more\n"); /* it is watched again */
    w.grew[0] = '\0';
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    assert_received(&w, "");
    world_close(&w);
}

static void test_F23_unreadable_is_not_deleted(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    assert_int_equal(chmod(path(&w, POD), 0), 0);
    if (geteuid() == 0)
        assert_int_equal(seteuid(65534), 0);
    settle(&w);
    pass(&w, 2 * RESCAN_MS);
    if (geteuid() == 65534 && getuid() == 0)
        assert_int_equal(seteuid(0), 0);
    assert_string_equal(w.received, "");
    assert_true(stats_of(&w).unreadable >= 2);
    assert_logged(&w, "cannot read a container's log directory", 1);
    assert_int_equal(chmod(path(&w, POD), 0755), 0);
    pass(&w, RESCAN_MS);
    assert_received(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
    assert_logged(&w, "directory is readable again", 1);
    world_close(&w);
}

static void log_path_appears_later(void **state)
{
    struct world w;

    (void)state;
    world_make(&w);
    world_start(&w, NULL, NULL);
    assert_received(&w, "");
    make_dir(&w, "log/containers");
    make_dir(&w, POD);
    append(&w, POD "/0.log", "x\n");
    make_link(&w, POD "/0.log", LINK);
    pass(&w, RESCAN_MS);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
    assert_true(w.from_start);
    append(&w, "log/containers/later.log", "x\n"); /* now it is watched */
    assert_received(&w, "2:later/later 2+1:later.log ");
    world_close(&w);
}

static void names_are_cut_excluded_or_static(void **state)
{
    char cut[320];
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, "log/pods/kube-system_etcd-node-1_77/etcd");
    make_dir(&w, "log/pods/secret_a-0_78/c");
    make_dir(&w, POD);
    append(&w, POD "/0.log", "");
    append(&w, "log/pods/kube-system_etcd-node-1_77/etcd/0.log", "");
    append(&w, "log/pods/secret_a-0_78/c/0.log", "");
    /* Nothing in it names the pod. */
    (void)snprintf(cut, sizeof(cut), "log/containers/%0251d.log", 7);
    make_link(&w, POD "/0.log", cut);
    world_start(&w, " other , secret ", NULL);
    assert_received(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
    make_link(&w, "log/pods/secret_a-0_78/c/0.log", "log/containers/a.log");
    append(&w, "log/containers/a-0_secret_c-" HEX64 ".log", "");
    make_link(&w, "log/pods/kube-system_etcd-node-1_77/etcd/0.log", "log/containers/b.log");
    assert_received(&w, "2:etcd.kube-system/etcd-node-1 2+1:0.log ");
    world_close(&w);
}

static void our_own_log_is_not_read(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    make_dir(&w, "log/pods/ops_logtrain-x1_77/main");
    make_dir(&w, "log/pods/shop_logtrain-x1_78/main");
    append(&w, "log/pods/ops_logtrain-x1_77/main/0.log", "");
    append(&w, "log/pods/shop_logtrain-x1_78/main/0.log", "");
    make_link(&w, "log/pods/ops_logtrain-x1_77/main/0.log", "log/containers/a.log");
    world_start(&w, NULL, NULL);
    assert_received(&w, "");
    make_link(&w, "log/pods/shop_logtrain-x1_78/main/0.log", "log/containers/b.log");
    assert_received(&w, "1:logtrain-x1.shop/logtrain-x1 1+1:0.log ");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unnamed_container_waits),
        cmocka_unit_test(a_container_known_at_once_is_routed_at_once),
        cmocka_unit_test(what_is_there_at_start_is_read_in_order),
        cmocka_unit_test(test_F01_rename_rotation),
        cmocka_unit_test(test_F02_several_rotations_between_two_looks),
        cmocka_unit_test(test_F03_compression),
        cmocka_unit_test(test_F05_rename_back),
        cmocka_unit_test(test_F06_copytruncate_copies_are_not_read),
        cmocka_unit_test(test_F10_restart_and_retarget),
        cmocka_unit_test(retarget_to_another_pod_leaves_the_old_one_readable),
        cmocka_unit_test(dangling_link_is_waited_for),
        cmocka_unit_test(deleted_pod_ends_its_stream),
        cmocka_unit_test(test_L19_nobody_tells_of_the_directory),
        cmocka_unit_test(test_F23_directory_comes_back),
        cmocka_unit_test(test_F23_unreadable_is_not_deleted),
        cmocka_unit_test(log_path_appears_later),
        cmocka_unit_test(names_are_cut_excluded_or_static),
        cmocka_unit_test(our_own_log_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
