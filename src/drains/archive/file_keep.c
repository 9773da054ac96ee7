/*
 * Rotated files of an archive: compressed if that is asked for, and deleted when they are too many,
 * too old, or too large together. Only names that rotation gives are looked at
 * (file_path_is_rotated), so what else lies in the folder stays.
 *
 * A file is compressed under a hidden name, synced, and takes the place of the plain one: a crash
 * leaves either, or both of the same lines, of which the plain one goes the next time. Each MiB is a
 * gzip member of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drains/archive/archive.h"
#include "drains/core/gzip.h"

#define DEPTH_MAX 6 /* of directories below the root */
#define PIECE (1024 * 1024)
#define PART ".compressed.new"
#define DAY_S (24 * 60 * 60)

struct found {
    char *path;            /* owned */
    struct str stem, when; /* views of it; with the directory */
    int64_t mtime;
    uint64_t size;
};

struct keeper {
    const struct file_keep *k;
    int root;
    struct found *all; /* owned */
    size_t n, cap;
};

static bool stopped(const struct keeper *p)
{
    return atomic_load(p->k->stop);
}

/* ---- what is there ---- */

static void add(struct keeper *p, const char *dir, const char *name, const struct stat *st)
{
    struct buf path = BUF_INIT(2 * FILE_PATH_MAX);
    struct found f = {.mtime = st->st_mtime, .size = (uint64_t)st->st_size};
    size_t len;

    if (buf_addf(&path, "%s%s", dir, name) < 0 ||
        !file_path_is_rotated(str_of(name), &f.stem, &f.when)) {
        buf_release(&path);
        return;
    }
    len = strlen(dir);
    f.path = path.p;
    f.stem = str_make(path.p, len + f.stem.len);
    f.when = str_make(path.p + len + (f.when.p - name), f.when.len);
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->all = xrealloc(p->all, p->cap * sizeof(*p->all));
    }
    p->all[p->n++] = f;
}

static void look(struct keeper *p, int fd, const char *dir, unsigned depth)
{
    DIR *d = fdopendir(fd);
    const struct dirent *entry;

    if (!d) {
        (void)close(fd); /* a directory */
        return;
    }
    while (p->n < FILE_KEEP_MAX && !stopped(p) && (entry = readdir(d))) {
        struct buf below = BUF_INIT(FILE_PATH_MAX);
        struct stat st;

        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISREG(st.st_mode)) {
            add(p, dir, entry->d_name, &st);
        } else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX &&
                   buf_addf(&below, "%s%s/", dir, entry->d_name) == 0) {
            int next =
                openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

            if (next >= 0)
                look(p, next, below.p, depth + 1);
        }
        buf_release(&below);
    }
    (void)closedir(d); /* only read */
}

/* ---- compressing ---- */

static int pack(struct keeper *p, int from, int to)
{
    struct gzip *g = gzip_create();
    struct buf piece = BUF_INIT(PIECE), packed = BUF_INIT(2 * PIECE);
    int rc = buf_reserve(&piece, PIECE);
    ssize_t n = 1;

    while (rc == 0 && n > 0) {
        n = read(from, piece.p, PIECE);
        piece.len = n > 0 ? (size_t)n : 0;
        if (stopped(p) || (n < 0 && errno != EINTR) ||
            (n > 0 && (gzip_pack(g, buf_str(&piece), &packed, NULL) < 0 ||
                       file_write_all(to, buf_str(&packed)) < 0)))
            rc = -1;
        n = n < 0 ? 1 : n;
    }
    buf_release(&piece);
    buf_release(&packed);
    gzip_free(g);
    return rc;
}

/* <name>, which is <from>, becomes <name>.gz in the same directory. */
static int replace(struct keeper *p, int dir, const char *name, const char *gz, int from)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    struct stat st, now;
    int to, rc;

    (void)unlinkat(dir, PART, 0); /* of a crash */
    to = openat(dir, PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (to < 0)
        return -1;
    rc = fstat(from, &st) < 0 || pack(p, from, to) < 0 ? -1 : 0;
    times[1] = st.st_mtim;
    if (rc == 0 && (futimens(to, times) < 0 || fsync(to) < 0))
        rc = -1;
    (void)close(to); /* it was synced, or is deleted */
    if (rc == 0 && (fstat(from, &now) < 0 || now.st_nlink != 1 || now.st_size != st.st_size))
        rc = -1; /* somebody has taken it meanwhile */
    if (rc == 0)
        rc = renameat(dir, PART, dir, gz) < 0 || fsync(dir) < 0 ? -1 : unlinkat(dir, name, 0);
    (void)unlinkat(dir, PART, 0);
    return rc;
}

static void compress(struct keeper *p, struct found *f)
{
    struct buf gz = BUF_INIT(2 * FILE_PATH_MAX);
    struct stat st;
    const char *name;
    int dir = file_parent(p->root, f->path, false, &name), from = -1;

    if (dir >= 0 && buf_addf(&gz, "%s.gz", name) == 0) {
        if (fstatat(dir, gz.p, &st, AT_SYMLINK_NOFOLLOW) == 0)
            (void)unlinkat(dir, name, 0); /* done, but for this */
        else
            from = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    }
    if (from >= 0 && replace(p, dir, name, gz.p, from) == 0 &&
        fstatat(dir, gz.p, &st, AT_SYMLINK_NOFOLLOW) == 0)
        f->size = (uint64_t)st.st_size;
    if (from >= 0)
        (void)close(from); /* only read */
    if (dir >= 0)
        (void)close(dir);
    buf_release(&gz);
}

/* ---- deleting ---- */

static int compare(struct str a, struct str b)
{
    int c = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return c ? c : (int)(a.len > b.len) - (int)(a.len < b.len);
}

/* Newest first, those of one path together. */
static int by_stem(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    int c = compare(x->stem, y->stem);

    if (c == 0)
        c = compare(str_head(y->when, FILE_STAMP_LEN), str_head(x->when, FILE_STAMP_LEN));
    if (c == 0) /* a longer number is a greater one */
        c = (int)(y->when.len > x->when.len) - (int)(y->when.len < x->when.len);
    return c ? c : compare(y->when, x->when);
}

/* Newest first. */
static int by_age(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    return x->mtime != y->mtime ? (y->mtime > x->mtime ? 1 : -1) : by_stem(a, b);
}

/* Should it fail, it is tried again the next time. */
static void delete (struct keeper *p, const struct found *f)
{
    struct buf gz = BUF_INIT(2 * FILE_PATH_MAX);
    const char *name;
    int dir = file_parent(p->root, f->path, false, &name);

    if (dir < 0)
        return;
    (void)unlinkat(dir, name, 0);
    if (!str_ends(str_of(name), STR(".gz")) && buf_addf(&gz, "%s.gz", name) == 0)
        (void)unlinkat(dir, gz.p, 0); /* it was compressed just now */
    (void)close(dir);
    buf_release(&gz);
}

static void sort(struct keeper *p, int (*order)(const void *a, const void *b))
{
    if (p->n)
        qsort(p->all, p->n, sizeof(*p->all), order);
}

static void delete_surplus(struct keeper *p, int64_t now)
{
    const struct file_keep *k = p->k;
    uint64_t same = 0, bytes = 0;

    sort(p, by_stem);
    for (size_t i = 0; i < p->n && k->files; i++) {
        same = i && str_eq(p->all[i].stem, p->all[i - 1].stem) ? same + 1 : 1;
        if (same > k->files)
            delete (p, &p->all[i]);
    }
    sort(p, by_age);
    for (size_t i = 0; i < p->n; i++) {
        bytes += p->all[i].size;
        if ((k->bytes && bytes > k->bytes) ||
            (k->days && p->all[i].mtime < now - (int64_t)k->days * DAY_S))
            delete (p, &p->all[i]);
    }
}

void file_keep(const struct file_keep *k, int64_t now)
{
    struct keeper p = {.k = k, .root = open(k->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    int fd = p.root < 0 ? -1 : fcntl(p.root, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0)
        look(&p, fd, "", 0);
    for (size_t i = 0; i < p.n && k->gzip && !stopped(&p); i++)
        if (!str_ends(str_of(p.all[i].path), STR(".gz")))
            compress(&p, &p.all[i]);
    if (fd >= 0 && !stopped(&p))
        delete_surplus(&p, now);
    for (size_t i = 0; i < p.n; i++)
        free(p.all[i].path);
    free(p.all);
    if (p.root >= 0)
        (void)close(p.root); /* a directory */
}
