/*
 * An archive's folder: the blocking part, on the thread pool. A batch is written like this:
 *
 *   records → the files → fdatasync of each → their lengths and places → fdatasync → delivered
 *
 * Whatever ends it before, a crash or an error, the files are cut to the lengths that are confirmed
 * before anything is written again, so a batch is in the folder whole or not at all. After an error
 * the folder is closed and read again from the disk: what is there is what counts.
 *
 * One daemon at a time uses a folder, by a lock in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "drains/archive/archive.h"
#include "formats/format.h"

#define LOCK ".lock"
#define LOCK_MODE 0640

static int same_root(const struct file_folder *f, struct err *e)
{
    struct stat now, ours;

    if (stat(f->cfg.root, &now) < 0)
        return err_sys(e, errno, "file: folder");
    if (fstat(f->root, &ours) < 0)
        return err_sys(e, errno, "file: folder");
    if (now.st_dev != ours.st_dev || now.st_ino != ours.st_ino)
        return err_set(e, ESTALE, "file: the folder was replaced");
    return 0;
}

/* ---- a batch ---- */

struct frame {
    struct str key; /* letter and segment */
    uint64_t off;
    int64_t time;
    char *p; /* the record */
    size_t len;
};

/* Cuts "<letter><segment>-<offset> <seconds> <length> <record>" off <*rest>. */
static void next_frame(struct str *rest, struct frame *out)
{
    struct str id = format_next_word(rest), time = format_next_word(rest);
    struct str record = format_next_frame(rest);
    uint64_t seconds;

    if (id.len < FILE_PLACE_KEY + 2 || !str_to_u64(time, INT64_MAX, &seconds))
        BUG("file: a record without a place");
    *out = (struct frame){.key = str_head(id, FILE_PLACE_KEY),
                          .time = (int64_t)seconds,
                          .p = (char *)(uintptr_t)record.p,
                          .len = record.len};
    for (size_t i = FILE_PLACE_KEY + 1; i < id.len; i++)
        out->off = out->off << 4 | (uint64_t)(id.p[i] <= '9' ? id.p[i] - '0' : id.p[i] - 'a' + 10);
}

/* Whether the record is in the folder already. */
static bool is_replayed(struct file_place *place, const struct frame *r)
{
    if (!place->replay || r->off < place->from)
        return false;
    if (r->off < place->off || (r->off == place->off && r->len <= place->len)) {
        place->met = true;
        return true;
    }
    return false;
}

/* What comes without anything of the place before it may be after a hole, from which a drain that
 * begins earlier must be served. */
static void place_touch(struct file_folder *f, struct file_place *place, const struct frame *r,
                        int64_t now)
{
    if (place->replay && r->off < place->from)
        return; /* it comes to the place only later */
    if (!place->touched) {
        place->new_from = place->at && (!place->replay || place->met) ? place->from : r->off;
        list_add_tail(&f->touched, &place->node);
        place->touched = true;
    }
    place->replay = false;
    place->new_off = r->off;
    place->new_len = r->len;
    place->at = now;
}

static struct file_place *place_get(struct file_folder *f, struct str key)
{
    struct file_place *place = map_get(&f->positions.places, key);

    if (place)
        return place;
    place = xcalloc(1, sizeof(*place));
    list_init(&place->node);
    memcpy(place->key, key.p, FILE_PLACE_KEY);
    (void)map_put(&f->positions.places, str_make(place->key, FILE_PLACE_KEY), place);
    return place;
}

struct writer {
    struct file_folder *f;
    struct err *e;
    int64_t now;
    struct file_entry *file; /* what was collected is for this one */
    char *begin, *end;       /* ... so much, in the body */
    int64_t last;            /* time of its last record */
    struct buf path;         /* of <file> */
    int64_t hour;            /* that <path> was made for */
};

static int flush(struct writer *w)
{
    struct file_entry *file = w->file;

    if (w->begin == w->end)
        return 0;
    if (!file->touched) {
        file->touched = true;
        file->new_len = file->len;
    }
    while (w->begin < w->end) {
        ssize_t n = pwrite(file->fd, w->begin, (size_t)(w->end - w->begin), (off_t)file->new_len);

        if (n < 0 && errno != EINTR)
            return err_sys(w->e, errno, "file: write");
        w->begin += n < 0 ? 0 : n;
        file->new_len += n < 0 ? 0 : (uint64_t)n;
    }
    file->new_last = w->last;
    return 0;
}

/* Chooses the file of <path> for a record of <time>. */
static int choose(struct writer *w, const char *path, int64_t time)
{
    int64_t hour = time / 3600;

    if (w->file && w->hour == hour)
        return 0;
    if (w->file && flush(w) < 0)
        return -1;
    w->begin = w->end;
    buf_clear(&w->path);
    if (file_path_date(&w->path, str_of(path), time) < 0)
        return err_set(w->e, ENAMETOOLONG, "file: a path of more than %d bytes", FILE_PATH_MAX);
    w->hour = hour;
    w->file = file_entry_get(w->f, buf_cstr(&w->path), w->now, w->e);
    if (w->file)
        w->file->used = w->f->batches;
    return w->file ? 0 : -1;
}

/* Moves the record behind those that were collected, as one line. */
static void collect(struct writer *w, const struct frame *r)
{
    char *d = w->end;

    memmove(d, r->p, r->len);
    for (char *p = d, *end = d + r->len; p < end; p++)
        if (*p == '\n' || *p == '\0')
            *p = ' ';
    d[r->len] = '\n'; /* there is room: the frame's beginning was longer */
    w->end = d + r->len + 1;
    w->last = r->time;
}

/* What says that lines were lost has no place, and is written whenever it comes. */
static int write_range(struct writer *w, struct str *rest, const char *path, uint32_t records)
{
    struct file_place *place = NULL;

    w->file = NULL;
    for (uint32_t i = 0; i < records; i++) {
        struct frame r;

        next_frame(rest, &r);
        if (r.key.p[0] != 'g') {
            if (!place || memcmp(place->key, r.key.p, FILE_PLACE_KEY) != 0)
                place = place_get(w->f, r.key);
            if (is_replayed(place, &r))
                continue;
            place_touch(w->f, place, &r, w->now);
        }
        if (choose(w, path, r.time) < 0)
            return -1;
        collect(w, &r);
    }
    return w->file ? flush(w) : 0;
}

static int sync_files(struct file_folder *f, struct err *e)
{
    list_for_each (it, &f->open) {
        struct file_entry *file = list_entry(it, struct file_entry, lru);
        struct stat st;

        if (!file->touched)
            continue;
        if (fdatasync(file->fd) < 0)
            return err_sys(e, errno, "file: fdatasync");
        if (!file_entry_is_there(f, file, &st))
            return err_set(e, ESTALE, FILE_GONE);
        if (file_positions_add_file(&f->positions, file) < 0)
            return err_set(e, ENOMEM, "file: out of memory");
    }
    FAULT_POINT("file-synced");
    return 0;
}

/* What is touched is durable. True when a file is to be rotated. */
static bool settle_touched(struct file_folder *f)
{
    bool large = false;

    list_for_each (it, &f->open) {
        struct file_entry *file = list_entry(it, struct file_entry, lru);

        if (!file->touched)
            continue;
        file->touched = false;
        file->len = file->new_len;
        file->last = file->new_last;
        large |= file->len >= f->cfg.rotate;
    }
    while (!list_empty(&f->touched)) {
        struct file_place *place = list_entry(f->touched.next, struct file_place, node);

        list_del(&place->node);
        place->touched = false;
        place->from = place->new_from;
        place->off = place->new_off;
        place->len = place->new_len;
    }
    return large;
}

static int confirm(struct file_folder *f, struct err *e)
{
    if (sync_files(f, e) < 0)
        return -1;
    list_for_each (it, &f->touched)
        if (file_positions_add_place(&f->positions, list_entry(it, struct file_place, node)) < 0)
            return err_set(e, ENOMEM, "file: out of memory");
    return f->positions.text.len ? file_positions_commit(&f->positions, true, e) : 0;
}

/* No torn line stays on view. */
static void undo(struct file_folder *f)
{
    list_for_each (it, &f->open) {
        struct file_entry *file = list_entry(it, struct file_entry, lru);

        if (file->touched && ftruncate(file->fd, (off_t)file->len) < 0)
            return; /* it is done when the folder is opened */
    }
}

/* ---- the folder ---- */

void file_folder_init(struct file_folder *f, const struct file_folder_config *cfg)
{
    *f = (struct file_folder){.cfg = *cfg, .root = -1, .lock = -1};
    list_init(&f->open);
    list_init(&f->touched);
    file_positions_init(&f->positions);
}

static int open_root(struct file_folder *f, struct err *e)
{
    f->root = open(f->cfg.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->root < 0)
        return err_sys(e, errno, "file: folder");
    f->lock =
        openat(f->root, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, LOCK_MODE);
    if (f->lock < 0)
        return err_sys(e, errno, "file: open " LOCK);
    if (flock(f->lock, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(e, EBUSY, "file: the folder is used by another drain")
                                    : err_sys(e, errno, "file: lock");
    return 0;
}

int file_folder_open(struct file_folder *f, int64_t now, struct err *e)
{
    if (open_root(f, e) == 0 && file_positions_open(&f->positions, f->root, e) == 0 &&
        file_recover(f, e) == 0 && file_rotate_old(f, now, e) == 0)
        return 0;
    file_folder_close(f);
    return -1;
}

int file_folder_write(struct file_folder *f, const struct file_batch *b, int64_t now, struct err *e)
{
    struct writer w = {.f = f,
                       .e = e,
                       .now = now,
                       .begin = b->body->p,
                       .end = b->body->p,
                       .path = BUF_INIT(FILE_PATH_MAX)};
    struct str rest = buf_str(b->body);
    int rc = same_root(f, e);

    f->batches++;
    if (rc == 0)
        rc = file_rotate_unused(f, now, e);
    for (unsigned i = 0; i < b->n && rc == 0; i++)
        rc = write_range(&w, &rest, b->paths.p + b->ranges[i].path, b->ranges[i].records);
    if (rc == 0)
        FAULT_POINT("file-written");
    if (rc == 0)
        rc = confirm(f, e);
    buf_release(&w.path);
    if (rc < 0) {
        undo(f);
        return -1;
    }
    if (settle_touched(f))
        rc = file_rotate_large(f, now, e);
    return rc < 0 ? -1 : file_positions_tidy(&f->positions, e);
}

int file_folder_rotate(struct file_folder *f, int64_t now, bool all, struct err *e)
{
    if (same_root(f, e) < 0)
        return -1;
    return all ? file_rotate_all(f, now, e) : file_rotate_old(f, now, e);
}

void file_folder_close(struct file_folder *f)
{
    file_positions_release(&f->positions);
    list_init(&f->open);
    list_init(&f->touched);
    f->nopen = 0;
    if (f->lock >= 0)
        (void)close(f->lock); /* which unlocks it */
    if (f->root >= 0)
        (void)close(f->root); /* a directory */
    f->root = f->lock = -1;
}
