/* Small files that people or Kubernetes provide: certificates, tokens, configurations. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Reads the regular file <path> into <out>, which is cleared first. A NUL follows the text and is
 * not counted. Fails when the file is larger than <out>'s cap or not a regular file (a FIFO, a
 * directory). Blocks as long as the local file system takes. */
int file_read(const char *path, struct buf *out, struct err *e);
/* Opens <path>, which has no symlinks: one that was planted in it is not followed. <flags>: as of
 * open(2); close-on-exec, non-blocking, never a controlling terminal. -1 with errno. */
int file_open_plain(const char *path, int flags);
/* Writes <text> to <path> with mode 0644, atomically: a reader sees the whole file or none. */
int file_write(const char *path, struct str text, struct err *e);
/* Writes all of <s> where <fd> stands. -1 with errno set: a part of it may be written. */
int file_write_all(int fd, struct str s);

#endif
