/*
 * Rotating an archive's files: a whole file gets its last name and the time of its last record. Only
 * between batches, when all of it is confirmed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drains/archive/archive.h"

#define SEQ_MAX 100000 /* files of one path that are rotated in one second */

/* A name for <name>'s file that no file has, compressed or not. */
static int free_name(struct file_folder *f, int dir, const char *name, int64_t now, struct buf *out)
{
    struct stat st;

    if (now != f->stamp)
        f->seq = 0; /* else it goes on: a name that became free would be too old a one */
    f->stamp = now;
    for (unsigned i = 0; i < SEQ_MAX; i++) {
        unsigned seq = f->seq++;
        int rc;

        buf_clear(out);
        if (file_path_rotated(out, str_of(name), now, seq) < 0 || buf_add_str(out, STR(".gz")) < 0)
            return -1;
        rc = fstatat(dir, out->p, &st, AT_SYMLINK_NOFOLLOW);
        buf_truncate(out, out->len - STR(".gz").len);
        if (rc < 0 && fstatat(dir, out->p, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return 0;
    }
    return -1;
}

/* Gives <file>, which is <name> in <dir>, its last name and the time of its last record. */
static int rename_whole(struct file_folder *f, const struct file_entry *file, int dir,
                        const char *name, int64_t now, struct err *e)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)file->last}};
    struct buf last = BUF_INIT(2 * FILE_PATH_MAX);
    int rc = 0;

    if (free_name(f, dir, name, now, &last) < 0)
        rc = err_set(e, EEXIST, "file: no name is free for a rotated file");
    else if (utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ||
             renameat(dir, name, dir, last.p) < 0 || fsync(dir) < 0)
        rc = errno == ENOENT ? 0 : err_sys(e, errno, "file: rename");
    else
        f->rotated++;
    FAULT_POINT("file-rotated");
    buf_release(&last);
    return rc;
}

static int rotate(struct file_folder *f, struct file_entry *file, int64_t now, struct err *e)
{
    const char *name;
    int dir = file_parent(f->root, file->path, false, &name), rc = 0;
    struct stat st;

    if (dir < 0 && errno != ENOENT)
        return err_sys(e, errno, "file: rename");
    if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == file->ino) {
        if (file->len == 0)
            (void)unlinkat(dir, name, 0); /* an empty one says nothing */
        else
            rc = rename_whole(f, file, dir, name, now, e);
    }
    if (dir >= 0)
        file_close_quietly(dir);
    if (rc == 0 && file_positions_drop_file(&f->positions, file) < 0)
        rc = err_set(e, ENOMEM, "file: out of memory");
    if (rc == 0)
        file_entry_drop(f, file);
    return rc;
}

/* Rotates those for which <due> says so. */
static int rotate_those(struct file_folder *f, int64_t now,
                        bool (*due)(const struct file_folder *f, const struct file_entry *file,
                                    int64_t now),
                        struct err *e)
{
    struct file_entry *file,
        **some = xcalloc(f->positions.files.len + 1, sizeof(struct file_entry *));
    size_t n = 0;
    int rc = 0;

    for (size_t i = 0; (file = map_next(&f->positions.files, &i));)
        if (due(f, file, now))
            some[n++] = file;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = rotate(f, some[i], now, e);
    if (rc == 0 && n)
        rc = file_positions_commit(&f->positions, false, e);
    free(some);
    return rc;
}

static bool is_large(const struct file_folder *f, const struct file_entry *file, int64_t now)
{
    (void)now;
    return file->len >= f->cfg.rotate;
}

static bool is_old(const struct file_folder *f, const struct file_entry *file, int64_t now)
{
    return file->opened < file_period(now, f->cfg.every_s) || file->opened > now ||
           is_large(f, file, now);
}

static bool is_any(const struct file_folder *f, const struct file_entry *file, int64_t now)
{
    (void)f, (void)file, (void)now;
    return true;
}

static bool is_unused(const struct file_folder *f, const struct file_entry *file, int64_t now)
{
    (void)now;
    return file->used + f->unused < f->batches;
}

int file_rotate_unused(struct file_folder *f, int64_t now, struct err *e)
{
    int rc = 0;

    for (f->unused = FILE_PATHS_MAX; rc == 0 && f->positions.files.len >= FILE_PATHS_MAX;
         f->unused /= 2) {
        rc = rotate_those(f, now, is_unused, e);
        if (f->unused == 0)
            break;
    }
    return rc;
}

int file_rotate_large(struct file_folder *f, int64_t now, struct err *e)
{
    return rotate_those(f, now, is_large, e);
}

int file_rotate_old(struct file_folder *f, int64_t now, struct err *e)
{
    return rotate_those(f, now, is_old, e);
}

int file_rotate_all(struct file_folder *f, int64_t now, struct err *e)
{
    return rotate_those(f, now, is_any, e);
}
