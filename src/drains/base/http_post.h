/*
 * The base of a member that sends each batch as a POST: the ops, what an answer means, and the
 * headers of a request.
 */
#ifndef DRAINS_HTTP_POST_H
#define DRAINS_HTTP_POST_H

#include "base/limits.h"
#include "drains/base/http_ack.h"
#include "drains/core/answer.h"
#include "drains/core/drain.h"
#include "net/http_client.h"

/* How a member that posts differs from the others: drain_member.kind beside http_ops. */
struct http_kind {
    bool want_body; /* of the answer, which is held against the body that was sent */
    /* What the answer, or the lack of one, means for <b>. Fills b->err unless it is DELIVERED. */
    enum verdict (*verdict)(const struct http_answer *a, const struct err *e, struct batch *b);
    /* Appends a line "name: value\n" for each header of its own; NULL = none. */
    int (*add_headers)(const struct drain_spec *s, struct buf *out);
    /* Appends what the target has for <b> alone; NULL = nothing. */
    int (*add_to_target)(const struct batch *b, struct buf *target);
    /* A good answer only says that a confirmation may come; NULL = it confirms. */
    const struct http_later *later;
};
extern const struct drain_ops http_ops;
extern const struct http_kind http_status_alone; /* the status says all */

/* HTTP statuses: the rows for every member that posts, and the table for a member without
 * others. */
extern const struct answer_row http_answer_rows[];
extern const struct answer_table http_answers;
extern const struct answer_table *const http_answers_only[]; /* for the descriptor of such a one */

/* The verdict on <a> by the statuses in <t>; without an answer, by <e>. Sets <why> unless it is
 * DELIVERED. */
enum verdict http_verdict(const struct answer_table *t, const struct http_answer *a,
                          const struct err *e, struct err *why);
/* The same for <b>, by the first of its member's tables: for members to whom the status says all. */
enum verdict http_status_verdict(const struct http_answer *a, const struct err *e, struct batch *b);

/* ---- http_headers.c ---- */

/* Type and encoding, authorization, a member's own, and those of header=. */
#define HTTP_HEADERS_MAX (3 + 4 + DRAIN_HEADERS_MAX)
struct http_headers {
    char *text;                             /* owned, wiped: all of them, each ended by NUL */
    size_t len;                             /* of it */
    const char *list[HTTP_HEADERS_MAX + 1]; /* into it; NULL-terminated */
};
/* <add> is a member's (struct http_kind), NULL = none. */
void http_headers_init(struct http_headers *h, const struct drain_spec *s,
                       int (*add)(const struct drain_spec *s, struct buf *out));
void http_headers_release(struct http_headers *h);

#endif
