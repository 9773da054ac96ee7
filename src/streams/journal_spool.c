/*
 * Where segments are stored: a memfd, or a file in SPOOL_PATH named by a number that is never
 * reused (a tenant's name is never part of a path). At start the files of the last run are found
 * again: each begins with its hostname, and is cut after the last complete record.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "streams/journal.h"

#define NAME_DIGITS 16
#define NAME_END ".journal"
#define PATH_SIZE 4096
/* A segment ends with the record that passes JOURNAL_SEGMENT_BYTES. */
#define FILE_MOST (JOURNAL_SEGMENT_BYTES + MAX_LINE_LIMIT + JOURNAL_OVERHEAD_MAX)

int journal_spool_open(struct journal_store *s, struct err *e)
{
    if (mkdir(s->path, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", s->path);
    s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0)
        return err_sys(e, errno, "cannot open %s", s->path);
    s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return err_sys(e, errno, "cannot write in %s", s->path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
        return err_set(e, errno, "%s is in use by another logtrain", s->path);
    return 0;
}

static int spool_open(struct journal_store *s, struct journal_segment *seg, struct err *e)
{
    char name[NAME_DIGITS + sizeof(NAME_END)];
    struct buf path = BUF_INIT(PATH_SIZE);

    seg->seq = s->next_seq++;
    (void)snprintf(name, sizeof(name), "%0*" PRIx64 NAME_END, NAME_DIGITS, seg->seq);
    if (buf_addf(&path, "%s/%s", s->path, name) < 0) {
        buf_release(&path);
        return err_set(e, ENAMETOOLONG, "SPOOL_PATH is too long");
    }
    seg->fd = openat(s->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (seg->fd < 0) {
        (void)err_sys(e, errno, "cannot make %s", path.p);
        buf_release(&path);
        return -1;
    }
    seg->path = path.p; /* taken over */
    return 0;
}

int journal_segment_open(struct journal_store *s, struct journal_segment *seg, struct err *e)
{
    if (*s->path)
        return spool_open(s, seg, e);
    seg->fd = memfd_create("logtrain-journal", MFD_CLOEXEC);
    return seg->fd < 0 ? err_sys(e, errno, "memfd_create") : 0;
}

/* ---- at start ---- */

static bool name_seq(const char *name, uint64_t *seq)
{
    char *end;

    if (strlen(name) != NAME_DIGITS + sizeof(NAME_END) - 1 ||
        strcmp(name + NAME_DIGITS, NAME_END) != 0 || strspn(name, "0123456789abcdef") < NAME_DIGITS)
        return false;
    *seq = strtoull(name, &end, 16);
    return *seq > 0 && *seq < UINT64_MAX;
}

/* All of the file; -1 when it cannot be read. */
static int read_all(int fd, struct buf *out)
{
    struct stat st;

    buf_clear(out);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > (off_t)out->max ||
        buf_reserve(out, (size_t)st.st_size) < 0)
        return -1;
    while (out->len < (size_t)st.st_size) {
        ssize_t n = pread(fd, out->p + out->len, (size_t)st.st_size - out->len, (off_t)out->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        out->len += (size_t)n;
    }
    return 0;
}

/* Fills in <f> and cuts the torn tail. 0 = it contains records; 1 = it contains none and is
 * removed; -1 = unreadable, left alone. */
static int look(struct journal_store *s, const char *name, struct buf *text,
                struct journal_found *f)
{
    size_t most = MAX_LINE_LIMIT + JOURNAL_OVERHEAD_MAX, records, good, len;
    int fd = openat(s->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct record_syslog syslog;
    struct record head;

    if (fd < 0 || read_all(fd, text) < 0) {
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    good = journal_valid_len(buf_str(text), most, &records);
    if (good < text->len) {
        s->stats.torn_bytes += text->len - good;
        log_warn("journal file has a torn end, truncating it", KV_CSTR("file", name),
                 KV_INT("bytes", text->len - good), KV_INT("records", records));
        if (ftruncate(fd, (off_t)good) < 0)
            log_debug("a journal file will be cut at the next start", KV_CSTR("file", name));
    }
    (void)close(fd);
    f->size = good;
    if (records < 2 ||
        journal_record_get(buf_str(text), most, true, &head, &syslog, &len) != JOURNAL_GOT_HEAD)
        return (void)unlinkat(s->dir, name, 0), 1;
    f->hostname = str_make(str_dup(head.msg), head.msg.len);
    f->trusted = str_make(str_dup(syslog.tag), syslog.tag.len);
    f->tenant = str_make(str_dup(syslog.sd), syslog.sd.len);
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct journal_found *x = a, *y = b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

struct finds {
    struct journal_found *all;
    size_t n, cap;
};

static void consider(struct journal_store *s, const char *name, struct buf *text, struct finds *out)
{
    struct journal_found f = {.seq = 0};
    struct buf path = BUF_INIT(PATH_SIZE);
    int rc;

    if (!name_seq(name, &f.seq))
        return;
    if (f.seq >= s->next_seq)
        s->next_seq = f.seq + 1;
    rc = look(s, name, text, &f);
    if (rc < 0) {
        s->stats.errors++;
        log_error("cannot read journal file, skipping it", KV_CSTR("file", name));
    }
    if (rc != 0 || buf_addf(&path, "%s/%s", s->path, name) < 0)
        return;
    f.path = path.p;
    if (out->n == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 64;
        out->all = xrealloc(out->all, out->cap * sizeof(*out->all));
    }
    out->all[out->n++] = f;
}

int journal_spool_scan(struct journal_store *s,
                       void (*found)(void *arg, const struct journal_found *f), void *arg,
                       struct err *e)
{
    struct buf text = BUF_INIT(FILE_MOST);
    struct finds finds = {NULL, 0, 0};
    const struct dirent *ent;
    DIR *dir;

    if (!*s->path)
        return 0;
    dir = opendir(s->path);
    if (!dir)
        return err_sys(e, errno, "cannot read %s", s->path);
    while ((ent = readdir(dir)))
        consider(s, ent->d_name, &text, &finds);
    (void)closedir(dir);
    buf_release(&text);
    if (finds.n)
        qsort(finds.all, finds.n, sizeof(*finds.all), by_age);
    for (size_t i = 0; i < finds.n; i++) {
        const struct journal_found *f = &finds.all[i];

        found(arg, f);
        free((char *)(uintptr_t)f->hostname.p);
        free((char *)(uintptr_t)f->trusted.p);
        free((char *)(uintptr_t)f->tenant.p);
    }
    free(finds.all);
    return 0;
}
