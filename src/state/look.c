/* See look.h. */
#include "state/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/map.h"

#define SLOT_MAX (1024 * 1024 * 1024)

const char *const state_slot_names[STATE_SLOTS] = {"cursors.a", "cursors.b"};

static int open_in(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* Reads all of <fd>. A short read is no error here: the checksum will fail. */
static int read_all(int fd, struct buf *text, struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(e, errno, "cannot be read");
    if (!S_ISREG(st.st_mode))
        return err_set(e, EBADMSG, "not a file");
    if (buf_reserve(text, (size_t)st.st_size) < 0)
        return err_set(e, EFBIG, "too large");
    while (text->len < (size_t)st.st_size) {
        ssize_t n =
            pread(fd, text->p + text->len, (size_t)st.st_size - text->len, (off_t)text->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, errno, "cannot be read");
        if (n == 0)
            break;
        text->len += (size_t)n;
    }
    return 0;
}

static void look_at_slot(struct state_look *look, int dir, unsigned i)
{
    struct buf text = BUF_INIT(SLOT_MAX);
    struct err *why = &look->why[i];
    int fd = open_in(dir, state_slot_names[i]);

    if (fd < 0) {
        look->empty[i] = errno == ENOENT;
        (void)err_sys(why, errno, "cannot be opened");
        return;
    }
    if (read_all(fd, &text, why) == 0) {
        look->empty[i] = text.len == 0;
        look->good[i] = state_slot_decode(buf_str(&text), &look->slots[i], why) == 0;
    }
    buf_release(&text);
    (void)close(fd); /* only read from */
}

/* ---- the key ---- */

void state_key_encode(char out[STATE_KEY_SIZE], const uint64_t key[2])
{
    uint64_t sum = hash_stable(key, STATE_KEY_SIZE_1);

    memcpy(out, key, STATE_KEY_SIZE_1);
    memcpy(out + STATE_KEY_SIZE_1, &sum, sizeof(sum));
}

/* Bytes in the lock file. */
static ssize_t look_at_key(struct state_look *look, int dir)
{
    char text[STATE_KEY_SIZE + 1], want[STATE_KEY_SIZE];
    int fd = open_in(dir, STATE_LOCK_NAME);
    ssize_t n;

    if (fd < 0) {
        n = errno == ENOENT ? 0 : -1;
        (void)err_sys(&look->why_key, errno, "cannot be opened");
        return n;
    }
    n = pread(fd, text, sizeof(text), 0);
    if (n >= STATE_KEY_SIZE_1)
        memcpy(look->key, text, sizeof(look->key));
    state_key_encode(want, look->key);
    look->old_key = n == STATE_KEY_SIZE_1;
    look->has_key = look->old_key || (n == STATE_KEY_SIZE && memcmp(text, want, (size_t)n) == 0);
    if (n < 0)
        (void)err_sys(&look->why_key, errno, "cannot be read");
    else if (!look->has_key)
        (void)err_set(&look->why_key, EBADMSG, n ? "the key is damaged" : "the key is missing");
    (void)close(fd); /* only read from */
    return n;
}

/* A slot is used only with the key that it was written with: with another, no record would match a
 * drain, silently. */
static void check_keys(struct state_look *look)
{
    for (unsigned i = 0; look->has_key && i < STATE_SLOTS; i++) {
        const struct state_slot *s = &look->slots[i];

        if (!look->good[i] || s->version == 1 || s->key_check == state_key_check(look->key))
            continue;
        look->good[i] = false;
        free(s->records);
        (void)err_set(&look->why[i], EBADMSG, "state was written with another key");
    }
}

/* ---- the whole ---- */

bool state_look_is_whole(const struct state_look *look)
{
    return look->has_key && !look->old_key && look->good[0] && look->good[1];
}

int state_look(struct state_look *look, const char *path, struct err *e)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ssize_t key_bytes;

    *look = (struct state_look){.best = -1};
    if (dir < 0)
        return err_sys(e, errno, "cannot open %s", path);
    key_bytes = look_at_key(look, dir);
    for (unsigned i = 0; i < STATE_SLOTS; i++)
        look_at_slot(look, dir, i);
    (void)close(dir); /* only read from */
    check_keys(look);
    look->fresh = key_bytes == 0 && look->empty[0] && look->empty[1];
    for (unsigned i = 0; i < STATE_SLOTS; i++)
        if (look->good[i] &&
            (look->best < 0 || look->slots[i].generation > look->slots[look->best].generation))
            look->best = (int)i;
    return 0;
}

void state_look_release(struct state_look *look)
{
    for (unsigned i = 0; i < STATE_SLOTS; i++) {
        if (look->good[i])
            free(look->slots[i].records);
        look->slots[i].records = NULL;
    }
}
