/*
 * For the tests of the containers input, with a node's layout in a temporary directory:
 * <dir>/log/containers with links into <dir>/log/pods, and <dir>/docker for the second hop. A
 * worker's mailbox on the same loop records the mail; the clock is faked, so that nothing waits.
 * Included by one file per program, which need not use all of it.
 */
#ifndef TEST_UNIT_INPUTS_CONTAINERS_WORLD_H
#define TEST_UNIT_INPUTS_CONTAINERS_WORLD_H

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
    char text[512];      /* result of path() */
    char received[8192]; /* mail to the worker, except grew; paths below <dir> */
    char grew[256];      /* hostnames, one for each GREW */
    bool from_start;     /* of the last attach */
    uint64_t now;
    int log;
};

/* ---- the worker ---- */

static inline void note(char *log, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static inline void note(char *log, size_t size, const char *fmt, ...)
{
    size_t len = strlen(log);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(log + len, size - len, fmt, ap);
    va_end(ap);
}

static inline const char *below(const struct world *w, const char *path)
{
    size_t len = strlen(w->dir);

    return path && strncmp(path, w->dir, len) == 0 ? path + len + 1 : path ? path : "-";
}

static inline const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static inline void hear(void *receiver, struct mail *mail)
{
    struct feed_mail *m = container_of(mail, struct feed_mail, mail);
    struct world *w = receiver;

    switch (m->kind) {
    case FEED_STREAM:
        note(w->received, sizeof(w->received), "%llu:%.*s/%.*s ", (unsigned long long)m->stream,
             STR_ARG(m->identity->hostname), STR_ARG(m->identity->tag));
        break;
    case FEED_SEGMENT:
        note(w->received, sizeof(w->received), "%llu+%u:%s ", (unsigned long long)m->stream, m->no,
             last_part(below(w, m->path)));
        break;
    case FEED_SEGMENT_PATH:
        note(w->received, sizeof(w->received), "%llu=%u:%s ", (unsigned long long)m->stream, m->no,
             last_part(below(w, m->path)));
        break;
    case FEED_FINISHED:
        note(w->received, sizeof(w->received), "%llu! ", (unsigned long long)m->stream);
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

static inline bool attach(void *arg, struct origin *o, struct str url, enum route_trust trust,
                          enum attach_from from)
{
    struct world *w = arg;

    (void)url;
    (void)trust;
    w->from_start = from == ATTACH_START;
    origin_introduce(o, 0);
    return true;
}

static inline void detach(void *arg, struct origin *o, struct str url, enum route_trust trust)
{
    (void)arg;
    (void)o;
    (void)url;
    (void)trust;
}

static inline enum attach_from found(void *arg, struct origin *o, bool existing)
{
    (void)arg;
    (void)o;
    return existing ? ATTACH_FOUND : ATTACH_START;
}

static const struct router_sink sink = {.attach = attach, .detach = detach, .found = found};

/* ---- the node ---- */

static inline const char *path(struct world *w, const char *name)
{
    (void)snprintf(w->text, sizeof(w->text), "%s/%s", w->dir, name);
    return w->text;
}

static inline void make_dir(struct world *w, const char *name)
{
    char command[600];

    (void)snprintf(command, sizeof(command), "mkdir -p '%s'", path(w, name));
    assert_int_equal(system(command), 0);
}

static inline void remove_all(struct world *w, const char *name)
{
    char command[600];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", path(w, name));
    assert_int_equal(system(command), 0);
}

static inline void append(struct world *w, const char *name, const char *text)
{
    int fd = open(path(w, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static inline void move(struct world *w, const char *from, const char *to)
{
    char old[256];

    (void)snprintf(old, sizeof(old), "%s/%s", w->dir, from);
    assert_int_equal(rename(old, path(w, to)), 0);
}

/* As kubelet does it: replaces an existing one. <target> below <dir>. */
static inline void make_link(struct world *w, const char *target, const char *name)
{
    char to[512], tmp[300];

    (void)snprintf(to, sizeof(to), "%s/%s", w->dir, target);
    (void)snprintf(tmp, sizeof(tmp), "%s/log/containers/tmp", w->dir);
    assert_int_equal(symlink(target[0] == '/' ? target : to, tmp), 0);
    assert_int_equal(rename(tmp, path(w, name)), 0);
}

static inline void world_make(struct world *w)
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

static inline void world_start(struct world *w, const char *exclude, const char *root)
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

static inline void world_open(struct world *w)
{
    world_make(w);
    make_dir(w, "log/containers");
}

static inline void world_close(struct world *w)
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

/* Advances the clock by <ms>: more than the pause between two reads of inotify, so that changes are
 * seen. */
static inline void pass(struct world *w, uint64_t ms)
{
    for (uint64_t left = ms, step; left > 0; left -= step) {
        step = left < 1000 ? left : 1000;
        clock_fake(w->now += step, 0);
        for (int i = 0; i < 3; i++) /* resume; read; tasks and mails */
            loop_turn(&w->loop, 0);
    }
}

static inline void settle(struct world *w)
{
    pass(w, 2 * GREW_COALESCE_MS);
    pass(w, 2 * GREW_COALESCE_MS);
}

static inline void assert_received(struct world *w, const char *want)
{
    settle(w);
    assert_string_equal(w->received, want);
    w->received[0] = '\0';
    w->grew[0] = '\0';
}

static inline void assert_logged(const struct world *w, const char *text, unsigned times)
{
    assert_log_count(w->log, text, times);
}

static inline struct input_stats stats_of(const struct world *w)
{
    struct input_stats st;

    w->in->ops->stats(w->in, &st);
    return st;
}

/* A world with one pod of one live file, seen at start. */
static inline void world_with_pod(struct world *w)
{
    world_open(w);
    make_dir(w, POD);
    append(w, POD "/0.log", "x\n");
    make_link(w, POD "/0.log", LINK);
    world_start(w, NULL, NULL);
    assert_received(w, "1:web.shop/web-64cd4f4ff7-6bqb8 1+1:0.log ");
}

#endif
