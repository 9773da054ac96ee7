/*
 * Unix sockets that lie in a directory, by name. The path may be longer than a socket's address has
 * room for.
 */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* Listens at <dir>/<name>, mode 0600; <dir> has to be there. A socket that nobody listens on any
 * more is replaced in one step. <id>: how the file looks now. The descriptor, non-blocking; -1 with
 * e->code EADDRINUSE when somebody answers there, or another cause. */
int local_listen(const char *dir, const char *name, struct stat *id, struct err *e);
/* A blocking connection to it; each read and write waits <wait_s> at most. */
int local_connect(const char *dir, const char *name, unsigned wait_s, struct err *e);
/* Whether <dir>/<name> is still the file that <id> was. */
bool local_is(const char *dir, const char *name, const struct stat *id);
/* Removes it if it is. */
void local_remove(const char *dir, const char *name, const struct stat *id);

#endif
