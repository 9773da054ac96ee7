/* Small files that people or Kubernetes put there: certificates, tokens, configurations. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* All of the regular file <path> into <out>, which is cleared first and ends in a NUL that is not
 * counted. A file that is longer than <out> may be, or that is none (a FIFO, a directory), is
 * refused. Blocks for as long as a local file system takes. */
int file_read(const char *path, struct buf *out, struct err *e);
/* <text> as <path>, mode 0644, whole or not at all: who waits for it reads it as soon as it is
 * there. */
int file_write(const char *path, struct str text, struct err *e);

#endif
