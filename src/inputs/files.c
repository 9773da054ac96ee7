/*
 * FILES: finds the log files that patterns match. What is found is a link to the other files of
 * this family (containers_internal.h), which make streams of links, follow rotation, and end them.
 *
 *   pattern ──▶ fdir, a watched directory with the parts of patterns that its entries are matched
 *               with ──▶ fdirs below it, and links
 *
 * A directory is listed when it is found, when it was replaced, and when events were lost;
 * otherwise an event says which entry to look at. Directories are followed, symlinks to directories
 * are not (except in the pattern's own start): a program that may write there must not lead us
 * elsewhere. For a symlink to a file, target_of_match() decides.
 *
 * A name that rotation gives is not a log of its own while the log is there: "app.log.1" for the
 * pattern "app*". A compressed one never is.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "inputs/containers_internal.h"
#include "streams/sibling.h"

#define COMPLAIN_MS 60000

/* Part <part> of <p> is matched with the entries of a directory. */
struct state {
    unsigned pattern, part;
};

struct fdir {
    struct list node; /* files->dirs */
    struct list work; /* files->work, while it is to be listed */
    struct files *in;
    struct cdir *dir;     /* one reference */
    struct state *states; /* owned; by pattern */
    unsigned nstates;
    unsigned depth;    /* below the pattern's start */
    struct list links; /* of struct clink, by ->found */
    uint64_t version;  /* of dir->listed, when its entries were matched last; 0 = never */
    uint64_t listing;
    int trouble; /* errno of the last try to list it */
};

struct files {
    struct containers *c;
    struct files_patterns patterns;
    int *trouble; /* of each pattern, owned: errno of the last look for its directory */
    struct list dirs, work;
    unsigned ndirs;
    struct log_limit complaint; /* about what is too much */
};

/* ---- limits ---- */

static void refuse(struct files *fs, const char *path, const char *reason)
{
    fs->c->stats.refused++;
    if (log_limit_pass(&fs->complaint))
        log_warn("log refused", KV_CSTR("link", path), KV_CSTR("reason", reason));
}

/* ---- directories ---- */

static void fdir_queue(struct fdir *f)
{
    list_del(&f->work);
    list_add_tail(&f->in->work, &f->work);
    containers_post(f->in->c);
}

static void add_state(struct fdir *f, unsigned pattern, unsigned part)
{
    const struct files_pattern *p = &f->in->patterns.all[pattern];
    unsigned at = f->nstates;

    for (unsigned i = 0; i < f->nstates; i++)
        if (f->states[i].pattern == pattern && f->states[i].part == part)
            return;
    f->states = xrealloc(f->states, (f->nstates + 1) * sizeof(*f->states));
    for (; at > 0 && f->states[at - 1].pattern > pattern; at--)
        f->states[at] = f->states[at - 1];
    f->states[at] = (struct state){pattern, part};
    f->nstates++;
    f->version = 0;
    if (files_part_is_any(p, part)) /* also none */
        add_state(f, pattern, part + 1);
}

/* The entries of the directory <path>, a real one, are matched with that part from now on. */
static void fdir_add(struct files *fs, const char *path, unsigned depth, unsigned pattern,
                     unsigned part)
{
    struct cdir *known = map_get(&fs->c->dirs, str_of(path));
    struct fdir *f = known ? known->files : NULL;

    if (!f && (fs->ndirs == FILES_DIRS_MAX || depth > FILES_DEPTH_MAX)) {
        refuse(fs, path,
               depth > FILES_DEPTH_MAX ? "the file is too deep below its pattern"
                                       : "there are too many directories");
        return;
    }
    if (!f) {
        f = xcalloc(1, sizeof(*f));
        f->in = fs;
        f->dir = cdir_get(fs->c, path);
        f->dir->files = f;
        f->depth = depth;
        list_init(&f->work);
        list_init(&f->links);
        list_add_tail(&fs->dirs, &f->node);
        fs->ndirs++;
    }
    add_state(f, pattern, part);
    fdir_queue(f);
}

static void fdir_free(struct fdir *f)
{
    while (!list_empty(&f->links)) {
        struct clink *l = list_entry(f->links.next, struct clink, found);

        list_del(&l->found);
        link_queue(l); /* it will be found gone */
    }
    list_del(&f->node);
    list_del(&f->work);
    f->in->ndirs--;
    f->dir->files = NULL;
    cdir_put(f->dir);
    free(f->states);
    free(f);
}

/* ---- entries ---- */

static bool is_directory(const char *path, unsigned char type)
{
    struct stat st;

    if (type != DT_UNKNOWN)
        return type == DT_DIR;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A log called <base> is beside it, and the pattern matches it. */
static bool log_is_there(const struct fdir *f, const struct files_pattern *p, struct str base)
{
    char path[PATH_MAX];
    struct stat st;

    return path_join(path, f->dir->path, base) &&
           files_part_fits(p, p->nparts - 1, strrchr(path, '/') + 1) && lstat(path, &st) == 0 &&
           !S_ISDIR(st.st_mode);
}

/* <name> is <base>, and then, or before the last dot, what rotation adds. */
static bool is_rotation_at(const struct fdir *f, const struct files_pattern *p, struct str name,
                           size_t at)
{
    ptrdiff_t dot = str_rfind(name, '.');
    char base[NAME_MAX + 1];
    struct sibling as;

    if (sibling_parse(str_skip(name, at), &as))
        return log_is_there(f, p, str_head(name, at));
    if (dot <= (ptrdiff_t)at || name.len > NAME_MAX ||
        !sibling_parse(str_make(name.p + at, (size_t)dot - at), &as))
        return false;
    memcpy(base, name.p, at);
    memcpy(base + at, name.p + dot, name.len - (size_t)dot);
    return log_is_there(f, p, str_make(base, at + name.len - (size_t)dot));
}

static bool is_rotation(const struct fdir *f, const struct files_pattern *p, struct str name)
{
    if (sibling_packed(name))
        return true;
    for (size_t at = 1; at < name.len; at++)
        if ((name.p[at] == '.' || name.p[at] == '-') && is_rotation_at(f, p, name, at))
            return true;
    return false;
}

static void found(struct fdir *f, const struct files_pattern *p, const char *path)
{
    struct containers *c = f->in->c;
    struct clink *l = map_get(&c->links, str_of(path));

    if (!l && c->links.len >= FILES_MAX) {
        refuse(f->in, path, "there are too many files");
        return;
    }
    l = link_get(c, str_of(path));
    if (!l->pattern || (!l->stream && p < l->pattern))
        l->pattern = p;
    list_del(&l->found);
    list_add_tail(&f->links, &l->found);
    l->listing = f->listing;
    link_queue(l);
    containers_post(c);
}

/* An entry: a directory below, or a log. */
static void match(struct fdir *f, const char *name, unsigned char type)
{
    struct files *fs = f->in;
    char path[PATH_MAX];

    if (!path_join(path, strcmp(f->dir->path, "/") == 0 ? "" : f->dir->path, str_of(name)))
        return;
    for (unsigned i = 0; i < f->nstates; i++) {
        const struct state s = f->states[i];
        const struct files_pattern *p = &fs->patterns.all[s.pattern];

        if (files_part_is_any(p, s.part)) {
            if (*name != '.' && is_directory(path, type))
                fdir_add(fs, path, f->depth + 1, s.pattern, s.part);
        } else if (!files_part_fits(p, s.part, name)) {
            continue;
        } else if (s.part + 1 < p->nparts) {
            if (is_directory(path, type))
                fdir_add(fs, path, f->depth + 1, s.pattern, s.part + 1);
        } else if (!is_rotation(f, p, str_of(name))) {
            found(f, p, path);
        }
    }
}

void fdir_changed(struct fdir *f, struct str name)
{
    char text[NAME_MAX + 1];

    if (!name.len || name.len > NAME_MAX)
        return;
    memcpy(text, name.p, name.len);
    text[name.len] = '\0';
    match(f, text, DT_UNKNOWN);
}

/* ---- listing ---- */

void fdir_gone(struct fdir *f)
{
    fdir_queue(f);
}

static void set_trouble(struct fdir *f, int error)
{
    struct containers *c = f->in->c;
    struct err e;

    if (error)
        c->stats.unreadable++;
    if (error && error != E2BIG)
        c->log_trouble = error; /* it is tried again */
    (void)loop_make_room(c->base.env->loop, error);
    if (error == f->trouble)
        return;
    f->trouble = error;
    if (!error) {
        log_info("directory of FILES is readable again", KV_CSTR("path", f->dir->path));
        return;
    }
    (void)err_sys(&e, error, "cannot list '%s'", f->dir->path);
    log_warn("cannot list directory of FILES, will retry", KV_ERR(&e));
}

/* A directory that was moved away took those in it along, of which no event tells. */
static void queue_below(const struct fdir *f)
{
    struct str path = str_of(f->dir->path);

    list_for_each (it, &f->in->dirs) {
        struct fdir *other = list_entry(it, struct fdir, node);
        struct str its = str_of(other->dir->path);

        if (its.len > path.len && str_starts(its, path) && its.p[path.len] == '/')
            fdir_queue(other);
    }
}

static void fdir_list(struct fdir *f)
{
    const struct dir_names *d = &f->dir->listed;
    int error = cdir_list(f->dir, true);

    if (error == ENOENT || error == ENOTDIR || error == ELOOP) {
        f->in->c->list_due |= f->depth == 0;
        queue_below(f);
        fdir_free(f);
        return;
    }
    set_trouble(f, error);
    if (error || f->version == d->version)
        return;
    f->version = d->version;
    f->listing++;
    for (size_t i = 0; i < d->n; i++)
        match(f, d->all[i].name, d->all[i].type);
    list_for_each (it, &f->links) {
        struct clink *l = list_entry(it, struct clink, found);

        if (l->listing != f->listing)
            link_queue(l); /* it will be found gone */
    }
}

bool files_step(struct containers *c)
{
    struct files *fs = c->files;
    struct fdir *f;

    if (list_empty(&fs->work))
        return false;
    f = list_entry(fs->work.next, struct fdir, work);
    list_del(&f->work);
    fdir_list(f);
    return true;
}

void files_rescan(struct files *fs)
{
    list_for_each (it, &fs->dirs)
        list_entry(it, struct fdir, node)->version = 0;
}

static void pattern_trouble(struct files *fs, unsigned i, int error)
{
    const char *dir = fs->patterns.all[i].dir;
    struct err e;

    if (error)
        fs->c->log_trouble = error; /* it is tried again */
    if (error == fs->trouble[i])
        return;
    fs->trouble[i] = error;
    if (!error) {
        log_info("directory of FILES appeared", KV_CSTR("path", dir));
        return;
    }
    (void)err_sys(&e, error, "cannot find '%s'", dir);
    log_warn("cannot find directory of FILES, will retry", KV_ERR(&e));
}

void files_list(struct containers *c)
{
    struct files *fs = c->files;

    c->list_due = false;
    c->log_trouble = 0;
    list_for_each (it, &fs->dirs)
        fdir_queue(list_entry(it, struct fdir, node));
    for (unsigned i = 0; i < fs->patterns.n; i++) {
        char real[PATH_MAX];
        struct stat st;
        int error = 0;

        if (!realpath(fs->patterns.all[i].dir, real) || stat(real, &st) < 0)
            error = errno;
        else if (!S_ISDIR(st.st_mode))
            error = ENOTDIR;
        else
            fdir_add(fs, real, 0, i, 0);
        pattern_trouble(fs, i, error);
    }
}

unsigned files_unreadable(const struct files *fs)
{
    unsigned n = 0;

    list_for_each (it, &fs->dirs)
        n += list_entry(it, struct fdir, node)->trouble != 0;
    for (unsigned i = 0; i < fs->patterns.n; i++)
        n += fs->trouble[i] && fs->trouble[i] != ENOENT;
    return n;
}

void files_release(struct files *fs)
{
    while (!list_empty(&fs->dirs)) {
        struct fdir *f = list_entry(fs->dirs.next, struct fdir, node);

        list_init(&f->links); /* the links are freed already */
        fdir_free(f);
    }
    files_patterns_release(&fs->patterns);
    free(fs->trouble);
    free(fs);
}

struct files *files_create(struct containers *c, struct files_patterns *patterns)
{
    struct files *fs = xcalloc(1, sizeof(*fs));

    fs->c = c;
    fs->patterns = *patterns;
    fs->complaint.period_ms = COMPLAIN_MS;
    fs->trouble = xcalloc(fs->patterns.n + 1, sizeof(*fs->trouble));
    list_init(&fs->dirs);
    list_init(&fs->work);
    return fs;
}
