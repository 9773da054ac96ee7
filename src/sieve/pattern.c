/*
 * Literals. The byte of the text that is rarest in logs is searched for with memchr(), which reads
 * many bytes at once, and the text is compared there. A line full of that byte would make this
 * quadratic, so after a few comparisons memmem() goes on, which is linear.
 */
#include "sieve/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"

#define COMPARISONS 16 /* before memmem() */

struct sieve_pattern {
    size_t len;
    size_t rare; /* index of its rarest byte */
    char text[];
};

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

struct sieve_pattern *sieve_pattern_create(const char *option, struct str text, struct err *e)
{
    struct sieve_pattern *p;

    if (text.len == 0 || text.len > SIEVE_PATTERN_MAX) {
        (void)err_set(e, EINVAL, "option '%s' must be a text of 1 to %d bytes", option,
                      SIEVE_PATTERN_MAX);
        return NULL;
    }
    if (text.p[0] == '~') {
        (void)err_set(e, EINVAL,
                      "option '%s': texts that begin with '~' are kept for regular expressions, "
                      "which are not there yet",
                      option);
        return NULL;
    }
    p = xcalloc(1, sizeof(*p) + text.len);
    p->len = text.len;
    memcpy(p->text, text.p, text.len);
    for (size_t i = 1; i < text.len; i++)
        if (text.p[i] && commonness(text.p[i]) < commonness(text.p[p->rare]))
            p->rare = i;
    return p;
}

void sieve_pattern_free(struct sieve_pattern *p)
{
    free(p);
}

bool sieve_pattern_matches(const struct sieve_pattern *p, struct str line)
{
    const char *from, *end, *at;
    unsigned left = COMPARISONS;

    if (line.len < p->len)
        return false;
    from = line.p + p->rare;
    end = line.p + line.len - (p->len - p->rare - 1);
    while ((at = memchr(from, p->text[p->rare], (size_t)(end - from)))) {
        if (memcmp(at - p->rare, p->text, p->len) == 0)
            return true;
        from = at + 1;
        if (!--left)
            return memmem(from - p->rare, line.len - (size_t)(from - p->rare - line.p), p->text,
                          p->len) != NULL;
    }
    return false;
}
