/* The client of report/api_socket.h: a command asks the daemon that runs on this node. Blocks. */
#ifndef CONSOLE_CLIENT_H
#define CONSOLE_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

/* Asks the daemon that keeps its state in <dir> for <target>. <take> gets each whole line without
 * its LF; non-zero ends it all. Returns the status of the answer, of which <text> has the body when
 * that is not 200; -1 with <e>: nobody answers, or the answer ended before it was whole; 0: <take>
 * has ended it. */
int client_lines(const char *dir, const char *target, int (*take)(void *arg, struct str line),
                 void *arg, struct buf *text, struct err *e);
/* Appends the whole body of such an answer to <out>. -1 with its text in <e> when its status is not
 * 200, or with the cause when there is no answer. */
int client_get(const char *dir, const char *target, struct buf *out, struct err *e);
/* `logtrain explain`: of <name>, a pod ("namespace/name") or a hostname. As client_get(). */
int client_explain(const char *dir, const char *name, struct buf *out, struct err *e);

#endif
