/*
 * An expression, LF, and a line. What must hold:
 *
 *  - an expression that is refused leaves an error, one that is taken is within its memory;
 *  - a plain text is found exactly where memmem() finds it;
 *  - the same question has the same answer, unless the time for it was over.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "match/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond))                                                                               \
            BUG("does not hold: %s", #cond);                                                       \
    } while (0)

static enum pattern_result find(const struct pattern *p, struct str line)
{
    struct pattern_scratch *s = pattern_scratch_create();
    struct pattern_clock c;
    enum pattern_result rc;

    pattern_clock_start(&c, clock_mono_ns());
    rc = pattern_find(p, line, s, &c);
    pattern_scratch_free(s);
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
    struct err e = {0};
    struct pattern *p;

    if (!str_cut(&line, '\n', &expression))
        return 0;
    p = pattern_create(expression, &e);
    if (!p) {
        MUST(e.text[0]);
        return 0;
    }
    first = find(p, line);
    second = find(p, line);
    MUST(first == second || first == PATTERN_GIVEN_UP || second == PATTERN_GIVEN_UP);
    if (!has_specials(expression) && first != PATTERN_GIVEN_UP)
        MUST((first == PATTERN_YES) ==
             (line.len && memmem(line.p, line.len, expression.p, expression.len)));
    pattern_free(p);
    return 0;
}
