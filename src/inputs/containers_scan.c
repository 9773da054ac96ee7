/*
 * One look at a stream: which files are there, in which order, and what is new.
 *
 *   look: every source lists its files ──▶ sorted by (restart, rotation, live one last) ──▶
 * compared with the origin known inode, another name     rename known inode, not there        no
 * name any more unknown, behind the last known one    a new segment (several, in order, if several
 * rotations passed) unknown, before a known one   not new: a copy (copytruncate); remembered, so
 * that it never becomes new
 *
 * Invariants: numbers only grow, and a file becomes a segment once. A look that failed in any part
 * changes nothing: unreadable is not deleted. Nor does one in which nothing at all is left: the
 * directory may be back in a moment.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "inputs/containers_internal.h"

#define ORDER_LIVE UINT64_MAX
#define LOOKS 8 /* a name that goes while we look hides a file; not so often in a row */

struct file {
    char *path;
    struct segment_id id;
    struct origin_segment *known; /* NULL = unknown */
    uint64_t order;               /* within the restart */
    uint32_t restart;
};

struct look {
    struct file *files;
    size_t n, cap;
    int error;  /* errno: something could not be read */
    bool raced; /* a name went while we looked: what it became may not be among the files */
    bool alive; /* something was there: a file, or the container's directory */
    bool looked;
};

/* ---- gathering ---- */

static void look_release(struct look *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->files[i].path);
    free(k->files);
    *k = (struct look){.files = NULL};
}

static void look_add(struct look *k, const struct cstream *st, const char *path,
                     const struct segment_id *id, uint32_t restart, uint64_t order)
{
    struct file *f = NULL;

    for (size_t i = 0; i < k->n && !f; i++)
        if (segment_id_same_inode(&k->files[i].id, id))
            f = &k->files[i]; /* renamed while we looked: the later name is the true one */
    if (!f && k->n == DIR_FILES_MAX) {
        k->error = E2BIG;
        return;
    }
    if (!f && k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 8;
        k->files = xrealloc(k->files, k->cap * sizeof(*k->files));
    }
    if (f)
        free(f->path);
    else
        f = &k->files[k->n++];
    *f = (struct file){.path = str_dup(str_of(path)),
                       .id = *id,
                       .known = origin_segment_find(st->origin, id),
                       .order = order,
                       .restart = restart};
    k->alive = true;
}

static void file_refuse(struct cstream *st, struct str name, const char *reason)
{
    struct refusal *r;
    unsigned n = 0;

    list_for_each (it, &st->refused) {
        r = list_entry(it, struct refusal, node);
        if (r->reason == reason && str_eq(str_of(r->name), name))
            return;
        n++;
    }
    if (n == REFUSALS_MAX)
        return;
    r = xcalloc(1, sizeof(*r));
    r->name = str_dup(name);
    r->reason = reason;
    list_add_tail(&st->refused, &r->node);
    st->in->stats.refused++;
    log_warn_for(identity_cause(st->origin->identity), "log refused",
                 KV_STR("pod", st->origin->identity->pod),
                 KV_STR("container", st->origin->identity->container), KV_STR("file", name),
                 KV_CSTR("reason", reason));
}

/* The name is another file's by now. */
static bool was_swapped(const struct dirent *d, const struct segment_stat *st)
{
    return st->id.ino != d->d_ino;
}

/* Calls <each> for every name in the source's directory. False when the directory is not there. */
static bool source_list(struct look *k, struct source *s,
                        void (*each)(struct look *k, struct source *s, const struct dirent *d))
{
    const struct dirent *d;
    DIR *dir;

    cdir_watch(s->dir); /* first, or what comes in between is missed */
    dir = opendir(s->dir->path);
    if (!dir) {
        k->error = errno == ENOTDIR ? ENOENT : errno;
        if (k->error != ENOENT)
            return true;
        k->error = 0;
        cdir_unwatch(s->dir);
        return false;
    }
    for (errno = 0; (d = readdir(dir)); errno = 0)
        each(k, s, d);
    if (errno)
        k->error = errno;
    (void)closedir(dir); /* nothing was written to it */
    return true;
}

/* ---- container directories ---- */

/* Puts the digits of "20261120-101500" into <*order>. */
static bool rotation_time(struct str s, uint64_t *order)
{
    uint64_t day, time;

    if (s.len != 15 || s.p[8] != '-' || !str_to_u64(str_head(s, 8), 99999999, &day) ||
        !str_to_u64(str_skip(s, 9), 999999, &time))
        return false;
    *order = day * 1000000 + time;
    return true;
}

static bool is_gz(struct str name)
{
    return str_ends(name, STR(".gz"));
}

/* "<n>.log" or "<n>.log.<YYYYMMDD-hhmmss>", the latter also with ".gz"; not ".tmp". */
static bool pod_name(struct str name, uint32_t *restart, uint64_t *order)
{
    ptrdiff_t dot = str_find(name, '.');
    struct str rest;
    uint64_t n;

    if (dot < 0 || !str_to_u64(str_head(name, (size_t)dot), UINT32_MAX, &n))
        return false;
    *restart = (uint32_t)n;
    rest = str_skip(name, (size_t)dot);
    if (str_eq(rest, STR(".log"))) {
        *order = ORDER_LIVE;
        return true;
    }
    if (is_gz(rest))
        rest = str_head(rest, rest.len - strlen(".gz"));
    return str_starts(rest, STR(".log.")) && rotation_time(str_skip(rest, 5), order);
}

/* <n>.log is a symlink: docker's own file, with its own rotation, lies behind it. */
static void pod_follow(struct look *k, struct source *s, const char *path, struct str name,
                       uint32_t restart)
{
    struct target t;
    char *slash;

    target_of_file(s->stream->in, path, &t);
    if (t.kind == TARGET_UNREADABLE)
        k->error = t.error;
    if (t.kind == TARGET_REFUSED)
        file_refuse(s->stream, name, t.reason);
    if (t.kind != TARGET_FILE)
        return;
    slash = strrchr(t.path, '/');
    *slash = '\0';
    list_for_each (it, &s->stream->sources) {
        struct source *other = list_entry(it, struct source, node);

        if (other->base && strcmp(other->base, slash + 1) == 0 &&
            strcmp(other->dir->path, t.path) == 0)
            return;
    }
    if (!source_add(s->stream, t.path, SOURCE_DOCKER, str_of(slash + 1), restart))
        file_refuse(s->stream, name, "another stream reads that file already");
}

static void pod_entry(struct look *k, struct source *s, const struct dirent *d)
{
    struct str name = str_of(d->d_name);
    struct segment_stat st;
    struct err e = {0, ""};
    char path[PATH_MAX];
    uint32_t restart;
    uint64_t order;
    bool first;

    if (!pod_name(name, &restart, &order) || !path_join(path, s->dir->path, name))
        return;
    /* Compressed files matter once, at the first look: what is left unread in them from before we
     * started. Later they are made of files that we know. */
    first = !s->stream->origin->last_no;
    if (segment_stat_path(path, &st, &e) < 0) {
        if (e.code != ENOENT)
            k->error = e.code;
        k->raced = true;
    } else if (st.regular) {
        k->raced |= was_swapped(d, &st);
        if (first || !is_gz(name) || origin_segment_find(s->stream->origin, &st.id))
            look_add(k, s->stream, path, &st.id, restart, order);
    } else if (order == ORDER_LIVE) {
        pod_follow(k, s, path, name, restart);
    } else {
        file_refuse(s->stream, name, "it is not a regular file");
    }
}

/* ---- docker's directories ---- */

/* "<base>" or "<base>.<K>": the higher K, the older. */
static void docker_entry(struct look *k, struct source *s, const struct dirent *d)
{
    struct str name = str_of(d->d_name), base = str_of(s->base);
    uint64_t order = ORDER_LIVE, older;
    struct segment_stat st;
    struct err e = {0, ""};
    char path[PATH_MAX];

    if (!str_starts(name, base))
        return;
    if (name.len > base.len) {
        if (name.p[base.len] != '.' ||
            !str_to_u64(str_skip(name, base.len + 1), UINT32_MAX, &older))
            return;
        order = ORDER_LIVE - 1 - older;
    } else if (s->retired) {
        return;
    }
    if (!path_join(path, s->dir->path, name))
        return;
    if (segment_stat_path(path, &st, &e) < 0) {
        if (e.code != ENOENT)
            k->error = e.code;
        k->raced = true;
    } else if (st.regular) {
        k->raced |= was_swapped(d, &st);
        look_add(k, s->stream, path, &st.id, s->restart, order);
    } else {
        file_refuse(s->stream, name, "it is not a regular file");
    }
}

/* ---- one name ---- */

static bool lies_in(const struct origin_segment *seg, const struct cdir *d)
{
    size_t len = strlen(d->path);

    return strncmp(seg->path, d->path, len) == 0 && strrchr(seg->path, '/') == seg->path + len;
}

/* 1 = <path> is the segment's file, 0 = it is not, or not there. */
static int is_file_of(struct look *k, const struct origin_segment *seg, const char *path)
{
    struct segment_stat st;
    struct err e = {0, ""};

    if (segment_stat_path(path, &st, &e) == 0)
        return segment_id_same_inode(&st.id, &seg->id);
    if (e.code != ENOENT && e.code != ENOTDIR)
        k->error = e.code;
    return 0;
}

static bool look_has(const struct look *k, const struct origin_segment *seg)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->files[i].known == seg)
            return true;
    return false;
}

/* A known file under a name that it did not have before. */
static void name_entry(struct look *k, struct source *s, const struct dirent *d)
{
    char path[PATH_MAX];

    list_for_each (it, &s->stream->origin->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (seg->id.ino == d->d_ino && !look_has(k, seg) &&
            path_join(path, s->dir->path, str_of(d->d_name)) && is_file_of(k, seg, path))
            look_add(k, s->stream, path, &seg->id, seg->restart, seg->no);
    }
}

/* Returns how many files of ours it looked for. */
static unsigned name_look(struct look *k, struct source *s)
{
    struct segment_stat st;
    struct err e = {0, ""};
    char path[PATH_MAX];
    bool lost = false;
    unsigned mine = 0;

    cdir_watch(s->dir);
    list_for_each (it, &s->stream->origin->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (!lies_in(seg, s->dir))
            continue;
        mine++;
        if (is_file_of(k, seg, seg->path))
            look_add(k, s->stream, seg->path, &seg->id, seg->restart, seg->no);
        else
            lost = true;
    }
    if (lost)
        (void)source_list(k, s, name_entry); /* not there: then nothing was found in it */
    if (s->retired || !path_join(path, s->dir->path, str_of(s->base)))
        return mine;
    if (segment_stat_path(path, &st, &e) < 0) {
        if (e.code != ENOENT && e.code != ENOTDIR)
            k->error = e.code;
    } else if (!st.regular) {
        file_refuse(s->stream, str_of(s->base), "it is not a regular file");
    } else if (!origin_segment_find(s->stream->origin, &st.id)) {
        look_add(k, s->stream, path, &st.id, s->restart, ORDER_LIVE);
    }
    return mine;
}

/* ---- the look as a whole ---- */

/* True when nothing more can come of <s>. */
static bool source_look(struct look *k, struct source *s)
{
    if (s->kind == SOURCE_POD) {
        k->alive |= source_list(k, s, pod_entry);
        return false;
    }
    if (s->kind == SOURCE_DOCKER)
        return !source_list(k, s, docker_entry);
    return name_look(k, s) == 0 && s->retired;
}

/* Sources may be added behind the one looked at. */
static void look_once(struct look *k, struct cstream *st)
{
    struct list *it = st->sources.next, *next;

    k->looked = true;
    while (it != &st->sources) {
        struct source *s = list_entry(it, struct source, node);
        bool over = source_look(k, s);

        next = it->next;
        if (over && st->nsources > 1)
            source_remove(s);
        it = next;
    }
}

/* Is what <k> misses really gone? Then <before>, the look before it, has missed it, too. */
static bool is_settled(const struct look *k, const struct look *before, const struct cstream *st)
{
    list_for_each (it, &st->origin->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (!look_has(k, seg) && (!before->looked || look_has(before, seg)))
            return false;
    }
    return true;
}

/* Everything that there is, as far as one can know. A file that is taken for deleted by mistake is
 * held, and may be given up, or is read twice when its name is found; and kubelet compresses one
 * file and renames the next within microseconds. So no look counts that something changed under,
 * and nothing is believed to be gone that the look before has seen. */
static void look_well(struct look *k, struct cstream *st)
{
    struct look before = {.files = NULL};

    for (unsigned i = 0; i < LOOKS; i++) {
        look_release(&before);
        before = *k;
        *k = (struct look){.files = NULL};
        look_once(k, st);
        if (k->error || !k->alive || (!k->raced && is_settled(k, &before, st)))
            break;
    }
    look_release(&before);
}

static int file_compare(const void *pa, const void *pb)
{
    const struct file *a = pa, *b = pb;

    if (a->restart != b->restart)
        return a->restart < b->restart ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return strcmp(a->path, b->path);
}

static bool is_ignored(const struct cstream *st, const struct file *f)
{
    for (unsigned i = 0; i < st->nignored; i++)
        if (segment_id_same_inode(&st->ignored[i], &f->id))
            return true;
    return false;
}

/* The .gz that is just being made of the file before it. */
static bool is_twin(const struct look *k, size_t i)
{
    const struct file *f = &k->files[i], *before = f - 1;

    return i && is_gz(str_of(f->path)) && before->restart == f->restart &&
           before->order == f->order;
}

/* Appends what is new; what is not becomes the new list of ignored ones. */
static void take_unknown(struct cstream *st, struct look *k, size_t first_new)
{
    struct segment_id *ignored = NULL;
    unsigned n = 0;

    for (size_t i = 0; i < k->n; i++) {
        const struct file *f = &k->files[i];

        if (f->known || is_twin(k, i))
            continue;
        if (i >= first_new && !is_ignored(st, f)) {
            (void)origin_segment_add(st->origin, f->path, &f->id, f->restart);
            FAULT_POINT("rotate-seen");
            continue;
        }
        ignored = xrealloc(ignored, (n + 1) * sizeof(*ignored));
        ignored[n++] = f->id;
    }
    free(st->ignored);
    st->ignored = ignored;
    st->nignored = n;
}

/* <seg>'s name is gone. Its bytes may be in a .gz by now: then that is its name. */
static void name_lost(struct cstream *st, struct origin_segment *seg)
{
    struct segment_stat gz;
    char path[PATH_MAX];
    size_t len = strlen(seg->path);

    if (len + sizeof(".gz") <= sizeof(path)) {
        memcpy(path, seg->path, len);
        memcpy(path + len, ".gz", sizeof(".gz"));
        if (segment_stat_path(path, &gz, NULL) == 0 && gz.regular) {
            origin_segment_replace(st->origin, seg, path, &gz.id);
            return;
        }
    }
    origin_segment_rename(st->origin, seg, NULL);
}

static void reconcile(struct cstream *st, struct look *k)
{
    size_t first_new = 0;

    if (k->n)
        qsort(k->files, k->n, sizeof(*k->files), file_compare);
    list_for_each_safe (it, &st->origin->segments) {
        struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (!look_has(k, seg))
            name_lost(st, seg);
    }
    for (size_t i = 0; i < k->n; i++) {
        const struct file *f = &k->files[i];

        if (!f->known)
            continue;
        first_new = i + 1;
        if (strcmp(f->path, f->known->path) != 0)
            origin_segment_rename(st->origin, f->known, f->path);
    }
    take_unknown(st, k, first_new);
}

static void trouble_set(struct cstream *st, int error)
{
    struct err e;

    if (error)
        st->in->stats.unreadable++;
    (void)loop_make_room(st->in->base.env->loop, error); /* for the next look */
    if (error == st->trouble)
        return;
    st->trouble = error;
    if (error) {
        (void)err_sys(&e, error, "cannot list '%s'",
                      list_entry(st->sources.next, struct source, node)->dir->path);
        log_warn_for(identity_cause(st->origin->identity),
                     "logs of a container cannot be looked at, trying on", KV_ERR(&e));
    } else {
        log_info_for(identity_cause(st->origin->identity),
                     "logs of a container can be looked at again",
                     KV_STR("pod", st->origin->identity->pod),
                     KV_STR("container", st->origin->identity->container));
    }
}

static bool is_over(const struct cstream *st)
{
    return st->gone && st->nlinks == 0 &&
           loop_now(st->in->base.env->loop) - st->unlinked_at >= LINK_GONE_MS;
}

/* To the router, with its segments, so that "from the end" means the end of what is there. */
static void introduce(struct cstream *st)
{
    const struct input_env *env = st->in->base.env;
    struct origin *o = st->origin;
    bool existing = st->existing && !list_empty(&o->segments);

    st->asked = env->identify && o->identity->pod.len;
    if (!st->asked || env->identify->found(env->identify, o))
        router_stream_add(env->router, o, existing);
    else
        router_stream_add_pending(env->router, o, existing);
}

void cstream_look(struct cstream *st)
{
    struct look k = {.files = NULL};

    list_del(&st->work);
    look_well(&k, st);
    trouble_set(st, k.error);
    if (!k.error)
        st->gone = !k.alive;
    if (!k.error && k.alive)
        reconcile(st, &k);
    look_release(&k);
    if (!st->origin->route)
        introduce(st);
    if (st->told || st->trouble || st->gone || list_empty(&st->origin->segments))
        origin_grew(st->origin);
    st->told = false;
    /* Without a link or a file it may be about to go, and of its directory nobody may tell. */
    cstream_retry(st,
                  st->trouble || st->gone || st->nlinks == 0 || list_empty(&st->origin->segments));
    if (is_over(st))
        cstream_finish(st);
}
