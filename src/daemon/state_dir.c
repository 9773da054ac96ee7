/* See state_dir.h. */
#include "daemon/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define SLOT_MIN (64 * 1024)
#define SLOT_MAX (1024 * 1024 * 1024)

static const char *const slot_names[2] = {"cursors.a", "cursors.b"};

void state_dir_init(struct state_dir *d, const char *path)
{
    *d = (struct state_dir){.path = str_dup(str_of(path)), .lock = -1, .slots = {-1, -1}};
}

void state_dir_release(struct state_dir *d)
{
    for (unsigned i = 0; i < 2; i++)
        if (d->slots[i] >= 0)
            (void)close(d->slots[i]); /* what was written was synced, or said to have failed */
    if (d->lock >= 0)
        (void)close(d->lock);
    free(d->path);
    *d = (struct state_dir){.lock = -1, .slots = {-1, -1}};
}

/* mkdir -p; only the last directory is private. */
static int make_path(const char *path, struct err *e)
{
    char *part = str_dup(str_of(path));

    for (char *p = part + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        (void)mkdir(part, 0755); /* the last mkdir tells */
        *p = '/';
    }
    free(part);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot make %s", path);
    return 0;
}

/* The key is the lock file's content; a directory without one gets one. */
static int load_key(struct state_dir *d, int fd, struct err *e)
{
    if (pread(fd, d->key, sizeof(d->key), 0) == (ssize_t)sizeof(d->key))
        return 0;
    if (getrandom(d->key, sizeof(d->key), 0) != (ssize_t)sizeof(d->key) ||
        pwrite(fd, d->key, sizeof(d->key), 0) != (ssize_t)sizeof(d->key) || fsync(fd) < 0)
        return err_sys(e, errno, "%s/lock: cannot write", d->path);
    return 0;
}

int state_dir_open(struct state_dir *d, struct err *e)
{
    int dir, fd;

    if (d->lock >= 0)
        return 0;
    if (make_path(d->path, e) < 0)
        return -1;
    dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, errno, "cannot open %s", d->path);
    fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)err_sys(e, errno, "cannot write in %s", d->path);
    } else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)err_set(e, errno, "%s is in use by another logtrain", d->path);
        (void)close(fd);
        fd = -1;
    } else if (load_key(d, fd, e) < 0) {
        (void)close(fd);
        fd = -1;
    }
    for (unsigned i = 0; fd >= 0 && i < 2; i++) {
        if (d->slots[i] < 0)
            d->slots[i] =
                openat(dir, slot_names[i], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (d->slots[i] < 0) {
            (void)err_sys(e, errno, "cannot open %s/%s", d->path, slot_names[i]);
            (void)close(fd);
            fd = -1;
        }
    }
    (void)close(dir);
    d->lock = fd;
    return fd < 0 ? -1 : 0;
}

/* -1 = not good. <empty>: it holds nothing at all, as on a first start. */
static int load_slot(struct state_dir *d, unsigned i, struct state_slot *s, bool *empty,
                     struct err *e)
{
    struct buf text = BUF_INIT(SLOT_MAX);
    struct stat st;
    int rc = -1;

    *empty = false;
    if (fstat(d->slots[i], &st) < 0) {
        (void)err_sys(e, errno, "%s", slot_names[i]);
        goto out;
    }
    d->allocated[i] = (uint64_t)st.st_size;
    if (st.st_size == 0) {
        *empty = true;
        goto out;
    }
    if (buf_reserve(&text, (size_t)st.st_size) < 0) {
        (void)err_set(e, EFBIG, "%s is too large", slot_names[i]);
        goto out;
    }
    while (text.len < (size_t)st.st_size) {
        ssize_t n =
            pread(d->slots[i], text.p + text.len, (size_t)st.st_size - text.len, (off_t)text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* what is missing fails the checksum */
        text.len += (size_t)n;
    }
    rc = state_decode(buf_str(&text), s, e);
    *empty = rc < 0 && text.len && text.p[0] == '\0'; /* allocated and never written */
out:
    buf_release(&text);
    return rc;
}

int state_dir_load(struct state_dir *d, struct state_slot *out, enum state_found *found,
                   struct err *e)
{
    struct state_slot s[2] = {{0}, {0}};
    struct err why[2] = {{0}, {0}};
    bool empty[2], good[2];
    unsigned best;

    for (unsigned i = 0; i < 2; i++) {
        good[i] = load_slot(d, i, &s[i], &empty[i], &why[i]) == 0;
        if (!good[i] && !empty[i])
            log_warn("a slot of the state is not good", KV_CSTR("slot", slot_names[i]),
                     KV_ERR(&why[i]));
        if (why[i].code == EPROTONOSUPPORT) {
            *e = why[i];
            free(s[0].records);
            return err_wrap(e, "%s/%s", d->path, slot_names[i]);
        }
    }
    best = good[1] && (!good[0] || s[1].generation > s[0].generation);
    free(s[!best].records);
    *out = s[best];
    d->next = !best;
    *found = good[best] ? STATE_FOUND : empty[0] && empty[1] ? STATE_NONE : STATE_DAMAGED;
    return 0;
}

/* Room for twice as much as is needed, so that it is seldom asked for. */
static int allocate(struct state_dir *d, unsigned i, size_t need, struct err *e)
{
    uint64_t size = SLOT_MIN;
    int error;

    if (need <= d->allocated[i])
        return 0;
    while (size < 2 * (uint64_t)need)
        size *= 2;
    do {
        error = posix_fallocate(d->slots[i], 0, (off_t)size);
    } while (error == EINTR);
    if (error)
        return err_sys(e, error, "%s/%s: cannot allocate", d->path, slot_names[i]);
    d->allocated[i] = size;
    return 0;
}

int state_dir_write(struct state_dir *d, struct str text, struct err *e)
{
    unsigned i = d->next;
    size_t off = 0;

    if (state_dir_open(d, e) < 0 || allocate(d, i, text.len, e) < 0)
        return -1;
    while (off < text.len) {
        ssize_t n = pwrite(d->slots[i], text.p + off, text.len - off, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "%s/%s: cannot write", d->path, slot_names[i]);
        off += (size_t)n;
    }
    if (fdatasync(d->slots[i]) < 0)
        return err_sys(e, errno, "%s/%s: cannot sync", d->path, slot_names[i]);
    d->next = !i;
    return 0;
}
