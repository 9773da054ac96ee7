/*
 * The entries of the log path: which stream each belongs to. Links appear, disappear, dangle for a
 * moment during a rotation, and change their target at a restart. None of that ends a stream. A
 * refused link is logged once, with its name and the reason.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "inputs/containers_internal.h"

#define FULL_TOLD_TRIES 3
#define NAMES_TEXT_MAX (8 * PATH_MAX) /* hostname and tag of a file, which may repeat its name */

/* ---- which stream ---- */

static void link_unbind(struct clink *l)
{
    struct cstream *st = l->stream;

    if (!st)
        return;
    l->stream = NULL;
    if (--st->nlinks == 0)
        st->unlinked_at = loop_now(l->in->base.env->loop);
    cstream_queue(st); /* its remaining files are still read; it may have ended */
}

/* <st> may be NULL: no stream. */
static void link_bind(struct clink *l, struct cstream *st)
{
    if (st && l->stream != st) {
        st->nlinks++;
        st->linked++;
    }
    if (l->stream != st)
        link_unbind(l);
    l->stream = st;
    if (st)
        cstream_queue(st);
}

static void link_to_pod(struct clink *l, const char *dir)
{
    struct containers *c = l->in;
    struct cdir *known = map_get(&c->dirs, str_of(dir));
    struct identity id = {.hostname = {"", 0}};
    char path[PATH_MAX];
    struct cstream *st;
    uint64_t restart;

    if (known && known->pod) {
        link_bind(l, known->pod->stream);
        return;
    }
    if (!path_join(path, dir, STR("0.log")) || !identity_from_pod_path(str_of(path), &id, &restart))
        return; /* its form was checked before, so only its length can be wrong */
    st = cstream_for(c, &id);
    if (st && !source_add(st, dir, SOURCE_POD, STR(""), 0)) {
        cstream_free(st);
        st = NULL;
    }
    link_bind(l, st);
}

/* A one-name stream of our directory that knows this file under another name. */
static struct cstream *owner_by_inode(const struct cdir *d, const struct segment_id *id)
{
    const struct source *s;

    for (size_t i = 0; (s = map_next(&d->names, &i));)
        if (origin_segment_find(s->stream->origin, id))
            return s->stream;
    return NULL;
}

static void retire_sources(struct cstream *st)
{
    list_for_each (it, &st->sources)
        list_entry(it, struct source, node)->retired = true;
}

/* The link led to another file until now: its stream continues there. */
static struct source *stream_move(struct cstream *st, const char *dir, enum source_kind kind,
                                  struct str base)
{
    retire_sources(st);
    return source_add(st, dir, kind, base, st->nsources);
}

/* Hostname, tag and file, as views into <l> and <names>. */
static void identify_file(const struct clink *l, struct identity *id, struct buf *names)
{
    size_t len;

    (void)files_expand(l->pattern->hostname, l->name, names); /* cut, where too long */
    len = names->len;
    (void)files_expand(l->pattern->tag, l->name, names);
    id->hostname = str_head(buf_str(names), len);
    id->tag = str_skip(buf_str(names), len);
    id->file = str_of(l->name);
}

static void link_to_new_file(struct clink *l, const char *dir, struct str base)
{
    bool docker = !l->pattern && str_ends(base, STR("-json.log"));
    enum source_kind kind = docker ? SOURCE_DOCKER : SOURCE_NAME;
    struct str name = str_of(l->name);
    struct identity id = {.hostname = {"", 0}};
    struct buf names = BUF_INIT(NAMES_TEXT_MAX);
    struct cstream *st = l->stream;

    if (st && st->nlinks == 1 && list_entry(st->sources.next, struct source, node)->base &&
        stream_move(st, dir, kind, base)) {
        link_bind(l, st);
        return;
    }
    if (l->pattern)
        identify_file(l, &id, &names);
    else if (!identity_from_link_name(name, &id))
        id.tag = str_head(name, name.len - 4);
    st = cstream_for(l->in, &id);
    buf_release(&names);
    if (st)
        st->origin->older = l->pattern && l->in->starting && l->pattern->is_new;
    if (st && !source_add(st, dir, kind, base, 0)) {
        cstream_free(st);
        st = NULL;
    }
    link_bind(l, st);
}

static void link_to_file(struct clink *l, struct target *t)
{
    char *slash = strrchr(t->path, '/');
    struct str base = str_of(slash + 1);
    const struct cdir *d;
    struct source *s;
    struct cstream *owner;

    *slash = '\0';
    d = map_get(&l->in->dirs, str_of(t->path[0] ? t->path : "/"));
    s = d ? map_get(&d->names, base) : NULL;
    if (s) {
        if (s->retired)
            retire_sources(s->stream);
        s->retired = false;
        link_bind(l, s->stream);
        return;
    }
    owner = d && !l->in->starting ? owner_by_inode(d, &t->id) : NULL;
    if (owner) { /* a rotation that kept ".log" at the end of the name */
        link_bind(l, NULL);
        cstream_queue(owner);
        return;
    }
    link_to_new_file(l, t->path[0] ? t->path : "/", base);
}

/* ---- checking a link ---- */

static void link_refuse(struct clink *l, const char *reason)
{
    link_bind(l, NULL);
    if (l->refused == reason)
        return;
    l->refused = reason;
    l->in->stats.refused++;
    log_warn("log refused", KV_CSTR("link", l->name), KV_CSTR("reason", reason));
}

static void link_retry(struct clink *l, bool again)
{
    list_del(&l->retry);
    if (again) {
        l->tries++;
        list_add_tail(&l->in->retry_links, &l->retry);
    } else {
        l->tries = 0;
    }
}

static void link_unreadable(struct clink *l, int error)
{
    struct err e;

    l->in->stats.unreadable++;
    if (l->trouble == error)
        return;
    l->trouble = error;
    (void)err_sys(&e, error, "cannot follow '%s'", l->name);
    log_warn("cannot follow log now, will retry", KV_ERR(&e));
}

/* Its log is followed when its namespace has fewer. Told again after a while: the API may not have
 * known the pod before. */
static void link_full(struct clink *l)
{
    const struct input_env *env = l->in->base.env;
    struct identity id = {.hostname = {"", 0}};
    bool known = identity_from_link_name(str_of(l->name), &id);

    l->in->stats.refused += !l->full;
    if (!l->full)
        log_warn_for(LOG_BY_NAMESPACE(id.namespace), "log refused: its namespace has too many logs",
                     KV_CSTR("link", l->name), KV_STR("namespace", id.namespace),
                     KV_STR("pod", id.pod));
    l->full = true;
    l->led = false;
    link_retry(l, true);
    if (known && env->refused && (l->tries == 1 || l->tries == FULL_TOLD_TRIES))
        env->refused(env->refused_arg, &id);
}

static void link_has_place(struct clink *l)
{
    l->full = false;
    link_retry(l, false);
}

void link_look(struct clink *l)
{
    struct containers *c = l->in;
    struct target t;
    bool again;

    list_del(&l->work);
    if (!c->log_dir && !l->pattern)
        return; /* the log path itself is missing: links_list() comes first */
    if (l->pattern)
        target_of_match(c, l->pattern->dir, l->name, &t);
    else
        target_of_link(c, c->log_dir->path, l->name, &t);
    if (t.kind == TARGET_GONE) {
        if (!l->pattern)
            link_missed(l);
        link_free(l);
        return;
    }
    l->led |= t.kind != TARGET_DANGLING && t.kind != TARGET_UNREADABLE;
    again = t.kind == TARGET_DANGLING || t.kind == TARGET_UNREADABLE;
    if (again || !l->full)
        link_retry(l, again);
    if (t.kind == TARGET_UNREADABLE) {
        link_unreadable(l, t.error);
        return;
    }
    if (t.kind != TARGET_DANGLING || l->led)
        l->trouble = 0;
    else if (nowhere_trouble(c, &l->nowhere_since))
        link_unreadable(l, ENOENT);
    if (t.kind == TARGET_REFUSED) {
        link_refuse(l, t.reason);
        return;
    }
    l->refused = NULL;
    c->full = false;
    if (t.kind == TARGET_POD)
        link_to_pod(l, t.path);
    else if (t.kind == TARGET_FILE)
        link_to_file(l, &t);
    else if (l->stream)
        cstream_queue(l->stream); /* dangling: is the directory still there? */
    if (c->full)
        link_full(l);
    else if (l->full && !again)
        link_has_place(l);
}

void link_free(struct clink *l)
{
    link_unbind(l);
    list_del(&l->work);
    list_del(&l->retry);
    list_del(&l->found);
    (void)map_del(&l->in->links, str_of(l->name));
    free(l->name);
    free(l);
}

/* ---- listing ---- */

static bool is_log_name(struct str name)
{
    return name.len > 4 && str_ends(name, STR(".log"));
}

struct clink *link_get(struct containers *c, struct str name)
{
    struct clink *l = map_get(&c->links, name);

    if (l)
        return l;
    l = xcalloc(1, sizeof(*l));
    l->in = c;
    l->name = str_dup(name);
    l->existing = c->starting;
    list_init(&l->work);
    list_init(&l->retry);
    list_init(&l->found);
    (void)map_put(&c->links, str_of(l->name), l); /* no previous entry */
    return l;
}

void link_queue(struct clink *l)
{
    list_del(&l->work);
    list_add_tail(&l->in->work_links, &l->work);
}

void link_queue_name(struct containers *c, struct str name)
{
    if (!is_log_name(name))
        return;
    link_queue(link_get(c, name));
    containers_post(c);
}

/* An errno value, or 0. */
static int read_names(struct containers *c, const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *d;
    int error;

    if (!dir)
        return errno;
    for (errno = 0; (d = readdir(dir)); errno = 0) {
        struct clink *l;

        if (!is_log_name(str_of(d->d_name)))
            continue;
        l = link_get(c, str_of(d->d_name));
        l->listing = c->listing;
        link_queue(l);
    }
    error = errno;
    (void)closedir(dir); /* nothing was written to it */
    return error;
}

/* Finds the log path's real directory and watches it. An errno value, or 0. */
static int log_dir_find(struct containers *c)
{
    char real[PATH_MAX];
    struct cdir *old = c->log_dir;

    if (!realpath(c->log_path, real))
        return errno;
    if (!old || strcmp(old->path, real) != 0) {
        c->log_dir = cdir_get(c, real);
        if (old)
            cdir_put(old);
    }
    cdir_watch(c->log_dir);
    return 0;
}

static void log_path_trouble(struct containers *c, int error)
{
    struct err e;

    if (error && error != ENOENT)
        c->stats.unreadable++;
    (void)loop_make_room(c->base.env->loop, error); /* for the next try */
    if (error == c->log_trouble)
        return;
    c->log_trouble = error;
    if (error == 0) {
        log_info("log path appeared", KV_CSTR("path", c->log_path));
        return;
    }
    (void)err_sys(&e, error, "cannot list '%s'", c->log_path);
    log_warn("cannot list log path, will retry", KV_ERR(&e));
}

void links_list(struct containers *c)
{
    int error = log_dir_find(c);
    struct clink *l;

    c->list_due = false;
    c->listing++;
    if (!error)
        error = read_names(c, c->log_dir->path);
    log_path_trouble(c, error);
    if (error)
        return; /* unreadable is not empty: all links stay */
    for (size_t i = 0; (l = map_next(&c->links, &i));)
        if (l->listing != c->listing)
            link_queue(l); /* it will be found gone */
}
