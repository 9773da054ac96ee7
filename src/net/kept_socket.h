/*
 * A Unix socket that is created again when its file is removed, or its directory is replaced. It
 * costs no wake-up: inotify reports when names change.
 */
#ifndef NET_KEPT_SOCKET_H
#define NET_KEPT_SOCKET_H

#include <sys/stat.h>

#include "base/err.h"
#include "loop/loop.h"
#include "loop/notify.h"

struct kept_socket;

struct kept_socket_config {
    struct loop *loop;
    struct notify *notify;
    const char *dir, *name; /* borrowed */
    /* Binds a new socket at <dir>/<name> (net/local.h) and takes it over from the one before.
     * <id>: the file's stat. */
    int (*bind)(void *arg, struct stat *id, struct err *e);
    void *arg;
    const char *complaint; /* logged, at most every ten minutes, while it cannot be created */
};

/* Binds at once. If that fails: with <e>, NULL; without, it is tried again. */
struct kept_socket *kept_socket_open(const struct kept_socket_config *cfg, struct err *e);
/* Removes the file. Call before the notify is freed. NULL is fine. */
void kept_socket_close(struct kept_socket *k);

#endif
