/*
 * The commands that print something and leave: --help, --version, --limits, --check. They write to
 * a buffer or a descriptor given to them, so that tests can read what a person would.
 */
#ifndef DAEMON_CLI_H
#define DAEMON_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#define CLI_TEXT_MAX (256 * 1024)

int cli_help(struct buf *out);
/* "name value unit" for each limit of base/limits.h. */
int cli_limits(struct buf *out);
/* How a drain's URL would be used, as lines of "key  value". -1 with <e> saying what is wrong with
 * it, never with a credential of it. */
int cli_check(struct str url, struct buf *out, struct err *e);
/* The first line of <fd>, trimmed: for --check -. */
int cli_read_url(int fd, struct buf *out, struct err *e);

#endif
