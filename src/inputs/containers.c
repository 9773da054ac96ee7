/*
 * Container logs: finds them under KUBERNETES_LOG_PATH, makes a stream of each container, and keeps
 * its segments current. Start here; containers_internal.h has the drawing, containers_model.c its
 * directories and streams. containers_links.c maps entries of the log path to streams,
 * containers_look.c lists the files of a stream, containers_scan.c finds what is new,
 * containers_missed.c handles containers that came and went unseen, containers_path.c checks what
 * may be followed.
 *
 * Directory watches drive everything. Their callbacks only queue. The work task processes the
 * queues, WORK_PER_TURN entries at a time, so that a rescan of a large node does not block the
 * loop. The tick runs only while watches are not enough: they are exhausted, the log path is
 * missing, a link dangles, a directory is unreadable, or a stream is about to end.
 *
 * It opens no log file; the workers do. A file that cannot be read is never taken for deleted.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "inputs/containers_internal.h"

/* ---- events ---- */

static void dir_written(const struct cdir *d, struct str name)
{
    struct cstream *st;

    if (str_ends(name, STR(".gz")) || str_ends(name, STR(".tmp")))
        return; /* a rotated file that is being compressed */
    if (d->pod)
        origin_grew(d->pod->stream->origin);
    st = d->names.len ? cdir_owner(d, name) : NULL;
    if (st)
        origin_grew(st->origin);
}

static void dir_changed(struct cdir *d, struct str name)
{
    struct cstream *st;

    if (d == d->in->log_dir)
        link_queue_name(d->in, name);
    if (d->files)
        fdir_changed(d->files, name);
    if (d->pod)
        cstream_queue(d->pod->stream);
    st = d->names.len ? cdir_owner(d, name) : NULL;
    if (st)
        cstream_queue(st);
}

static void dir_gone(struct cdir *d)
{
    const struct source *s;

    cdir_unwatch(d);
    if (d == d->in->log_dir)
        d->in->list_due = true;
    if (d->files)
        fdir_gone(d->files);
    if (d->pod)
        cstream_queue(d->pod->stream);
    for (size_t i = 0; (s = map_next(&d->names, &i));)
        cstream_queue(s->stream);
    containers_post(d->in);
}

static void dir_event(void *arg, enum notify_event ev, struct str name)
{
    struct cdir *d = arg;

    switch (ev) {
    case NOTIFY_WRITE:
        dir_written(d, name);
        break;
    case NOTIFY_CHANGE:
        dir_changed(d, name);
        break;
    case NOTIFY_GONE:
        dir_gone(d);
        break;
    case NOTIFY_RESCAN:
        d->in->rescan_due = true;
        containers_post(d->in);
        break;
    }
}

/* ---- work ---- */

static void rescan(struct containers *c)
{
    c->rescan_due = false;
    c->list_due = true;
    c->stats.rescans++;
    if (c->files)
        files_rescan(c->files);
    list_for_each (it, &c->streams)
        cstream_queue(list_entry(it, struct cstream, node));
}

/* Checks a new stream first: its files may be deleted soon. */
static void look_at_new(struct containers *c)
{
    struct cstream *st = list_empty(&c->work_streams)
                             ? NULL
                             : list_entry(c->work_streams.next, struct cstream, work);

    if (st && !st->origin->route)
        cstream_look(st);
}

/* False when nothing is left to do. Links first: they queue streams. Missed containers last. */
static bool work_some(struct containers *c, unsigned most)
{
    unsigned n = 0;

    c->turn_ns = clock_wall_ns();
    if (c->rescan_due)
        rescan(c);
    if (c->list_due && c->files)
        files_list(c);
    else if (c->list_due)
        links_list(c);
    for (; c->files && n < most && files_step(c); n++)
        ;
    for (; n < most && !list_empty(&c->work_links); n++) {
        link_look(list_entry(c->work_links.next, struct clink, work));
        look_at_new(c);
    }
    for (; n < most && !list_empty(&c->work_streams); n++)
        cstream_look(list_entry(c->work_streams.next, struct cstream, work));
    for (; n < most && !list_empty(&c->missed); n++)
        missed_look(c);
    return n == most || !list_empty(&c->work_links) || !list_empty(&c->work_streams) ||
           !list_empty(&c->missed);
}

/* What leads nowhere for long has time. */
static bool is_urgent(int trouble)
{
    return trouble && trouble != ENOENT;
}

/* Period of the tick; 0 = none needed. */
static uint64_t tick_period(const struct containers *c)
{
    uint64_t period = 0;

    if (notify_degraded(c->base.env->notify) || c->log_trouble)
        return RESCAN_MS;
    list_for_each (it, &c->retry_streams) {
        const struct cstream *st = list_entry(it, struct cstream, retry);

        period = LINK_GONE_MS;
        if (is_urgent(st->trouble) || st->mounted || (st->gone && st->nlinks == 0) ||
            st->tries <= QUICK_TRIES)
            return RESCAN_MS;
    }
    list_for_each (it, &c->retry_links) {
        const struct clink *l = list_entry(it, struct clink, retry);

        period = LINK_GONE_MS;
        if (is_urgent(l->trouble) || l->tries <= QUICK_TRIES)
            return RESCAN_MS;
    }
    return period;
}

/* Never later than it is set already. */
static void tick_arm(struct containers *c)
{
    uint64_t period = tick_period(c), at = loop_now(c->base.env->loop) + period;

    if (!period || (loop_timer_active(c->tick) && c->tick_at <= at))
        return;
    c->tick_at = at;
    loop_timer_start(c->tick, period);
}

static void tick(void *arg)
{
    struct containers *c = arg;

    if (notify_degraded(c->base.env->notify))
        c->rescan_due = true;
    if (c->log_trouble)
        c->list_due = true;
    list_for_each (it, &c->retry_streams)
        cstream_queue_quietly(list_entry(it, struct cstream, retry));
    list_for_each (it, &c->retry_links) {
        struct clink *l = list_entry(it, struct clink, retry);

        list_del(&l->work);
        list_add_tail(&c->work_links, &l->work);
    }
    containers_post(c);
}

static void work(struct loop_task *t)
{
    struct containers *c = container_of(t, struct containers, work);

    if (work_some(c, WORK_PER_TURN))
        containers_post(c);
    tick_arm(c);
}

/* ---- the member ---- */

static struct containers *containers_of(struct input *in);

static void containers_stats(const struct input *in, struct input_stats *out)
{
    const struct containers *c = containers_of((struct input *)in);
    const struct clink *l;

    *out = c->stats;
    list_for_each (it, &c->streams) {
        const struct cstream *st = list_entry(it, struct cstream, node);

        out->streams++;
        list_for_each (seg, &st->origin->segments)
            out->segments++;
    }
    out->unreadable_now = c->log_trouble && c->log_trouble != ENOENT;
    out->path_missing = c->log_trouble == ENOENT;
    if (c->files) {
        out->unreadable_now = files_unreadable(c->files);
        out->path_missing = 0; /* a program that was not installed yet has no logs */
    }
    for (size_t i = 0; (l = map_next(&c->links, &i));)
        out->unreadable_now += l->trouble != 0;
}

static void containers_close(struct input *in)
{
    struct containers *c = containers_of(in);
    struct clink *l;

    for (size_t i = 0; (l = map_next(&c->links, &i));) {
        free(l->name);
        free(l);
    }
    map_release(&c->links);
    list_for_each_safe (it, &c->streams) {
        struct cstream *st = list_entry(it, struct cstream, node);

        st->origin->input = NULL;
        cstream_release(st);
    }
    if (c->log_dir)
        cdir_put(c->log_dir);
    if (c->files)
        files_release(c->files);
    map_release(&c->dirs);
    log_shares_release(&c->shares);
    missed_release(c);
    loop_task_cancel(&c->work);
    loop_timer_free(c->tick);
    for (char **root = c->roots; *root; root++)
        free(*root);
    free(c->roots);
    free(c->exclude);
    free(c->self_pod);
    free(c->self_namespace);
    free(c->node);
    free(c->log_path);
    free(c);
}

static const struct input_ops containers_ops = {
    .name = "containers", .stats = containers_stats, .close = containers_close};

static struct containers *containers_of(struct input *in)
{
    if (in->ops != &containers_ops)
        BUG("input: '%s' taken for 'containers'", in->ops->name);
    return container_of(in, struct containers, base);
}

/* Absolute, without a trailing slash. Heap. */
static char *log_path_make(const char *given, struct err *e)
{
    char cwd[PATH_MAX], path[PATH_MAX];
    struct str s = str_of(given);

    while (s.len > 1 && s.p[s.len - 1] == '/')
        s.len--;
    if (s.len == 0) {
        (void)err_set(e, EINVAL, "containers: the log path is empty");
        return NULL;
    }
    if (s.p[0] == '/')
        return str_dup(s);
    if (!getcwd(cwd, sizeof(cwd))) {
        (void)err_sys(e, errno, "containers: the log path is relative");
        return NULL;
    }
    if (!path_join(path, cwd, s)) {
        (void)err_set(e, ENAMETOOLONG, "containers: the log path is too long");
        return NULL;
    }
    return str_dup(str_of(path));
}

static char **roots_copy(const char *const *roots)
{
    size_t n = 0;
    char **copy;

    while (roots && roots[n])
        n++;
    copy = xcalloc(n + 1, sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = str_dup(str_of(roots[i]));
    return copy;
}

struct containers *containers_create(const struct input_env *env, const char *const *roots)
{
    struct containers *c = xcalloc(1, sizeof(*c));

    c->base.ops = &containers_ops;
    c->dir_event = dir_event;
    c->base.env = env;
    c->roots = roots_copy(roots);
    map_init(&c->links);
    map_init(&c->dirs);
    log_shares_init(&c->shares);
    list_init(&c->streams);
    list_init(&c->work_links);
    list_init(&c->work_streams);
    list_init(&c->retry_links);
    list_init(&c->retry_streams);
    list_init(&c->missed);
    loop_task_init(&c->work, work);
    c->tick = loop_timer_create(env->loop, tick, c);
    return c;
}

void containers_start(struct containers *c)
{
    c->list_due = true;
    c->starting = true;
    while (work_some(c, WORK_PER_TURN))
        ;
    c->starting = false;
    tick_arm(c);
}

struct input *input_containers_open(const struct input_env *env,
                                    const struct containers_config *cfg, struct err *e)
{
    char *log_path = log_path_make(cfg->log_path, e);
    struct containers *c;

    if (!log_path)
        return NULL;
    c = containers_create(env, cfg->roots);
    c->log_path = log_path;
    c->exclude = str_dup(str_of(cfg->exclude_namespaces));
    c->self_pod = str_dup(str_of(cfg->self_pod));
    c->self_namespace = str_dup(str_of(cfg->self_namespace));
    c->node = str_dup(str_of(cfg->node));
    containers_start(c);
    return &c->base;
}
