/* Unix sockets in a directory, by name. The path may be longer than a socket address allows. */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* Listens at <dir>/<name>, mode 0600; <dir> must exist. A stale socket is replaced atomically.
 * <id>: the file's current stat. Returns the non-blocking descriptor; -1 with e->code EADDRINUSE
 * when a process answers there, or another cause. */
int local_listen(const char *dir, const char *name, struct stat *id, struct err *e);
/* Receives datagrams at <dir>/<name>, each with its sender's credentials (SO_PASSCRED), mode
 * <mode>, group <gid> unless it is -1. A stale socket is replaced; anything else there is left
 * alone, and is an error. Otherwise as local_listen(). */
int local_receive(const char *dir, const char *name, mode_t mode, gid_t gid, struct stat *id,
                  struct err *e);
/* A blocking connection to it. Each read and write waits <wait_s> at most. */
int local_connect(const char *dir, const char *name, unsigned wait_s, struct err *e);
/* True when <dir>/<name> is still the file of <id>. */
bool local_is(const char *dir, const char *name, const struct stat *id);
/* Removes it if local_is() holds. */
void local_remove(const char *dir, const char *name, const struct stat *id);

#endif
