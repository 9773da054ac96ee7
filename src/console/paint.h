/* An event of /v1/tail as a line for people. */
#ifndef CONSOLE_PAINT_H
#define CONSOLE_PAINT_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends <event>, a JSON object, as "POD CONTAINER MESSAGE" with a LF. <terminal>: as
 * paint_bytes(). <colours>: a colour for each pod, never red. What is no object is appended as it
 * is. */
void paint_event(struct buf *out, struct str event, bool terminal, bool colours);
/* Appends <s>. <terminal>: bytes that a terminal would obey are replaced, but for colours. */
void paint_bytes(struct buf *out, struct str s, bool terminal);

#endif
