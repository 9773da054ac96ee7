/* /v1/streams: the logs that the node knows, a line of JSON for each. On the control thread. */
#ifndef WINDOW_STREAMS_H
#define WINDOW_STREAMS_H

#include "base/buf.h"
#include "net/http_server.h"
#include "streams/origin.h"
#include "window/view.h"

/* Answers <r> with those that <v> shows: 200, also when none fits; 400 when <query> is wrong. */
void streams_ask(const struct origins *all, const struct view *v, struct str query,
                 struct http_reply *r);

/* Appends ,"input":…,"namespace":… and what else tells who writes the stream. -1 = it is full. */
int streams_add_identity(struct buf *out, const struct identity *id);

#endif
