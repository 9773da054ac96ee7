/*
 * See containers_names.h. A change within the clock's granularity after a reading would go unseen,
 * so a reading counts only if the directory had been left alone for longer before it.
 */
#include "inputs/containers_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"

#define SETTLED_NS 100000000 /* longer than a kernel's tick */

void dir_names_release(struct dir_names *d)
{
    free(d->all);
    free(d->text);
    d->all = NULL;
    d->text = NULL;
    d->n = 0;
    d->read_ns = 0;
}

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool is_current(const struct dir_names *d, const struct stat *st)
{
    return d->read_ns && d->dev == st->st_dev && d->ino == st->st_ino &&
           d->mtime_ns == mtime_of(st) && d->read_ns - d->mtime_ns > SETTLED_NS;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct dir_name *)a)->name, ((const struct dir_name *)b)->name);
}

/* Collects names; their places, which move, are filled in at the end. */
static int collect(struct dir_names *d, DIR *dir)
{
    size_t cap = 0, used = 0, room = 0;
    const struct dirent *e;

    for (errno = 0; (e = readdir(dir)); errno = 0) {
        size_t len = strlen(e->d_name) + 1;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (d->n == FILES_DIR_NAMES_MAX)
            return E2BIG;
        if (d->n == cap) {
            cap = cap ? cap * 2 : 16;
            d->all = xrealloc(d->all, cap * sizeof(*d->all));
        }
        if (used + len > room) {
            room = 2 * room + len + 256;
            d->text = xrealloc(d->text, room);
        }
        memcpy(d->text + used, e->d_name, len);
        used += len;
        d->all[d->n++] = (struct dir_name){e->d_ino, NULL, e->d_type};
    }
    return errno;
}

static int read_all(struct dir_names *d, int fd, const struct stat *st)
{
    uint64_t version = d->version + 1;
    DIR *dir = fdopendir(fd);
    const char *at;
    int error;

    if (!dir) {
        error = errno;
        (void)close(fd); /* only read from */
        return error;
    }
    dir_names_release(d);
    *d = (struct dir_names){.dev = st->st_dev,
                            .ino = st->st_ino,
                            .mtime_ns = mtime_of(st),
                            .read_ns = clock_wall_ns(),
                            .version = version};
    error = collect(d, dir);
    (void)closedir(dir); /* nothing was written to it */
    at = d->text;
    for (size_t i = 0; i < d->n; i++, at += strlen(at) + 1)
        d->all[i].name = at;
    if (d->n)
        qsort(d->all, d->n, sizeof(*d->all), compare);
    if (error)
        dir_names_release(d);
    return error;
}

int dir_names_read(struct dir_names *d, const char *path, bool *moved)
{
    int fd = file_open_plain(path, O_RDONLY | O_DIRECTORY);
    struct stat st;

    *moved = false;
    if (fd < 0)
        return errno;
    if (fstat(fd, &st) < 0) {
        int error = errno;

        (void)close(fd); /* nothing was read */
        return error;
    }
    *moved = d->version && (d->dev != st.st_dev || d->ino != st.st_ino);
    if (!is_current(d, &st))
        return read_all(d, fd, &st);
    (void)close(fd); /* only looked at */
    return 0;
}

size_t dir_names_find(const struct dir_names *d, const char *prefix, size_t len)
{
    size_t lo = 0, hi = d->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (strncmp(d->all[mid].name, prefix, len) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}
