/* See hostnames.h. */
#include "inputs/hostnames.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "inputs/trusted.h"

#define SHOWN 48 /* bytes of a word that are shown */

/* Cuts the next part off <*rest>: the inputs in <*input>, the words of <*patterns>. */
static bool next_part(struct str *rest, struct str *input, struct str *patterns)
{
    struct str part;

    while (str_cut(rest, ';', &part)) {
        ptrdiff_t eq;

        part = str_trim(part);
        if (!part.len)
            continue;
        eq = str_find(part, '=');
        *input = eq < 0 ? STR("*") : str_trim(str_head(part, (size_t)eq));
        *patterns = eq < 0 ? part : str_skip(part, (size_t)eq + 1);
        return true;
    }
    return false;
}

int hostname_rules_parse(struct hostname_rules *r, struct str text, struct str name, struct err *e)
{
    struct str input, patterns, word;

    while (next_part(&text, &input, &patterns)) {
        if (!str_trim(patterns).len)
            return err_set(e, EINVAL, "INPUT_HOSTNAMES: '%.*s' has no pattern", STR_ARG(input));
        if (!str_glob(input, name))
            continue;
        while (str_word(&patterns, &word)) {
            r->patterns = xrealloc(r->patterns, (r->n + 1) * sizeof(*r->patterns));
            r->patterns[r->n++] = word;
        }
    }
    return 0;
}

static int check_pattern(struct str word, struct err *e)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.p[i] <= ' ' || word.p[i] > '~' || word.p[i] == '=')
            return err_set(e, EINVAL, "'%.*s' is not a hostname pattern (a ';' ends a part)",
                           STR_ARG(str_head(word, SHOWN)));
    if (word.len > HOSTNAME_MAX)
        return err_set(e, EINVAL, "'%.*s...' is longer than a hostname",
                       STR_ARG(str_head(word, SHOWN)));
    return 0;
}

int hostname_rules_check(struct str list, struct err *e)
{
    struct str input, patterns, word;

    while (next_part(&list, &input, &patterns)) {
        bool any = false;

        if (!trusted_is_input(input))
            return err_set(e, EINVAL, "unknown network input '%.*s'",
                           STR_ARG(str_head(input, SHOWN)));
        for (; str_word(&patterns, &word); any = true)
            if (check_pattern(word, e) < 0)
                return -1;
        if (!any)
            return err_set(e, EINVAL, "'%.*s' has no pattern", STR_ARG(str_head(input, SHOWN)));
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
