/*
 * See local.h. A socket address holds 107 bytes of a path, so the directory is opened and addressed
 * by its descriptor.
 */
#include "net/local.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define TEMPORARY ".new"

static struct sockaddr_un address_of(int dir, const char *name, const char *suffix)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/%s%s", dir, name, suffix);
    return sa;
}

static int open_dir(const char *dir, struct err *e)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? err_sys(e, errno, "cannot open %s", dir) : fd;
}

/* True when a process has a socket there, also when it does not accept, or is of another type. */
static bool answers(int dir, const char *name)
{
    struct sockaddr_un sa = address_of(dir, name, "");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool yes;

    if (fd < 0)
        return false;
    yes = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EAGAIN ||
          errno == EPROTOTYPE;
    (void)close(fd); /* nothing was sent */
    return yes;
}

/* Created under another name and renamed, so that the socket at <name> always answers. */
static int bind_at(int fd, int dir, const char *name, mode_t mode, gid_t gid)
{
    struct sockaddr_un sa = address_of(dir, name, TEMPORARY);
    char temporary[NAME_MAX + 1];
    struct stat st;

    (void)snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
    if (fstatat(dir, temporary, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
        unlinkat(dir, temporary, 0) < 0)
        return -1;
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return -1;
    if (gid != (gid_t)-1 && fchownat(dir, temporary, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return fchmodat(dir, temporary, mode, 0);
}

static int put_in_place(int dir, const char *name)
{
    char temporary[NAME_MAX + 1];

    (void)snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
    return renameat(dir, temporary, dir, name);
}

int local_listen(const char *dir, const char *name, struct stat *id, struct err *e)
{
    int at = open_dir(dir, e), fd = -1;

    if (at < 0)
        return -1;
    if (answers(at, name)) {
        (void)err_set(e, EADDRINUSE, "%s/%s: address already in use", dir, name);
        goto out;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_at(fd, at, name, 0600, (gid_t)-1) == 0 && listen(fd, BACKLOG) == 0 &&
        put_in_place(at, name) == 0 && fstatat(at, name, id, AT_SYMLINK_NOFOLLOW) == 0)
        goto out;
    (void)err_sys(e, errno, "cannot listen at %s/%s", dir, name);
    if (fd >= 0)
        (void)close(fd); /* no client has connected */
    fd = -1;
out:
    (void)close(at); /* only used for its name */
    return fd;
}

/* Whether something is there that must not be replaced. */
static int check_stale(int at, const char *dir, const char *name, struct err *e)
{
    struct stat st;

    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(e, errno, "%s/%s", dir, name);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, EEXIST, "%s/%s exists and is not a socket", dir, name);
    if (answers(at, name))
        return err_set(e, EADDRINUSE, "%s/%s: address already in use", dir, name);
    return 0;
}

int local_receive(const char *dir, const char *name, mode_t mode, gid_t gid, struct stat *id,
                  struct err *e)
{
    int at = open_dir(dir, e), fd = -1, one = 1;

    if (at < 0)
        return -1;
    if (check_stale(at, dir, name, e) < 0)
        goto out;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Before it has a name: no datagram may come without credentials. */
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0 &&
        bind_at(fd, at, name, mode, gid) == 0 && put_in_place(at, name) == 0 &&
        fstatat(at, name, id, AT_SYMLINK_NOFOLLOW) == 0)
        goto out;
    (void)err_sys(e, errno, "cannot listen at %s/%s", dir, name);
    if (fd >= 0)
        (void)close(fd); /* nobody was told its name */
    fd = -1;
out:
    (void)close(at); /* only used for its name */
    return fd;
}

int local_connect(const char *dir, const char *name, unsigned wait_s, struct err *e)
{
    const struct timeval wait = {.tv_sec = wait_s};
    int at = open_dir(dir, e), fd;
    struct sockaddr_un sa;

    if (at < 0)
        return -1;
    sa = address_of(at, name, "");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
        connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        (void)err_sys(e, errno, "%s/%s", dir, name);
        if (fd >= 0)
            (void)close(fd); /* nothing was sent */
        fd = -1;
    }
    (void)close(at); /* only used for its name */
    return fd;
}

static bool is_at(int at, const char *name, const struct stat *id)
{
    struct stat st;

    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == id->st_dev &&
           st.st_ino == id->st_ino;
}

bool local_is(const char *dir, const char *name, const struct stat *id)
{
    struct err ignored;
    int at = open_dir(dir, &ignored);
    bool yes = at >= 0 && is_at(at, name, id);

    if (at >= 0)
        (void)close(at); /* only used for its name */
    return yes;
}

void local_remove(const char *dir, const char *name, const struct stat *id)
{
    struct err ignored;
    int at = open_dir(dir, &ignored);

    if (at < 0)
        return;
    if (is_at(at, name, id))
        (void)unlinkat(at, name, 0); /* a leftover is replaced by the next start */
    (void)close(at);                 /* only used for its name */
}
