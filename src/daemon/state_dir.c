/* See state_dir.h. */
#include "daemon/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/state_look.h"

#define SLOT_MIN (64 * 1024)

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

/* A file that was there before the key, and whose records this run cannot tell: whatever happens
 * from here on, a start must not take them for ours, nor believe that there never was a state. */
static int spoil_slots(struct state_dir *d, struct err *e)
{
    static const char mark[] = "SPOILED\n";

    for (unsigned i = 0; i < STATE_SLOTS; i++)
        if (pwrite(d->slots[i], mark, sizeof(mark) - 1, 0) != (ssize_t)sizeof(mark) - 1 ||
            fdatasync(d->slots[i]) < 0)
            return err_sys(e, errno, "%s/%s: cannot write", d->path, state_slot_names[i]);
    return 0;
}

/* The key is the lock file's content; a directory without one gets ours. Once workers hash with a
 * key it stays for the run: a directory that turns up later with another one starts anew. */
static int settle_key(struct state_dir *d, int fd, struct err *e)
{
    uint64_t key[2];
    bool has = pread(fd, key, sizeof(key), 0) == (ssize_t)sizeof(key);
    bool old = has || d->allocated[0] || d->allocated[1];

    if (has && memcmp(key, d->key, sizeof(key)) == 0)
        return 0;
    if (has && !d->has_key) {
        memcpy(d->key, key, sizeof(key));
        d->has_key = true;
        return 0;
    }
    FAULT_POINT("state-locked");
    if (state_dir_make_key(d, e) < 0 || (old && spoil_slots(d, e) < 0))
        return -1;
    if (old)
        log_warn("state of an earlier run could not be read at start, and is replaced",
                 KV_CSTR("path", d->path));
    if (pwrite(fd, d->key, sizeof(d->key), 0) != (ssize_t)sizeof(d->key) || fsync(fd) < 0)
        return err_sys(e, errno, "%s/" STATE_LOCK_NAME ": cannot write", d->path);
    FAULT_POINT("key-written");
    return 0;
}

int state_dir_make_key(struct state_dir *d, struct err *e)
{
    if (d->has_key)
        return 0;
    if (getrandom(d->key, sizeof(d->key), 0) != (ssize_t)sizeof(d->key))
        return err_sys(e, errno, "no random bytes");
    d->has_key = true;
    return 0;
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
        rc = open_slots(d, dir, e) < 0 || settle_key(d, fd, e) < 0 ? -1 : 0;
    (void)close(dir); /* only read from */
    if (rc < 0 && fd >= 0)
        (void)close(fd); /* the lock goes with it; nothing was written, or it was said */
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
            log_warn("state cannot be read", KV_ERR(&why));
        return state_dir_make_key(d, e);
    }
    for (unsigned i = 0; i < STATE_SLOTS; i++) {
        if (look.good[i] || look.empty[i])
            continue;
        log_warn("a slot of the state is not good", KV_CSTR("slot", state_slot_names[i]),
                 KV_ERR(&look.why[i]));
        if (look.why[i].code == EPROTONOSUPPORT) {
            *e = look.why[i];
            state_look_release(&look);
            return err_wrap(e, "%s/%s", d->path, state_slot_names[i]);
        }
    }
    if (look.has_key && !d->has_key) { /* the directory is there, but cannot be written */
        memcpy(d->key, look.key, sizeof(d->key));
        d->has_key = true;
    }
    if (look.best >= 0 && look.has_key) {
        *out = look.slots[look.best];
        look.good[look.best] = false; /* the records are the caller's */
        *found = STATE_FOUND;
    } else if (look.empty[0] && look.empty[1]) {
        *found = STATE_NONE;
    }
    d->next = look.best == 0;
    state_look_release(&look);
    return state_dir_make_key(d, e);
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
        return err_sys(e, error, "%s/%s: cannot allocate", d->path, state_slot_names[i]);
    d->allocated[i] = size;
    FAULT_POINT("slot-allocated");
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
