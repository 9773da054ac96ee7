/*
 * One listing of a stream: which files exist, in the order of their lines, under which names
 * (streams/sibling.h).
 *
 * A container's directory is listed each time. A log elsewhere may share its directory with many.
 * There it is enough that each file still has its name: the directory is listed at first and when a
 * name has changed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "inputs/containers_look.h"

#define LOOKS                                                                                      \
    8 /* a name that disappears during a listing hides a file; this many in a row are unlikely */

/* ---- collecting ---- */

void look_release(struct look *k)
{
    for (size_t i = 0; i < k->n; i++)
        free(k->files[i].path);
    free(k->files);
    *k = (struct look){.files = NULL};
}

bool look_has(const struct look *k, const struct origin_segment *seg)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->files[i].known == seg)
            return true;
    return false;
}

/* The oldest one, when it is older than <as>; else NULL. */
static struct file *oldest(struct look *k, const struct sibling *as)
{
    struct file *found = NULL;

    for (size_t i = 0; i < k->n; i++)
        if (k->files[i].as.order < (found ? found->as.order : as->order))
            found = &k->files[i];
    return found;
}

/* The entry for a file. NULL: too many; of a plain file, which rotation may keep any number of, the
 * newest are kept. */
static struct file *place(struct look *k, const struct source *s, const struct segment_id *id,
                          const struct sibling *as)
{
    struct file *f = NULL;

    for (size_t i = 0; i < k->n && !f; i++)
        if (segment_id_same_inode(&k->files[i].id, id))
            f = &k->files[i]; /* renamed meanwhile: the later name is current */
    if (!f && k->n == DIR_FILES_MAX) {
        if (s->kind != SOURCE_NAME)
            k->error = E2BIG;
        else
            f = oldest(k, as);
        if (!f)
            return NULL;
    }
    if (f) {
        free(f->path);
        return f;
    }
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 8;
        k->files = xrealloc(k->files, k->cap * sizeof(*k->files));
    }
    return &k->files[k->n++];
}

static void look_add(struct look *k, const struct source *s, const char *path,
                     const struct segment_id *id, const struct file *like)
{
    struct file *f = place(k, s, id, &like->as);

    if (!f)
        return;
    *f = *like;
    f->path = str_dup(str_of(path));
    f->id = *id;
    f->known = origin_segment_find(s->stream->origin, id);
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

/* Calls <each> for every name in the source's directory. False when the directory is missing. */
static bool source_list(struct look *k, struct source *s,
                        void (*each)(struct look *k, struct source *s, const char *name,
                                     uint64_t ino))
{
    const struct dirent *d;
    DIR *dir;

    cdir_watch(s->dir); /* first, or changes in between are missed */
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
        each(k, s, d->d_name, d->d_ino);
    if (errno)
        k->error = errno;
    (void)closedir(dir); /* nothing was written to it */
    return true;
}

/* A listed name. False: stat() failed. */
static bool entry_stat(struct look *k, const char *path, uint64_t ino, struct segment_stat *st)
{
    struct err e = {0, ""};

    if (segment_stat_path(path, st, &e) < 0) {
        if (e.code != ENOENT)
            k->error = e.code;
        k->raced = true;
        return false;
    }
    if (st->regular && st->id.ino != ino) /* the name belongs to another file by now */
        k->raced = true;
    return true;
}

/* ---- container directories ---- */

/* "<n>.log" and its siblings. */
static bool pod_name(struct str name, struct file *out)
{
    ptrdiff_t dot = str_find(name, '.');
    struct str rest;
    uint64_t n;

    if (dot < 0 || !str_to_u64(str_head(name, (size_t)dot), UINT32_MAX, &n))
        return false;
    rest = str_skip(name, (size_t)dot);
    out->restart = (uint32_t)n;
    return str_starts(rest, STR(".log")) && sibling_parse(str_skip(rest, 4), &out->as);
}

/* <n>.log is a symlink to docker's own file, which has its own rotation. */
static void pod_follow(struct look *k, struct source *s, const char *path, struct str name,
                       uint32_t restart)
{
    struct target t;
    char *slash;

    target_of_file(s->stream->in, path, &t);
    if (t.kind == TARGET_UNREADABLE)
        k->error = t.error;
    k->nowhere |= t.kind == TARGET_DANGLING;
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

static void pod_entry(struct look *k, struct source *s, const char *entry, uint64_t ino)
{
    struct str name = str_of(entry);
    struct file like = {.path = NULL};
    struct segment_stat st;
    char path[PATH_MAX];

    if (!pod_name(name, &like) || !path_join(path, s->dir->path, name) ||
        !entry_stat(k, path, ino, &st))
        return;
    like.stem = strlen(s->dir->path) + 1 + (size_t)str_find(name, '.') + strlen(".log");
    like.mtime_ns = st.mtime_ns;
    if (st.regular)
        look_add(k, s, path, &st.id, &like);
    else if (like.as.kind == SIBLING_LIVE)
        pod_follow(k, s, path, name, like.restart);
    else
        file_refuse(s->stream, name, "it is not a regular file");
}

/* ---- one log elsewhere: docker's, or a plain file ---- */

static bool lies_in(const struct origin_segment *seg, const struct cdir *d)
{
    size_t len = strlen(d->path);

    return seg->path && strncmp(seg->path, d->path, len) == 0 &&
           strrchr(seg->path, '/') == seg->path + len;
}

static size_t stem_of(const struct source *s)
{
    return strlen(s->dir->path) + 1 + strlen(s->base);
}

/* By a name in the source's directory. False: not one of its siblings. */
static bool sibling_name(const struct source *s, struct str name, struct file *out)
{
    struct str base = str_of(s->base);

    *out = (struct file){.stem = stem_of(s), .base = s->base, .restart = s->restart};
    if (s->stream->in->files
            ? !sibling_of(base, name, &out->as)
            : !str_starts(name, base) || !sibling_parse(str_skip(name, base.len), &out->as))
        return false;
    return name.len == base.len ? !s->retired : !map_get(&s->dir->names, name);
}

static struct origin_segment *segment_by_ino(const struct source *s, uint64_t ino)
{
    list_for_each (it, &s->stream->origin->segments) {
        struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (seg->id.ino == ino)
            return seg;
    }
    return NULL;
}

/* <seg> was found under <path>, where it may have no sibling's name: then it stands where it
 * stood. */
static void add_known(struct look *k, const struct source *s, const struct origin_segment *seg,
                      const char *path, int64_t mtime_ns)
{
    struct file like;

    if (!sibling_name(s, str_of(strrchr(path, '/') + 1), &like))
        like.as = (struct sibling){.order = seg->no};
    like.restart = seg->restart;
    like.mtime_ns = mtime_ns;
    look_add(k, s, path, &seg->id, &like);
}

static void file_entry(struct look *k, struct source *s, const char *entry, uint64_t ino)
{
    struct str name = str_of(entry);
    const struct origin_segment *seg = segment_by_ino(s, ino);
    struct file like;
    bool sibling = sibling_name(s, name, &like);
    struct segment_stat st;
    char path[PATH_MAX];

    if ((!seg && !sibling) || !path_join(path, s->dir->path, name) ||
        !entry_stat(k, path, ino, &st))
        return;
    seg = st.regular ? origin_segment_find(s->stream->origin, &st.id) : NULL;
    like.mtime_ns = st.mtime_ns;
    if (seg)
        add_known(k, s, seg, path, st.mtime_ns);
    else if (sibling && st.regular)
        look_add(k, s, path, &st.id, &like);
    else if (sibling)
        file_refuse(s->stream, name, "it is not a regular file");
}

/* As source_list(), of the directory's names as they were listed last. Only names with the same
 * start can be siblings of a log of which nothing is known. */
static bool names_list(struct look *k, struct source *s)
{
    const struct dir_names *d = &s->dir->listed;
    const char *dot = strrchr(s->base, '.');
    size_t len = dot && dot > s->base ? (size_t)(dot - s->base) : strlen(s->base);
    size_t i = 0;

    k->error = cdir_list(s->dir, k->again);
    if (k->error == ENOENT || k->error == ENOTDIR) {
        k->error = 0;
        cdir_unwatch(s->dir);
        return false;
    }
    if (list_empty(&s->stream->origin->segments))
        i = dir_names_find(d, s->base, len);
    else
        len = 0;
    for (; !k->error && i < d->n && strncmp(d->all[i].name, s->base, len) == 0; i++)
        file_entry(k, s, d->all[i].name, d->all[i].ino);
    return true;
}

/* True when each known file here has kept its name, and the live name has no other file. Those
 * files are marked found. */
static bool names_hold(struct look *k, struct source *s, unsigned *mine)
{
    struct origin *o = s->stream->origin;
    bool hold = o->last_no != 0;
    struct segment_stat st;
    struct err e = {0, ""};
    char path[PATH_MAX];

    list_for_each (it, &o->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (!lies_in(seg, s->dir))
            continue;
        ++*mine;
        if (segment_stat_path(seg->path, &st, &e) == 0 && segment_id_same_inode(&st.id, &seg->id))
            add_known(k, s, seg, seg->path, st.mtime_ns);
        else
            hold = false;
    }
    if (s->retired || !path_join(path, s->dir->path, str_of(s->base)))
        return hold;
    return hold && (segment_stat_path(path, &st, &e) < 0 ? e.code == ENOENT
                                                         : origin_segment_find(o, &st.id) != NULL);
}

/* True when nothing more can come from <s>. */
static bool files_look(struct look *k, struct source *s)
{
    unsigned mine = 0;
    bool there = true;

    cdir_watch(s->dir);
    if (!names_hold(k, s, &mine))
        there = s->stream->in->files ? names_list(k, s) : source_list(k, s, file_entry);
    return s->kind == SOURCE_DOCKER ? !there : s->retired && !mine;
}

/* ---- the whole listing ---- */

/* Sources may be added after the current one. */
static void look_once(struct look *k, struct cstream *st)
{
    struct list *it = st->sources.next, *next;

    k->looked = true;
    while (it != &st->sources) {
        struct source *s = list_entry(it, struct source, node);
        bool over = false;

        if (s->kind == SOURCE_POD)
            k->alive |= source_list(k, s, pod_entry);
        else
            over = files_look(k, s);
        next = it->next;
        if (over && st->nsources > 1)
            source_remove(s);
        it = next;
    }
}

/* True when the files missing in <k> were also missing in <before>, the previous listing. */
static bool is_settled(const struct look *k, const struct look *before, const struct cstream *st)
{
    list_for_each (it, &st->origin->segments) {
        const struct origin_segment *seg = list_entry(it, struct origin_segment, node);

        if (!look_has(k, seg) && (!before->looked || look_has(before, seg)))
            return false;
    }
    return true;
}

static int file_compare(const void *pa, const void *pb)
{
    const struct file *a = pa, *b = pb;

    if (a->restart != b->restart)
        return a->restart < b->restart ? -1 : 1;
    if (a->as.order != b->as.order)
        return a->as.order < b->as.order ? -1 : 1;
    return strcmp(a->path, b->path);
}

/* Merges the <dated> files at the start of <files> with the others, each in its order. */
static void merge_by_time(struct file *files, size_t dated, size_t n)
{
    struct file *all = xcalloc(n, sizeof(*all));
    size_t i = 0, j = dated;

    for (size_t to = 0; to < n; to++)
        all[to] = j == n || (i < dated && files[i].mtime_ns <= files[j].mtime_ns) ? files[i++]
                                                                                  : files[j++];
    memcpy(files, all, n * sizeof(*all));
    free(all);
}

/* By name, the oldest first. When the way of rotation was changed, names do not say which of a
 * dated and a numbered file is older. The one that was last written to earlier is. */
static void sort(struct look *k)
{
    size_t end, numbered;

    qsort(k->files, k->n, sizeof(*k->files), file_compare);
    for (size_t i = 0; i < k->n; i = end) {
        for (end = i, numbered = 0; end < k->n && k->files[end].restart == k->files[i].restart;
             end++) {
            struct file *f = &k->files[end];

            if (f->as.kind == SIBLING_LIVE)
                f->mtime_ns = INT64_MAX; /* the last one */
            else if (end > i && f->as.order == f[-1].as.order)
                f->mtime_ns = f[-1].mtime_ns; /* a copy of it, compressed: they stay together */
            numbered += f->as.kind == SIBLING_NUMBERED || f->as.kind == SIBLING_LIVE;
        }
        if (numbered > 1 && numbered < end - i)
            merge_by_time(&k->files[i], end - i - numbered, end - i);
    }
}

/* A file wrongly taken for deleted is pinned and may be given up, or is read twice when its name is
 * found; and kubelet compresses one file and renames the next within microseconds. So a listing
 * during which something changed does not count, and a file is gone only when two listings in a row
 * miss it. */
void look_well(struct look *k, struct cstream *st)
{
    struct look before = {.files = NULL};

    for (unsigned i = 0; i < LOOKS; i++) {
        look_release(&before);
        before = *k;
        *k = (struct look){.again = i > 0};
        look_once(k, st);
        if (k->error || !k->alive || (!k->raced && is_settled(k, &before, st)))
            break;
    }
    look_release(&before);
    if (k->n)
        sort(k);
}
