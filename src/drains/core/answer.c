/*
 * Looking an answer up in a member's tables.
 */
#include "drains/core/answer.h"

#include "base/mem.h"

static bool fits_text(const char *beginning, struct str text)
{
    struct str want = str_of(beginning);

    if (!beginning)
        return true;
    if (!want.len || text.len <= want.len)
        return str_eq(text, want);
    return str_starts(text, want) && memchr(" :,'`(.", text.p[want.len], 7) != NULL;
}

static const struct answer_row *find(const struct answer_row *rows, int code, struct str text)
{
    for (const struct answer_row *r = rows; r && r->reason; r++)
        if (code >= r->from && code <= r->to && fits_text(r->text, text))
            return r;
    return NULL;
}

const struct answer_row *answer_find(const struct answer_table *t, int code, struct str text)
{
    const struct answer_row *r = find(t->rows, code, text);

    if (!r)
        r = find(t->more, code, text);
    if (!r)
        BUG("drain: no row for %s %d", t->what, code);
    return r;
}
