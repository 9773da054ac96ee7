/* See state_look.h. */
#include "daemon/state_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define SLOT_MAX (1024 * 1024 * 1024)

const char *const state_slot_names[STATE_SLOTS] = {"cursors.a", "cursors.b"};

static int open_in(int dir, const char *name)
{
    return openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* All of <fd>, as far as it can be had: what is missing fails the checksum. */
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
        look->good[i] = state_decode(buf_str(&text), &look->slots[i], why) == 0;
        /* allocated and never written */
        look->empty[i] = !look->good[i] && (text.len == 0 || text.p[0] == '\0');
    }
    buf_release(&text);
    (void)close(fd); /* only read from */
}

int state_look(struct state_look *look, const char *path, struct err *e)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

    *look = (struct state_look){.best = -1};
    if (dir < 0)
        return err_sys(e, errno, "cannot open %s", path);
    fd = open_in(dir, STATE_LOCK_NAME);
    if (fd >= 0) {
        look->has_key = pread(fd, look->key, sizeof(look->key), 0) == (ssize_t)sizeof(look->key);
        (void)close(fd); /* only read from */
    }
    for (unsigned i = 0; i < STATE_SLOTS; i++) {
        look_at_slot(look, dir, i);
        if (look->good[i] &&
            (look->best < 0 || look->slots[i].generation > look->slots[look->best].generation))
            look->best = (int)i;
    }
    (void)close(dir); /* only read from */
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
