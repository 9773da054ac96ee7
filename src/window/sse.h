/*
 * A tail as server-sent events (WHATWG HTML, "Server-sent events"): one for each record, whose id is
 * where the client is in all of its streams. A client that comes back with the last one it has had
 * (Last-Event-ID) goes on there, without a gap or a repetition, also with another daemon of the
 * same node.
 *
 *     id: 1;<second>;<stream>.<segment>.<offset>.<second>,...
 *
 * All are hex. The first second is from when on a stream is read that has none of its own yet.
 */
#ifndef WINDOW_SSE_H
#define WINDOW_SSE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "drains/members/tail.h"

struct sse;

/* <since_s>: as above. */
struct sse *sse_create(int64_t since_s);
void sse_free(struct sse *s); /* NULL is fine */
/* Takes over where <id> says that the client is. -1: it is none of ours. */
int sse_resume(struct sse *s, struct str id, struct err *e);
int64_t sse_since(const struct sse *s);
/* Where the client is in the stream of that identity_key(); NULL = it has had nothing of it. */
const struct tail_place *sse_place(const struct sse *s, uint64_t key);
/* All of them. */
const struct tail_place *sse_places(const struct sse *s, unsigned *n);
/* What comes before the first event. */
struct str sse_head(struct sse *s);
/* The next piece of <b>, from its first one on with <first>; valid until the next call. Empty when
 * there is no more. */
struct str sse_next(struct sse *s, const struct tail_batch *b, bool first);

#endif
