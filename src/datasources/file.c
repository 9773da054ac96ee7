/*
 * The routes file. Its directory is watched, and, when it is a symlink, the directory of its target
 * too. So an editor's rename, a plain write and a ConfigMap's swap of `..data` are all noticed.
 * When no change has followed for DEBOUNCE_MS, the file is checked, and read as a whole if it
 * differs.
 *
 * Invariants: the routes in the router are those of the last successful read. An unreadable file is
 * logged once and changes nothing. URLs are checked by env->check_url; of a refused one only the
 * error is logged.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "datasources/datasource.h"

#define DEBOUNCE_MS 50       /* an editor may truncate first and write later */
#define DEBOUNCE_MAX_MS 1000 /* ... but a busy directory must not delay the check forever */

/* Equal versions mean that the file has not changed. */
struct version {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

struct file_source {
    struct datasource base;
    char *path;
    char *name;                  /* for messages */
    struct route_source *source; /* the router's */
    struct notify_watch *watch;  /* of the directory of <path> */
    struct notify_watch *target; /* of its target's directory, if another; may be NULL */
    char *target_dir;
    struct loop_timer *debounce;
    struct loop_timer *poll; /* running while inotify is unreliable */
    uint64_t changed_at;     /* first change not checked yet */
    struct version version;
    bool unreadable; /* and this was logged */
    struct datasource_stats stats;
};

static struct file_source *file_of(struct datasource *d);

/* ---- reading ---- */

static bool version_same(const struct version *a, const struct version *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

static struct version version_of(const struct stat *st)
{
    return (struct version){st->st_dev, st->st_ino, st->st_size, st->st_mtim};
}

static int read_fd(int fd, const char *path, struct buf *out, struct version *v, struct err *e)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return err_sys(e, errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, EINVAL, "'%s' is not a regular file", path);
    if (st.st_size > ROUTES_FILE_MAX || buf_reserve(out, (size_t)st.st_size + 1) < 0)
        return err_set(e, EFBIG, "'%s' is larger than %d bytes", path, ROUTES_FILE_MAX);
    *v = version_of(&st);
    for (;;) {
        if (out->len == out->cap && buf_grow(out, 1) < 0)
            return err_set(e, EFBIG, "'%s' is larger than %d bytes", path, ROUTES_FILE_MAX);
        n = read(fd, out->p + out->len, out->cap - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "cannot read '%s'", path);
        if (n == 0)
            return 0;
        out->len += (size_t)n;
    }
}

static int read_whole(const char *path, struct buf *out, struct version *v, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* do not block on a FIFO */
    int rc;

    if (fd < 0)
        return err_sys(e, errno, "cannot open '%s'", path);
    rc = read_fd(fd, path, out, v, e);
    (void)close(fd); /* nothing was written to it */
    return rc;
}

/* ---- parsing ---- */

struct tally {
    unsigned line;
    unsigned routes; /* (pattern, URL) pairs */
    unsigned refused;
};

static void refuse(const struct file_source *f, struct tally *t, const struct err *e)
{
    t->refused++;
    log_warn("route refused", KV_CSTR("source", f->name), KV_INT("line", t->line), KV_ERR(e));
}

/* Cuts the next word off <*line>; false at the end or at a comment. */
static bool next_word(struct str *line, struct str *word)
{
    size_t n = 0;

    *line = str_trim(*line);
    if (!line->len || line->p[0] == '#')
        return false;
    while (n < line->len && !memchr(" \t\r\v\f", line->p[n], 5)) /* NUL does not separate words */
        n++;
    *word = str_head(*line, n);
    *line = str_skip(*line, n);
    return true;
}

static void put_line(struct file_source *f, struct str line, struct tally *t)
{
    struct str pattern, word, *urls = NULL;
    unsigned n = 0, cap = 0, before = t->refused;
    struct err e = {0, ""};
    char key[24];
    int len;

    if (!next_word(&line, &pattern))
        return;
    if (route_pattern_check(pattern, &e) < 0) {
        refuse(f, t, &e);
        return;
    }
    while (next_word(&line, &word)) {
        if (f->base.env->check_url(word, &e) < 0) {
            refuse(f, t, &e);
            continue;
        }
        if (n == cap) {
            cap = cap ? cap * 2 : 4;
            urls = xrealloc(urls, cap * sizeof(*urls));
        }
        urls[n++] = word;
    }
    len = snprintf(key, sizeof(key), "line %u", t->line);
    if (n > 0) {
        route_put(f->source, str_make(key, (size_t)len), pattern, urls, n);
        t->routes += n;
    } else if (t->refused == before) {
        (void)err_set(&e, EINVAL, "no URL after the hostname");
        refuse(f, t, &e);
    }
    free(urls);
}

static void put_all(struct file_source *f, struct str text)
{
    struct tally t = {0, 0, 0};
    struct str line;

    route_begin(f->source);
    while (str_cut(&text, '\n', &line)) {
        t.line++;
        put_line(f, line, &t);
    }
    route_source_unsure(f->source, t.refused > 0); /* a mistake must not end a route */
    route_commit(f->source);
    f->stats.rows = t.routes;
    f->stats.refused = t.refused;
    f->stats.reads++;
    f->stats.read_at_ms = (uint64_t)(clock_wall_ns() / 1000000);
    log_info("routes read", KV_CSTR("source", f->name), KV_INT("routes", t.routes),
             KV_INT("refused", t.refused));
}

/* ---- following changes ---- */

static void changed(struct file_source *f)
{
    uint64_t now = loop_now(f->base.env->loop);
    uint64_t latest;

    if (!loop_timer_active(f->debounce))
        f->changed_at = now;
    latest = f->changed_at + DEBOUNCE_MAX_MS;
    loop_timer_start(f->debounce, now + DEBOUNCE_MS < latest ? DEBOUNCE_MS
                                  : latest > now             ? latest - now
                                                             : 0);
}

/* The part of <path> before the last '/'. On the heap. */
static char *dir_of(const char *path)
{
    ptrdiff_t slash = str_rfind(str_of(path), '/');

    if (slash < 0)
        return str_dup(STR("."));
    return slash == 0 ? str_dup(STR("/")) : str_dup(str_make(path, (size_t)slash));
}

static struct str base_of(const char *path)
{
    struct str s = str_of(path);
    ptrdiff_t slash = str_rfind(s, '/');

    return str_skip(s, (size_t)(slash + 1));
}

static void target_drop(struct file_source *f)
{
    notify_watch_free(f->target);
    f->target = NULL;
    free(f->target_dir);
    f->target_dir = NULL;
}

static void target_event(void *arg, enum notify_event ev, struct str name)
{
    struct file_source *f = arg;

    (void)name; /* only following the link again tells which file it is */
    if (ev == NOTIFY_GONE)
        target_drop(f);
    changed(f);
}

/* Watches the directory of the link's target, unless it is watched already. */
static void target_follow(struct file_source *f)
{
    char *dir = dir_of(f->path), *real_dir = realpath(dir, NULL), *real = realpath(f->path, NULL);
    char *target = real ? dir_of(real) : NULL;

    if (target && f->target_dir && strcmp(target, f->target_dir) == 0)
        goto out;
    target_drop(f);
    if (target && real_dir && strcmp(target, real_dir) != 0) {
        f->target = notify_watch_create(f->base.env->notify, target, target_event, f);
        f->target_dir = target;
        target = NULL; /* f has it */
    }
out:
    free(target);
    free(real);
    free(real_dir);
    free(dir);
}

static bool events_reliable(const struct file_source *f)
{
    return notify_watch_live(f->watch) && (!f->target || notify_watch_live(f->target)) &&
           !f->unreadable;
}

/* Reads the file unless its version is known, or <always>. */
static int check_file(struct file_source *f, bool always, struct err *e)
{
    struct buf text = BUF_INIT(ROUTES_FILE_MAX + 1);
    struct version v;
    struct stat st;
    int rc = -1;

    target_follow(f);
    if (!always && stat(f->path, &st) == 0) {
        v = version_of(&st);
        if (version_same(&v, &f->version) && !f->unreadable)
            return 0;
    }
    if (read_whole(f->path, &text, &v, e) < 0)
        goto out;
    f->version = v;
    f->unreadable = false;
    put_all(f, buf_str(&text));
    rc = 0;
out:
    buf_release(&text);
    return rc;
}

static void check_or_log(struct file_source *f, bool always)
{
    struct err e = {0, ""};

    if (check_file(f, always, &e) < 0 && !f->unreadable) {
        f->unreadable = true;
        log_warn("cannot read routes, keeping known routes", KV_CSTR("source", f->name),
                 KV_ERR(&e));
    }
    if (events_reliable(f))
        loop_timer_stop(f->poll);
    else if (!loop_timer_active(f->poll))
        loop_timer_start(f->poll, RESCAN_MS);
}

static void check_fired(void *arg)
{
    check_or_log(arg, false);
}

static void watch_event(void *arg, enum notify_event ev, struct str name)
{
    struct file_source *f = arg;
    char *dir;

    if (ev == NOTIFY_WRITE && !str_eq(name, base_of(f->path)))
        return; /* another file in there */
    if (ev == NOTIFY_GONE) {
        dir = dir_of(f->path);
        notify_watch_free(f->watch);
        f->watch = notify_watch_create(f->base.env->notify, dir, watch_event, f);
        free(dir);
    }
    changed(f);
}

/* ---- the member ---- */

static void file_reload(struct datasource *d)
{
    check_or_log(file_of(d), true);
}

static void file_close(struct datasource *d)
{
    struct file_source *f = file_of(d);

    notify_watch_free(f->watch);
    target_drop(f);
    loop_timer_free(f->debounce);
    loop_timer_free(f->poll);
    free(f->name);
    free(f->path);
    free(f);
}

static void file_stats(struct datasource *d, struct datasource_stats *out)
{
    const struct file_source *f = file_of(d);

    *out = f->stats;
    out->up = !f->unreadable;
}

static const struct datasource_ops file_ops = {
    .name = "file", .reload = file_reload, .close = file_close, .stats = file_stats};

static struct file_source *file_of(struct datasource *d)
{
    if (d->ops != &file_ops)
        BUG("datasource: '%s' taken for 'file'", d->ops->name);
    return container_of(d, struct file_source, base);
}

struct datasource *datasource_file_open(const struct datasource_env *env, const char *path,
                                        struct err *e)
{
    struct file_source *f = xcalloc(1, sizeof(*f));
    struct buf name = BUF_INIT(URL_MAX);
    char *dir = dir_of(path);

    (void)buf_addf(&name, "routes file %s", path); /* a longer path cannot be opened either */
    f->base.ops = &file_ops;
    f->base.env = env;
    f->path = str_dup(str_of(path));
    f->name = str_dup(buf_str(&name));
    f->source = router_source_create(env->router, f->name);
    f->debounce = loop_timer_create(env->loop, check_fired, f);
    f->poll = loop_timer_create(env->loop, check_fired, f);
    f->watch = notify_watch_create(env->notify, dir, watch_event, f);
    free(dir);
    buf_release(&name);
    if (check_file(f, true, e) < 0) {
        (void)err_wrap(e, "routes file");
        file_close(&f->base);
        return NULL;
    }
    if (!events_reliable(f))
        loop_timer_start(f->poll, RESCAN_MS);
    return &f->base;
}
