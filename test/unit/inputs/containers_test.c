/*
 * Discovery on a node's layout in a temporary directory: <dir>/log/containers with links into
 * <dir>/log/pods, and <dir>/docker for the second hop. A worker's ear on the same loop writes down
 * what it is told; the clock is faked, so that nothing waits.
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

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "inputs/input.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD "log/pods/shop_web-64cd4f4ff7-6bqb8_0af7-11/main"
#define LINK "log/containers/web-64cd4f4ff7-6bqb8_shop_main-" HEX64 ".log"
#define GONE_MS 60000

struct world {
    struct loop loop;
    struct notify *notify;
    struct mailbox ear;
    struct feed_port port;
    struct origins set;
    struct router *router;
    struct input_env env;
    struct input *in;
    char dir[64];
    char text[512];   /* what path() returns */
    char heard[8192]; /* what the worker was told, but for grew; paths below <dir> */
    char grew[256];   /* hostnames, one for each GREW */
    bool from_start;  /* of the last attach */
    uint64_t now;
    int log;
};

/* ---- the worker ---- */

static void note(char *log, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void note(char *log, size_t size, const char *fmt, ...)
{
    size_t len = strlen(log);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(log + len, size - len, fmt, ap);
    va_end(ap);
}

static const char *below(const struct world *w, const char *path)
{
    size_t len = strlen(w->dir);

    return path && strncmp(path, w->dir, len) == 0 ? path + len + 1 : path ? path : "-";
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void hear(void *receiver, struct mail *mail)
{
    struct feed_mail *m = container_of(mail, struct feed_mail, mail);
    struct world *w = receiver;

    switch (m->kind) {
    case FEED_STREAM:
        note(w->heard, sizeof(w->heard), "%llu:%.*s/%.*s ", (unsigned long long)m->stream,
             STR_ARG(m->identity->hostname), STR_ARG(m->identity->tag));
        break;
    case FEED_SEGMENT:
        note(w->heard, sizeof(w->heard), "%llu+%u:%s ", (unsigned long long)m->stream, m->no,
             last_part(below(w, m->path)));
        break;
    case FEED_SEGMENT_PATH:
        note(w->heard, sizeof(w->heard), "%llu=%u:%s ", (unsigned long long)m->stream, m->no,
             last_part(below(w, m->path)));
        break;
    case FEED_FINISHED:
        note(w->heard, sizeof(w->heard), "%llu! ", (unsigned long long)m->stream);
        break;
    case FEED_GREW:
        atomic_store(&m->queued, false);
        note(w->grew, sizeof(w->grew), "%llu ", (unsigned long long)m->stream);
        return;
    case FEED_IDENTITY:
    case FEED_RECALL:
        break;
    }
    identity_unref(m->identity);
    free(m->path);
    free(m);
}

static void attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                   enum attach_from from)
{
    struct world *w = arg;

    (void)url;
    (void)trust;
    w->from_start = from == ATTACH_START;
    origin_introduce(o, 0);
}

static void detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    (void)arg;
    (void)o;
    (void)url;
    (void)trust;
}

static enum attach_from found(void *arg, struct origin *o)
{
    (void)arg;
    (void)o;
    return ATTACH_FOUND;
}

static const struct router_sink sink = {attach, detach, found};

/* ---- the node ---- */

static const char *path(struct world *w, const char *name)
{
    (void)snprintf(w->text, sizeof(w->text), "%s/%s", w->dir, name);
    return w->text;
}

static void make_dir(struct world *w, const char *name)
{
    char command[600];

    (void)snprintf(command, sizeof(command), "mkdir -p '%s'", path(w, name));
    assert_int_equal(system(command), 0);
}

static void remove_all(struct world *w, const char *name)
{
    char command[600];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path(w, name));
    assert_int_equal(system(command), 0);
}

static void append(struct world *w, const char *name, const char *text)
{
    int fd = open(path(w, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static void move(struct world *w, const char *from, const char *to)
{
    char old[256];

    (void)snprintf(old, sizeof(old), "%s/%s", w->dir, from);
    assert_int_equal(rename(old, path(w, to)), 0);
}

/* As kubelet does it: over what was there. <target> below <dir>. */
static void make_link(struct world *w, const char *target, const char *name)
{
    char to[512], tmp[300];

    (void)snprintf(to, sizeof(to), "%s/%s", w->dir, target);
    (void)snprintf(tmp, sizeof(tmp), "%s/log/containers/tmp", w->dir);
    assert_int_equal(symlink(target[0] == '/' ? target : to, tmp), 0);
    assert_int_equal(rename(tmp, path(w, name)), 0);
}

static void world_make(struct world *w)
{
    struct str url = STR("null://");
    struct route_source *all;
    char log[128];

    memset(w, 0, sizeof(*w));
    w->now = 1000000;
    clock_fake(w->now, 0);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/containers_test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(chmod(w->dir, 0755), 0);
    (void)snprintf(log, sizeof(log), "%s/own-log", w->dir);
    w->log = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_set_fd(w->log);
    loop_init(&w->loop);
    w->notify = notify_create(&w->loop);
    mailbox_open(&w->ear, &w->loop, w);
    w->port = (struct feed_port){&w->ear, hear};
    origins_init(&w->set, &w->port, 1);
    w->router = router_create(&sink, w);
    all = router_source_create(w->router, "test");
    route_begin(all);
    route_put(all, STR("1"), STR("*"), &url, 1);
    route_commit(all);
    w->env = (struct input_env){
        .loop = &w->loop, .notify = w->notify, .origins = &w->set, .router = w->router};
}

static void world_start(struct world *w, const char *exclude, const char *root)
{
    const char *roots[2] = {root, NULL};
    char logs[128];
    struct containers_config cfg = {.log_path = logs,
                                    .roots = roots,
                                    .exclude_namespaces = exclude,
                                    .node = "node-1",
                                    .self_pod = "logtrain-x1",
                                    .self_namespace = "ops"};
    struct err e = {0, ""};

    (void)snprintf(logs, sizeof(logs), "%s/log/containers/", w->dir);
    w->in = input_containers_open(&w->env, &cfg, &e);
    assert_non_null(w->in);
}

static void world_open(struct world *w)
{
    world_make(w);
    make_dir(w, "log/containers");
}

static void world_close(struct world *w)
{
    input_close(w->in);
    notify_free(w->notify);
    router_free(w->router);
    mailbox_close(&w->ear);
    origins_release(&w->set);
    loop_release(&w->loop);
    log_set_fd(2);
    (void)close(w->log);
    remove_all(w, "");
    clock_fake(0, 0);
}

/* Lets <ms> pass: more than the pause between two readings of inotify, so that what was done is
 * seen. */
static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t left = ms, step; left > 0; left -= step) {
        step = left < 1000 ? left : 1000;
        clock_fake(w->now += step, 0);
        for (int i = 0; i < 3; i++) /* resume; read; tasks and mails */
            loop_turn(&w->loop, 0);
    }
}

static void settle(struct world *w)
{
    pass(w, 2 * GREW_COALESCE_MS);
    pass(w, 2 * GREW_COALESCE_MS);
}

static void assert_heard(struct world *w, const char *want)
{
    settle(w);
    assert_string_equal(w->heard, want);
    w->heard[0] = '\0';
    w->grew[0] = '\0';
}

static void assert_logged(const struct world *w, const char *text, unsigned times)
{
    static char all[65536];
    ssize_t n = pread(w->log, all, sizeof(all) - 1, 0);
    unsigned found = 0;

    assert_true(n >= 0);
    all[n] = '\0';
    for (const char *p = all; (p = strstr(p, text)); p++)
        found++;
    if (found != times)
        print_error("'%s' %u times in:\n%s", text, found, all);
    assert_int_equal(found, times);
}

static struct input_stats stats_of(const struct world *w)
{
    struct input_stats st;

    w->in->ops->stats(w->in, &st);
    return st;
}

/* A world with one pod of one live file, seen at start. */
static void world_with_pod(struct world *w)
{
    world_open(w);
    make_dir(w, POD);
    append(w, POD "/0.log", "x\n");
    make_link(w, POD "/0.log", LINK);
    world_start(w, NULL, NULL);
    assert_heard(w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
}

/* ---- who says what they are called ---- */

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
    append(&w, "log/containers/plain.log", ""); /* no pod's: nobody is asked */
    world_start(&w, NULL, NULL);
    settle(&w);
    assert_int_equal(n.found, 1);
    assert_null(strstr(w.heard, "web"));
    assert_non_null(strstr(w.heard, "plain.log"));
    w.heard[0] = '\0';
    append(&w, POD "/0.log", "y\n");
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    settle(&w);
    assert_string_equal(w.heard, "");
    named = *n.last->identity;
    named.hostname = STR("shop.example");
    origin_set_identity(n.last, identity_create(&named));
    router_stream_identified(w.router, n.last);
    settle(&w);
    assert_non_null(strstr(w.heard, ":shop.example/web-64cd4f4ff7-6bqb8 "));
    assert_non_null(strstr(w.heard, "+1:0.log.20261120-101500 "));
    assert_non_null(strstr(w.heard, "+2:0.log "));
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
    assert_heard(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
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
    append(&w, POD "/2.log.20261120-101500.gz", ""); /* just being made of its twin */
    append(&w, POD "/2.log.20261120-081500.tmp", "");
    append(&w, POD "/2.log.1", "");
    append(&w, POD "/x.log", "");
    make_link(&w, POD "/10.log", LINK);
    make_link(&w, POD "/2.log", "log/containers/web-64cd4f4ff7-6bqb8_shop_main-1.log");
    append(&w, "log/containers/unrelated.txt", "");
    world_start(&w, NULL, NULL);
    assert_heard(
        &w,
        "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:2.log.20261120-081500.gz 1+2:2.log.20261120-091500 "
        "1+3:2.log.20261120-101500 1+4:2.log 1+5:10.log ");
    assert_false(w.from_start);
    assert_int_equal(stats_of(&w).streams, 1); /* two links, one directory */
    assert_int_equal(stats_of(&w).segments, 5);
    world_close(&w);
}

static void test_F01_rename_rotation(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    assert_heard(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
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
    assert_heard(&w, "1=1:0.log.20261120-101500 1+2:0.log.20261120-101501 "
                     "1+3:0.log.20261120-101502 1+4:0.log ");
    assert_int_equal(unlink(path(&w, POD "/0.log.20261120-101500")), 0);
    assert_heard(&w, "1=1:- ");
    world_close(&w);
}

static void test_F03_compression(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    assert_heard(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
    append(&w, POD "/0.log.20261120-101500.tmp", "z");
    move(&w, POD "/0.log.20261120-101500.tmp", POD "/0.log.20261120-101500.gz");
    assert_int_equal(unlink(path(&w, POD "/0.log.20261120-101500")), 0);
    assert_heard(&w, "1=1:0.log.20261120-101500.gz ");
    world_close(&w);
}

static void test_F05_rename_back(void **state)
{
    struct world w;

    (void)state;
    world_with_pod(&w);
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    assert_heard(&w, "1=1:0.log.20261120-101500 ");
    move(&w, POD "/0.log.20261120-101500", POD "/0.log");
    assert_heard(&w, "1=1:0.log ");
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
    assert_heard(&w, "");
    /* nor later, when what it was older than is gone */
    assert_int_equal(unlink(path(&w, POD "/0.log")), 0);
    assert_heard(&w, "1=1:- ");
    append(&w, POD "/0.log", "y\n");
    assert_heard(&w, "1+2:0.log ");
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
    assert_non_null(strstr(w.heard, "1+2:1.log 1+3:2.log "));
    assert_non_null(strstr(w.heard, "1+31:30.log "));
    assert_null(strstr(w.heard, "1=")); /* all the old ones keep their names */
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
    assert_heard(&w, "2:web.shop/web-64cd4f4ff7-zzzzz 2+1:0.log ");
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
    assert_heard(&w, "");
    make_dir(&w, POD);
    pass(&w, RESCAN_MS);
    assert_heard(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 ");
    append(&w, POD "/0.log", "x\n"); /* and the directory before the file */
    assert_heard(&w, "1+1:0.log ");
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
    assert_null(strstr(w.heard, "!"));
    pass(&w, 2 * RESCAN_MS);
    assert_string_equal(strstr(w.heard, "1=1:-"), "1=1:- 1! ");
    assert_int_equal(stats_of(&w).streams, 0);
    assert_null(origins_find(&w.set, id)->input);
    assert_true(origin_forgotten(origins_find(&w.set, id), 0));
    assert_false(notify_degraded(w.notify));
    world_close(&w);
}

/* The tree goes away and comes back, as with a remount: the same files, nothing is told. */
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
    assert_heard(&w, "");
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
    assert_string_equal(w.heard, "");
    assert_true(stats_of(&w).unreadable >= 2);
    assert_logged(&w, "cannot be looked at, trying on", 1);
    assert_int_equal(chmod(path(&w, POD), 0755), 0);
    pass(&w, RESCAN_MS);
    assert_heard(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
    assert_logged(&w, "can be looked at again", 1);
    world_close(&w);
}

static void log_path_appears_later(void **state)
{
    struct world w;

    (void)state;
    world_make(&w);
    world_start(&w, NULL, NULL);
    assert_heard(&w, "");
    make_dir(&w, "log/containers");
    make_dir(&w, POD);
    append(&w, POD "/0.log", "x\n");
    make_link(&w, POD "/0.log", LINK);
    pass(&w, RESCAN_MS);
    assert_heard(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
    assert_true(w.from_start);
    append(&w, "log/containers/later.log", "x\n"); /* now it is watched */
    assert_heard(&w, "2:later/later 2+1:later.log ");
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
    (void)snprintf(cut, sizeof(cut), "log/containers/%0251d.log", 7); /* nothing of it says who */
    make_link(&w, POD "/0.log", cut);
    world_start(&w, " other , secret ", NULL);
    assert_heard(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
    make_link(&w, "log/pods/secret_a-0_78/c/0.log", "log/containers/a.log");
    append(&w, "log/containers/a-0_secret_c-" HEX64 ".log", "");
    make_link(&w, "log/pods/kube-system_etcd-node-1_77/etcd/0.log", "log/containers/b.log");
    assert_heard(&w, "2:etcd.kube-system/etcd-node-1 2+1:0.log ");
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
    assert_heard(&w, "");
    make_link(&w, "log/pods/shop_logtrain-x1_78/main/0.log", "log/containers/b.log");
    assert_heard(&w, "1:logtrain-x1.shop/logtrain-x1 1+1:0.log ");
    world_close(&w);
}

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
    assert_heard(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:77-json.log.12 1+2:77-json.log.1 "
                     "1+3:77-json.log ");
    move(&w, "docker/containers/77/77-json.log.1", "docker/containers/77/77-json.log.2");
    move(&w, "docker/containers/77/77-json.log", "docker/containers/77/77-json.log.1");
    append(&w, "docker/containers/77/77-json.log", "");
    assert_heard(&w, "1=2:77-json.log.2 1=3:77-json.log.1 1+4:77-json.log ");
    append(&w, "docker/containers/77/77-json.log", "more\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    make_dir(&w, "docker/containers/88"); /* a restart */
    append(&w, "docker/containers/88/88-json.log", "");
    make_link(&w, "docker/containers/88/88-json.log", POD "/1.log");
    assert_heard(&w, "1+5:88-json.log ");
    remove_all(&w, "docker/containers/77");
    assert_heard(&w, "1=1:- 1=2:- 1=3:- 1=4:- ");
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
    world_start(&w, NULL, NULL);
    assert_heard(&w, "1:app/app 1+1:app.log ");
    append(&w, "log/containers/app.log", "more\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    move(&w, "log/containers/app.log", "log/containers/app.log.1");
    append(&w, "log/containers/app.log", "");
    assert_heard(&w, "1=1:app.log.1 1+2:app.log ");
    append(&w, "log/containers/app.log.1", "late\n");
    settle(&w);
    assert_string_equal(w.grew, "1 ");
    move(&w, "log/containers/app.log", "log/containers/app-20261120.log"); /* no new stream */
    append(&w, "log/containers/app.log", "");
    assert_heard(&w, "1=2:app-20261120.log 1+3:app.log ");
    assert_int_equal(stats_of(&w).streams, 1);
    move(&w, "log/containers/app.log", "moved"); /* out of sight */
    append(&w, "log/containers/app.log", "");
    assert_heard(&w, "1=3:- 1+4:app.log ");
    world_close(&w);
}

static void plain_file_ends_when_nothing_is_left(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    append(&w, "log/containers/app.log", "x\n");
    world_start(&w, NULL, NULL);
    assert_heard(&w, "1:app/app 1+1:app.log ");
    assert_int_equal(unlink(path(&w, "log/containers/app.log")), 0);
    assert_heard(&w, "");
    pass(&w, GONE_MS + 2 * RESCAN_MS);
    assert_heard(&w, "1=1:- 1! ");
    append(&w, "log/containers/app.log", "x\n");
    assert_heard(&w, "2:app/app 2+1:app.log ");
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
    assert_heard(&w, "1:shop.ns/shop-0 1+1:a.txt ");
    move(&w, "log/other/a.txt", "log/other/a.txt.old");
    append(&w, "log/other/a.txt", "x\n");
    assert_heard(&w, "1=1:a.txt.old 1+2:a.txt ");
    make_link(&w, "log/other/b.txt", "log/containers/shop-0_ns_c-" HEX64 ".log");
    assert_heard(&w, "1+3:b.txt ");
    move(&w, "log/other/a.txt", "log/other/a.txt.older");
    append(&w, "log/other/a.txt", "x\n"); /* nobody leads there any more */
    assert_heard(&w, "1=2:a.txt.older ");
    assert_int_equal(unlink(path(&w, "log/other/b.txt")), 0); /* and it does not come back to it */
    move(&w, "log/other/a.txt", "log/other/a.txt.even-older");
    append(&w, "log/other/a.txt", "x\n");
    assert_heard(&w, "1=3:- ");
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
    assert_heard(&w, "1:web.shop/web-64cd4f4ff7-6bqb8 "); /* the pod, without its files */
    assert_int_equal(stats_of(&w).refused, 11);
    assert_logged(&w, "log refused", 11);
    make_link(&w, "/etc/shadow", "log/containers/shadow.log");
    append(&w, POD "/2.log", "x\n"); /* another look at the refused ones */
    assert_heard(&w, "1+1:2.log ");
    assert_logged(&w, "log refused", 11);                     /* each once */
    make_link(&w, POD "/2.log", "log/containers/shadow.log"); /* mended */
    settle(&w);
    make_link(&w, "/etc/passwd", "log/containers/shadow.log"); /* and not again */
    assert_heard(&w, "");
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
    assert_heard(&w, "1:a/a 1+1:a.txt ");
    assert_int_equal(stats_of(&w).refused, 1);
    world_close(&w);
}

/* ---- when the watches fail ---- */

static bool write_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static bool no_watches_to_be_had(void)
{
    char map[32];

    (void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
    return unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", map) &&
           write_file("/proc/sys/user/max_inotify_watches", "0");
}

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%d: %s: %s\n", __LINE__, #condition, w.heard);                  \
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
    MUST(strcmp(w.heard, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ") == 0);
    w.heard[0] = w.grew[0] = '\0';
    MUST(notify_degraded(w.notify));
    move(&w, POD "/0.log", POD "/0.log.20261120-101500");
    append(&w, POD "/0.log", "");
    append(&w, "log/containers/app.log", "");
    pass(&w, RESCAN_MS);
    MUST(strstr(w.heard, "1=1:0.log.20261120-101500 1+2:0.log "));
    MUST(strstr(w.heard, "2:app/app 2+1:app.log "));
    MUST(strstr(w.grew, "1 "));
    w.heard[0] = w.grew[0] = '\0';
    pass(&w, RESCAN_MS);
    MUST(strstr(w.grew, "1 ") && strstr(w.grew, "2 ")); /* written or not, they are looked at */
    MUST(w.heard[0] == '\0');
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

/* More events than the kernel keeps; then a file that none of those left tells of. */
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
    assert_heard(&w, "1=1:0.log.20261120-101500 1+2:0.log ");
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
        cmocka_unit_test(test_F23_directory_comes_back),
        cmocka_unit_test(test_F23_unreadable_is_not_deleted),
        cmocka_unit_test(log_path_appears_later),
        cmocka_unit_test(names_are_cut_excluded_or_static),
        cmocka_unit_test(our_own_log_is_not_read),
        cmocka_unit_test(docker_rotation_is_followed_behind_the_second_hop),
        cmocka_unit_test(plain_files_rotate_under_their_name),
        cmocka_unit_test(plain_file_ends_when_nothing_is_left),
        cmocka_unit_test(links_to_files_elsewhere_have_one_name),
        cmocka_unit_test(test_F25_escapes_are_refused),
        cmocka_unit_test(a_prefix_is_not_a_parent),
        cmocka_unit_test(test_F22_without_watches_it_polls),
        cmocka_unit_test(test_F21_overflow_is_made_up_for),
        cmocka_unit_test(many_pods_are_found_at_start_and_on_rescan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
