/*
 * The routes file. Its directory is watched, and, when it is a symlink, the directory of its target
 * too. So an editor's rename, a plain write and a ConfigMap's swap of `..data` are all noticed.
 * When no change has followed for DEBOUNCE_MS, the file is checked, and read as a whole if it
 * differs.
 *
 * A line with a mistake keeps what it had: the URLs that its pattern had in the last reading, or if
 * the pattern is the mistake, the route of that line, unless its pattern is elsewhere now.
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
#define KEPT_LOOKS_MAX 100   /* lines with a mistake whose last state is looked for */
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
    struct buf
        kept; /* the routes in force: a line for each of the file, "PATTERN URL...", or empty */
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
    unsigned mistakes; /* lines with one */
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

/* The words of one line that are a route. */
struct line {
    struct str pattern, *urls;
    unsigned n, cap;
};

static void line_add(struct line *l, struct str url)
{
    for (unsigned i = 0; i < l->n; i++)
        if (str_eq(l->urls[i], url))
            return;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        l->urls = xrealloc(l->urls, l->cap * sizeof(*l->urls));
    }
    l->urls[l->n++] = url;
}

/* Line <no> of <text>, from 1; empty when there is none. */
static struct str line_at(struct str text, unsigned no)
{
    struct str line = {"", 0};

    while (no && str_cut(&text, '\n', &line))
        no--;
    return no ? STR("") : line;
}

static bool begins_with(struct str line, struct str pattern)
{
    struct str word;

    return next_word(&line, &word) && str_eq(word, pattern);
}

static bool has_pattern(struct str text, struct str pattern)
{
    struct str line;

    while (str_cut(&text, '\n', &line))
        if (begins_with(line, pattern))
            return true;
    return false;
}

static void keep(struct line *l, struct str kept)
{
    struct str word;

    if (!next_word(&kept, &l->pattern))
        return;
    while (next_word(&kept, &word))
        line_add(l, word);
}

/* Line <no> of <text> has a mistake: <l> gets what it had in the last reading. */
static void keep_last(const struct file_source *f, struct line *l, struct str text, unsigned no)
{
    struct str kept = buf_str(&f->kept), at = line_at(kept, no), line, word;

    if (!l->pattern.len) {
        line = at;
        if (next_word(&line, &word) && !has_pattern(text, word))
            keep(l, at);
    } else if (begins_with(at, l->pattern)) {
        keep(l, at);
    } else {
        while (str_cut(&kept, '\n', &line))
            if (begins_with(line, l->pattern))
                keep(l, line);
    }
}

/* Reads a line; false: it has a mistake. */
static bool read_line(struct file_source *f, struct str text, struct line *l, struct tally *t)
{
    unsigned before = t->refused;
    struct err e = {0, ""};
    struct str word;

    if (!next_word(&text, &l->pattern))
        return true;
    if (route_pattern_check(l->pattern, &e) < 0) {
        l->pattern = STR("");
        refuse(f, t, &e);
        return false;
    }
    while (next_word(&text, &word)) {
        if (f->base.env->check_url(word, &e) < 0)
            refuse(f, t, &e);
        else
            line_add(l, word);
    }
    if (l->n == 0 && t->refused == before) {
        (void)err_set(&e, EINVAL, "no URL after the hostname");
        refuse(f, t, &e);
    }
    return t->refused == before;
}

/* Puts line <t->line> of <text>, and appends it to <kept>. */
static void put_line(struct file_source *f, struct str text, struct str line, struct tally *t,
                     struct buf *kept)
{
    struct line l = {.n = 0};
    char key[24];
    int len;

    if (!read_line(f, line, &l, t) && ++t->mistakes <= KEPT_LOOKS_MAX)
        keep_last(f, &l, text, t->line);
    len = snprintf(key, sizeof(key), "line %u", t->line);
    if (l.n > 0) {
        route_put(f->source, str_make(key, (size_t)len), l.pattern, l.urls, l.n);
        t->routes += l.n;
        (void)buf_add_str(kept, l.pattern); /* if it is full, there is less to keep */
    }
    for (unsigned i = 0; i < l.n; i++)
        (void)(buf_add_ch(kept, ' ') < 0 || buf_add_str(kept, l.urls[i]) < 0);
    (void)buf_add_ch(kept, '\n');
    free(l.urls);
}

static void free_kept(struct buf *kept)
{
    if (kept->p)
        explicit_bzero(kept->p, kept->len);
    buf_release(kept);
}

static void put_all(struct file_source *f, struct str text)
{
    struct buf kept = BUF_INIT(2 * ROUTES_FILE_MAX);
    struct str rest = text, line;
    struct tally t = {.line = 0};

    route_begin(f->source);
    while (str_cut(&rest, '\n', &line)) {
        t.line++;
        put_line(f, text, line, &t, &kept);
    }
    route_source_unsure(f->source, t.refused > 0); /* a mistake must not end a route */
    route_commit(f->source);
    free_kept(&f->kept);
    f->kept = kept;
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
    free_kept(&f->kept);
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
