/* The client of api_socket.h: a command asks the daemon that runs on this node. Blocks. */
#ifndef REPORT_API_CLIENT_H
#define REPORT_API_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

/* Appends to <out> the answer to GET <target> of the daemon whose state is in <dir>. -1 with the
 * answer in <e> when its status is not 200, or with the socket's path when there is no answer. */
int api_client_get(const char *dir, const char *target, struct buf *out, struct err *e);

#endif
