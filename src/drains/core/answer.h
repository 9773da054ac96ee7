/*
 * What a peer's answer means, as tables: a code, the beginning of a text, or both → a verdict. A
 * member's descriptor has them (drain_member.answers); one function looks them up.
 */
#ifndef DRAINS_ANSWER_H
#define DRAINS_ANSWER_H

#include "base/str.h"
#include "drains/core/drain.h"

struct answer_row {
    int from, to;       /* the codes; both 0 in a table of texts */
    const char *text;   /* the answer's begins with this, up to the end of a word; "" = it has none;
                         NULL = any */
    const char *reason; /* for people; "" for success */
    enum verdict verdict;
    unsigned flags; /* the member's */
};

/* One kind of answer of a peer. */
struct answer_table {
    const char *what;              /* "http status", for people */
    const struct answer_row *rows; /* looked through in order; ended by a NULL reason */
    const struct answer_row *more; /* ... and then these, which others have, too; NULL = none */
};

/* The row for an answer; there is always one. */
const struct answer_row *answer_find(const struct answer_table *t, int code, struct str text);

#endif
