/*
 * The byte of the text that is rarest in logs is searched for with memchr(), which reads many bytes at
 * once, and the text is compared there. A line full of that byte would make this quadratic, so after a
 * few comparisons memmem() goes on, which is linear.
 */
#include "match/plain.h"

#include <string.h>

#define COMPARISONS 16 /* before memmem() */

/* How common <c> is in logs; a guess by kinds is enough. */
static unsigned commonness(char c)
{
    if (c == ' ' || strchr("etaoinsr", c))
        return 5;
    if ((c >= 'a' && c <= 'z' && !strchr("jqxz", c)) || strchr("0123:.-", c))
        return 4;
    if ((c >= '4' && c <= '9') || strchr("\"/,=_T[]", c))
        return 3;
    return c >= 'A' && c <= 'Z' ? 1 : 2;
}

struct plain plain_of(struct str text)
{
    struct plain p = {.text = text};

    for (size_t i = 1; i < text.len; i++)
        if (text.p[i] && commonness(text.p[i]) < commonness(text.p[p.rare]))
            p.rare = i;
    return p;
}

const char *plain_find(const struct plain *p, struct str line, size_t *slow)
{
    const char *from, *end, *at;
    size_t len = p->text.len;
    unsigned left = COMPARISONS;

    if (line.len < len)
        return NULL;
    from = line.p + p->rare;
    end = line.p + line.len - (len - p->rare - 1);
    while ((at = memchr(from, p->text.p[p->rare], (size_t)(end - from)))) {
        if (memcmp(at - p->rare, p->text.p, len) == 0)
            return at - p->rare;
        from = at + 1;
        if (!--left) {
            size_t rest = line.len - (size_t)(from - p->rare - line.p);

            *slow += rest;
            return memmem(from - p->rare, rest, p->text.p, len);
        }
    }
    return NULL;
}
