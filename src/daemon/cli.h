/*
 * The commands that print something and exit: --check, explain, drains. They write to a given
 * buffer or descriptor, so that tests can read the output.
 */
#ifndef DAEMON_CLI_H
#define DAEMON_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CLI_TEXT_MAX (64 * 1024 * 1024) /* `state ls` prints a line for each cursor */

/* Prints how a drain's URL would be used, as lines of "key  value". -1 with <e> saying what is
 * wrong; it never contains a credential. */
int cli_check(struct str url, struct buf *out, struct err *e);
/* Reads the first line of <fd>, trimmed: for --check -. */
int cli_read_url(int fd, struct buf *out, struct err *e);

/* `logtrain explain`: asks the daemon whose state is in <dir> about <pod>, "namespace/name". -1
 * with its answer in <e> when it knows no such pod, or with the socket's path when there is no
 * answer. Blocks, like the next one. */
int cli_explain(const char *pod, const char *dir, struct buf *out, struct err *e);
/* `logtrain drains`: the daemon's /drains. */
int cli_drains(const char *dir, struct buf *out, struct err *e);
#endif
