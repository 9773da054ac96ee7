/* See dir.h. */
#include "state/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "state/look.h"

#define SLOT_MIN (64 * 1024)

void state_dir_init(struct state_dir *d, const char *path)
{
    *d = (struct state_dir){.path = str_dup(str_of(path)), .lock = -1, .slots = {-1, -1}};
}

static void close_all(struct state_dir *d)
{
    for (unsigned i = 0; i < STATE_SLOTS; i++) {
        if (d->slots[i] >= 0)
            (void)close(d->slots[i]); /* the data was synced, or the failure was reported */
        d->slots[i] = -1;
    }
    if (d->lock >= 0)
        (void)close(d->lock);
    d->lock = -1;
    d->whole = false;
}

void state_dir_release(struct state_dir *d)
{
    close_all(d);
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
        (void)mkdir(part, 0755); /* the last mkdir() reports the error */
        *p = '/';
    }
    free(part);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_sys(e, errno, "cannot create %s", path);
    return 0;
}

static int make_key(struct state_dir *d, struct err *e)
{
    if (d->has_key)
        return 0;
    if (getrandom(d->key, sizeof(d->key), 0) != (ssize_t)sizeof(d->key))
        return err_sys(e, errno, "no random bytes");
    d->has_key = true;
    return 0;
}

/* Workers hash with one key for the whole run. A directory that appears later with another key
 * is overwritten. Its slots fit its own key until both are overwritten, so they stay valid until
 * then. */
static void compare_key(struct state_dir *d, int fd)
{
    char text[STATE_KEY_SIZE], want[STATE_KEY_SIZE];
    ssize_t n = pread(fd, text, sizeof(text), 0);

    state_key_encode(want, d->key);
    d->whole = d->whole && n == STATE_KEY_SIZE && memcmp(text, want, sizeof(want)) == 0;
    if (d->loaded && n > 0 && memcmp(text, want, (size_t)n) != 0)
        log_warn("replacing state that could not be read at start", KV_CSTR("path", d->path));
    FAULT_POINT("state-locked");
}

static int open_slots(struct state_dir *d, int dir, struct err *e)
{
    struct stat st;

    for (unsigned i = 0; i < STATE_SLOTS; i++) {
        if (d->slots[i] < 0)
            d->slots[i] =
                openat(dir, state_slot_names[i], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (d->slots[i] < 0 || fstat(d->slots[i], &st) < 0)
            return err_sys(e, errno, "cannot open %s/%s", d->path, state_slot_names[i]);
        d->allocated[i] = (uint64_t)st.st_size;
    }
    return 0;
}

int state_dir_open(struct state_dir *d, struct err *e)
{
    int dir, fd, rc = -1;

    if (d->lock >= 0)
        return 0;
    if (make_path(d->path, e) < 0)
        return -1;
    dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(e, errno, "cannot open %s", d->path);
    fd = openat(dir, STATE_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        (void)err_sys(e, errno, "cannot write in %s", d->path);
    else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        (void)err_set(e, errno, "%s is in use by another logtrain", d->path);
    else
        rc = open_slots(d, dir, e);
    /* Makes the new names durable; not every file system supports this, and the files themselves
     * are synced. */
    (void)fsync(dir);
    (void)close(dir);
    if (rc == 0)
        compare_key(d, fd);
    if (rc < 0 && fd >= 0)
        (void)close(fd); /* this also unlocks it; nothing was written */
    else
        d->lock = fd;
    return rc;
}

int state_dir_load(struct state_dir *d, struct state_slot *out, enum state_found *found,
                   struct err *e)
{
    struct state_look look;
    struct err why = {0};

    *out = (struct state_slot){0};
    *found = STATE_DAMAGED;
    if (state_look(&look, d->path, &why) < 0) {
        if (why.code == ENOENT || why.code == ENOTDIR)
            *found = STATE_NONE;
        else
            log_warn("cannot read state", KV_ERR(&why));
        d->loaded = true;
        return make_key(d, e);
    }
    for (unsigned i = 0; i < STATE_SLOTS; i++) {
        if (look.good[i] || look.fresh)
            continue;
        log_warn("state slot is invalid", KV_CSTR("slot", state_slot_names[i]),
                 KV_ERR(&look.why[i]));
        if (look.why[i].code == EPROTONOSUPPORT) {
            *e = look.why[i];
            state_look_release(&look);
            return err_wrap(e, "%s/%s", d->path, state_slot_names[i]);
        }
    }
    if (!look.has_key && !look.fresh)
        log_warn("state key is invalid", KV_ERR(&look.why_key));
    d->whole = state_look_is_whole(&look);
    if (look.best >= 0 && look.has_key) {
        memcpy(d->key, look.key, sizeof(d->key));
        d->has_key = true;
        *out = look.slots[look.best];
        look.good[look.best] = false; /* the records now belong to the caller */
        *found = STATE_FOUND;
    } else if (look.fresh) {
        *found = STATE_NONE;
    }
    d->next = look.best == 0;
    d->loaded = true;
    state_look_release(&look);
    return make_key(d, e);
}

/* Allocates twice the need, so that it is seldom called. */
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
    /* A slot that was never written stays empty: the next start then sees a fresh directory. */
    if (error && !d->allocated[i] && ftruncate(d->slots[i], 0) < 0)
        return err_sys(e, errno, "%s/%s: cannot truncate", d->path, state_slot_names[i]);
    if (error)
        return err_sys(e, error, "%s/%s: cannot allocate", d->path, state_slot_names[i]);
    d->allocated[i] = size;
    FAULT_POINT("slot-allocated");
    return 0;
}

static int write_slot(struct state_dir *d, unsigned i, struct str text, struct err *e)
{
    size_t off = 0;

    if (allocate(d, i, text.len, e) < 0)
        return -1;
    while (off < text.len) {
        ssize_t n = pwrite(d->slots[i], text.p + off, text.len - off, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "%s/%s: cannot write", d->path, state_slot_names[i]);
        off += (size_t)n;
    }
    FAULT_POINT("slot-written");
    if (fdatasync(d->slots[i]) < 0)
        return err_sys(e, errno, "%s/%s: cannot sync", d->path, state_slot_names[i]);
    FAULT_POINT("slot-synced");
    d->next = !i;
    return 0;
}

static int write_key(struct state_dir *d, struct err *e)
{
    char text[STATE_KEY_SIZE];

    state_key_encode(text, d->key);
    if (pwrite(d->lock, text, sizeof(text), 0) != (ssize_t)sizeof(text) ||
        ftruncate(d->lock, sizeof(text)) < 0 || fsync(d->lock) < 0)
        return err_sys(e, errno, "%s/" STATE_LOCK_NAME ": cannot write", d->path);
    FAULT_POINT("key-written");
    return 0;
}

int state_dir_write(struct state_dir *d, struct str text, struct err *e)
{
    if (state_dir_open(d, e) < 0 || write_slot(d, d->next, text, e) < 0)
        return -1;
    if (d->whole)
        return 0;
    if (write_slot(d, d->next, text, e) < 0 || write_key(d, e) < 0)
        return -1;
    d->whole = true;
    return 0;
}

/* Checks that <name> is the file <fd>, with at least <size> bytes. */
static int check_file(const struct state_dir *d, int dir, int fd, const char *name, uint64_t size,
                      struct err *e)
{
    struct stat ours, there;

    if (fstat(fd, &ours) < 0 || fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, errno, "%s/%s", d->path, name);
    if (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino)
        return err_set(e, ESTALE, "%s/%s is another file", d->path, name);
    if ((uint64_t)ours.st_size < size)
        return err_set(e, ESTALE, "%s/%s was truncated", d->path, name);
    return 0;
}

int state_dir_check(struct state_dir *d, struct err *e)
{
    int dir, rc;

    if (d->lock < 0)
        return 0;
    dir = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = dir < 0 ? err_sys(e, errno, "%s", d->path)
                 : check_file(d, dir, d->lock, STATE_LOCK_NAME, d->whole ? STATE_KEY_SIZE : 0, e);
    for (unsigned i = 0; rc == 0 && i < STATE_SLOTS; i++)
        rc = check_file(d, dir, d->slots[i], state_slot_names[i], d->allocated[i], e);
    if (dir >= 0)
        (void)close(dir); /* only read */
    if (rc < 0)
        close_all(d);
    return rc;
}
