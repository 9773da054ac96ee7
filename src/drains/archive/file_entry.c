/*
 * The files of an archive's folder that are written: found, opened and made below the folder without
 * following a link, cut to what is confirmed of them, and looked at before each use. One that was
 * unlinked or replaced is made anew. So many are open at once; all are in the positions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drains/archive/archive.h"

#define FILE_MODE 0640
#define DIR_MODE 0750
#define TAIL (64 * 1024)

void file_close_quietly(int fd)
{
    int error = errno;

    (void)close(fd);
    errno = error;
}

/* ---- directories ---- */

int file_parent(int root, const char *path, bool make, const char **name)
{
    int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
    struct str rest = str_of(path), part;
    char dir[FILE_PATH_MAX];

    while (fd >= 0 && str_find(rest, '/') >= 0) {
        int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, next;

        (void)str_cut(&rest, '/', &part);
        (void)snprintf(dir, sizeof(dir), "%.*s", STR_ARG(part));
        next = openat(fd, dir, flags);
        if (next < 0 && errno == ENOENT && make && mkdirat(fd, dir, DIR_MODE) == 0)
            next = fsync(fd) < 0 ? -1 : openat(fd, dir, flags);
        file_close_quietly(fd);
        fd = next;
    }
    *name = rest.p;
    return fd;
}

/* ---- files ---- */

/* <fd>'s length up to its last LF. -1 with errno set. */
static off_t whole_lines(int fd, off_t size)
{
    char tail[TAIL];

    while (size > 0) {
        size_t n = size < TAIL ? (size_t)size : TAIL;
        ssize_t got = pread(fd, tail, n, size - (off_t)n);
        ptrdiff_t lf;

        if (got < 0)
            return -1;
        lf = str_rfind(str_make(tail, (size_t)got), '\n');
        if (lf >= 0)
            return size - (off_t)n + lf + 1;
        size -= (off_t)n;
    }
    return 0;
}

/* Opens <path> as a plain file of ours. -1 with errno set. */
static int open_plain(int root, const char *path, int flags, struct stat *st)
{
    const char *name;
    int dir = file_parent(root, path, flags & O_CREAT, &name), fd = -1;

    if (dir >= 0)
        fd = openat(dir, name, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, FILE_MODE);
    if (fd >= 0 && flags & O_CREAT && fsync(dir) < 0) {
        file_close_quietly(fd);
        fd = -1;
    }
    if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || st->st_nlink != 1)) {
        (void)close(fd); /* nothing was written */
        errno = EEXIST;
        fd = -1;
    }
    if (dir >= 0)
        file_close_quietly(dir);
    return fd;
}

static void entry_close(struct file_folder *f, struct file_entry *file)
{
    if (file->fd < 0)
        return;
    (void)close(file->fd); /* it was synced, or counts as not written */
    file->fd = -1;
    list_del(&file->lru);
    f->nopen--;
}

void file_entry_drop(struct file_folder *f, struct file_entry *file)
{
    entry_close(f, file);
    (void)map_del(&f->positions.files, str_of(file->path));
    free(file->path);
    free(file);
}

/* Closes those that were not used for longest, and have nothing that must be synced. */
static void close_some(struct file_folder *f)
{
    list_for_each_safe (it, &f->open) {
        struct file_entry *file = list_entry(it, struct file_entry, lru);

        if (f->nopen < FILE_OPEN_MAX)
            return;
        if (!file->touched)
            entry_close(f, file);
    }
}

static void entry_opened(struct file_folder *f, struct file_entry *file, int fd)
{
    file->fd = fd;
    list_add_tail(&f->open, &file->lru);
    f->nopen++;
}

/* Cuts <file>, which is <fd>, to what is confirmed of it. One that is shorter was cut by somebody
 * else. */
static int cut(struct file_entry *file, int fd, off_t size)
{
    off_t len = (off_t)file->len;

    if (size < len)
        len = whole_lines(fd, size);
    file->len = len < 0 ? 0 : (uint64_t)len;
    return len < 0 || (len != size && ftruncate(fd, len) < 0) ? -1 : 0;
}

/* Looks at all files that the positions know, once: those that are others by now are forgotten. */
int file_recover(struct file_folder *f, struct err *e)
{
    struct file_entry *file,
        **all = xcalloc(f->positions.files.len + 1, sizeof(struct file_entry *));
    size_t n = 0;
    int rc = 0;

    for (size_t i = 0; (file = map_next(&f->positions.files, &i));)
        all[n++] = file;
    for (size_t i = 0; i < n && rc == 0; i++) {
        struct stat st;
        int fd = open_plain(f->root, all[i]->path, 0, &st);

        if (fd < 0 && errno != ENOENT && errno != EEXIST && errno != ELOOP && errno != ENOTDIR)
            rc = err_sys(e, errno, "file: open");
        else if (fd < 0 || st.st_ino != all[i]->ino)
            file_entry_drop(f, all[i]);
        else if (cut(all[i], fd, st.st_size) < 0)
            rc = err_sys(e, errno, "file: truncate");
        if (fd >= 0)
            (void)close(fd); /* cut only */
    }
    free(all);
    return rc;
}

/* A file that is not known: new, or left by somebody. That it is ours is said before anything is
 * written to it. */
static struct file_entry *adopt(struct file_folder *f, const char *path, int64_t now, struct err *e)
{
    struct stat st;
    int fd = open_plain(f->root, path, O_CREAT, &st);
    struct file_entry *file;
    off_t len;

    if (fd < 0) {
        (void)err_sys(e, errno, errno == EEXIST ? "file: not a plain file" : "file: open");
        return NULL;
    }
    len = whole_lines(fd, st.st_size);
    if (len < 0 || (len != st.st_size && ftruncate(fd, len) < 0)) {
        (void)err_sys(e, errno, "file: truncate");
        (void)close(fd); /* nothing was written */
        return NULL;
    }
    file = xcalloc(1, sizeof(*file));
    *file = (struct file_entry){.path = str_dup(str_of(path)),
                                .ino = st.st_ino,
                                .len = (uint64_t)len,
                                .last = now,
                                .opened = now};
    list_init(&file->lru);
    entry_opened(f, file, fd);
    (void)map_put(&f->positions.files, str_of(file->path), file);
    if (file_positions_add_file(&f->positions, file) < 0) {
        (void)err_set(e, ENOMEM, "file: out of memory");
        return NULL;
    }
    return file_positions_commit(&f->positions, false, e) < 0 ? NULL : file;
}

/* Whether <file>, which is open, is still what its path names. */
bool file_entry_is_there(const struct file_folder *f, const struct file_entry *file,
                         struct stat *st)
{
    struct stat named;

    return fstat(file->fd, st) == 0 && st->st_nlink == 1 &&
           fstatat(f->root, file->path, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           named.st_ino == st->st_ino && named.st_dev == st->st_dev;
}

/* The file of <path>, open, at its confirmed length. */
struct file_entry *file_entry_get(struct file_folder *f, const char *path, int64_t now,
                                  struct err *e)
{
    struct file_entry *file = map_get(&f->positions.files, str_of(path));
    struct stat st;

    if (file && file->fd < 0) {
        int fd = open_plain(f->root, path, 0, &st);

        close_some(f);
        if (fd >= 0)
            entry_opened(f, file, fd);
    }
    if (file && (file->fd < 0 || !file_entry_is_there(f, file, &st) || st.st_ino != file->ino)) {
        if (file->touched) {
            (void)err_set(e, ESTALE, FILE_GONE);
            return NULL;
        }
        file_entry_drop(f, file); /* unlinked, or replaced */
        file = NULL;
    }
    if (file && !file->touched && (uint64_t)st.st_size != file->len &&
        cut(file, file->fd, st.st_size) < 0) {
        (void)err_sys(e, errno, "file: truncate");
        return NULL;
    }
    if (file) {
        list_del(&file->lru);
        list_add_tail(&f->open, &file->lru);
        return file;
    }
    close_some(f);
    return adopt(f, path, now, e);
}
