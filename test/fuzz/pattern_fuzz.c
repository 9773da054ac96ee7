/*
 * An expression, LF, and a line. What must hold:
 *
 *  - an expression that is refused leaves an error, one that is taken is within its memory;
 *  - a plain text is found exactly where memmem() finds it;
 *  - the same question has the same answer, in the same steps.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "match/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            BUG("does not hold: %s", #cond);                                                       \
    } while (0)

static enum pattern_result find(const struct pattern *p, struct str line, unsigned *steps)
{
    struct pattern_run *r = pattern_run_create();
    enum pattern_result rc = pattern_find(p, line, r);

    *steps = pattern_run_steps(r);
    pattern_run_free(r);
    return rc;
}

static bool has_specials(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (memchr("\\^$.[|()?*+{", text.p[i], 12))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = {(const char *)data, size}, expression;
    enum pattern_result first, second;
    unsigned steps, again;
    struct err e = {0};
    struct pattern *p;

    if (!str_cut(&line, '\n', &expression))
        return 0;
    p = pattern_create(expression, &e);
    if (!p) {
        MUST(e.text[0]);
        return 0;
    }
    first = find(p, line, &steps);
    second = find(p, line, &again);
    MUST(first == second && steps == again);
    if (!has_specials(expression))
        MUST((first == PATTERN_YES) ==
             (line.len && memmem(line.p, line.len, expression.p, expression.len)));
    pattern_free(p);
    return 0;
}
