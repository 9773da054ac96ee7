/*
 * The commands that print something and leave: --check, explain, drains. They write to a buffer or
 * a descriptor given to them, so that tests can read it.
 */
#ifndef DAEMON_CLI_H
#define DAEMON_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CLI_TEXT_MAX (64 * 1024 * 1024) /* state ls has a line for each cursor */

/* How a drain's URL would be used, as lines of "key  value". -1 with <e> saying what is wrong with
 * it, never with a credential of it. */
int cli_check(struct str url, struct buf *out, struct err *e);
/* The first line of <fd>, trimmed: for --check -. */
int cli_read_url(int fd, struct buf *out, struct err *e);

/* `logtrain explain`: asks the daemon that keeps its state in <dir> about <pod>, "namespace/name".
 * -1 with its answer in <e> when it knows no such pod, or with the path of the socket when it does
 * not answer. Blocks, as the next. */
int cli_explain(const char *pod, const char *dir, struct buf *out, struct err *e);
/* `logtrain drains`: /drains of it. */
int cli_drains(const char *dir, struct buf *out, struct err *e);
#endif
