/*
 * What of an archive is durable, in the file .positions of its folder: lines that are appended
 * after the files themselves were synced, and end in a line with their checksum.
 *
 *   f <inode> <length> <time of the last record> <time of making> <path>
 *   d <path>                                           it was rotated, or is gone
 *   p <o|e><segment> <first> <last> <length> <time>    records of these offsets are in the files
 *   . <checksum of the lines since the one before>
 *
 * So a batch counts with all its files, or not at all: after a crash, files are cut to the length
 * that stands here, and what the log files say again up to a place is not written a second time.
 * A place is needed until the daemon's state has passed it, which takes seconds; it is kept for an
 * hour of writing.
 *
 * The file is written anew when it is opened and when it has grown, both between batches. Its name, and that of the lock,
 * do not contain ".log", so that tools which move logs leave it alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drains/archive/archive.h"

#define NAME ".positions"
#define NEW_NAME ".positions.new"
#define READ_MAX (64 * 1024 * 1024) /* more is not ours */
#define KEEP_S 3600

/* ---- in memory ---- */

void file_positions_init(struct file_positions *p)
{
    *p = (struct file_positions){.root = -1, .fd = -1, .text = BUF_INIT(READ_MAX)};
    map_init(&p->files);
    map_init(&p->places);
}

static void entry_free(struct file_entry *f)
{
    if (f->fd >= 0)
        (void)close(f->fd); /* it was synced, or counts as not written */
    free(f->path);
    free(f);
}

static void forget_files(struct file_positions *p)
{
    struct file_entry *f;

    for (size_t i = 0; (f = map_next(&p->files, &i));)
        entry_free(f);
    map_release(&p->files);
    map_init(&p->files);
}

void file_positions_release(struct file_positions *p)
{
    struct file_place *place;

    forget_files(p);
    for (size_t i = 0; (place = map_next(&p->places, &i));)
        free(place);
    map_release(&p->files);
    map_release(&p->places);
    if (p->fd >= 0)
        (void)close(p->fd); /* as above */
    buf_release(&p->text);
    file_positions_init(p);
}

/* ---- reading ---- */

static bool word(struct str *rest, struct str *out)
{
    return str_cut(rest, ' ', out) && out->len;
}

static bool number(struct str *rest, uint64_t *out)
{
    struct str w;

    return word(rest, &w) && str_to_u64(w, UINT64_MAX, out);
}

static void drop_entry(struct file_positions *p, struct str path)
{
    struct file_entry *f = map_del(&p->files, path);

    if (f)
        entry_free(f);
}

static bool take_file(struct file_positions *p, struct str rest)
{
    uint64_t ino, len, last, opened;
    struct file_entry *f;

    if (!number(&rest, &ino) || !number(&rest, &len) || !number(&rest, &last) ||
        !number(&rest, &opened) || rest.len == 0 || rest.len > FILE_PATH_MAX)
        return false;
    drop_entry(p, rest);
    f = xcalloc(1, sizeof(*f));
    *f = (struct file_entry){.path = str_dup(rest),
                             .fd = -1,
                             .ino = (ino_t)ino,
                             .len = len,
                             .last = (int64_t)last,
                             .opened = (int64_t)opened};
    list_init(&f->lru);
    (void)map_put(&p->files, str_of(f->path), f);
    return true;
}

static bool take_place(struct file_positions *p, struct str rest)
{
    uint64_t from, off, len, at;
    struct file_place *place;
    struct str key;

    if (!word(&rest, &key) || key.len != FILE_PLACE_KEY || !number(&rest, &from) ||
        !number(&rest, &off) || !number(&rest, &len) || !number(&rest, &at))
        return false;
    place = map_get(&p->places, key);
    if (!place) {
        place = xcalloc(1, sizeof(*place));
        list_init(&place->node);
        memcpy(place->key, key.p, FILE_PLACE_KEY);
        (void)map_put(&p->places, str_make(place->key, FILE_PLACE_KEY), place);
    }
    place->replay = true;
    place->from = from;
    place->off = off;
    place->len = len;
    place->at = (int64_t)at;
    return true;
}

static bool take_line(struct file_positions *p, struct str line)
{
    struct str rest = str_skip(line, 2);

    if (str_starts(line, STR("f ")))
        return take_file(p, rest);
    if (str_starts(line, STR("p ")))
        return take_place(p, rest);
    if (!str_starts(line, STR("d ")))
        return false;
    drop_entry(p, rest);
    return true;
}

/* The lines of one commit. */
static bool take_lines(struct file_positions *p, struct str lines)
{
    struct str line;

    while (str_cut(&lines, '\n', &line))
        if (!take_line(p, line))
            return false;
    return true;
}

/* What a crash left unfinished counts as not written. Where a checksum is wrong, the lengths before
 * it may be old, so that no file is cut to them. */
static void take_all(struct file_positions *p, struct str all)
{
    struct str rest = all, line;
    const char *begin = all.p;
    char sum[32];

    while (str_find(rest, '\n') >= 0 && str_cut(&rest, '\n', &line)) {
        struct str lines = str_make(begin, (size_t)(line.p - begin));

        if (!str_starts(line, STR(". ")))
            continue;
        (void)snprintf(sum, sizeof(sum), "%016" PRIx64, hash_stable(lines.p, lines.len));
        if (!str_eq(str_skip(line, 2), str_of(sum)) || !take_lines(p, lines)) {
            forget_files(p);
            return;
        }
        begin = rest.p;
    }
}

static int read_all(int fd, struct buf *out)
{
    for (;;) {
        ssize_t n;

        if (buf_reserve(out, 64 * 1024) < 0) {
            errno = EFBIG;
            return -1;
        }
        n = read(fd, out->p + out->len, 64 * 1024);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        out->len += (size_t)n;
    }
}

static int load(struct file_positions *p, struct err *e)
{
    int fd = openat(p->root, NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), rc;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "file: open " NAME);
    buf_clear(&p->text);
    rc = read_all(fd, &p->text);
    if (rc < 0)
        (void)err_sys(e, errno, "file: read " NAME);
    else
        take_all(p, buf_str(&p->text));
    (void)close(fd); /* only read */
    buf_release(&p->text);
    p->text = BUF_INIT(READ_MAX);
    return rc;
}

/* ---- writing ---- */

int file_positions_add_file(struct file_positions *p, const struct file_entry *f)
{
    return buf_addf(&p->text, "f %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " %s\n",
                    (uint64_t)f->ino, f->touched ? f->new_len : f->len,
                    f->touched ? f->new_last : f->last, f->opened, f->path);
}

int file_positions_drop_file(struct file_positions *p, const struct file_entry *f)
{
    return buf_addf(&p->text, "d %s\n", f->path);
}

int file_positions_add_place(struct file_positions *p, const struct file_place *place)
{
    return buf_addf(&p->text, "p %.*s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 "\n",
                    FILE_PLACE_KEY, place->key, place->touched ? place->new_from : place->from,
                    place->touched ? place->new_off : place->off,
                    place->touched ? place->new_len : place->len, place->at);
}

/* Writes p->text to <fd>, with its checksum. */
static int put(struct file_positions *p, int fd, bool sync)
{
    uint64_t sum = hash_stable(p->text.p, p->text.len);

    if (buf_addf(&p->text, ". %016" PRIx64 "\n", sum) < 0) {
        errno = ENOMEM;
        return -1;
    }
    if (file_write_all(fd, buf_str(&p->text)) < 0 || (sync && fdatasync(fd) < 0))
        return -1;
    p->size += p->text.len;
    buf_clear(&p->text);
    return 0;
}

/* Places that are old, when there are too many younger ones, go. */
static void drop_places(struct file_positions *p)
{
    struct file_place *place;
    int64_t newest = 0, keep = KEEP_S;
    struct map kept;
    size_t n;

    for (size_t i = 0; (place = map_next(&p->places, &i));)
        newest = place->at > newest ? place->at : newest;
    do {
        n = 0;
        for (size_t i = 0; (place = map_next(&p->places, &i));)
            n += place->at >= newest - keep;
        keep /= n > FILE_PLACES_MAX ? 2 : 1;
    } while (n > FILE_PLACES_MAX && keep > 0);
    map_init(&kept);
    for (size_t i = 0; (place = map_next(&p->places, &i));) {
        if (place->at >= newest - keep)
            (void)map_put(&kept, str_make(place->key, FILE_PLACE_KEY), place);
        else
            free(place);
    }
    map_release(&p->places);
    p->places = kept;
}

/* All that is known, into a new file in place of the old one. */
static int rewrite(struct file_positions *p, struct err *e)
{
    struct file_entry *f;
    struct file_place *place;
    int fd, rc = 0;

    drop_places(p);
    buf_clear(&p->text);
    for (size_t i = 0; rc == 0 && (f = map_next(&p->files, &i));)
        rc = file_positions_add_file(p, f);
    for (size_t i = 0; rc == 0 && (place = map_next(&p->places, &i));)
        rc = file_positions_add_place(p, place);
    if (rc < 0)
        return err_set(e, ENOMEM, "file: out of memory");
    if (unlinkat(p->root, NEW_NAME, 0) < 0 && errno != ENOENT)
        return err_sys(e, errno, "file: unlink " NEW_NAME);
    fd = openat(p->root, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_sys(e, errno, "file: open " NEW_NAME);
    p->size = 0;
    if (put(p, fd, true) < 0 || renameat(p->root, NEW_NAME, p->root, NAME) < 0 ||
        fsync(p->root) < 0) {
        (void)err_sys(e, errno, "file: write " NEW_NAME);
        (void)close(fd); /* it counts as not written */
        return -1;
    }
    if (p->fd >= 0)
        (void)close(p->fd); /* what it says is in the new one */
    p->fd = fd;
    p->most = 2 * p->size > FILE_POSITIONS_BYTES ? 2 * p->size : FILE_POSITIONS_BYTES;
    return 0;
}

int file_positions_open(struct file_positions *p, int root, struct err *e)
{
    p->root = root;
    return load(p, e) < 0 ? -1 : rewrite(p, e);
}

int file_positions_commit(struct file_positions *p, bool sync, struct err *e)
{
    if (put(p, p->fd, sync) < 0)
        return err_sys(e, errno, "file: write " NAME);
    FAULT_POINT("file-confirmed");
    return 0;
}

int file_positions_tidy(struct file_positions *p, struct err *e)
{
    return p->size > p->most ? rewrite(p, e) : 0;
}
