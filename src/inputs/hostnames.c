/* See hostnames.h. */
#include "inputs/hostnames.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"

int hostname_rules_parse(struct hostname_rules *r, struct str text, struct str name, struct err *e)
{
    struct str part, word;

    while (str_cut(&text, ';', &part)) {
        ptrdiff_t eq = str_find(part, '=');
        struct str key = eq < 0 ? STR("*") : str_trim(str_head(part, (size_t)eq));

        part = str_trim(eq < 0 ? part : str_skip(part, (size_t)eq + 1));
        if (!part.len)
            return err_set(e, EINVAL, "INPUT_HOSTNAMES: '%.*s' has no pattern", STR_ARG(key));
        if (!str_glob(key, name))
            continue;
        while (str_cut(&part, ' ', &word)) {
            if (!word.len)
                continue;
            r->patterns = xrealloc(r->patterns, (r->n + 1) * sizeof(*r->patterns));
            r->patterns[r->n++] = word;
        }
    }
    return 0;
}

void hostname_rules_release(struct hostname_rules *r)
{
    free(r->patterns);
    *r = (struct hostname_rules){.n = 0};
}

bool hostname_rules_allow(const struct hostname_rules *r, struct str hostname)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_glob(r->patterns[i], hostname))
            return true;
    return r->n == 0;
}

bool journal_hostname_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return s.len > 0 && s.len <= HOSTNAME_MAX;
}
