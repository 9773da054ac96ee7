/* An answer of the daemon, piece by piece as it comes. */
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

#endif
