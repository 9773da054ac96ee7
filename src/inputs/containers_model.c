/*
 * Directories, sources and streams of the container logs, as drawn in containers_internal.h: how
 * they are created, freed, and queued for the work task.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "inputs/containers_internal.h"

#define HOSTNAME_TEXT_MAX 1024 /* two names of at most 255 bytes and a dot */

void containers_post(struct containers *c)
{
    loop_task_post(c->base.env->loop, &c->work);
}

/* ---- directories ---- */

struct cdir *cdir_get(struct containers *c, const char *path)
{
    struct cdir *d = map_get(&c->dirs, str_of(path));

    if (!d) {
        d = xcalloc(1, sizeof(*d));
        d->in = c;
        d->path = str_dup(str_of(path));
        map_init(&d->names);
        (void)map_put(&c->dirs, str_of(d->path), d); /* no previous entry */
        cdir_watch(d);
    }
    d->refs++;
    return d;
}

void cdir_put(struct cdir *d)
{
    if (--d->refs > 0)
        return;
    notify_watch_free(d->watch);
    (void)map_del(&d->in->dirs, str_of(d->path));
    map_release(&d->names);
    dir_names_release(&d->listed);
    free(d->path);
    free(d);
}

/* A watch on a missing directory would count as missing and cause polling everywhere. */
void cdir_watch(struct cdir *d)
{
    struct stat st;

    if (!d->watch && lstat(d->path, &st) == 0 && S_ISDIR(st.st_mode))
        d->watch = notify_watch_create(d->in->base.env->notify, d->path, d->in->dir_event, d);
}

void cdir_unwatch(struct cdir *d)
{
    notify_watch_free(d->watch);
    d->watch = NULL;
}

int cdir_list(struct cdir *d, bool afresh)
{
    bool moved;
    int error;

    if (!afresh && d->watch && d->listed.read_ns > d->in->turn_ns)
        return 0;
    cdir_watch(d); /* first, or changes in between are missed */
    error = dir_names_read(&d->listed, d->path, &moved);
    if (!moved)
        return error;
    cdir_unwatch(d); /* the watch is that of the directory before */
    cdir_watch(d);
    d->listed.read_ns = 0;
    return dir_names_read(&d->listed, d->path, &moved);
}

/* Compares with "<dir>/<name>". */
static bool segment_is(const struct origin_segment *seg, const struct cdir *d, struct str name)
{
    struct str path = str_of(seg->path ? seg->path : "");
    size_t dir_len = strlen(d->path);

    return path.len == dir_len + 1 + name.len && str_ends(path, name) &&
           memcmp(path.p, d->path, dir_len) == 0;
}

struct cstream *cdir_owner(const struct cdir *d, struct str name)
{
    const struct source *s = map_get(&d->names, name);
    const struct clink *l;
    char path[PATH_MAX];

    if (s)
        return s->stream;
    l = d->files && path_join(path, d->path, name) ? map_get(&d->in->links, str_of(path)) : NULL;
    if (l)
        return l->stream; /* NULL: it is looked at next */
    for (size_t i = 0; (s = map_next(&d->names, &i));)
        list_for_each (it, &s->stream->origin->segments)
            if (segment_is(list_entry(it, struct origin_segment, node), d, name))
                return s->stream;
    return NULL;
}

/* ---- sources ---- */

struct source *source_add(struct cstream *st, const char *dir, enum source_kind kind,
                          struct str base, uint32_t restart)
{
    struct cdir *d = cdir_get(st->in, dir);
    bool taken = kind == SOURCE_POD ? d->pod != NULL : map_get(&d->names, base) != NULL;
    struct source *s;

    if (taken || st->nsources == STREAM_SOURCES_MAX) {
        cdir_put(d);
        return NULL;
    }
    s = xcalloc(1, sizeof(*s));
    s->stream = st;
    s->dir = d;
    s->kind = kind;
    s->restart = restart;
    if (kind == SOURCE_POD) {
        d->pod = s;
    } else {
        s->base = str_dup(base);
        (void)map_put(&d->names, str_of(s->base), s); /* no previous entry */
    }
    list_add_tail(&st->sources, &s->node);
    st->nsources++;
    return s;
}

void source_remove(struct source *s)
{
    if (s->kind == SOURCE_POD)
        s->dir->pod = NULL;
    else
        (void)map_del(&s->dir->names, str_of(s->base));
    list_del(&s->node);
    s->stream->nsources--;
    cdir_put(s->dir);
    free(s->base);
    free(s);
}

/* ---- unreadable directories ---- */

int nowhere_trouble(struct containers *c, uint64_t *since)
{
    uint64_t now = loop_now(c->base.env->loop);

    if (!*since)
        *since = now ? now : 1;
    return now - *since >= NOWHERE_MS ? ENOENT : 0;
}

/* Without a free descriptor it is unknown. */
static bool says_unreadable(int error)
{
    return error && error != EMFILE && error != ENFILE;
}

void cstream_trouble(struct cstream *st, int error)
{
    const struct input_env *env = st->in->base.env;
    struct err e;

    if (error)
        st->in->stats.unreadable++;
    (void)loop_make_room(st->in->base.env->loop, error); /* for the next look */
    if (error == st->trouble)
        return;
    if (env->unreadable && says_unreadable(error) != says_unreadable(st->trouble))
        env->unreadable(env->unreadable_arg, st->origin, says_unreadable(error));
    st->trouble = error;
    if (error) {
        (void)err_sys(&e, error, error == ENOENT ? "a link in '%s'" : "cannot list '%s'",
                      list_entry(st->sources.next, struct source, node)->dir->path);
        log_warn_for(identity_cause(st->origin->identity),
                     "cannot read a container's log directory, will retry", KV_ERR(&e));
    } else {
        log_info_for(identity_cause(st->origin->identity),
                     "a container's log directory is readable again",
                     KV_STR("pod", st->origin->identity->pod),
                     KV_STR("container", st->origin->identity->container));
    }
}

/* The stream ends: its errors no longer count. */
static void end_trouble(struct cstream *st)
{
    const struct input_env *env = st->in->base.env;

    if (env->unreadable && says_unreadable(st->trouble))
        env->unreadable(env->unreadable_arg, st->origin, false);
    st->trouble = 0;
}

/* ---- streams ---- */

static struct cstream *cstream_create(struct containers *c, const struct identity *id)
{
    struct cstream *st = xcalloc(1, sizeof(*st));

    st->in = c;
    st->origin = origin_create(c->base.env->origins, identity_create(id));
    st->origin->input = st;
    st->existing = c->starting;
    st->unlinked_at = loop_now(c->base.env->loop);
    list_init(&st->sources);
    list_init(&st->refused);
    list_init(&st->work);
    list_init(&st->retry);
    list_add_tail(&c->streams, &st->node);
    return st;
}

static bool namespace_excluded(const struct containers *c, struct str namespace)
{
    struct str rest = str_of(c->exclude), one;

    while (str_word(&rest, &one))
        if (str_glob(one, namespace))
            return true;
    return false;
}

/* A log line about our own line would cause the next one. */
static bool is_self(const struct containers *c, const struct identity *id)
{
    return id->pod.len && str_eq(id->pod, str_of(c->self_pod)) &&
           (!*c->self_namespace || str_eq(id->namespace, str_of(c->self_namespace)));
}

struct cstream *cstream_for(struct containers *c, struct identity *id)
{
    struct buf hostname = BUF_INIT(HOSTNAME_TEXT_MAX);
    struct log_space *space = NULL;
    struct cstream *st = NULL;

    c->full = false;
    if (is_self(c, id) || (id->pod.len && namespace_excluded(c, id->namespace)))
        return NULL;
    if (id->pod.len) {
        space = log_shares_take(&c->shares, id->namespace);
        c->full = !space;
    }
    if (c->full)
        return NULL;
    id->node = str_of(c->node);
    if (!id->file.len)
        id->hostname = id->tag;
    if (id->pod.len) {
        (void)identity_guess_hostname(id->pod, id->namespace, id->node, &hostname); /* they fit */
        id->hostname = buf_str(&hostname);
    }
    st = cstream_create(c, id);
    st->space = space;
    buf_release(&hostname);
    return st;
}

void cstream_release(struct cstream *st)
{
    struct identify *identify = st->in->base.env->identify;

    end_trouble(st);
    log_shares_drop(&st->in->shares, st->space);
    if (st->asked)
        identify->gone(identify, st->origin);
    while (!list_empty(&st->sources))
        source_remove(list_entry(st->sources.next, struct source, node));
    while (!list_empty(&st->refused)) {
        struct refusal *r = list_entry(st->refused.next, struct refusal, node);

        list_del(&r->node);
        free(r->name);
        free(r);
    }
    list_del(&st->node);
    list_del(&st->work);
    list_del(&st->retry);
    free(st->ignored);
    free(st);
}

void cstream_free(struct cstream *st)
{
    struct origin *o = st->origin;

    o->input = NULL;
    router_stream_remove(st->in->base.env->router, o);
    cstream_release(st);
    origin_finish(o);
}

void cstream_finish(struct cstream *st)
{
    while (!list_empty(&st->origin->segments))
        origin_segment_rename(
            st->origin, list_entry(st->origin->segments.next, struct origin_segment, node), NULL);
    cstream_free(st);
}

void cstream_queue_quietly(struct cstream *st)
{
    list_del(&st->work);
    if (st->origin->route)
        list_add_tail(&st->in->work_streams, &st->work);
    else
        list_add_head(&st->in->work_streams, &st->work);
    containers_post(st->in);
}

void cstream_queue(struct cstream *st)
{
    st->changed = true;
    cstream_queue_quietly(st);
}

void cstream_retry(struct cstream *st, bool again)
{
    list_del(&st->retry);
    st->tries = again ? st->tries + 1 : 0;
    if (again)
        list_add_tail(&st->in->retry_streams, &st->retry);
}
