/*
 * --check, which prints how a URL would be used. It writes to a given buffer, so that tests can
 * read the output.
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

#endif
