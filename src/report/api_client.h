/*
 * The other end of api_socket.h: a command asks the daemon that runs on this node. Blocks.
 */
#ifndef REPORT_API_CLIENT_H
#define REPORT_API_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

/* Appends to <out> what the daemon that keeps its state in <dir> answers to GET <target>. -1 with
 * its answer in <e> when that is no 200, or with where it was looked for when it does not answer.
 */
int api_client_get(const char *dir, const char *target, struct buf *out, struct err *e);

#endif
